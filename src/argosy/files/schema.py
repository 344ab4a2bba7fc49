"""Schema: the JSON Schema of a portfolio file, for editors and for messages.

Published as `docs/reference/portfolio.schema.json` by `argosy schema`; `explain` reads from it what would be right. It
is made from the records, so a new kind or field needs no word here.
"""

from __future__ import annotations

import json
import re
from functools import cache
from typing import Any

from argosy.model.portfolio import Portfolio

DRAFT = "https://json-schema.org/draft/2020-12/schema"

_KIND_RECORD = re.compile(r"argosy__model__\w+?__(?P<kind>\w+)__(?P<noun>[A-Z]\w*)")


@cache
def schema() -> dict[str, Any]:
    """The schema of a whole portfolio in one file. Its parts in a folder lack what other files of the folder hold.

    Definitions of kinds are called by noun and kind, for example ContractLease. Callers must not change the answer.
    """
    raw = Portfolio.model_json_schema()
    names = {name: _readable(name, definition) for name, definition in raw["$defs"].items()}
    assert len(set(names.values())) == len(names), "two records would have one name in the schema"
    renamed = _renamed(raw, {f"#/$defs/{old}": f"#/$defs/{new}" for old, new in names.items()})
    definitions = {names[old]: definition for old, definition in renamed.pop("$defs").items()}
    for name, definition in definitions.items():
        definition["title"] = name
        # A kind has a default for Python only: in a file it tells the records apart.
        if "const" in definition["properties"].get("kind", {}):
            definition["required"] = ["kind", *definition.get("required", [])]
    _close(renamed)
    _close(definitions)
    return {
        "$schema": DRAFT,
        "title": "Argosy portfolio",
        **{key: value for key, value in renamed.items() if key != "title"},
        "$defs": dict(sorted(definitions.items())),
    }


def schema_text() -> str:
    """The schema as it is published."""
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"


def resolved(node: dict[str, Any], value: Any = None) -> dict[str, Any]:
    """The schema that holds for a value: references followed, `null` left out, the kind chosen that the value names.

    A value whose kind is absent or unknown gets the undecided node, with its `oneOf` and `discriminator`.
    """
    while True:
        if "$ref" in node:
            node = schema()["$defs"][node["$ref"].rsplit("/", 1)[1]]
        elif "anyOf" in node:
            node = next((option for option in node["anyOf"] if option.get("type") != "null"), {})
        elif "discriminator" in node and isinstance(value, dict):
            kind = value.get("kind")
            if not isinstance(kind, str) or kind not in node["discriminator"]["mapping"]:
                return node
            node = {"$ref": node["discriminator"]["mapping"][kind]}
        else:
            return node


def step_into(node: dict[str, Any], step: str | int) -> dict[str, Any]:
    """The schema of an item or a field; empty when the schema says nothing about it."""
    found: Any
    if isinstance(step, int):
        found = node.get("items")
    else:
        found = node.get("properties", {}).get(step) or node.get("additionalProperties")
        if not isinstance(found, dict):
            found = next(iter(node.get("patternProperties", {}).values()), None)
    return found if isinstance(found, dict) else {}


def _close(node: Any) -> None:
    """Refuse keys of mappings that match no pattern, such as 2026-1 for a month."""
    if isinstance(node, dict):
        if "patternProperties" in node:
            node["additionalProperties"] = False
        node.pop("propertyNames", None)
        for value in node.values():
            _close(value)
    elif isinstance(node, list):
        for value in node:
            _close(value)


def _readable(name: str, definition: dict[str, Any]) -> str:
    """ContractLease for argosy__model__contract__lease__Contract; other names stay."""
    match = _KIND_RECORD.fullmatch(name)
    kind = definition.get("properties", {}).get("kind", {}).get("const") or (match["kind"] if match else None)
    if kind is None:
        return name
    noun = match["noun"] if match else name
    return noun + "".join(word.capitalize() for word in kind.split("_"))


def _renamed(node: Any, references: dict[str, str]) -> Any:
    """A copy of the node in which every reference has its new name."""
    if isinstance(node, dict):
        return {key: _renamed(value, references) for key, value in node.items()}
    if isinstance(node, list):
        return [_renamed(value, references) for value in node]
    return references.get(node, node) if isinstance(node, str) else node

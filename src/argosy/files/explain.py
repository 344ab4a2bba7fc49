"""Explain: what pydantic refuses, in the user's words and at the user's line.

`load` calls `problems`. The schema tells what would be right, the branches tell where the value stands.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from argosy.errors import Problem
from argosy.files.schema import resolved, schema, step_into
from argosy.files.wording import SHORT_NAME, found, listed, near, range_hint, type_hint, wanted
from argosy.files.yaml_tree import Branch, Step, dotted, shown


def problems(error: ValidationError, top: Branch, root: dict[str, Any] | None = None) -> list[Problem]:
    """Every error of a validation as a problem at its place, without the ones that only follow from another.

    `root` is the JSON Schema of the file, without references; absent means that of a portfolio.
    """
    last = {}
    lists_with_faults: set[tuple[Step, ...]] = set()
    for detail in error.errors(include_url=False):
        path, at_key = _path(detail, top)
        lists_with_faults.update(path[:i] for i in range(len(path)))
        # A union reports once per choice; the last one is the choice that reads text.
        last[(path, at_key, _group(detail))] = detail
    return [
        _problem(detail, path, at_key, (top, root or schema()))
        for (path, at_key, _), detail in last.items()
        if not (
            detail["type"] in ("too_short", "too_long")
            and path in lists_with_faults
            and _long_enough(detail, path, top)
        )
    ]


def place(top: Branch, path: Sequence[Step], *, at_key: bool = False) -> Branch:
    """The branch at a path, or the nearest one above it; `at_key` gives the place of the last key instead."""
    branch = top
    for i, step in enumerate(path):
        if at_key and i == len(path) - 1 and step in branch.keys:
            line, column = branch.keys[str(step)]
            return Branch(branch.file if step not in branch.children else _file(branch, step), line, column, step)
        if step not in branch.children:
            break
        branch = branch.children[step]
    return branch


def _file(branch: Branch, step: Step) -> str:
    """The file of a key is that of its value: the top of a folder holds keys of many files."""
    return branch.children[step].file


def _group(detail: ErrorDetails) -> str:
    return "type" if detail["type"] in ("is_instance_of", "string_type", "value_error") else detail["type"]


def _long_enough(detail: ErrorDetails, path: tuple[Step, ...], top: Branch) -> bool:
    """Whether a list is too short only because its items were refused."""
    value, context = place(top, path).value, detail.get("ctx", {})
    size = len(value) if isinstance(value, (tuple, dict)) else 0
    return bool(context.get("min_length", 0) <= size <= (context.get("max_length") or size))


def _path(detail: ErrorDetails, top: Branch) -> tuple[tuple[Step, ...], bool]:
    """A pydantic location without the names of union choices; and whether it is about a key."""
    location = detail["loc"]
    path: list[Step] = []
    branch: Branch | None = top
    at_key = False
    for i, step in enumerate(location):
        if step == "[key]":
            at_key = True
            break
        if branch is None:
            break
        tag = branch.value.get("kind") if isinstance(branch.value, dict) else None
        if step == tag and i and isinstance(location[i - 1], int):
            continue
        if step in branch.children:
            branch = branch.children[step]
        elif detail["type"] == "missing" and i == len(location) - 1:
            branch = None
        else:
            continue
        path.append(step)
    return tuple(path), at_key


def _problem(
    detail: ErrorDetails, path: tuple[Step, ...], at_key: bool, root: tuple[Branch, dict[str, Any]]
) -> Problem:
    kind, top = detail["type"], root[0]
    node: dict[str, Any] = resolved(root[1], top.value)
    parent, branch = node, top
    for step in path:
        parent = resolved(node, branch.value)
        node = step_into(parent, step)
        branch = branch.children.get(step, branch)
    node = resolved(node, branch.value)
    if kind == "missing":
        code, message = "field.missing", _missing(path, parent, branch)
        where = branch
    elif kind == "extra_forbidden":
        code, message = "field.unknown", _unknown(path, parent, place(top, path[:-1]).value)
        where = place(top, path, at_key=True)
    elif kind in ("union_tag_invalid", "union_tag_not_found"):
        code, message = _kind(detail, node, branch)
        where = branch.children.get("kind", branch)
        path = (*path, "kind")
    elif kind == "value_error":
        text = str(detail.get("ctx", {}).get("error", detail["msg"]))
        where = place(top, path, at_key=at_key)
        if not at_key:
            where, path = _mentioned(text, branch, path)
        code, message = ("field.date" if "is not a month" in text else "field.value"), text
    elif at_key:
        key = str(path[-1])
        code, message, where = (
            "field.key",
            f"the key {shown(key)} is not {SHORT_NAME}",
            place(top, path, at_key=True),
        )
    else:
        code, message = _refused(
            kind, detail, str(next((s for s in reversed(path) if isinstance(s, str)), "")), node, branch
        )
        where = branch
    return Problem(where.file, where.line, where.column, code, dotted(path), message)


def _missing(path: tuple[Step, ...], parent: dict[str, Any], branch: Branch) -> str:
    """Whose field it is, what it says, and how to write it where that is not plain from what it says."""
    node = step_into(parent, path[-1])
    about = (node.get("description") or resolved(node).get("description") or "").split("\n")[0].rstrip(".")
    owner = branch.value.get("id") if isinstance(branch.value, dict) else None
    of = f" of {shown(owner)}" if isinstance(owner, str) else ""
    right = wanted(resolved(node))
    if not about:
        return f"this field{of} is required: {right}"
    return f"this field{of} is required: {about}" + ("" if right.startswith((SHORT_NAME, "text")) else f" ({right})")


def _unknown(path: tuple[Step, ...], parent: dict[str, Any], owner: Any) -> str:
    """What else the field could be called, or which other kinds have it."""
    name, fields = str(path[-1]), sorted(parent.get("properties", {}))
    kind = owner.get("kind") if isinstance(owner, dict) else None
    here = f"a record of kind {kind}" if isinstance(kind, str) else "this record"
    hint = near(name, fields)
    if not hint:
        others = [
            definition["properties"]["kind"]["const"]
            for definition in schema()["$defs"].values()
            if isinstance(kind, str) and name in definition["properties"] and _sibling(definition, kind)
        ]
        hint = f"; kinds that have it: {listed(others)}" if others else f"; its fields are {listed(fields, 40)}"
    return f"{here} has no field {shown(name)}{hint}"


def _sibling(definition: dict[str, Any], kind: str) -> bool:
    """Whether a definition is another kind of the same noun."""
    families = [
        node["items"]["discriminator"]["mapping"]
        for node in schema()["properties"].values()
        if "discriminator" in node.get("items", {})
    ]
    own = definition["properties"].get("kind", {}).get("const")
    return any(kind in family and own in family and own != kind for family in families)


def _kind(detail: ErrorDetails, node: dict[str, Any], branch: Branch) -> tuple[str, str]:
    kinds = sorted(node.get("discriminator", {}).get("mapping", {}))
    if detail["type"] == "union_tag_not_found":
        return "field.missing", f"kind is required, one of {listed(kinds)}"
    given = branch.value.get("kind")
    hint = near(given, kinds) if isinstance(given, str) else ""
    return "kind.unknown", f"{shown(given)} is no kind{hint}{' Kinds' if hint else '; kinds'} are {listed(kinds)}"


def _mentioned(text: str, branch: Branch, path: tuple[Step, ...]) -> tuple[Branch, tuple[Step, ...]]:
    """A rule over several fields points at the first field that its message names."""
    for word in re.findall(r"[a-z][a-z0-9_]+", text):
        if word in branch.children and isinstance(branch.value, dict):
            return branch.children[word], (*path, word)
    return branch, path


def _refused(kind: str, detail: ErrorDetails, name: str, node: dict[str, Any], branch: Branch) -> tuple[str, str]:
    """Code and message for a value of the wrong type, range, length or pattern."""
    value, context = branch.value, detail.get("ctx", {})
    if kind == "literal_error":
        options = [str(option) for option in node.get("enum", [node.get("const")])]
        return "field.value", f"{found(value)} is not one of {listed(options, 20)}{near(str(value), options)}"
    if kind in (
        "greater_than",
        "greater_than_equal",
        "less_than",
        "less_than_equal",
        "finite_number",
        "int_parsing_size",
    ):
        right = wanted(node, all_bounds=True) + range_hint(name, value, node)
        return "field.range", f"{found(value)} is out of range; right is {right}"
    if kind == "string_pattern_mismatch":
        return "field.value", f"{found(value)} is not {wanted(node)}"
    if kind in ("too_short", "too_long", "string_too_short", "string_too_long"):
        bound = context.get("min_length", context.get("max_length"))
        at = "at least" if kind.endswith("short") else "at most"
        what = "characters" if kind.startswith("string") else "entries"
        return (
            "field.length",
            f"{'this text' if isinstance(value, str) else 'this'} has {len(value)} {what}; {at} {bound} wanted",
        )
    return "field.type", f"{found(value)} is not {wanted(node)}{type_hint(name, value, node)}"

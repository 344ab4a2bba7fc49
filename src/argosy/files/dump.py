"""Dump: a Portfolio as YAML text that `load` reads back to the same value.

Only what was set is written, in the order people read it: id, kind and names first, clauses last. The text is a fixed
point: dumping what was loaded from it gives it again.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import yaml

from argosy.files.yaml_tree import FLOAT, NOT_FINITE
from argosy.model.portfolio import Portfolio
from argosy.model.terms import Clauses
from argosy.record import Record
from argosy.units import Month

# Lists and mappings of plain values up to this many stand in one line.
MOST_INLINE = 8
_FIRST = ("argosy", "id", "kind", "name", "title", "vendor", "status")
# Line breaks, some only to YAML 1.1, and what is no letter: only double quotes keep them all.
_BREAKS = re.compile("[^ -~\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")
_TAG = "tag:yaml.org,2002:"


def dump(portfolio: Portfolio) -> str:
    """The portfolio as YAML, sections apart by an empty line. Lossless: `load` gives an equal portfolio."""
    sections = []
    for name, value in _fields(portfolio):
        text = yaml.dump({name: value}, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=2**30)
        sections.append(text)
    head, body = sections[:1], sections[1:]
    while body and "\n" not in body[0].rstrip("\n"):
        head.append(body.pop(0))
    return "\n".join(["".join(head), *body])


class _Inline(dict[str, Any]):
    """A mapping that stands in one line."""


class _InlineList(list[Any]):
    """A list that stands in one line."""


def _fields(record: Record) -> list[tuple[str, Any]]:
    """Fields that were set, and always the kind, in reading order."""
    names = [n for n in type(record).model_fields if n in record.model_fields_set or n == "kind"]

    def order(name: str) -> tuple[int, int]:
        if name in _FIRST:
            return (0, _FIRST.index(name))
        return (2 if name in Clauses.model_fields else 1, 0)

    return [(name, _plain(getattr(record, name))) for name in sorted(names, key=order)]


def _plain(value: Any) -> Any:
    """A value as YAML knows it."""
    if isinstance(value, Record):
        fields = dict(_fields(value))
        small = "id" not in fields and _short(list(fields.values()), most=4)
        return _Inline(fields) if small else fields
    if isinstance(value, Month):
        return str(value)
    if isinstance(value, Mapping):
        items = {str(key): _plain(item) for key, item in value.items()}
        return _Inline(items) if _short(list(items.values())) else items
    if isinstance(value, (tuple, list)):
        items_list = [_plain(item) for item in value]
        return _InlineList(items_list) if _short(items_list) else items_list
    # 100.0 and 100 are one amount; people write the shorter.
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return int(value)
    return value


def _short(values: list[Any], most: int = MOST_INLINE) -> bool:
    plain = all(value is None or isinstance(value, (str, int, float)) for value in values)
    plain = plain and not any(isinstance(value, str) and "\n" in value for value in values)
    return plain and len(values) <= most and sum(len(str(value)) for value in values) <= 80


class _Dumper(yaml.SafeDumper):
    """PyYAML's writer with the scalars of `yaml_tree`, lists indented below their key, and no aliases."""

    yaml_implicit_resolvers: dict[str, Any] = {}

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        """Indent lists below their key."""
        super().increase_indent(flow, False)

    def ignore_aliases(self, data: Any) -> bool:
        """Write every value out."""
        return True


_Dumper.add_implicit_resolver(f"{_TAG}null", re.compile(r"(?:null|~|)\Z"), None)
_Dumper.add_implicit_resolver(f"{_TAG}bool", re.compile(r"(?:true|false)\Z"), None)
_Dumper.add_implicit_resolver(f"{_TAG}int", re.compile(r"[-+]?(?:0|[1-9](?:_?[0-9])*)\Z"), None)
_Dumper.add_implicit_resolver(f"{_TAG}float", re.compile(f"(?:{FLOAT.pattern}|{NOT_FINITE.pattern})\\Z"), None)
# Words that older YAML takes for booleans, NO for Norway among them: quoted, so that every reader agrees.
_Dumper.add_implicit_resolver(f"{_TAG}old-bool", re.compile(r"(?i:y|n|yes|no|on|off|true|false|null)\Z"), None)
_Dumper.add_representer(_Inline, lambda d, v: d.represent_mapping(f"{_TAG}map", v.items(), flow_style=True))
_Dumper.add_representer(_InlineList, lambda d, v: d.represent_sequence(f"{_TAG}seq", v, flow_style=True))
_Dumper.add_representer(str, lambda d, v: d.represent_scalar(f"{_TAG}str", v, style='"' if _BREAKS.search(v) else None))
_Dumper.add_representer(float, lambda d, v: d.represent_scalar(f"{_TAG}float", repr(v)))

"""Wording: what was found, what would be right, and the mistake that was probably made.

`explain` puts the pieces together; they come from the JSON Schema of the field, so that no field is named here.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any

from argosy.files.yaml_tree import shown

HOURLY = "usd_per_accelerator_hour"
MONTH = r"^\d{4}-\d{2}$"
_ID = "^[a-z0-9]"
SHORT_NAME = "a short name (small letters, digits and . _ / -, at most 100, a letter or digit first)"
# Bounds beyond this only keep nonsense out; a message is clearer without them.
_TELLING = 1e9
_NOUNS = {"number": "a number", "integer": "a whole number", "boolean": "true or false", "array": "a list"}


def near(word: str, known: Iterable[str]) -> str:
    """`; did you mean 'x'?`, or nothing when nothing is near."""
    known = list(known)
    match = get_close_matches(word, known, n=1, cutoff=0.6)
    if not match and len(word) > 3:
        match = [longer for longer in known if word.lower() in longer][:1]
    return f"; did you mean {match[0]!r}?" if match else ""


def listed(words: Iterable[str], most: int = 12) -> str:
    """Words for a message, cut when there are many."""
    words = list(words)
    more = f" and {len(words) - most} more" if len(words) > most else ""
    return ", ".join(words[:most]) + more


def found(value: Any) -> str:
    """The value in words."""
    if value is None:
        return "an empty value"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return f"the number {value}"
    if isinstance(value, str):
        return f"the text {shown(value)}"
    return "a list" if isinstance(value, tuple) else "a mapping"


def wanted(node: dict[str, Any], *, all_bounds: bool = False) -> str:
    """What would be right, in words."""
    if "enum" in node:
        return f"one of {listed([str(option) for option in node['enum']], 20)}"
    if "const" in node:
        return str(node["const"])
    kind = node.get("type", "value")
    if kind == "string":
        pattern = node.get("pattern", "")
        if pattern == MONTH:
            return "a month, written YYYY-MM"
        if pattern.startswith(_ID):
            return SHORT_NAME
        return f"text that matches {pattern}" if pattern else "text"
    if kind in ("number", "integer"):
        return _NOUNS[kind] + _bounds(node, math.inf if all_bounds else _TELLING)
    if kind == "array":
        return "a list, one `- ` entry per line or [a, b]"
    if kind == "object" or "discriminator" in node:
        required = node.get("required", [])
        return "a mapping" + (f" with the fields {listed(required)}" if required else "")
    return _NOUNS.get(kind, f"a {kind}")


def _bounds(node: dict[str, Any], telling: float) -> str:
    low, above = node.get("minimum"), node.get("exclusiveMinimum")
    high, below = node.get("maximum"), node.get("exclusiveMaximum")
    parts = []
    if low is not None or above is not None:
        parts.append(f"from {low:,.15g}" if low is not None else f"above {above:,.15g}")
    if high is not None and high < telling:
        parts.append(f"up to {high:,.15g}")
    if below is not None and below < telling:
        parts.append(f"below {below:,.15g}")
    return f" {' '.join(parts)}" if parts else ""


def range_hint(name: str, value: Any, node: dict[str, Any]) -> str:
    """A guess at the unit that was mixed up."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or math.isnan(value):
        return ""
    high = node.get("maximum")
    if name.endswith(HOURLY) and high is not None and value > high:
        return "; did you mean per month, per year or per instance? The unit is USD for one accelerator and one hour"
    if name.endswith("_fraction") and 1 < value <= 100:
        return f"; a fraction is written from 0 to 1: {value:g} percent is {value / 100:g}"
    if name.endswith("_mw") and high is not None and value > high:
        return "; the unit is megawatts"
    if name.startswith("kw_") and high is not None and value > high:
        return "; the unit is kilowatts, not watts"
    if value < 0 and node.get("minimum") == 0:
        return "; amounts are never negative here"
    return ""


def type_hint(name: str, value: Any, node: dict[str, Any]) -> str:
    """How a value of the wrong type was probably meant."""
    kind = node.get("type")
    if value is None and kind == "array":
        return "; put entries below it, write [], or delete the line"
    if value is None:
        return "; write a value or delete the line"
    if kind == "string" and isinstance(value, (int, float)):
        pattern = node.get("pattern", "")
        return ", for example 2026-01" if pattern == MONTH else "; put it in quotes to make it text"
    if kind == "integer" and isinstance(value, float) and value.is_integer():
        return f"; write {int(value)}"
    if kind in ("number", "integer") and isinstance(value, str):
        return _number_hint(name, value)
    if kind == "boolean" and isinstance(value, str) and value.lower() in ("yes", "no", "on", "off", "true", "false"):
        return f"; write {'true' if value.lower() in ('yes', 'on', 'true') else 'false'}"
    if kind == "array" and isinstance(value, (str, int, float)):
        return f"; write [{value}]"
    if kind == "object" and isinstance(value, tuple):
        return "; drop the dashes"
    return ""


def _number_hint(name: str, text: str) -> str:
    bare = text.strip().removeprefix("$").removeprefix("USD").strip()
    percent = re.fullmatch(r"(\d+(?:\.\d+)?) ?%", bare)
    if percent:
        return f"; write {float(percent[1]) / 100:g}"
    if re.fullmatch(r"\d{1,3}(,\d{3})+(\.\d+)?", bare):
        return f"; write {bare.replace(',', '_')}"
    number = re.match(r"\d+(?:\.\d+)?", bare)
    return f"; write {number[0]} without a unit, the unit is in the field's name" if number else ""

"""Fields: a value of a task file with its path, and the readers that refuse it at its line.

`load` and its neighbours walk fields. A reader that refuses notes the problem and answers None, so that reading goes
on and every problem is told at once. Which keys a mapping may have, and which of them are not honoured, stands in the
schema alone.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from argosy.errors import Problem
from argosy.files.tasks import quantities
from argosy.files.wording import found, listed, near
from argosy.files.yaml_tree import Branch, Step, dotted, shown

MAX_TEXT = 1_000_000
WORDS = {
    "object": "a mapping", "array": "a list", "string": "text", "integer": "a whole number",
    "number": "a number", "boolean": "true or false",
}  # fmt: skip
_KINDS: dict[str, Any] = {
    "object": dict, "array": tuple, "string": str, "integer": int, "number": (int, float), "boolean": bool,
}  # fmt: skip


@dataclass(slots=True)
class Findings:
    """What was found while one file was read."""

    problems: list[Problem] = field(default_factory=list)
    notes: list[Problem] = field(default_factory=list)
    """Fields that are understood and not honoured, with what it would take."""


@dataclass(frozen=True, slots=True)
class Field:
    """One value of the file."""

    branch: Branch
    path: tuple[Step, ...]
    findings: Findings

    @property
    def value(self) -> Any:
        """The plain value."""
        return self.branch.value

    @property
    def word(self) -> str:
        """The scalar as written."""
        return self.branch.text or ""

    def refuse(self, message: str, code: str = "field.value") -> None:
        """Tell a problem of this value."""
        self.findings.problems.append(self.branch.problem(code, dotted(self.path), message))

    def note(self, message: str) -> None:
        """Tell that this value is understood and not honoured."""
        self.findings.notes.append(self.branch.problem("task.not_honoured", dotted(self.path), message))

    def fields(self, node: Mapping[str, Any]) -> dict[str, Field]:
        """The values of a mapping that are not null, by key; keys that the schema does not know are refused."""
        if not self._is(dict, "a mapping of fields"):
            return {}
        known: Mapping[str, Any] = node["properties"]
        for key in self.branch.keys:
            about = known.get(key)
            if about is None:
                hint = near(key, known) or f"; its fields are {listed(sorted(known), 40)}"
                self._at_key(key, "field.unknown", f"there is no field {shown(key)} here{hint}", self.findings.problems)
            elif "x-not-honoured" in about and self.branch.children[key].value is not None:
                self.child(key).fits(about)
                self._at_key(key, "task.not_honoured", about["x-not-honoured"], self.findings.notes)
        return {key: value for key, value in self.entries().items() if key in known and value.value is not None}

    def fits(self, node: Mapping[str, Any]) -> None:
        """Refuse a value that is not read and has another type than the schema says."""
        named = node.get("type", list(_KINDS))
        kinds: list[str] = named if isinstance(named, list) else [named]
        if not any(isinstance(self.value, _KINDS[kind]) for kind in kinds if kind != "null") or (
            isinstance(self.value, bool) and "boolean" not in kinds
        ):
            self._type(" or ".join(WORDS.get(kind, kind) for kind in kinds if kind != "null"))

    def entries(self) -> dict[str, Field]:
        """The values of a mapping with keys of the user's own."""
        if not self._is(dict, "a mapping"):
            return {}
        return {key: self.child(key) for key in self.branch.children if isinstance(key, str)}

    def items(self) -> Iterator[Field]:
        """The items of a list."""
        if self._is(tuple, "a list, one `- ` entry per line or [a, b]"):
            for i in range(len(self.value)):
                yield self.child(i)

    def child(self, step: Step) -> Field:
        """One item or value."""
        return Field(self.branch.children[step], (*self.path, step), self.findings)

    def text(self, most: int = 2000, *, loose: bool = False) -> str | None:
        """Text as written; with `loose` numbers and true or false count as text."""
        if self.branch.text is None or self.value is None or not (loose or isinstance(self.value, str)):
            self._type("text", "; put it in quotes" if self.branch.text and self.value is not None else "")
            return None
        if not self.word.strip():
            self.refuse("is empty; write a value or delete the line", "field.length")
            return None
        if len(self.word) > most:
            self.refuse(f"this text has {len(self.word):,} characters; at most {most:,} are read", "field.length")
            return None
        return self.word

    def flag(self) -> bool | None:
        """true or false."""
        if isinstance(self.value, bool):
            return self.value
        word = self.word.lower()
        hint = f"; write {'true' if word in ('yes', 'on') else 'false'}" if word in ("yes", "no", "on", "off") else ""
        self._type("true or false", hint)
        return None

    def whole(self, low: int, high: int) -> int | None:
        """A whole number between bounds."""
        if isinstance(self.value, bool) or not isinstance(self.value, int):
            self._type("a whole number")
            return None
        return self.value if self._within(self.value, low, high) else None

    def number(self, high: float, *, low: float = 0.0, zero: bool = False) -> float | None:
        """A number above `low` (or from it, with `zero`) up to `high`."""
        if isinstance(self.value, bool) or not isinstance(self.value, (int, float)) or not math.isfinite(self.value):
            self._type("a number")
            return None
        if not (low < self.value <= high or (zero and self.value == low)):
            self._out_of_range("from" if zero else "above", low, high)
            return None
        return float(self.value)

    def one_of(self, words: Sequence[str]) -> str | None:
        """One of several words, in any case of letters."""
        by_small = {word.lower(): word for word in words}
        chosen = by_small.get(self.word.lower()) if isinstance(self.value, str) else None
        if chosen is None:
            self.refuse(f"{found(self.value)} is not one of {listed(words)}{near(self.word, words)}")
        return chosen

    def size_gib(self, high: float) -> float | None:
        """An amount of memory or disk in GiB: `32`, `32+`, `32GB`."""
        return self._quantity(quantities.size_gib, "a size such as 32, 32+ or 32GB", high)

    def at_least(self, high: float) -> float | None:
        """A count that may end in +."""
        return self._quantity(quantities.at_least, "a number such as 8 or 8+", high)

    def seconds(self, high: float = 10 * 365 * 86400.0) -> float | None:
        """A duration: `90m`, `4h`, `1h30m`, or seconds as a number."""
        return self._quantity(quantities.seconds, "a duration such as 90s, 30m, 4h or 2d", high)

    def matches(self, pattern: re.Pattern[str], right: str, most: int = 2000) -> str | None:
        """Text of a form."""
        text = self.text(most)
        if text is not None and not pattern.fullmatch(text):
            self.refuse(f"{found(self.value)} is not {right}")
            return None
        return text

    def _quantity(self, read: Any, right: str, high: float) -> float | None:
        if isinstance(self.value, bool) or self.branch.text is None:
            self._type(right)
            return None
        amount = read(self.word)
        if amount is None:
            self._type(right)
            return None
        if not 0 < amount <= high:
            self._out_of_range("above", 0, high)
            return None
        return float(amount)

    def _within(self, value: float, low: float, high: float) -> bool:
        if low <= value <= high:
            return True
        self._out_of_range("from", low, high)
        return False

    def _out_of_range(self, bound: str, low: float, high: float) -> None:
        self.refuse(
            f"{found(self.value)} is out of range; right is {bound} {low:,.15g} up to {high:,.15g}", "field.range"
        )

    def _is(self, kind: type, right: str) -> bool:
        if isinstance(self.value, kind):
            return True
        self._type(right)
        return False

    def _type(self, right: str, hint: str = "") -> None:
        self.refuse(f"{found(self.value)} is not {right}{hint}", "field.type")

    def _at_key(self, key: str, code: str, message: str, among: list[Problem]) -> None:
        line, column = self.branch.keys[key]
        among.append(Problem(self.branch.file, line, column, code, dotted((*self.path, key)), message))

"""How numbers and names are written for people, on the page and on the terminal.

`report` and `cli.tables` call it; nothing else formats a number. It never rounds what is stored or compared, and it
never decides what is shown. An absent value is written as a dash, which is not a zero.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

from argosy.units import Month

ABSENT = "–"
MINUS = "−"
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_WORDS = ((1e12, "trillion"), (1e9, "billion"), (1e6, "million"))
# Characters that turn the direction of text around would let a name rewrite the line that it stands in.
_TURNING = frozenset("\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def usd(value: float | None) -> str:
    """Money in words: `USD 38.2 billion`, `USD 412 million`, `USD 56,300`, `USD 7.25`."""
    if value is None:
        return ABSENT
    size = abs(value)
    digits = three_digits(size)
    for factor, word in _WORDS:
        if digits >= factor:
            return f"{_sign(value)}USD {_trim(digits / factor)} {word}"
    if digits >= 1000 or digits == round(digits):
        return f"{_sign(value, digits)}USD {digits:,.0f}"
    return f"{_sign(value, digits)}USD {size:.2f}" if size >= 0.005 else "USD 0"


def usd_per_hour(value: float | None, digits: int = 2) -> str:
    """An hourly price: `USD 2.41 per hour`."""
    return ABSENT if value is None else f"{_sign(value)}USD {abs(value):,.{digits}f} per hour"


def percent(fraction: float | None) -> str:
    """A share: `12.3 %`; small ones keep two digits, `0.0043 %`."""
    if fraction is None:
        return ABSENT
    value = abs(fraction) * 100
    if value == 0:
        return "0 %"
    if value >= 0.95:
        return f"{_sign(fraction)}{value:.1f} %".replace(".0 %", " %")
    if value < 1e-10:
        return "less than 0.0000000001 %"
    return f"{_sign(fraction)}{value:.{1 - math.floor(math.log10(value))}f} %"


def number(value: float | None) -> str:
    """A count or an amount with three significant digits below a thousand: `12,400`, `3.25`, `0.0412`."""
    if value is None:
        return ABSENT
    size = abs(value)
    if size >= 1000 or size == round(size):
        return f"{_sign(value, round(size))}{size:,.0f}"
    if size < 1e-9:
        return "0"
    if size < 1e-4:
        return f"{_sign(value)}{size:.1e}"
    return f"{_sign(value)}{_trim(size)}"


def count(value: float | None) -> str:
    """A count in a sentence, with three digits: `4.00 million`, `12,400`, `35`."""
    if value is None:
        return ABSENT
    digits = three_digits(value)
    word = next(((f, w) for f, w in _WORDS if abs(digits) >= f), None)
    return f"{_sign(value)}{_trim(abs(digits) / word[0])} {word[1]}" if word else number(digits)


def quantity(value: float | None, unit: str) -> str:
    """An amount with its unit: `12,400 accelerators`, `USD 2 million per month`, `35 units`."""
    if value is None:
        return ABSENT
    if unit.casefold().startswith("usd"):
        rest = words(unit[3:])
        return f"{usd(value)} {rest}" if rest else usd(value)
    return f"{number(value)} {words(unit)}"


def month(value: Month | None) -> str:
    """A month for people: `Jan 2026`."""
    return ABSENT if value is None else f"{_MONTHS[value.month - 1]} {value.year}"


def span(months: int) -> str:
    """A length of time: `7 years`, `18 months`."""
    if months % 12 == 0 and months >= 24:
        return f"{months // 12} years"
    return "1 month" if months == 1 else f"{months} months"


def words(identifier: str) -> str:
    """An identifier as words: `take_or_pay` becomes `take or pay`; units keep their `per`."""
    text = identifier.removesuffix("_usd").replace("_", " ").strip()
    for unit in ("usd", "mw", "mwh", "gib"):
        text = " ".join(
            unit.upper().replace("GIB", "GiB").replace("MWH", "MWh") if w == unit else w for w in text.split(" ")
        )
    return text.replace("accelerator hour", "accelerator-hour").replace("accelerator month", "accelerator-month")


def plural(count: int, one: str, many: str | None = None) -> str:
    """`1 contract`, `3 contracts`."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def listing(items: Iterable[str], most: int = 4) -> str:
    """`a, b and c`; more than `most` become `a, b and 5 more`."""
    names = list(items)
    if len(names) > most:
        names = [*names[: most - 1], f"{len(names) - most + 1:,} more"]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}" if names else "none"


def clean(text: str) -> str:
    """A user's text without control characters and without marks that turn its direction around."""
    return "".join(
        " " if c in "\t\n\r" else "\ufffd" if unicodedata.category(c) in ("Cc", "Cs") or c in _TURNING else c
        for c in text
    )


def clip(text: str, columns: int) -> str:
    """The text within so many terminal columns (East Asian wide letters take two), ended by an ellipsis when cut."""
    text = clean(text)
    if width(text) <= columns:
        return text
    kept, used = [], 0
    for letter in text:
        used += width(letter)
        if used > columns - 1:
            break
        kept.append(letter)
    return "".join(kept).rstrip() + "…"


def width(text: str) -> int:
    """Columns that a text takes."""
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


@dataclass(frozen=True, slots=True)
class Scale:
    """One unit for a whole column or axis, so that its numbers can be compared at a glance."""

    factor: float
    word: str
    digits: int

    @classmethod
    def of(cls, values: Iterable[float | None], base: str = "USD") -> Scale:
        """The unit in which the largest value has one to three digits before the point."""
        largest = max((abs(v) for v in values if v is not None), default=0.0)
        top = three_digits(largest)
        names = ((1e12, "trillion"), (1e9, "billion"), (1e6, "million"), (1e3, "thousand"), (1.0, ""))
        factor, word = next(((f, w) for f, w in names if top >= f), (1.0, ""))
        shown = top / factor
        digits = 0 if factor == 1.0 and largest == round(largest) else 2 if shown < 10 else 1
        # Money is written before its factor, things after it: `USD million`, `million units`.
        return cls(factor, " ".join((base, word) if base == "USD" else (word, base)).strip(), digits)

    def write(self, value: float | None) -> str:
        """The number alone; what would round to nothing is written `<0.1`, a real zero `0`."""
        if value is None:
            return ABSENT
        if value == 0:
            return "0"
        shown = f"{abs(value) / self.factor:,.{self.digits}f}"
        if not any(c in "123456789" for c in shown):
            least = f"{10**-self.digits:.{self.digits}f}"
            return f"<{least}" if value > 0 else f">{MINUS}{least}"
        return f"{_sign(value)}{shown}"


def three_digits(value: float) -> float:
    """The value rounded to three significant digits; 0 stays 0."""
    if value == 0 or not math.isfinite(value):
        return value
    return round(value, 2 - math.floor(math.log10(abs(value))))


def _trim(value: float) -> str:
    digits = 2 if value < 10 else 1 if value < 100 else 0
    if value < 1:
        digits = 2 - math.floor(math.log10(value))
    text = f"{value:,.{digits}f}"
    return text.rstrip("0").rstrip(".") if value < 1 else text


def _sign(value: float, shown: float = 1.0) -> str:
    return MINUS if value < 0 and shown != 0 else ""

"""The few shapes that charts are drawn from: frame, axes, legend, text. All user text is escaped here.

`charts` calls it. Colours are class names that the style sheet resolves, so that one drawing serves light, dark and
print; each colour has its own pattern, so that none is told by colour alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from argosy.report.format import Scale, clip, month, width
from argosy.units import Month

OPEN = 2
"""The fill kept for capacity without commitment."""
OTHER = 8
"""The fill kept for everything else."""
LETTER = 6.8
"""Mean width of a letter of chart text, with a margin for wide ones."""
_NARROW, _WIDE = frozenset("fijlrt.,:;'|()[]-I ‘’"), frozenset("mwMW%@…—")

# One pattern per fill, drawn in the colour of the paper over the colour of the slot.
_PATTERNS = {
    1: "", 2: "M-1,1l2,-2M0,6l6,-6M5,7l2,-2", 3: "M1.5,1.5h1.2v1.2h-1.2zM4.5,4.5h1.2v1.2h-1.2z",
    4: "M-1,5l2,2M0,0l6,6M5,-1l2,2",
    5: "M0,3h6", 6: "M0,3h6M3,0v6", 7: "M3,0v6", 8: "M2.4,2.4h1.2v1.2h-1.2z",
    9: "M0,1.5h6M0,4.5h6", 10: "M0,0l6,6M6,0l-6,6", 11: "M0,3h3v3", 12: "M1.5,0v6M4.5,0v6",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Frame:
    """The plotting area inside a drawing and the two scales that lead into it."""

    width: float
    height: float
    left: float
    right: float
    top: float
    bottom: float
    x_low: float
    x_high: float
    y_low: float
    y_high: float

    def x(self, value: float) -> float:
        """Where a value stands from the left."""
        return self.left + (value - self.x_low) / (self.x_high - self.x_low) * (self.width - self.left - self.right)

    def y(self, value: float) -> float:
        """Where a value stands from the top."""
        share = (value - self.y_low) / (self.y_high - self.y_low)
        return self.height - self.bottom - share * (self.height - self.top - self.bottom)


def ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Round numbers that cover low to high; always at least two and distinct, also for an empty range."""
    if not high > low:
        high = low + (abs(low) or 1.0)
    raw = (high - low) / about
    unit = 10.0 ** math.floor(math.log10(raw))
    step = next(m * unit for m in (1, 2, 2.5, 5, 10) if m * unit >= raw * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [i * step for i in range(first, last + 1)]


def axis(low: float, high: float, about: int = 5) -> tuple[list[float], float, float]:
    """Round numbers for an axis that includes zero, and its ends; a little below zero takes a little room."""
    marks = ticks(min(low, 0.0), max(high, 0.0), about)
    step = marks[1] - marks[0]
    if -0.6 * step < low < 0:
        marks = [m for m in marks if m > -0.5 * step]
        return marks, low * 1.15, marks[-1]
    return marks, marks[0], marks[-1]


def axis_scale(marks: Sequence[float], base: str) -> Scale:
    """The unit of an axis with as many digits as its steps need."""
    scale = Scale.of(marks, base)
    digits = next(
        d for d in range(7) if all(abs(round(m / scale.factor, d) - m / scale.factor) < 1e-6 for m in marks) or d == 6
    )
    return Scale(scale.factor, scale.word, digits)


def y_axis(frame: Frame, marks: Sequence[float], base: str) -> Markup:
    """Grid lines with their numbers, and the unit above them."""
    scale = axis_scale(marks, base)
    parts = [text(2, frame.top - 14, scale.word, "unit", "start")]
    for mark in marks:
        y = frame.y(mark)
        parts.append(line(frame.left, y, frame.width - frame.right, y, "zero" if mark == 0 else "gridline"))
        parts.append(text(frame.left - 8, y + 4, scale.write(mark), "tick", "end"))
    return join(parts)


def x_axis_values(frame: Frame, marks: Sequence[float], base: str) -> Markup:
    """Vertical grid lines with their numbers below and the unit at the end."""
    scale = axis_scale(marks, base)
    parts = []
    for mark in marks:
        x = frame.x(mark)
        parts.append(line(x, frame.top, x, frame.height - frame.bottom, "zero" if mark == 0 else "gridline"))
        parts.append(text(x, frame.height - frame.bottom + 17, scale.write(mark), "tick", "middle"))
    parts.append(text(frame.left, frame.height - frame.bottom + 34, scale.word, "unit", "start"))
    return join(parts)


def x_axis_months(frame: Frame) -> Markup:
    """The years below a frame whose horizontal scale counts months; quarters for spans of two years or less."""
    low, high = round(frame.x_low), round(frame.x_high)
    room = (frame.width - frame.left - frame.right) / max(1, high - low)
    every = next((m for m in (3, 6, 12, 24, 60, 120) if m * room >= (34 if m >= 12 else 56)), 240)
    base = frame.height - frame.bottom
    parts = [line(frame.left, base, frame.width - frame.right, base, "zero")]
    for number in range(low, high + 1):
        if number % every:
            continue
        x = frame.x(number)
        year, place = divmod(number, 12)
        label = str(year) if every >= 12 else month(Month(year, place + 1))
        parts.append(line(x, base, x, base + 5, "zero"))
        if x < frame.width - frame.right - 12:
            parts.append(text(x, base + 18, label, "tick", "middle"))
    return join(parts)


def legend_column(frame: Frame, entries: Sequence[tuple[str, str, float]]) -> Markup:
    """Names at the right edge, each as near as it can be to the height it belongs to, none over another."""
    x = frame.width - frame.right + 14
    room = int((frame.right - 32) / LETTER)
    heights = spread([h for _, _, h in entries], 18, frame.top + 4, frame.height - frame.bottom - 2)
    return join(
        join((key(x, y - 5, look), text(x + 17, y + 4.5, clip(name, room), "label", "start")))
        for (name, look, _), y in zip(entries, heights, strict=True)
    )


def legend_row(x: float, y: float, entries: Sequence[tuple[str, str]], edge: float) -> tuple[Markup, float]:
    """Names in a row with their fills, wrapped into further rows; also the height that they take."""
    parts, at, row = [], x, 0
    for name, look in entries:
        label = clip(name, 34)
        needs = 17 + letters(label) + 20
        if at > x and at + needs > edge:
            at, row = x, row + 1
        parts += [key(at, y - 9 + 19 * row, look), text(at + 17, y + 0.5 + 19 * row, label, "label", "start")]
        at += needs
    return join(parts), 19.0 * (row + 1)


def legend(entries: Sequence[tuple[str, str]], width: float = 920) -> Markup:
    """A legend as a drawing of its own, above several charts."""
    body, height = legend_row(0, 14, entries, width)
    return Markup('<svg viewBox="0 0 {} {}" class="legend" aria-hidden="true">{}</svg>').format(
        n(width), n(height + 4), body
    )


def key(x: float, y: float, look: str) -> Markup:
    """The sample beside a name: a line for what is drawn as a line, a square for what is filled."""
    if look.startswith("key-"):
        return line(x - 1, y + 5.5, x + 12, y + 5.5, look)
    return rect(x, y, 11, 11, look)


def letters(label: str) -> float:
    """About how wide a text is, on the safe side."""
    return sum(3.8 if c in _NARROW else 11.0 if c in _WIDE else 8.6 if c.isupper() else width(c) * 7.1 for c in label)


def spread(wanted: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Positions at least `gap` apart, in order and close to the wanted ones, within low and high if they fit."""
    order = sorted(range(len(wanted)), key=lambda i: (wanted[i], i))
    placed: list[float] = []
    for i in order:
        placed.append(max(wanted[i], placed[-1] + gap) if placed else max(wanted[i], low))
    limit = high
    for k in reversed(range(len(placed))):
        placed[k] = min(placed[k], limit)
        limit = placed[k] - gap
    result = [0.0] * len(wanted)
    for k, i in enumerate(order):
        result[i] = placed[k]
    return result


def document(key: str, title: str, description: str, size: tuple[float, float], body: Markup) -> Markup:
    """The whole drawing with its name and description for screen readers. `key` is ours, never a user's text."""
    return Markup(
        '<svg viewBox="0 0 {w} {h}" role="img" aria-labelledby="{k}-t {k}-d" class="chart-svg">'
        '<title id="{k}-t">{t}</title><desc id="{k}-d">{d}</desc>{b}</svg>'
    ).format(w=n(size[0]), h=n(size[1]), k=key, t=clip(title, 200), d=clip(description, 600), b=body)


def patterns() -> Markup:
    """The fills, once per page."""
    return join(
        Markup(
            '<pattern id="p{i}" width="6" height="6" patternUnits="userSpaceOnUse">'
            '<rect class="s{i}" width="6" height="6"/>{p}</pattern>'
        ).format(i=i, p=Markup('<path class="over" d="{}"/>').format(path) if path else "")
        for i, path in _PATTERNS.items()
    )


def rect(x: float, y: float, width: float, height: float, look: str, *, hint: str = "") -> Markup:
    """A rectangle; `hint` is shown by browsers that point at it."""
    tip = Markup("<title>{}</title>").format(hint) if hint else ""
    return Markup('<rect x="{}" y="{}" width="{}" height="{}" class="{}">{}</rect>').format(
        n(x), n(y), n(max(0.0, width)), n(max(0.0, height)), look, tip
    )


def line(x1: float, y1: float, x2: float, y2: float, look: str) -> Markup:
    """A straight line."""
    return Markup('<line x1="{}" y1="{}" x2="{}" y2="{}" class="{}"/>').format(n(x1), n(y1), n(x2), n(y2), look)


def path(points: Iterable[tuple[float, float]], look: str, *, closed: bool = False) -> Markup:
    """A line through points, or the area that they bound."""
    d = "M" + "L".join(f"{n(x)},{n(y)}" for x, y in points) + ("Z" if closed else "")
    return Markup('<path d="{}" class="{}"/>').format(d, look)


def text(x: float, y: float, content: str, look: str, anchor: str) -> Markup:
    """A line of text."""
    return Markup('<text x="{}" y="{}" class="{} {}">{}</text>').format(n(x), n(y), look, anchor, content)


def join(parts: Iterable[Markup]) -> Markup:
    """One piece of markup; anything that is not markup is escaped."""
    return Markup("").join(escape(p) for p in parts)


def n(value: float) -> str:
    """A coordinate with one digit; more would only be bytes."""
    return f"{value:.1f}".removesuffix(".0")

"""Our charts: stacked area, band, stacked bars upright and lying, bullets, lines, heat map. Values in, drawings out.

The section modules call them with numbers that are already final. Each drawing carries a name and a description; the
caller puts the table of the same numbers beside it. An absent value leaves a gap and is never drawn as zero.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from argosy.report import svg
from argosy.report.format import Scale, clip
from argosy.report.svg import Frame
from argosy.units import Month

WIDTH = 920.0
HALF = 452.0
LABELS = 252.0
"""Room for the names of lying bars."""
NOTHING = Markup()


@dataclass(frozen=True, slots=True)
class Series:
    """One name, its fill and its values."""

    name: str
    slot: int
    values: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Mark:
    """A named value that is drawn as a line across the others."""

    name: str
    value: float


def stacked_area(
    key: str, title: str, description: str, time: tuple[Sequence[Month], int], series: Sequence[Series], *,
    unit: str, over: Series | None = None,
) -> Markup:  # fmt: skip
    """Layers over time, each period as wide as it lasts; `over` is a line in front of them."""
    starts, lasts = time
    tops = [sum(s.values[i] for s in series) for i in range(len(starts))]
    marks = svg.ticks(0.0, max([*tops, *(over.values if over else ()), 0.0]))
    height = max(340.0, 70.0 + 19 * (len(series) + 1))
    frame = _over_time(starts, lasts, marks, WIDTH, height, right=222)
    parts = [svg.y_axis(frame, marks, unit)]
    base = [0.0] * len(starts)
    entries = []
    for s in series:
        top = [b + v for b, v in zip(base, s.values, strict=True)]
        outline = _steps(frame, starts, lasts, top) + _steps(frame, starts, lasts, base)[::-1]
        parts.append(svg.path(outline, f"f{s.slot} layer", closed=True))
        entries.append((s.name, f"f{s.slot}", frame.y((base[-1] + top[-1]) / 2)))
        base = top
    if over:
        parts.append(svg.path(_steps(frame, starts, lasts, over.values), "halo"))
        parts.append(svg.path(_steps(frame, starts, lasts, over.values), "ink"))
        entries.append((over.name, "key-ink", frame.y(over.values[-1])))
    # The stack's own order is kept in the legend even where layers end at nothing.
    order = sorted(range(len(series)), key=lambda i: -i)
    heights = sorted(e[2] for e in entries[: len(series)])
    column = [(entries[i][0], entries[i][1], h) for i, h in zip(order, heights, strict=True)] + entries[len(series) :]
    parts += [svg.x_axis_months(frame), svg.legend_column(frame, column)]
    return svg.document(key, title, description, (WIDTH, height), svg.join(parts))


def band(
    key: str, title: str, description: str, time: tuple[Sequence[Month], int],
    values: Mapping[str, Sequence[float]], *, unit: str,
) -> Markup:  # fmt: skip
    """Demand as a band from `low` to `high` with its `mean`, what is `served`, and `unserved` hanging from the mean."""
    starts, lasts = time
    marks = svg.ticks(0.0, max([*values["high"], *values["mean"], *values["served"], 0.0]), 4)
    frame = _over_time(starts, lasts, marks, HALF, 232, right=10)
    xs = [frame.x(m.number + lasts / 2) for m in starts]

    def across(name: str) -> list[tuple[float, float]]:
        return [(x, frame.y(v)) for x, v in zip(xs, values[name], strict=True)]

    gap = [(x, frame.y(m - u)) for x, m, u in zip(xs, values["mean"], values["unserved"], strict=True)]
    parts = [
        svg.y_axis(frame, marks, unit),
        svg.path(across("high") + across("low")[::-1], "band", closed=True),
        svg.path(across("mean") + gap[::-1], "f6 gap", closed=True),
        svg.path(across("served"), "line s-line1"),
        svg.path(across("mean"), "dashed"),
        svg.x_axis_months(frame),
    ]
    return svg.document(key, title, description, (HALF, 232), svg.join(parts))


BAND_LEGEND = (
    ("demand, lowest to highest future", "band"), ("mean demand", "key-dash"), ("served on average", "key-line1"),
    ("unserved on average", "f6"),
)  # fmt: skip


def lines(
    key: str, title: str, description: str, time: tuple[Sequence[Month], int], series: Sequence[Series], *, unit: str
) -> Markup:
    """Values over time as lines, named at their ends and told apart by dash and colour."""
    starts, lasts = time
    marks = svg.ticks(0.0, max((v for s in series for v in s.values), default=1.0))
    frame = _over_time(starts, lasts, marks, WIDTH, 300, right=222)
    parts = [svg.y_axis(frame, marks, unit)]
    for s in series:
        points = [(frame.x(m.number + lasts / 2), frame.y(v)) for m, v in zip(starts, s.values, strict=True)]
        parts.append(svg.path(points, f"line s-line{s.slot}"))
    entries = [(s.name, f"key-line{s.slot}", frame.y(s.values[-1])) for s in series]
    parts += [svg.x_axis_months(frame), svg.legend_column(frame, entries)]
    return svg.document(key, title, description, (WIDTH, 300), svg.join(parts))


def bars(
    key: str, title: str, description: str, names: Sequence[str], series: Sequence[Series], *, unit: str,
    limits: Sequence[float | None] = (), limit_name: str = "limit", above: Sequence[float | None] = (),
    above_name: str = "", width: float = WIDTH, across: str = "",
) -> Markup:  # fmt: skip
    """Upright stacked bars; negative parts hang below zero. `limits` and `above` are marks across single bars.

    `across` says below the axis what the names are.
    """
    highs = [sum(max(0.0, s.values[i]) for s in series) for i in range(len(names))]
    lows = [sum(min(0.0, s.values[i]) for s in series) for i in range(len(names))]
    known = [limit for limit in (*limits, *above) if limit is not None]
    marks, low_edge, high_edge = svg.axis(min([*lows, 0.0]), max([*highs, *known, 0.0]))
    entries = [(s.name, f"f{s.slot}") for s in series if any(s.values)] + ([(limit_name, "key-limit")] if known else [])
    entries += [(above_name, "key-dash")] if any(v is not None for v in above) else []
    legend, legend_height = svg.legend_row(64, 16, entries, width - 10) if len(entries) > 1 else (NOTHING, 0.0)
    top = 16 + legend_height + 26
    below = 16 if across else 0
    frame = Frame(
        width, top + 260 + below, 64, 10, top, 34 + below, 0.0, float(max(1, len(names))), low_edge, high_edge
    )
    room = frame.x(1) - frame.x(0)
    thick = min(64.0, room * 0.62)
    scale = Scale.of(marks, unit)
    parts = [legend, svg.y_axis(frame, marks, unit)]
    every = max(1, round(44 / room))
    for i, name in enumerate(names):
        middle = frame.x(i + 0.5)
        up = down = 0.0
        for s in series:
            v = s.values[i]
            if v == 0:
                continue
            low, high = (up, up + v) if v > 0 else (down + v, down)
            up, down = max(up, high), min(down, low)
            hint = f"{name}: {clip(s.name, 60)} {scale.write(v)} {scale.word}"
            parts.append(
                svg.rect(
                    middle - thick / 2, frame.y(high), thick, frame.y(low) - frame.y(high), f"f{s.slot} bar", hint=hint
                )
            )
        lines_here = [(row[i], look) for row, look in ((limits, "limit"), (above, "dashed")) if row]
        reach = min(room * 0.44, thick * 0.85)
        at = frame.y(up) - 6
        for value, look in sorted((v, look) for v, look in lines_here if v is not None):
            y = frame.y(value)
            parts.append(svg.line(middle - reach, y, middle + reach, y, look))
            # The total steps over a line that would run through it.
            at = min(at, y - 5) if -4 < at + 6 - y < 18 else at
        if room >= 44 and (up or down):
            parts.append(svg.text(middle, at, scale.write(up + down), "total", "middle"))
        if i % every == 0:
            parts.append(svg.text(middle, frame.height - 14 - below, clip(name, 12), "tick", "middle"))
    if across:
        parts.append(svg.text(frame.left, frame.height - 8, across, "tick", "start"))
    return svg.document(key, title, description, (width, frame.height), svg.join(parts))


def grouped_bars(
    key: str,
    title: str,
    description: str,
    names: Sequence[str],
    series: Sequence[Series],
    *,
    unit: str,
    width: float = HALF,
) -> Markup:
    """Upright bars side by side within each group."""
    marks = svg.ticks(0.0, max((v for s in series for v in s.values), default=0.0), 4)
    frame = Frame(width, 210, 58, 8, 32, 28, 0.0, float(max(1, len(names))), marks[0], marks[-1])
    room = frame.x(1) - frame.x(0)
    thick = min(26.0, room * 0.8 / len(series))
    parts = [svg.y_axis(frame, marks, unit)]
    for i, name in enumerate(names):
        left = frame.x(i + 0.5) - thick * len(series) / 2
        for k, s in enumerate(series):
            y = frame.y(s.values[i])
            parts.append(svg.rect(left + k * thick, y, thick - 1.5, frame.y(0.0) - y, f"f{s.slot} bar"))
        parts.append(svg.text(frame.x(i + 0.5), frame.height - 9, clip(name, 10), "tick", "middle"))
    return svg.document(key, title, description, (width, 210), svg.join(parts))


def rows(
    key: str, title: str, description: str, names: Sequence[str], series: Sequence[Series], *, unit: str,
    marks: Sequence[Mark] = (), ends: Sequence[str] = (), limits: Sequence[float | None] = (),
    limit_name: str = "limit", write: Callable[[float], str] | None = None,
) -> Markup:  # fmt: skip
    """Lying stacked bars, one row per name, with named lines across all rows and a limit mark in single rows."""
    highs = [sum(max(0.0, s.values[i]) for s in series) for i in range(len(names))]
    lows = [sum(min(0.0, s.values[i]) for s in series) for i in range(len(names))]
    known = [limit for limit in limits if limit is not None]
    scale_marks, low_edge, high_edge = svg.axis(
        min([*lows, 0.0]), max([*highs, *known, *(m.value for m in marks), 0.0])
    )
    entries = [(s.name, f"f{s.slot}") for s in series if any(s.values)] + ([(limit_name, "key-limit")] if known else [])
    legend, legend_height = svg.legend_row(2, 14, entries, WIDTH - 4) if len(entries) > 1 else (NOTHING, 0.0)
    top = legend_height + (24.0 + 17 * len(marks) if marks else 18.0)
    step = 27.0 if len(names) <= 16 else 21.0
    frame = Frame(
        WIDTH, top + step * len(names) + 46, LABELS, 112, top, 46, low_edge, high_edge, 0.0, float(len(names))
    )
    scale = Scale.of(scale_marks, unit)
    parts = [legend, svg.x_axis_values(frame, scale_marks, unit)]
    for i, name in enumerate(names):
        y = top + step * i + step * 0.16
        thick = step * 0.68
        up = down = 0.0
        parts.append(svg.text(frame.left - 10, y + thick / 2 + 4.5, clip(name, 36), "label", "end"))
        for s in series:
            v = s.values[i]
            if v == 0:
                continue
            low, high = (up, up + v) if v > 0 else (down + v, down)
            up, down = max(up, high), min(down, low)
            hint = f"{clip(name, 60)}: {clip(s.name, 60)} {write(v) if write else f'{scale.write(v)} {scale.word}'}"
            parts.append(svg.rect(frame.x(low), y, frame.x(high) - frame.x(low), thick, f"f{s.slot} bar", hint=hint))
        limit = limits[i] if limits else None
        if limit is not None:
            parts.append(svg.line(frame.x(limit), y - 3, frame.x(limit), y + thick + 3, "limit"))
        if ends:
            parts.append(svg.text(WIDTH - 2, y + thick / 2 + 4.5, ends[i], "label", "end"))
    for k, mark in enumerate(sorted(marks, key=lambda m: -m.value)):
        x = frame.x(mark.value)
        y = legend_height + 18 + 17 * k
        parts.append(svg.line(x, y + 4, x, frame.height - frame.bottom, "limit"))
        parts.append(svg.text(x, y, mark.name, "mark", "end" if x > WIDTH * 0.62 else "middle" if x > 300 else "start"))
    return svg.document(key, title, description, (WIDTH, frame.height), svg.join(parts))


@dataclass(frozen=True, slots=True)
class Span:
    """A named stretch of time and what stands at its end."""

    name: str
    slot: int
    start: Month
    end: Month
    label: str


def spans(
    key: str,
    title: str,
    description: str,
    horizon: tuple[Month, Month],
    rows: Sequence[Span],
    *,
    legend: Sequence[tuple[str, str]],
) -> Markup:
    """Stretches of time as lying bars; what reaches beyond the horizon is cut at its edge with an open end."""
    first, last = horizon
    drawn, legend_height = svg.legend_row(2, 14, legend, WIDTH - 4)
    top, step = legend_height + 14.0, 24.0
    frame = Frame(
        WIDTH,
        top + step * len(rows) + 34,
        LABELS,
        120,
        top,
        34,
        float(first.number),
        float(last.number),
        0.0,
        float(len(rows)),
    )
    parts = [drawn, svg.x_axis_months(frame)]
    for i, row in enumerate(rows):
        y = top + step * i
        low, high = min(max(row.start, first), last), max(min(row.end, last), first)
        x, end = frame.x(low.number), max(frame.x(low.number) + 2, frame.x(high.number))
        parts.append(svg.text(frame.left - 10, y + 16, clip(row.name, 36), "label", "end"))
        parts.append(
            svg.rect(x, y + 4, end - x, 15, f"f{row.slot} bar", hint=f"{clip(row.name, 60)}: {row.start} to {row.end}")
        )
        beyond = "→ " if row.end > last else ""
        parts.append(svg.text(end + 7, y + 16, beyond + row.label, "label", "start"))
    return svg.document(key, title, description, (WIDTH, frame.height), svg.join(parts))


@dataclass(frozen=True, slots=True)
class Box:
    """A distribution: five quantiles, rising, its mean and the mean of its tail."""

    name: str
    quantiles: tuple[float, float, float, float, float]
    mean: float
    tail: float


def boxes(
    key: str, title: str, description: str, rows: Sequence[Box], *, unit: str, ends: Sequence[str]
) -> Markup:  # fmt: skip
    """Lying boxes, one per name, on one axis that covers every quantile, mean and tail."""
    values = [v for b in rows for v in (*b.quantiles, b.mean, b.tail)]
    marks = svg.ticks(min(values), max(values))
    entries = (("half of the futures", "f8"), ("mean", "f1"), ("mean of the tail", "f6"))
    legend, legend_height = svg.legend_row(2, 14, entries, WIDTH - 4)
    top, step = legend_height + 18.0, 34.0
    frame = Frame(WIDTH, top + step * len(rows) + 46, LABELS, 112, top, 46, marks[0], marks[-1], 0.0, float(len(rows)))
    scale = Scale.of(marks, unit)
    parts = [legend, svg.x_axis_values(frame, marks, unit)]
    for i, b in enumerate(rows):
        middle = top + step * (i + 0.5)
        x = [frame.x(q) for q in b.quantiles]
        hint = f"{clip(b.name, 60)}: mean {scale.write(b.mean)}, tail {scale.write(b.tail)} {scale.word}"
        parts += [
            svg.text(frame.left - 10, middle + 4.5, clip(b.name, 36), "label", "end"),
            svg.line(x[0], middle, x[4], middle, "limit"),
            svg.rect(x[1], middle - 9, max(2.0, x[3] - x[1]), 18, "f8 bar", hint=hint),
            svg.line(x[2], middle - 9, x[2], middle + 9, "limit"),
            svg.rect(frame.x(b.mean) - 3, middle - 13, 6, 26, "f1 bar", hint=hint),
            svg.rect(frame.x(b.tail) - 4, middle - 4, 8, 8, "f6 bar", hint=hint),
            svg.text(WIDTH - 2, middle + 4.5, ends[i], "label", "end"),
        ]
    return svg.document(key, title, description, (WIDTH, frame.height), svg.join(parts))


def heat_class(value: float, high: float) -> str:
    """One of seven depths of shade by the root of the share; the number in the cell says what the value is."""
    if high <= 0 or value <= 0:
        return "h0"
    return f"h{min(6, 1 + int(math.sqrt(min(1.0, value / high)) * 5.999))}"


def _over_time(
    starts: Sequence[Month], lasts: int, marks: Sequence[float], width: float, height: float, *, right: float
) -> Frame:
    first, last = starts[0].number, starts[-1].number + lasts
    return Frame(width, height, 58, right, 34, 30, float(first), float(last), marks[0], marks[-1])


def _steps(frame: Frame, starts: Sequence[Month], lasts: int, values: Sequence[float]) -> list[tuple[float, float]]:
    points = []
    for i, (month, v) in enumerate(zip(starts, values, strict=True)):
        end = starts[i + 1].number if i + 1 < len(starts) else month.number + lasts
        points += [(frame.x(month.number), frame.y(v)), (frame.x(end), frame.y(v))]
    return points

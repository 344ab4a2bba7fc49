"""Drawings of answers: a front with its certified band, and lying intervals with an inner and an outer part.

`answer_sections` calls them with numbers that are final. They keep the rules of `charts`: a name, a description, a
table of the same numbers beside each, and nothing told by colour alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from argosy.report import svg
from argosy.report.charts import HALF, LABELS, WIDTH
from argosy.report.format import clip
from argosy.report.svg import Frame

FRONT_LEGEND = (("a certified plan costs this", "key-line1"), ("no plan costs less than this", "key-dash"),
                ("this plan", "f6"))  # fmt: skip


def front(
    key: str, title: str, description: str, points: Sequence[tuple[float, float, float]], *,
    own: tuple[float, float] | None, units: tuple[str, str],
) -> Markup:  # fmt: skip
    """Expected cost against a limit: points are limit and both bounds; the plan itself is a square."""
    limits, low, high = ([p[i] for p in points] for i in range(3))
    xs, ys = [*limits, *([own[0]] if own else [])], [*low, *high, *([own[1]] if own else [])]
    across, up = svg.ticks(min(xs), max(xs), 4), svg.ticks(min(ys), max(ys), 5)
    frame = Frame(HALF, 272, 62, 14, 34, 48, across[0], across[-1], up[0], up[-1])
    top = [(frame.x(x), frame.y(y)) for x, y in zip(limits, high, strict=True)]
    bottom = [(frame.x(x), frame.y(y)) for x, y in zip(limits, low, strict=True)]
    parts = [svg.y_axis(frame, up, units[1]), svg.x_axis_values(frame, across, units[0])]
    parts += [svg.path(top + bottom[::-1], "band", closed=True), svg.path(top, "line s-line1")]
    parts.append(svg.path(bottom, "dashed"))
    if own:
        parts.append(svg.rect(frame.x(own[0]) - 4, frame.y(own[1]) - 4, 8, 8, "f6 bar", hint="this plan"))
    return svg.document(key, title, description, (HALF, 272), svg.join(parts))


@dataclass(frozen=True, slots=True)
class Stretch:
    """A named interval; `inner` lies within it, `at` is a single value; None is not known."""

    name: str
    low: float
    high: float
    inner: tuple[float, float] | None
    at: float | None
    end: str
    hint: str


def stretches(
    key: str, title: str, description: str, rows: Sequence[Stretch], *, unit: str, legend: Sequence[tuple[str, str]]
) -> Markup:
    """Lying intervals on one axis that includes 0: the outer part thin, the inner part thick, the value as a mark."""
    values = [v for r in rows for v in (r.low, r.high, *(r.inner or ()), *([] if r.at is None else [r.at]))]
    marks, low_edge, high_edge = svg.axis(min([*values, 0.0]), max([*values, 0.0]))
    drawn, legend_height = svg.legend_row(2, 14, legend, WIDTH - 4)
    top, step = legend_height + 18.0, 25.0
    frame = Frame(WIDTH, top + step * len(rows) + 46, LABELS, 168, top, 46, low_edge, high_edge, 0.0, float(len(rows)))
    parts = [drawn, svg.x_axis_values(frame, marks, unit)]
    for i, row in enumerate(rows):
        middle = top + step * (i + 0.5)
        parts.append(svg.text(frame.left - 10, middle + 4.5, clip(row.name, 36), "label", "end"))
        width = max(2.0, frame.x(row.high) - frame.x(row.low))
        parts.append(svg.rect(frame.x(row.low), middle - 4, width, 8, "f8 bar", hint=row.hint))
        if row.inner is not None:
            inner = max(3.0, frame.x(row.inner[1]) - frame.x(row.inner[0]))
            parts.append(svg.rect(frame.x(row.inner[0]), middle - 8, inner, 16, "f1 bar", hint=row.hint))
        if row.at is not None:
            parts.append(svg.line(frame.x(row.at), middle - 10, frame.x(row.at), middle + 10, "limit"))
        parts.append(svg.text(WIDTH - 2, middle + 4.5, row.end, "label", "end"))
    return svg.document(key, title, description, (WIDTH, frame.height), svg.join(parts))

"""The page of a simulation: pictures with the numbers behind them, in one file that needs no network and no script.

Uses the drawings and templates of `report`; decides only what is shown of each kind of simulation.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib import resources
from pathlib import Path

import numpy as np
import numpy.typing as npt
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from argosy.errors import OutsideError
from argosy.place.rounds import Ints
from argosy.report import charts, svg
from argosy.report.charts import Series
from argosy.report.figure import Block, Figure, Section, Table, columns
from argosy.report.format import clean
from argosy.report.plan_page import KeyFigure, Page
from argosy.report.svg import Frame
from argosy.simulate.packing import Filling
from argosy.simulate.queue import Queued

Numbers = npt.NDArray[np.float64]
POINTS = 240
SIZE = (920.0, 300.0)
_SIZES = (
    ("no accelerator", 0.0, 1e-9),
    ("up to half of one", 1e-9, 0.5 + 1e-9),
    ("more than half of one", 0.5 + 1e-9, 1.0),
    ("one", 1.0, 1.0 + 1e-9),
    ("two to four", 1.0 + 1e-9, 4.0 + 1e-9),
    ("five to eight", 4.0 + 1e-9, 8.0 + 1e-9),
    ("more than eight", 8.0 + 1e-9, float("inf")),
)


def filling_page(found: Filling) -> str:
    """Allocation while asks arrive, what is refused and why, and where the free accelerators lie."""
    packed = found.packed
    capacity = packed.capacity_milli
    x = 100 * found.requested_milli / capacity
    placed = packed.node >= 0
    allocated = 100 * packed.allocated_milli / capacity
    refused = 100 * np.cumsum(~placed) / np.arange(1, len(placed) + 1)
    pictures: list[Block] = [
        lines(
            "allocated",
            "Accelerators allocated, percent",
            "requested, percent of capacity",
            x,
            {"allocated": allocated},
        ),
        lines(
            "refused",
            "Asks refused, percent of those arrived",
            "requested, percent of capacity",
            x,
            {"refused": refused},
        ),
    ]
    seen = packed.sampled_at
    after = np.where(seen > 0, x[np.maximum(seen, 1) - 1], 0.0)
    free = 100 - np.where(seen > 0, allocated[np.maximum(seen, 1) - 1], 0.0)
    pictures.append(
        lines(
            "fragmented",
            "Free accelerators, percent of capacity: all, and those of no use to what is expected",
            "requested, percent of capacity",
            after,
            {"free": free, "fragmented": 100 * packed.sampled_milli / capacity},
        )
    )
    asks = found.asks[found.order]
    sizes = asks["accelerators"].to_numpy() * asks["share_milli"].to_numpy() / 1000
    rows = []
    for size in np.unique(sizes):
        mine = sizes == size
        rows.append(
            (
                f"{size:g}",
                f"{int(mine.sum()):,}",
                f"{int((mine & ~placed).sum()):,}",
                f"{(mine & ~placed).sum() / mine.sum():.1%}",
            )
        )
    table = Table("Asks by size", columns("Accelerators", "#Arrived", "#Refused", "#Refused share"), tuple(rows))
    by_size = _refused_by_size(sizes, placed)
    fragmented = packed.fragmentation_milli / capacity
    figures = (
        KeyFigure("Allocated", f"{packed.allocated_fraction:.2%}", "of the accelerators"),
        KeyFigure("Refused", f"{found.refused:,}", f"of {found.arrived:,} asks"),
        KeyFigure("Fragmented", f"{fragmented:.2%}", "free, and of no use to what is expected"),
    )
    head = f"The policy {found.policy} fills {packed.allocated_fraction:.1%} of {capacity // 1000:,} accelerators."
    sections = (
        Section("filling", "Filling", "What was allocated and refused as more was requested.", tuple(pictures)),
        Section("sizes", "Refused by size", "Which asks did not fit.", (by_size, table)),
    )
    return render(Page("Filling a fleet", "Simulation", (head,), figures, sections, "", footer(f"seed {found.seed}")))


def _refused_by_size(sizes: Numbers, placed: npt.NDArray[np.bool_]) -> Figure:
    """Share of the asks that were refused, by classes of size; a class that nobody asked for is left out."""
    names, shares, counts = [], [], []
    for name, low, high in _SIZES:
        mine = (sizes >= low) & (sizes < high)
        if mine.any():
            names.append(name)
            counts.append(int(mine.sum()))
            shares.append(100 * float((mine & ~placed).sum()) / counts[-1])
    title = "Asks refused, percent of those of their size"
    words = "; ".join(f"{name} {share:.1f} %" for name, share in zip(names, shares, strict=True))
    picture = charts.rows(
        "sizes",
        title,
        f"{title}: {words}.",
        names,
        (Series("refused", 1, tuple(shares)),),
        unit="%",
        ends=tuple(f"of {count:,}" for count in counts),
    )
    rows = tuple(
        (name, f"{count:,}", f"{share:.1f}%") for name, count, share in zip(names, counts, shares, strict=True)
    )
    return Figure(title, picture, Table(title, columns("Size", "#Arrived", "#Refused share"), rows))


def queue_page(found: Queued, capacity: Ints) -> str:
    """Use of each chip over time, asks waiting, and how long completion took."""
    hours = np.array([row[0] for row in found.used])
    use = np.array([row[1] for row in found.used], dtype=float)
    waiting = np.array([row[2] for row in found.used], dtype=float)
    by_chip = {chip: 100 * use[:, p] / capacity[p] for p, chip in enumerate(found.chips)}
    done = ~np.isnan(found.end_hours)
    took = found.end_hours[done] - found.arrival_hours[done]
    waits = (found.start_hours - found.arrival_hours)[done]
    share = 100 * np.arange(1, int(done.sum()) + 1) / max(1, int(done.sum()))
    pictures = (
        lines("use", "Accelerators in use, percent", "days", hours / 24, by_chip),
        lines("waiting", "Asks waiting", "days", hours / 24, {"waiting": waiting}),
    )
    spread = (
        lines("completion", "Asks completed within, percent", "hours", np.sort(took), {"completed": share}),
        lines("wait", "Asks started within, percent", "hours", np.sort(waits), {"started": share}),
    )
    least = found.least_makespan_hours
    bound = "start to last end" if least is None else f"start to last end; no order ends before {least:,.1f} h"
    figures = (
        KeyFigure("Average completion", f"{found.average_completion_hours:,.2f} h", "arrival to end"),
        KeyFigure("Makespan", f"{found.makespan_hours:,.1f} h", bound),
        KeyFigure("Average wait", f"{found.average_wait_hours:,.2f} h", "arrival to first work"),
        KeyFigure("In use", f"{found.used_fraction:.1%}", f"of {found.capacity:,} accelerators over the rounds"),
    )
    head = f"Under the objective {found.objective} an ask takes {found.average_completion_hours:,.1f} hours on average."
    left_out = sum(found.left_out.values())
    heads = (
        (head, f"{left_out:,} asks were left out: nobody measured their work at that size.") if left_out else (head,)
    )
    sections = (
        Section("use", "Use by pool over time", "How busy each kind of chip was, and who waited.", pictures),
        Section("times", "Waiting and completion", "How the times are spread over the asks.", spread),
    )
    return render(Page("A queue of asks", "Simulation", heads, figures, sections, "", footer("nothing left to chance")))


def write(page: str, path: Path) -> None:
    """Write the page, whole or not at all; OutsideError when the disk refuses.

    Cut off in the middle, or written by two at once, there is the page of one of them or the one before.
    """
    half = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists() and not path.is_file():
            # A pipe or /dev/stdout is written to; a folder refuses.
            path.write_text(page, encoding="utf-8")
            return
        try:
            half.write_text(page, encoding="utf-8")
            half.replace(path)
        finally:
            half.unlink(missing_ok=True)
    except OSError as error:
        message = f"cannot write the report to {path}: {error.strerror or error}; choose another --report path"
        raise OutsideError(message) from error


def footer(what: str) -> str:
    """The last line of a page."""
    return f"Argosy simulation; {what}. The same arguments give the same page."


def lines(key: str, title: str, unit: str, x: Numbers, series: Mapping[str, Numbers]) -> Figure:
    """Lines over a numeric axis, thinned to what can be seen, with their numbers."""
    count = len(x)
    at = (
        np.unique(np.linspace(0, max(0, count - 1), min(POINTS, max(1, count))).astype(int))
        if count
        else np.zeros(0, int)
    )
    xs = np.asarray(x, dtype=float)[at]
    ys = {name: np.asarray(values, dtype=float)[at] for name, values in series.items()}
    high = max((float(values.max(initial=0.0)) for values in ys.values()), default=1.0)
    marks, across = svg.ticks(0.0, high), svg.ticks(0.0, float(xs.max(initial=1.0)))
    frame = Frame(SIZE[0], SIZE[1], 60, 160, 30, 44, across[0], across[-1], marks[0], marks[-1])
    parts = [svg.y_axis(frame, marks, ""), svg.x_axis_values(frame, across, unit)]
    entries = []
    for slot, (name, values) in enumerate(ys.items(), 1):
        points = [(frame.x(float(a)), frame.y(float(b))) for a, b in zip(xs, values, strict=True)]
        if points:
            parts.append(svg.path(points, f"line s-line{slot}"))
            entries.append((name, f"key-line{slot}", points[-1][1]))
    parts.append(svg.legend_column(frame, entries))
    last = ", ".join(f"{name} ends at {values[-1]:,.4g}" for name, values in ys.items() if len(values))
    picture = svg.document(f"sim-{key}", title, f"{title} over {unit}; {last}.", SIZE, svg.join(parts))
    few = at[:: max(1, len(at) // 24)] if len(at) else at
    rows = tuple(
        (f"{float(x[i]):,.4g}", *(f"{float(values[i]):,.4g}" for values in series.values())) for i in few.tolist()
    )
    return Figure(title, picture, Table(title, columns(unit, *(f"#{name}" for name in series)), rows))


def render(page: Page) -> str:
    """The page as HTML."""
    folder = resources.files("argosy.report").joinpath("templates")
    environment = Environment(
        loader=PackageLoader("argosy.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: clean(value) if type(value) is str else value,
    )
    style = folder.joinpath("report.css").read_text("utf-8")
    return environment.get_template("page.html.j2").render(page=page, style=Markup(style), patterns=svg.patterns())

"""The page of services on spot: what each way to run them costs and how much of it is ready, and one world over time.

Decides only what is shown. Every picture has a name, a description and the table it was drawn from.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from argosy.place.standby import Counts
from argosy.report import charts
from argosy.report.charts import Series
from argosy.report.figure import Figure, Section, Table, columns
from argosy.report.plan_page import KeyFigure, Page
from argosy.simulate.page import Numbers, footer, lines, render
from argosy.simulate.service import ONE_ZONE, SPOT_ONLY, SPREAD, WAYS, Service, Services

POINTS = 240
WORDS = {
    ONE_ZONE: "one zone, on demand behind it",
    SPOT_ONLY: "spread, nothing behind it",
    SPREAD: "spread, on demand behind it",
}


def service_page(found: Services, replicas: int, extra: int, trust_hours: float) -> str:
    """Cost and readiness by way, each world, and the one with the most zones over time."""
    cost, ready = found.mean(SPREAD, "cost_fraction"), found.mean(SPREAD, "available_fraction")
    whole = found.mean(SPREAD, "whole_fraction")
    figures = (
        KeyFigure("Cost", f"{cost:.1%}", "of as many replicas on demand"),
        KeyFigure("Ready", f"{ready:.2%}", "of the replicas, over time"),
        KeyFigure("All ready", f"{whole:.1%}", "of the time"),
        KeyFigure("Taken away", f"{sum(w.ways[SPREAD].lost for w in found.worlds):,.0f}", "replicas, by vendors"),
    )
    count = len(found.worlds)
    more = f", {extra} more than wanted on spot" if extra else ""
    trust = f", spells of spot trusted after {trust_hours:g} h" if trust_hours else ""
    head = (
        f"{replicas} replicas on spot with on demand behind them cost {cost:.0%} of all on demand, and {ready:.1%} of "
        "them were ready.",
        f"Spread over the zones of {count} recorded world{'s' if count > 1 else ''}{more}{trust}.",
    )
    longest = max(found.worlds, key=lambda world: (len(world.zones), world.days))
    sections = (
        Section("ways", "Ways to run it", "Mean over the worlds.", (_ways(found),)),
        Section("worlds", "By world", "Zones that were measured together are one world.", (_worlds(found),)),
        Section("time", "Over time", f"{longest.together}, {longest.days:.1f} days.", (_over_time(longest),)),
    )
    left = "; ".join(f"{name} is left out: {why}" for name, why in found.left_out.items())
    title = "A service on spot"
    return render(Page(title, "Simulation", head, figures, sections, left, footer("nothing left to chance")))


def _ways(found: Services) -> Figure:
    names = [WORDS[way] for way in WAYS]
    cost = tuple(100 * found.mean(way, "cost_fraction") for way in WAYS)
    ready = tuple(100 * found.mean(way, "available_fraction") for way in WAYS)
    title = "Cost, percent of on demand, and replicas ready, percent of those wanted"
    ends = tuple(f"{r:.1f} % ready" for r in ready)
    words = "; ".join(f"{n}: costs {c:.1f} %, {e}" for n, c, e in zip(names, cost, ends, strict=True))
    picture = charts.rows("service-ways", title, f"{words}.", names, (Series("cost", 1, cost),), unit="%", ends=ends)
    table = Table(
        title,
        columns("Run as", "#Cost", "#Ready", "#All ready", "#Taken away"),
        tuple(
            (
                WORDS[way],
                f"{found.mean(way, 'cost_fraction'):.1%}",
                f"{found.mean(way, 'available_fraction'):.2%}",
                f"{found.mean(way, 'whole_fraction'):.1%}",
                f"{found.mean(way, 'lost'):,.1f}",
            )
            for way in WAYS
        ),
    )
    return Figure(title, picture, table)


def _worlds(found: Services) -> Table:
    rows = tuple(
        (
            world.together,
            f"{len(world.zones)}",
            f"{world.days:,.1f}",
            *(f"{world.ways[way].cost_fraction:.1%}" for way in WAYS),
            f"{world.ways[SPREAD].available_fraction:.2%}",
            f"{world.ways[SPREAD].whole_fraction:.1%}",
            f"{world.ways[SPREAD].lost:,.0f}",
        )
        for world in found.worlds
    )
    heads = ("World", "#Zones", "#Days", "#One zone", "#Spot only", "#Spread", "#Ready", "#All ready", "#Taken away")
    note = "The first three shares are costs beside as many replicas on demand; the rest is of the way as asked."
    return Table("Cost and readiness", columns(*heads), rows, note=note)


def _over_time(world: Service) -> Figure:
    """Replicas ready, and on spot, as means of some steps each."""
    steps = len(world.served.ready)
    edges = np.linspace(0, steps, min(steps, POINTS) + 1).astype(int)
    days = edges[:-1] * world.step_hours / 24
    on_spot = world.served.spot.sum(axis=1)

    def means(values: Counts) -> Numbers:
        return np.array([values[a:b].mean() for a, b in pairwise(edges.tolist())])

    series = {"ready": means(world.served.ready), "on spot": means(on_spot)}
    return lines("service-time", "Replicas ready, and on spot", "days", days, series)

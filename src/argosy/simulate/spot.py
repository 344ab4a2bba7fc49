"""Work with a deadline on recorded spot capacity: what does it cost beside running on demand all the time?

For many starts within each series the policies of `place.deadlines` are replayed. `optimum` is what somebody who knew
the whole series would pay for the same changeovers (P5.9); `bound` the same without any changeover.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from argosy.clock import rng
from argosy.errors import BadInput, Problem
from argosy.place.deadlines import EXPECTED, GREEDY, UNIFORM, Ran, run
from argosy.simulate.hindsight import optimum

POLICIES = {"greedy": GREEDY, "uniform_progress": UNIFORM, "expected_cost": EXPECTED}


@dataclass(frozen=True, slots=True)
class SpotOutcome:
    """Means over the starts of one series; costs as a share of running on demand all the time."""

    series: str
    starts: int
    available_fraction: float
    cost_fraction: dict[str, float]
    optimum_fraction: float | None  # absent where it would take too long (P5.9)
    bound_fraction: float
    missed: dict[str, int]
    preemptions: dict[str, float]
    changeovers: dict[str, float]
    spot_hours: dict[str, float]
    on_demand_hours: dict[str, float]
    work_hours: float
    spot_price_ratio: float

    def saving_fraction(self, policy: str) -> float:
        """What a policy saves."""
        return 1.0 - self.cost_fraction[policy]

    def spot_cost_fraction(self, policy: str) -> float:
        """What useful work on spot costs."""
        return self.spot_hours[policy] * self.spot_price_ratio / self.work_hours

    def on_demand_cost_fraction(self, policy: str) -> float:
        """What useful work on demand costs."""
        return self.on_demand_hours[policy] / self.work_hours


def gap_closed_fraction(found: Sequence[SpotOutcome], policy: str) -> float | None:
    """How far from greedy to the optimum a policy goes, on the means of the series; None where there is no gap."""
    known = [row for row in found if row.optimum_fraction is not None]
    greedy = sum(row.cost_fraction["greedy"] for row in known)
    gap = greedy - sum(row.optimum_fraction or 0.0 for row in known)
    return (greedy - sum(row.cost_fraction[policy] for row in known)) / gap if gap > 0 else None


def replay(
    availability: pl.DataFrame,
    *,
    work_hours: float,
    deadline_hours: float,
    changeover_hours: float,
    spot_price_ratio: float,
    starts: int,
    seed: int,
    need: float = 1.0,
    progress: Callable[[str], None] | None = None,
) -> list[SpotOutcome]:
    """One outcome for every series that is long enough. `need` is how many instances the work takes at once.

    A series has a step, the median time between measurements; starts whose time has a gap in it are not drawn.

    BadInput when no series is as long as the deadline, or when on demand could not meet it.
    """
    if deadline_hours < work_hours + changeover_hours - 1e-9:
        message = f"{work_hours:g} hours of work and a changeover do not fit into {deadline_hours:g} hours"
        raise BadInput([Problem("--deadline", 0, 0, "option.range", "", message)])
    out = []
    for (name,), rows in availability.group_by("series", maintain_order=True):
        at = rows["at_seconds"].to_numpy() / 3600
        step = float(np.median(np.diff(at))) if len(at) > 1 else 0.0
        steps = int(np.floor(deadline_hours / step + 1e-9)) if step > 0 else 0
        # A step may be so long that the last whole one ends too early for the work.
        if steps == 0 or len(at) <= steps or steps * step < work_hours + changeover_hours - 1e-9:
            continue
        if progress is not None:
            progress(str(name))
        spot = (rows["accelerators"].to_numpy() >= need).astype(np.bool_)
        # What was not measured is not known: no start whose time has a gap in it.
        first = np.flatnonzero(at[steps:] - at[:-steps] <= (steps + 0.5) * step)
        if not len(first):
            continue
        draw = rng(seed, "simulate", "spot", str(name))
        windows = [spot[b : b + steps] for b in first[draw.integers(0, len(first), size=starts)].tolist()]
        runs: dict[str, list[Ran]] = {
            policy: [
                run(number, window, step, work_hours, deadline_hours, changeover_hours, spot_price_ratio)
                for window in windows
            ]
            for policy, number in POLICIES.items()
        }
        least = [
            optimum(
                window,
                step_seconds=round(step * 3600),
                work_seconds=round(work_hours * 3600),
                deadline_seconds=round(deadline_hours * 3600),
                changeover_seconds=round(changeover_hours * 3600),
                price=spot_price_ratio,
            )
            for window in windows
        ]
        known = [hours for hours in least if hours is not None]
        free = np.array([window.sum() * step for window in windows])
        on_spot = np.minimum(free, work_hours)
        bound = float(np.mean(on_spot * spot_price_ratio + work_hours - on_spot)) / work_hours
        out.append(
            SpotOutcome(
                series=str(name),
                starts=starts,
                available_fraction=float(np.mean([window.mean() for window in windows])),
                cost_fraction={p: float(np.mean([r.cost for r in mine])) / work_hours for p, mine in runs.items()},
                optimum_fraction=float(np.mean(known)) / work_hours if len(known) == len(least) else None,
                bound_fraction=bound,
                missed={p: sum(not r.met for r in mine) for p, mine in runs.items()},
                preemptions={p: float(np.mean([r.taken for r in mine])) for p, mine in runs.items()},
                changeovers={p: float(np.mean([r.changes for r in mine])) for p, mine in runs.items()},
                spot_hours={p: float(np.mean([r.spot_hours for r in mine])) for p, mine in runs.items()},
                on_demand_hours={p: float(np.mean([r.on_demand_hours for r in mine])) for p, mine in runs.items()},
                work_hours=work_hours,
                spot_price_ratio=spot_price_ratio,
            )
        )
    if not out:
        message = f"no series was measured without a gap for longer than the deadline of {deadline_hours:g} hours"
        raise BadInput([Problem("--deadline", 0, 0, "trace.short", "", message)])
    return out

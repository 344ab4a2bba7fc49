"""Work with a deadline on recorded spot capacity: what does it cost beside running on demand all the time?

For many starts within each series the policies of `place.deadlines` are replayed. `bound` is what somebody who knew the
whole series and paid no changeover would pay, so that no policy can be below it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from argosy.clock import rng
from argosy.errors import BadInput, Problem
from argosy.place.deadlines import EXPECTED, GREEDY, UNIFORM, run

POLICIES = {"greedy": GREEDY, "uniform_progress": UNIFORM, "expected_progress": EXPECTED}


@dataclass(frozen=True, slots=True)
class SpotOutcome:
    """Means over the starts of one series; costs as a share of running on demand all the time."""

    series: str
    starts: int
    available_fraction: float
    cost_fraction: dict[str, float]
    bound_fraction: float
    missed: dict[str, int]
    preemptions: dict[str, float]

    def saving_fraction(self, policy: str) -> float:
        """What a policy saves."""
        return 1.0 - self.cost_fraction[policy]


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
) -> list[SpotOutcome]:
    """One outcome for every series that is long enough. `need` is how many instances the work takes at once.

    BadInput when no series is as long as the deadline.
    """
    out = []
    for (name,), rows in availability.group_by("series", maintain_order=True):
        at = rows["at_seconds"].to_numpy() / 3600
        step = float(np.median(np.diff(at))) if len(at) > 1 else 0.0
        steps = int(np.floor(deadline_hours / step + 1e-9)) if step > 0 else 0
        if steps == 0 or len(at) <= steps:
            continue
        spot = (rows["accelerators"].to_numpy() >= need).astype(np.bool_)
        draw = rng(seed, "simulate", "spot", str(name))
        begins = draw.integers(0, len(at) - steps, size=starts)
        cost: dict[str, float] = {}
        missed: dict[str, int] = {}
        taken: dict[str, float] = {}
        for policy, number in POLICIES.items():
            runs = [
                run(number, spot[b : b + steps], step, work_hours, deadline_hours, changeover_hours, spot_price_ratio)
                for b in begins.tolist()
            ]
            cost[policy] = float(np.mean([run[0] for run in runs])) / work_hours
            missed[policy] = sum(not run[1] for run in runs)
            taken[policy] = float(np.mean([run[2] for run in runs]))
        free = np.array([spot[b : b + steps].sum() * step for b in begins.tolist()])
        on_spot = np.minimum(free, work_hours)
        bound = float(np.mean(on_spot * spot_price_ratio + work_hours - on_spot)) / work_hours
        share = float(np.mean([spot[b : b + steps].mean() for b in begins.tolist()]))
        out.append(SpotOutcome(str(name), starts, share, cost, bound, missed, taken))
    if not out:
        message = f"no series is longer than the deadline of {deadline_hours:g} hours"
        raise BadInput([Problem("", 0, 0, "trace.short", "deadline_hours", message)])
    return out

"""Fairness: how fast asks got on beside how fast they could have, and how well rounds kept the shares they were given.

M15  The pace of an ask is the hours its work would have taken alone in its fastest pool, over the hours it was there,
     for what had ended or had been there for a turn. Jain's index of n paces is (sum)^2 / (n x sum of squares): 1 when
     all got on alike, 1/n when one alone did. It asks nothing of the objective, so that objectives compare.
M16  Under a fair objective: what the shares gave an ask (P4.11), what it did, and the most hours that it was owed at
     any round. Rounds keep the shares when that is small beside the time it was there.
Reads a simulation that has been run; decides nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from argosy.control.protocols import Want
from argosy.control.turns import Account
from argosy.place.check_limits import may_run
from argosy.place.turn import TURN_HOURS
from argosy.simulate.capacity import Floats
from argosy.simulate.run import Simulation


@dataclass(frozen=True, slots=True)
class Paced:
    """One ask that counts (M15)."""

    ask: str
    workload: str
    alone_hours: float
    """What its work so far would have taken alone in its fastest pool."""
    there_hours: float
    """From its arrival to its end, or to now."""

    @property
    def pace_fraction(self) -> float:
        """M15."""
        return self.alone_hours / self.there_hours


@dataclass(frozen=True, slots=True)
class WorkloadPace:
    """One workload, or all of them. Hours and units are sums over its asks."""

    workload: str
    asks: int
    """That count."""
    alone_hours: float
    there_hours: float
    pace_fraction: float | None
    """Of the sums; None where no ask counts."""
    least_pace_fraction: float | None
    jain_index: float | None
    fair_units: float | None
    """M16, over all asks; None where the objective gives no shares."""
    attained_units: float | None
    """Work done by the same asks up to their last round."""
    most_owed_hours: float | None
    """The largest of any ask."""


@dataclass(frozen=True, slots=True)
class Fairness:
    """M15 and M16."""

    every: WorkloadPace
    workloads: tuple[WorkloadPace, ...]
    instead: int | None
    """Times that `max_min` gave the shares instead (P4.11); None where the objective gives none."""
    paces: Floats
    """(asks that count,) sorted."""


def fairness(simulation: Simulation, capacity_accelerators: Floats) -> Fairness:
    """Of a simulation that has been run; capacity is (pools, hours)."""
    rows = paces(simulation, capacity_accelerators)
    lives = simulation.turns
    named = [w.id for w in simulation.setup.portfolio.workloads]
    of = simulation.work.workload_of
    asking = {of[want.ask.id] for want in simulation.work.wants}
    kept = [(of[name], account) for life in lives for name, account in life.accounts.items()]
    every = _row("", rows, [account for _, account in kept] if lives else None)
    each = tuple(
        _row(
            workload,
            [row for row in rows if row.workload == workload],
            [account for whose, account in kept if whose == workload] if lives else None,
        )
        for workload in named
        if workload in asking
    )
    instead = sum(life.instead for life in lives) if lives else None
    return Fairness(every, each, instead, np.array(sorted(row.pace_fraction for row in rows)))


def paces(simulation: Simulation, capacity_accelerators: Floats) -> list[Paced]:
    """M15: every ask that counts. What could not have run anywhere does not."""
    out, now = [], simulation.clock.hours
    most = {pool: float(capacity_accelerators[p].max(initial=0.0)) for pool, p in simulation.meter.pools.items()}
    known: dict[tuple[int, str | None, float], float] = {}
    for want in simulation.work.wants:
        end = simulation.counts.done_hours.get(want.ask.id)
        there = (now if end is None else end) - want.arrived_hours
        if there <= 0 or (end is None and there < TURN_HOURS):
            continue
        # Asks are copies of a few templates, which share their tables of speeds.
        key = (id(want.ask.speed), want.ask.home, want.ask.accelerators)
        if key not in known:
            known[key] = _fastest(simulation, want, most)
        units = want.ask.remaining_units or 0.0
        done = units if end is not None else min(units, simulation.progress_units(want.ask.id))
        if known[key] > 0:
            out.append(Paced(want.ask.id, simulation.work.workload_of[want.ask.id], done / known[key], there))
    return out


def jain_index(values: Sequence[float]) -> float | None:
    """(sum)^2 / (n x sum of squares); None of nothing, 1 where all are 0."""
    if not values:
        return None
    array = np.array(values)
    squares = float((array**2).sum())
    return 1.0 if squares == 0 else float(array.sum() ** 2 / (len(array) * squares))


def _fastest(simulation: Simulation, want: Want, most: dict[str, float]) -> float:
    """Work per hour in the fastest pool that could ever hold the ask and that nothing forbids."""
    ground, frame = simulation.ground, simulation.capacity.frames[0]
    best = 0.0
    for name, pool in ground.pools.items():
        fits = want.ask.accelerators <= most.get(name, 0.0) + 1e-9
        if fits and may_run(frame, want.ask, pool, ground.regions[pool.region]):
            best = max(best, ground.speed(want.ask, name))
    return best


def _row(workload: str, rows: Sequence[Paced], accounts: Sequence[Account] | None) -> WorkloadPace:
    alone, there = sum(row.alone_hours for row in rows), sum(row.there_hours for row in rows)
    each = [row.pace_fraction for row in rows]
    return WorkloadPace(
        workload=workload,
        asks=len(rows),
        alone_hours=alone,
        there_hours=there,
        pace_fraction=alone / there if rows else None,
        least_pace_fraction=min(each, default=None),
        jain_index=jain_index(each),
        fair_units=None if accounts is None else sum(account.fair_units for account in accounts),
        attained_units=None if accounts is None else sum(account.attained_units for account in accounts),
        most_owed_hours=None if accounts is None else max((a.most_owed_hours for a in accounts), default=0.0),
    )

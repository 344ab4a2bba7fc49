"""A queue of asks with work to do on chips of different speed: how long does each objective keep them waiting?

The method is that of Gavel (OSDI'20): time runs in rounds; when asks arrive or end, `place` decides what share of time
each ask gets on each chip (`simulate.shares`); rounds turn shares into whole accelerators. An ask that ends within a
round ends at that instant, its accelerators wait for the next. Repeatable bit for bit: nothing here is left to chance.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import polars as pl

from argosy.errors import BadInput, Problem
from argosy.place.check_rounds import least_makespan
from argosy.place.rounds import (
    NOWHERE,
    Floats,
    Ints,
    by_completion,
    by_share,
    completion_worth,
    fill,
    pair_up,
    run_the_rest,
)
from argosy.settings import Settings
from argosy.simulate.shares import AGNOSTIC, BY_CLASS, FAIR, agnostic_shares, by_records, fair_shares, longest_shares
from argosy.simulate.turns import Turns

COMPLETION: Final = "completion"
FIRST_COME: Final = "first_come"
QUEUE_OBJECTIVES: Final = (*FAIR, AGNOSTIC, COMPLETION, FIRST_COME)
SHARING: Final = ("max_min", "makespan", COMPLETION)
"""Objectives that can let two asks share a chip."""

Progress = Callable[[float, int, int], None]
"""Hours simulated, asks done, asks in all."""


def unwatched(hours: float, done: int, total: int) -> None:
    """Progress that nobody watches."""


@dataclass(frozen=True, slots=True)
class Queued:
    """The outcome, by ask in order of arrival."""

    objective: str
    arrival_hours: Floats
    start_hours: Floats
    """First useful work; NaN when it never ran."""
    end_hours: Floats
    """NaN for asks that had not ended when the simulation stopped."""
    accelerators: Ints
    chips: tuple[str, ...]
    used: list[tuple[float, tuple[int, ...], int]] = field(default_factory=list)
    """For every round: hours, accelerators in use by chip, asks waiting."""
    decisions: int = 0
    """Times that a placement was made."""
    capacity: int = 0
    """Accelerators of the fleet."""
    left_out: Mapping[str, int] = field(default_factory=dict)
    """Asks of work without a measured speed, which were not simulated."""
    least_makespan_hours: float | None = None
    """What no order of the asks could end before; None where two may share a chip, for which it does not hold."""

    @property
    def average_completion_hours(self) -> float:
        """Mean of end less arrival, over the asks that ended."""
        return float(np.nanmean(self.end_hours - self.arrival_hours))

    @property
    def average_wait_hours(self) -> float:
        """Mean time from arrival to the first useful work."""
        return float(np.nanmean(self.start_hours - self.arrival_hours))

    @property
    def used_fraction(self) -> float:
        """Share of the accelerators in use, over all rounds in which anything ran or waited."""
        return sum(sum(chips) for _, chips, _ in self.used) / max(1, len(self.used) * self.capacity)

    @property
    def makespan_hours(self) -> float:
        """When the last one ended."""
        return float(np.nanmax(self.end_hours))


class Queue:
    """The simulation."""

    def __init__(
        self,
        capacity: Mapping[str, int],
        asks: pl.DataFrame,
        speeds: pl.DataFrame,
        *,
        objective: str,
        round_seconds: float = 360.0,
        hold_seconds: float = 0.0,
        shared: pl.DataFrame | None = None,
        settings: Settings | None = None,
    ) -> None:
        """`hold_seconds`: shares are not decided anew sooner than that; who arrives meanwhile takes what is idle.

        `shared` are measured speeds of pairs; with them two asks share a chip, under the objectives SHARING alone.
        """
        assert shared is None or objective in SHARING, "others would leave pairs unused without a word"
        self.chips = tuple(chip for chip, count in capacity.items() if count > 0)
        self.capacity = np.array([capacity[chip] for chip in self.chips], dtype=np.int64)
        self.objective, self.round, self.hold = objective, round_seconds / 3600, hold_seconds / 3600
        self.settings = settings or Settings()
        self.arrival = _column(asks, "arrival_seconds") / 3600
        self.steps = _column(asks, "steps")
        self.size = asks["accelerators"].to_numpy().astype(np.int64)
        self.kind, self.kinds, self.rate = self._rates(asks, speeds)
        # Work that was measured on no chip with room for it is left out and counted: its speed is unknown, not zero.
        known = np.asarray((self.rate > 0).any(axis=1))[self.kind]
        self.left_out = {
            f"{work} on {size}": int((self.kind == k).sum())
            for k, (work, size) in enumerate(self.kinds)
            if not (self.rate[k] > 0).any()
        }
        if not known.any():
            message = f"no chip of the fleet has a measured speed and room for {', '.join(list(self.left_out)[:5])}"
            raise BadInput([Problem("", 0, 0, "trace.throughput", "work", message)])
        self.arrival, self.steps, self.size = self.arrival[known], self.steps[known], self.size[known]
        self.kind = self.kind[known]
        self.kind_size = np.array([size for _, size in self.kinds], dtype=np.int64)
        self.beside = None if shared is None else self._beside(shared)
        self.attained = np.zeros(len(self.arrival))
        self.apart = np.zeros(len(self.arrival), dtype=np.bool_)
        """Asks that were classes of their own when shares were last decided (P6.7)."""
        self.price = np.zeros(len(self.chips))
        self.decisions = 0

    def run(self, *, measured: slice | None = None, progress: Progress = unwatched) -> Queued:
        """Simulate until all asks (of the measured ones) have ended."""
        count = len(self.arrival)
        left = self.steps.copy()
        start, end = np.full(count, np.nan), np.full(count, np.nan)
        watched = np.zeros(count, dtype=np.bool_)
        watched[measured or slice(None)] = True
        remaining = int(watched.sum())
        active = np.zeros(0, dtype=np.int64)
        turns = Turns(len(self.chips))
        used: list[tuple[float, tuple[int, ...], int]] = []
        now, next_one, decided, stale = 0.0, 0, -np.inf, False
        while remaining:
            if not len(active):
                now = max(now, float(np.ceil(self.arrival[next_one] / self.round - 1e-9)) * self.round)
            joined = int(np.searchsorted(self.arrival, now, side="right"))
            if joined > next_one:
                active = np.concatenate([active, np.arange(next_one, joined)])
                turns.join(joined - next_one)
                next_one, stale = joined, True
            if stale and now - decided >= self.hold - 1e-9:
                self._decide(turns, active, left, now)
                decided, stale = now, False
            chosen, host = self._choose(active, turns, left)
            runs = np.flatnonzero(chosen != NOWHERE)
            rows = active[runs]
            speed = self._speed(active, chosen, host)[runs]
            took = np.minimum(self.round, left[rows] / speed)
            start[rows] = np.where(np.isnan(start[rows]), now, start[rows])
            left[rows] -= speed * took
            self.attained[rows] += took * self.size[rows]
            turns.ran(runs, chosen[runs])
            own = np.where(host[runs] == NOWHERE, self.size[rows], 0)
            in_use = np.bincount(chosen[runs], weights=own, minlength=len(self.chips)).astype(int)
            used.append((now, tuple(in_use.tolist()), len(active) - len(runs)))
            done = left[rows] <= 1e-9 * self.steps[rows]
            if done.any():
                end[rows[done]] = now + took[done]
                remaining -= int(watched[rows[done]].sum())
                keep = np.ones(len(active), dtype=np.bool_)
                keep[runs[done]] = False
                active, stale = active[keep], True
                turns.keep(keep)
                progress(now, int((~np.isnan(end)).sum()), count)
            now += self.round
        ended = np.where(watched, end, np.nan)
        return Queued(
            objective=self.objective,
            arrival_hours=self.arrival,
            start_hours=start,
            end_hours=ended,
            accelerators=self.size,
            chips=self.chips,
            used=used,
            decisions=self.decisions,
            capacity=int(self.capacity.sum()),
            left_out=self.left_out,
            least_makespan_hours=None if self.beside is not None else self._least_makespan(),
        )

    @property
    def _longest(self) -> bool:
        """Whether classes hold asks with more and less left (P6.7)."""
        return self.objective == "makespan" and self.beside is not None

    def _least_makespan(self) -> float:
        with np.errstate(divide="ignore"):
            hours = self.steps[:, None] / self.rate[self.kind]
        return least_makespan(self.arrival, hours, self.size, self.capacity)

    def _rates(self, asks: pl.DataFrame, speeds: pl.DataFrame) -> tuple[Ints, list[tuple[str, int]], Floats]:
        """Kind of every ask, the kinds, and (kinds, chips) steps per hour; 0 where unmeasured or without room."""
        known = {
            (row["work"], row["accelerators"], row["silicon"]): row["steps_per_second"]
            for row in speeds.iter_rows(named=True)
        }
        pairs = list(zip(asks["work"].to_list(), asks["accelerators"].to_list(), strict=True))
        kinds = sorted(set(pairs), key=str)
        rate = np.array([[known.get((work, size, chip), 0.0) * 3600 for chip in self.chips] for work, size in kinds])
        fits = np.array([[size <= room for room in self.capacity] for _, size in kinds])
        rate = np.where(fits, rate, 0.0)
        place = {kind: k for k, kind in enumerate(kinds)}
        return np.array([place[pair] for pair in pairs], dtype=np.int64), kinds, rate

    def _beside(self, shared: pl.DataFrame) -> Floats:
        """(kinds, kinds, chips) steps per hour of the first beside the second; 0 where it was never measured."""
        at = {kind: k for k, kind in enumerate(self.kinds)}
        chip_at = {chip: p for p, chip in enumerate(self.chips)}
        out = np.zeros((len(self.kinds), len(self.kinds), len(self.chips)))
        columns = ("silicon", "work", "beside", "accelerators", "steps_per_second")
        for chip, work, beside, size, speed in shared.select(columns).iter_rows():
            one, other = at.get((work, size)), at.get((beside, size))
            if one is not None and other is not None and chip in chip_at:
                out[one, other, chip_at[chip]] = speed * 3600
        return out

    def _speed(self, active: Ints, chosen: Ints, host: Ints) -> Floats:
        """(active,) steps per hour of what runs: alone, or beside its host or guest."""
        kind, chip = self.kind[active], np.maximum(chosen, 0)
        speed = self.rate[kind, chip].copy()
        guests = np.flatnonzero(host != NOWHERE)
        if len(guests):
            assert self.beside is not None
            hosts = host[guests]
            speed[guests] = self.beside[kind[guests], kind[hosts], chip[guests]]
            speed[hosts] = self.beside[kind[hosts], kind[guests], chip[guests]]
        return speed

    def _decide(self, turns: Turns, active: Ints, left: Floats, now: float) -> None:
        """Shares of time from here on."""
        if self.objective not in (*FAIR, AGNOSTIC) or not len(active):
            return
        self.decisions += 1
        kind = self.kind[active]
        if self.objective not in BY_CLASS:
            facts = (self.steps[active], left[active], self.attained[active], now - self.arrival[active])
            turns.share = by_records(
                self.objective, kind, self.kinds, self.rate, self.chips, self.capacity, *facts, self.settings
            )
            turns.received, turns.age = np.zeros_like(turns.share), np.zeros(len(active))
        elif self.objective == AGNOSTIC:
            turns.begin(agnostic_shares(kind, self.rate, self.kind_size, self.capacity))
        elif self._longest:
            assert self.beside is not None
            apart = self.apart[active]
            turns.begin(
                longest_shares(kind, active, self.rate, self.beside, self.kind_size, self.capacity, left[active], apart)
            )
            self.apart[active] = apart
        else:
            goal = None if self.objective == "max_min" else left[active]
            turns.begin(fair_shares(kind, active, self.rate, self.beside, self.kind_size, self.capacity, goal))

    def _choose(self, active: Ints, turns: Turns, left: Floats) -> tuple[Ints, Ints]:
        """Chip of each active ask, and the ask that it shares with as a guest."""
        alone = np.full(len(active), NOWHERE)
        size = self.size[active]
        if self.objective == COMPLETION:
            return self._completion(active, left)
        rate = self.rate[self.kind[active]]
        if self.objective == FIRST_COME:
            fast = np.argsort(-rate, axis=1, kind="stable")
            possible = np.take_along_axis(rate, fast, axis=1).ravel() > 0
            order = (np.arange(len(active))[:, None] * len(self.chips) + fast).ravel()[possible]
            return np.asarray(fill(order, len(self.chips), size, self.capacity)), alone
        if turns.shares is None:
            times = turns.received / np.maximum(turns.age, 1.0)[:, None]
            chosen, host = by_share(turns.share, times, size, self.capacity), alone
        else:
            chosen, host = turns.seats(self.capacity, left[active] if self._longest else None)
        blind = self.objective == AGNOSTIC
        return run_the_rest(chosen, host, (rate > 0).astype(float) if blind else rate, size, self.capacity), host

    def _completion(self, active: Ints, left: Floats) -> tuple[Ints, Ints]:
        self.decisions += 1
        kind, size = self.kind[active], self.size[active]
        with np.errstate(divide="ignore"):
            hours = left[active, None] / self.rate[kind]
        chosen = by_completion(hours, size, self.capacity, self.price)
        host = np.full(len(active), NOWHERE)
        if self.beside is None:
            return chosen, host
        worth = completion_worth(hours, size)
        # Beside another an ask is worth what its speed is of its speed alone.
        alone = np.where(self.rate[kind] > 0, self.rate[kind], np.inf)
        together = self.beside[kind[:, None], kind[None, :]] / alone[:, None, :] * worth[:, None, :]
        chosen, host = pair_up(chosen, worth, together, size)
        # Guests have left accelerators of their own: the next asks in line take them.
        used = np.bincount(
            chosen[(chosen != NOWHERE) & (host == NOWHERE)],
            weights=size[(chosen != NOWHERE) & (host == NOWHERE)],
            minlength=len(self.chips),
        )
        waiting = np.flatnonzero(chosen == NOWHERE)
        if len(waiting) and (used < self.capacity).any():
            spare = (self.capacity - used).astype(np.int64)
            chosen[waiting] = by_completion(hours[waiting], size[waiting], spare, np.zeros(len(self.chips)))
        return chosen, host


def _column(asks: pl.DataFrame, name: str) -> Floats:
    """A column that this simulation needs; BadInput when the trace does not have it."""
    if asks[name].null_count():
        message = f"this trace says nothing about {name}, which a queue needs"
        raise BadInput([Problem("", 0, 0, "trace.part", name, message)])
    return asks[name].to_numpy().astype(float)

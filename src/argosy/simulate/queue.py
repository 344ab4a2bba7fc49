"""A queue of asks with work to do on chips of different speed: how long does each objective keep them waiting?

The method is that of Gavel (OSDI'20): time runs in rounds; when asks arrive or end, `place` decides what share of time
each kind of work gets on each chip; rounds turn shares into whole accelerators. An ask that ends within a round ends at
that instant, its accelerators wait for the next. Repeatable bit for bit: nothing here is left to chance.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import polars as pl

from argosy.errors import BadInput, Problem
from argosy.model.region import Region
from argosy.model.snapshot import OBJECTIVES, Objective, PlaceAsk, PoolState, Snapshot
from argosy.place.rounds import NOWHERE, Floats, Ints, by_completion, by_share, completion_worth, fill, pair_up
from argosy.place.solve import solve
from argosy.place.world import reduce
from argosy.settings import Settings

COMPLETION: Final = "completion"
FIRST_COME: Final = "first_come"
FAIR: Final = tuple(name for name in OBJECTIVES if name not in ("value", "cost"))
QUEUE_OBJECTIVES: Final = (*FAIR, COMPLETION, FIRST_COME)
_REGION = Region(id="here/here", vendor="here", jurisdiction="US")

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
        shared: pl.DataFrame | None = None,
        settings: Settings | None = None,
    ) -> None:
        """`shared` are measured speeds of pairs; with them the objective `completion` lets two asks share a chip."""
        self.chips = tuple(chip for chip, count in capacity.items() if count > 0)
        self.capacity = np.array([capacity[chip] for chip in self.chips], dtype=np.int64)
        self.objective, self.round = objective, round_seconds / 3600
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
        self.beside = None if shared is None else self._beside(shared)
        self.attained = np.zeros(len(self.arrival))
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
        share = received = np.zeros((0, len(self.chips)))
        age = np.zeros(0)
        used: list[tuple[float, tuple[int, ...], int]] = []
        now, next_one = 0.0, 0
        while remaining:
            if not len(active):
                now = max(now, float(np.ceil(self.arrival[next_one] / self.round - 1e-9)) * self.round)
            joined = int(np.searchsorted(self.arrival, now, side="right"))
            changed = joined > next_one
            if changed:
                new = np.arange(next_one, joined)
                active = np.concatenate([active, new])
                received = np.concatenate([received, np.zeros((len(new), len(self.chips)))])
                age = np.concatenate([age, np.zeros(len(new))])
                next_one = joined
            if changed or len(share) != len(active):
                share = self._share(active, left, now)
                # Shares have changed: what was received counts from here, as in Gavel's mechanism.
                received, age = np.zeros_like(share), np.zeros(len(active))
            chosen, host = self._choose(active, share, received, age, left)
            runs = np.flatnonzero(chosen != NOWHERE)
            rows = active[runs]
            speed = self._speed(active, chosen, host)[runs]
            took = np.minimum(self.round, left[rows] / speed)
            start[rows] = np.where(np.isnan(start[rows]), now, start[rows])
            left[rows] -= speed * took
            self.attained[rows] += took * self.size[rows]
            received[runs, chosen[runs]] += 1
            age += 1
            own = np.where(host[runs] == NOWHERE, self.size[rows], 0)
            in_use = np.bincount(chosen[runs], weights=own, minlength=len(self.chips)).astype(int)
            used.append((now, tuple(in_use.tolist()), len(active) - len(runs)))
            done = left[rows] <= 1e-9 * self.steps[rows]
            if done.any():
                end[rows[done]] = now + took[done]
                remaining -= int(watched[rows[done]].sum())
                keep = np.ones(len(active), dtype=np.bool_)
                keep[runs[done]] = False
                active, received, age = active[keep], received[keep], age[keep]
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
        )

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
        at = {work: k for k, (work, size) in enumerate(self.kinds) if size == 1}
        chip_at = {chip: p for p, chip in enumerate(self.chips)}
        out = np.zeros((len(self.kinds), len(self.kinds), len(self.chips)))
        for chip, work, beside, speed in shared.select("silicon", "work", "beside", "steps_per_second").iter_rows():
            if work in at and beside in at and chip in chip_at:
                out[at[work], at[beside], chip_at[chip]] = speed * 3600
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

    def _choose(self, active: Ints, share: Floats, received: Floats, age: Floats, left: Floats) -> tuple[Ints, Ints]:
        """Chip of each active ask, and the ask that it shares with as a guest."""
        alone = np.full(len(active), NOWHERE)
        if self.objective == COMPLETION:
            return self._completion(active, left)
        if self.objective == FIRST_COME:
            rate = self.rate[self.kind[active]]
            fast = np.argsort(-rate, axis=1, kind="stable")
            possible = np.take_along_axis(rate, fast, axis=1).ravel() > 0
            order = (np.arange(len(active))[:, None] * len(self.chips) + fast).ravel()[possible]
            return np.asarray(fill(order, len(self.chips), self.size[active], self.capacity)), alone
        times = received / np.maximum(age, 1.0)[:, None]
        return by_share(share, times, self.size[active], self.capacity), alone

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

    def _share(self, active: Ints, left: Floats, now: float) -> Floats:
        """(active, P) target share of time, from the same placement that runs live."""
        if self.objective not in FAIR or not len(active):
            return np.zeros((len(active), len(self.chips)))
        self.decisions += 1
        objective: Objective = next(name for name in OBJECTIVES if name == self.objective)
        if objective == "max_min":
            kinds, at = np.unique(self.kind[active], return_inverse=True)
            counts = np.bincount(at)
            asks = tuple(
                self._ask(int(k), float(n), f"k{i}") for i, (k, n) in enumerate(zip(kinds, counts, strict=True))
            )
            given = self._solve(asks, objective)
            return np.asarray((given / counts[:, None])[at])
        asks = tuple(
            self._ask(
                int(self.kind[j]),
                1.0,
                f"a{i}",
                remaining_units=float(left[j] / self.steps[j]),
                attained_units=float(1 - left[j] / self.steps[j]) if objective != "least_attained_service" else 0.0,
                elapsed_hours=max(0.0, now - float(self.arrival[j])),
                weight=1.0 / (1.0 + float(self.attained[j])) if objective == "least_attained_service" else 1.0,
                own=float(self.steps[j]),
            )
            for i, j in enumerate(active.tolist())
        )
        return self._solve(asks, objective)

    def _ask(self, kind: int, count: float, name: str, own: float = 1.0, **more: float) -> PlaceAsk:
        """Work of one kind; `own` is the amount that counts as one unit."""
        size = self.kinds[kind][1]
        speed = {
            chip: float(self.rate[kind, p] / own / size) for p, chip in enumerate(self.chips) if self.rate[kind, p] > 0
        }
        whole = {"id": name, "count": count, "accelerators": float(size), "speed": speed, "families": ("any",)}
        return PlaceAsk.model_validate({**whole, "usd_per_unit": 1.0, **more})

    def _solve(self, asks: tuple[PlaceAsk, ...], objective: Objective) -> Floats:
        """(asks, P) shares; asks of one class share alike."""
        pools = tuple(
            PoolState(
                id=chip,
                region=_REGION.id,
                silicon=chip,
                family="any",
                own_accelerators=float(self.capacity[p]),
                usd_per_accelerator_hour=0.0,
            )
            for p, chip in enumerate(self.chips)
        )
        snapshot = Snapshot(price_source="contracts", regions=(_REGION,), pools=pools, asks=asks)
        world = reduce(snapshot, objective)
        share = solve(world, self.settings, 0.0).share
        out = np.zeros((len(asks), len(self.chips)))
        for c, members in enumerate(world.members):
            out[list(members)] = share[c] * np.array([asks[i].count for i in members])[:, None] / world.count[c]
        return out


def _column(asks: pl.DataFrame, name: str) -> Floats:
    """A column that this simulation needs; BadInput when the trace does not have it."""
    if asks[name].null_count():
        message = f"this trace says nothing about {name}, which a queue needs"
        raise BadInput([Problem("", 0, 0, "trace.part", name, message)])
    return asks[name].to_numpy().astype(float)

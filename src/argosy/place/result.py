"""Result: the solver's columns as a Placement: who runs where, what moves, what waits, and why.

P1.R  The runner-up of an assignment is the pool with the next best gain less scarcity price; what it would lose is the
      difference at the scarcity prices of this placement.
What does not run has excuses, which `excuses` finds.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from functools import cache
from importlib.metadata import version

import numpy as np

from argosy.model.decision import Excuse
from argosy.model.placement import (
    Assignment,
    Change,
    Draw,
    Eviction,
    LimitUse,
    Placement,
    PoolUse,
    SharedTime,
    Transfer,
    Unplaced,
)
from argosy.model.routes import farthest
from argosy.model.snapshot import PlaceAsk
from argosy.place.excuses import Reasons
from argosy.place.fair_result import fairness, worst
from argosy.place.seats import Seated
from argosy.place.solution import Solution
from argosy.place.waiting import slack_words

SMALL = 1e-7
SHOWN_NEWCOMERS = 3
SMALL_SHARE = 1e-6
"""A share of time below this is the solver's rounding."""


def placement(solution: Solution, note: str, asked_gap: float, seated: Seated | None = None) -> Placement:
    """The decision, before its recount (`worst_residual` is filled in by `main`)."""
    reader = _Reader(solution, seated)
    world = reader.world
    shared = reader.shared()
    fair = None if solution.proof is None else fairness(solution, reader.per_ask, shared)
    return Placement(
        status="optimal" if solution.gap <= asked_gap + 1e-12 else "feasible",
        objective=world.objective,
        objective_value=solution.objective_value if fair is None else worst(world.objective, fair),
        gap_fraction=solution.gap,
        classes=len(world.count),
        price_source=world.snapshot.price_source,
        price_note=note,
        inputs_hash=hashlib.sha256(world.snapshot.model_dump_json().encode()).hexdigest(),
        solver=_solver_name(),
        forced=solution.program.forced,
        solves=1 if seated is None else seated.solves,
        worst_residual=0.0,
        assignments=tuple(reader.assignments()),
        evictions=tuple(reader.evictions()),
        transfers=tuple(reader.transfers()),
        pools=tuple(reader.pools()),
        limits=tuple(reader.limits()),
        draws=tuple(reader.draws()),
        unplaced=tuple(reader.unplaced()),
        shared=shared,
        fairness=fair,
    )


@cache
def _solver_name() -> str:
    return f"HiGHS {version('highspy')}"  # read from the package's files, which takes longer than a small program


class _Reader:
    def __init__(self, solution: Solution, seated: Seated | None) -> None:
        self.seated = seated
        self.solution, self.world = solution, solution.program.world
        self.ids = [pool.id for pool in self.world.snapshot.pools]
        share = solution.share
        whole = np.array([self.world.ask(c).units_per_hour is None for c in range(len(share))], dtype=np.bool_)
        whole &= solution.proof.first if solution.proof is not None else self.world.integral
        share[whole] = np.round(share[whole])
        self.share = np.where(share > (SMALL if solution.proof is None else SMALL_SHARE), share, 0.0)
        self.pairs = solution.program.pairs
        self.together = np.where(solution.together > SMALL_SHARE, solution.together, 0.0)
        self.use = self.world.accelerators @ self.share
        np.add.at(self.use, self.pairs.pool, self.world.accelerators[self.pairs.first] * self.together)
        self.per_ask = self._spread()
        self.reasons = Reasons(solution, self.use, {} if seated is None else seated.words)

    def _spread(self) -> list[tuple[int, int, int, float]]:
        """(ask, class, pool, count): the class's shares dealt out to its asks, in their order or as parts of time."""
        out = []
        for c, members in enumerate(self.world.members):
            if not self.world.integral and not (self.solution.proof is not None and self.solution.proof.first[c]):
                of = {i: self.world.snapshot.asks[i].count / self.world.count[c] for i in members}
                shares = [(p, float(self.share[c, p])) for p in np.flatnonzero(self.share[c]).tolist()]
                out += [(i, c, p, amount * of[i]) for i in members for p, amount in shares]
                continue
            each = self.world.want[c] / self.world.count[c]
            left = {i: self.world.snapshot.asks[i].count * each for i in members}
            for p in np.flatnonzero(self.share[c]).tolist():
                amount, weigh = float(self.share[c, p]), float(self.world.weigh[c, p])
                for i in members:
                    taken = min(left[i] / weigh, amount)
                    if taken > SMALL:
                        out.append((i, c, p, taken))
                        left[i] -= taken * weigh
                        amount -= taken
        return out

    def _hourly(self, c: int, p: int) -> float:
        world = self.world
        pool = world.snapshot.pools[p]
        value = world.rate[c, p] * world.ask(c).usd_per_unit
        return float(value - pool.usd_per_accelerator_hour * world.accelerators[c])

    def _priced(self, c: int, p: int) -> float:
        """USD per hour that the limits which one ask takes from are worth to others."""
        hourly = self.world.gain[c, p] / self.world.snapshot.window_hours - self.solution.copy[c, p]
        return float(hourly - self.solution.net[c, p])

    def limits(self) -> list[LimitUse]:
        """All rows that bind several pools or classes together."""
        out = []
        for limit, dual in zip(self.solution.program.limits, self.solution.duals.tolist(), strict=True):
            used, most = limit.amounts(self.solution.columns)
            out.append(
                LimitUse(
                    rule=limit.rule, limit=limit.name, used=used, most=most, unit=limit.unit, dual_usd_per_unit=dual
                )
            )
        return out

    def assignments(self) -> list[Assignment]:
        """One row per ask and pool."""
        out = []
        deal = None if self.seated is None else self.seated.deal()
        seconds: dict[tuple[int, int], tuple[str | None, float | None, str | None]] = {}
        for i, c, p, count in self.per_ask:
            ask = self.world.snapshot.asks[i]
            change: Change = (
                "start" if ask.running_in is None else "stay" if ask.running_in == self.ids[p] else "migrate"
            )
            if (c, p) not in seconds:
                seconds[c, p] = self._second(c, p)
            other, loss, why_not = seconds[c, p]
            out.append(
                Assignment(
                    ask=ask.id,
                    pool=self.ids[p],
                    count=count,
                    accelerators=count * ask.accelerators,
                    change=change,
                    start_after_hours=float(self.world.delay[c, p]),
                    round_trip_milliseconds=self._far(ask, p),
                    max_round_trip_milliseconds=ask.latency.max_round_trip_milliseconds if ask.latency else None,
                    gain_usd_per_hour=count * self._hourly(c, p),
                    runner_up=other,
                    runner_up_loss_usd_per_hour=loss,
                    why_not=why_not,
                    seats=() if deal is None else deal.take(c, p, round(count)),
                    off_spot=self._off_spot(c),
                )
            )
        return out

    def _off_spot(self, c: int) -> str | None:
        """P5.14: the spot pool that would leave most slack and may not be used all the same, in words."""
        held = [(row, self.ids[p]) for (of, p), row in self.world.held.items() if of == c]
        if not held:
            return None
        row, name = max(held, key=lambda pair: pair[0].hours)
        return f"{name}: {slack_words(row)}"

    def _far(self, ask: PlaceAsk, p: int) -> float | None:
        """Milliseconds from the farthest users there and back, for an ask that says how near they must be (P1.U)."""
        if ask.latency is None:
            return None
        snapshot = self.world.snapshot
        regions = {region.id: region for region in snapshot.regions}
        users = [regions[name] for name in ask.latency.users or (str(ask.home),)]
        return farthest(snapshot.links, users, regions[snapshot.pools[p].region], ask.latency.quantile)[1]

    def _second(self, c: int, p: int) -> tuple[str | None, float | None, str | None]:
        """P1.R: the next best pool, what one ask would lose there, and why."""
        if self.solution.proof is not None and not self.solution.proof.first[c]:
            return None, None, None
        net = self.solution.net[c]
        second = np.where(self.world.upper[c] > SMALL, net, -np.inf)  # No pool that is too small for it.
        second[p] = -np.inf
        other = int(np.argmax(second))
        if not np.isfinite(second[other]):
            return None, None, None
        return self.ids[other], float(net[p] - net[other]), self._against(c, p, other)

    def _against(self, c: int, p: int, other: int) -> str:
        """The largest part of the difference between two pools, in words."""
        world, pools = self.world, self.world.snapshot.pools
        size = world.accelerators[c]
        price = (pools[other].usd_per_accelerator_hour - pools[p].usd_per_accelerator_hour) * size
        scarce = self._priced(c, other) - self._priced(c, p)
        work = float(world.rate[c, p] - world.rate[c, other]) * world.ask(c).usd_per_unit
        wait = float(world.delay[c, other] - world.delay[c, p])
        copy = float(self.solution.copy[c, other] - self.solution.copy[c, p])
        parts = {
            "copy": (copy, f"a copy of its data there would cost {copy * world.snapshot.window_hours:,.2f} USD first"),
            "price": (price, f"its accelerators cost {price:,.2f} USD per hour more"),
            "scarcity": (scarce, f"others want it more: {scarce:,.2f} USD per hour"),
            "work": (work, f"the work done there is worth {work:,.2f} USD per hour less"),
            "wait": (
                wait * max(self._hourly(c, p), 0.0) / world.snapshot.window_hours,
                f"it would start {wait:.1f} hours later",
            ),
        }
        worst = max(parts.values(), key=lambda part: part[0])
        return worst[1] if worst[0] > SMALL else "it is as good; the first of equal pools was taken"

    def _placed(self) -> dict[int, float]:
        """Asks that run, by position; parts of one where part of its work is done."""
        placed: dict[int, float] = defaultdict(float)
        for i, c, p, count in self.per_ask:
            placed[i] += count * float(self.world.weigh[c, p] * self.world.count[c] / self.world.want[c])
        for c, time in self._shared_time().items():
            for i in self.world.members[c]:
                placed[i] += time * self.world.snapshot.asks[i].count / float(self.world.count[c])
        return placed

    def _takes_turns(self, c: int) -> bool:
        """Whether the class has a share of time rather than a place."""
        return self.solution.proof is not None and not bool(self.solution.proof.first[c])

    def evictions(self) -> list[Eviction]:
        """Running asks that run nowhere now."""
        placed = self._placed()
        out = []
        for i, ask in enumerate(self.world.snapshot.asks):
            gone = ask.count - placed[i]
            if ask.running_in is not None and ask.units_per_hour is None and gone > SMALL:
                c = next(c for c, members in enumerate(self.world.members) if i in members)
                if self._takes_turns(c) and placed[i] > SMALL * ask.count:
                    continue
                p = int(self.world.running[c])
                obstacle = self.world.obstacle[c][p]
                if obstacle is None and self.solution.program.forced:
                    why = "a limit has fallen below what runs"
                elif obstacle is not None:
                    why = f"it may not stay: {obstacle}"
                elif self.use[p] + ask.accelerators > self.world.most[p] + SMALL:
                    why = self._outbid(p)
                else:
                    why = "what it does is worth less than the price of its accelerators"
                out.append(Eviction(ask=ask.id, pool=self.ids[p], count=gone, reason=why))
        return out

    def _outbid(self, p: int) -> str:
        """Who takes the accelerators of what is stopped in a pool, in words."""
        ids = [self.world.snapshot.asks[i].id for i, c, at, _ in self.per_ask if at == p != self.world.running[c]]
        names = ", ".join(ids[:SHOWN_NEWCOMERS]) + (
            f" and {len(ids) - SHOWN_NEWCOMERS} more" if len(ids) > SHOWN_NEWCOMERS else ""
        )
        return f"its accelerators do more for {names}" if ids else "its accelerators are gone"

    def shared(self) -> tuple[SharedTime, ...]:
        """P6.5: time beside others, by ask, kind beside it and pool."""
        turns: dict[tuple[int, int, str], tuple[float, float]] = {}
        for k in np.flatnonzero(self.together).tolist():
            c, d, p = int(self.pairs.first[k]), int(self.pairs.second[k]), int(self.pairs.pool[k])
            amount = float(self.together[k])
            for one, other, speed in ((c, d, self.pairs.speed[0][k]), (d, c, self.pairs.speed[1][k])):
                key = (one, p, str(self.world.ask(other).kind))
                turns[key] = (turns.get(key, (0.0, 0.0))[0] + amount, float(speed))
        return tuple(
            SharedTime(
                ask=self.world.snapshot.asks[i].id,
                beside=beside,
                pool=self.ids[p],
                count=amount * self.world.snapshot.asks[i].count / float(self.world.count[c]),
                speed_fraction=speed,
            )
            for (c, p, beside), (amount, speed) in sorted(turns.items())
            for i in self.world.members[c]
        )

    def transfers(self) -> list[Transfer]:
        """Ways that are ordered and have a reader."""
        world, out = self.world, []
        for w, way in enumerate(world.ways):
            readers = {world.snapshot.asks[i].id for i, c, p, _ in self.per_ask if w in world.needs[c][p]}
            for c, p in self._shared_at():
                if w in world.needs[c][p]:
                    readers |= {world.snapshot.asks[i].id for i in world.members[c]}
            if not readers:
                continue
            dataset = world.snapshot.datasets[way.dataset]
            out.append(
                Transfer(
                    dataset=dataset.id,
                    from_region=way.start,
                    to_region=way.region,
                    gib=dataset.size_gib,
                    usd=way.usd,
                    hours=way.hours,
                    slow_hours=way.slow_hours,
                    readers=tuple(sorted(readers)),
                )
            )
        return out

    def _shared_time(self) -> dict[int, float]:
        """Class to its time beside others, in asks."""
        time: dict[int, float] = defaultdict(float)
        for k in np.flatnonzero(self.together).tolist():
            time[int(self.pairs.first[k])] += float(self.together[k])
            time[int(self.pairs.second[k])] += float(self.together[k])
        return time

    def _shared_at(self) -> set[tuple[int, int]]:
        """(class, pool) where a class runs beside another."""
        used = np.flatnonzero(self.together)
        pool = self.pairs.pool[used].tolist()
        return {*zip(self.pairs.first[used].tolist(), pool, strict=True),
                *zip(self.pairs.second[used].tolist(), pool, strict=True)}  # fmt: skip

    def pools(self) -> list[PoolUse]:
        """All pools."""
        world = self.world
        return [
            PoolUse(
                pool=pool.id,
                capacity_accelerators=float(world.most[p]),
                used_accelerators=float(self.use[p]),
                usd_per_accelerator_hour=pool.usd_per_accelerator_hour,
                scarcity_usd_per_accelerator_hour=float(self.solution.scarcity[p]),
            )
            for p, pool in enumerate(world.snapshot.pools)
        ]

    def draws(self) -> list[Draw]:
        """What the pools take from supplies."""
        supplies = self.world.snapshot.supplies
        lines, pools = self.solution.program.tap
        return [
            Draw(supply=supplies[i].id, pool=self.ids[p], accelerators=float(amount))
            for i, p, amount in zip(lines.tolist(), pools.tolist(), self.solution.taps, strict=True)
            if amount > SMALL
        ]

    def unplaced(self) -> list[Unplaced]:
        """Asks that do not run, or not all of them. Who has a share of time does not wait."""
        placed = self._placed()
        out = []
        for c, members in enumerate(self.world.members):
            excuses: tuple[Excuse, ...] | None = None
            shared = self._takes_turns(c)
            for i in members:
                ask = self.world.snapshot.asks[i]
                left = ask.count - placed[i]
                waits = placed[i] <= SMALL * ask.count if shared else left > max(SMALL, 1e-6 * ask.count)
                if waits:
                    excuses = self.reasons.of(c) if excuses is None else excuses
                    out.append(Unplaced(ask=ask.id, count=left, excuses=excuses))
        return out

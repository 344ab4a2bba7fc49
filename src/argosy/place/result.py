"""Result: the solver's columns as a Placement: who runs where, what moves, what waits, and why.

P1.R  The runner-up of an assignment is the pool with the next best gain less scarcity price; what it would lose is the
      difference at the scarcity prices of this placement.
P1.X  An ask that does not run has an excuse for every pool's obstacle, grouped by rule, and for the pools it could use
      either the capacity that is short or the price that is above its value.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from importlib.metadata import version

import numpy as np

from argosy.model.decision import Excuse
from argosy.model.placement import Assignment, Change, Draw, Eviction, Placement, PoolUse, Transfer, Unplaced
from argosy.place.solve import Solution
from argosy.place.world import NONE, Floats

SMALL = 1e-7
_REMEDY = {
    "pool": "widen the pools that it may use",
    "silicon": "measure it there (speed), or add a pool with silicon it has been measured on",
    "family": "port it to that family",
    "residency": "widen the residency rule, or add capacity in an allowed region",
    "spot": "give it a spot_goodput_fraction",
    "link": "write p50_gbit_per_second of that link under links",
    "cordon": "uncordon the pool",
    "domain": "free a larger domain, or let the gang span domains",
    "goodput": "repair the pool, or use another",
    "deadline": "start earlier, ask for more accelerators, or move the deadline",
}
_NEAR = (
    *("P1.P", "price", "deadline", "link", "cordon", "domain"),
    *("spot", "goodput", "family", "silicon", "residency", "pool"),
)


def placement(solution: Solution, note: str, asked_gap: float) -> Placement:
    """The decision, before its recount (`worst_residual` is filled in by `main`)."""
    reader = _Reader(solution)
    world = reader.world
    return Placement(
        status="optimal" if solution.gap <= asked_gap + 1e-12 else "feasible",
        objective=world.objective,
        objective_value=solution.objective_value,
        gap_fraction=solution.gap,
        classes=len(world.count),
        price_source=world.snapshot.price_source,
        price_note=note,
        inputs_hash=hashlib.sha256(world.snapshot.model_dump_json().encode()).hexdigest(),
        solver=f"HiGHS {version('highspy')}",
        worst_residual=0.0,
        assignments=tuple(reader.assignments()),
        evictions=tuple(reader.evictions()),
        transfers=tuple(reader.transfers()),
        pools=tuple(reader.pools()),
        draws=tuple(reader.draws()),
        unplaced=tuple(reader.unplaced()),
    )


class _Reader:
    def __init__(self, solution: Solution) -> None:
        self.solution, self.world = solution, solution.program.world
        self.ids = [pool.id for pool in self.world.snapshot.pools]
        share = solution.share
        if self.world.integral:
            whole = np.array([self.world.ask(c).units_per_hour is None for c in range(len(share))], dtype=np.bool_)
            share[whole] = np.round(share[whole])
        self.share = np.where(share > SMALL, share, 0.0)
        self.use = self.world.accelerators @ self.share
        self.per_ask = self._spread()

    def _spread(self) -> list[tuple[int, int, int, float]]:
        """(ask, class, pool, count): the class's shares dealt out to its asks in their order."""
        out = []
        for c, members in enumerate(self.world.members):
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

    def _net(self, c: int) -> Floats:
        """(P,) gain per hour of one ask less the scarcity price of its accelerators; -inf where it may not run."""
        world = self.world
        net = world.gain[c] / world.snapshot.window_hours - self.solution.scarcity * world.accelerators[c]
        return np.asarray(np.where(world.rate[c] > 0, net, -np.inf))

    def assignments(self) -> list[Assignment]:
        """One row per ask and pool."""
        out = []
        for i, c, p, count in self.per_ask:
            ask = self.world.snapshot.asks[i]
            change: Change = (
                "start" if ask.running_in is None else "stay" if ask.running_in == self.ids[p] else "migrate"
            )
            net = self._net(c)
            second = net.copy()
            second[p] = -np.inf
            other = int(np.argmax(second)) if np.isfinite(second).any() else NONE
            out.append(
                Assignment(
                    ask=ask.id,
                    pool=self.ids[p],
                    count=count,
                    accelerators=count * ask.accelerators,
                    change=change,
                    start_after_hours=float(self.world.delay[c, p]),
                    gain_usd_per_hour=count * self._hourly(c, p),
                    runner_up=None if other == NONE else self.ids[other],
                    runner_up_loss_usd_per_hour=None if other == NONE else float(net[p] - net[other]),
                    why_not=None if other == NONE else self._against(c, p, other),
                )
            )
        return out

    def _against(self, c: int, p: int, other: int) -> str:
        """The largest part of the difference between two pools, in words."""
        world, pools = self.world, self.world.snapshot.pools
        size = world.accelerators[c]
        price = (pools[other].usd_per_accelerator_hour - pools[p].usd_per_accelerator_hour) * size
        scarce = float(self.solution.scarcity[other] - self.solution.scarcity[p]) * size
        work = float(world.rate[c, p] - world.rate[c, other]) * world.ask(c).usd_per_unit
        wait = float(world.delay[c, other] - world.delay[c, p])
        parts = {
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
        return placed

    def evictions(self) -> list[Eviction]:
        """Running asks that run nowhere now."""
        placed = self._placed()
        out = []
        for i, ask in enumerate(self.world.snapshot.asks):
            gone = ask.count - placed[i]
            if ask.running_in is not None and ask.units_per_hour is None and gone > SMALL:
                c = next(c for c, members in enumerate(self.world.members) if i in members)
                p = int(self.world.running[c])
                obstacle = self.world.obstacle[c][p]
                if obstacle is not None:
                    why = f"it may not stay: {obstacle}"
                elif self.use[p] + ask.accelerators > self.world.most[p] + SMALL:
                    why = "its accelerators do more elsewhere, or are gone"
                else:
                    why = "what it does is worth less than the price of its accelerators"
                out.append(Eviction(ask=ask.id, pool=self.ids[p], count=gone, reason=why))
        return out

    def transfers(self) -> list[Transfer]:
        """Ways that are ordered and have a reader."""
        world, out = self.world, []
        for w, way in enumerate(world.ways):
            readers = {world.snapshot.asks[i].id for i, c, p, _ in self.per_ask if w in world.needs[c][p]}
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
        """Asks that do not run, or not all of them."""
        placed = self._placed()
        out = []
        for c, members in enumerate(self.world.members):
            excuses: tuple[Excuse, ...] | None = None
            for i in members:
                ask = self.world.snapshot.asks[i]
                left = ask.count - placed[i]
                if left > max(SMALL, 1e-6 * ask.count) and self.world.integral:
                    excuses = self._excuses(c) if excuses is None else excuses
                    out.append(
                        Unplaced(
                            ask=ask.id,
                            count=left,
                            excuses=tuple(e.model_copy(update={"subject": ask.id}) for e in excuses),
                        )
                    )
        return out

    def _excuses(self, c: int) -> tuple[Excuse, ...]:
        world = self.world
        ask = world.ask(c)
        found: list[Excuse] = []
        by_rule: dict[str, list[tuple[str, str]]] = defaultdict(list)
        for p, obstacle in enumerate(world.obstacle[c]):
            if obstacle is not None:
                rule, _, words = obstacle.partition(": ")
                by_rule[rule].append((self.ids[p], words))
        for rule, rows in by_rule.items():
            where = ", ".join(name for name, _ in rows[:4]) + (f" and {len(rows) - 4} more" if len(rows) > 4 else "")
            found.append(Excuse(subject=ask.id, rule=rule, limit=f"{where}: {rows[0][1]}", remedy=_REMEDY[rule]))
        for p in np.flatnonzero(world.rate[c] > 0).tolist():
            found.append(self._short_or_dear(c, p))
        return tuple(sorted(found, key=lambda e: (_NEAR.index(e.rule), e.short or 0.0)))

    def _short_or_dear(self, c: int, p: int) -> Excuse:
        world, ask, name = self.world, self.world.ask(c), self.ids[p]
        pool = world.snapshot.pools[p]
        value = float(world.rate[c, p] * ask.usd_per_unit / world.accelerators[c])
        free = max(0.0, float(world.most[p] - self.use[p]))
        if world.objective == "value" and world.gain[c, p] <= 0:
            return Excuse(
                subject=ask.id,
                rule="price",
                limit=f"{name}: an accelerator-hour is worth {value:,.2f} USD to it and costs "
                f"{pool.usd_per_accelerator_hour:,.2f}",
                short=pool.usd_per_accelerator_hour - value if value < pool.usd_per_accelerator_hour else None,
                unit="USD per accelerator-hour" if value < pool.usd_per_accelerator_hour else None,
                remedy="raise its value, wait for a lower internal price, or keep it running longer than the window",
            )
        short = max(0.0, ask.accelerators - free)
        offer = pool.usd_per_accelerator_hour + float(self.solution.scarcity[p])
        fits = ask.accelerators <= world.most[p] + SMALL
        bid = f", or bid above {offer:,.2f} USD per accelerator-hour" if fits else ", or ask for a smaller gang"
        return Excuse(
            subject=ask.id,
            rule="P1.P",
            limit=f"{name}: insufficient unused accelerators, {ask.accelerators:g} wanted and {free:g} of "
            f"{world.most[p]:g} free"
            if short
            else f"{name}: what is free is held by a shared supply, a team's or vendor's share, or data on its way",
            short=short or None,
            unit="accelerators" if short else None,
            remedy=f"add {short:g} accelerators there{bid}" if short else "widen the limit named",
        )

"""First fit: the plainest decision there is, to compare `place` with and to run many fault schedules in little time.

M13  What runs stays while there is room. What waits goes, in order of arrival, into the cheapest pool where it may run,
     its data lies and there is room; nothing is moved, stopped for others, copied, weighed against its price or made
     to wait for spot. Work that flows comes first and takes the cheapest pools. Every decision is recounted by
     `place.check` like any other.
"""

from __future__ import annotations

import hashlib

from argosy.errors import CheckFailed
from argosy.model.decision import Excuse
from argosy.model.placement import Assignment, Change, Draw, Eviction, Placement, PoolUse, Unplaced
from argosy.model.region import Region
from argosy.model.routes import farthest
from argosy.model.snapshot import PlaceAsk, PoolState, Snapshot
from argosy.place.check import check
from argosy.place.check_ways import near_enough

SMALL = 1e-9
_NOT_LOOKED_AT = ("money", "P5.14", "P5.15")


def first_fit(snapshot: Snapshot) -> Placement:
    """M13. CheckFailed when the recount finds a rule violated.

    Floors, power, vendor limits, and what deadlines ask of spot (P5.14, P5.15) are not looked at.
    """
    bare = {"burn_downs": (), "power_limits": (), "max_vendor_fraction": None, "max_critical_vendor_fraction": None}
    plain = snapshot.model_copy(update=bare)
    made = _Fitter(plain).placement()
    # It claims no gain, so there is no sum of gains to recount.
    worst = max((over for rule, over in check(plain, made).items() if rule not in _NOT_LOOKED_AT), default=0.0)
    if worst > SMALL * 1e3:
        raise CheckFailed(f"first fit violated a rule by {worst:.3g}")
    return made.model_copy(update={"worst_residual": worst})


class _Fitter:
    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self.regions = {region.id: region for region in snapshot.regions}
        self.own = {pool.id: pool.own_accelerators for pool in snapshot.pools}
        self.line = {supply.id: supply.capacity for supply in snapshot.supplies}
        self.drawn: dict[tuple[str, str], float] = {}
        self.used = dict.fromkeys(self.own, 0.0)
        self.there = {(d.id, d.home) for d in snapshot.datasets} | {(r.dataset, r.region) for r in snapshot.replicas}
        self.cheap = sorted(snapshot.pools, key=lambda pool: (pool.usd_per_accelerator_hour, pool.id))
        self.pools = {pool.id: pool for pool in snapshot.pools}
        self.assigned: list[Assignment] = []
        self.evicted: list[Eviction] = []
        self.waiting: list[Unplaced] = []

    def placement(self) -> Placement:
        runs = [a for a in self.snapshot.asks if a.units_per_hour is None and a.running_in is not None]
        waits = [a for a in self.snapshot.asks if a.units_per_hour is None and a.running_in is None]
        for ask in runs:
            self._stay(ask)
        for ask in self.snapshot.asks:
            if ask.units_per_hour is not None:
                self._flow(ask)
        for ask in waits:
            self._start(ask)
        text = self.snapshot.model_dump_json()
        return Placement(
            status="feasible",
            objective="value",
            objective_value=0.0,
            gap_fraction=1.0,
            classes=len(self.snapshot.asks),
            price_source=self.snapshot.price_source,
            price_note="first fit looks at prices for the order of pools only",
            inputs_hash=hashlib.sha256(text.encode()).hexdigest(),
            solver="first fit",
            worst_residual=0.0,
            assignments=tuple(self.assigned),
            evictions=tuple(self.evicted),
            transfers=(),
            pools=tuple(self._use(pool) for pool in self.snapshot.pools),
            draws=tuple(
                Draw(supply=s, pool=p, accelerators=n) for (s, p), n in sorted(self.drawn.items()) if n > SMALL
            ),
            limits=(),
            unplaced=tuple(self.waiting),
        )

    def _use(self, pool: PoolState) -> PoolUse:
        return PoolUse(
            pool=pool.id,
            capacity_accelerators=self.used[pool.id] + self._room(pool.id),
            used_accelerators=self.used[pool.id],
            usd_per_accelerator_hour=pool.usd_per_accelerator_hour,
            scarcity_usd_per_accelerator_hour=0.0,
        )

    def _room(self, pool: str) -> float:
        return self.own[pool] + sum(self.line[s.id] / s.draw[pool] for s in self.snapshot.supplies if pool in s.draw)

    def _take(self, pool: str, accelerators: float) -> None:
        self.used[pool] += accelerators
        mine = min(self.own[pool], accelerators)
        self.own[pool] -= mine
        left = accelerators - mine
        for supply in self.snapshot.supplies:
            if left > SMALL and pool in supply.draw:
                most = min(left, self.line[supply.id] / supply.draw[pool])
                self.line[supply.id] -= most * supply.draw[pool]
                key = (supply.id, pool)
                self.drawn[key] = self.drawn.get(key, 0.0) + most
                left -= most

    def _may(self, ask: PlaceAsk, pool: PoolState) -> bool:
        region: Region = self.regions[pool.region]
        rules = (ask.residency, self.snapshot.residency)
        return (
            pool.silicon in ask.speed
            and pool.family in ask.families
            and all(not rule.allowed or region.within(frozenset(rule.allowed)) for rule in rules)
            and not any(region.within(frozenset(rule.denied)) for rule in rules)
            and (not ask.data_jurisdictions or region.within(frozenset(ask.data_jurisdictions)))
            and (pool.tier != "spot" or bool(ask.spot_goodput_fraction))
            and (ask.allowed_pools is None or pool.id in ask.allowed_pools)
            and (not pool.cordoned or ask.running_in == pool.id)
            and near_enough(self.snapshot, ask, region)
            and not (ask.one_domain and ask.accelerators > (pool.domain_accelerators or ask.accelerators))
            and all((name, region.id) in self.there for name in ask.datasets)
            and self._rate(ask, pool) > 0
            and not self._late(ask, pool)
        )

    def _late(self, ask: PlaceAsk, pool: PoolState) -> bool:
        if ask.deadline_hours is None or ask.remaining_units is None:
            return False
        begin = 0.0 if ask.running_in == pool.id else ask.restart_hours
        return begin + ask.remaining_units / self._rate(ask, pool) > ask.deadline_hours

    def _rate(self, ask: PlaceAsk, pool: PoolState) -> float:
        """P1.2."""
        own = ask.vendor_goodput_fraction.get(self.regions[pool.region].vendor, 1.0)
        spot = ask.spot_goodput_fraction or 0.0 if pool.tier == "spot" else 1.0
        return ask.speed[pool.silicon] * ask.accelerators * pool.goodput_fraction * own * spot

    def _stay(self, ask: PlaceAsk) -> None:
        pool = self.pools[ask.running_in or ""]
        if self._may(ask, pool) and self._room(pool.id) + SMALL >= ask.accelerators:
            self._assign(ask, pool, 1.0, "stay")
        else:
            words = "its accelerators are gone, or it may not stay"
            self.evicted.append(Eviction(ask=ask.id, pool=pool.id, count=1.0, reason=words))
            self._wait(ask, 1.0)

    def _start(self, ask: PlaceAsk) -> None:
        for pool in self.cheap:
            if self._may(ask, pool) and self._room(pool.id) + SMALL >= ask.accelerators:
                self._assign(ask, pool, 1.0, "start")
                return
        self._wait(ask, 1.0)

    def _flow(self, ask: PlaceAsk) -> None:
        left = whole = ask.units_per_hour or 0.0
        for pool in self.cheap:
            if left > SMALL and self._may(ask, pool):
                rate = self._rate(ask, pool)
                count = min(left / rate, self._room(pool.id) / ask.accelerators)
                if count > SMALL:
                    self._assign(ask, pool, count, "start")
                    left -= count * rate
        if left > SMALL:
            self._wait(ask, left / whole)

    def _assign(self, ask: PlaceAsk, pool: PoolState, count: float, change: Change) -> None:
        self._take(pool.id, count * ask.accelerators)
        self.assigned.append(
            Assignment(
                ask=ask.id,
                pool=pool.id,
                count=count,
                accelerators=count * ask.accelerators,
                change=change,
                start_after_hours=0.0 if change == "stay" else ask.restart_hours,
                round_trip_milliseconds=self._far(ask, pool),
                max_round_trip_milliseconds=ask.latency.max_round_trip_milliseconds if ask.latency else None,
                gain_usd_per_hour=0.0,
                runner_up=None,
                runner_up_loss_usd_per_hour=None,
                why_not=None,
            )
        )

    def _far(self, ask: PlaceAsk, pool: PoolState) -> float | None:
        """P1.U, told like any decision tells it."""
        if ask.latency is None:
            return None
        users = [self.regions[name] for name in ask.latency.users or (str(ask.home),)]
        return farthest(self.snapshot.links, users, self.regions[pool.region], ask.latency.quantile)[1]

    def _wait(self, ask: PlaceAsk, count: float) -> None:
        may = [pool.id for pool in self.cheap if self._may(ask, pool)]
        rule, limit = ("P1.P", f"no room in {', '.join(may)}") if may else ("mask", "no pool that it may use now")
        excuse = Excuse(subject=ask.id, rule=rule, limit=limit, remedy="add accelerators, or wait")
        self.waiting.append(Unplaced(ask=ask.id, count=count, excuses=(excuse,)))

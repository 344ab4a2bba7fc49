"""Recount of fairness without the solver: progress and level of every ask, the value claimed, and that it is the best.

P1.Z  Take any prices that are not negative: of a unit of an ask's progress, of its time, of an accelerator of a pool,
      of a limit. Whatever anybody does, the priced sum of all progress is at most what accelerators and limits are
      worth, plus what an ask would gain beyond its price in the pool that is best for it. A fairer placement would need
      a higher sum than that. So the prices that a decision tells prove it, whoever found them; wrong prices prove less.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

from argosy.model.placement import FairLevel, Fairness, Placement
from argosy.model.region import Region
from argosy.model.snapshot import PlaceAsk, PoolState, Snapshot
from argosy.place.book import Book
from argosy.place.check_limits import may_run, rate
from argosy.place.check_seats import seatable
from argosy.place.check_ways import begin_hours

WHOLE = ("value", "cost")
SLACK = 1e-5
"""What bisection and rounding may cost a proof, as a share."""
TINY = 1e-9


def check_fair(book: Book, snapshot: Snapshot, placement: Placement) -> None:
    """P4.7, P1.M, P1.W, P1.T, P1.K and P1.Z."""
    if placement.objective in WHOLE:
        book.holds("P1.F", placement.fairness is None)
        return
    book.holds("P1.F", placement.fairness is not None)
    if placement.fairness is not None:
        _Recount(book, snapshot, placement, placement.fairness).all()


@dataclass
class _Recount:
    book: Book
    snapshot: Snapshot
    placement: Placement
    fairness: Fairness
    regions: dict[str, Region] = field(init=False)
    most: dict[str, float] = field(init=False)
    beside: dict[str, float] = field(init=False)
    """What is left of each pool by what was placed first."""

    def __post_init__(self) -> None:
        snapshot = self.snapshot
        self.regions = {region.id: region for region in snapshot.regions}
        self.pools = {pool.id: pool for pool in snapshot.pools}
        self.asks = {ask.id: ask for ask in snapshot.asks}
        self.most = {pool.id: pool.own_accelerators for pool in snapshot.pools}
        for supply in snapshot.supplies:
            for name, takes in supply.draw.items():
                self.most[name] += supply.capacity / takes
        self.levels = {row.ask: row for row in self.fairness.levels}
        self.beside = dict(self.most)
        self.done: dict[str, float] = defaultdict(float)
        for row in self.placement.assignments:
            ask, pool = self.asks[row.ask], self.pools[row.pool]
            self.done[row.ask] += row.count * rate(ask, pool, self.regions)
            if self.first(ask):
                self.beside[row.pool] -= row.count * ask.accelerators

        for turn in self.placement.shared:
            whole = rate(self.asks[turn.ask], self.pools[turn.pool], self.regions)
            self.done[turn.ask] += turn.count * turn.speed_fraction * whole

    def first(self, ask: PlaceAsk) -> bool:
        """P4.7."""
        ends = self.placement.objective in ("finish_time_fairness", "makespan")
        return ask.units_per_hour is not None or (ends and ask.remaining_units is None)

    def all(self) -> None:
        told: list[float] = []
        for ask in self.snapshot.asks:
            row = self.levels.get(ask.id)
            if row is None:
                able = [p for p in self.snapshot.pools if self.open(ask, p)]
                self.book.holds("P1.F", self.first(ask) or not able)
                continue
            self.book.holds("P4.7", row.first == self.first(ask))
            self.book.near("P1.F", row.progress_units_per_hour, self.done[ask.id])
            if not row.first:
                held = self.level(ask)
                self.book.holds("P1.F", (held is None) == (row.level is None))
                if held is not None and row.level is not None:
                    self.book.near("P1.F", row.level / max(1.0, held), held / max(1.0, held))
                    told.append(held)
        if not told:
            return
        worst = min(told) if self.placement.objective in ("max_min", "least_attained_service") else max(told)
        value = self.placement.objective_value
        self.book.below("P1.F", abs(value - worst) / max(1.0, abs(value)), SLACK)
        self.proof()

    def open(self, ask: PlaceAsk, pool: PoolState, *, ever: bool = False) -> bool:
        """Whether an ask could have a share of a pool beside what was placed first (`ever`: in the empty fleet)."""
        region = self.regions[pool.region]
        room = self.most[pool.id] if ever else self.beside[pool.id]
        stays = ask.running_in == pool.id
        if not may_run(self.snapshot, ask, pool, region) or (pool.cordoned and not stays):
            return False
        # What may not be stopped is where it is, whatever was placed first.
        if ask.units_per_hour is None and ask.accelerators > room + 1e-6 and (ever or ask.preemptible or not stays):
            return False
        nodes = [node for node in self.snapshot.nodes if node.pool == pool.id]
        if nodes and ask.units_per_hour is None and not seatable(ask, nodes):
            return False
        begin = begin_hours(self.snapshot, ask, pool, self.regions)
        ends = ask.deadline_hours is not None and ask.remaining_units is not None
        if begin is None:
            return False
        return (
            not ends
            or (stays and not ask.preemptible)
            or begin + (ask.remaining_units or 0.0) / rate(ask, pool, self.regions)
            <= ((ask.deadline_hours or 0.0) + TINY)
        )

    def equal(self, ask: PlaceAsk) -> float:
        """Units per hour of one ask with a proportional share of every pool that it could use."""
        mine = [p for p in self.snapshot.pools if self.open(ask, p, ever=True)]
        total = sum(self.most[p.id] for p in mine)
        return sum(self.most[p.id] * rate(ask, p, self.regions) for p in mine) / total if total > 0 else 0.0

    def level(self, ask: PlaceAsk) -> float | None:
        """What the objective looks at."""
        each, window, objective = self.done[ask.id] / ask.count, self.snapshot.window_hours, self.placement.objective
        if objective == "max_min":
            return each / (self.equal(ask) * ask.weight)
        if objective == "least_attained_service":
            return (ask.attained_units + window * each) / (self.equal(ask) * ask.weight)
        left = ask.remaining_units or 0.0
        if each <= 0:
            return None
        if objective == "makespan":
            return left / each
        return (ask.elapsed_hours + left / each) / (ask.elapsed_hours + left / self.equal(ask))

    def proof(self) -> None:
        """P1.Z: no placement has a priced sum of progress above `most`; a better value would need more."""
        prices = {(row.rule, row.limit): row.price for row in self.fairness.prices}
        rows = [row for row in self.levels.values() if not row.first and row.progress_price > 0]
        self.book.holds(
            "P1.Z",
            bool(rows)
            and all(price >= 0 for price in prices.values())
            and all(row.progress_price >= 0 and row.time_price >= 0 for row in self.fairness.levels),
        )
        if not rows:
            return
        most = self.bound(prices)
        best = self.best(rows, most)
        value, gap = self.placement.objective_value, self.placement.gap_fraction
        if self.placement.objective in ("max_min", "least_attained_service"):
            self.book.below("P1.Z", best * (1 - gap) - value, SLACK * max(1.0, abs(value)))
        else:
            self.book.below("P1.Z", value * (1 - gap) - best, SLACK * max(1.0, abs(value)))

    def bound(self, prices: Mapping[tuple[str, str], float]) -> float:
        """The most that the priced sum of progress can be."""
        total = sum(prices.get(("P1.P", pool.id), 0.0) * pool.own_accelerators for pool in self.snapshot.pools)
        for supply in self.snapshot.supplies:
            dear = max((prices.get(("P1.P", p), 0.0) / takes for p, takes in supply.draw.items()), default=0.0)
            total += supply.capacity * dear
        limits = _limits(self.snapshot, self.regions, {key: p for key, p in prices.items() if key[0] != "P1.P"})
        total += limits.constant
        sharers: dict[_Sharer, float] = defaultdict(float)
        for ask in self.snapshot.asks:
            row = self.levels.get(ask.id)
            if row is None:
                continue
            if row.first:
                here = [a for a in self.placement.assignments if a.ask == ask.id]
                for a in here:
                    total -= a.count * self.cost(ask, self.pools[a.pool], prices, limits)
                continue
            held = ask.running_in is not None and not ask.preemptible
            worth = [
                row.progress_price * rate(ask, p, self.regions) - self.cost(ask, p, prices, limits)
                for p in self.snapshot.pools
                if self.open(ask, p) and (not held or p.id == ask.running_in)
            ]
            if held and worth:
                total += ask.count * worth[0]
                continue
            time = max([0.0, *worth])
            if self.snapshot.pairs and ask.kind is not None and ask.spread is None and not ask.firm_fraction:
                time = max(time, row.time_price)
                able = tuple((p.id, rate(ask, p, self.regions)) for p in self.snapshot.pools if self.open(ask, p))
                mine = _Sharer(ask.kind, ask.accelerators, row.progress_price, time, ask.owner, ask.critical, able)
                sharers[mine] += ask.count
            total += ask.count * time
        return total + self.shared(sharers, prices, limits)

    def shared(
        self, sharers: Mapping[_Sharer, float], prices: Mapping[tuple[str, str], float], limits: _Limits
    ) -> float:
        """What pairs could gain beyond the price of time, accelerators and limits: nothing, if prices are right."""
        told: dict[tuple[str, str, str], tuple[float, float]] = {}
        for pair in self.snapshot.pairs:
            told[pair.kind, pair.beside, pair.silicon] = pair.speed_fraction, pair.beside_speed_fraction
            told[pair.beside, pair.kind, pair.silicon] = pair.beside_speed_fraction, pair.speed_fraction
        total, rows = 0.0, list(sharers.items())
        for i, (one, count) in enumerate(rows):
            for other, number in rows[i:]:
                if one.accelerators != other.accelerators or (one == other and count < 2):
                    continue
                at = dict(other.able)
                for name, whole in one.able:
                    pool = self.pools[name]
                    speed = told.get((one.kind, other.kind, pool.silicon))
                    if speed is None or name not in at or sum(speed) <= 1:
                        continue
                    work = (whole * speed[0], at[name] * speed[1])
                    gain = one.progress * work[0] + other.progress * work[1] - one.time - other.time
                    gain -= prices.get(("P1.P", name), 0.0) * one.accelerators
                    gain -= limits.of_pair(one, other, pool, work)
                    total += max(0.0, gain) * min(count, number) / (2 if one == other else 1)
        return total

    def cost(self, ask: PlaceAsk, pool: PoolState, prices: Mapping[tuple[str, str], float], limits: _Limits) -> float:
        """What one ask in a pool takes from accelerators and limits, at their prices."""
        return prices.get(("P1.P", pool.id), 0.0) * ask.accelerators + limits.taken(ask, pool)

    def best(self, rows: list[FairLevel], most: float) -> float:
        """The best value that a sum of `most` leaves possible: highest t, or lowest ratio or makespan."""
        objective, window = self.placement.objective, self.snapshot.window_hours
        priced = [(self.asks[row.ask], row.progress_price * self.asks[row.ask].count) for row in rows]
        if objective == "max_min":
            return most / sum(price * self.equal(ask) * ask.weight for ask, price in priced)
        if objective == "least_attained_service":
            had = sum(price * ask.attained_units / window for ask, price in priced)
            return (most + had) / sum(price * self.equal(ask) * ask.weight / window for ask, price in priced)
        left = [(price, ask.remaining_units or 0.0, ask.elapsed_hours) for ask, price in priced]
        if objective == "makespan":
            return sum(price * units for price, units, _ in left) / most if most > 0 else float("inf")
        alone = [e + units / self.equal(ask) for (ask, _), (_, units, e) in zip(priced, left, strict=True)]

        def needs(rho: float) -> float:
            if any(rho * a <= e for a, (_, _, e) in zip(alone, left, strict=True)):
                return float("inf")
            return sum(price * units / (rho * a - e) for a, (price, units, e) in zip(alone, left, strict=True))

        low, high = 0.0, max(1.0, 2 * self.placement.objective_value)
        for _ in range(100):
            middle = (low + high) / 2
            low, high = (middle, high) if needs(middle) > most else (low, middle)
        return high


@dataclass(frozen=True)
class _Sharer:
    """Asks that are alike for a pair: prices, and units per hour by pool."""

    kind: str
    accelerators: float
    progress: float
    time: float
    owner: str | None
    critical: bool
    able: tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class _Limits:
    """Limits that have a price: what one ask takes of each, and what they are worth in all."""

    snapshot: Snapshot
    regions: Mapping[str, Region]
    prices: Mapping[tuple[str, str], float]
    constant: float

    def taken(self, ask: PlaceAsk, pool: PoolState) -> float:
        """At their prices."""
        return sum(price * self._takes(rule, name, ask, pool) for (rule, name), price in self.prices.items() if price)

    def of_pair(self, one: _Sharer, other: _Sharer, pool: PoolState, work: tuple[float, float]) -> float:
        """What a pair takes of limits, at their prices."""
        total, size, vendor = 0.0, one.accelerators, self.regions[pool.region].vendor
        for (rule, name), price in self.prices.items():
            if rule == "P1.O":
                total += price * size * ((one.owner == name) + (other.owner == name)) / 2
            elif rule == "P1.V":
                total += price * size * ((vendor == name) - (self.snapshot.max_vendor_fraction or 0.0))
            elif rule == "P1.C":
                done = work[0] * one.critical + work[1] * other.critical
                total += price * done * ((vendor == name) - (self.snapshot.max_critical_vendor_fraction or 0.0))
            elif rule == "P1.G":
                limit = next(row for row in self.snapshot.power_limits if row.id == name)
                total += price * size * (pool.facility_kw_per_accelerator or 0.0) / 1000 * (pool.id in limit.pools)
            elif rule == "P1.N":
                total += price * size * (pool.id == name)
        return total

    def _takes(self, rule: str, name: str, ask: PlaceAsk, pool: PoolState) -> float:
        vendor = self.regions[pool.region].vendor
        work = rate(ask, pool, self.regions) if pool.silicon in ask.speed else 0.0
        weigh = 1.0 if ask.units_per_hour is None else work
        if rule == "P1.O":
            return ask.accelerators if ask.owner == name else 0.0
        if rule == "P1.V":
            return ask.accelerators * ((vendor == name) - (self.snapshot.max_vendor_fraction or 0.0))
        if rule == "P1.C":
            return work * ask.critical * ((vendor == name) - (self.snapshot.max_critical_vendor_fraction or 0.0))
        if rule == "P1.G":
            limit = next(row for row in self.snapshot.power_limits if row.id == name)
            return ask.accelerators * (pool.facility_kw_per_accelerator or 0.0) / 1000 * (pool.id in limit.pools)
        if rule == "P1.N":
            return ask.accelerators * (pool.id == name)
        if rule == "P1.Q":
            return weigh * ((pool.tier == "spot") - (1 - ask.firm_fraction)) if name == f"{ask.id} on spot" else 0.0
        assert rule == "P1.H", f"a price of {rule} proves nothing"
        spread = ask.spread
        if spread is None or not name.startswith(f"{ask.id} in "):
            return 0.0
        inside = {"pool": pool.id, "region": pool.region, "vendor": vendor}[spread.over]
        counts = pool.tier == "spot" or not spread.spot_only
        return weigh * (float(inside == name.removeprefix(f"{ask.id} in ") and counts) - spread.max_fraction)


def _limits(snapshot: Snapshot, regions: Mapping[str, Region], prices: Mapping[tuple[str, str], float]) -> _Limits:
    constant = 0.0
    for (rule, name), price in prices.items():
        if rule == "P1.O":
            total = sum(pool.own_accelerators for pool in snapshot.pools)
            total += sum(s.capacity / min(s.draw.values()) for s in snapshot.supplies if s.draw)
            constant += price * snapshot.owner_shares[name] * total
        elif rule == "P1.G":
            constant += price * next(row.max_mw for row in snapshot.power_limits if row.id == name)
        elif rule == "P1.N":
            constant += price * sum(node.accelerators for node in snapshot.nodes if node.pool == name)
    return _Limits(snapshot, regions, prices, constant)

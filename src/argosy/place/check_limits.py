"""Recount of the limits that bind several pools or asks together, from the records alone."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence

from argosy.model.placement import Placement
from argosy.model.region import Region
from argosy.model.snapshot import PlaceAsk, PoolState, Snapshot
from argosy.model.spread import Spread
from argosy.place.book import Book
from argosy.place.check_ways import near_enough

Tell = Callable[[str, str, float, float], None]
"""Compares rule, name, used and most with what the placement tells."""
Rows = Sequence[tuple[str, str, float]]
"""Ask, pool and count of what runs or is placed."""


def rate(ask: PlaceAsk, pool: PoolState, regions: Mapping[str, Region]) -> float:
    """P1.2, counted again: work per hour of one ask in a pool."""
    per_hour = ask.speed[pool.silicon] * ask.accelerators * pool.goodput_fraction
    per_hour *= ask.vendor_goodput_fraction.get(regions[pool.region].vendor, 1.0)
    return per_hour * (ask.spot_goodput_fraction or 0.0) if pool.tier == "spot" else per_hour


def allowed(rule: object, region: Region) -> bool:
    """Whether a residency rule lets anything be in the region."""
    allowed, denied = getattr(rule, "allowed", ()), getattr(rule, "denied", ())
    if not allowed and not denied:
        return True
    return (not allowed or region.within(frozenset(allowed))) and not region.within(frozenset(denied))


def may_run(snapshot: Snapshot, ask: PlaceAsk, pool: PoolState, region: Region) -> bool:
    """Whether what runs in its pool could stay there."""
    fits = pool.domain_accelerators is None or not ask.one_domain or ask.accelerators <= pool.domain_accelerators
    return (
        fits
        and (ask.allowed_pools is None or pool.id in ask.allowed_pools)
        and pool.silicon in ask.speed
        and pool.family in ask.families
        and (pool.tier != "spot" or bool(ask.spot_goodput_fraction))
        and all(allowed(rule, region) for rule in (ask.residency, snapshot.residency))
        and (not ask.data_jurisdictions or region.within(frozenset(ask.data_jurisdictions)))
        and near_enough(snapshot, ask, region)
        and pool.goodput_fraction * ask.vendor_goodput_fraction.get(region.vendor, 1.0) > 0
    )


def check_limits(book: Book, snapshot: Snapshot, placement: Placement, used: Mapping[str, float]) -> None:
    """P1.O, P1.V, P1.C, P1.G, P1.B, P1.H, P1.Q and the amounts that the placement tells of them."""
    told = {(row.rule, row.limit): row for row in placement.limits}

    def tell(rule: str, name: str, amount: float, most: float) -> None:
        row = told.get((rule, name))
        book.holds(f"{rule} told", row is not None)
        if row is not None:
            book.near(f"{rule} told", row.used, amount)
            book.near(f"{rule} told", row.most, most)

    rows = [(row.ask, row.pool, row.count) for row in placement.assignments]
    halves = [(row.ask, row.pool, row.count / 2) for row in placement.shared]
    _owners(book, snapshot, [*rows, *halves], tell)
    slowed = [(row.ask, row.pool, row.count * row.speed_fraction) for row in placement.shared]
    _vendors(book, snapshot, [*rows, *slowed], used)
    _power(book, snapshot, used, tell)
    if placement.objective in ("value", "cost"):
        _floors(book, snapshot, placement, used, tell)
    _replicas(book, snapshot, rows)


def over_limits(snapshot: Snapshot) -> bool:
    """Whether what runs now, left alone, would break a limit: then stops without a newcomer are right."""
    book = Book()
    used: dict[str, float] = defaultdict(float)
    rows: list[tuple[str, str, float]] = []
    for ask in snapshot.asks:
        if ask.running_in is not None:
            used[ask.running_in] += ask.count * ask.accelerators
            rows.append((ask.id, ask.running_in, ask.count))

    def tell(_rule: str, _name: str, _amount: float, _most: float) -> None:
        """Nothing is told of a placement that was not made."""

    _owners(book, snapshot, rows, tell)
    _vendors(book, snapshot, rows, used)
    _power(book, snapshot, used, tell)
    _replicas(book, snapshot, rows)
    if any(used[pool.id] > _most(snapshot, pool) + 1e-6 for pool in snapshot.pools):
        # Gangs are stopped whole: more may have to go than the capacity that is gone.
        return True
    return max(book.residual.values(), default=0.0) > 0


def _most(snapshot: Snapshot, pool: PoolState) -> float:
    return pool.own_accelerators + sum(s.capacity / s.draw[pool.id] for s in snapshot.supplies if pool.id in s.draw)


def _owners(book: Book, snapshot: Snapshot, rows: Rows, tell: Tell) -> None:
    asks = {ask.id: ask for ask in snapshot.asks}
    total = sum(pool.own_accelerators for pool in snapshot.pools)
    total += sum(s.capacity / min(s.draw.values()) for s in snapshot.supplies if s.draw)
    for owner, share in snapshot.owner_shares.items():
        mine = sum(count * asks[ask].accelerators for ask, _, count in rows if asks[ask].owner == owner)
        book.below("P1.O", mine, share * total)
        tell("P1.O", owner, mine, share * total)


def _vendors(book: Book, snapshot: Snapshot, rows: Rows, used: Mapping[str, float]) -> None:
    asks = {ask.id: ask for ask in snapshot.asks}
    pools = {pool.id: pool for pool in snapshot.pools}
    regions = {region.id: region for region in snapshot.regions}
    if snapshot.max_vendor_fraction is not None:
        vendors: dict[str, float] = defaultdict(float)
        for pool in snapshot.pools:
            vendors[regions[pool.region].vendor] += used[pool.id]
        for amount in vendors.values():
            book.below("P1.V", amount, snapshot.max_vendor_fraction * sum(used.values()))
    if snapshot.max_critical_vendor_fraction is not None:
        work: dict[str, float] = defaultdict(float)
        for ask, name, count in rows:
            if asks[ask].critical:
                pool = pools[name]
                work[regions[pool.region].vendor] += count * rate(asks[ask], pool, regions)
        for amount in work.values():
            book.below("P1.C", amount, snapshot.max_critical_vendor_fraction * sum(work.values()))


def _power(book: Book, snapshot: Snapshot, used: Mapping[str, float], tell: Tell) -> None:
    """P1.G."""
    for limit in snapshot.power_limits:
        kw = sum(
            used[pool.id] * (pool.facility_kw_per_accelerator or 0.0)
            for pool in snapshot.pools
            if pool.id in limit.pools
        )
        book.below("P1.G", kw / 1000, limit.max_mw)
        tell("P1.G", limit.id, kw / 1000, limit.max_mw)


def _floors(book: Book, snapshot: Snapshot, placement: Placement, used: Mapping[str, float], tell: Tell) -> None:
    """P1.B counts only what is really used: P1.Y."""
    supplies = {supply.id: supply for supply in snapshot.supplies}
    owed = {floor.supply for floor in snapshot.burn_downs}
    drawn: dict[str, float] = defaultdict(float)
    met: dict[str, float] = defaultdict(float)
    for row in placement.draws:
        if row.supply in owed:
            drawn[row.pool] += row.accelerators
            met[row.supply] += row.accelerators * supplies[row.supply].draw[row.pool]
    for pool, amount in drawn.items():
        book.below("P1.Y", amount, used[pool])
    for floor in snapshot.burn_downs:
        tell("P1.B", floor.supply, met[floor.supply], floor.owed)


def _domain(spread: Spread, pool: PoolState, regions: Mapping[str, Region]) -> str:
    return {"pool": pool.id, "region": pool.region, "vendor": regions[pool.region].vendor}[spread.over]


def _replicas(book: Book, snapshot: Snapshot, placed: Rows) -> None:
    """P1.H and P1.Q, ask by ask."""
    pools = {pool.id: pool for pool in snapshot.pools}
    regions = {region.id: region for region in snapshot.regions}
    rows: dict[str, list[tuple[str, float]]] = defaultdict(list)
    for name, pool_id, count in placed:
        rows[name].append((pool_id, count))
    for ask in snapshot.asks:
        if ask.spread is None and ask.firm_fraction == 0:
            continue
        inside: dict[str, float] = defaultdict(float)
        replicas: dict[str, float] = defaultdict(float)
        spot = total = 0.0
        for pool_id, count in rows[ask.id]:
            pool = pools[pool_id]
            amount = count if ask.units_per_hour is None else count * rate(ask, pool, regions)
            spot += amount if pool.tier == "spot" else 0.0
            total += amount
            if ask.spread is not None and (pool.tier == "spot" or not ask.spread.spot_only):
                inside[_domain(ask.spread, pool, regions)] += amount
            if ask.spread is not None:
                replicas[_domain(ask.spread, pool, regions)] += count
        book.below("P1.Q", spot, (1 - ask.firm_fraction) * total)
        if ask.spread is not None and total > 0:
            book.below("P1.H", max(inside.values(), default=0.0), ask.spread.max_fraction * total)
            # Pieces of a flow are counted to within the solver's tolerance.
            apart = sum(number >= 1 - 1e-6 for number in replicas.values())
            book.holds("P1.H", ask.spread.min_domains == 1 or apart >= ask.spread.min_domains)

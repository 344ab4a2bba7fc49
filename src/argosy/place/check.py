"""Check: recounts a placement from the snapshot, without the solver and without the program's arrays.

Every rule is counted again from the records: capacity of pools and supplies, gangs whole, chips, families, residency of
work, data and checkpoints, domains, deadlines and their safety net, teams, vendors, evictions, money. Called on every
decision before it is given; the answer is the largest violation of each rule, relative to its scale.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from argosy.model.placement import Placement
from argosy.model.region import Region
from argosy.model.snapshot import PlaceAsk, PoolState, Snapshot
from argosy.place.book import Book
from argosy.place.check_fair import check_fair
from argosy.place.check_limits import allowed, check_limits, may_run, over_limits, rate
from argosy.place.check_money import check_money
from argosy.place.check_seats import check_seats
from argosy.place.check_turns import check_turns
from argosy.place.check_uniform import check_uniform, stands
from argosy.place.check_waiting import Pools
from argosy.place.check_ways import check_ways, near_enough

WHOLE = ("value", "cost")


def check(snapshot: Snapshot, placement: Placement, *, by_turns: bool = False) -> dict[str, float]:
    """Rule to its largest violation; all are 0 (or below rounding) for a sound decision.

    `by_turns`: it is the placement of a round, in which whoever's turn is over is stopped (P4.10).
    """
    book = Book()
    asks = {ask.id: ask for ask in snapshot.asks}
    pools = {pool.id: pool for pool in snapshot.pools}
    regions = {region.id: region for region in snapshot.regions}
    first = {row.ask for row in placement.fairness.levels if row.first} if placement.fairness else set()
    used: dict[str, float] = defaultdict(float)
    placed: dict[str, float] = defaultdict(float)
    stayed: dict[str, float] = defaultdict(float)
    for row in placement.assignments:
        ask, pool = asks[row.ask], pools[row.pool]
        used[pool.id] += row.count * ask.accelerators
        placed[ask.id] += (
            row.count if ask.units_per_hour is None else row.count * rate(ask, pool, regions) / ask.units_per_hour
        )
        if ask.running_in == pool.id:
            stayed[ask.id] += row.count
        whole = placement.objective in WHOLE or ask.id in first
        if whole and ask.units_per_hour is None:
            book.below("gang", abs(row.count - round(row.count)), 0.0)
        _masks(book, snapshot, placement, ask, pool, regions)
        _deadline(book, ask, pool, regions, row.start_after_hours)
    for turn in placement.shared:
        ask, pool = asks[turn.ask], pools[turn.pool]
        used[pool.id] += turn.count * ask.accelerators / 2
        placed[ask.id] += turn.count
        _masks(book, snapshot, placement, ask, pool, regions)
    for ask in snapshot.asks:
        book.below("P1.A", placed[ask.id], ask.count)
        if ask.running_in is not None and not ask.preemptible and placement.objective in WHOLE:
            there = sum(
                a.count * a.accelerators for a in snapshot.asks if a.running_in == ask.running_in and not a.preemptible
            )
            if not placement.forced and there <= _most(snapshot, pools[ask.running_in]) + 1e-9:
                book.below("P1.S", ask.count, stayed[ask.id])
    _capacity(book, snapshot, placement, used)
    check_limits(book, snapshot, placement, used)
    check_seats(book, snapshot, placement)
    check_ways(book, snapshot, placement)
    sums = Pools(snapshot, placement)
    paced = stands(sums)
    check_uniform(book, sums, placement, paced)
    counted = {(name, pool): units for name, row in paced.items() for pool, units in row.counted_units.items()}
    check_money(book, snapshot, placement, counted)
    check_fair(book, snapshot, placement)
    check_turns(book, snapshot, placement)
    if placement.objective in WHOLE:
        _evictions(book, snapshot, placement, placed, counted, by_turns=by_turns)
    if placement.forced:
        book.holds("forced", over_limits(snapshot))
    for transfer in placement.transfers:
        dataset = next(d for d in snapshot.datasets if d.id == transfer.dataset)
        region = regions[transfer.to_region]
        book.holds("residency", not dataset.jurisdictions or region.within(frozenset(dataset.jurisdictions)))
    return book.residual


def _masks(  # noqa: PLR0917  the records that a place depends on
    book: Book, snapshot: Snapshot, placement: Placement, ask: PlaceAsk, pool: PoolState, regions: dict[str, Region]
) -> None:
    """Chips, families, spot, residency, domains, distance and data."""
    book.holds("P1.2", pool.silicon in ask.speed and pool.family in ask.families)
    book.holds("P1.2", pool.tier != "spot" or ask.spot_goodput_fraction is not None)
    region = regions[pool.region]
    book.holds("residency", all(allowed(rule, region) for rule in (ask.residency, snapshot.residency)))
    named = {region.id, *region.zones, region.vendor, region.jurisdiction}
    book.holds("residency", not ask.data_jurisdictions or not named.isdisjoint(ask.data_jurisdictions))
    if ask.latency is not None:
        book.holds("P1.U", near_enough(snapshot, ask, region))
    if ask.one_domain and pool.domain_accelerators is not None:
        book.below("domain", ask.accelerators, pool.domain_accelerators)
    _data(book, snapshot, placement, ask, pool)


def _data(book: Book, snapshot: Snapshot, placement: Placement, ask: PlaceAsk, pool: PoolState) -> None:
    if not ask.datasets:
        return
    region = next(region for region in snapshot.regions if region.id == pool.region)
    for name in ask.datasets:
        dataset = next(d for d in snapshot.datasets if d.id == name)
        there = dataset.home == pool.region or any(
            r.dataset == name and r.region == pool.region for r in snapshot.replicas
        )
        ordered = any(t.dataset == name and t.to_region == pool.region for t in placement.transfers)
        book.holds("P1.D", there or ordered)
        if not there and dataset.jurisdictions:
            book.holds("residency", region.within(frozenset(dataset.jurisdictions)))


def _deadline(book: Book, ask: PlaceAsk, pool: PoolState, regions: dict[str, Region], begin: float) -> None:
    kept = ask.running_in == pool.id and not ask.preemptible  # late or not, it may not be stopped (P1.S)
    if kept or ask.deadline_hours is None or ask.remaining_units is None or pool.silicon not in ask.speed:
        return
    book.below("deadline", begin + ask.remaining_units / rate(ask, pool, regions), ask.deadline_hours)


def _most(snapshot: Snapshot, pool: PoolState) -> float:
    return pool.own_accelerators + sum(s.capacity / s.draw[pool.id] for s in snapshot.supplies if pool.id in s.draw)


def _capacity(book: Book, snapshot: Snapshot, placement: Placement, used: dict[str, float]) -> None:
    """P1.P and P1.L: what a pool uses comes from its own or is drawn, and no supply gives more than it has."""
    drawn: dict[str, float] = defaultdict(float)
    taken: dict[str, float] = defaultdict(float)
    takes = {supply.id: supply.draw for supply in snapshot.supplies}
    for row in placement.draws:
        drawn[row.pool] += row.accelerators
        taken[row.supply] += row.accelerators * takes[row.supply][row.pool]
    for pool in snapshot.pools:
        book.below("P1.P", used[pool.id], pool.own_accelerators + drawn[pool.id])
    for supply in snapshot.supplies:
        book.below("P1.L", taken[supply.id], supply.capacity)


def _evictions(
    book: Book,
    snapshot: Snapshot,
    placement: Placement,
    placed: dict[str, float],
    safe: Mapping[tuple[str, str], float],
    *,
    by_turns: bool,
) -> None:
    """P1.E: nobody is stopped for an ask that was itself stopped, and every stop is told. P5.17 for `safe`."""
    asks = {ask.id: ask for ask in snapshot.asks}
    regions = {region.id: region for region in snapshot.regions}
    told = {row.ask: row.count for row in placement.evictions}
    there: dict[str, list[PlaceAsk]] = defaultdict(list)
    for ask in snapshot.asks:
        if ask.running_in is not None:
            there[ask.running_in].append(ask)
        if ask.running_in is not None and ask.units_per_hour is None:
            book.below("evictions", abs(ask.count - placed[ask.id] - told.get(ask.id, 0.0)), 0.0)
    newcomers: dict[str, float] = defaultdict(float)
    unsafe: dict[str, float] = defaultdict(float)
    for row in placement.assignments:
        if asks[row.ask].running_in is None and asks[row.ask].may_preempt:
            newcomers[row.pool] += row.count * asks[row.ask].accelerators
            if (row.ask, row.pool) not in safe:
                unsafe[row.pool] += row.count * asks[row.ask].accelerators
    for pool in snapshot.pools:
        # What could not stay (late, data gone, not allowed any more) may leave without anybody taking its place.
        runs = [
            ask
            for ask in there[pool.id]
            if ask.units_per_hour is None
            and ask.deadline_hours is None
            and not ask.datasets
            and may_run(snapshot, ask, pool, regions[pool.region])
        ]
        gone = sum((ask.count - placed[ask.id]) * ask.accelerators for ask in runs)
        everything = sum(a.count * a.accelerators for a in there[pool.id])
        shrunk = max(0.0, everything - _most(snapshot, pool))
        lost = sum(
            (ask.count - placed[ask.id]) * ask.accelerators for ask in there[pool.id] if (ask.id, pool.id) in safe
        )
        if not placement.forced and not by_turns:
            book.below("P1.E", gone - shrunk - newcomers[pool.id], 0.0)
            book.below("P5.17", lost - shrunk - unsafe[pool.id], 0.0)

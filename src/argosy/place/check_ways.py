"""Recount of distances and of the time that data takes: users near enough, no start before the data is there.

P1.U and P1.3, from the records alone. Called by `check`; shares nothing with `world`.
"""

from __future__ import annotations

from argosy.model.placement import Assignment, Placement
from argosy.model.region import Region
from argosy.model.routes import link_between, round_trip
from argosy.model.snapshot import PlaceAsk, PoolState, Snapshot
from argosy.place.book import Book

SECONDS_PER_GIB_AT_ONE_GBIT = 8 * 1.073741824


def near_enough(snapshot: Snapshot, ask: PlaceAsk, region: Region) -> bool:
    """P1.U: whether all users of an ask are near enough to a region; an unmeasured distance is not."""
    if ask.latency is None:
        return True
    regions = {row.id: row for row in snapshot.regions}
    users = ask.latency.users or ((ask.home,) if ask.home is not None else ())
    far = [round_trip(snapshot.links, regions[name], region, ask.latency.quantile) for name in users]
    most = ask.latency.max_round_trip_milliseconds
    return bool(far) and all(row is not None and row <= most for row in far)


def check_ways(book: Book, snapshot: Snapshot, placement: Placement) -> None:
    """What is told of P1.U for every assignment, P1.3 for every transfer and every start."""
    asks = {ask.id: ask for ask in snapshot.asks}
    pools = {pool.id: pool for pool in snapshot.pools}
    regions = {region.id: region for region in snapshot.regions}
    for row in placement.transfers:
        dataset = next(d for d in snapshot.datasets if d.id == row.dataset)
        hours = hours_of(snapshot, regions[row.from_region], regions[row.to_region], dataset.size_gib)
        book.holds("P1.3", hours is not None)
        book.near("P1.3", row.hours, hours or 0.0)
    for assigned in placement.assignments:
        ask, pool = asks[assigned.ask], pools[assigned.pool]
        if ask.latency is not None:
            users = ask.latency.users or (str(ask.home),)
            far = [round_trip(snapshot.links, regions[n], regions[pool.region], ask.latency.quantile) for n in users]
            told = assigned.round_trip_milliseconds
            book.holds("P1.U", told is not None and told == max(row for row in far if row is not None))
        _start(book, snapshot, placement, assigned, ask, pool)


def _start(  # noqa: PLR0917  the records that a start depends on
    book: Book, snapshot: Snapshot, placement: Placement, row: Assignment, ask: PlaceAsk, pool: PoolState
) -> None:
    """P1.3: copies that were ordered, the checkpoint from where it runs, and the restart."""
    if ask.running_in is None and ask.checkpoint_in is None and not ask.datasets:
        book.near("P1.3", row.start_after_hours, ask.restart_hours)
        return
    readers = [t.hours for t in placement.transfers if t.to_region == pool.region and t.dataset in ask.datasets]
    wait = max(readers, default=0.0)
    if ask.running_in != pool.id:
        carry = 0.0
        at = ask.checkpoint_in
        if ask.running_in is not None:
            at = next(p.region for p in snapshot.pools if p.id == ask.running_in)
        if at not in (None, pool.region) and ask.checkpoint_gib > 0:
            regions = {region.id: region for region in snapshot.regions}
            hours = hours_of(snapshot, regions[str(at)], regions[pool.region], ask.checkpoint_gib)
            book.holds("P1.3", hours is not None)
            carry = hours or 0.0
        wait = max(wait, carry) + ask.restart_hours
    book.near("P1.3", row.start_after_hours, wait)


def begin_hours(snapshot: Snapshot, ask: PlaceAsk, pool: PoolState) -> float | None:
    """Hours until useful work, data by the cheapest way; None where data or checkpoint cannot come."""
    regions = {row.id: row for row in snapshot.regions}
    region, wait = regions[pool.region], 0.0
    for name in ask.datasets:
        data = next(d for d in snapshot.datasets if d.id == name)
        there = {data.home} | {r.region for r in snapshot.replicas if r.dataset == name}
        if region.id in there:
            continue
        if data.jurisdictions and not region.within(frozenset(data.jurisdictions)):
            return None
        ways = []
        for start in sorted(there):
            link = link_between(snapshot.links, regions[start], region)
            hours = hours_of(snapshot, regions[start], region, data.size_gib)
            if link is not None and hours is not None:
                ways.append((link.usd_per_gib * data.size_gib, hours))
        if not ways:
            return None
        wait = max(wait, min(ways)[1])
    if ask.running_in == pool.id:
        return wait
    at = ask.checkpoint_in
    if ask.running_in is not None:
        at = next(row.region for row in snapshot.pools if row.id == ask.running_in)
    if at not in (None, region.id) and ask.checkpoint_gib > 0:
        carry = hours_of(snapshot, regions[str(at)], region, ask.checkpoint_gib)
        if carry is None:
            return None
        wait = max(wait, carry)
    return wait + ask.restart_hours


def hours_of(snapshot: Snapshot, start: Region, end: Region, gib: float) -> float | None:
    """Hours that an amount takes between two regions; None where no link says it."""
    link = link_between(snapshot.links, start, end)
    if link is None:
        return None
    careful = snapshot.throughput_quantile == "p10"
    speed = link.p10_gbit_per_second if careful else link.p50_gbit_per_second
    return None if speed is None else gib * SECONDS_PER_GIB_AT_ONE_GBIT / speed / 3600

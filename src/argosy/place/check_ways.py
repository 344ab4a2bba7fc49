"""Recount of distances and of the time that data takes: users near enough, no start before the data is there.

P1.U and P1.3, from the records alone. Called by `check`; shares nothing with `world`.
"""

from __future__ import annotations

from collections.abc import Mapping

from argosy.model.latency import Latency
from argosy.model.link import Link
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
    far, most = _far(snapshot, ask, ask.latency, region), ask.latency.max_round_trip_milliseconds
    return bool(far) and all(row is not None and row <= most for row in far)


def _far(snapshot: Snapshot, ask: PlaceAsk, latency: Latency, region: Region) -> list[float | None]:
    """Round trips from the users of an ask to a region, milliseconds; None where nobody measured one."""
    regions = {row.id: row for row in snapshot.regions}
    users = latency.users or ((ask.home,) if ask.home is not None else ())
    return [round_trip(snapshot.links, regions[name], region, latency.quantile) for name in users]


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
        link = link_between(snapshot.links, regions[row.from_region], regions[row.to_region])
        book.holds("P1.5", link is not None)
        if link is not None:
            book.near("P1.5", row.usd, tiered_usd(link, dataset.size_gib))
    for assigned in placement.assignments:
        ask, pool = asks[assigned.ask], pools[assigned.pool]
        if ask.latency is not None:
            far = _far(snapshot, ask, ask.latency, regions[pool.region])
            told = assigned.round_trip_milliseconds
            book.holds("P1.U", told is not None and told == max((row for row in far if row is not None), default=None))
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
        carry = _carry_hours(snapshot, ask, pool)
        book.holds("P1.3", carry is not None)
        wait = max(wait, carry or 0.0) + ask.restart_hours
    book.near("P1.3", row.start_after_hours, wait)


def tiered_usd(link: Link, gib: float) -> float:
    """P1.5 again: the price of the first GiB for all, and at each tier the difference for what lies above it."""
    least, most, price, usd = link.moved_gib_per_month, link.moved_gib_per_month + gib, 0.0, 0.0
    for begin, dearer in ((0.0, link.usd_per_gib), *((t.above_gib_per_month, t.usd_per_gib) for t in link.tiers)):
        usd += (dearer - price) * (max(0.0, most - begin) - max(0.0, least - begin))
        price = dearer
    return usd


def flowing_usd_per_gib(link: Link) -> float:
    """P1.5 again: the price at the volume that goes that way besides."""
    return [
        link.usd_per_gib,
        *(t.usd_per_gib for t in link.tiers if t.above_gib_per_month <= link.moved_gib_per_month),
    ][-1]


def begin_hours(snapshot: Snapshot, ask: PlaceAsk, pool: PoolState, regions: Mapping[str, Region]) -> float | None:
    """Hours until useful work, data by the cheapest way; None where data or checkpoint cannot come."""
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
                ways.append((tiered_usd(link, data.size_gib), hours))
        if not ways:
            return None
        wait = max(wait, min(ways)[1])
    if ask.running_in == pool.id:
        return wait
    carry = _carry_hours(snapshot, ask, pool)
    return None if carry is None else max(wait, carry) + ask.restart_hours


def _carry_hours(snapshot: Snapshot, ask: PlaceAsk, pool: PoolState) -> float | None:
    """Hours that its checkpoint takes from where it runs or rests; 0 where it lies, None where no link says it."""
    at = ask.checkpoint_in
    if ask.running_in is not None:
        at = next(row.region for row in snapshot.pools if row.id == ask.running_in)
    if at is None or at == pool.region or ask.checkpoint_gib <= 0:
        return 0.0
    regions = {row.id: row for row in snapshot.regions}
    return hours_of(snapshot, regions[at], regions[pool.region], ask.checkpoint_gib)


def hours_of(snapshot: Snapshot, start: Region, end: Region, gib: float) -> float | None:
    """Hours that an amount takes between two regions; None where no link says it."""
    link = link_between(snapshot.links, start, end)
    if link is None:
        return None
    careful = snapshot.throughput_quantile == "p10"
    speed = link.p10_gbit_per_second if careful else link.p50_gbit_per_second
    return None if speed is None else gib * SECONDS_PER_GIB_AT_ONE_GBIT / speed / 3600

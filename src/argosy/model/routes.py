"""Routes: which link holds for data that moves from one region to another.

`plan` and `place` ask for prices and round-trip times, `consistency` for those that are missing. Nothing here decides
whether data moves.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from argosy.model.latency import Quantile
from argosy.model.link import Link
from argosy.model.region import Region

GBIT_PER_GIB = 2**30 * 8 / 1e9
INTERNET = "internet"
SAME_VENDOR = "same_vendor"


def link_between(links: Sequence[Link], start_region: Region, end_region: Region) -> Link | None:
    """The link that holds between two regions; None when nobody wrote one, which is a missing price and never zero.

    The most exact match wins: region to region, region to vendor, region to `same_vendor`, then the same three from
    the start's vendor, then region to `internet`, vendor to `internet`, and last the links that start at `internet`.
    Of two equally exact links the first one holds, so that a portfolio's own come before the catalogue's. Work in the
    region of its data moves nothing: ask for different regions only.
    """
    ends = [end_region.id, end_region.vendor]
    if start_region.vendor == end_region.vendor:
        ends.append(SAME_VENDOR)
    places = [(start, end) for start in (start_region.id, start_region.vendor) for end in ends]
    places += [(start_region.id, INTERNET), (start_region.vendor, INTERNET)]
    places += [(INTERNET, end) for end in (end_region.id, end_region.vendor, INTERNET)]
    rank = {ends: i for i, ends in enumerate(places)}
    best, best_rank = None, len(rank)
    for link in links:
        exactness = rank.get((link.start, link.end), best_rank)
        if exactness < best_rank:
            best, best_rank = link, exactness
    return best


@dataclass(frozen=True, slots=True)
class Carried:
    """What it takes to bring so much data from one region to another."""

    usd: float
    hours: float
    """At the median throughput of the link; 0 within a region."""


def carried(links: Sequence[Link], regions: Mapping[str, Region], start: str, end: str, gib: float) -> Carried | str:
    """Price and time of carrying data, or which link is missing or does not say how fast it is.

    Within a region nothing is charged. A region that nobody described has no link: what it takes is unknown, never 0.
    """
    if start == end:
        return Carried(0.0, 0.0)
    begin, finish = regions.get(start), regions.get(end)
    link = None if begin is None or finish is None else link_between(links, begin, finish)
    if link is None:
        return f"no link has a price for data from {start} to {end}"
    if link.p50_gbit_per_second is None:
        return f"the link from {link.start} to {link.end} does not say how fast it is (p50_gbit_per_second)"
    return Carried(link.cost_usd(gib), gib * GBIT_PER_GIB / link.p50_gbit_per_second / 3600)


ROUND_TRIP: dict[Quantile, str] = {"p50": "round_trip_milliseconds", "p90": "p90_round_trip_milliseconds"}
"""Which field of a link says how long the way there and back takes."""


def round_trip(links: Sequence[Link], users: Region, pool: Region, quantile: Quantile) -> float | None:
    """Milliseconds from users in one region to a pool in another and back; None when nobody measured it.

    0 within one region. Links that say nothing about it are passed over; a measurement of the opposite direction
    counts where there is none of this one, because a round trip goes both ways.
    """
    if users.id == pool.id:
        return 0.0
    told = [link for link in links if getattr(link, ROUND_TRIP[quantile]) is not None]
    found = link_between(told, users, pool) or link_between(told, pool, users)
    return None if found is None else float(getattr(found, ROUND_TRIP[quantile]))


def farthest(
    links: Sequence[Link], users: Sequence[Region], pool: Region, quantile: Quantile
) -> tuple[Region, float | None]:
    """The users that are farthest from a pool, and their round-trip time; None for the first that nobody measured."""
    worst: tuple[Region, float] | None = None
    for region in users:
        far = round_trip(links, region, pool, quantile)
        if far is None:
            return region, None
        if worst is None or far > worst[1]:
            worst = region, far
    assert worst is not None, "users are somewhere"
    return worst


def unmeasured(users: Region, pool: Region, quantile: Quantile) -> str:
    """The link that lacks a round-trip time, in words."""
    return f"no link between {users.id} and {pool.id} says its {ROUND_TRIP[quantile]}"

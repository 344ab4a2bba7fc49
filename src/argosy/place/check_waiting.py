"""Recount of P5.14: no spot for work whose deadline leaves less than the reserve after being driven off there.

From the records alone. Called by `check` and `check_uniform`; shares nothing with `waiting`.
"""

from __future__ import annotations

from argosy.model.placement import Placement
from argosy.model.snapshot import PlaceAsk, PoolState, Snapshot
from argosy.place.check_limits import may_run, rate
from argosy.place.check_money import worth
from argosy.place.check_seats import seatable
from argosy.place.check_ways import begin_hours, hours_of

WHOLE = ("value", "cost")
TINY = 1e-9
LEAST_GAIN_USD = 1e-6


def ways_out(snapshot: Snapshot, placement: Placement, ask: PlaceAsk) -> tuple[PoolState, ...]:
    """Firm pools that the deadline of an ask may rely on; empty where P5.14 does not speak of it."""
    if ask.units_per_hour is not None or ask.remaining_units is None or not ask.preemptible:
        return ()
    if ask.deadline_hours is None or ask.spot_goodput_fraction is None or placement.objective not in WHOLE:
        return ()
    return tuple(
        pool
        for pool in snapshot.pools
        if pool.tier != "spot" and in_time(snapshot, ask, pool) is not None and _way_out(snapshot, placement, ask, pool)
    )


def left_hours(snapshot: Snapshot, ask: PlaceAsk, spot: PoolState, firm: PoolState) -> float | None:
    """Hours left after a start on spot, a start on a firm pool and the work; None where no way back is known."""
    regions = {region.id: region for region in snapshot.regions}
    there, back = in_time(snapshot, ask, spot), in_time(snapshot, ask, firm)
    assert there is not None
    assert back is not None
    assert ask.deadline_hours is not None
    carry: float | None = 0.0
    if spot.region != firm.region and ask.checkpoint_gib > 0:
        carry = hours_of(snapshot, regions[spot.region], regions[firm.region], ask.checkpoint_gib)
    if carry is None:
        return None
    work = ask.remaining_units or 0.0
    if ask.running_in == spot.id:
        there += ask.starting_hours
        work += ask.unsaved_units
    return ask.deadline_hours - there - max(back, carry + ask.restart_hours) - work / rate(ask, firm, regions)


def in_time(snapshot: Snapshot, ask: PlaceAsk, pool: PoolState) -> float | None:
    """Hours until useful work where an ask may run and would be done by its deadline; None elsewhere."""
    regions = {region.id: region for region in snapshot.regions}
    if not may_run(snapshot, ask, pool, regions[pool.region]) or (pool.cordoned and ask.running_in != pool.id):
        return None
    begin, speed = begin_hours(snapshot, ask, pool), rate(ask, pool, regions)
    if begin is None or speed <= 0:
        return None
    done = begin + (ask.remaining_units or 0.0) / speed
    return begin if done <= (ask.deadline_hours or 0.0) + TINY else None


def accelerators_of(snapshot: Snapshot, pool: PoolState) -> float:
    """Most that a pool could hold with all of every supply that it may draw on."""
    return pool.own_accelerators + sum(s.capacity / s.draw[pool.id] for s in snapshot.supplies if pool.id in s.draw)


def stuck_accelerators(snapshot: Snapshot, pool: PoolState, *, stops: bool) -> float:
    """What runs in a pool; for an ask that stops others only what may not be stopped."""
    return sum(
        row.count * row.accelerators
        for row in snapshot.asks
        if row.running_in == pool.id and row.units_per_hour is None and not (stops and row.preemptible)
    )


def _way_out(snapshot: Snapshot, placement: Placement, ask: PlaceAsk, pool: PoolState) -> bool:
    """Whether there is room for one ask beside what it cannot stop, and whether it would gain there."""
    most = accelerators_of(snapshot, pool)
    nodes = [node for node in snapshot.nodes if node.pool == pool.id]
    if ask.accelerators > most + TINY or (nodes and not seatable(ask, nodes)):
        return False
    stuck = stuck_accelerators(snapshot, pool, stops=ask.running_in is None and ask.may_preempt)
    if ask.running_in != pool.id and ask.accelerators > most - stuck + TINY:
        return False
    if placement.objective != "value":
        return True
    regions = {region.id: region for region in snapshot.regions}
    gain, _, move = worth(snapshot, ask, pool, regions, begin_hours(snapshot, ask, pool) or 0.0)
    return gain - move > LEAST_GAIN_USD

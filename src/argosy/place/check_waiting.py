"""Recount of P5.14: no spot for work whose deadline leaves less than a changeover after being driven off there.

From the records alone. Called by `check`; shares nothing with `waiting`.
"""

from __future__ import annotations

from argosy.model.placement import Placement
from argosy.model.snapshot import PlaceAsk, PoolState, Snapshot
from argosy.place.book import Book
from argosy.place.check_limits import may_run, rate
from argosy.place.check_money import worth
from argosy.place.check_seats import seatable
from argosy.place.check_ways import begin_hours, hours_of

WHOLE = ("value", "cost")
TINY = 1e-9
LEAST_GAIN_USD = 1e-6


def check_waiting(book: Book, snapshot: Snapshot, placement: Placement) -> None:
    """P5.14 for every assignment, and that it is told where it binds and nowhere else."""
    asks, pools = {ask.id: ask for ask in snapshot.asks}, {pool.id: pool for pool in snapshot.pools}
    found: dict[str, dict[str, float]] = {}
    for row in placement.assignments:
        ask = asks[row.ask]
        if ask.deadline_hours is None:
            book.holds("P5.14", row.off_spot is None)
            continue
        if ask.id not in found:
            found[ask.id] = {} if placement.objective not in WHOLE else _left(snapshot, placement, ask)
        left = found[ask.id]
        if pools[row.pool].tier == "spot" and row.pool in left:
            book.below("P5.14", ask.restart_hours, left[row.pool])
        kept = any(hours < ask.restart_hours - TINY for hours in left.values())
        book.holds("P5.14", kept == (row.off_spot is not None))


def _left(snapshot: Snapshot, placement: Placement, ask: PlaceAsk) -> dict[str, float]:
    """Spot pool to hours left after a start there, a start on the best firm pool and the work; empty: no rule."""
    if ask.units_per_hour is not None or ask.remaining_units is None or not ask.preemptible:
        return {}
    assert ask.deadline_hours is not None
    regions = {region.id: region for region in snapshot.regions}
    begins = {pool.id: begin for pool in snapshot.pools if (begin := _in_time(snapshot, ask, pool)) is not None}
    firm = [p for p in snapshot.pools if p.id in begins and p.tier != "spot" and _way_out(snapshot, placement, ask, p)]
    found = {}
    for spot in (pool for pool in snapshot.pools if pool.id in begins and pool.tier == "spot" and firm):
        best = float("-inf")
        for pool in firm:
            carry: float | None = 0.0
            if spot.region != pool.region and ask.checkpoint_gib > 0:
                carry = hours_of(snapshot, regions[spot.region], regions[pool.region], ask.checkpoint_gib)
            if carry is not None:
                start = max(begins[pool.id], carry + ask.restart_hours)
                work = ask.remaining_units / rate(ask, pool, regions)
                best = max(best, ask.deadline_hours - begins[spot.id] - start - work)
        found[spot.id] = best
    return found


def _in_time(snapshot: Snapshot, ask: PlaceAsk, pool: PoolState) -> float | None:
    """Hours until useful work where an ask may run and would be done by its deadline; None elsewhere."""
    regions = {region.id: region for region in snapshot.regions}
    if not may_run(snapshot, ask, pool, regions[pool.region]) or (pool.cordoned and ask.running_in != pool.id):
        return None
    begin, speed = begin_hours(snapshot, ask, pool), rate(ask, pool, regions)
    if begin is None or speed <= 0:
        return None
    done = begin + (ask.remaining_units or 0.0) / speed
    return begin if done <= (ask.deadline_hours or 0.0) + TINY else None


def _way_out(snapshot: Snapshot, placement: Placement, ask: PlaceAsk, pool: PoolState) -> bool:
    """Whether there is room for one ask beside what it cannot stop, and whether it would gain there."""
    most = pool.own_accelerators + sum(s.capacity / s.draw[pool.id] for s in snapshot.supplies if pool.id in s.draw)
    nodes = [node for node in snapshot.nodes if node.pool == pool.id]
    if ask.accelerators > most + TINY or (nodes and not seatable(ask, nodes)):
        return False
    newcomer = ask.running_in is None and ask.may_preempt
    stuck = sum(
        row.count * row.accelerators
        for row in snapshot.asks
        if row.running_in == pool.id and row.units_per_hour is None and not (newcomer and row.preemptible)
    )
    if ask.running_in != pool.id and ask.accelerators > most - stuck + TINY:
        return False
    if placement.objective != "value":
        return True
    regions = {region.id: region for region in snapshot.regions}
    gain, _, move = worth(snapshot, ask, pool, regions, begin_hours(snapshot, ask, pool) or 0.0)
    return gain - move > LEAST_GAIN_USD

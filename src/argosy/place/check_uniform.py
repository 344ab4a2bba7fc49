"""Recount of P5.14, P5.15 and P5.16: who must keep off spot, who waits for it, and what is counted of work there.

From the records alone, ask by ask. Called by `check`; shares nothing with `waiting`, `uniform` and `pace`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

from argosy.model.placement import Placement
from argosy.model.snapshot import PlaceAsk, PoolState
from argosy.place.book import Book
from argosy.place.check_limits import rate
from argosy.place.check_waiting import TINY, Pools


@dataclass(slots=True)
class Stand:
    """What the rules say of one ask."""

    left: dict[str, float] = field(default_factory=dict)
    """P5.14: spot pool to hours left beyond the reserve, below 0 where it is closed."""
    closed: set[str] = field(default_factory=set)
    """P5.15: spot pools that it may not go to now."""
    counted_units: dict[str, float] = field(default_factory=dict)
    """P5.16: spot pool to the work that is counted there."""
    waits: bool = False
    """P5.15: whether it is not started on capacity that is paid for only as used."""


def stands(pools: Pools) -> Mapping[str, Stand]:
    """What the rules say of each ask that they speak of; asks that are alike share the answer."""
    snapshot = pools.snapshot
    if all(pool.tier != "spot" for pool in snapshot.pools):
        return {}
    known: dict[str, Stand] = {}
    found = {}
    for ask in snapshot.asks:
        if ask.deadline_hours is None or ask.remaining_units is None:
            continue
        key = ask.model_copy(update={"id": "", "count": 1}).model_dump_json()
        if key not in known:
            known[key] = _stand(pools, ask)
        found[ask.id] = known[key]
    return found


def check_uniform(book: Book, sums: Pools, placement: Placement, told: Mapping[str, Stand]) -> None:
    """P5.14 and P5.15 for every assignment, and that they are told where they bind and nowhere else."""
    asks, pools = {ask.id: ask for ask in sums.snapshot.asks}, {pool.id: pool for pool in sums.snapshot.pools}
    new: dict[str, float] = defaultdict(float)
    for row in placement.assignments:
        ask, pool, stand = asks[row.ask], pools[row.pool], told.get(row.ask, Stand())
        if pool.tier == "spot":
            book.below("P5.14", 0.0, stand.left.get(pool.id, 0.0))
            book.holds("P5.15", pool.id not in stand.closed)
        elif stand.waits and ask.running_in != pool.id:
            new[pool.id] += row.count * ask.accelerators
        kept = bool(stand.closed) or any(hours < -TINY for hours in stand.left.values())
        book.holds("P5.14" if not stand.closed else "P5.15", kept == (row.off_spot is not None))
    for name, amount in new.items():
        if sums.paid[name] < sums.most[name] - TINY:
            book.below("P5.15", amount, max(0.0, sums.paid[name] - sums.stuck[name]))
    for waiting in placement.unplaced:
        told_so = any(excuse.rule == "wait" for excuse in waiting.excuses)
        book.holds("P5.15", not told_so or told.get(waiting.ask, Stand()).waits)


def _stand(pools: Pools, ask: PlaceAsk) -> Stand:
    stand, snapshot = Stand(), pools.snapshot
    begins = pools.begins(ask)
    firm = pools.ways_out(ask, begins)
    if not firm:
        return stand
    assert ask.deadline_hours is not None
    assert ask.remaining_units is not None
    keeps = max(ask.restart_hours, snapshot.look_hours)
    spots = [pool for pool in snapshot.pools if pool.tier == "spot" and pool.id in begins]
    relied: dict[str, PoolState] = {}
    for spot in spots:
        rows = [(hours, pool) for pool in firm if (hours := pools.left_hours(ask, spot, pool, begins)) is not None]
        hours, relied[spot.id] = max(rows, key=lambda row: row[0]) if rows else (float("-inf"), firm[0])
        stand.left[spot.id] = hours - keeps
    dear = [pool for pool in firm if pools.paid[pool.id] < pools.most[pool.id] - TINY]
    spots = [spot for spot in spots if stand.left[spot.id] >= -TINY and dear and _may_serve(pools, ask, spot, dear)]
    time = ask.elapsed_hours + ask.deadline_hours - keeps
    work = ask.attained_units + ask.remaining_units
    beyond = ask.attained_units * time / work - ask.elapsed_hours if time > 0 else float("-inf")
    paying = any(
        pool.id == ask.running_in and ask.accelerators > pools.paid[pool.id] - pools.stuck[pool.id] + TINY
        for pool in dear
    )
    for spot in spots:
        stays = spot.id == ask.running_in and pools.runs[spot.id] <= pools.most[spot.id] + TINY
        late = stand.left[spot.id] - max(0.0, snapshot.look_hours - begins[spot.id]) < -TINY and not stays
        if late or (paying and beyond < 2 * ask.restart_hours - TINY):
            stand.closed.add(spot.id)
        else:
            # P5.16: work of the window on the firm pool that the deadline relies on.
            firm_pool = relied[spot.id]
            hours = max(0.0, snapshot.window_hours - begins[firm_pool.id])
            stand.counted_units[spot.id] = min(hours * rate(ask, firm_pool, pools.regions), ask.remaining_units)
    stand.waits = bool(stand.counted_units) and not paying and beyond >= -TINY
    return stand


def _may_serve(pools: Pools, ask: PlaceAsk, spot: PoolState, dear: list[PoolState]) -> bool:
    """Whether a spot pool may come to hold the ask, and its work costs less there than on demand."""
    if spot.may_hold_accelerators is not None:
        most = max(spot.may_hold_accelerators, pools.most[spot.id])
        if ask.accelerators > most + TINY:
            return False
    costs = []
    for pool in dear:
        above = [
            supply.above_usd_per_accelerator_hour.get(pool.id, 0.0)
            for supply in pools.snapshot.supplies
            if pool.id in supply.draw and supply.as_used_fraction > 0
        ]
        more = 0.0 if pool.as_used_fraction > 0 or not above else min(above)
        costs.append((pool.usd_per_accelerator_hour + more) / rate(ask, pool, pools.regions))
    return spot.usd_per_accelerator_hour / rate(ask, spot, pools.regions) < max(costs) - TINY

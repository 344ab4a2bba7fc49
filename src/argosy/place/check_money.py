"""Recount of what a placement is worth: value and cost in USD; from the records alone."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from argosy.model.link import Link
from argosy.model.placement import Placement
from argosy.model.region import Region
from argosy.model.routes import link_between
from argosy.model.snapshot import PlaceAsk, PoolState, Snapshot
from argosy.place.book import Book
from argosy.place.check_limits import rate
from argosy.place.check_ways import flowing_usd_per_gib, tiered_usd

GBIT_PER_GIB = 2**30 * 8 / 1e9
LEAST_MOVE_FRACTION = 1e-3


def check_money(book: Book, snapshot: Snapshot, placement: Placement, counted: Mapping[tuple[str, str], float]) -> None:
    """The objective's value again: USD for value and cost, copies and missed floors included.

    `counted` is ask and spot pool to the work that P5.16 counts there.
    """
    asks = {ask.id: ask for ask in snapshot.asks}
    pools = {pool.id: pool for pool in snapshot.pools}
    regions = {region.id: region for region in snapshot.regions}
    if placement.objective not in ("value", "cost"):
        return
    total = 0.0
    for row in placement.assignments:
        units = counted.get((row.ask, row.pool))
        gain, paid, move = worth(snapshot, asks[row.ask], pools[row.pool], regions, row.start_after_hours, units)
        total += row.count * (gain - move if placement.objective == "value" else -paid - move)
    if placement.objective == "value":
        total -= sum(gone.count * _stop(snapshot, asks[gone.ask], pools[gone.pool]) for gone in placement.evictions)
    total -= sum(transfer.usd for transfer in placement.transfers)
    owed = {floor.supply: floor for floor in snapshot.burn_downs}
    met: dict[str, float] = defaultdict(float)
    draw = {supply.id: supply.draw for supply in snapshot.supplies}
    above = {supply.id: supply.above_usd_per_accelerator_hour for supply in snapshot.supplies}
    for taken in placement.draws:
        met[taken.supply] += taken.accelerators * draw[taken.supply][taken.pool]
        total -= taken.accelerators * above[taken.supply].get(taken.pool, 0.0) * snapshot.window_hours  # P1.J
    for name, floor in owed.items():
        total -= max(0.0, floor.owed - met[name]) * floor.unmet_usd_per_unit * snapshot.window_hours
    sign = 1.0 if placement.objective == "value" else -1.0
    scale = sum(abs(row.gain_usd_per_hour) for row in placement.assignments) * snapshot.window_hours + 1.0
    book.below("money", abs(placement.objective_value - sign * total) / max(scale, abs(total)), 0.0)


def worth(  # noqa: PLR0917  the records that it depends on
    snapshot: Snapshot,
    ask: PlaceAsk,
    pool: PoolState,
    regions: Mapping[str, Region],
    begin: float,
    units: float | None = None,
) -> tuple[float, float, float]:
    """P1.4 without the cost of a move; what its accelerators cost (the objective cost); the cost of a move, P3.1.

    With `units` that much work is counted, whenever it is done, and a start costs its accelerators alone (P5.16).
    """
    region = regions[pool.region]
    per_hour = rate(ask, pool, regions)
    window = snapshot.window_hours
    stays = ask.running_in == pool.id
    left = float("inf") if ask.remaining_units is None else ask.remaining_units / per_hour
    busy = min(max(0.0, window - begin), left) if units is None else units / per_hour
    egress = 0.0
    leaves = ask.home if ask.data_home is None else ask.data_home
    if leaves is not None and region.id not in (leaves, ask.home) and ask.data_gib_per_unit > 0 and not ask.datasets:
        egress = flowing_usd_per_gib(_link(snapshot, regions, leaves, region.id)) * ask.data_gib_per_unit
    carry = 0.0
    start = ask.checkpoint_in
    if ask.running_in is not None:
        start = next(p.region for p in snapshot.pools if p.id == ask.running_in)
    if start is not None and start != region.id and ask.checkpoint_gib > 0:
        carry = tiered_usd(_link(snapshot, regions, start, region.id), ask.checkpoint_gib)
    price = pool.usd_per_accelerator_hour * ask.accelerators
    move = 0.0
    if ask.running_in is not None and not stays:
        hour = per_hour * ask.usd_per_unit if units is None else price
        lost = (max(0.0, min(begin, window)) if units is None else ask.restart_hours) * hour
        move = (carry + lost) * snapshot.hysteresis_fraction + LEAST_MOVE_FRACTION * window * hour
    paid = price * (busy + (0.0 if stays else ask.restart_hours))
    gain = busy * per_hour * (ask.usd_per_unit - egress) - paid - carry
    return gain, price * min(window, left), move


def _stop(snapshot: Snapshot, ask: PlaceAsk, pool: PoolState) -> float:
    """P3.3: the restart that a stop makes necessary, with hysteresis; work there is worth its accelerators at least."""
    hour = max(ask.speed.get(pool.silicon, 0.0) * ask.usd_per_unit, pool.usd_per_accelerator_hour)
    hours = min(ask.restart_hours, snapshot.window_hours)
    return hours * hour * ask.accelerators * (1 + snapshot.hysteresis_fraction)


def _link(snapshot: Snapshot, regions: Mapping[str, Region], start: str, end: str) -> Link:
    link = link_between(snapshot.links, regions[start], regions[end])
    assert link is not None, "a way without a price was used"
    return link

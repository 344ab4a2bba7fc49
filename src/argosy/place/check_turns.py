"""Recount of time on shared accelerators: pairs that were measured, of equal size, and a partner for every minute."""

from __future__ import annotations

from collections import defaultdict

from argosy.model.placement import Placement
from argosy.model.snapshot import Snapshot
from argosy.place.book import Book

ROUNDING = 2e-6


def check_turns(book: Book, snapshot: Snapshot, placement: Placement) -> None:
    """P6.5. The time of one kind beside another is that of the other beside it; nobody shares with itself."""
    asks = {ask.id: ask for ask in snapshot.asks}
    pools = {pool.id: pool for pool in snapshot.pools}
    speed: dict[tuple[str, str, str], float] = {}
    for pair in snapshot.pairs:
        speed[pair.kind, pair.beside, pair.silicon] = pair.speed_fraction
        speed[pair.beside, pair.kind, pair.silicon] = pair.beside_speed_fraction
    turns: dict[tuple[str, float, str, str], float] = defaultdict(float)
    most: dict[tuple[str, float, str, str], float] = defaultdict(float)
    for row in placement.shared:
        ask, pool = asks[row.ask], pools[row.pool]
        book.holds("P6.5", placement.objective not in ("value", "cost") and ask.kind is not None)
        book.holds("P6.5", ask.spread is None and ask.firm_fraction == 0 and ask.units_per_hour is None)
        book.holds("P6.5", speed.get((str(ask.kind), row.beside, pool.silicon)) == row.speed_fraction)
        key = str(ask.kind), ask.accelerators, row.beside, row.pool
        turns[key] += row.count
        most[key] = max(most[key], row.count / ask.count)
    for (kind, size, beside, pool_id), amount in turns.items():
        book.below("P6.5", abs(amount - turns.get((beside, size, kind, pool_id), 0.0)), ROUNDING)
        if kind == beside:
            # Somebody else of the kind is beside everyone: nobody has more than half of all that time.
            book.below("P6.5", most[kind, size, beside, pool_id], amount / 2 + ROUNDING)

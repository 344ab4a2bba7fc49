"""Turn: who runs whole until the next round, when a fair objective has given shares of time.

P4.8  A fair decision says what each ask should get done per hour. What it did not get so far, in hours of its fastest
      pool, it is owed. The round is the whole placement in which the sum over all that runs of (hours owed, and half a
      turn for who runs already) x speed relative to its fastest pool x accelerators is largest, under every limit of
      the value layer.
P4.9  Money decides only between placements that owe nearly the same: an hour of a turn is worth many times the dearest
      accelerator-hour. What flows keeps the place that the fair decision gave it (P4.7).
P4.10 Whoever's turn is over is stopped; P1.E does not hold, and deadlines are not looked at.

Largest backlog times speed first keeps what is owed bounded for any shares that whole placements can reach on average.
Pure: the same snapshot, shares and hours owed give the same placement. `control.turns` keeps the account.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping

import numpy as np

from argosy.errors import CheckFailed, SolverError
from argosy.model.placement import Placement
from argosy.model.snapshot import PlaceAsk, Snapshot
from argosy.place import result
from argosy.place.check import check
from argosy.place.program import build
from argosy.place.rows import Program
from argosy.place.solution import Solution
from argosy.place.solve import whole
from argosy.place.world import Floats, World, reduce
from argosy.settings import Settings

TOLERANCE = 1e-6
TURN_HOURS = 4.0
"""How long an ask runs at least before others of the same right take its place."""
MOST_OWED_HOURS = 24.0
"""More is not owed: what could not be given for a day is forgotten (as in P4.4), so that newcomers get their turn."""
STEPS_PER_TURN = 8
"""What is owed counts in parts of a turn, so that asks that are owed nearly the same stay one class (P1.1)."""
LEAST_TURNS = 0.1
"""What is owed nothing still runs where nobody else does (P4.5)."""
WORTH_RATIO = 30.0
"""A turn that is owed is worth this many times the dearest accelerator-hour."""
HELD = 1e-5
"""What flows is held up to this part of it, so that the rounding of whole asks makes nothing impossible."""
_NOTE = "work is worth what it is owed of its share of time (P4.8); prices decide between equals"


def turn(
    snapshot: Snapshot,
    shares: Placement,
    owed_hours: Mapping[str, float],
    *,
    turn_hours: float = TURN_HOURS,
    gap: float = 1e-6,
    settings: Settings | None = None,
) -> Placement:
    """P4.8: the whole placement of a round. `shares` is the fair decision, `owed_hours` by ask (absent is 0).

    CheckFailed when the recount without the solver finds a rule violated; such a placement is never given.
    """
    first = {row.ask for row in shares.fairness.levels if row.first} if shares.fairness else set()
    priced = _priced(snapshot, owed_hours, turn_hours, first)
    world = reduce(priced, "value")
    solution = _solved(world, shares, settings or Settings(), gap)
    made = result.placement(solution, _NOTE, gap)
    worst = max(check(priced, made, by_turns=True).values(), default=0.0)
    if worst > TOLERANCE:
        raise CheckFailed(f"the placement of a round does not survive the recount: a rule is violated by {worst:.3g}")
    return made.model_copy(update={"worst_residual": worst})


def best_rates(world: World) -> dict[str, float]:
    """Ask to its work per hour in the pool that is fastest for it; 0 where nothing may run it."""
    best = world.rate.max(axis=1, initial=0.0)
    asks = world.snapshot.asks
    return {asks[i].id: float(best[c]) for c, members in enumerate(world.members) for i in members}


def _priced(snapshot: Snapshot, owed: Mapping[str, float], turn_hours: float, first: set[str]) -> Snapshot:
    """The snapshot in which work is worth what it is owed; what was placed first keeps its own worth."""
    free = {"remaining_units": None, "deadline_hours": None}
    bare = reduce(snapshot.model_copy(update={"asks": tuple(_bare(a) for a in snapshot.asks)}), "value")
    best = best_rates(bare)
    # What a start costs is weighed against one turn, unless even the start would take longer.
    window = max(turn_hours, 2 * float(np.where(bare.rate > 0, bare.delay, 0.0).max(initial=0.0)))
    dearest = max((pool.usd_per_accelerator_hour for pool in snapshot.pools), default=0.0)
    above = [usd for supply in snapshot.supplies for usd in supply.above_usd_per_accelerator_hour.values()]
    unit = WORTH_RATIO * (1.0 + max(dearest, 0.0) + max(above, default=0.0))
    asks = []
    for ask in snapshot.asks:
        if ask.id in first or best[ask.id] <= 0:
            asks.append(ask if ask.id in first else ask.model_copy(update=free))
            continue
        hours = owed.get(ask.id, 0.0) + (turn_hours / 2 if ask.running_in is not None else 0.0)
        turns = min(MOST_OWED_HOURS, max(0.0, hours)) / turn_hours
        turns = math.floor(turns * STEPS_PER_TURN + 0.5) / STEPS_PER_TURN
        worth = unit * (LEAST_TURNS + turns) * ask.accelerators / best[ask.id]
        asks.append(ask.model_copy(update={"usd_per_unit": worth, **free}))
    return snapshot.model_copy(update={"asks": tuple(asks), "window_hours": window})


def _bare(ask: PlaceAsk) -> PlaceAsk:
    return ask.model_copy(update={"deadline_hours": None})


def _solved(world: World, shares: Placement, settings: Settings, gap: float) -> Solution:
    """The best round with what flows held where the fair decision put it."""
    for forced in (False, True):
        program = build(world, forced=forced, alone=True)
        _hold(program, _flowing(world, shares))
        found = whole(program, settings, gap)
        if found is not None:
            return found
    raise SolverError("no placement keeps what may not be stopped within the capacity")


def _flowing(world: World, shares: Placement) -> Floats:
    """(C, P) what the fair decision placed first, in pieces; NaN for classes that take turns."""
    out = np.full(world.rate.shape, np.nan)
    assert shares.fairness is not None, "a fair decision says who was placed first"
    first = {row.ask for row in shares.fairness.levels if row.first}
    placed: dict[tuple[str, str], float] = defaultdict(float)
    for row in shares.assignments:
        placed[row.ask, row.pool] += row.count
    pools = [pool.id for pool in world.snapshot.pools]
    for c, members in enumerate(world.members):
        names = [world.snapshot.asks[i].id for i in members]
        if world.ask(c).units_per_hour is not None or names[0] in first:
            out[c] = [sum(placed[name, pool] for name in names) for pool in pools]
    return out


def _hold(program: Program, flowing: Floats) -> None:
    of, pool = program.cell
    held = np.flatnonzero(~np.isnan(flowing[of, pool]))
    program.upper[held] = flowing[of[held], pool[held]] * (1 - HELD / 4)
    program.lower[held] = program.upper[held] * (1 - HELD)

"""The whole verb: a snapshot in, a checked placement out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from argosy.errors import CheckFailed
from argosy.model.placement import Placement
from argosy.model.snapshot import Objective, Snapshot
from argosy.place import result
from argosy.place.check import check
from argosy.place.seats import MOST_SOLVES, Pools, Seated
from argosy.place.solution import Solution
from argosy.place.solve import solve
from argosy.place.uniform import keep_pace
from argosy.place.waiting import keep_deadlines
from argosy.place.world import World, reduce
from argosy.settings import Settings

TOLERANCE = 1e-6
_NOTES = {
    "plan": "internal prices are those of the plan",
    "contracts": "no plan was given: internal prices are what the contracts cost per accelerator-hour",
}


def place(
    snapshot: Snapshot, *, objective: Objective = "value", gap: float = 1e-6, settings: Settings | None = None
) -> Placement:
    """Decide which asks run in which pools. Pure: the same snapshot gives the same placement.

    BadInput names what is missing (a link, a price, remaining work); CheckFailed when the recount without the solver
    finds a rule violated; such a placement is never given.
    """
    solution, seated = decide(keep_pace(keep_deadlines(reduce(snapshot, objective))), settings or Settings(), gap)
    made = result.placement(solution, _NOTES[snapshot.price_source], gap, seated)
    residual = check(snapshot, made)
    worst = max(residual.values(), default=0.0)
    if worst > TOLERANCE:
        rule = max(residual, key=lambda name: residual[name])
        raise CheckFailed(f"the placement does not survive the recount: {rule} is violated by {worst:.3g}")
    return made.model_copy(update={"worst_residual": worst})


def decide(world: World, settings: Settings, gap: float) -> tuple[Solution, Seated | None]:
    """P2.8: the value layer and the packing layer in turn, until all that is placed has a seat."""
    solution = solve(world, settings, gap)
    pools = Pools(world)
    if not pools.nodes or not world.integral:
        return solution, None
    first, room = solution, np.full(world.rate.shape, np.inf)
    words: dict[tuple[int, int], str] = {}
    for solves in range(1, MOST_SOLVES + 2):
        seated = pools.seat(np.round(solution.share))
        seated.solves = solves
        words |= seated.words
        if not seated.refused:
            seated.words = words
            return replace(solution, gap=max(solution.gap, _below(first, solution))), seated
        for (c, p), count in seated.refused.items():
            room[c, p] = round(float(solution.share[c, p])) - count
        if solves == MOST_SOLVES:
            room = np.minimum(room, pools.staying())
        solution = solve(world, settings, gap, room)
    raise AssertionError("what runs in a packed pool and nothing else did not fit there")


def _below(first: Solution, last: Solution) -> float:
    """How far a decision with seats may lie below the best: no more than below the one that knew no nodes."""
    if last is first or first.program.forced or last.program.forced:
        return 0.0
    stop = float(first.program.world.stop @ first.program.world.count)
    best, reached = (float(row.program.cost @ row.columns) - stop for row in (first, last))
    best += first.gap * abs(best)
    return max(0.0, best - reached) / max(abs(best), abs(reached), 1.0)

"""The whole verb: a snapshot in, a checked placement out."""

from __future__ import annotations

from argosy.errors import CheckFailed
from argosy.model.placement import Placement
from argosy.model.snapshot import Objective, Snapshot
from argosy.place import result
from argosy.place.check import check
from argosy.place.solve import solve
from argosy.place.world import reduce
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
    solution = solve(reduce(snapshot, objective), settings or Settings(), gap)
    made = result.placement(solution, _NOTES[snapshot.price_source], gap)
    residual = check(snapshot, made)
    worst = max(residual.values(), default=0.0)
    if worst > TOLERANCE:
        rule = max(residual, key=lambda name: residual[name])
        raise CheckFailed(f"the placement does not survive the recount: {rule} is violated by {worst:.3g}")
    return made.model_copy(update={"worst_residual": worst})

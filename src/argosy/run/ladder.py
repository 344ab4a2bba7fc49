"""Ladder: where to try again. A location that failed carries a penalty that decays; it is never struck off for good.

R8  weight(t) = weight(0) x 2^(-t / half-life); a new failure adds its weight to what is left of the old one.
R9  A location is avoided while its weight is at least `avoid_fraction`. A recovery goes to an avoided location only
    when no other feasible one has room; `control` asks `place` in that order.

Which rung a failure belongs to is in `WEIGHTS`: a lost machine speaks against that machine (the same engine without it
is the next rung), missing capacity against the pool, an engine that cannot be reached against its whole region.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Literal

from argosy.model.job import Run
from argosy.run.rules import RunRules

Failure = Literal["node", "capacity", "preempted", "preempted_eager", "unreachable", "vanished"]
WEIGHTS: dict[Failure, dict[str, float]] = {
    "node": {"node": 1.0, "pool": 0.1},
    "capacity": {"pool": 1.0, "region": 0.1},
    "preempted": {"pool": 0.5},
    "preempted_eager": {"pool": 1.0, "region": 1.0},
    "unreachable": {"pool": 1.0, "region": 1.0, "vendor": 0.1},
    "vanished": {"node": 0.5, "pool": 0.1},
}
"""Failure to the weight on each rung."""

Penalties = Mapping[str, tuple[float, datetime]]
"""Location to its weight and since when it decays."""


def node_location(pool: str, node: str) -> str:
    """The name of a machine as a location."""
    return f"node:{pool}/{node}"


def locations(pool: str, vendor: str, region: str) -> dict[str, str]:
    """The rungs above the machine: name of the rung to name of the location."""
    return {"pool": f"pool:{pool}", "region": f"region:{region}", "vendor": f"vendor:{vendor}"}


def weight(penalties: Penalties, location: str, now: datetime, rules: RunRules) -> float:
    """R8: what is left of a location's penalty."""
    if location not in penalties:
        return 0.0
    start, since = penalties[location]
    age = max(0.0, (now - since).total_seconds())
    return float(start * 2.0 ** (-age / rules.penalty_half_life_seconds))


def after_failure(
    failure: Failure, run: Run, nodes: tuple[str, ...], penalties: Penalties, *, now: datetime, rules: RunRules
) -> dict[str, float]:
    """New weights of the locations that a failure speaks against."""
    rungs = locations(run.pool, run.vendor, run.region)
    found: dict[str, float] = {}
    for rung, more in WEIGHTS[failure].items():
        names = [node_location(run.pool, node) for node in nodes] if rung == "node" else [rungs[rung]]
        for name in names:
            found[name] = weight(penalties, name, now, rules) + more
    return found


def avoided(penalties: Penalties, now: datetime, rules: RunRules) -> frozenset[str]:
    """R9: locations that are avoided now."""
    return frozenset(name for name in penalties if weight(penalties, name, now, rules) >= rules.avoid_fraction)

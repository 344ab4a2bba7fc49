"""Clusters: which futures a later decision cannot tell apart (F6).

At a date only the history up to it is known. Futures are ordered by the demand seen so far and cut into groups of
about equal probability; futures with the same history are never split.
"""

from __future__ import annotations

import numpy as np

from argosy.plan.world import World


def clusters(world: World, month: int) -> tuple[tuple[bool, ...], ...]:
    """Membership of every scenario in each cluster at a month of the horizon; the clusters part the scenarios."""
    count = world.portfolio.scenarios.information_clusters
    seen = np.zeros(len(world.scenarios))
    recent = slice(max(0, month - 12), max(1, month))
    for ask in world.asks:
        wanted = np.array(ask.demand_units[recent])
        seen += world.demand_factors(ask.workload)[:, recent] @ wanted
    history, group = np.unique(np.round(seen, 9), return_inverse=True)
    weight = np.bincount(group.ravel(), weights=world.probability, minlength=len(history))
    middle = np.cumsum(weight) - weight / 2
    label = np.minimum((middle * count).astype(int), count - 1)[group.ravel()]
    return tuple(tuple(bool(m) for m in label == value) for value in np.unique(label))

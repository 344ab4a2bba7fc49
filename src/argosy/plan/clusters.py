"""Clusters: which futures a later decision cannot tell apart (F6).

At a date only the history up to it is known. Futures are ordered by the demand seen so far and cut into groups of
about equal probability; futures with the same history are never split. The cuts are kept as a `Rule`, so that a future
that the plan has not seen falls into the cluster that its history belongs to.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from argosy.plan.program import Floats, Ints
from argosy.plan.world import World


@dataclass(frozen=True, slots=True)
class Rule:
    """Where the history seen at a month is cut."""

    month: int
    cuts: Floats
    """(clusters - 1,) rising; a history equal to a cut lies above it."""

    def cluster(self, world: World) -> Ints:
        """(S,) cluster of every future of a world of the same portfolio, from the least to the most demand seen."""
        return np.searchsorted(self.cuts, seen(world, self.month), side="right").astype(np.int64)


def seen(world: World, month: int) -> Floats:
    """F6.1: (S,) units wanted in the twelve months before a month; at the start, in the first month."""
    total = np.zeros(len(world.scenarios))
    recent = slice(max(0, month - 12), max(1, month))
    for ask in world.asks:
        wanted = np.array(ask.demand_units[recent])
        total += world.demand_factors(ask.workload)[:, recent] @ wanted
    return np.round(total, 9)


def rule(world: World, month: int) -> Rule:
    """F6.2: the cuts that part the futures of a world; each lies in the middle between two neighbours."""
    count = world.portfolio.scenarios.information_clusters
    history, group = np.unique(seen(world, month), return_inverse=True)
    weight = np.bincount(group.ravel(), weights=world.probability, minlength=len(history))
    middle = np.cumsum(weight) - weight / 2
    label = np.minimum((middle * count).astype(int), count - 1)
    last = np.flatnonzero(np.diff(label))
    return Rule(month, (history[last] + history[last + 1]) / 2)


def clusters(world: World, month: int) -> tuple[tuple[bool, ...], ...]:
    """Membership of every scenario in each cluster at a month of the horizon; the clusters part the scenarios."""
    label = rule(world, month).cluster(world)
    return tuple(tuple(bool(m) for m in label == value) for value in np.unique(label))

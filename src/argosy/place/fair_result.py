"""Fairness as a decision tells it: level of every ask, and the prices of the proof that are not 0."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from argosy.model.placement import FairLevel, Fairness, FairPrice, SharedTime
from argosy.model.snapshot import Objective, PlaceAsk
from argosy.place.fair import equal_share
from argosy.place.solution import Solution

SMALL = 1e-12


def fairness(
    solution: Solution, per_ask: Sequence[tuple[int, int, int, float]], shared: Sequence[SharedTime]
) -> Fairness:
    """P1.M, P1.W, P1.T, P1.K and P1.Z of a solution; `per_ask` are (ask, class, pool, count)."""
    proof, world = solution.proof, solution.program.world
    assert proof is not None, "only shares of time are fair"
    done: dict[int, float] = defaultdict(float)
    for i, c, p, count in per_ask:
        done[i] += count * float(world.rate[c, p])
    if shared:
        at = {ask.id: i for i, ask in enumerate(world.snapshot.asks)}
        of = {i: c for c, members in enumerate(world.members) for i in members}
        pool_at = {pool.id: p for p, pool in enumerate(world.snapshot.pools)}
        for row in shared:
            i = at[row.ask]
            done[i] += row.count * row.speed_fraction * float(world.rate[of[i], pool_at[row.pool]])
    equal = equal_share(world)
    levels = []
    taken = set(solution.program.fair.tolist())
    for c, members in enumerate(world.members):
        for i in members:
            ask = world.snapshot.asks[i]
            if not proof.first[c] and c not in taken:
                continue
            each = done[i] / ask.count
            held = None if proof.first[c] else level(world.objective, ask, each, float(equal[c]), window(solution))
            levels.append(
                FairLevel(
                    ask=ask.id,
                    first=bool(proof.first[c]),
                    progress_units_per_hour=done[i],
                    level=held,
                    progress_price=float(proof.progress[c]),
                    time_price=float(proof.time[c]),
                )
            )
    pools = world.snapshot.pools
    prices = [FairPrice(rule="P1.P", limit=pools[p].id, price=float(proof.pool[p])) for p in np.flatnonzero(proof.pool)]
    for limit, price in zip(solution.program.limits, proof.limit.tolist(), strict=True):
        if price > SMALL and limit.rule != "P1.L":
            prices.append(FairPrice(rule=limit.rule, limit=limit.name, price=price))
    return Fairness(levels=tuple(levels), prices=tuple(prices))


def window(solution: Solution) -> float:
    """Hours over which attained service counts."""
    return solution.program.world.snapshot.window_hours


def level(objective: Objective, ask: PlaceAsk, progress: float, equal: float, window_hours: float) -> float | None:
    """What the objective looks at, for one ask with this progress per hour; None where it would never end."""
    if objective == "max_min":
        return progress / (equal * ask.weight)
    if objective == "least_attained_service":
        return (ask.attained_units + window_hours * progress) / (equal * ask.weight)
    assert ask.remaining_units is not None, "what has no end is placed first"
    if progress <= 0:
        return None
    if objective == "makespan":
        return ask.remaining_units / progress
    alone = ask.elapsed_hours + ask.remaining_units / equal
    return (ask.elapsed_hours + ask.remaining_units / progress) / alone


def worst(objective: Objective, found: Fairness) -> float:
    """How the worst off fares; 0 where nobody shares anything."""
    told = [row.level for row in found.levels if row.level is not None]
    if not told:
        return 0.0
    return min(told) if objective in ("max_min", "least_attained_service") else max(told)

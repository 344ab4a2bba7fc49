"""Select: a few futures that stand for many, with the weights of those that they stand for (S16, S17).

`cli` calls `selected` between drawing and planning. It is the forward selection of Heitsch and Roemisch: one future
after the other is taken, each time the one that brings all futures nearest to those taken. It plans nothing.
"""

from __future__ import annotations

import numpy as np

from argosy.model.portfolio import Portfolio
from argosy.model.scenario import Scenario
from argosy.plan.inputs import inputs
from argosy.plan.program import Floats, Ints, Program


def selected(portfolio: Portfolio, scenarios: tuple[Scenario, ...], count: int) -> tuple[Scenario, ...]:
    """S16: at most `count` of the futures, in their order, with new probabilities that sum to what they did.

    All of them, unchanged, where there are no more than `count`.
    """
    assert count > 0, "at least one future is selected"
    if len(scenarios) <= count:
        return scenarios
    distance = distances(inputs(portfolio, scenarios).program)
    probability = np.array([scenario.probability for scenario in scenarios])
    taken, weight = forward(distance, probability, count)
    return tuple(
        scenarios[s].model_copy(update={"probability": float(w)}) for s, w in zip(taken.tolist(), weight, strict=True)
    )


def forward(distance: Floats, probability: Floats, count: int) -> tuple[Ints, Floats]:
    """S17: positions taken, ascending, and their weights; ties go to the first future.

    `distance` is (S, S), symmetric, with a diagonal of 0.
    """
    nearest = np.full(len(probability), np.inf)
    taken: list[int] = []
    for _ in range(count):
        total = probability @ np.minimum(nearest[:, None], distance)  # (S,) what remains if each were taken
        total[taken] = np.inf
        best = int(total.argmin())
        taken.append(best)
        nearest = np.minimum(nearest, distance[:, best])
    order = np.sort(np.array(taken))
    owner = distance[:, order].argmin(axis=1)
    owner[order] = np.arange(count)  # a future that was taken stands for itself, also beside its equal
    return order.astype(np.int64), np.bincount(owner, weights=probability, minlength=count).astype(float)


def distances(program: Program) -> Floats:
    """S16: (S, S) money by which demand and what can be had differ between two futures, scaled.

    Work counts at what it costs undone, capacity at the dearest work that it could do.
    """
    work = program.unserved_cost * program.discount  # (D, T)
    value = np.zeros((program.shape["P"], program.shape["T"]))
    for a, p in enumerate(program.arc_pool.tolist()):
        gain = program.arc_yield[a] * work[program.arc_demand[a]]
        value[p] = np.maximum(value[p], np.where(program.arc_open[a], gain, 0.0))
    line = np.zeros((program.shape["N"], program.shape["T"]))
    for j, (n, p) in enumerate(zip(program.use_line.tolist(), program.use_pool.tolist(), strict=True)):
        line[n] = np.maximum(line[n], value[p] / program.use_draw[j])
    most = np.concatenate([program.size_max, np.zeros(program.shape["E"])])[program.link_column]
    parts = [
        program.demand * work,
        program.link_capacity * (most[:, None] * line[program.link_line]),
        np.where(np.isinf(program.open_max), 0.0, program.open_max) * value[program.open_pool],
        program.stock * value,
    ]
    scenarios = len(program.probability)
    flat = np.concatenate([part.reshape(scenarios, -1) for part in parts], axis=1)
    flat = flat[:, np.ptp(flat, axis=0) > 0]
    out = np.zeros((scenarios, scenarios))
    for s in range(scenarios):
        out[s] = np.abs(flat - flat[s]).sum(axis=1)
    return out

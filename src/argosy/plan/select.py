"""Select: a few futures that stand for many in what they cost, with the probability of what they stand for (F7.8).

Futures are compared by what the duals of a few of them say all cost: two futures that all duals price alike are alike
for the plan. Forward selection then takes, one by one, the future that leaves the least distance from all others to
the nearest one taken. Called by the bench and by who wants an interactive answer; it makes no plan.
"""

from __future__ import annotations

import numpy as np

from argosy.plan.exact import Exact
from argosy.plan.pool import Pool
from argosy.plan.program import Floats, Ints
from argosy.plan.template import Template

PROBES = 24
"""Futures that are solved to compare all."""
LESS = 0.7
"""Share of the contracts at which the futures are compared a second time: what is short costs more than what idles."""


def select(template: Template, first: Floats, count: int) -> tuple[Ints, Floats]:
    """`count` futures in order, and their probabilities, judged near first-stage columns that are roughly right."""
    program = template.program
    order = np.argsort(program.demand.sum(axis=(1, 2)), kind="stable")
    probes = np.unique(order[np.round(np.linspace(0, len(order) - 1, min(PROBES, len(order)))).astype(int)])
    pool, exact = Pool(template), Exact(template)
    points = (first, LESS * first)
    for point in points:
        answers = exact.some(probes, point, pool)
        pool.extend([answer.dual for answer in answers], [answer.basis for answer in answers])
    return forward(np.concatenate([pool.bounds(point) for point in points]).T, program.probability, count)


def forward(features: Floats, probability: Floats, count: int) -> tuple[Ints, Floats]:
    """Forward selection over (S, features): positions taken, ascending, and the probability that goes to each."""
    scenarios = len(features)
    if count >= scenarios:
        return np.arange(scenarios), probability.copy()
    square = np.einsum("sn,sn->s", features, features)
    distance = np.sqrt(np.maximum(0.0, square[:, None] + square - 2 * np.einsum("sn,tn->st", features, features)))
    np.fill_diagonal(distance, 0.0)
    nearest = np.full(scenarios, np.inf)
    taken: list[int] = []
    for _ in range(count):
        left = np.einsum("s,st->t", probability, np.minimum(nearest[:, None], distance))
        left[taken] = np.inf
        taken.append(int(np.argmin(left)))
        nearest = np.minimum(nearest, distance[:, taken[-1]])
    chosen = np.sort(np.array(taken))
    weight = np.bincount(distance[:, chosen].argmin(axis=1), weights=probability, minlength=count)
    return chosen, weight.astype(float)

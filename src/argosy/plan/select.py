"""Select: a few futures that stand for many in what they cost, with the probability of what they stand for (F7.8).

Futures are compared by what the duals of a few of them say all cost: two futures that all duals price alike are alike
for the plan. The forward selection of `selected` does the rest. Called by the bench, beside `selected`, which compares
futures by their data, before anything is solved; it makes no plan.
"""

from __future__ import annotations

import numpy as np

from argosy.plan.exact import Exact
from argosy.plan.pool import Pool
from argosy.plan.program import Floats, Ints
from argosy.plan.selected import forward
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
    if count >= len(program.probability):
        return np.arange(len(program.probability)), program.probability.copy()
    return forward(apart(np.concatenate([pool.bounds(point) for point in points]).T), program.probability, count)


def apart(features: Floats) -> Floats:
    """(S, S) distance between futures by (S, features)."""
    square = np.einsum("sn,sn->s", features, features)
    distance = np.sqrt(np.maximum(0.0, square[:, None] + square - 2 * np.einsum("sn,tn->st", features, features)))
    np.fill_diagonal(distance, 0.0)
    return np.asarray(distance)

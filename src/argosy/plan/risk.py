"""Risk: the mean and the tail of a cost over futures, and the weights that both put on each future (F5)."""

from __future__ import annotations

import numpy as np

from argosy.plan.program import Floats, Program


def tail_weights(probability: Floats, cost: Floats, tail: float) -> Floats:
    """(S,) weights of the costliest 1 - tail of the futures; they sum to 1, and weights @ cost is the CVaR."""
    order = np.argsort(-cost, kind="stable")
    before = np.cumsum(probability[order]) - probability[order]
    weights = np.zeros(len(cost))
    weights[order] = np.clip((1 - tail) - before, 0.0, probability[order]) / (1 - tail)
    return weights


def weights(program: Program, cost: Floats) -> Floats:
    """(S,) what one unit of cost in each future adds to the objective."""
    tail = tail_weights(program.probability, cost, program.tail)
    return (1 - program.risk_aversion) * program.probability + program.risk_aversion * tail


def measure(program: Program, cost: Floats) -> float:
    """(1 - lambda) mean + lambda CVaR."""
    return float(weights(program, cost) @ cost)


def quantile(program: Program, cost: Floats) -> float:
    """Cost at which the tail begins: eta of F5 at its best."""
    order = np.argsort(-cost, kind="stable")
    reached = np.flatnonzero(np.cumsum(program.probability[order]) >= 1 - program.tail - 1e-12)
    return float(cost[order[reached[0]]])

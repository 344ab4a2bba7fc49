"""Branch: the best integers by the cuts that the master holds, and a bound on what any integers cost (F7.6).

Best bound first over the resident linear program of the master, which starts every node from the last basis. Called by
`decompose` between passes; it solves no future, so what it returns is a proposal and a lower bound.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable

import numpy as np

from argosy.plan.benders_master import Master
from argosy.plan.program import Floats

WHOLE = 1e-6
"""Integers nearer than this to a whole number are whole."""


def branch(master: Master, *, gap: float, cutoff: float, over: Callable[[], bool]) -> tuple[Floats | None, float]:
    """Integers of the best plan by the cuts, and a lower bound on the cost of every plan.

    Nodes at `cutoff` or within the gap of it are not looked into; None when no others are left, or time is up.
    """
    integers = master.integers
    weight = 1e-6 + np.abs(master.cost[integers])
    best, choice, closed, count = cutoff, None, np.inf, 0
    waiting: list[tuple[float, int, Floats, Floats]] = [(-np.inf, 0, master.lower[integers], master.upper[integers])]
    while waiting and not over() and waiting[0][0] < _enough(best, gap):
        _, _, low, high = heapq.heappop(waiting)
        master.hold(low, high)
        if not master.solve():
            continue
        bound, value = master.objective, master.first[integers]
        away = np.abs(value - np.round(value))
        if bound < _enough(best, gap):
            whole = np.clip(np.ceil(value - WHOLE), low, high)
            master.hold(whole, whole)
            if master.solve() and master.objective < best:
                best, choice = master.objective, whole
        if bound >= _enough(best, gap) or away.max(initial=0.0) <= WHOLE:
            closed = min(closed, bound)
            continue
        j = int(np.argmax(np.where(away > WHOLE, away * weight, -1.0)))
        below, above = high.copy(), low.copy()
        below[j], above[j] = np.floor(value[j]), np.ceil(value[j])
        for lower, upper in ((low, below), (above, high)):
            count += 1
            heapq.heappush(waiting, (bound, count, lower, upper))
    master.fix(None)
    return choice, min([closed, best, *(node[0] for node in waiting)])


def _enough(best: float, gap: float) -> float:
    """Cost from which on a node cannot matter."""
    return best - gap * abs(best) if np.isfinite(best) else np.inf

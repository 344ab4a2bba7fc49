"""What work with a deadline would have cost at least, had its spot capacity been known: P5.9.

The omniscient policy pays the same changeovers as all others. It is what a gap is measured against, never a decision.
"""

from __future__ import annotations

from math import gcd

import numba
import numpy as np
import numpy.typing as npt

from argosy.place.deadlines import Bools

Numbers = npt.NDArray[np.float64]
MOST_STATES = 100_000_000


def optimum(
    spot: Bools, *, step_seconds: int, work_seconds: int, deadline_seconds: int, changeover_seconds: int, price: float
) -> float | None:
    """P5.9: lowest cost in hours on demand; infinite when no policy is in time, None when too large to be worth it.

    Dynamic program over steps and slack used, in the greatest common divisor of step and changeover; exact, because a
    changeover uses its own length of slack whenever it is worth making, and waiting uses whole steps.
    """
    steps = deadline_seconds // step_seconds
    unit = gcd(step_seconds, changeover_seconds)
    slack = (steps * step_seconds - work_seconds) // unit
    if slack < 0:
        return float("inf")
    if steps * (slack + 1) > MOST_STATES:
        return None
    wait, change = step_seconds // unit, changeover_seconds // unit
    cost = _least(np.asarray(spot, dtype=np.bool_), steps, slack, wait, change, work_seconds / unit, price)
    return cost * unit / 3600 if cost < 1e17 else float("inf")


@numba.njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def _least(  # noqa: PLR0917  compiled
    spot: Bools, steps: int, slack: int, wait: int, change: int, work: float, price: float
) -> float:
    """Cost in units on demand, from nothing done and nothing running. A step is `wait` units long."""
    never = 1e18
    # Slack that is not there is at the end of every row, so that no step needs to ask for it.
    size = slack + 1 + max(wait, change)
    idle, on_spot, paid = np.full(size, never), np.full(size, never), np.full(size, never)
    new_idle, new_spot, new_paid = np.full(size, never), np.full(size, never), np.full(size, never)
    for s in range(slack + 1):
        over = steps * wait - s - work
        if over >= -1e-9:
            # What ran on after the work was done is not paid for.
            idle[s], on_spot[s], paid[s] = 0.0, -over * price, -over
    for i in range(steps - 1, -1, -1):
        over = i * wait - work
        finished = min(slack + 1, int(np.floor(over + 1e-9)) + 1) if over >= -1e-9 else 0
        for s in range(finished):
            new_idle[s], new_spot[s], new_paid[s] = 0.0, -(over - s) * price, -(over - s)
        # No more slack can have been used so far.
        most = min(slack, i * max(wait, change)) + 1
        cheap = wait * price
        if spot[i]:
            for s in range(finished, most):
                best = min(idle[s + wait], wait + paid[s + change], cheap + on_spot[s + change])
                new_idle[s] = best
                new_paid[s] = min(best, wait + paid[s])
                new_spot[s] = min(best, cheap + on_spot[s])
        else:
            for s in range(finished, most):
                best = min(idle[s + wait], wait + paid[s + change])
                new_idle[s] = best
                new_spot[s] = best
                new_paid[s] = min(best, wait + paid[s])
        idle, new_idle = new_idle, idle
        on_spot, new_spot = new_spot, on_spot
        paid, new_paid = new_paid, paid
    return float(idle[0])

"""Deadlines on spot: what to run on next, for work that may use spot capacity and must be done in time.

P5.1  Done is done: nothing runs after the work is complete.
P5.2  Safety net: when the time left is the work left, a changeover and one step, it runs on demand until it is done.
P5.3  What runs on spot stays there until it is taken away.
P5.4  Uniform progress: without spot it runs on demand while it is behind the straight line from start to deadline, and
      waits while it is ahead. On demand it goes to spot when that is there and it is ahead by two changeovers.
      These four are the policy of "Can't Be Late" (NSDI'24).
P5.5  Expected progress: as P5.4, but behind means that the work left is more than spot is expected to do in the time
      left: the share of the time that it was there so far (half, weighing as much as half a day, before any was seen),
      raised by HOPE_FRACTION of what is missing to 1, because waiting can be made good later and money spent cannot.
No policy looks ahead. Arrays and numbers only.
"""

from __future__ import annotations

import numba
import numpy as np
import numpy.typing as npt

Bools = npt.NDArray[np.bool_]

IDLE, SPOT, ON_DEMAND = 0, 1, 2
GREEDY, UNIFORM, EXPECTED = 0, 1, 2
PRIOR_FRACTION, PRIOR_HOURS, HOPE_FRACTION = 0.5, 12.0, 0.6


@numba.njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def next_place(  # noqa: PLR0917  compiled
    policy: int,
    place: int,
    spot: bool,
    elapsed: float,
    done: float,
    work: float,
    deadline: float,
    changeover: float,
    pending: float,
    step: float,
    seen: float,
) -> int:
    """IDLE, SPOT or ON_DEMAND for the next step.

    All times in hours; `pending` is what is left of a changeover, `seen` how long spot was there since the start.
    """
    if done >= work - 1e-12:
        return IDLE
    left, time = work - done, deadline - elapsed
    start = pending if place == ON_DEMAND else changeover
    # One step more: what is decided now can be regretted only after it.
    if time - step < left + max(start, changeover):
        if place == SPOT and spot and time - step >= left + pending + changeover:
            return SPOT
        return ON_DEMAND
    if place == SPOT and spot:
        return SPOT
    if policy == EXPECTED:
        share = (seen + PRIOR_FRACTION * PRIOR_HOURS) / (elapsed + PRIOR_HOURS)
        hoped = share + HOPE_FRACTION * (1 - share)
        behind = left > hoped * (time - changeover)
        ahead = left <= hoped * (time - 2 * changeover) - 2 * changeover
    else:
        line = elapsed * work / deadline
        behind = done < line
        ahead = done >= line + 2 * changeover * work / deadline
    if place == ON_DEMAND:
        if policy == GREEDY:
            return ON_DEMAND
        if spot and (ahead or policy == EXPECTED):
            return SPOT
        return IDLE if ahead else ON_DEMAND
    if spot:
        return SPOT
    return ON_DEMAND if policy != GREEDY and behind else IDLE


@numba.njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def run(  # noqa: PLR0917  compiled
    policy: int, spot: Bools, step: float, work: float, deadline: float, changeover: float, price: float
) -> tuple[float, bool, int]:
    """Replay a policy: cost in on-demand hours, whether the deadline was met, and how often spot was taken away."""
    place, pending, done, cost, taken = IDLE, 0.0, 0.0, 0.0, 0
    steps, seen = int(np.floor(deadline / step + 1e-9)), 0.0
    # Decisions are made at steps: what is left of the deadline after the last whole one is no use.
    deadline = steps * step
    for i in range(steps):
        there = spot[i]
        if place == SPOT and not there:
            place, taken = IDLE, taken + 1
        wanted = next_place(policy, place, there, i * step, done, work, deadline, changeover, pending, step, seen)
        seen += step if there else 0.0
        if wanted not in (place, IDLE):
            pending = changeover
        place = wanted
        if place == IDLE:
            if done >= work - 1e-12:
                break
            continue
        useful = max(0.0, step - pending)
        ran = step
        if done + useful >= work:
            ran = pending + (work - done) if pending < step else step
            useful = work - done
        pending = max(0.0, pending - step)
        done += useful
        cost += ran * (price if place == SPOT else 1.0)
    return cost, done >= work - 1e-9, taken

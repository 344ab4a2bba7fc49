"""Deadlines on spot: what to run on next, for work that may use spot capacity and must be done in time.

P5.1  Done is done: nothing runs after the work is complete.
P5.2  Safety net. Slack is the time left less the work left and what is left of a changeover. Waiting needs slack of
      one step and a changeover, spot needs slack of two changeovers to start and of one to stay; otherwise it runs on
      demand. So off demand a changeover of slack is always left, and no deadline is missed that on demand could meet.
P5.3  What runs on spot stays there until it is taken away.
P5.4  Greedy waits without spot until the safety net. Uniform progress: without spot it runs on demand once it is
      behind the straight line from start to deadline, and goes back to spot when that is there and it is ahead by two
      changeovers. Both are policies of "Can't Be Late" (NSDI'24), as is the margin that they keep: off spot with slack
      below two changeovers they run on demand until the end.
P5.5  Expected cost: what is cheapest in expectation, by what `place.outlook` expects of spot (P5.6 to P5.8).
No policy looks ahead. Arrays and numbers only.
"""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np
import numpy.typing as npt

from argosy.place.outlook import BELIEF_SPELLS, IDLE, ON_DEMAND, SHAPE, SPELL_HOURS, SPOT, Decisions, Outlook, outlook

Bools = npt.NDArray[np.bool_]
Numbers = npt.NDArray[np.float64]

GREEDY, UNIFORM, EXPECTED = 0, 1, 2
SMALL = 1e-9
NO_ADVICE = -1
_SHAPE_AWAY, _SHAPE_THERE = SHAPE
_NO_OUTLOOK = Outlook(np.zeros((1, 1, 1, 1, 4), np.int8), 1.0, np.ones(1), np.zeros(1))


class Ran(NamedTuple):
    """A policy replayed. Cost in hours on demand; hours are of useful work, changeovers not counted."""

    cost: float
    met: bool
    taken: int
    changes: int
    spot_hours: float
    on_demand_hours: float


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
    advice: int,
) -> int:
    """IDLE, SPOT or ON_DEMAND for the next step.

    All times in hours; `pending` is what is left of a changeover, `advice` what P5.8 would do (for EXPECTED).
    """
    left = work - done
    if left <= SMALL:
        return IDLE
    slack = deadline - elapsed - left
    wait = slack >= step + changeover - SMALL
    if place == SPOT:
        if spot and slack - pending >= changeover - SMALL:
            return SPOT
        return ON_DEMAND
    start = spot and slack >= 2 * changeover - SMALL
    if policy == EXPECTED:
        if advice == SPOT and start:
            return SPOT
        if advice == IDLE and wait:
            return IDLE
        return ON_DEMAND
    if slack < max(2 * changeover, step + changeover) - SMALL:
        return ON_DEMAND
    if policy == GREEDY:
        return SPOT if spot else IDLE
    if place == ON_DEMAND:
        ahead = done >= (elapsed + 2 * changeover) * work / deadline
        return SPOT if spot and ahead else ON_DEMAND
    if spot:
        return SPOT
    return ON_DEMAND if done < elapsed * work / deadline else IDLE


def run(  # noqa: PLR0917  the order of `next_place`
    policy: int, spot: Bools, step: float, work: float, deadline: float, changeover: float, price: float
) -> Ran:
    """Replay a policy on what was there at each step; times in hours, price of spot as a share of that on demand."""
    steps = int(np.floor(deadline / step + SMALL))
    view = _NO_OUTLOOK
    if policy == EXPECTED:
        view = outlook(work, steps * step, changeover, price)
    return Ran(
        *_run(
            policy,
            np.asarray(spot, dtype=np.bool_),
            step,
            work,
            steps,
            changeover,
            price,
            view.decisions,
            view.cell_hours,
            view.factors,
            view.edges_hours,
        )
    )


@numba.njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def _nearest(factors: Numbers, ended: float, expected: float) -> int:
    """P5.7: position of the factor nearest to (belief + spells that ended) / (belief + spells expected to end)."""
    believed = np.log((BELIEF_SPELLS + ended) / (BELIEF_SPELLS + expected))
    best = 0
    for i in range(1, len(factors)):
        if abs(np.log(factors[i]) - believed) < abs(np.log(factors[best]) - believed):
            best = i
    return best


@numba.njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def _run(  # noqa: PLR0917  compiled
    policy: int,
    spot: Bools,
    step: float,
    work: float,
    steps: int,
    changeover: float,
    price: float,
    decisions: Decisions,
    cell: float,
    factors: Numbers,
    edges: Numbers,
) -> tuple[float, bool, int, int, float, float]:
    place, pending, done, cost, taken, changes = IDLE, 0.0, 0.0, 0.0, 0, 0
    on_spot, on_demand = 0.0, 0.0
    # Decisions are made at steps: what is left of the deadline after the last whole one is no use.
    deadline = steps * step
    # The spell that is under way at the start is taken to be as old as SPELL_HOURS.
    before, age, ages = spot[0], SPELL_HOURS, len(edges)
    ended_away, ended_there, expected_away, expected_there = 0.0, 0.0, 0.0, 0.0
    for i in range(steps):
        if done >= work - SMALL:
            break
        there = spot[i]
        if there != before:
            if before:
                ended_there += 1
            else:
                ended_away += 1
            before, age = there, 0.0
        if place == SPOT and not there:
            place, pending, taken = IDLE, 0.0, taken + 1
        elapsed = i * step
        advice = NO_ADVICE
        if policy == EXPECTED and place != SPOT:
            old = ages - 1
            while age < edges[old] - SMALL:
                old -= 1
            slack = deadline - elapsed - (work - done) - pending
            left = deadline - elapsed
            last = decisions.shape[2] - 1
            if left > (last + 1) * cell:
                slack *= last * cell / left
            j = min(int(left / cell + 0.5), last)
            s = min(max(int(slack / cell + 0.5), 0), decisions.shape[3] - 1)
            state = ((2 if place == ON_DEMAND else 0) + (1 if there else 0)) * ages + old
            a = _nearest(factors, ended_away, expected_away)
            t = _nearest(factors, ended_there, expected_there)
            advice = decisions[a, t, j, s, state]
        wanted = next_place(policy, place, there, elapsed, done, work, deadline, changeover, pending, step, advice)
        grew = np.log((age + step + SPELL_HOURS) / (age + SPELL_HOURS))
        if there:
            expected_there += _SHAPE_THERE * grew
        else:
            expected_away += _SHAPE_AWAY * grew
        age += step
        if wanted == IDLE:
            pending = 0.0
        elif wanted != place:
            pending, changes = changeover, changes + 1
        place = wanted
        if place == IDLE:
            continue
        useful = max(0.0, step - pending)
        ran = step
        if done + useful >= work:
            ran = pending + (work - done) if pending < step else step
            useful = work - done
        pending = max(0.0, pending - step)
        done += useful
        cost += ran * (price if place == SPOT else 1.0)
        if place == SPOT:
            on_spot += useful
        else:
            on_demand += useful
    return cost, done >= work - SMALL, taken, changes, on_spot, on_demand

"""How long spot capacity stays and stays away, and what is cheapest to do about it: rules P5.6 to P5.8.

Holds the law of spells, what was learned about it so far, and the table of decisions that a dynamic program writes.
`place.deadlines` reads it. Nothing here sees a series: the numbers below were set on every second one of the public
series, in order of their names.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numba
import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.float64]
Decisions = npt.NDArray[np.int8]

IDLE, SPOT, ON_DEMAND = 0, 1, 2
AWAY, THERE = 0, 1

SPELL_HOURS = 0.7  # P5.6: a spell of this age ends half as often as a new one
SHAPE = (1.3, 1.25)  # P5.6: of spells without spot, of spells with it
BELIEF_SPELLS = 5.0  # P5.7: how many spells the shapes above count for
EDGES_HOURS = (0.0, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8)  # P5.8: a spell's age is known to these
FACTORS = tuple(2.0 ** (0.75 * i) for i in range(-2, 3))  # P5.7: how far a zone may be from the shapes above
CELLS, COARSEST_HOURS = 400, 0.25  # P5.8: the time left in at most so many cells, none longer than this or a changeover


@dataclass(frozen=True, slots=True)
class Outlook:
    """P5.8 solved: `decisions` by factor without and with spot, time left, slack left and state.

    A state is 8 ages each of: idle without spot, idle with it, on demand without, on demand with. Time left and slack
    left count in `cell_hours`. With more time left than the table has, its last row and slack in proportion hold.
    """

    decisions: Decisions
    cell_hours: float
    factors: Numbers
    edges_hours: Numbers


@lru_cache(maxsize=8)
def outlook(work_hours: float, deadline_hours: float, changeover_hours: float, spot_price_ratio: float) -> Outlook:
    """The decisions for work of this length and deadline; price as a share of that on demand.

    Takes a quarter of a second and about 20 MB, most of it for long deadlines.
    """
    coarsest = max(changeover_hours, COARSEST_HOURS)
    cell = max(changeover_hours / 2, min(deadline_hours / CELLS, coarsest), 1e-3)
    horizon = min(deadline_hours, CELLS * cell)
    edges = np.array(EDGES_HOURS)
    ends = np.array([*EDGES_HOURS[1:], 2 * EDGES_HOURS[-1]])
    mean = np.log((ends + SPELL_HOURS) / (edges + SPELL_HOURS)) / (ends - edges)
    older = np.minimum(1.0, cell / (ends - edges))
    older[-1] = 0.0
    cells = int(np.ceil(horizon / cell)) + 1
    slack = int(np.ceil(min(horizon, max(0.0, deadline_hours - work_hours)) / cell)) + 2
    factors = np.array(FACTORS)
    found = np.zeros((len(factors), len(factors), cells, slack, 4 * len(edges)), dtype=np.int8)
    for a, away in enumerate(factors):
        for t, there in enumerate(factors):
            end_away = 1 - np.exp(-SHAPE[AWAY] * away * mean * cell)
            end_there = 1 - np.exp(-SHAPE[THERE] * there * mean * cell)
            _solve(found[a, t], end_away, end_there, older, cell, changeover_hours / cell, spot_price_ratio)
    return Outlook(found, cell, factors, edges)


@numba.njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def _solve(  # noqa: PLR0917  compiled
    found: Decisions, end_away: Numbers, end_there: Numbers, older: Numbers, cell: float, change: float, price: float
) -> None:
    """P5.8, backwards over the time left; `change` is a changeover in cells of slack, `price` that of spot."""
    cells, slack, _ = found.shape
    ages = len(older)
    never = 1e9
    down, up, spot, paid, paid_up = 0, ages, 2 * ages, 3 * ages, 4 * ages
    value = np.zeros((5 * ages, slack))
    then = np.zeros((5 * ages, slack))
    next_value = np.zeros((5 * ages, slack))
    whole = int(np.floor(change))
    part = change - whole
    for j in range(1, cells):
        for b in range(ages):
            o = min(b + 1, ages - 1)
            grow = older[b]
            for s in range(slack):
                then[down + b, s] = end_away[b] * value[up, s] + (1 - end_away[b]) * (
                    (1 - grow) * value[down + b, s] + grow * value[down + o, s]
                )
                then[up + b, s] = end_there[b] * value[down, s] + (1 - end_there[b]) * (
                    (1 - grow) * value[up + b, s] + grow * value[up + o, s]
                )
                then[spot + b, s] = end_there[b] * value[down, s] + (1 - end_there[b]) * (
                    (1 - grow) * value[spot + b, s] + grow * value[spot + o, s]
                )
                then[paid + b, s] = end_away[b] * value[paid_up, s] + (1 - end_away[b]) * (
                    (1 - grow) * value[paid + b, s] + grow * value[paid + o, s]
                )
                then[paid_up + b, s] = end_there[b] * value[paid, s] + (1 - end_there[b]) * (
                    (1 - grow) * value[paid_up + b, s] + grow * value[paid_up + o, s]
                )
        for s in range(slack):
            left = (j - s) * cell
            if left <= 1e-9:
                next_value[:, s] = 0.0
                continue
            ran = min(cell, left)
            for b in range(ages):
                wait = then[down + b, s - 1] if s >= 1 else never
                wait_up = then[up + b, s - 1] if s >= 1 else never
                pay = pay_up = start = never
                if s > whole:
                    pay = ran + (1 - part) * then[paid + b, s - whole] + part * then[paid + b, s - whole - 1]
                    pay_up = ran + (1 - part) * then[paid_up + b, s - whole] + part * then[paid_up + b, s - whole - 1]
                    start = ran * price + (1 - part) * then[spot + b, s - whole] + part * then[spot + b, s - whole - 1]
                elif s == whole:
                    # The changeover is all that there is time for: on demand until the end.
                    pay = pay_up = left + change * cell
                stay = ran + then[paid + b, s]
                stay_up = ran + then[paid_up + b, s]

                best = IDLE if wait < pay else ON_DEMAND
                found[j, s, b] = best
                next_value[down + b, s] = min(wait, pay)

                best, least = SPOT, start
                if wait_up < least:
                    best, least = IDLE, wait_up
                if pay_up < least:
                    best, least = ON_DEMAND, pay_up
                found[j, s, ages + b] = best
                next_value[up + b, s] = least

                next_value[spot + b, s] = ran * price + then[spot + b, s]

                found[j, s, 2 * ages + b] = IDLE if wait < stay else ON_DEMAND
                next_value[paid + b, s] = min(wait, stay)

                best, least = ON_DEMAND, stay_up
                if start < least:
                    best, least = SPOT, start
                if wait_up < least:
                    best, least = IDLE, wait_up
                found[j, s, 3 * ages + b] = best
                next_value[paid_up + b, s] = least
        value, next_value = next_value, value

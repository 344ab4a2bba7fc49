"""Pace: work and time of an ask with a deadline, rounded so that asks that are nearly alike stay one class (P1.1).

C8  Hours are rounded to a 16th at most, what is left up and what is due down; work that is done and time that is over
    are rounded in proportion, so that the shares that P5.15 compares stay as they are.
Called by the keeper of simulated leases and by the live loop.
"""

from __future__ import annotations

import math
from typing import TypedDict

PARTS = 16
LEAST_HOURS = 0.5 / PARTS
"""Nothing is rounded finer than this."""


class Amounts(TypedDict):
    """Fields of an ask."""

    remaining_units: float
    attained_units: float
    deadline_hours: float
    elapsed_hours: float


def amounts(
    left_hours: float, done_hours: float, due_hours: float, elapsed_hours: float, accelerators: float
) -> Amounts:
    """C8. `left_hours` and `due_hours` must lie above 0; hours of work are those of a chip of speed 1."""
    left, due = max(LEAST_HOURS, rounded(left_hours, up=True)), max(LEAST_HOURS, rounded(due_hours, up=False))
    return {
        "remaining_units": left * accelerators,
        "attained_units": done_hours * accelerators * left / left_hours,
        "deadline_hours": due,
        "elapsed_hours": elapsed_hours * due / due_hours,
    }


def rounded(hours: float, *, up: bool) -> float:
    """C8 for one amount."""
    if hours <= 0:
        return 0.0
    part = 2.0 ** max(-1, math.floor(math.log2(hours))) / PARTS
    return part * (math.ceil(hours / part - 1e-9) if up else math.floor(hours / part + 1e-9))

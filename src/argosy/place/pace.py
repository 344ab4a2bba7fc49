"""Pace: where work with a deadline stands beside the straight line from its start to its deadline.

One ask at a time, from its record. `world` tells classes apart by it, `waiting` and `uniform` decide by it.
"""

from __future__ import annotations

from typing import NamedTuple

from argosy.model.snapshot import PlaceAsk

SMALL = 1e-9
CHANGEOVERS_AHEAD = 2


class Pace(NamedTuple):
    """All that P5.15 asks of the line; asks that are alike in it are one class (P1.1)."""

    ahead: bool
    """Whether the work is at or ahead of the line."""
    well_ahead: bool
    """Whether it is so by two changeovers."""


def may_hope(ask: PlaceAsk) -> bool:
    """Whether P5.14 and P5.15 speak of an ask: it ends, has a deadline, may be stopped and may use spot."""
    ends = ask.remaining_units is not None and ask.deadline_hours is not None and ask.units_per_hour is None
    return ends and ask.preemptible and ask.spot_goodput_fraction is not None


def reserve_hours(ask: PlaceAsk, look_hours: float) -> float:
    """What is left of the deadline for what nobody sees until the next look: a look, and a changeover at least."""
    return max(ask.restart_hours, look_hours)


def shares(ask: PlaceAsk, look_hours: float) -> tuple[float, float]:
    """Share of the work that is done, and of the time that is over; the deadline counts less the reserve."""
    assert ask.remaining_units is not None
    assert ask.deadline_hours is not None
    time = ask.elapsed_hours + ask.deadline_hours - reserve_hours(ask, look_hours)
    over = ask.elapsed_hours / time if time > 0 else float("inf")
    return ask.attained_units / (ask.attained_units + ask.remaining_units), over


def ahead_hours(ask: PlaceAsk, look_hours: float) -> float:
    """By how many hours the work is ahead of the line; minus infinity where no time is left."""
    assert ask.deadline_hours is not None
    done, _ = shares(ask, look_hours)
    time = ask.elapsed_hours + ask.deadline_hours - reserve_hours(ask, look_hours)
    return done * time - ask.elapsed_hours if time > 0 else float("-inf")


def pace(ask: PlaceAsk, look_hours: float) -> Pace:
    """Where an ask stands."""
    ahead = ahead_hours(ask, look_hours)
    return Pace(ahead >= -SMALL, ahead >= CHANGEOVERS_AHEAD * ask.restart_hours - SMALL)

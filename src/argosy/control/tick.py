"""Tick: observe, place, carry out, book, in this order and never another.

The four parties are protocols: live they are the store, the engines' drivers and the ledger, in `simulate` they are
recorded or invented. The order of carrying out keeps the invariants whatever fails between two steps: what stops is
stopped before what starts, data is ordered before its readers, and every step is booked once it has happened, by a key
that makes booking it twice the same as once. A tick that is cut off is simply followed by the next: it observes again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from argosy.clock import Clock
from argosy.model.placement import Assignment, Eviction, Placement, Transfer
from argosy.model.snapshot import Objective, Snapshot
from argosy.place import place
from argosy.settings import Settings

Step = Eviction | Transfer | Assignment


class Observer(Protocol):
    """Who says how the world is."""

    def snapshot(self) -> Snapshot:
        """The world now."""


class Hands(Protocol):
    """Who carries out. Each call may fail with OutsideError and may be repeated: doing it twice is doing it once."""

    def stop(self, step: Eviction) -> None:
        """Stop asks and free their accelerators."""

    def copy(self, step: Transfer) -> None:
        """Order a copy of data."""

    def start(self, step: Assignment) -> None:
        """Start asks, or move them from where they run."""


class Book(Protocol):
    """Who keeps what happened."""

    def decided(self, decision: str, placement: Placement) -> None:
        """Keep a decision before anything of it is carried out."""

    def done(self, decision: str, number: int, step: Step) -> None:
        """Keep that one step happened; the same decision and number again change nothing."""


@dataclass(frozen=True, slots=True)
class Tick:
    """What one tick did."""

    placement: Placement
    steps: int
    """Steps carried out; 0 when all stays as it is."""


def tick(
    observer: Observer,
    hands: Hands,
    book: Book,
    *,
    clock: Clock,
    objective: Objective = "value",
    settings: Settings | None = None,
) -> Tick:
    """One tick. Errors of the outside end it where it stands; the next one observes what really happened."""
    placement = place(observer.snapshot(), objective=objective, settings=settings)
    decision = f"{clock.now().isoformat()}/{placement.inputs_hash[:16]}"
    book.decided(decision, placement)
    steps = plan_steps(placement)
    for number, step in enumerate(steps):
        if isinstance(step, Eviction):
            hands.stop(step)
        elif isinstance(step, Transfer):
            hands.copy(step)
        else:
            hands.start(step)
        book.done(decision, number, step)
    return Tick(placement, len(steps))


def plan_steps(placement: Placement) -> list[Step]:
    """The steps of a placement in their order: stops, copies, moves, starts. What stays needs none."""
    moves = [row for row in placement.assignments if row.change == "migrate"]
    starts = [row for row in placement.assignments if row.change == "start"]
    return [*placement.evictions, *placement.transfers, *moves, *starts]

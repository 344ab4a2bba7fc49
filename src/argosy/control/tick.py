"""Tick: observe, place, carry out, book, in this order and never another.

The four parties are protocols: live they are the store, the engines' drivers and the ledger, in `simulate` they are
recorded or invented. The order of carrying out keeps the invariants whatever fails between two steps: what stops is
stopped before what starts, data is ordered before its readers, and every step is booked once it has happened, by a key
that makes booking it twice the same as once. A tick that is cut off is simply followed by the next: it observes again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from argosy.clock import Clock
from argosy.control.protocols import Halt, Level
from argosy.errors import OutsideError
from argosy.model.placement import Assignment, Eviction, Placement, Transfer
from argosy.model.snapshot import Objective, Snapshot
from argosy.place import place
from argosy.settings import Settings

Step = Eviction | Halt | Transfer | Level | Assignment
Decide = Callable[[Snapshot], Placement]
SAME_ACCELERATORS = 1e-6


class Observer(Protocol):
    """Who says how the world is."""

    def snapshot(self) -> Snapshot:
        """The world now."""


class Flows(Protocol):
    """Who serves work that flows, where anybody does."""

    def levels(self) -> Mapping[tuple[str, str], float]:
        """(ask, pool) to accelerators that serve work that flows, now."""

    def serve(self, step: Level) -> None:
        """Set how many accelerators serve an ask. May fail and be repeated like any of Hands."""


class Hands(Protocol):
    """Who carries out. Each call may fail with OutsideError and may be repeated: doing it twice is doing it once."""

    def stop(self, step: Eviction) -> None:
        """Stop asks and free their accelerators."""

    def halt(self, step: Halt) -> None:
        """Stop an ask that moves, its work saved."""

    def copy(self, step: Transfer) -> None:
        """Order a copy of data."""

    def start(self, step: Assignment) -> None:
        """Start asks; one that moves has been halted before."""


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
    failed: tuple[tuple[Step, str], ...] = ()
    """Steps that the outside did not carry out, or that depended on one of those, with the reason."""


def tick(
    observer: Observer,
    hands: Hands,
    book: Book,
    *,
    clock: Clock,
    flows: Flows | None = None,
    objective: Objective = "value",
    settings: Settings | None = None,
    gap: float = 1e-6,
    decide: Decide | None = None,
) -> Tick:
    """One tick.

    A step that the outside fails is left out with those that depend on it (what would start on accelerators that were
    not freed, move without having been halted, or read data that was not ordered); all others are carried out, so that
    one vendor that does not answer holds up no other. The next tick observes what really happened. `decide` replaces
    `place`, for callers that remember decisions; it must give what `place` would.
    """
    snapshot = observer.snapshot()
    chosen = decide or partial(place, objective=objective, gap=gap, settings=settings)
    placement = chosen(snapshot)
    decision = f"{clock.now().isoformat()}/{placement.inputs_hash[:16]}"
    book.decided(decision, placement)
    flowing = frozenset(ask.id for ask in snapshot.asks if flows is not None and ask.units_per_hour is not None)
    levels = {} if flows is None else flows.levels()
    running = {ask.id: ask.running_in for ask in snapshot.asks if ask.running_in is not None}
    region_of = {pool.id: pool.region for pool in snapshot.pools}
    full: set[str] = set()
    held: set[str] = set()
    unread: set[tuple[str, str]] = set()
    failed: list[tuple[Step, str]] = []
    count = 0
    for number, step in enumerate(plan_steps(placement, flowing, levels, running)):
        if isinstance(step, Assignment) and (
            step.pool in full or step.ask in held or (step.ask, region_of[step.pool]) in unread
        ):
            failed.append((step, "a step before it failed"))
            continue
        try:
            _carry_out(hands, flows, step)
        except OutsideError as error:
            failed.append((step, str(error)))
            if isinstance(step, Eviction | Halt):
                full.add(step.pool)
                held.add(step.ask)
            elif isinstance(step, Transfer):
                unread |= {(reader, step.to_region) for reader in step.readers}
            continue
        book.done(decision, number, step)
        count += 1
    return Tick(placement, count, tuple(failed))


def _carry_out(hands: Hands, flows: Flows | None, step: Step) -> None:
    if isinstance(step, Eviction):
        hands.stop(step)
    elif isinstance(step, Halt):
        hands.halt(step)
    elif isinstance(step, Transfer):
        hands.copy(step)
    elif isinstance(step, Level):
        assert flows is not None, "only what flows has a level"
        flows.serve(step)
    else:
        hands.start(step)


def plan_steps(
    placement: Placement,
    flows: frozenset[str] = frozenset(),
    levels: Mapping[tuple[str, str], float] | None = None,
    running: Mapping[str, str] | None = None,
) -> list[Step]:
    """The steps of a placement in their order: stops, halts, levels that fall, copies, moves, starts, levels that rise.

    `flows` are the asks whose work flows; `levels` is what serves them now; `running` is the pool where an ask runs.
    What stays as it is needs no step.
    """
    now = dict(levels or {})
    then: dict[tuple[str, str], float] = {}
    for row in placement.assignments:
        if row.ask in flows:
            then[row.ask, row.pool] = then.get((row.ask, row.pool), 0.0) + row.accelerators
    changed = [
        Level(ask, pool, then.get((ask, pool), 0.0))
        for ask, pool in sorted({*now, *then})
        if abs(then.get((ask, pool), 0.0) - now.get((ask, pool), 0.0)) > SAME_ACCELERATORS
    ]
    falls = [step for step in changed if step.accelerators < now.get((step.ask, step.pool), 0.0)]
    rises = [step for step in changed if step.accelerators >= now.get((step.ask, step.pool), 0.0)]
    moves = [row for row in placement.assignments if row.change == "migrate" and row.ask not in flows]
    starts = [row for row in placement.assignments if row.change == "start" and row.ask not in flows]
    halts = [Halt(row.ask, (running or {})[row.ask]) for row in moves]
    return [*placement.evictions, *halts, *falls, *placement.transfers, *moves, *starts, *rises]

"""Protocols: what the keeper of leases needs of the world, and the few words they exchange.

An `Engine` starts runs, a `Store` keeps records and a `Market` reads contracts and vendors' status; in `simulate` all
three are invented and can fail. Nothing here decides. Every call may be repeated, and an `OutsideError`
says nothing about whether the call had its effect: who calls asks again later. Hours are those of the caller's
monotonic clock.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from argosy.errors import OutsideError
from argosy.model.placement import Placement, Transfer
from argosy.model.snapshot import PlaceAsk, PoolState, Replica, Snapshot, SupplyState

Reason = Literal["done", "moved", "evicted", "preempted", "refused", "returned", "unreachable", "lost"]
"""Why a lease ended. `returned`: it never started. `lost`: nobody knows what became of it; results are fenced."""


class Refused(OutsideError):
    """The engine has no room for this run; nothing was started."""

    code = "outside.refused"
    retryable = False


@dataclass(frozen=True, slots=True)
class Want:
    """An intent: work that somebody asked for. It is never re-created; runs are attempts at it."""

    ask: PlaceAsk
    """As it arrived: work in all, accelerators, value, residency, data."""
    arrived_hours: float
    due_hours: float | None
    """When it should be done; late work is still done."""
    unsaved_hours: float = 0.0
    """Hours of work at most that are lost when its accelerators are taken away."""


@dataclass(frozen=True, slots=True)
class Saved:
    """The newest result that a run has committed for an ask."""

    units: float
    region: str | None
    """Where the checkpoint lies; None when there is none."""


@dataclass(frozen=True, slots=True)
class Lease:
    """The right of one run to commit results for an ask, until it ends or a higher epoch is granted."""

    ask: str
    epoch: int
    pool: str
    accelerators: float
    granted_hours: float

    @property
    def run(self) -> str:
        """The tag that engines keep with the run."""
        return f"{self.ask}#{self.epoch}"


@dataclass(frozen=True, slots=True)
class Order:
    """What an engine is told to start."""

    lease: Lease
    ask: PlaceAsk
    left_units: float
    """Work that remains."""
    after_hours: float
    """Hours until useful work that the decision expects: data, checkpoint, restart."""


State = Literal["provisioning", "running", "done", "preempted", "stopped"]
ALIVE: tuple[State, ...] = ("provisioning", "running")


@dataclass(frozen=True, slots=True)
class Sighting:
    """What an engine says of one run. The newest sequence number counts, whatever order messages come in."""

    ask: str
    epoch: int
    pool: str
    state: State
    sequence: int
    units: float
    """Work done so far, committed or not."""

    @property
    def run(self) -> str:
        """The tag of the run."""
        return f"{self.ask}#{self.epoch}"


@dataclass(frozen=True, slots=True)
class Level:
    """A step for work that flows: how many accelerators of a pool serve an ask from now on."""

    ask: str
    pool: str
    accelerators: float


@dataclass(frozen=True, slots=True)
class Halt:
    """A step: the first half of a move. All that moves is halted before any of it starts elsewhere, so that asks which
    swap places find room."""

    ask: str
    pool: str


class Engine(Protocol):
    """One vendor: starts, stops and lists runs, which carry our tag. Live: a driver."""

    vendor: str

    def start(self, order: Order) -> None:
        """Start a run; again with the same tag it does nothing. Refused when there is no room."""

    def stop(self, run: str) -> None:
        """Stop a run, saving its work first where it can; a run that is not there is stopped."""

    def level(self, step: Level) -> None:
        """Set how many accelerators serve an ask in a pool; Refused when there is no room."""

    def list_by_tag(self) -> Sequence[Sighting]:
        """All runs that are alive (and billed), whoever ordered them."""

    def levels(self) -> Mapping[tuple[str, str], float]:
        """(ask, pool) to accelerators that serve it now."""

    def receive(self) -> Sequence[Sighting]:
        """Messages since the last call; some are lost, late, repeated or out of order."""


class Results(Protocol):
    """What workers write themselves, before they end: conditional on the epoch, so that a superseded run changes
    nothing."""

    def save(self, ask: str, epoch: int, units: float, region: str) -> bool:
        """Keep a checkpoint; False when the epoch is fenced off."""

    def finish(self, ask: str, epoch: int, units: float, region: str) -> bool:
        """Write the exit record; False when the epoch is fenced off."""

    def saved(self, ask: str) -> Saved:
        """The newest checkpoint."""

    def finished(self, ask: str) -> int | None:
        """Epoch of the exit record; None when there is none."""


class Store(Results, Protocol):
    """Where records rest. Every change is one durable write that is appended to a log; state is a fold over it."""

    def wants(self) -> Mapping[str, Want]:
        """Asks that have not ended, by id, in order of arrival."""

    def leases(self) -> Mapping[str, Lease]:
        """Current lease of each ask that has one."""

    def stopped(self, ask: str) -> bool:
        """Whether its last lease ended because others needed the room; such an ask stops nobody."""

    def epoch(self, ask: str) -> int:
        """Newest epoch granted; 0 before the first."""

    def grant(self, lease: Lease) -> bool:
        """Grant a lease and fence off all earlier epochs. False, and no change, unless the ask waits and its epoch is
        the next."""

    def release(self, ask: str, epoch: int, reason: Reason) -> bool:
        """End a lease and fence it off; `done` ends the ask. False, and no change, when it is not the current one."""

    def replicas(self) -> Sequence[Replica]:
        """Copies of data that are there or on their way."""

    def copied(self, step: Transfer) -> None:
        """Keep that a copy was ordered; again changes nothing."""

    def decided(self, decision: str, placement: Placement) -> None:
        """Keep a decision before anything of it is carried out."""

    def done(self, decision: str, number: int, words: str) -> None:
        """Keep that one step happened; the same decision and number again change nothing."""


class Mover(Protocol):
    """Who copies data between regions."""

    def copy(self, step: Transfer) -> None:
        """Order a copy; ordering it twice is ordering it once."""


class Market(Protocol):
    """What may be used now, by contract and by what vendors say."""

    def capacity(self) -> tuple[tuple[PoolState, ...], tuple[SupplyState, ...]]:
        """Pools with prices, and the supplies that they share."""

    def flows(self) -> tuple[PlaceAsk, ...]:
        """Demand that flows now, with what each ask wants per hour."""

    def frame(self) -> Snapshot:
        """A snapshot with everything that does not change within a month: regions, data, links, policy, window."""

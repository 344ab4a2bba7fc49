"""Placement: what `place` answers, with prices, runner-up and reasons. `control` carries it out, `explain` reads it."""

from __future__ import annotations

from typing import Literal

from argosy.model.decision import Excuse
from argosy.model.snapshot import Objective
from argosy.record import Record

Change = Literal["stay", "start", "migrate"]


class Seat(Record):
    """Where one part of an ask runs."""

    member: int
    """Which of the row's asks, from 0."""
    node: str
    """Node."""
    accelerators: float
    """Accelerators it takes there; a fraction is a share of one device."""


class Assignment(Record):
    """Asks of one row that run in one pool."""

    ask: str
    """Ask."""
    pool: str
    """Pool."""
    count: float
    """How many of the row's identical asks; a share of one when it is divisible."""
    accelerators: float
    """Accelerators that they take in all."""
    change: Change
    """Whether they stay, start, or come from another pool."""
    start_after_hours: float
    """Hours until the data is there and the restart done."""
    gain_usd_per_hour: float
    """Value less internal price, per hour, of all of them."""
    runner_up: str | None
    """Next best pool; None when there is no other."""
    runner_up_loss_usd_per_hour: float | None
    """What one of them would lose there at the prices of scarcity found here."""
    why_not: str | None
    """What speaks against the runner-up, in words."""
    seats: tuple[Seat, ...] = ()
    """Nodes, where those of the pool are known."""


class Eviction(Record):
    """Running asks that are stopped for others."""

    ask: str
    """Ask."""
    pool: str
    """Pool it leaves."""
    count: float
    """How many."""
    reason: str
    """Why, in words."""


class Transfer(Record):
    """A copy of data that is ordered before its readers start; charged once, shared by all of them."""

    dataset: str
    """Dataset."""
    from_region: str
    """Where it is copied from."""
    to_region: str
    """Where it is copied to."""
    gib: float
    """Amount."""
    usd: float
    """Price of the way, once."""
    hours: float
    """At median throughput."""
    slow_hours: float
    """At the throughput that 9 of 10 measurements pass."""
    readers: tuple[str, ...]
    """Asks that wait for it."""


class PoolUse(Record):
    """One pool in the decision."""

    pool: str
    """Pool."""
    capacity_accelerators: float
    """Most that could be used here."""
    used_accelerators: float
    """Used by this placement."""
    usd_per_accelerator_hour: float
    """Internal price that was charged."""
    scarcity_usd_per_accelerator_hour: float
    """What one more accelerator-hour here would add to the objective (dual), 0 when there is room."""


class LimitUse(Record):
    """One limit in the decision, met or not."""

    rule: str
    """Number of the rule in docs/concepts/place.md."""
    limit: str
    """Which one: supply, team, vendor, power limit, or ask and failure domain."""
    used: float
    """How much of it is used."""
    most: float
    """How much there is; for a floor, how much is owed."""
    unit: str
    """Of both."""
    dual_usd_per_unit: float
    """What one unit more, for one hour, would add to the objective (0 when there is room; value only).

    For a floor: by how much its capacity is cheaper than its price while the floor is not met.
    """


class Draw(Record):
    """Capacity that one pool takes from a supply that several may use."""

    supply: str
    """Supply row."""
    pool: str
    """Pool."""
    accelerators: float
    """Accelerators."""


class Unplaced(Record):
    """Asks that do not run, with the reasons."""

    ask: str
    """Ask."""
    count: float
    """How many."""
    excuses: tuple[Excuse, ...]
    """One for every rule that stands in the way, the nearest to a start first.

    Asks that are alike share them: the subject is the first of these.
    """


class Placement(Record):
    """The decision of one tick."""

    status: Literal["optimal", "feasible"]
    """optimal: within the gap asked for."""
    objective: Objective
    """What was optimised."""
    objective_value: float
    """Its value: USD over the window for value and cost, a ratio for fairness, hours for makespan."""
    gap_fraction: float
    """How far from the best possible it can be at most."""
    classes: int
    """Distinct classes that the asks were reduced to."""
    price_source: Literal["plan", "contracts"]
    """Where the internal prices come from."""
    price_note: str
    """The same in words."""
    inputs_hash: str
    """SHA-256 of the snapshot."""
    solver: str
    """Solver and version."""
    forced: bool = False
    """Whether a limit has fallen below what runs, so that asks are stopped although nobody takes their place."""
    solves: int = 1
    """Times that the value layer was solved until its counts fitted onto the nodes."""
    worst_residual: float
    """Largest violation of any rule, recounted without the solver, relative to its scale."""
    assignments: tuple[Assignment, ...]
    evictions: tuple[Eviction, ...]
    transfers: tuple[Transfer, ...]
    pools: tuple[PoolUse, ...]
    limits: tuple[LimitUse, ...]
    draws: tuple[Draw, ...]
    unplaced: tuple[Unplaced, ...]

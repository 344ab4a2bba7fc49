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
    round_trip_milliseconds: float | None = None
    """From its farthest users, where it says how near they must be."""
    max_round_trip_milliseconds: float | None = None
    """The most that it allows."""
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
    off_spot: str | None = None
    """Why its deadline keeps it off a spot pool that it could use otherwise (P5.14, P5.15); None where it does not."""


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
    slow_hours: float | None
    """At the throughput that 9 of 10 measurements pass; None where nobody measured that."""
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


class SharedTime(Record):
    """Time that an ask runs on accelerators beside another: part of a share of time."""

    ask: str
    """Ask."""
    beside: str
    """Kind of the work beside it, of an ask of the same size."""
    pool: str
    """Pool."""
    count: float
    """Time of all asks of the row, in asks; accelerators are half of that times the size of one."""
    speed_fraction: float
    """Its speed there, over its speed alone."""


class FairLevel(Record):
    """How one ask fares under an objective that gives shares of time."""

    ask: str
    """Ask."""
    first: bool
    """Whether it was placed first, by value, because shares of time have nothing to say about it (P4.7)."""
    progress_units_per_hour: float
    """Work done per hour of all asks of the row, on average over the rounds."""
    level: float | None
    """What the objective looks at, for one ask: a ratio, or hours for makespan; None for what was placed first.

    For `max_min` and `least_attained_service` the lowest of all is the value, for the others the highest.
    """
    progress_price: float
    """Price in the proof (P1.Z) of one unit per hour of its progress."""
    time_price: float
    """Price in the proof of all the time of one ask."""


class FairPrice(Record):
    """Price in the proof (P1.Z) of one unit of something that several asks take from."""

    rule: str
    """P1.P for an accelerator of a pool, else the rule of the limit."""
    limit: str
    """Pool or limit."""
    price: float
    """In the unit of the objective."""


class Fairness(Record):
    """Who fares how, and prices at which nobody needs a solver to see that the worst off cannot fare better."""

    levels: tuple[FairLevel, ...]
    """All asks that run or share."""
    prices: tuple[FairPrice, ...]
    """What is scarce; what is absent has the price 0."""


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
    shared: tuple[SharedTime, ...] = ()
    """Time on accelerators that two asks share; `assignments` hold the time alone."""
    fairness: Fairness | None = None
    """For objectives that give shares of time."""

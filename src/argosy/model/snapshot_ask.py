"""Asks as users write them: lines of the file given to `argosy place --jobs`, each of a workload of the portfolio."""

from __future__ import annotations

from typing import Annotated, Literal

from annotated_types import Ge, Gt, Le

from argosy.model.latency import Latency
from argosy.model.spread import Spread
from argosy.record import Id, Record
from argosy.units import Amount, Fraction, UsdPerAcceleratorHour


class AskLine(Record):
    """Some identical asks. What it does not say comes from its workload."""

    id: Id
    """Unique in the file."""
    workload: Id
    """Workload of the portfolio: silicon, families, residency, data and value come from there."""
    kind: Id | None = None
    """Kind of work in a table of pairs (`--pairs`); absent means its workload."""
    home: Id | None = None
    """Region of its data or users; absent means the workload's home with the largest share."""
    owner: Id | None = None
    """Team."""
    count: Annotated[int, Ge(1), Le(10_000_000)] = 1
    """Identical asks."""
    accelerators: Annotated[float, Gt(0), Le(10_000_000)]
    """Accelerators of one ask, all or nothing; below 1 it is a share of one."""
    one_domain: bool = False
    """Whether they must fit into one scale-up domain."""
    reference_hours: Annotated[float, Gt(0), Le(1e6)] | None = None
    """Hours that are left of it on as many reference accelerators; absent for work without an end."""
    done_reference_hours: Annotated[float, Ge(0), Le(1e6)] = 0.0
    """Hours of it that are done already, beside those of `reference_hours`, which are left."""
    deadline_hours: Annotated[float, Gt(0), Le(1e6)] | None = None
    """Hours until it must be done."""
    elapsed_hours: Amount = 0.0
    """Hours since it was asked for."""
    usd_per_accelerator_hour: UsdPerAcceleratorHour | None = None
    """Value of one reference accelerator-hour; absent means what the workload loses when it is not done."""
    latency: Latency | None = None
    """How near to its users it must run; absent means what its workload says."""
    spread: Spread | None = None
    """How its `count` replicas are kept apart."""
    firm_fraction: Fraction = 0.0
    """Least share of its replicas on capacity that is not spot."""
    cpu_milli: Annotated[int, Ge(0)] = 0
    """Thousandths of a CPU that one ask wants, where nodes are given."""
    memory_mib: Annotated[int, Ge(0)] = 0
    """Main memory that one ask wants, where nodes are given."""
    running_in: Id | None = None
    """Pool where it runs now."""
    running_on: tuple[Id, ...] = ()
    """Nodes where it runs now, in order of its parts; needed where the pool's nodes are given."""
    preemptible: bool = True
    """Whether it may be stopped for others."""
    may_preempt: bool = True
    """Whether others may be stopped for it; false for one that was itself stopped."""
    checkpoint_gib: Amount = 0.0
    """What must be carried to start elsewhere."""
    restart_hours: Amount = 0.0
    """Time until useful work after a start elsewhere, lost work included."""


class AskFile(Record):
    """The whole file."""

    argosy: Literal[1]
    """Version of this file format."""
    asks: tuple[AskLine, ...]
    """Asks, running or waiting."""

"""Ask: what every workload reduces to. Engines read this and never a workload's kind.

`plan` reads demand over months; `place` reads gang, window and value. Called by `model.workload` to build.
"""

from __future__ import annotations

from argosy.model.latency import Latency
from argosy.model.silicon import Profile
from argosy.record import Id, Record


class Port(Record):
    """What it costs to make the work run on another silicon family."""

    family: Id
    cost_usd: float
    lag_months: int


class Ask(Record):
    """One class of interchangeable demand: a workload as seen from one home of its data."""

    id: Id
    """Workload and home."""
    workload: Id
    """Workload it comes from."""
    home: Id
    """Region where its data lies or its users are."""
    profile: Profile
    """Which throughput of the silicon counts."""
    demand_units: tuple[float, ...]
    """Work wanted per month of the horizon; 1 unit is one month of the reference silicon at full goodput."""
    reserve_fraction: float
    """Margin added to the demand."""
    unserved_usd_per_unit: float
    """Cost of one unit not done."""
    max_backlog_months: float
    """How much work may wait, in months of mean demand; 0 means that work cannot wait."""
    spot_goodput_fraction: float | None
    """Share of the time that spot capacity does useful work; None forbids spot."""
    vendor_goodput_fraction: dict[str, float]
    """Goodput by vendor where it is not 1."""
    silicon: frozenset[str] | None
    """Types of chip it may use; None allows all with a measured throughput."""
    ratios: dict[str, float]
    """Own measurements of units per accelerator-month by silicon; they replace the catalogue's."""
    places: frozenset[str] | None
    """Countries, zones, regions or vendors it may run in; None allows all."""
    not_places: frozenset[str]
    """Countries, zones, regions or vendors it may not run in."""
    latency: Latency | None = None
    """How near to its users it must run; without `users` they are at home."""
    ports: tuple[Port, ...]
    """Silicon families that need porting first."""
    unported: frozenset[str]
    """Families that run without porting."""
    data_gib_per_unit: float
    """Data moved from its home per unit of work done elsewhere."""
    dataset: str | None
    """Dataset that a replica can bring near."""
    critical: bool
    """Whether it counts for adequacy and for the limit on one vendor's share of service."""
    inference: bool
    """Whether it is inference."""
    gang_accelerators: int
    """Accelerators that must run together; a domain or pool smaller than that cannot serve it."""

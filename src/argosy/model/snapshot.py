"""Snapshot: the world at one instant, as `place` sees it. Pure data: no clock, no store, no portfolio behind it.

`place.inputs` makes one from a portfolio and a list of asks; `control` makes one each tick; tests write them by hand.
"""

from __future__ import annotations

from typing import Annotated, Literal

from annotated_types import Ge, Gt, Le

from argosy.model.dataset import Dataset
from argosy.model.latency import Latency
from argosy.model.link import Link
from argosy.model.load import Residency
from argosy.model.pair_speed import PairSpeed
from argosy.model.pool import Tier
from argosy.model.region import Region
from argosy.model.spread import Spread
from argosy.record import Id, Record, Text
from argosy.units import Amount, Fraction, Usd

Objective = Literal["value", "max_min", "least_attained_service", "finish_time_fairness", "makespan", "cost"]
OBJECTIVES: tuple[Objective, ...] = (
    "value",
    "max_min",
    "least_attained_service",
    "finish_time_fairness",
    "makespan",
    "cost",
)


class PoolState(Record):
    """One pool now."""

    id: Id
    """Pool."""
    region: Id
    """Region it stands in."""
    silicon: Id
    """Type of chip."""
    family: Id
    """Software family of the chip."""
    tier: Tier = "dedicated"
    """Spot capacity may be taken away."""
    own_accelerators: Amount = 0.0
    """Capacity outside every supply row."""
    as_used_fraction: Fraction = 0.0
    """Share of that which costs nothing unless it is used; 0: all of it is paid for anyhow."""
    may_hold_accelerators: Amount | None = None
    """Most that a spot pool may come to hold when all its capacity is back; None is unknown: enough for anything."""
    domain_accelerators: Annotated[int, Ge(1)] | None = None
    """Accelerators in the largest free domain; None when nothing is known to bind."""
    usd_per_accelerator_hour: float
    """Internal price of one accelerator-hour."""
    goodput_fraction: Fraction = 1.0
    """Useful share of the time."""
    facility_kw_per_accelerator: Annotated[float, Gt(0)] | None = None
    """Facility power of one accelerator in use, cooling included; None is unknown: no power limit may name the pool."""
    cordoned: bool = False
    """Whether nothing new may start there."""


class SupplyState(Record):
    """Capacity that may be used in one or several pools."""

    id: Id
    """Supply row."""
    capacity: Amount
    """Accelerators now, or USD per hour for a spend commitment."""
    draw: dict[Id, Annotated[float, Gt(0)]]
    """Pool to what one accelerator takes of the capacity."""
    above_usd_per_accelerator_hour: dict[Id, Usd] = {}
    """Pool to what an accelerator-hour from here costs above the pool's internal price; absent means nothing."""
    as_used_fraction: Fraction = 0.0
    """Share of the capacity that costs nothing unless it is used: 1 on demand, of a minimum bill what lies above it; 0:
    all of it is paid for anyhow."""


class BurnDown(Record):
    """Capacity that is paid for whether used or not, so that using it costs less than its price."""

    supply: Id
    """Supply row."""
    owed: Amount
    """Mean level until the floor's period ends that meets the floor, in the unit of the row's capacity."""
    unmet_usd_per_unit: Usd
    """What is paid for nothing, for each hour and unit of `owed` that is not used."""


class PowerLimit(Record):
    """A limit on the facility power in use in some pools together: a site, a region, or all."""

    id: Id
    """Name in excuses."""
    pools: tuple[Id, ...]
    """Pools that draw on it."""
    max_mw: Amount
    """Limit."""


class NodeState(Record):
    """One server of a pool."""

    id: Id
    """Unique in the snapshot."""
    pool: Id
    """Pool it belongs to."""
    accelerators: Annotated[int, Ge(0), Le(1024)]
    """Devices on it, in use or not."""
    domain: Id | None = None
    """Scale-up domain (rack, UltraServer, NVLink island); None when the node is one by itself."""
    cpu_milli: Annotated[int, Ge(0)] | None = None
    """Thousandths of a CPU; None when they do not bind."""
    memory_mib: Annotated[int, Ge(0)] | None = None
    """Main memory; None when it does not bind."""


class PlaceAsk(Record):
    """One ask, now."""

    id: Id
    """Unique in the snapshot."""
    owner: Id | None = None
    """Team, for fair shares."""
    kind: Id | None = None
    """Kind of work, by which speeds beside others are known; None shares accelerators with nobody."""
    count: Annotated[float, Gt(0)] = 1
    """Identical asks behind this row; they are interchangeable."""
    accelerators: Annotated[float, Gt(0)]
    """Accelerators of one ask, all or nothing; of one piece where `units_per_hour` is given."""
    units_per_hour: Annotated[float, Gt(0)] | None = None
    """Work wanted per hour, for demand that any number of such pieces may serve (a service); None for a gang."""
    one_domain: bool = False
    """Whether the gang must fit into one scale-up domain."""
    speed: dict[Id, Annotated[float, Gt(0)]]
    """Silicon to work per accelerator and hour; a chip that is absent was never measured."""
    families: tuple[Id, ...]
    """Software families on which it runs."""
    spot_goodput_fraction: Fraction | None = None
    """Useful share of the time on spot; None forbids spot."""
    vendor_goodput_fraction: dict[Id, Fraction] = {}
    """Useful share of the time by vendor, where it is not 1."""
    usd_per_unit: Usd
    """Value of one unit of work (one hour of a reference accelerator)."""
    remaining_units: Annotated[float, Gt(0)] | None = None
    """Work left for one ask; None for work without an end."""
    deadline_hours: Annotated[float, Gt(0)] | None = None
    """Hours until the work must be done."""
    weight: Annotated[float, Gt(0)] = 1.0
    """Share that it should have relative to others, for fair objectives."""
    attained_units: Amount = 0.0
    """Work done so far by one ask."""
    elapsed_hours: Amount = 0.0
    """Hours since it arrived."""
    residency: Residency = Residency()
    """Where it, its data and its checkpoints may be."""
    allowed_pools: tuple[Id, ...] | None = None
    """Pools it may use, for example those whose machines are large enough; None: all that nothing else forbids."""
    home: Id | None = None
    """Region of its users or data; None when that does not matter."""
    datasets: tuple[Id, ...] = ()
    """Data that must lie in the region where it runs."""
    latency: Latency | None = None
    """How near to its users it must run; without `users` they are at home."""
    data_gib_per_unit: Amount = 0.0
    """Data moved from home for one unit of work done in another region."""
    data_home: Id | None = None
    """Region that this data leaves, where it is not home."""
    data_jurisdictions: tuple[Text, ...] = ()
    """Countries or zones that this data may come to; empty means that no rule binds it."""
    critical: bool = False
    """Whether it counts for `max_critical_vendor_fraction`."""
    spread: Spread | None = None
    """How its replicas (`count`, or the pieces of a service) are kept apart; None when that does not matter."""
    firm_fraction: Fraction = 0.0
    """Least share of its work on capacity that is not spot."""
    cpu_milli: Annotated[int, Ge(0)] = 0
    """Thousandths of a CPU that one ask wants, in pools whose nodes are known."""
    memory_mib: Annotated[int, Ge(0)] = 0
    """Main memory that one ask wants, in pools whose nodes are known."""
    running_in: Id | None = None
    """Pool where it runs now."""
    running_on: tuple[Id, ...] = ()
    """Node of each of its parts (P2.6), a node as often as parts run on it; needed where the pool's nodes are known."""
    preemptible: bool = True
    """Whether it may be stopped for others."""
    may_preempt: bool = True
    """Whether others may be stopped for it; False for an ask that was itself stopped."""
    checkpoint_in: Id | None = None
    """Region of the checkpoint that it goes on from, for work that waits; what runs has its own where it runs."""
    checkpoint_gib: Amount = 0.0
    """What must be carried to start elsewhere."""
    restart_hours: Amount = 0.0
    """Time until useful work after a move or a stop, lost work included."""
    starting_hours: Amount = 0.0
    """Time until the useful work of the start that is under way; 0 for what works or waits."""
    unsaved_units: Amount = 0.0
    """Work of one ask that is lost where its accelerators are taken away now; not part of `remaining_units`."""


class Replica(Record):
    """A copy of data that is there now."""

    dataset: Id
    """Dataset."""
    region: Id
    """Region it lies in."""


class Snapshot(Record):
    """Everything that a placement depends on."""

    window_hours: Annotated[float, Gt(0)] = 24.0
    """Time over which gains are counted; a move or a transfer must pay within it."""
    hysteresis_fraction: Annotated[float, Ge(0)] = 0.25
    """How much more than its cost a move must gain."""
    look_hours: Annotated[float, Gt(0)] = 0.25
    """Time until somebody looks again, at the latest."""
    price_source: Literal["plan", "contracts"]
    """Whether prices are internal prices of a plan or what the contracts cost."""
    regions: tuple[Region, ...]
    """Regions of the pools, homes and replicas."""
    pools: tuple[PoolState, ...]
    """Pools."""
    supplies: tuple[SupplyState, ...] = ()
    """Capacity shared by pools."""
    asks: tuple[PlaceAsk, ...]
    """Asks, running or waiting."""
    datasets: tuple[Dataset, ...] = ()
    """Data that asks read; the home is a replica too."""
    replicas: tuple[Replica, ...] = ()
    """Further copies."""
    nodes: tuple[NodeState, ...] = ()
    """Servers of pools that are packed; in pools without any, only accelerators are counted."""
    links: tuple[Link, ...] = ()
    """Ways for data, own ones first."""
    throughput_quantile: Literal["p10", "p50"] = "p50"
    """Which throughput of a link says how long data takes; p10 is what 9 of 10 measurements reach."""
    pairs: tuple[PairSpeed, ...] = ()
    """Speeds of two kinds of work on the same accelerators; objectives that give shares of time may use them."""
    residency: Residency = Residency()
    """Rule for all asks."""
    max_vendor_fraction: Fraction | None = None
    """Largest share of all accelerators in use with one vendor."""
    max_critical_vendor_fraction: Fraction | None = None
    """Largest share of all critical work being done with one vendor."""
    power_limits: tuple[PowerLimit, ...] = ()
    """Limits on power."""
    burn_downs: tuple[BurnDown, ...] = ()
    """Floors that are being met."""
    owner_shares: dict[Id, Fraction] = {}
    """Largest share of all capacity by team; a team that is absent has no limit."""

"""Load: what all workload kinds have in common, and the step by which they reduce to `Ask`.

A kind is one file in `workload/` with a class `Workload` and a method `asks`. Nothing here knows a kind.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Annotated, ClassVar

from annotated_types import Ge, Gt, Le, Len
from pydantic import model_validator

from argosy.model.ask import Ask, Port
from argosy.model.demand import Path
from argosy.model.horizon import Horizon
from argosy.model.latency import Latency
from argosy.model.pattern import Pattern
from argosy.model.silicon import Profile
from argosy.record import Id, Record, Text
from argosy.units import Factor, Fraction, Months, Usd


class Porting(Record):
    """Making the work run on another silicon family."""

    family: Id
    """Silicon family, for example tpu."""
    cost_usd: Usd
    """One-off cost in people and compute."""
    lag_months: Months = 0
    """Months from the decision to the first useful work."""


class Residency(Record):
    """Where the work, its data and its checkpoints may be."""

    allowed: tuple[Text, ...] = ()
    """Countries (ISO 3166-1), zones such as EU, regions or vendors. Empty allows all."""
    denied: tuple[Text, ...] = ()
    """Countries, zones, regions or vendors that are excluded even when allowed above."""


class Load(Record):
    """A workload of any kind."""

    inference: ClassVar[bool] = False
    default_profile: ClassVar[Profile]
    pattern: ClassVar[Pattern] = Pattern()

    id: Id
    """Short name, unique."""
    kind: str
    """Which file in `workload/` defines it."""
    name: Text | None = None
    """Name for people."""
    homes: Annotated[dict[Id, Annotated[float, Gt(0), Le(1)]], Len(min_length=1)]
    """Region where its data lies or its users are, to the share of the demand that comes from there; sums to 1."""
    profile: Profile | None = None
    """Which throughput of the silicon counts, where it is not the kind's usual one."""
    reserve_fraction: Factor = 0.0
    """Margin added to the demand, for failures and peaks within a month."""
    unserved_usd_per_unit: Usd
    """Cost of one unit (one H100-month of work) that is not done: lost margin or penalty."""
    max_backlog_months: Annotated[float, Ge(0), Le(24)] = 0.0
    """How much work may wait, in months of mean demand."""
    spot_goodput_fraction: Fraction | None = None
    """Useful share of the time on spot capacity; absent forbids spot."""
    vendor_goodput_fraction: dict[Id, Fraction] = {}
    """Useful share of the time by vendor, where it is known not to be 1."""
    silicon: tuple[Id, ...] = ()
    """Types of chip it may use; empty allows all with a known throughput."""
    units_per_accelerator: dict[Id, Annotated[float, Gt(0), Le(1000)]] = {}
    """Own measurements of work per accelerator, by silicon; they replace the catalogue's."""
    residency: Residency = Residency()
    """Where it may run."""
    latency: Latency | None = None
    """How near to its users it must run; absent means that this does not matter."""
    runs_on_families: tuple[Id, ...] = ("cuda", "cpu")
    """Silicon families on which it runs today."""
    porting: tuple[Porting, ...] = ()
    """Families that it could be ported to; a family named nowhere is not used."""
    data_gib_per_unit: Annotated[float, Ge(0), Le(1e9)] = 0.0
    """Data moved from home for one unit of work done in another region."""
    dataset: Id | None = None
    """Dataset whose replica makes that transfer unnecessary."""
    critical: bool = False
    """Whether it must survive the loss of any one vendor or region."""
    gang_accelerators: Annotated[int, Ge(1), Le(10_000_000)] = 1
    """Accelerators that must run together."""

    @model_validator(mode="after")
    def _homes_sum_to_one(self) -> Load:
        if abs(sum(self.homes.values()) - 1) > 1e-9:
            raise ValueError(f"the shares of homes sum to {sum(self.homes.values()):g}, not 1")
        return self

    @abstractmethod
    def asks(self, horizon: Horizon) -> tuple[Ask, ...]:
        """The rows that engines read."""

    def rows(self, horizon: Horizon, demand: Path) -> tuple[Ask, ...]:
        """One row per home; `demand` is in units of work."""
        total = demand.months(horizon.start, horizon.months)
        return tuple(
            Ask(
                id=f"{self.id}/{home}",
                workload=self.id,
                home=home,
                profile=self.profile or self.default_profile,
                demand_units=tuple(share * units for units in total),
                reserve_fraction=self.reserve_fraction,
                unserved_usd_per_unit=self.unserved_usd_per_unit,
                max_backlog_months=self.max_backlog_months,
                spot_goodput_fraction=self.spot_goodput_fraction,
                vendor_goodput_fraction=self.vendor_goodput_fraction,
                silicon=frozenset(self.silicon) if self.silicon else None,
                ratios=self.units_per_accelerator,
                places=frozenset(self.residency.allowed) if self.residency.allowed else None,
                not_places=frozenset(self.residency.denied),
                latency=self.latency,
                ports=tuple(Port(family=p.family, cost_usd=p.cost_usd, lag_months=p.lag_months) for p in self.porting),
                unported=frozenset(self.runs_on_families),
                data_gib_per_unit=self.data_gib_per_unit,
                dataset=self.dataset,
                critical=self.critical,
                inference=self.inference,
                gang_accelerators=self.gang_accelerators,
            )
            for home, share in self.homes.items()
        )

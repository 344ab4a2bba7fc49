"""Own build: accelerators bought for an own site, limited by the site's power."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from annotated_types import Ge, Gt, Le

from argosy.model.agreement import Capacity, Fee
from argosy.model.horizon import Horizon
from argosy.model.supply import Build, Supply
from argosy.record import Id
from argosy.units import Fraction, Usd, UsdPerAcceleratorHour


class Contract(Capacity):
    """Capital cost per accelerator, running cost per hour, and power from a site."""

    idle_clauses: ClassVar[frozenset[str]] = frozenset({"expansion_option"})
    kind: Literal["own_build"] = "own_build"
    site: Id
    """Site whose power it needs."""
    capex_usd_per_accelerator: Usd
    """Price of one accelerator with its share of server, network and storage; the site's capital cost comes on top.

    It is paid in the month of start, and sunk when that lies before the plan.
    """
    residual_fraction: Fraction = 0.0
    """Share of that price the hardware is still worth at the end of the plan."""
    kw_per_accelerator: Annotated[float, Gt(0), Le(100)]
    """Facility power of one accelerator, cooling included."""
    running_usd_per_accelerator_hour: UsdPerAcceleratorHour = 0.0
    """Staff, maintenance and leases per accelerator-hour that is there."""
    usd_per_mwh: Annotated[float, Ge(0), Le(2000)] = 0.0
    """Price of electricity, on what is used."""
    embodied_tonnes_per_accelerator: Annotated[float, Ge(0), Le(1000)] = 0.0
    """Carbon of making one accelerator with its share of server, counted in the year of purchase."""

    @property
    def negotiable(self) -> Fee:
        """The price of the hardware."""
        return Fee("usd_per_accelerator", self.capex_usd_per_accelerator, 1e7)

    def at_fee(self, fee: float) -> Self:
        """The hardware at another price."""
        return self.model_copy(update={"capex_usd_per_accelerator": fee})

    def supply(self, horizon: Horizon) -> tuple[Supply, ...]:
        """One row: capital cost at the start, electricity as a fee for use. More of it later is a second build."""
        return self.model_copy(update={"expansion_option": None}).rows(
            horizon,
            fee_usd_per_accelerator_hour=self.running_usd_per_accelerator_hour,
            usage_usd_per_accelerator_hour=self.kw_per_accelerator / 1000 * self.usd_per_mwh,
            build=Build(
                site=self.site,
                capex_usd_per_accelerator=self.capex_usd_per_accelerator if self.start >= horizon.start else 0.0,
                capex_month=max(0, horizon.index(self.start)),
                residual_fraction=self.residual_fraction,
                kw_per_accelerator=self.kw_per_accelerator,
                embodied_tonnes_per_accelerator=self.embodied_tonnes_per_accelerator,
            ),
        )

"""Lease: a whole site, or its hall and power, for rent; electricity may be passed through at cost."""

from __future__ import annotations

from typing import Literal

from argosy.model.agreement import Committed
from argosy.model.horizon import Horizon
from argosy.model.supply import Supply
from argosy.model.terms import PowerPassThrough


class Contract(Committed):
    """Rent per accelerator-hour of capacity, and electricity where it is passed through."""

    kind: Literal["lease"] = "lease"
    power_pass_through: PowerPassThrough | None = None
    """Electricity billed on at cost, on what is used."""

    def supply(self, horizon: Horizon) -> tuple[Supply, ...]:
        """Rows with a minimum bill of the whole size; power is a fee for use."""
        power = self.power_pass_through
        electricity = power.kw_per_accelerator / 1000 * power.usd_per_mwh if power else 0.0
        return self.rows(
            horizon,
            fee_usd_per_accelerator_hour=self.usd_per_accelerator_hour,
            usage_usd_per_accelerator_hour=self.usage_usd_per_accelerator_hour + electricity,
            delay_credit_usd_per_accelerator_hour=self.delay_credit_usd_per_accelerator_hour,
            volume_tiers=self.volume_tiers,
        )

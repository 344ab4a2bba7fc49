"""Take-or-pay: capacity for a term with a floor of use per contract year that is paid in any case."""

from __future__ import annotations

from typing import Literal

from argosy.model.agreement import TakesOrPays
from argosy.model.horizon import Horizon
from argosy.model.supply import Supply


class Contract(TakesOrPays):
    """Accelerators for a term; at least `take_or_pay_fraction` of the delivered size is paid each contract year."""

    kind: Literal["take_or_pay"] = "take_or_pay"

    def supply(self, horizon: Horizon) -> tuple[Supply, ...]:
        """Rows with a minimum bill of the floor and a price above it."""
        return self.rows(
            horizon,
            fee_usd_per_accelerator_hour=self.usd_per_accelerator_hour,
            usage_usd_per_accelerator_hour=self.usage_usd_per_accelerator_hour,
            take_or_pay_fraction=self.take_or_pay_fraction,
            over_take_usd_per_accelerator_hour=self.over_take_usd_per_accelerator_hour,
            delay_credit_usd_per_accelerator_hour=self.delay_credit_usd_per_accelerator_hour,
            volume_tiers=self.volume_tiers,
        )

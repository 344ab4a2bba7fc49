"""Reservation: capacity for a term, paid in full whether used or not."""

from __future__ import annotations

from typing import Literal

from argosy.model.agreement import Committed
from argosy.model.horizon import Horizon
from argosy.model.supply import Supply


class Contract(Committed):
    """Accelerators for a term at a price; nothing comes back for idle hours."""

    kind: Literal["reservation"] = "reservation"

    def supply(self, horizon: Horizon) -> tuple[Supply, ...]:
        """Rows with a minimum bill of the whole size."""
        return self.rows(
            horizon,
            fee_usd_per_accelerator_hour=self.usd_per_accelerator_hour,
            usage_usd_per_accelerator_hour=self.usage_usd_per_accelerator_hour,
            delay_credit_usd_per_accelerator_hour=self.delay_credit_usd_per_accelerator_hour,
            volume_tiers=self.volume_tiers,
        )

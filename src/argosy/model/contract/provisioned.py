"""Provisioned: throughput of a served model bought as a fixed capacity, counted in accelerators that it stands for."""

from __future__ import annotations

from typing import Literal

from argosy.model.agreement import Committed
from argosy.model.horizon import Horizon
from argosy.model.supply import Supply


class Contract(Committed):
    """Provisioned inference throughput; the pools it names should admit inference only."""

    kind: Literal["provisioned"] = "provisioned"

    def supply(self, horizon: Horizon) -> tuple[Supply, ...]:
        """Rows with a minimum bill of the whole size."""
        return self.rows(
            horizon,
            fee_usd_per_accelerator_hour=self.usd_per_accelerator_hour,
            usage_usd_per_accelerator_hour=self.usage_usd_per_accelerator_hour,
            delay_credit_usd_per_accelerator_hour=self.delay_credit_usd_per_accelerator_hour,
            volume_tiers=self.volume_tiers,
        )

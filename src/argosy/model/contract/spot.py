"""Spot: spare capacity at a discount that can be taken away at any moment."""

from __future__ import annotations

from typing import Literal

from argosy.model.horizon import Horizon
from argosy.model.open_supply import Open
from argosy.model.supply import Supply


class Contract(Open):
    """Preemptible capacity in one pool of tier `spot`; work there yields its spot goodput."""

    kind: Literal["spot"] = "spot"

    def supply(self, horizon: Horizon) -> tuple[Supply, ...]:
        """One open row per tier, never guaranteed."""
        return self.rows(horizon)

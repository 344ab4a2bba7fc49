"""On demand: capacity without a commitment, at list price, as long as the vendor has some."""

from __future__ import annotations

from typing import Literal

from argosy.model.horizon import Horizon
from argosy.model.open_supply import Open
from argosy.model.supply import Supply


class Contract(Open):
    """Uncommitted capacity in one pool."""

    kind: Literal["on_demand"] = "on_demand"
    guaranteed: bool = False
    """Whether adequacy may count on it when another vendor fails."""

    def supply(self, horizon: Horizon) -> tuple[Supply, ...]:
        """One open row per tier."""
        return self.rows(horizon, guaranteed=self.guaranteed)

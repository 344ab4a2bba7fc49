"""First refusal: our right to take capacity that a vendor is about to sell to somebody else, at that bid."""

from __future__ import annotations

from typing import Literal

from argosy.model.horizon import Horizon
from argosy.model.open_supply import Open
from argosy.model.supply import Supply


class Contract(Open):
    """A right that we hold: each tier is a bid that may come from others, and the amount that goes with it."""

    kind: Literal["first_refusal"] = "first_refusal"

    def supply(self, horizon: Horizon) -> tuple[Supply, ...]:
        """One open row per bid."""
        return self.rows(horizon)

"""Open: what the contract kinds without a commitment have in common."""

from __future__ import annotations

from typing import Annotated

from annotated_types import Len

from argosy.model.agreement import Agreement
from argosy.model.horizon import Horizon
from argosy.model.supply import Supply, Use
from argosy.model.terms import OpenTier
from argosy.record import Id
from argosy.units import Factor, Month


class Open(Agreement):
    """Uncommitted capacity in one pool, in price tiers."""

    pool: Id
    """The pool."""
    tiers: Annotated[tuple[OpenTier, ...], Len(min_length=1)]
    """Amounts and prices."""
    start: Month | None = None
    """First month in which it can be had; absent means the start of the plan."""
    growth_per_year_ratio: Factor = 1.0
    """Growth of the amounts from one year to the next."""

    def pool_ids(self) -> tuple[str, ...]:
        """The pool that the contract names."""
        return (self.pool,)

    def rows(self, horizon: Horizon, *, guaranteed: bool = False) -> tuple[Supply, ...]:
        """One open row per price tier; amounts grow smoothly from the start of the horizon."""
        first = 0 if self.start is None else horizon.index(self.start)
        growth = [self.growth_per_year_ratio ** (m / 12) if m >= first else 0.0 for m in range(horizon.months)]
        return tuple(
            Supply(
                id=f"{self.id}/tier-{i}" if len(self.tiers) > 1 else self.id,
                contract=self.id,
                vendor=self.vendor,
                unit="accelerators",
                uses=(Use(pool=self.pool, usage_usd_per_accelerator_hour=tier.usd_per_accelerator_hour),),
                open_accelerators=tuple(tier.accelerators * g for g in growth),
                guaranteed=guaranteed,
                price_family=self.id,
            )
            for i, tier in enumerate(sorted(self.tiers, key=lambda t: t.usd_per_accelerator_hour))
        )

"""Link: what it costs and how long it takes to move data between two places."""

from __future__ import annotations

from typing import Annotated, Self

from annotated_types import Ge, Gt, Le
from pydantic import model_validator

from argosy.model.source import Source
from argosy.record import Record, Text
from argosy.units import Amount


class PriceTier(Record):
    """What a GiB costs above a volume of the month, until the next tier begins."""

    above_gib_per_month: Annotated[float, Gt(0)]
    """Volume at which it begins."""
    usd_per_gib: Annotated[float, Ge(0), Le(10)]
    """Price of one GiB from there."""


class Link(Record):
    """A directed way for data. Ends are region ids, vendor ids, or `internet`; the most exact match wins."""

    start: Text
    """Where the data leaves: a region, a vendor, or `internet`."""
    end: Text
    """Where it arrives: a region, a vendor, `same_vendor` (another region of the same vendor), or `internet`."""
    usd_per_gib: Annotated[float, Ge(0), Le(10)]
    """Price of one GiB: with tiers of the month's first one, otherwise at the volumes of this organisation."""
    tiers: tuple[PriceTier, ...] = ()
    """Prices of larger volumes of a month, in their order; absent means one price for all."""
    moved_gib_per_month: Amount = 0.0
    """What goes that way in a month besides; tiers count on from there."""
    p10_gbit_per_second: Annotated[float, Gt(0), Le(1e6)] | None = None
    """Throughput reached or passed in 90 of 100 measurements."""
    p50_gbit_per_second: Annotated[float, Gt(0), Le(1e6)] | None = None
    """Median throughput."""
    p90_gbit_per_second: Annotated[float, Gt(0), Le(1e6)] | None = None
    """Throughput reached in 10 of 100 measurements."""
    round_trip_milliseconds: Annotated[float, Ge(0), Le(10_000)] | None = None
    """Median round-trip time."""
    p90_round_trip_milliseconds: Annotated[float, Ge(0), Le(10_000)] | None = None
    """Round-trip time that 90 of 100 measurements stay within."""
    max_gib_per_month: Annotated[float, Gt(0)] | None = None
    """Most that may be moved in a month; absent means no limit is known to bind."""
    source: Source | None = None
    """Where the figures come from."""

    @model_validator(mode="after")
    def _tiers_rise(self) -> Self:
        begins = [tier.above_gib_per_month for tier in self.tiers]
        if begins != sorted(set(begins)):
            raise ValueError("each tier must begin above the one before it")
        return self

    def cost_usd(self, gib: float) -> float:
        """P1.5: what so many GiB cost on top of what goes that way besides."""
        if not self.tiers:
            return self.usd_per_gib * gib
        begins = [0.0, *(tier.above_gib_per_month for tier in self.tiers)]
        prices = [self.usd_per_gib, *(tier.usd_per_gib for tier in self.tiers)]
        low, high = self.moved_gib_per_month, self.moved_gib_per_month + gib
        return sum(
            price * max(0.0, min(high, end) - max(low, begin))
            for price, begin, end in zip(prices, begins, [*begins[1:], float("inf")], strict=True)
        )

    def next_usd_per_gib(self) -> float:
        """P1.5: price of the next GiB; what data that flows with the work is charged."""
        price = self.usd_per_gib
        for tier in self.tiers:
            if self.moved_gib_per_month >= tier.above_gib_per_month:
                price = tier.usd_per_gib
        return price

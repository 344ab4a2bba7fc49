"""Offer: a public price for silicon in a region."""

from __future__ import annotations

from typing import Literal

from argosy.model.source import Source
from argosy.record import Id, Record, Text
from argosy.units import PositiveMonths, UsdPerAcceleratorHour

OfferTier = Literal["on_demand", "spot", "reserved", "capacity_block", "market"]


class Offer(Record):
    """What a vendor asks for one accelerator-hour."""

    vendor: Id
    """Who sells it."""
    region: Text
    """Region id, or `*` when the price holds in all regions of the vendor."""
    silicon: Id
    """Type of chip."""
    tier: OfferTier
    """How it is sold."""
    term_months: PositiveMonths | None = None
    """Length of the commitment, for reserved offers."""
    usd_per_accelerator_hour: UsdPerAcceleratorHour
    """List price of one accelerator for one hour, the vendor's server share included."""
    instance: Text | None = None
    """The vendor's name for the machine."""
    source: Source
    """The page that states the price."""

"""Catalogue: vendors, regions, silicon, links and offers that are known without the user writing them."""

from __future__ import annotations

from argosy.model.link import Link
from argosy.model.offer import Offer
from argosy.model.region import Region
from argosy.model.silicon import Silicon
from argosy.model.vendor import Vendor
from argosy.record import Record


class Catalogue(Record):
    """What is for sale, and the facts about it. A portfolio's own entries replace those with the same id."""

    vendors: tuple[Vendor, ...] = ()
    """Parties that sell."""
    regions: tuple[Region, ...] = ()
    """Places."""
    silicon: tuple[Silicon, ...] = ()
    """Chips."""
    links: tuple[Link, ...] = ()
    """Ways for data, with prices."""
    offers: tuple[Offer, ...] = ()
    """List, reserved and spot prices."""

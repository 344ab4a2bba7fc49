"""Pure questions about offers: which match, which is cheapest, and what one unit of work costs.

Called by `cli` and by whoever turns offers into supply. Takes a catalogue and a query, returns rows; unknown
names are answers (`unknown`), not exceptions. A price per unit of work exists only where the catalogue has the
throughput.
"""

from __future__ import annotations

import difflib
from typing import Literal, NamedTuple

from argosy.market.catalogue import ANY_REGION
from argosy.model.catalogue import Catalogue
from argosy.model.offer import Offer, OfferTier
from argosy.model.region import Region
from argosy.model.silicon import Profile, Silicon
from argosy.record import Record, Text

SortKey = Literal["price", "unit_price", "vendor", "region"]
SORT_KEYS: tuple[SortKey, ...] = ("price", "unit_price", "vendor", "region")
TIERS: tuple[OfferTier, ...] = ("on_demand", "spot", "reserved", "capacity_block", "market")


class Query(Record):
    """What is looked for. Absent means any."""

    silicon: Text | None = None
    """Id or name of a chip, case-insensitive."""
    region: Text | None = None
    """Part of a region's id, a country code or a zone, case-insensitive."""
    vendor: Text | None = None
    """Vendor id."""
    tier: OfferTier | None = None
    """How it is sold."""
    max_usd_per_accelerator_hour: float | None = None
    """Highest price."""
    profile: Profile | None = None
    """Kind of work that a price per unit is asked for."""


class Quote(NamedTuple):
    """One offer in one region, with what a unit of work costs there."""

    offer: Offer
    region: Region | None
    """None when the offer holds in every region of the vendor and the query asked for no place."""
    usd_per_unit_hour: float | None
    """Price of one unit-hour of the asked profile; None when no profile was asked or none is known."""


class Unknown(NamedTuple):
    """A name in the query that the catalogue does not know, with the names that come closest."""

    field: str
    name: str
    close: tuple[str, ...]


def find(catalogue: Catalogue, query: Query, sort: SortKey = "price") -> tuple[Quote, ...]:
    """Offers that match, sorted. An offer for all regions (`*`) becomes a quote for each region that matches.

    Empty when nothing matches; `unknown` says whether that is because a name is not known.
    """
    chips = {chip.id: chip for chip in silicon_named(catalogue, query.silicon)}
    places = regions_named(catalogue, query.region)
    by_id = {region.id: region for region in places}
    quotes: list[Quote] = []
    for offer in catalogue.offers:
        chip = chips.get(offer.silicon)
        if chip is None or not _wanted(offer, query):
            continue
        per_unit = usd_per_unit_hour(offer, chip, query.profile)
        if offer.region != ANY_REGION:
            matches: list[Region | None] = [by_id[offer.region]] if offer.region in by_id else []
        elif query.region is None:
            matches = [None]
        else:
            matches = [region for region in places if region.vendor == offer.vendor]
        quotes.extend(Quote(offer, region, per_unit) for region in matches)
    return tuple(sorted(quotes, key=lambda quote: _order(quote, sort)))


def unknown(catalogue: Catalogue, query: Query) -> tuple[Unknown, ...]:
    """Names in the query that mean nothing here, with close matches. Empty when every name is known."""
    found = []
    if query.silicon is not None and not silicon_named(catalogue, query.silicon):
        found.append(_unknown("silicon", query.silicon, [chip.id for chip in catalogue.silicon]))
    if query.region is not None and not regions_named(catalogue, query.region):
        names = {name for region in catalogue.regions for name in _places(region)}
        found.append(_unknown("region", query.region, sorted(names)))
    if query.vendor is not None and query.vendor.lower() not in {vendor.id for vendor in catalogue.vendors}:
        found.append(_unknown("vendor", query.vendor, [vendor.id for vendor in catalogue.vendors]))
    return tuple(found)


def silicon_named(catalogue: Catalogue, text: str | None) -> tuple[Silicon, ...]:
    """Chips with this id or name, case-insensitive; all when no name is given, none when it is unknown."""
    if text is None:
        return catalogue.silicon
    wanted = text.strip().lower().replace(" ", "-").replace("_", "-")
    return tuple(chip for chip in catalogue.silicon if wanted in {chip.id, chip.name.lower().replace(" ", "-")})


def regions_named(catalogue: Catalogue, text: str | None) -> tuple[Region, ...]:
    """Regions in a country or zone of this name, else those whose id contains it; all when no name is given.

    A country or zone goes first, so that `eu` means the European Union and not every id with those letters.
    """
    if text is None:
        return catalogue.regions
    wanted = text.strip().lower()
    exact = tuple(r for r in catalogue.regions if wanted in {r.jurisdiction.lower(), *(z.lower() for z in r.zones)})
    return exact or tuple(region for region in catalogue.regions if wanted and wanted in region.id)


def usd_per_unit_hour(offer: Offer, chip: Silicon, profile: Profile | None) -> float | None:
    """Price of one unit-hour of work; None without a profile or where the throughput is unknown."""
    ratio = chip.ratio(profile) if profile is not None else None
    return None if ratio is None else offer.usd_per_accelerator_hour / ratio


def _wanted(offer: Offer, query: Query) -> bool:
    return (
        (query.vendor is None or offer.vendor == query.vendor.lower())
        and (query.tier is None or offer.tier == query.tier)
        and (
            query.max_usd_per_accelerator_hour is None
            or offer.usd_per_accelerator_hour <= query.max_usd_per_accelerator_hour
        )
    )


def _order(quote: Quote, sort: SortKey) -> tuple[object, ...]:
    """Sort key; an unknown price per unit goes last, ties are broken by name so that output is repeatable."""
    offer = quote.offer
    place = quote.region.id if quote.region else offer.region
    price = offer.usd_per_accelerator_hour
    names = (offer.vendor, place, offer.silicon, offer.tier, offer.term_months or 0, offer.instance or "")
    if sort == "unit_price":
        per_unit = quote.usd_per_unit_hour
        return (per_unit is None, per_unit if per_unit is not None else price, *names)
    if sort == "vendor":
        return (offer.vendor, price, *names)
    if sort == "region":
        return (place, price, *names)
    return (price, *names)


def _places(region: Region) -> tuple[str, ...]:
    return (
        region.id,
        region.id.split("/", 1)[-1],
        region.jurisdiction.lower(),
        *(zone.lower() for zone in region.zones),
    )


def _unknown(field: str, name: str, known: list[str]) -> Unknown:
    return Unknown(field, name, tuple(difflib.get_close_matches(name.lower(), known, n=4, cutoff=0.5)))

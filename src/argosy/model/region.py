"""Region: a place where a vendor runs capacity, under one jurisdiction and on one grid."""

from __future__ import annotations

from typing import Annotated

from annotated_types import Ge, Le

from argosy.model.source import Source
from argosy.record import Id, Record, Text


class Region(Record):
    """A vendor's region or an own site."""

    id: Id
    """The vendor's id, a slash and the vendor's own name for the region, for example aws/us-east-1."""
    vendor: Id
    """Who runs it."""
    name: Text | None = None
    """Name for people."""
    jurisdiction: Text
    """ISO 3166-1 code of the country it stands in."""
    zones: tuple[Text, ...] = ()
    """Named legal zones it belongs to, for example EU or EEA."""
    latitude_degrees: Annotated[float, Ge(-90), Le(90)] | None = None
    """North is positive."""
    longitude_degrees: Annotated[float, Ge(-180), Le(180)] | None = None
    """East is positive."""
    grid_carbon_g_per_kwh: Annotated[float, Ge(0), Le(3000)] | None = None
    """Carbon intensity of the grid, yearly mean. Absent means unknown, not zero."""
    pue_ratio: Annotated[float, Ge(1), Le(3)] | None = None
    """Facility power over IT power."""
    power_usd_per_mwh: Annotated[float, Ge(0), Le(2000)] | None = None
    """Industrial power price, for sites where power is passed through."""
    source: Source | None = None
    """Where the facts come from."""

    def within(self, places: frozenset[str]) -> bool:
        """Whether the region's country, one of its zones, its vendor or its own id is among the named places."""
        return bool(places & {self.jurisdiction, self.vendor, self.id, *self.zones})

"""From checked cells to Offer records, with the place of everything that the record refuses.

Shared by the catalogue importers. A draft with a price of None was already reported and makes no offer.
"""

from __future__ import annotations

from typing import NamedTuple

from pydantic import ValidationError

from argosy.files.importers._table import Row, Table
from argosy.model.offer import Offer

# Fields of the record by the column that a user would look at.
_COLUMNS = {"source.url": "source_url", "source.date": "date"}


class Draft(NamedTuple):
    """An offer before it is checked; texts are as they stand in the file."""

    vendor: str
    region: str
    silicon: str
    tier: str
    usd_per_accelerator_hour: float | None
    source_url: str
    date: str
    term_months: int | None = None
    instance: str | None = None
    note: str | None = None


class Drafts:
    """Collects offers and the problems with them; `offers` gives all or raises."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._offers: dict[tuple[object, ...], Offer] = {}

    def add(self, row: Row, draft: Draft, *, cheapest: bool = False) -> None:
        """Check one draft. A second price for an offer is a problem; with `cheapest` the lower one is kept."""
        if draft.usd_per_accelerator_hour is None:
            return
        source = {"url": draft.source_url, "date": draft.date, "note": draft.note}
        fields = draft._asdict() | {"source": source}
        for name in ("source_url", "date", "note"):
            del fields[name]
        if not draft.source_url.startswith(("http://", "https://")):
            row.bad("source_url", "import.source", f"{draft.source_url!r} is not an http or https address")
            return
        try:
            offer = Offer.model_validate(fields)
        except ValidationError as error:
            for item in error.errors():
                place = ".".join(map(str, item["loc"]))
                row.bad(_COLUMNS.get(place, place), "import.value", item["msg"])
            return
        key = (offer.vendor, offer.region, offer.silicon, offer.tier, offer.term_months, offer.instance)
        known = self._offers.get(key)
        if known is not None and not cheapest:
            row.bad("usd_per_accelerator_hour", "import.twice", "this offer stands in the file twice")
        elif known is None or offer.usd_per_accelerator_hour < known.usd_per_accelerator_hour:
            self._offers[key] = offer

    def offers(self) -> tuple[Offer, ...]:
        """The offers, in the order of the file; BadInput when anything was wrong."""
        self._table.stop_if_bad()
        return tuple(self._offers.values())

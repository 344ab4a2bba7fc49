"""gpuhunt's catalogue as offers: its CSV form, or asked live where the optional package is installed.

Columns used: instance_name, location, price, gpu_count, gpu_name, gpu_memory, spot, provider. Prices there are
per instance-hour. `live` needs the network and the extra `gpuhunt`; the rest of Argosy never needs either.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from argosy.errors import OutsideError
from argosy.files.importers._offers import Draft, Drafts
from argosy.files.importers._table import Table
from argosy.files.importers.names import SILICON_IDS, silicon_id, vendor_id
from argosy.model.offer import Offer
from argosy.model.source import Source

COLUMNS = ("instance_name", "location", "price", "gpu_count", "gpu_name", "spot", "provider")
SOURCE_URL = "https://github.com/dstackai/gpuhunt"
_SPOT = {"true": True, "1": True, "false": False, "0": False, "": False}


def read(
    path: Path, date: str, *, names: Mapping[str, str] = SILICON_IDS, source_url: str = SOURCE_URL
) -> tuple[Offer, ...]:
    """The offers of a CSV file, taken on `date`; BadInput lists everything that is wrong with it."""
    table = Table(path, COLUMNS)
    drafts = Drafts(table)
    for row in table.rows():
        count = row.number("gpu_count")
        if not count:
            continue
        silicon = silicon_id(row.text("gpu_name"), names, row.number("gpu_memory"))
        if silicon is None:
            continue
        spot = _SPOT.get(row.text("spot").lower())
        if spot is None:
            row.bad("spot", "import.value", f"{row.text('spot')!r} is neither True nor False")
        for column in ("provider", "location", "price"):
            if not row.text(column):
                row.bad(column, "import.missing", "the cell is empty")
        vendor = vendor_id(row.text("provider"))
        price = row.price("price", count)
        if price:
            draft = Draft(
                vendor=vendor,
                region=f"{vendor}/{row.text('location')}",
                silicon=silicon,
                tier="spot" if spot else "on_demand",
                usd_per_accelerator_hour=price,
                instance=row.text("instance_name") or None,
                source_url=source_url,
                date=date,
                note="read from a gpuhunt catalogue file; instance price divided by its accelerators",
            )
            drafts.add(row, draft, cheapest=True)
    return drafts.offers()


def live(date: str, *, names: Mapping[str, str] = SILICON_IDS, **query: Any) -> tuple[Offer, ...]:
    """The offers that gpuhunt finds now; `query` goes to its `query` function unchanged.

    OutsideError when the package is not installed or its query fails.
    """
    try:
        gpuhunt = importlib.import_module("gpuhunt")
    except ImportError as error:
        raise OutsideError("gpuhunt is not installed; run `uv sync --extra gpuhunt`, then try again") from error
    try:
        items: Iterable[Any] = gpuhunt.query(**query)
    except Exception as error:
        raise OutsideError(f"gpuhunt could not be asked: {type(error).__name__}: {error}") from error
    found = (_offer(item, date, names) for item in items)
    return tuple(offer for offer in found if offer is not None)


def _offer(item: Any, date: str, names: Mapping[str, str]) -> Offer | None:
    """One catalogue item as an offer; None when it has no accelerator that has an id here."""
    if not item.gpu_count or not item.price or not item.gpu_name:
        return None
    silicon = silicon_id(item.gpu_name, names, item.gpu_memory)
    if silicon is None:
        return None
    vendor = vendor_id(item.provider)
    return Offer(
        vendor=vendor,
        region=f"{vendor}/{item.location}".lower(),
        silicon=silicon,
        tier="spot" if item.spot else "on_demand",
        usd_per_accelerator_hour=float(item.price) / item.gpu_count,
        instance=item.instance_name,
        source=Source(url=SOURCE_URL, date=date, note="asked live; instance price divided by its accelerators"),
    )

"""SkyPilot's catalogue CSV (one file per cloud) as offers.

Columns used: InstanceType, AcceleratorName, AcceleratorCount, GpuInfo, Price, SpotPrice, Region. Prices there are
per instance-hour; zones of one region become one offer at the lowest price. Rows without an accelerator, of TPU
slices or of chips that have no id here are left out. Google's file prices hosts and accelerators on separate
lines: its accelerator prices come without the host.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from argosy.files.importers._offers import Draft, Drafts
from argosy.files.importers._table import Row, Table
from argosy.files.importers.names import SILICON_IDS, SLICE_PREFIXES, silicon_id
from argosy.model.offer import Offer

COLUMNS = ("InstanceType", "AcceleratorName", "AcceleratorCount", "Price", "SpotPrice", "Region")
SOURCE_URL = "https://github.com/skypilot-org/skypilot-catalog"
_MIB = re.compile(r"'Name': '[^']*'.*?'SizeInMiB': ([0-9.]+)")


def read(
    path: Path,
    vendor: str,
    date: str,
    *,
    names: Mapping[str, str] = SILICON_IDS,
    source_url: str = SOURCE_URL,
) -> tuple[Offer, ...]:
    """The offers of one cloud's file, taken on `date`; BadInput lists everything that is wrong with it.

    A price of zero is read as "not sold", as SkyPilot writes some; an empty price likewise.
    """
    table = Table(path, COLUMNS)
    drafts = Drafts(table)
    for row in table.rows():
        name = row.text("AcceleratorName")
        if not name or name.lower().startswith(SLICE_PREFIXES):
            continue
        silicon = silicon_id(name, names, _memory_gib(row))
        if silicon is None:
            continue
        count = row.number("AcceleratorCount", low=0)
        if not count:
            row.bad("AcceleratorCount", "import.number", f"an instance with {name} must have a positive count")
            continue
        if not row.text("Region"):
            row.bad("Region", "import.missing", "the cell is empty")
            continue
        for tier, column in (("on_demand", "Price"), ("spot", "SpotPrice")):
            price = row.price(column, count)
            if price:
                draft = Draft(
                    vendor=vendor,
                    region=f"{vendor}/{row.text('Region')}",
                    silicon=silicon,
                    tier=tier,
                    usd_per_accelerator_hour=price,
                    instance=row.text("InstanceType") or None,
                    source_url=source_url,
                    date=date,
                    note="read from a SkyPilot catalogue file; instance price divided by its accelerators",
                )
                drafts.add(row, draft, cheapest=True)
    return drafts.offers()


def _memory_gib(row: Row) -> float | None:
    """Memory of one accelerator, as the GpuInfo text gives it; None when it gives none."""
    match = _MIB.search(row.text("GpuInfo"))
    return float(match[1]) / 1024 if match else None

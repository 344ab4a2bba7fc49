"""Your own prices as a plain CSV file, one offer per line, in Argosy's own words.

Header: `vendor,region,silicon,tier,term_months,usd_per_accelerator_hour,source_url,date`; `instance` may
follow. The region is an id (`aws/us-east-1`) or `*` for all regions of the vendor. Vendors and regions are not
checked: a user's own may be new.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection
from pathlib import Path

from argosy.files.importers._offers import Draft, Drafts
from argosy.files.importers._table import Table
from argosy.model.offer import Offer

COLUMNS = (
    "vendor",
    "region",
    "silicon",
    "tier",
    "term_months",
    "usd_per_accelerator_hour",
    "source_url",
    "date",
)


def read(path: Path, *, silicon: Collection[str] | None = None) -> tuple[Offer, ...]:
    """The offers of the file; BadInput lists everything that is wrong with it.

    With `silicon` given, other chips than these are problems too.
    """
    table = Table(path, COLUMNS)
    drafts = Drafts(table)
    for row in table.rows():
        for column in (
            "vendor",
            "region",
            "silicon",
            "tier",
            "usd_per_accelerator_hour",
            "source_url",
            "date",
        ):
            if not row.text(column):
                row.bad(column, "import.missing", "the cell is empty")
        term = row.number("term_months", low=1, high=1200)
        if term is not None and term != int(term):
            row.bad("term_months", "import.number", f"{row.text('term_months')} is not a whole number of months")
        if silicon is not None and row.text("silicon") and row.text("silicon") not in silicon:
            close = difflib.get_close_matches(row.text("silicon"), sorted(silicon), n=3, cutoff=0.5)
            hint = f"; did you mean {', '.join(close)}?" if close else ""
            row.bad("silicon", "import.silicon", f"{row.text('silicon')!r} is not a known chip{hint}")
        drafts.add(
            row,
            Draft(
                vendor=row.text("vendor"),
                region=row.text("region"),
                silicon=row.text("silicon"),
                tier=row.text("tier"),
                term_months=None if term is None else int(term),
                usd_per_accelerator_hour=row.price("usd_per_accelerator_hour"),
                instance=row.text("instance") or None,
                source_url=row.text("source_url"),
                date=row.text("date"),
            ),
        )
    return drafts.offers()

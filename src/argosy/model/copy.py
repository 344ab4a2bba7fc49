"""Copy: one dataset on its way to one region, as an order that outlives whoever gave it.

A copy is ordered once for a dataset and a region and is never made twice beside itself; attempts are repeated until one
is whole. It is charged when it is whole, once, whoever reads it then.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from argosy.record import Id, Record

CopyStatus = Literal["ORDERED", "COPYING", "DONE"]


class Copy(Record):
    """A copy that was ordered."""

    id: str
    """`<dataset>@<region>`."""
    dataset: Id
    """Dataset."""
    from_region: Id
    """Region that it is copied from."""
    to_region: Id
    """Region that it is copied to."""
    gib: float
    """Amount."""
    usd: float
    """Price of the way, once."""
    hours: float
    """Time at the median throughput of the link."""
    status: CopyStatus = "ORDERED"
    """ORDERED waits (again) for its turn, COPYING is being carried out, DONE is whole."""
    message: str = ""
    """Why the last attempt failed."""
    attempts: int = 0
    """Attempts that began."""
    failures: int = 0
    """Attempts that failed since the last that did not."""
    not_before: datetime | None = None
    """Earliest next attempt; None: now."""
    readers: tuple[str, ...] = ()
    """Asks for which it was ordered."""
    decision: str = ""
    """Decision that ordered it."""
    ordered_at: datetime
    """When it was ordered."""
    started_at: datetime | None = None
    """When the last attempt began."""
    finished_at: datetime | None = None
    """When it was whole."""
    charged_usd: float | None = None
    """What was charged; None until it is whole."""
    checksum: str | None = None
    """Hash over what was copied, where the copier makes one."""
    version: int = 0
    """Number of the event that last changed it; a change says which version it was made for."""


def copy_id(dataset: str, to_region: str) -> str:
    """The name of the copy of a dataset in a region."""
    return f"{dataset}@{to_region}"

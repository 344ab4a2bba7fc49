"""Link: what it costs and how long it takes to move data between two places."""

from __future__ import annotations

from typing import Annotated

from annotated_types import Ge, Gt, Le

from argosy.model.source import Source
from argosy.record import Record, Text


class Link(Record):
    """A directed way for data. Ends are region ids, vendor ids, or `internet`; the most exact match wins."""

    start: Text
    """Where the data leaves: a region, a vendor, or `internet`."""
    end: Text
    """Where it arrives: a region, a vendor, `same_vendor` (another region of the same vendor), or `internet`."""
    usd_per_gib: Annotated[float, Ge(0), Le(10)]
    """Price of one GiB at the volumes of this organisation."""
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

"""Fleet: nodes with accelerators, and the asks of a trace, as frames whose columns come from a record class.

`files.traces` makes the frames, `place` and `simulate` turn them into arrays. A node and an ask are facts (there may be
millions), so they are rows of a Polars frame; the records here say which columns there are and what they mean.
"""

from __future__ import annotations

import types
from typing import Any, Union, get_args, get_origin

import polars as pl

from argosy.record import Record

WHOLE_MILLI = 1000
"""Thousandths in one accelerator."""


class Node(Record):
    """One server."""

    id: str
    """Name, unique in the fleet."""
    silicon: str
    """Type of chip; empty where there is none."""
    accelerators: int
    """Devices on it."""
    cpu_milli: int
    """Thousandths of a CPU."""
    memory_mib: int
    """Main memory."""
    domain: str
    """Topology domain (rack, UltraServer, NVLink island); its own name where none is known."""


class TraceAsk(Record):
    """One ask of a trace. What the trace does not say is None, never 0."""

    id: str
    """Name, unique in the trace."""
    arrival_seconds: float | None
    """Seconds from the start of the trace."""
    duration_seconds: float | None
    """Run time on the accelerators it had."""
    work: str | None
    """Kind of work that throughput tables know."""
    steps: float | None
    """Amount of that work."""
    accelerators: int
    """Devices that one member wants; 0 for work on CPUs."""
    share_milli: int
    """Thousandths of each device; below 1000 the device may be shared."""
    cpu_milli: int | None
    """Thousandths of a CPU that one member wants."""
    memory_mib: int | None
    """Main memory that one member wants."""
    silicon: str
    """Types of chip it may run on, joined by `|`; empty allows all."""
    members: int
    """Nodes of a gang, all in one domain, each with the request above; 1 for all that fits on one node."""
    owner: str | None
    """Team or client that asks."""


class Throughput(Record):
    """Measured speed of one kind of work."""

    work: str
    """Kind of work."""
    accelerators: int
    """Devices it runs on together."""
    silicon: str
    """Type of chip."""
    steps_per_second: float
    """Speed alone on its devices."""


class SharedThroughput(Record):
    """Measured speed of one kind of work while another runs on the same devices."""

    silicon: str
    """Type of chip."""
    work: str
    """Kind of work."""
    beside: str
    """The other kind."""
    accelerators: int
    """Devices, all of them used by both."""
    steps_per_second: float
    """Speed of `work`."""


class Availability(Record):
    """How many accelerators a spot market gave at one time."""

    series: str
    """Measurement it belongs to."""
    at_seconds: float
    """Seconds from the start of the series."""
    accelerators: float
    """Instances that could be had or stayed alive."""
    together: str | None = None
    """What its series has in common with those measured with it in other zones; None where there are no such."""


class Call(Record):
    """One inference request."""

    at_seconds: float
    """Seconds from the first request."""
    input_tokens: int
    """Prompt length."""
    output_tokens: int
    """Answer length."""


class Rate(Record):
    """Arrivals in one window."""

    owner: str
    """Client, or the whole."""
    at_seconds: float
    """Start of the window."""
    per_second: float
    """Arrivals per second."""


_COLUMN = {str: pl.String, int: pl.Int64, float: pl.Float64}


def schema(record: type[Record]) -> pl.Schema:
    """The columns of a frame of these records."""
    return pl.Schema({name: _COLUMN[_plain(info.annotation)] for name, info in record.model_fields.items()})


def required(record: type[Record]) -> tuple[str, ...]:
    """The columns that are never null."""
    return tuple(name for name, info in record.model_fields.items() if not _optional(info.annotation))


def frame(record: type[Record], columns: dict[str, Any]) -> pl.DataFrame:
    """A frame with the record's columns in their order; AssertionError when a required cell is null."""
    made = pl.DataFrame(columns, schema_overrides=dict(schema(record)))
    for name, dtype in schema(record).items():
        if name not in made.columns:
            made = made.with_columns(pl.lit(None, dtype=dtype).alias(name))
    made = made.select(schema(record).names()).cast(schema(record))
    assert all(made[name].null_count() == 0 for name in required(record)), f"{record.__name__}: a cell is missing"
    return made


def _optional(annotation: Any) -> bool:
    return get_origin(annotation) in (Union, types.UnionType) and type(None) in get_args(annotation)


def _plain(annotation: Any) -> type:
    plain: type = next(a for a in get_args(annotation) if a is not type(None)) if _optional(annotation) else annotation
    return plain

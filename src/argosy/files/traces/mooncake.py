"""Mooncake (FAST'25): requests with lengths and hashes of prompt blocks, one JSON object per line, time in ms."""

from __future__ import annotations

import io
from typing import Literal

import polars as pl

from argosy.errors import BadInput, Problem
from argosy.files.traces._source import Source
from argosy.files.traces._table import refuse, text_of
from argosy.model.fleet import Call, frame

FIELDS = ("timestamp", "input_length", "output_length")


class Trace(Source):
    """Requests of the trace."""

    kind: Literal["mooncake"] = "mooncake"

    def calls(self) -> pl.DataFrame:
        """One row per request, in order of time."""
        data = text_of(self.path)
        if not data.strip():
            raise BadInput([Problem(self.path, 1, 0, "trace.empty", "", "the file is empty")])
        columns = pl.Schema({name: pl.Float64() for name in FIELDS})
        try:
            table = pl.read_ndjson(io.BytesIO(data), schema=columns)
        except pl.exceptions.PolarsError as error:
            raise BadInput([Problem(self.path, 0, 0, "trace.unreadable", "", str(error).split("\n")[0])]) from error
        for name in FIELDS:
            refuse(self.path, table, pl.col(name).is_null(), name, f"the object has no number {name!r}", header=0)
            refuse(self.path, table, pl.col(name) < 0, name, "at least 0", header=0)
        table = table.sort("timestamp", maintain_order=True)
        return frame(
            Call,
            {
                "at_seconds": (table["timestamp"] - table["timestamp"][0]) / 1000,
                "input_tokens": table["input_length"].cast(pl.Int64),
                "output_tokens": table["output_length"].cast(pl.Int64),
            },
        )

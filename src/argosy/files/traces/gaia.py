"""GAIA's sample of Alibaba PAI: batch jobs on CPUs that may wait. Columns: `arrival_time,length,cpus`, in hours."""

from __future__ import annotations

from typing import Literal

import polars as pl

from argosy.files.traces._source import Source
from argosy.files.traces._table import read, refuse
from argosy.model.fleet import WHOLE_MILLI, TraceAsk, frame


class Trace(Source):
    """Jobs of the sample."""

    kind: Literal["gaia"] = "gaia"

    def asks(self) -> pl.DataFrame:
        """One row per job, in order of arrival; it wants CPUs and no accelerator."""
        table = read(self.path, {"arrival_time": pl.Float64, "length": pl.Float64, "cpus": pl.Float64})
        refuse(self.path, table, pl.min_horizontal("arrival_time", "length", "cpus") < 0, "length", "at least 0")
        table = table.sort("arrival_time", maintain_order=True)
        return frame(
            TraceAsk,
            {
                "id": [f"job-{i}" for i in range(len(table))],
                "arrival_seconds": table["arrival_time"] * 3600,
                "duration_seconds": table["length"] * 3600,
                "accelerators": [0] * len(table),
                "share_milli": [WHOLE_MILLI] * len(table),
                "cpu_milli": (table["cpus"] * 1000).round().cast(pl.Int64),
                "silicon": [""] * len(table),
                "members": [1] * len(table),
            },
        )

"""GAIA's sample of Alibaba PAI: batch jobs on CPUs that may wait. Columns: `arrival_time,length,cpus`, in hours."""

from __future__ import annotations

from typing import Literal

import polars as pl

from argosy.files.traces._source import Source
from argosy.files.traces._table import numbered, read, refuse
from argosy.model.fleet import WHOLE_MILLI, TraceAsk, frame


class Trace(Source):
    """Jobs of the sample."""

    kind: Literal["gaia"] = "gaia"

    def asks(self) -> pl.DataFrame:
        """One row per job, in order of arrival; it wants CPUs and no accelerator."""
        columns = {"arrival_time": pl.Float64, "length": pl.Float64, "cpus": pl.Float64}
        table = read(self.path, columns, each=self._jobs).sort("arrival_time", maintain_order=True)
        return frame(
            TraceAsk,
            {
                "id": table.select(numbered("job")).to_series(),
                "arrival_seconds": table["arrival_time"] * 3600,
                "duration_seconds": table["length"] * 3600,
                "accelerators": pl.repeat(0, len(table), dtype=pl.Int64, eager=True),
                "share_milli": pl.repeat(WHOLE_MILLI, len(table), dtype=pl.Int64, eager=True),
                "cpu_milli": (table["cpus"] * 1000).round().cast(pl.Int64),
                "silicon": pl.repeat("", len(table), eager=True),
                "members": pl.repeat(1, len(table), dtype=pl.Int64, eager=True),
            },
        )

    def _jobs(self, block: pl.DataFrame) -> pl.DataFrame:
        refuse(self.path, block, pl.min_horizontal("arrival_time", "length", "cpus") < 0, "length", "at least 0")
        return block.select("arrival_time", "length", "cpus")

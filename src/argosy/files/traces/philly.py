"""Philly (Microsoft, in the form of Pollux and Sia): training jobs with submission, run time and GPUs.

Columns: `timestamp,duration,num_gpus,gpu_time,cluster`; `timestamp` is an instant, `duration` seconds.
"""

from __future__ import annotations

from typing import Literal

import polars as pl

from argosy.files.traces._source import Source
from argosy.files.traces._table import MOST_SECONDS, between, instants, numbered, read
from argosy.model.fleet import WHOLE_MILLI, TraceAsk, frame

MOST_ACCELERATORS = 10**6


class Trace(Source):
    """Jobs of Philly."""

    kind: Literal["philly"] = "philly"

    def asks(self) -> pl.DataFrame:
        """One row per job, in order of arrival; the virtual cluster is the owner."""
        columns = {"timestamp": pl.String, "duration": pl.Float64, "num_gpus": pl.Int64, "cluster": pl.String}
        rules = (
            between("duration", MOST_SECONDS),
            between("num_gpus", MOST_ACCELERATORS),
        )
        table = read(self.path, columns, rules=rules, each=self._jobs).sort("at", maintain_order=True)
        return frame(
            TraceAsk,
            {
                "id": table.select(numbered("job")).to_series(),
                "arrival_seconds": table["at"] - table["at"].min(),
                "duration_seconds": table["duration"],
                "accelerators": table["num_gpus"],
                "share_milli": pl.repeat(WHOLE_MILLI, len(table), dtype=pl.Int64, eager=True),
                "silicon": pl.repeat("", len(table), eager=True),
                "members": pl.repeat(1, len(table), dtype=pl.Int64, eager=True),
                "owner": table["cluster"],
            },
        )

    def _jobs(self, block: pl.DataFrame) -> pl.DataFrame:
        at = instants(self.path, block, "timestamp").alias("at")
        return block.with_columns(at).select("at", "duration", "num_gpus", "cluster")

"""Philly (Microsoft, in the form of Pollux and Sia): training jobs with submission, run time and GPUs.

Columns: `timestamp,duration,num_gpus,gpu_time,cluster`; `timestamp` is an instant, `duration` seconds.
"""

from __future__ import annotations

from typing import Literal

import polars as pl

from argosy.files.traces._source import Source
from argosy.files.traces._table import instants, read, refuse
from argosy.model.fleet import WHOLE_MILLI, TraceAsk, frame


class Trace(Source):
    """Jobs of Philly."""

    kind: Literal["philly"] = "philly"

    def asks(self) -> pl.DataFrame:
        """One row per job, in order of arrival; the virtual cluster is the owner."""
        columns = {"timestamp": pl.String, "duration": pl.Float64, "num_gpus": pl.Int64, "cluster": pl.String}
        table = read(self.path, columns)
        refuse(self.path, table, pl.col("duration") < 0, "duration", "a run time is at least 0")
        refuse(self.path, table, pl.col("num_gpus") < 0, "num_gpus", "at least 0")
        table = table.with_columns(instants(self.path, table["timestamp"]).alias("at"))
        table = table.sort("at", maintain_order=True)
        return frame(
            TraceAsk,
            {
                "id": [f"job-{i}" for i in range(len(table))],
                "arrival_seconds": table["at"] - table["at"].min(),
                "duration_seconds": table["duration"],
                "accelerators": table["num_gpus"],
                "share_milli": [WHOLE_MILLI] * len(table),
                "silicon": [""] * len(table),
                "members": [1] * len(table),
                "owner": table["cluster"],
            },
        )

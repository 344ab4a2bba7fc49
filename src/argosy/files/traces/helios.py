"""Helios Venus (SenseTime, in the form of Lucid): submissions in windows of ten minutes.

Columns: `time,submit_job_all,submit_gpu_job,submit_gpu_num,...`.
"""

from __future__ import annotations

from typing import Literal

import polars as pl

from argosy.files.traces._source import Source
from argosy.files.traces._table import Rule, between, instants, read, refuse
from argosy.model.fleet import Rate, frame

MOST_ACCELERATORS = 10**9
"""Asked for in one window."""


class Trace(Source):
    """Submission rates of Helios Venus."""

    kind: Literal["helios"] = "helios"

    def rates(self) -> pl.DataFrame:
        """GPUs requested per second in each window; the windows are as wide as the first two are apart."""
        rules = (between("submit_gpu_num", MOST_ACCELERATORS),)
        table = read(self.path, {"time": pl.String, "submit_gpu_num": pl.Float64}, rules=rules)
        at = instants(self.path, table, "time")
        refuse(
            self.path, table.with_columns(at.alias("at")), Rule(pl.col("at").diff() <= 0, "time", "time goes forward")
        )
        width = float(at[1] - at[0]) if len(at) > 1 else 1.0
        return frame(
            Rate,
            {
                "owner": ["venus"] * len(table),
                "at_seconds": at - at[0],
                "per_second": table["submit_gpu_num"] / width,
            },
        )

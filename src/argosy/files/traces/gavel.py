"""Gavel (OSDI'20): a fleet of V100, P100 and K80, jobs with an amount of work, and measured speeds by type of chip.

Fleet: three counts, `gavel:36,36,36`. Jobs: `job_type,total_steps,arrival_s,workers`. Speeds, beside the jobs:
`isolated_throughputs.csv` (`gpu,job_type,workers,steps_per_s`) and `all_incl_colocation.json.gz`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import polars as pl

from argosy.errors import BadInput, Problem
from argosy.files.traces._gavel_speeds import alone, shared
from argosy.files.traces._source import Source
from argosy.files.traces._table import MOST_SECONDS, Rule, between, numbered, read
from argosy.model.fleet import WHOLE_MILLI, TraceAsk, frame

MOST_STEPS = 10**15
CHIPS = ("v100", "p100", "k80")


class Trace(Source):
    """Counts of accelerators, or jobs."""

    kind: Literal["gavel"] = "gavel"

    def counts(self) -> dict[str, int]:
        """Accelerators by chip, in the order V100, P100, K80."""
        parts = self.path.split(",")
        if len(parts) != len(CHIPS) or not all(part.strip().isdigit() for part in parts):
            message = f"write a count for each of {', '.join(CHIPS)}, for example gavel:36,36,36"
            raise BadInput([Problem(self.path, 0, 0, "trace.counts", "gavel", message)])
        return {chip: int(part) for chip, part in zip(CHIPS, parts, strict=True)}

    def asks(self) -> pl.DataFrame:
        """One row per job, in order of arrival."""
        columns = {"job_type": pl.String, "total_steps": pl.Float64, "arrival_s": pl.Float64, "workers": pl.Int64}
        rules = (
            Rule(
                ~pl.col("total_steps").is_between(0, MOST_STEPS, "right"), "total_steps", f"above 0, to {MOST_STEPS:,}"
            ),
            between("arrival_s", MOST_SECONDS),
            between("workers", 10**6, 1),
        )
        table = read(self.path, columns, rules=rules, each=_jobs).sort("arrival_s", maintain_order=True)
        return frame(
            TraceAsk,
            {
                "id": table.select(numbered("job")).to_series(),
                "arrival_seconds": table["arrival_s"],
                "work": table["job_type"],
                "steps": table["total_steps"],
                "accelerators": table["workers"],
                "share_milli": pl.repeat(WHOLE_MILLI, len(table), dtype=pl.Int64, eager=True),
                "silicon": pl.repeat("", len(table), eager=True),
                "members": pl.repeat(1, len(table), dtype=pl.Int64, eager=True),
            },
        )

    def throughputs(self) -> pl.DataFrame:
        """Speeds alone, from the file beside the jobs."""
        return alone(Path(self.path).parent)

    def shared_throughputs(self) -> pl.DataFrame:
        """Speeds of two jobs on the same devices, from the file beside the jobs."""
        return shared(Path(self.path).parent)


def _jobs(block: pl.DataFrame) -> pl.DataFrame:
    return block.select("job_type", "total_steps", "arrival_s", "workers")

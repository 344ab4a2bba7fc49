"""Gavel's measured speeds, from the folder that holds them: alone, and of two jobs on the same devices.

`isolated_throughputs.csv` (`gpu,job_type,workers,steps_per_s`) and `all_incl_colocation.json.gz`. Read by the kinds
`gavel` and `gavel_stream`. A chip that spreads a job over servers is a chip of its own.
"""

from __future__ import annotations

import ast
import json
from pathlib import Path

import polars as pl

from argosy.errors import BadInput, Problem
from argosy.files.traces._table import between, read, text_of
from argosy.model.fleet import SharedThroughput, Throughput, frame

SPEEDS = "isolated_throughputs.csv"
MOST_STEPS_PER_SECOND = 10**9
PAIRS = "all_incl_colocation.json.gz"


def alone(folder: Path) -> pl.DataFrame:
    """`Throughput` rows. BadInput with file and line where the file is not what it should be."""
    path = str(folder / SPEEDS)
    columns = {"gpu": pl.String, "job_type": pl.String, "workers": pl.Int64, "steps_per_s": pl.Float64}
    table = read(path, columns, rules=(between("steps_per_s", MOST_STEPS_PER_SECOND), between("workers", 10**6, 1)))
    return frame(
        Throughput,
        {
            "work": table["job_type"],
            "accelerators": table["workers"],
            "silicon": table["gpu"],
            "steps_per_second": table["steps_per_s"],
        },
    )


def shared(folder: Path) -> pl.DataFrame:
    """`SharedThroughput` rows; both jobs of a pair have as many devices. BadInput where the file is something else."""
    path = str(folder / PAIRS)
    rows: list[tuple[str, str, str, int, float]] = []
    try:
        document = json.loads(text_of(path))
        for chip, works in document.items():
            for one, pairs in works.items():
                work, workers = ast.literal_eval(one)
                for other, speeds in pairs.items():
                    if other == "null":
                        continue
                    beside, count = ast.literal_eval(other)
                    if count == workers:
                        rows.append((chip, work, beside, int(workers), float(speeds[0])))
    except (ValueError, SyntaxError, AttributeError, TypeError, IndexError) as error:
        message = f"not a table of co-located throughputs: {error}"
        raise BadInput([Problem(path, 0, 0, "trace.value", "", message)]) from error
    names = ("silicon", "work", "beside", "accelerators", "steps_per_second")
    return frame(SharedThroughput, {name: [row[i] for row in rows] for i, name in enumerate(names)})

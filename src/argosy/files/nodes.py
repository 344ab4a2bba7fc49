"""The nodes of a fleet as a table: what `argosy place --nodes` reads.

Columns `id,pool,accelerators[,domain,cpu_milli,memory_mib]`, CSV (also `.gz`) or Parquet. A table with a problem gives
one error with file and line and nothing is loaded.
"""

from __future__ import annotations

import polars as pl

from argosy.files.traces._table import Rule, between, named, read, refuse
from argosy.model.snapshot import NodeState

MOST_MILLI = 10**12
"""Of thousandths of a CPU and of MiB."""


def nodes(path: str) -> tuple[NodeState, ...]:
    """The nodes; an empty cell of a column in brackets is unknown, which does not bind."""
    columns = {
        "id": pl.String,
        "pool": pl.String,
        "accelerators": pl.Int64,
        "domain": pl.String,
        "cpu_milli": pl.Int64,
        "memory_mib": pl.Int64,
    }
    optional = ("domain", "cpu_milli", "memory_mib")
    rules = (
        *(named(name) for name in ("id", "pool", "domain")),
        between("accelerators", 1024),
        *(between(name, MOST_MILLI) for name in ("cpu_milli", "memory_mib")),
    )
    table = read(path, columns, optional=optional, empty=optional, rules=rules)
    refuse(path, table, Rule(pl.col("id").is_duplicated(), "id", "the name stands here twice"))
    return tuple(NodeState.model_validate(row) for row in table.select(list(columns)).iter_rows(named=True))

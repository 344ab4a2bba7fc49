"""Speeds of pairs as a table: what `argosy place --pairs` reads.

Columns `kind,beside,silicon,speed_fraction,beside_speed_fraction`, CSV (also `.gz`) or Parquet. A table with a problem
gives one error with file and line and nothing is loaded.
"""

from __future__ import annotations

import polars as pl

from argosy.files.traces._table import read, refuse
from argosy.model.pair_speed import PairSpeed

COLUMNS = {
    "kind": pl.String,
    "beside": pl.String,
    "silicon": pl.String,
    "speed_fraction": pl.Float64,
    "beside_speed_fraction": pl.Float64,
}


def pairs(path: str) -> tuple[PairSpeed, ...]:
    """The pairs; each once, in either order, and two of one kind with one speed."""
    table = read(path, COLUMNS)
    for name in ("speed_fraction", "beside_speed_fraction"):
        refuse(path, table, ~((pl.col(name) > 0) & (pl.col(name) <= 1)), name, "above 0 and up to 1 is possible")
    both = pl.concat_list("kind", "beside").list.sort().list.join(" ") + " " + pl.col("silicon")
    refuse(path, table, both.is_duplicated(), "kind", "the pair stands here twice")
    unlike = (pl.col("kind") == pl.col("beside")) & (pl.col("speed_fraction") != pl.col("beside_speed_fraction"))
    refuse(path, table, unlike, "beside_speed_fraction", "two of one kind have one speed")
    return tuple(PairSpeed.model_validate(row) for row in table.select(list(COLUMNS)).iter_rows(named=True))

"""Speeds of pairs as a table: what `argosy place --pairs` reads.

Columns `kind,beside,silicon,speed_fraction,beside_speed_fraction`, CSV (also `.gz`) or Parquet. A table with a problem
gives one error with file and line and nothing is loaded.
"""

from __future__ import annotations

import polars as pl

from argosy.files.traces._table import Rule, named, read, refuse
from argosy.model.pair_speed import PairSpeed

COLUMNS = {
    "kind": pl.String,
    "beside": pl.String,
    "silicon": pl.String,
    "speed_fraction": pl.Float64,
    "beside_speed_fraction": pl.Float64,
}
_unlike = (pl.col("kind") == pl.col("beside")) & (pl.col("speed_fraction") != pl.col("beside_speed_fraction"))
RULES = (
    *(named(name) for name in ("kind", "beside", "silicon")),
    *(
        Rule(~pl.col(name).is_between(0, 1, "right"), name, "above 0 and up to 1 is possible")
        for name in ("speed_fraction", "beside_speed_fraction")
    ),
    Rule(_unlike, "beside_speed_fraction", "two of one kind have one speed"),
)


def pairs(path: str) -> tuple[PairSpeed, ...]:
    """The pairs; each once, in either order, and two of one kind with one speed."""
    table = read(path, COLUMNS, rules=RULES)
    both = pl.concat_list("kind", "beside").list.sort().list.join(" ") + " " + pl.col("silicon")
    refuse(path, table, Rule(both.is_duplicated(), "kind", "the pair stands here twice"))
    return tuple(PairSpeed.model_validate(row) for row in table.select(list(COLUMNS)).iter_rows(named=True))

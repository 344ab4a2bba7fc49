"""SkyPilot's spot traces (NSDI'24): what could be had, or stayed alive, in a zone over time.

Columns: `kind,nodes,campaign,zone,accelerator,t_s,value`.
"""

from __future__ import annotations

from typing import Literal

import polars as pl

from argosy.files.traces._blocks import LINE
from argosy.files.traces._source import Source
from argosy.files.traces._table import MOST_SECONDS, Rule, between, read, refuse
from argosy.model.fleet import Availability, frame

MOST_ACCELERATORS = 10**6
NAMES = ("kind", "nodes", "campaign", "zone", "accelerator")
TOGETHER = tuple(name for name in NAMES if name != "zone")
"""Columns in which zones agree that were measured together."""


class Trace(Source):
    """Measurements of spot capacity."""

    kind: Literal["skypilot_spot"] = "skypilot_spot"

    def availability(self) -> pl.DataFrame:
        """One row per measurement; a series is named kind/nodes/campaign/zone/accelerator."""
        columns = {**dict.fromkeys(NAMES, pl.String), "t_s": pl.Float64, "value": pl.Float64}
        rules = (between("t_s", MOST_SECONDS), between("value", MOST_ACCELERATORS))
        table = read(self.path, columns, rules=rules, each=_points)
        again = pl.struct("series", "t_s").is_duplicated()
        refuse(self.path, table, Rule(again, "t_s", "its series has another measurement at this time"))
        table = table.sort("series", "t_s", maintain_order=True)
        return frame(
            Availability,
            {
                "series": table["series"],
                "at_seconds": table["t_s"],
                "accelerators": table["value"],
                "together": table["together"],
            },
        )


def _points(block: pl.DataFrame) -> pl.DataFrame:
    series, together = (pl.concat_str(names, separator="/") for names in (NAMES, TOGETHER))
    return block.select(series.alias("series"), together.alias("together"), "t_s", "value", LINE)

"""ServeGen (Alibaba Cloud): request rates of clients in windows. Columns: `client,t_s,rate_rps,...`."""

from __future__ import annotations

from typing import Literal

import polars as pl

from argosy.files.traces._source import Source
from argosy.files.traces._table import MOST_SECONDS, between, read
from argosy.model.fleet import Rate, frame

MOST_PER_SECOND = 10**9
"""Requests of one client."""


class Trace(Source):
    """Rates of the clients."""

    kind: Literal["servegen"] = "servegen"

    def rates(self) -> pl.DataFrame:
        """One row per client and window, by client and time."""
        columns = {"client": pl.String, "t_s": pl.Float64, "rate_rps": pl.Float64}
        rules = (between("t_s", MOST_SECONDS), between("rate_rps", MOST_PER_SECOND))
        table = read(self.path, columns, rules=rules, each=_windows).sort("client", "t_s", maintain_order=True)
        return frame(Rate, {"owner": table["client"], "at_seconds": table["t_s"], "per_second": table["rate_rps"]})


def _windows(block: pl.DataFrame) -> pl.DataFrame:
    return block.select("client", "t_s", "rate_rps")

"""ServeGen (Alibaba Cloud): request rates of clients in windows. Columns: `client,t_s,rate_rps,...`."""

from __future__ import annotations

from typing import Literal

import polars as pl

from argosy.files.traces._source import Source
from argosy.files.traces._table import read, refuse
from argosy.model.fleet import Rate, frame


class Trace(Source):
    """Rates of the clients."""

    kind: Literal["servegen"] = "servegen"

    def rates(self) -> pl.DataFrame:
        """One row per client and window, by client and time."""
        columns = {"client": pl.String, "t_s": pl.Float64, "rate_rps": pl.Float64}
        table = read(self.path, columns, each=self._windows).sort("client", "t_s", maintain_order=True)
        return frame(Rate, {"owner": table["client"], "at_seconds": table["t_s"], "per_second": table["rate_rps"]})

    def _windows(self, block: pl.DataFrame) -> pl.DataFrame:
        refuse(self.path, block, pl.min_horizontal("t_s", "rate_rps") < 0, "rate_rps", "at least 0")
        return block.select("client", "t_s", "rate_rps")

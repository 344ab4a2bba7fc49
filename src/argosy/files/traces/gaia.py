"""GAIA's sample of Alibaba PAI: batch jobs on CPUs that may wait. Columns: `arrival_time,length,cpus`, in hours.

The jobs want no accelerator, so a portfolio reads from them how busy CPUs are from hour to hour.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt
import polars as pl

from argosy.files.traces._rates import OWNER
from argosy.files.traces._source import Source
from argosy.files.traces._table import between, numbered, read
from argosy.model.fleet import WHOLE_MILLI, Rate, TraceAsk, frame

Floats = npt.NDArray[np.float64]
MOST = (("arrival_time", 100_000), ("length", 100_000), ("cpus", 1_000_000))


class Trace(Source):
    """Jobs of the sample."""

    kind: Literal["gaia"] = "gaia"

    def asks(self) -> pl.DataFrame:
        """One row per job, in order of arrival; it wants CPUs and no accelerator."""
        table = self._jobs()
        return frame(
            TraceAsk,
            {
                "id": table.select(numbered("job")).to_series(),
                "arrival_seconds": table["arrival_time"] * 3600,
                "duration_seconds": table["length"] * 3600,
                "accelerators": pl.repeat(0, len(table), dtype=pl.Int64, eager=True),
                "share_milli": pl.repeat(WHOLE_MILLI, len(table), dtype=pl.Int64, eager=True),
                "cpu_milli": (table["cpus"] * 1000).round().cast(pl.Int64),
                "silicon": pl.repeat("", len(table), eager=True),
                "members": pl.repeat(1, len(table), dtype=pl.Int64, eager=True),
            },
        )

    def rates(self) -> pl.DataFrame:
        """CPUs busy on average in each hour from the first arrival to the last, as if every job ran at once."""
        table = self._jobs()
        begin, length, cpus = (table[name].to_numpy() for name in ("arrival_time", "length", "cpus"))
        hours = np.arange(np.floor(begin[0]), np.floor(begin[-1]) + 2)
        done = _since(begin, cpus, hours) - _since(begin + length, cpus, hours)
        return frame(
            Rate,
            {
                "owner": [OWNER] * (len(hours) - 1),
                "at_seconds": (hours[:-1] - hours[0]) * 3600,
                # The difference of two sums may be a rounding below nothing.
                "per_second": np.maximum(0.0, np.diff(done)),
            },
        )

    def _jobs(self) -> pl.DataFrame:
        columns = {"arrival_time": pl.Float64, "length": pl.Float64, "cpus": pl.Float64}
        rules = tuple(between(name, most) for name, most in MOST)
        table = read(self.path, columns, rules=rules, each=_kept)
        return table.sort("arrival_time", maintain_order=True)


def _kept(block: pl.DataFrame) -> pl.DataFrame:
    return block.select("arrival_time", "length", "cpus")


def _since(start: Floats, weight: Floats, at: Floats) -> Floats:
    """(T,) sum over all that has started by then of weight x time since its start."""
    order = np.argsort(start, kind="stable")
    start, weight = start[order], weight[order]
    count = np.searchsorted(start, at, side="right")
    heavy = np.concatenate([[0.0], np.cumsum(weight)])[count]
    moment = np.concatenate([[0.0], np.cumsum(weight * start)])[count]
    return np.asarray(heavy * at - moment)

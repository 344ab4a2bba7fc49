"""Mooncake (FAST'25): requests with lengths and hashes of prompt blocks, one JSON object per line, time in ms."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import polars as pl

from argosy.files.traces._blocks import bad, json_lines
from argosy.files.traces._rates import rates_of, windowed
from argosy.files.traces._source import Source
from argosy.files.traces._table import MOST_SECONDS, MOST_TOKENS, Rule, between, refuse
from argosy.model.fleet import Call, frame

MOST = {"timestamp": MOST_SECONDS * 1000, "input_length": MOST_TOKENS, "output_length": MOST_TOKENS}
RULES = (
    *(Rule(pl.col(name).is_null(), name, f"the object has no number {name!r}") for name in MOST),
    *(between(name, most) for name, most in MOST.items()),
    *(Rule(pl.col(name) % 1 != 0, name, "a length is a whole number") for name in MOST if name != "timestamp"),
)


class Trace(Source):
    """Requests of the trace."""

    kind: Literal["mooncake"] = "mooncake"

    def calls(self) -> pl.DataFrame:
        """One row per request, in order of time."""
        table = self._read(lambda block: block).sort("at", maintain_order=True)
        return frame(
            Call,
            {
                "at_seconds": table["at"] - table["at"][0],
                "input_tokens": table["input_tokens"].cast(pl.Int64),
                "output_tokens": table["output_tokens"].cast(pl.Int64),
            },
        )

    def rates(self) -> pl.DataFrame:
        """Tokens per second in windows of ten minutes."""
        return rates_of(self._read(windowed))

    def _read(self, each: Callable[[pl.DataFrame], pl.DataFrame]) -> pl.DataFrame:
        parts = []
        for block in json_lines(self.path, pl.Schema({name: pl.Float64() for name in MOST})):
            refuse(self.path, block, *RULES)
            made = block.select(
                (pl.col("timestamp") / 1000).alias("at"),
                pl.col("input_length").alias("input_tokens"),
                pl.col("output_length").alias("output_tokens"),
            )
            parts.append(each(made))
        if not parts:
            raise bad(self.path, 1, "trace.empty", "the file is empty")
        return pl.concat(parts)

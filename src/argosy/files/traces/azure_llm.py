"""Azure LLM inference 2023: requests with prompt and answer lengths. `TIMESTAMP,ContextTokens,GeneratedTokens`."""

from __future__ import annotations

from typing import Literal

import polars as pl

from argosy.files.traces._rates import rates_of, windowed
from argosy.files.traces._source import Source
from argosy.files.traces._table import MOST_TOKENS, between, instants, read
from argosy.model.fleet import Call, frame

COLUMNS = {"TIMESTAMP": pl.String, "ContextTokens": pl.Int64, "GeneratedTokens": pl.Int64}
RULES = tuple(between(name, MOST_TOKENS) for name in ("ContextTokens", "GeneratedTokens"))


class Trace(Source):
    """Requests of the trace."""

    kind: Literal["azure_llm"] = "azure_llm"

    def calls(self) -> pl.DataFrame:
        """One row per request, in order of time."""
        table = read(self.path, COLUMNS, rules=RULES, each=self._requests).sort("at", maintain_order=True)
        return frame(
            Call,
            {
                "at_seconds": table["at"] - table["at"].min(),
                "input_tokens": table["input_tokens"],
                "output_tokens": table["output_tokens"],
            },
        )

    def rates(self) -> pl.DataFrame:
        """Tokens per second in windows of ten minutes."""
        return rates_of(read(self.path, COLUMNS, rules=RULES, each=lambda block: windowed(self._requests(block))))

    def _requests(self, block: pl.DataFrame) -> pl.DataFrame:
        at = instants(self.path, block, "TIMESTAMP").alias("at")
        lengths = {"ContextTokens": "input_tokens", "GeneratedTokens": "output_tokens"}
        return block.with_columns(at).rename(lengths).select("at", "input_tokens", "output_tokens")

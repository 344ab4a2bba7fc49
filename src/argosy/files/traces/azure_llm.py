"""Azure LLM inference 2023: requests with prompt and answer lengths. `TIMESTAMP,ContextTokens,GeneratedTokens`."""

from __future__ import annotations

from typing import Literal

import polars as pl

from argosy.files.traces._source import Source
from argosy.files.traces._table import instants, read, refuse
from argosy.model.fleet import Call, frame


class Trace(Source):
    """Requests of the trace."""

    kind: Literal["azure_llm"] = "azure_llm"

    def calls(self) -> pl.DataFrame:
        """One row per request, in order of time."""
        table = read(self.path, {"TIMESTAMP": pl.String, "ContextTokens": pl.Int64, "GeneratedTokens": pl.Int64})
        low = pl.min_horizontal("ContextTokens", "GeneratedTokens") < 0
        refuse(self.path, table, low, "ContextTokens", "a length is at least 0")
        table = table.with_columns(instants(self.path, table["TIMESTAMP"]).alias("at")).sort("at", maintain_order=True)
        return frame(
            Call,
            {
                "at_seconds": table["at"] - table["at"].min(),
                "input_tokens": table["ContextTokens"],
                "output_tokens": table["GeneratedTokens"],
            },
        )

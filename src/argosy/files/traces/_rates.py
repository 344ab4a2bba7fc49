"""Rates: requests counted in windows, block by block, so that a log of any length becomes a short series."""

from __future__ import annotations

import polars as pl

from argosy.model.fleet import Rate, frame

WINDOW_SECONDS = 600.0
OWNER = "all"


def windowed(block: pl.DataFrame) -> pl.DataFrame:
    """Tokens by window, of rows with `at` (seconds), `input_tokens` and `output_tokens`."""
    window = (pl.col("at") / WINDOW_SECONDS).floor().cast(pl.Int64).alias("window")
    tokens = (pl.col("input_tokens") + pl.col("output_tokens")).sum().alias("tokens")
    return block.group_by(window).agg(tokens)


def rates_of(windows: pl.DataFrame) -> pl.DataFrame:
    """`Rate` rows, in tokens per second, of windows that may stand there several times; time starts at the first."""
    total = windows.group_by("window").agg(pl.col("tokens").sum()).sort("window")
    return frame(
        Rate,
        {
            "owner": [OWNER] * len(total),
            "at_seconds": (total["window"] - total["window"][0]) * WINDOW_SECONDS,
            "per_second": total["tokens"] / WINDOW_SECONDS,
        },
    )

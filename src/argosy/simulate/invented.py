"""Invented arrivals: a stream of asks drawn from measured kinds of work, by seed.

The method is Gavel's (OSDI'20): Poisson arrivals; the kind of work is any of those measured at its size; the run
time on the reference chip is 10^u minutes, u uniform in [1.5, 3] for four of five and in [3, 4] for the rest; gangs of
1, 2, 4 and 8 in the proportions given. Nothing here knows a trace.
"""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from argosy.clock import rng
from argosy.model.fleet import WHOLE_MILLI, TraceAsk, frame

SINGLE: Mapping[int, float] = {1: 1.0}
MULTIPLE: Mapping[int, float] = {1: 0.7, 2: 0.1, 4: 0.15, 8: 0.05}


def poisson_asks(
    speeds: pl.DataFrame, *, reference: str, count: int, per_hour: float, sizes: Mapping[int, float], seed: int
) -> pl.DataFrame:
    """`count` asks as `TraceAsk` rows. Kinds without a speed on the reference chip for a size are not drawn at it.

    `per_hour` 0 puts all arrivals at the start.
    """
    draw = rng(seed, "simulate", "invented")
    usable = speeds.filter(pl.col("silicon") == reference, pl.col("steps_per_second") > 0)
    by_size = {
        size: usable.filter(pl.col("accelerators") == size).sort("work").select("work", "steps_per_second").rows()
        for size in sizes
    }
    assert all(by_size.values()), "no kind of work is measured on the reference chip at one of the sizes"
    gaps = draw.exponential(3600 / per_hour, size=count) if per_hour > 0 else [0.0] * count
    rows = []
    at = 0.0
    chances = list(sizes.values())
    for i in range(count):
        size = int(draw.choice(list(sizes), p=chances))
        work, speed = by_size[size][int(draw.integers(len(by_size[size])))]
        long = draw.random() >= 0.8
        seconds = 60 * 10 ** float(draw.uniform(3, 4) if long else draw.uniform(1.5, 3))
        rows.append((f"job-{i}", at, work, max(1.0, seconds * speed), size))
        at += float(gaps[i])
    names = ("id", "arrival_seconds", "work", "steps", "accelerators")
    columns: dict[str, object] = {name: [row[k] for row in rows] for k, name in enumerate(names)}
    columns |= {"share_milli": [WHOLE_MILLI] * count, "silicon": [""] * count, "members": [1] * count}
    return frame(TraceAsk, columns)

"""Services on recorded spot capacity: the same replicas in one zone, spread over zones, with and without on demand.

Zones that were measured together (`Availability.together`) are one world. In each, `simulate.standby` replays the
service as asked (P5.10 to P5.13) and, to compare with, without on demand and in one zone alone. Nothing is left to
chance.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import polars as pl

from argosy.errors import BadInput, Problem
from argosy.simulate.standby import Served, serve, zones

ONE_ZONE, SPOT_ONLY, SPREAD = "one_zone", "spot_only", "spread"
WAYS = (ONE_ZONE, SPOT_ONLY, SPREAD)
"""In one zone with on demand behind it, the mean of all zones; spread with nothing behind it; as asked."""


@dataclass(frozen=True, slots=True)
class Way:
    """One way to run the service, in one world."""

    cost_fraction: float
    """Of as many replicas on demand."""
    available_fraction: float
    """Share of the wanted replicas that were ready, over time."""
    whole_fraction: float
    """Share of the time in which all were ready."""
    lost: float
    """Replicas taken away."""


@dataclass(frozen=True, slots=True)
class Service:
    """One world."""

    together: str
    zones: tuple[str, ...]
    days: float
    step_hours: float
    ways: dict[str, Way]
    served: Served
    """The way as asked, step by step."""


@dataclass(frozen=True, slots=True)
class Services:
    """All worlds of a trace."""

    worlds: tuple[Service, ...]
    left_out: dict[str, str]
    """World to why it could not be replayed."""

    def mean(self, way: str, field: str) -> float:
        """The mean over the worlds."""
        return float(np.mean([getattr(world.ways[way], field) for world in self.worlds]))


def replay_services(
    availability: pl.DataFrame,
    *,
    wanted: int,
    extra: int,
    trust_hours: float,
    start_hours: float,
    spot_price_ratio: float,
    progress: Callable[[str], None] = lambda name: None,
) -> Services:
    """Every world of the trace. BadInput when none can be replayed."""
    named = availability.with_columns(pl.col("together").fill_null(pl.col("series")).alias("world"))
    made, left_out = [], {}
    problems: list[Problem] = []
    for world in named["world"].unique().sort().to_list():
        progress(world)
        rows = named.filter(pl.col("world") == world)
        names = tuple(rows["series"].unique().sort().to_list())
        try:
            room, step = zones(rows, names)
        except BadInput as error:
            left_out[world] = error.problems[0].message
            problems += error.problems
            continue
        like = partial(
            serve,
            step_hours=step,
            start_hours=start_hours,
            spot_price_ratio=spot_price_ratio,
            wanted=wanted,
            extra=extra,
        )
        asked = like(room, trust_hours=trust_hours)
        alone = [like(room[:, [z]], trust_hours=trust_hours) for z in range(len(names))]
        bare = like(room, on_demand=False)
        ways = {ONE_ZONE: _way(alone), SPOT_ONLY: _way([bare]), SPREAD: _way([asked])}
        made.append(Service(world, names, len(room) * step / 24, step, ways, asked))
    if not made:
        raise BadInput(problems)
    return Services(tuple(made), left_out)


def _way(found: list[Served]) -> Way:
    return Way(
        cost_fraction=float(np.mean([f.cost_fraction for f in found])),
        available_fraction=float(np.mean([f.available_fraction for f in found])),
        whole_fraction=float(np.mean([f.whole_fraction for f in found])),
        lost=float(np.mean([f.lost.sum() for f in found])),
    )

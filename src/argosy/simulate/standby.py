"""A service on recorded spot capacity of several zones: how much of it is ready, and what does it cost?

`place.standby` decides at every measurement. A replica that starts is paid for and not ready until its start is over;
when a zone has less room than replicas, those that were started last are lost.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numba
import numpy as np
import polars as pl

from argosy.errors import BadInput, Problem
from argosy.place.standby import Counts, fallback, starts


@dataclass(frozen=True, slots=True)
class Served:
    """One way to run a service. Cost as a share of as many replicas on demand."""

    ready: Counts
    """Replicas ready at each step, no more than wanted counted."""
    lost: Counts
    """Replicas taken away at the beginning of each step."""
    spot: Counts
    """Replicas on spot by step and zone, those that start included."""
    wanted: int
    cost_fraction: float

    @property
    def available_fraction(self) -> float:
        """Share of the wanted replicas that were ready, over time."""
        return float(self.ready.mean()) / self.wanted

    @property
    def whole_fraction(self) -> float:
        """Share of the time in which all wanted replicas were ready."""
        return float((self.ready >= self.wanted).mean())


def zones(availability: pl.DataFrame, series: Sequence[str]) -> tuple[Counts, float]:
    """Room by step and zone of series that were measured together, and hours of a step; the common part is taken.

    BadInput when a series is not there, has a gap, or was not measured at the same times as the others.
    """
    columns, times = [], []
    for name in series:
        rows = availability.filter(pl.col("series") == name)
        if len(rows) < 2:
            raise BadInput([Problem("", 0, 0, "trace.short", "series", f"the trace has no series {name}")])
        columns.append(rows["accelerators"].to_numpy())
        times.append(rows["at_seconds"].to_numpy())
    count = min(len(column) for column in columns)
    if any(not np.array_equal(at[:count], times[0][:count]) for at in times):
        raise BadInput([Problem("", 0, 0, "trace.times", "series", "the series were not measured at the same times")])
    between = np.diff(times[0][:count])
    if between.max() > 1.5 * np.median(between):
        raise BadInput([Problem("", 0, 0, "trace.gap", "series", "there is a gap between measurements")])
    room = np.stack([column[:count] for column in columns], axis=1).astype(np.int64)
    return room, float(np.median(np.diff(times[0]))) / 3600


def serve(
    room: Counts,
    *,
    step_hours: float,
    start_hours: float,
    spot_price_ratio: float,
    wanted: int,
    extra: int = 0,
    trust_hours: float = 0.0,
    on_demand: bool = True,
) -> Served:
    """Replay a service of `wanted` replicas on `room` by step and zone; without `on_demand` nothing replaces spot."""
    ready, lost, spot, cost = _serve(
        np.ascontiguousarray(room), step_hours, start_hours, spot_price_ratio, wanted, extra, trust_hours, on_demand
    )
    return Served(ready, lost, spot, wanted, cost / (len(room) * step_hours * wanted))


@numba.njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def _serve(  # noqa: PLR0917  compiled
    room: Counts, step: float, start: float, price: float, wanted: int, extra: int, trust: float, on_demand: bool
) -> tuple[Counts, Counts, Counts, float]:
    steps, zones = room.shape
    most = wanted + extra
    # When each replica will be ready, by zone, in order of start; on demand in the last row.
    at = np.zeros((zones + 1, most))
    have = np.zeros(zones, dtype=np.int64)
    age = np.zeros(zones)
    paid = 0
    ready_by_step = np.zeros(steps, dtype=np.int64)
    lost_by_step = np.zeros(steps, dtype=np.int64)
    spot_by_step = np.zeros((steps, zones), dtype=np.int64)
    cost = 0.0
    for i in range(steps):
        now = i * step
        for z in range(zones):
            if have[z] > room[i, z]:
                lost_by_step[i] += have[z] - room[i, z]
                have[z] = room[i, z]
            age[z] = age[z] + step if room[i, z] > 0 else 0.0
        ready, trusted = 0, 0
        for z in range(zones):
            for r in range(have[z]):
                if at[z, r] <= now + 1e-9:
                    ready += 1
                    trusted += age[z] >= trust - 1e-9
        # Starting ones were started last, so they are the first to end.
        if on_demand:
            kept = fallback(trusted, wanted)
            for r in range(paid, kept):
                at[zones, r] = now + start
            paid = kept
        new = starts(room[i], have, age, most)
        for z in range(zones):
            for r in range(have[z], have[z] + new[z]):
                at[z, r] = now + start
            have[z] += new[z]
            spot_by_step[i, z] = have[z]
        for r in range(paid):
            ready += at[zones, r] <= now + 1e-9
        ready_by_step[i] = min(ready, wanted)
        cost += (have.sum() * price + paid) * step
    return ready_by_step, lost_by_step, spot_by_step, cost

"""Demand shock: a sudden jump of demand, up or down, that stays or fades."""

from __future__ import annotations

import math
from typing import Annotated, Literal

import numpy as np
import numpy.typing as npt
from annotated_types import Ge, Gt, Le, Len

from argosy.model.chance import Chance, Effects, Streams, Subjects, period_means, stepwise
from argosy.model.horizon import Horizon
from argosy.record import Id
from argosy.units import Fraction, Month

Jumps = Annotated[tuple[Annotated[float, Gt(0), Le(100)], ...], Len(min_length=1, max_length=24)]


class Uncertainty(Chance):
    """S3: at random months demand is multiplied by a random factor, which stays or fades with a half-life.

    The defaults leave the mean at 1 (0.24 * 2.267 + 0.76 * 0.6 = 1): rare large jumps up, more frequent setbacks. The
    largest jump up is a public one, 9 to 30 billion USD of yearly revenue within four months
    (https://open-techstack.com/blog/broadcom-google-anthropic-tpu-deal-2026, 2026-04); how often shocks come is a
    judgement, one in four years.
    """

    kind: Literal["demand_shock"] = "demand_shock"
    workloads: tuple[Id, ...] = ()
    """Workloads that it hits; empty means all."""
    together: bool = True
    """Whether one shock hits all of them alike; otherwise each has its own."""
    events_per_year_ratio: Annotated[float, Ge(0), Le(12)] = 0.25
    """Mean number of shocks in a year."""
    up_fraction: Fraction = 0.24
    """Share of the shocks that go up."""
    up_ratio: Jumps = (1.5, 2.0, 3.3)
    """Factors of a shock up, equally likely."""
    down_ratio: Jumps = (0.8, 0.6, 0.4)
    """Factors of a shock down, equally likely."""
    half_life_months: Annotated[float, Gt(0), Le(1200)] | None = None
    """Months after which half of a shock is gone; absent means that it stays."""

    def draw(self, streams: Streams, subjects: Subjects) -> Effects:
        """One path for all named workloads, or one for each."""
        workloads = self.chosen("workloads", subjects.workloads)
        if self.together:
            path = self._path(streams.of("common"), subjects.horizon)
            return Effects(demand_factor=dict.fromkeys(workloads, path))
        return Effects(
            demand_factor={w: self._path(streams.of("workload", w), subjects.horizon) for w in workloads},
        )

    def _path(self, rng: np.random.Generator, horizon: Horizon) -> dict[Month, float]:
        """Three numbers decide each month, whether or not a shock comes; so one parameter changes no other month."""
        chance = -math.expm1(-self.events_per_year_ratio / 12)
        factors: npt.NDArray[np.float64] = np.ones(horizon.months)
        for month, (comes, direction, size) in enumerate(rng.random((horizon.months, 3)).tolist()):
            if comes >= chance:
                continue
            jumps = self.up_ratio if direction < self.up_fraction else self.down_ratio
            jump = jumps[int(size * len(jumps))] - 1
            ages = np.arange(horizon.months - month)
            factors[month:] *= 1 + jump * (0.5 ** (ages / self.half_life_months) if self.half_life_months else 1.0)
        return stepwise(horizon, period_means(horizon, np.clip(factors, 0.001, 1000)))

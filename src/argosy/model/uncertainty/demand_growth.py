"""Demand growth: a yearly growth rate that nobody knows, and a random walk around it."""

from __future__ import annotations

import math
from typing import Annotated, Literal

import numpy as np
import numpy.typing as npt
from annotated_types import Ge, Le

from argosy.model.chance import Chance, Effects, Streams, Subjects, period_means, stepwise
from argosy.model.horizon import Horizon
from argosy.record import Id
from argosy.units import Fraction

LEAST, MOST = 0.02, 50.0


class Uncertainty(Chance):
    """S2: multiplies demand by exp(trend * years + walk - half its variance), so that its mean is 1 in every month.

    What the planner expects is written in the demand; this is only how wrong that may be. Paths stay within 1/50 and 50
    times the written demand. The defaults are a judgement: after three years two of three futures lie within a factor
    of 1.6 of the median. They are not too wide: a public case went from 9 to 30 billion USD of yearly revenue within
    four months (https://open-techstack.com/blog/broadcom-google-anthropic-tpu-deal-2026, 2026-04).
    """

    kind: Literal["demand_growth"] = "demand_growth"
    workloads: tuple[Id, ...] = ()
    """Workloads that it holds for; empty means all."""
    trend_per_year_ratio: Annotated[float, Ge(0), Le(5)] = 0.15
    """Standard deviation of the yearly growth exponent."""
    walk_per_month_ratio: Annotated[float, Ge(0), Le(1)] = 0.03
    """Standard deviation of the monthly step of the walk."""
    common_fraction: Fraction = 1.0
    """Share of the variance that all its workloads have in common; 1 moves them together, 0 each for itself."""

    def draw(self, streams: Streams, subjects: Subjects) -> Effects:
        """One path for each workload, with the mean of each period."""
        horizon = subjects.horizon
        ages = np.arange(horizon.months)
        variance = (self.trend_per_year_ratio * ages / 12) ** 2 + self.walk_per_month_ratio**2 * (ages + 1)
        common = math.sqrt(self.common_fraction) * self._exponent(streams.of("common"), horizon)
        paths = {}
        for workload in self.chosen("workloads", subjects.workloads):
            own = math.sqrt(1 - self.common_fraction)
            exponent = common + own * self._exponent(streams.of("workload", workload), horizon) if own else common
            factors = np.clip(np.exp(exponent - variance / 2), LEAST, MOST)
            paths[workload] = stepwise(horizon, period_means(horizon, factors))
        return Effects(demand_factor=paths)

    def _exponent(self, rng: np.random.Generator, horizon: Horizon) -> npt.NDArray[np.float64]:
        """A path of the exponent; the trend is drawn first, so that a longer plan begins like a shorter one."""
        trend = rng.normal(0, self.trend_per_year_ratio) * np.arange(horizon.months) / 12
        walk: npt.NDArray[np.float64] = trend + np.cumsum(rng.normal(0, self.walk_per_month_ratio, horizon.months))
        return walk

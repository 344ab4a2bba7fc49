"""Demand growth: a yearly growth rate nobody knows, and a random walk around it."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from annotated_types import Ge, Le

from argosy.model.chance import Chance, Effects, Subjects
from argosy.record import Id


class Uncertainty(Chance):
    """Multiplies demand by exp(trend * years + walk); the mean of the factor is near 1 in every month."""

    kind: Literal["demand_growth"] = "demand_growth"
    workloads: tuple[Id, ...] = ()
    """Workloads it holds for, drawn together; empty means all."""
    trend_per_year_ratio: Annotated[float, Ge(0), Le(5)] = 0.25
    """Standard deviation of the yearly growth exponent."""
    walk_per_month_ratio: Annotated[float, Ge(0), Le(1)] = 0.03
    """Standard deviation of the monthly step of the walk."""

    def draw(self, rng: np.random.Generator, subjects: Subjects) -> Effects:
        """One path for all named workloads, with a point for each period."""
        horizon = subjects.horizon
        years = np.arange(horizon.months) / 12
        walk = np.cumsum(rng.normal(0, self.walk_per_month_ratio, horizon.months))
        exponent = rng.normal(0, self.trend_per_year_ratio) * years + walk
        variance = (self.trend_per_year_ratio * years) ** 2 + self.walk_per_month_ratio**2 * (years * 12 + 1)
        factors = np.clip(np.exp(exponent - variance / 2), 0.02, 50)
        path = {
            horizon.start.plus(m): float(factors[m : m + horizon.step_months].mean())
            for m in range(0, horizon.months, horizon.step_months)
        }
        return Effects(demand_factor={w: path for w in self.workloads or subjects.workloads})

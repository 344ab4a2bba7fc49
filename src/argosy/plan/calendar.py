"""Calendar: months, periods and fiscal years of one horizon as arrays.

`inputs` and `result` translate between positions and dates through it; nothing else knows both.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from argosy.model.horizon import Horizon
from argosy.plan.program import Floats, Ints
from argosy.units import Month

STANDARD_HOURS = 730.0


@dataclass(frozen=True, slots=True)
class Calendar:
    """One horizon. M months, T periods, Y fiscal years."""

    horizon: Horizon
    hours: Floats
    """(M,) hours of each month by the calendar."""
    period_of_month: Ints
    """(M,)"""
    duration: Floats
    """(T,) standard months of 730 hours in each period."""
    discount: Floats
    """(T,)"""
    year: Ints
    """(T,)"""

    @classmethod
    def of(cls, horizon: Horizon, discount_rate_fraction: float) -> Calendar:
        """Lay out a horizon; money of a period is discounted to the start from the period's middle."""
        months, step = horizon.months, horizon.step_months
        hours = np.array([horizon.start.plus(m).hours for m in range(months)], dtype=float)
        first = np.arange(0, months, step)
        return cls(
            horizon=horizon,
            hours=hours,
            period_of_month=np.arange(months) // step,
            duration=hours.reshape(-1, step).sum(axis=1) / STANDARD_HOURS,
            discount=(1 + discount_rate_fraction) ** (-(first + step / 2) / 12),
            year=first // 12,
        )

    @property
    def periods(self) -> int:
        """Number of periods."""
        return len(self.duration)

    @property
    def years(self) -> int:
        """Number of fiscal years, the last of which may be short."""
        return int(self.year[-1]) + 1

    def mean(self, monthly: Floats) -> Floats:
        """Hours-weighted mean level of each period: (..., M) to (..., T)."""
        shape = (*monthly.shape[:-1], self.periods, self.horizon.step_months)
        weighted = (monthly * self.hours).reshape(shape).sum(axis=-1)
        return np.asarray(weighted / (self.duration * STANDARD_HOURS))

    def total(self, monthly: Floats) -> Floats:
        """Sum over the months of each period: (..., M) to (..., T)."""
        return np.asarray(monthly.reshape((*monthly.shape[:-1], self.periods, self.horizon.step_months)).sum(axis=-1))

    def by_year(self, per_period: Floats) -> Floats:
        """Sum over the periods of each fiscal year: (..., T) to (..., Y)."""
        out = np.zeros((*per_period.shape[:-1], self.years))
        for y in range(self.years):
            out[..., y] = per_period[..., self.year == y].sum(axis=-1)
        return out

    def period(self, month: int) -> int:
        """Period of a month position, clipped to the horizon."""
        return int(np.clip(month // self.horizon.step_months, 0, self.periods - 1))

    def month(self, period: int) -> Month:
        """First month of a period."""
        return self.horizon.start.plus(period * self.horizon.step_months)

"""Horizon: the months that a plan covers, and the periods they are grouped into."""

from __future__ import annotations

from typing import Annotated, Literal

from annotated_types import Ge, Le
from pydantic import model_validator

from argosy.record import Record
from argosy.units import Month


class Horizon(Record):
    """Months from `start`, grouped into periods of `step_months`, with fiscal years of twelve months from `start`."""

    start: Month
    """First month of the plan."""
    months: Annotated[int, Ge(1), Le(240)]
    """Length of the plan."""
    step_months: Literal[1, 2, 3, 4, 6, 12] = 1
    """Months in one period. Longer periods make a plan smaller and coarser."""

    @model_validator(mode="after")
    def _whole_periods(self) -> Horizon:
        if self.months % self.step_months:
            raise ValueError(f"months ({self.months}) must be a multiple of step_months ({self.step_months})")
        return self

    @property
    def end(self) -> Month:
        """First month after the plan."""
        return self.start.plus(self.months)

    def index(self, month: Month) -> int:
        """Months from the start; negative before it."""
        return month - self.start

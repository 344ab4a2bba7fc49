"""What delivery_slip and energisation share: how often a promised date is missed, by how much, and how correlated."""

from __future__ import annotations

import math
from typing import Annotated

from annotated_types import Len
from pydantic import model_validator

from argosy.model.chance import Chance
from argosy.units import Fraction, PositiveMonths


class LateChance(Chance):
    """An uncertainty about dates.

    Defaults: of 64 public AI data-centre projects 22 had a schedule that could be judged in July 2026; 6 of them were
    late and 2 cancelled or superseded (https://github.com/Strahlke/AI-Datacenter-World-Tracker, 2026-07-20). Known
    slips run from a quarter to a year and a half: sites named 2027 moved to 2028 (Bloomberg, 2025-12-12), a first phase
    named for mid-2024 was confirmed on 2025-10-31 (https://www.ytlpowerinternational.com, same tracker).
    """

    late_fraction: Fraction = 6 / 22
    """Chance that it comes late."""
    cancelled_fraction: Fraction = 2 / 22
    """Chance that it does not come within the plan at all."""
    late_months: Annotated[tuple[PositiveMonths, ...], Len(min_length=1, max_length=24)] = (3, 6, 9, 12, 18)
    """Lengths of a delay, equally likely when it is late."""
    shared_fraction: Fraction = 0.5
    """Correlation of the luck of those that share a vendor (or, of sites, a grid): 0 each for itself, 1 all alike."""

    @model_validator(mode="after")
    def _chances_fit(self) -> LateChance:
        if self.late_fraction + self.cancelled_fraction > 1:
            raise ValueError(
                f"late_fraction ({self.late_fraction:g}) and cancelled_fraction ({self.cancelled_fraction:g}) "
                "are shares of the same whole; together they must not pass 1"
            )
        return self

    def delay_months(self, shared: float, own: float, never_months: int) -> int:
        """S4: the delay from two standard normal numbers; the worse the luck, the longer. 0 when it is on time."""
        luck = math.sqrt(self.shared_fraction) * shared + math.sqrt(1 - self.shared_fraction) * own
        rank = 0.5 * math.erfc(-luck / math.sqrt(2))
        if rank < self.cancelled_fraction:
            return never_months
        if rank >= self.cancelled_fraction + self.late_fraction:
            return 0
        position = (rank - self.cancelled_fraction) / self.late_fraction * len(self.late_months)
        return sorted(self.late_months, reverse=True)[min(int(position), len(self.late_months) - 1)]

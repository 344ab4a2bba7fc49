"""Demand: an amount over time, written as a few points and read month by month."""

from __future__ import annotations

from typing import Annotated, Literal

from annotated_types import Len

from argosy.record import Record
from argosy.units import Amount, Month

Between = Literal["step", "linear", "growth"]


class Path(Record):
    """An amount that changes over time."""

    points: Annotated[dict[Month, Amount], Len(min_length=1)]
    """Month to amount. Before the first point the amount is zero, after the last it stays."""
    between: Between = "step"
    """How to read months between two points: stay (step), straight line (linear) or constant rate (growth)."""

    def at(self, month: Month) -> float:
        """The amount in one month. `growth` from or to zero is read as a straight line."""
        known = sorted(self.points)
        if month < known[0]:
            return 0.0
        before = max(m for m in known if m <= month)
        after = next((m for m in known if m > month), None)
        low = self.points[before]
        if after is None or self.between == "step":
            return low
        share, high = (month - before) / (after - before), self.points[after]
        if self.between == "growth" and low > 0 and high > 0:
            return float(low * (high / low) ** share)
        return low + share * (high - low)

    def months(self, start: Month, count: int) -> tuple[float, ...]:
        """The amounts of `count` months from `start`."""
        return tuple(self.at(start.plus(i)) for i in range(count))

    def scaled(self, factor: float) -> Path:
        """The same path with every amount multiplied."""
        return Path(points={m: amount * factor for m, amount in self.points.items()}, between=self.between)

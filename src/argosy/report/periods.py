"""Months gathered into periods that a reader can take in, and means of rows over them.

The section modules call it. A mean over a period counts every planning step of it that the plan has rows for; a pool or
workload without a row in such a step has nothing there.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from argosy.model.decision import Plan
from argosy.units import Month

_SPANS = (1, 2, 3, 4, 6, 12, 24, 36, 60, 120)


@dataclass(frozen=True, slots=True)
class Periods:
    """Equal periods from the start of the plan; the last one may be cut by its end."""

    start: Month
    months: int
    lasts: int

    @classmethod
    def of(cls, plan: Plan, most: int) -> Periods:
        """The finest periods, whole planning steps each, of which at most `most` cover the plan."""
        step = plan.step_months
        fits = [m for m in _SPANS if m % step == 0 and -(-plan.months // m) <= most]
        return cls(plan.start, plan.months, fits[0] if fits else step * -(-plan.months // (step * most)))

    @property
    def starts(self) -> tuple[Month, ...]:
        """First months."""
        return tuple(self.start.plus(m) for m in range(0, max(1, self.months), self.lasts))

    @property
    def word(self) -> str:
        """What one period is called."""
        return {1: "month", 3: "quarter", 6: "half-year", 12: "year"}.get(self.lasts, f"{self.lasts}-month period")

    def position(self, month: Month) -> int:
        """The period that a month lies in; months outside the plan count to the nearest."""
        return min(max(0, (month - self.start) // self.lasts), len(self.starts) - 1)

    def means(self, rows: Iterable[tuple[str, Month, float]]) -> dict[str, list[float]]:
        """Mean value per name and period, from (name, month, value)."""
        sums: dict[str, list[float]] = {}
        seen: list[set[Month]] = [set() for _ in self.starts]
        for name, month, value in rows:
            at = self.position(month)
            seen[at].add(month)
            sums.setdefault(name, [0.0] * len(seen))[at] += value
        return {name: [v / max(1, len(seen[i])) for i, v in enumerate(values)] for name, values in sums.items()}


def largest(means: dict[str, list[float]], most: int) -> tuple[list[str], list[str]]:
    """Names by falling total, the first `most` and the rest; one name alone is never put with the others."""
    order = sorted(means, key=lambda name: (-sum(means[name]), name))
    cut = len(order) if len(order) <= most + 1 else most
    return order[:cut], order[cut:]

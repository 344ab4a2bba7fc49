"""Solution: what a solve answers, the same from the extensive form and from the decomposition."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from argosy.plan.program import Floats

EXACT = 1e-9
"""Gaps below this are rounding of the solver."""

Progress = Callable[[str, float | None, float | None], None]
"""Called with the step, the best cost so far and the bound so far; None is not known yet."""


@dataclass(frozen=True, slots=True)
class Solution:
    """A plan in scaled units, with the duals of the program whose integers are fixed to it."""

    status: Literal["optimal", "feasible"]
    objective: float
    bound: float
    first: Floats
    """First-stage columns."""
    second: Floats
    """(S, second-stage columns)."""
    first_dual: Floats
    """First-stage rows; what one more unit of right-hand side adds to the objective."""
    second_dual: Floats
    """(S, second-stage rows)."""
    weight: Floats
    """(S,) weight of each scenario's cost in the objective; sums to 1."""
    reduced: Floats
    """First-stage columns: cost of one more unit, with rows F4.A1 and F4.A2 left out."""

    @property
    def gap(self) -> float:
        """How far the plan can be from the best one, as a share of its cost."""
        return max(0.0, self.objective - self.bound) / max(abs(self.objective), 1e-9)

    def judged(self, gap: float) -> Solution:
        """The same with the status that the gap asked for gives it."""
        return replace(self, status="optimal" if self.gap <= max(gap, EXACT) else "feasible")

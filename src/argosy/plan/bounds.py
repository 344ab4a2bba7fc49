"""Bounds: what is known for certain of the best plan of one portfolio, and what two of them say (Q2).

`resolve` and `quick_values` make bounds; `questions`, `walk_away` and `clauses` subtract them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Bounds:
    """The cost of the best plan lies between `lower` and `upper`, in USD; both are infinite where there is no plan."""

    lower: float
    upper: float
    size: dict[str, float]
    """Contract to accelerators or USD per month in the plan found; what is decided later counts with its mean."""
    option: dict[str, float]
    """Contract to accelerators of option."""
    fees: dict[str, float]
    """Contract to the mean present value of its committed fees in USD, options and exits included."""

    @property
    def gap(self) -> float:
        """(upper - lower) / upper; 0 where there is no plan."""
        return 0.0 if np.isinf(self.upper) else max(0.0, self.upper - self.lower) / max(abs(self.upper), 1e-9)


NOTHING = Bounds(np.inf, np.inf, {}, {}, {})


def difference(held: Bounds, free: Bounds, *, restriction: bool) -> tuple[float | None, float | None]:
    """Q2: certified ends of V(without) - V(with); None where nothing bounds them.

    `restriction` says that the plan without is also a plan with, so the difference cannot be below 0.
    """
    if np.isinf(held.upper):
        return (None, None)
    if np.isinf(free.upper):
        return (0.0 if restriction else None, None)
    low, high = free.lower - held.upper, free.upper - held.lower
    return (max(0.0, low), max(0.0, high)) if restriction else (low, high)

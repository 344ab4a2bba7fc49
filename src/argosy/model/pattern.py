"""Pattern: how work of a kind arrives within a month, where only its monthly amount is written.

Each workload kind holds one; `simulate` draws arrivals from it and knows no kind. The numbers are judgements about
ordinary work, not measurements of anybody's: replay a recorded trace where you have one.
"""

from __future__ import annotations

from typing import Annotated

from annotated_types import Ge, Gt, Le

from argosy.record import Record
from argosy.units import Fraction


class Pattern(Record):
    """Work that flows follows a curve over the day; other work arrives as asks with a size and a length."""

    flows: bool = True
    """Whether demand is served as it comes and cannot wait."""
    night_fraction: Fraction = 1.0
    """Demand (or arrivals) in the quietest hour, as a share of the busiest."""
    weekend_fraction: Fraction = 1.0
    """Demand (or arrivals) on Saturday and Sunday, as a share of other days."""
    noise_fraction: Annotated[float, Ge(0), Le(2)] = 0.0
    """Standard deviation of the logarithm of each hour's demand."""
    median_hours: Annotated[float, Gt(0)] = 8.0
    """Length of an ask on as many reference accelerators; half of all are shorter."""
    spread_fraction: Annotated[float, Ge(0), Le(3)] = 1.0
    """Standard deviation of the logarithm of the length."""
    longest_hours: Annotated[float, Gt(0)] = 240.0
    """Lengths above this are cut."""
    slack_ratio: Annotated[float, Ge(1)] | None = None
    """Time until the work is due over its length; None means it is never late."""
    checkpoint_every_hours: Annotated[float, Gt(0)] = 1.0
    """Work since the last checkpoint is lost when accelerators are taken away."""
    checkpoint_gib: Annotated[float, Ge(0)] = 0.0
    """What a checkpoint weighs, for each accelerator."""
    restart_hours: Annotated[float, Ge(0)] = 0.0
    """From accelerators to useful work."""

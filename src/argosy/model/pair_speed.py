"""Pair speed: how fast two kinds of work are when they share accelerators. Measured, never assumed."""

from __future__ import annotations

from typing import Annotated

from annotated_types import Gt, Le

from argosy.record import Id, Record


class PairSpeed(Record):
    """Two kinds of work on the same accelerators, each as a share of its speed alone."""

    kind: Id
    """Kind of the first."""
    beside: Id
    """Kind of the second; the same kind for two asks of one kind."""
    silicon: Id
    """Type of chip."""
    speed_fraction: Annotated[float, Gt(0), Le(1)]
    """Speed of the first beside the second, over its speed alone."""
    beside_speed_fraction: Annotated[float, Gt(0), Le(1)]
    """Speed of the second beside the first."""

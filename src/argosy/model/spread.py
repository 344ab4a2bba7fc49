"""Spread: how the replicas of a service are kept apart, so that one failure does not take all of them."""

from __future__ import annotations

from typing import Annotated, Literal

from annotated_types import Ge, Gt, Le

from argosy.record import Record

FailureDomain = Literal["pool", "region", "vendor"]


class Spread(Record):
    """Both rules hold for what runs, not for what was asked."""

    over: FailureDomain = "region"
    """What may fail as a whole."""
    max_fraction: Annotated[float, Gt(0), Le(1)] = 1.0
    """Largest share of all its replicas in one of them."""
    spot_only: bool = False
    """Whether that share limits spot capacity only, so that capacity which is not taken away may hold the rest."""
    min_domains: Annotated[int, Ge(1), Le(1000)] = 1
    """How many of them must run at least one replica, if any runs at all."""

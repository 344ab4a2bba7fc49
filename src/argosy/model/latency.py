"""Latency: how far from its users work may be done. A service objective that `plan` and `place` keep as a mask.

The distances are round-trip times of links; `routes.round_trip` finds them. A distance that nobody measured is an
error where an objective asks for it, never 0.
"""

from __future__ import annotations

from typing import Annotated, Literal

from annotated_types import Gt, Le

from argosy.record import Id, Record

Quantile = Literal["p50", "p90"]


class Latency(Record):
    """The most round-trip time between users and the pool that serves them."""

    max_round_trip_milliseconds: Annotated[float, Gt(0), Le(10_000)]
    """Network time there and back; the time of the answer itself is not in it."""
    quantile: Quantile = "p50"
    """Which round-trip time of a link counts: the median, or `p90_round_trip_milliseconds`."""
    users: tuple[Id, ...] = ()
    """Regions of its users; all of them must be near enough. Empty means its home."""

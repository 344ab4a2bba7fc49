"""Answers: what a solved plan says to further questions, as records in the plan itself.

`plan.front`, `plan.near_optimal` and `plan.quick_values` make them; `report` and `cli` show them. Every value is an
interval that holds for certain. What was not asked for is absent, and `Plan.not_computed` says how to get it.
"""

from __future__ import annotations

from typing import Literal

from argosy.record import Record

Measure = Literal["tail", "carbon", "largest_vendor"]


class FrontPoint(Record):
    """The least expected cost of all plans that keep one limit."""

    limit: float
    """The limit, in the unit of the front."""
    low_usd: float
    """No plan that keeps the limit has a lower expected cost."""
    high_usd: float
    """A plan that keeps the limit has this expected cost."""
    tail_usd: float
    """Mean of the costliest futures under that plan."""
    carbon_tonnes: float | None
    """Its mean emissions; null where a pool's facts are unknown."""
    largest_vendor: str | None
    """Vendor with the most commitments; null when there are none."""
    largest_vendor_fraction: float | None
    """Its share of the present value of all commitments."""
    signed: tuple[str, ...]
    """Candidates that it signs now."""


class Front(Record):
    """Expected cost against one other thing that one would like to have less of."""

    measure: Measure
    """tail: mean of the costliest futures; carbon: mean emissions; largest_vendor: share of all commitments."""
    unit: Literal["usd", "tonnes", "fraction"]
    """Unit of `limit`."""
    points: tuple[FrontPoint, ...]
    """From the tightest limit to the loosest; empty where the front has no meaning."""
    note: str | None = None
    """Why there are no points."""


class SizeRange(Record):
    """How far one contract's size can move for a given share of more cost, everything else decided anew."""

    more_cost_fraction: float
    """A plan counts when its objective is at most this share above that of the best plan."""
    outer_low: float
    """No such plan has less of the contract."""
    outer_high: float
    """No such plan has more of it."""
    inner_low: float | None
    """A certified plan of this kind has so little; null when none was found."""
    inner_high: float | None
    """A certified plan of this kind has so much."""


class NearOptimal(Record):
    """One contract's size in the plan and in plans that cost nearly the same."""

    contract: str
    unit: str
    """Unit of all sizes."""
    size: float
    """In the plan, at its mean where it is signed later."""
    ranges: tuple[SizeRange, ...]
    """From the smallest share of more cost to the largest."""


class ContractWorth(Record):
    """What a contract is worth to the buyer, and the fee at which it is worth nothing."""

    contract: str
    low_usd: float | None
    """Worth at least this, present value; null where nothing bounds it."""
    high_usd: float | None
    """Worth at most this; null where no plan keeps all limits without it."""
    walk_away_low: float | None
    """At this fee it certainly pays to sign; null when it was not asked for or has no meaning."""
    walk_away_high: float | None
    """At this fee it certainly does not pay."""
    unit: str | None
    """Unit of the walk-away fee; null where there is none."""

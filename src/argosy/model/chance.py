"""Chance: what all uncertainty kinds have in common.

A kind is one file in `uncertainty/` with a class `Uncertainty` and a method `draw`; the file name is the word users
write. A draw gives effects; `combine` folds the effects of several uncertainties into one scenario.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from argosy.model.horizon import Horizon
from argosy.model.scenario import Outage, Scenario
from argosy.record import Record, Text
from argosy.units import Month


@dataclass(frozen=True, slots=True)
class Subjects:
    """What an uncertainty can hit: plain ids, so that kinds know no other records."""

    horizon: Horizon
    workloads: tuple[str, ...]
    vendors: tuple[str, ...]
    vendor_of_region: Mapping[str, str]
    regions: tuple[str, ...]
    sized: Mapping[str, str]
    """Contracts with deliveries, to their vendor."""
    open: Mapping[str, str]
    """On-demand and spot contracts, to their vendor."""
    backstops: Mapping[str, float]
    """Contracts with a backstop, to the mean unsold share."""
    first_refusals: Mapping[str, float]
    """Contracts that a third party may match, to its chance."""
    sites: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Effects:
    """What one draw of one uncertainty does; the fields are those of `Scenario`."""

    demand_factor: dict[str, dict[Month, float]] = field(default_factory=dict)
    delivery_delay_months: dict[str, int] = field(default_factory=dict)
    outages: tuple[Outage, ...] = ()
    default_month: dict[str, Month] = field(default_factory=dict)
    price_factor: dict[str, dict[Month, float]] = field(default_factory=dict)
    capacity_factor: dict[str, dict[Month, float]] = field(default_factory=dict)
    energisation_delay_months: dict[str, int] = field(default_factory=dict)
    matched_fraction: dict[str, float] = field(default_factory=dict)
    unsold_fraction: dict[str, float] = field(default_factory=dict)


class Chance(Record):
    """An uncertainty of any kind."""

    kind: str
    """Which file in `uncertainty/` defines it."""
    name: Text | None = None
    """Name for people; two uncertainties of one kind draw independently."""

    @abstractmethod
    def draw(self, rng: np.random.Generator, subjects: Subjects) -> Effects:
        """One future's effects. Depends on the generator and the arguments only."""


def combine(scenario_id: str, probability: float, parts: list[Effects]) -> Scenario:
    """One scenario of several effects: factors multiply, delays add, outages join, the earliest default counts."""
    factors: dict[str, dict[str, dict[Month, float]]] = {}
    for name in ("demand_factor", "price_factor", "capacity_factor"):
        merged: dict[str, dict[Month, float]] = {}
        for part in parts:
            for subject, path in getattr(part, name).items():
                merged[subject] = _product(merged[subject], path) if subject in merged else dict(path)
        factors[name] = merged
    delays: dict[str, int] = {}
    energisation: dict[str, int] = {}
    defaults: dict[str, Month] = {}
    matched: dict[str, float] = {}
    unsold: dict[str, float] = {}
    for part in parts:
        for subject, months in part.delivery_delay_months.items():
            delays[subject] = delays.get(subject, 0) + months
        for subject, months in part.energisation_delay_months.items():
            energisation[subject] = energisation.get(subject, 0) + months
        for subject, month in part.default_month.items():
            defaults[subject] = min(month, defaults.get(subject, month))
        matched.update(part.matched_fraction)
        unsold.update(part.unsold_fraction)
    return Scenario(
        id=scenario_id,
        probability=probability,
        demand_factor=factors["demand_factor"],
        price_factor=factors["price_factor"],
        capacity_factor=factors["capacity_factor"],
        delivery_delay_months=delays,
        energisation_delay_months=energisation,
        default_month=defaults,
        matched_fraction=matched,
        unsold_fraction=unsold,
        outages=tuple(outage for part in parts for outage in part.outages),
    )


def _product(left: Mapping[Month, float], right: Mapping[Month, float]) -> dict[Month, float]:
    """Product of two stepwise paths that are 1 before their first point."""

    def value(path: Mapping[Month, float], month: Month) -> float:
        known = [m for m in path if m <= month]
        return path[max(known)] if known else 1.0

    return {m: value(left, m) * value(right, m) for m in sorted({*left, *right})}

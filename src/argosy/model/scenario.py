"""Scenario: one way the future may go, with its probability. Absent effects mean that things go as written."""

from __future__ import annotations

from typing import Annotated

from annotated_types import Ge, Gt, Le

from argosy.record import Id, Record, Text
from argosy.units import Factor, Fraction, Month, Months, PositiveMonths


class Outage(Record):
    """Capacity that is missing for a while."""

    place: Text
    """Vendor, region or pool that is hit."""
    start: Month
    """First month."""
    months: PositiveMonths
    """Length."""
    available_fraction: Fraction
    """Share of the capacity that remains."""


class Scenario(Record):
    """One future."""

    id: Id
    """Short name, unique."""
    probability: Annotated[float, Gt(0), Le(1)]
    """Weight; the weights of all scenarios sum to 1."""
    name: Text | None = None
    """Name for people."""
    demand_factor: dict[Id, dict[Month, Factor]] = {}
    """Workload (or `all`) to month of change to the factor on its demand; before the first month the factor is 1."""
    delivery_delay_months: dict[Id, Months] = {}
    """Contract or vendor to months by which delivery is late."""
    outages: tuple[Outage, ...] = ()
    """Capacity missing for a while."""
    default_month: dict[Id, Month] = {}
    """Vendor to the month from which it delivers nothing more."""
    price_factor: dict[Id, dict[Month, Annotated[float, Gt(0), Le(20)]]] = {}
    """On-demand or spot contract (or vendor) to month of change to the factor on its prices."""
    capacity_factor: dict[Id, dict[Month, Factor]] = {}
    """On-demand or spot contract (or vendor) to month of change to the factor on what can be had."""
    energisation_delay_months: dict[Id, Months] = {}
    """Own site to months by which power is late."""
    matched_fraction: dict[Id, Fraction] = {}
    """Contract to the share that the holder of a right of first refusal matches; absent means its written chance."""
    unsold_fraction: dict[Id, Fraction] = {}
    """Contract with a backstop to the share that the vendor cannot sell; absent means the written mean."""


def at(path: dict[Month, float], month: Month, before: float = 1.0) -> float:
    """The value of a stepwise path in a month; `before` holds until its first point."""
    known = [m for m in path if m <= month]
    return path[max(known)] if known else before


class Scenarios(Record):
    """Where scenarios come from."""

    count: Annotated[int, Ge(0), Le(10_000)] = 0
    """Scenarios to draw from the uncertainties; they share the weight that the given ones leave."""
    seed: Annotated[int, Ge(0), Le(2**63 - 1)] = 0
    """Seed of the draw."""
    information_clusters: Annotated[int, Ge(1), Le(64)] = 3
    """Groups of scenarios that a later decision (exercise, exit, later signing) can tell apart."""
    given: tuple[Scenario, ...] = ()
    """Scenarios written by the user."""

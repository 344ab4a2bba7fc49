"""Policy: the limits and attitudes under which the plan decides."""

from __future__ import annotations

from typing import Annotated, Literal

from annotated_types import Ge, Gt, Le, Lt

from argosy.model.load import Residency
from argosy.record import Id, Record
from argosy.units import Amount, Fraction, Month, Usd


class Risk(Record):
    """How much the tail counts."""

    aversion_fraction: Fraction = 0.0
    """Weight of the tail (lambda): 0 counts the mean only, 1 the tail only."""
    tail_fraction: Annotated[float, Gt(0), Lt(1)] = 0.9
    """Quantile from which the tail begins (beta)."""


class Cash(Record):
    """Money that may leave in each fiscal year for prepayments, capital and minimum bills."""

    usd_per_year: tuple[Usd, ...]
    """Limit by fiscal year from the start of the plan; the last one holds for later years."""
    borrowing_usd_per_year: Usd = 0.0
    """Most that may be borrowed on top, each year."""
    borrowing_rate_fraction: Annotated[float, Ge(0), Le(1)] = 0.1
    """Cost of what is borrowed, above the discount rate, as a share of it."""


class Concentration(Record):
    """Limits on dependence on one vendor."""

    max_committed_fraction: Fraction | None = None
    """Largest share of all commitments (present value) with one vendor."""
    max_critical_service_fraction: Fraction | None = None
    """Largest share of critical work that one vendor may serve in a fiscal year."""


class Adequacy(Record):
    """What must still stand when one vendor or one region is lost (N-1)."""

    loss_of: tuple[Literal["vendor", "region"], ...] = ("vendor",)
    """What may be lost."""
    critical_fraction: Fraction
    """Share of mean critical demand that must remain."""
    gap_usd_per_unit: Usd
    """Penalty for each unit and month that is missing."""


class Carbon(Record):
    """Limit on emissions from electricity."""

    tonnes_per_year: Amount
    """Cap by fiscal year."""
    excess_usd_per_tonne: Usd
    """Price of each tonne above it."""


class Power(Record):
    """Limit on the power of all capacity, contracted or own."""

    max_mw: dict[Month, Amount]
    """Month of change to the most facility power in use."""


class Policy(Record):
    """Everything the organisation has decided before the plan decides."""

    discount_rate_fraction: Annotated[float, Ge(0), Le(1)] = 0.1
    """Yearly rate at which later money counts less."""
    risk: Risk = Risk()
    """Attitude to the tail."""
    residency: Residency = Residency()
    """Rule for all workloads; a workload's own rule comes on top."""
    cash: Cash | None = None
    """Cash limit."""
    concentration: Concentration = Concentration()
    """Dependence on one vendor."""
    adequacy: Adequacy | None = None
    """Loss of one vendor or region."""
    carbon: Carbon | None = None
    """Emissions."""
    power: Power | None = None
    """Power of all capacity."""
    excluded_vendors: tuple[Id, ...] = ()
    """Vendors with which nothing is signed."""

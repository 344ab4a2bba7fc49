"""Delivery: how much of a supply row is there, owed and paid in each month of each future.

Called by `supply_arrays`. Everything here is per unit of the row's size and in months of the horizon.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from argosy.model.supply import PaidAhead, Supply, Tranche
from argosy.plan.calendar import STANDARD_HOURS, Calendar
from argosy.plan.program import Floats


def profile(tranches: tuple[Tranche, ...], end_month: int, months: int, delay_months: int = 0) -> Floats:
    """(months,) share of the size that is there; late delivery does not lengthen the term.

    A tranche that began before the horizon is there already and is not late (S12).
    """
    return _profile(tranches, end_month, months, delay_months).copy()


@cache
def _profile(tranches: tuple[Tranche, ...], end_month: int, months: int, delay_months: int) -> Floats:
    out = np.zeros(months)
    for m in range(max(0, min(months, end_month))):
        out[m] = sum(t.delivered(m, delay_months if t.month >= 0 else 0) for t in tranches)
    return out


def first_delivery(row: Supply) -> int:
    """Month of the first tranche as written; contract years are counted from it."""
    return min((t.month for t in row.tranches), default=0)


def first_credit(row: Supply, delay_months: int) -> int:
    """Month in which a prepayment begins to come back: with the first bill, so it waits for late delivery as bills do.

    What is refundable comes back on the dates written.
    """
    first = first_delivery(row)
    assert row.commitment is not None
    waits = row.commitment.follows_delivery and not (row.paid_ahead is not None and row.paid_ahead.refundable)
    return first + delay_months if waits and first >= 0 else first


@dataclass(frozen=True, slots=True)
class Fees:
    """What a row's commitment costs per unit of size, in money of the program."""

    amount: Floats
    """(M,) how much one month of a full level counts: standard months of accelerators, or months of spend."""
    committed: float
    """Money per amount of floor."""
    over: float
    """Money per amount above the floor."""
    short: float
    """Money per amount below the floor, on top."""
    late: float
    """Money credited per amount delivered late."""

    @classmethod
    def of(cls, row: Supply, calendar: Calendar, accelerator_scale: float, money_scale: float) -> Fees:
        """Fees of a sized row in scaled units."""
        assert row.commitment is not None
        terms = row.commitment
        if row.unit == "usd_per_month":
            return cls(
                np.ones(calendar.horizon.months), terms.committed_usd, terms.over_take_usd, terms.shortfall_usd, 0.0
            )
        rate = STANDARD_HOURS * accelerator_scale / money_scale
        return cls(
            calendar.hours / STANDARD_HOURS,
            terms.committed_usd * rate,
            terms.over_take_usd * rate,
            terms.shortfall_usd * rate,
            terms.delay_credit_usd_per_accelerator_hour * rate,
        )


def whole_term_fee(row: Supply, fees: Fees) -> float:
    """Committed fees of the whole term as written, also beyond the horizon, per unit of size."""
    assert row.commitment is not None
    first, months = first_delivery(row), 0.0
    for m in range(first, row.end_month):
        level = sum(tranche.delivered(m) for tranche in row.tranches)
        inside = 0 <= m < len(fees.amount)
        months += level * (fees.amount[m] if inside else fees.amount.mean())
    return months * row.commitment.take_or_pay_fraction * fees.committed


def credits(ahead: PaidAhead, first: int, months: int, default_month: int | None) -> Floats:
    """(months,) share of a prepayment that comes back in each month, in equal parts from the month `first`.

    Parts before the horizon are gone. After default nothing more comes, except what is left where it is refundable.
    """
    out = np.zeros(months)
    start = max(first, ahead.pay_month)
    for m in range(start, start + ahead.credit_months):
        if 0 <= m < months and (default_month is None or m < default_month):
            out[m] += 1 / ahead.credit_months
    if default_month is not None and ahead.refundable and 0 <= default_month < months:
        given = sum(1 for m in range(start, start + ahead.credit_months) if m < default_month)
        out[default_month] += (ahead.credit_months - given) / ahead.credit_months
    return out

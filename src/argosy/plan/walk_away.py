"""Walk-away fee: the committed fee at which a contract is worth nothing to the buyer (Q3, Q4).

`questions` calls it. What the best plan with the contract signed costs never falls when its fee rises, so one plan
below and one above settle everything beyond them; Newton steps and bisection find fees where the bounds part.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from argosy.model.agreement import Agreement, Fee, Sized
from argosy.model.portfolio import Portfolio
from argosy.plan.bounds import Bounds
from argosy.plan.edits import signed
from argosy.plan.resolve import Resolver

LEAST_FRACTION = 0.01
"""Share of its largest size that a contract without a smallest size is signed at, at least."""
BESIDE = 0.9
"""Share of a fee at which the plan beside it is asked for."""
STEPS = 6
"""Most plans for each end."""
NEAR = 0.01
"""A Newton step smaller than this share of the fee ends the search."""


@dataclass(frozen=True, slots=True)
class WalkAway:
    """The certified interval."""

    unit: Literal["usd_per_accelerator_hour", "usd_per_accelerator", "price_ratio"]
    """Unit of the fees."""
    fee: float
    """The fee as written."""
    low: float | None
    """Signing certainly pays at this fee; None when no fee was found at which it does."""
    high: float | None
    """Signing certainly does not pay at this fee; None when none was found."""
    size: float | None
    """What the best plan signs at `low`."""
    note: str


def at_fee(portfolio: Portfolio, contract: Agreement, fee: float) -> Portfolio:
    """Q3: the portfolio with one fee for the contract at all its sizes; all other terms as written."""
    changed = contract.at_fee(fee)
    rest = tuple(changed if c.id == contract.id else c for c in portfolio.contracts)
    return portfolio.model_copy(update={"contracts": rest})


def signed_now(portfolio: Portfolio, contract: Sized) -> tuple[Portfolio, Sized]:
    """Q4.1: the portfolio in which a contract that is signed later is decided at the start, for every future."""
    changed = contract.model_copy(update={"signing": None})
    rest = tuple(changed if c.id == contract.id else c for c in portfolio.contracts)
    return portfolio.model_copy(update={"contracts": rest}), changed


def walk_away(resolver: Resolver, portfolio: Portfolio, contract: Agreement, held: Bounds, free: Bounds) -> WalkAway:
    """Q4: the interval of fees between which signing turns from worth it to not worth it.

    The contract has a fee (`negotiable`) and rows with a size.

    `held` and `free` are the plans with the contract (free to be signed) and without it.
    """
    asked = contract.negotiable
    assert asked is not None, "only a contract with a fee is asked about"
    search = _Search(resolver, portfolio, contract, free, asked)
    fee = asked.written
    if held.size.get(contract.id, 0.0) > 0 and not getattr(contract, "volume_tiers", ()):
        search.seen[fee] = held  # it signed by itself, so it is the best plan that signs
    search.lower_end(fee)
    search.upper_end(fee)
    low, high = search.low(), search.high()
    note = ""
    if low is None and high == 0.0:
        note = "it does not pay even for nothing"
    elif low is None:
        note = "no fee was found at which it certainly pays; a smaller gap may find one"
    elif high is None:
        note = "no fee was found at which it certainly does not pay; a smaller gap may find one"
    size = None if low is None else search.seen[low].size.get(contract.id)
    return WalkAway(asked.unit, fee, low, high, size, note)


class _Search:
    """Plans with the contract signed, by fee."""

    def __init__(self, resolver: Resolver, portfolio: Portfolio, contract: Agreement, free: Bounds, asked: Fee) -> None:
        self.resolver, self.portfolio, self.contract, self.free = resolver, portfolio, contract, free
        self.unit, self.highest = asked.unit, asked.highest
        self.least = max(1.0, 0.01 * asked.written)
        self.seen: dict[float, Bounds] = {}

    def ask(self, fee: float) -> Bounds:
        """Bounds at a fee; the ones known already where it was asked before."""
        if fee not in self.seen:
            edit = signed(self.contract.id, LEAST_FRACTION)
            self.seen[fee] = self.resolver.solve(at_fee(self.portfolio, self.contract, fee), edit)
        return self.seen[fee]

    def low(self) -> float | None:
        """Highest fee at which the plan found beats the bound of every plan without the contract."""
        return max((fee for fee, b in self.seen.items() if b.upper <= self.free.lower), default=None)

    def high(self) -> float | None:
        """Lowest fee at which no plan with the contract beats the plan found without it."""
        return min((fee for fee, b in self.seen.items() if b.lower >= self.free.upper), default=None)

    def slope(self, fee: float) -> float:
        """USD by which the plan found at a fee gets dearer with each unit of fee.

        Known from the bills where the fee is one of hours; elsewhere from the plan at a fee a little lower.
        """
        bounds = self.seen[fee]
        if self.unit == "usd_per_accelerator_hour":
            paid = bounds.fees.get(self.contract.id, 0.0)
            return paid / fee if fee > 0 and paid > 0 else 0.0
        if fee <= 0 or np.isinf(bounds.upper):
            return 0.0
        below = min(self.seen, key=lambda f: (abs(f - BESIDE * fee), f)) if len(self.seen) > 1 else fee
        if below >= fee:
            below = BESIDE * fee
        return max(0.0, (bounds.upper - self.ask(below).upper) / (fee - below))

    def lower_end(self, fee: float) -> None:
        """Newton steps from the fee as written; where they lead nowhere, halves."""
        at = fee
        for _ in range(STEPS):
            bounds = self.ask(at)
            slope = self.slope(at)
            low, high = self.low(), self.high()
            if slope > 0:
                target = at + (self.free.lower - bounds.upper) / slope * (1.0 - 1e-9)
                target -= 1e-9 * abs(target)
            else:
                target = at / 2 if high is not None else max(self.least, at * 2)
            target = min(max(target, 0.0), self.highest)
            if low is not None and target - low <= NEAR * max(low, 1e-6):
                return
            if target <= 0 and 0.0 in self.seen:
                return
            if low is not None and high is not None and not low < target < high:
                target = 0.5 * (low + high)
            at = target

    def upper_end(self, fee: float) -> None:
        """From the lower end by the distance that the bounds leave, and a little more each time."""
        low = self.low()
        at = fee if low is None else low
        if self.ask(at).lower >= self.free.upper:  # the fee as written is too high: come down from above
            self._come_down(at)
            return
        for step in range(STEPS):
            bounds, slope, high = self.ask(at), self.slope(at), self.high()
            if high is not None:
                break
            more = (self.free.upper - bounds.lower) / slope if slope > 0 else max(at, self.least)
            at = min(self.highest, at + more * (1.0 + 0.02 * 2**step) + 1e-9 * max(at, self.least))
        self._come_down(self.high())

    def _come_down(self, fee: float | None) -> None:
        """Bring the upper end near to where the bounds of the plan below it say that it could be."""
        for _ in range(2):
            low, high = self.low(), self.high()
            if low is None or high is None:
                return
            bounds, slope = self.seen[low], self.slope(low) or self.slope(high)
            if slope <= 0:
                return
            target = low + 1.1 * (self.free.upper - bounds.lower) / slope + 1e-9 * high
            if not low < target < high - NEAR * high:
                return
            self.ask(target)

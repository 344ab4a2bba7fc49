"""Strategies and stresses: small lists of edits, to what may be signed and to what may happen.

Files hold them (`files.edits` reads, the bundled ones lie in `files/strategies` and `files/stresses`). A strategy edits
the portfolio and never the futures; a stress edits the futures and never the portfolio. What is signed stays signed.
Vendors are named, or chosen by a rule such as the two with the largest commitments.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt, Le, Len
from pydantic import Field, model_validator

from argosy.model.agreement import Capacity, Sized
from argosy.model.open_supply import Open
from argosy.model.policy import Concentration
from argosy.model.portfolio import AnyContract, Portfolio
from argosy.model.scenario import Scenario, at
from argosy.model.terms import FirstRefusalGranted
from argosy.record import Id, Record, Text
from argosy.units import Fraction, Months, PositiveMonths

OURSELVES = "self"
SIZES = ("min_accelerators", "max_accelerators", "min_usd_per_month", "max_usd_per_month")
"""Fields that hold the smallest and the largest size of a candidate."""
UNLIMITED: dict[str, Any] = {
    "adequacy": None, "cash": None, "carbon": None, "power": None, "concentration": Concentration(),
}  # fmt: skip
"""Parts of the policy, to what stands there when they limit nothing."""
Ratio = Annotated[float, Ge(0), Le(1000)]


class Who(Record):
    """One or more vendors, by name or by rule."""

    vendors: tuple[Id, ...] = ()
    """By name."""
    largest: Annotated[int, Ge(1), Le(100)] | None = None
    """The so many vendors with the largest commitments."""
    by: Literal["signed", "candidates", "all"] = "all"
    """What `largest` counts: minimum bills signed, those of candidates at their largest size, or both."""

    @model_validator(mode="after")
    def _says_who(self) -> Who:
        if not self.vendors and self.largest is None:
            raise ValueError("write vendors, a list of names, or largest, how many of the largest")
        return self

    def of(self, portfolio: Portfolio) -> tuple[str, ...]:
        """The vendors meant; the largest first, ties by name. Own capacity counts as a vendor only by name."""
        value: dict[str, float] = {}
        for contract in portfolio.contracts:
            if isinstance(contract, Sized) and contract.vendor != OURSELVES:
                kept = self.by == "all" or (self.by == "signed") is (contract.status == "signed")
                value[contract.vendor] = value.get(contract.vendor, 0.0) + (bill(contract, portfolio) if kept else 0.0)
        order = sorted((v for v in value if value[v] > 0), key=lambda v: (-value[v], v))
        return (*self.vendors, *(v for v in order[: self.largest or 0] if v not in self.vendors))


def bill(contract: Sized, portfolio: Portfolio) -> float:
    """Minimum bill over the term as written in USD, without ramps, at the size signed or the largest one."""
    rows = contract.supply(portfolio.horizon)
    total = 0.0
    for row in rows[-1:]:
        assert row.commitment is not None
        size = row.max_size if row.signed_size is None else row.signed_size
        hours = 730.0 if row.unit == "accelerators" else 1.0
        fee = row.commitment.committed_usd * row.commitment.take_or_pay_fraction
        total += size * hours * fee * (row.end_month - row.tranches[0].month)
    return total


class KeepVendors(Record):
    """Nothing more is signed with anybody else; own capacity counts as a vendor called `self`."""

    edit: Literal["keep_vendors"]
    who: Who


class ExcludeVendors(Record):
    """Nothing more is signed with these."""

    edit: Literal["exclude_vendors"]
    who: Who


class KeepKinds(Record):
    """Nothing of any other kind is signed."""

    edit: Literal["keep_kinds"]
    kinds: Annotated[tuple[Id, ...], Len(min_length=1)]


class DropKinds(Record):
    """Nothing of these kinds is signed."""

    edit: Literal["drop_kinds"]
    kinds: Annotated[tuple[Id, ...], Len(min_length=1)]


class GrantFirstRefusal(Record):
    """A vendor may match every candidate of others and serve it from a pool of its own, of the same chip if it can."""

    edit: Literal["grant_first_refusal"]
    holder: Who
    match_fraction: Fraction = 0.3
    """Probability that it matches."""


class ScaleSizes(Record):
    """The smallest and largest size of every candidate, times a factor."""

    edit: Literal["scale_sizes"]
    factor_ratio: Ratio
    """1 leaves them as they are."""


class LimitVendorShare(Record):
    """No vendor above a share of all commitments."""

    edit: Literal["limit_vendor_share"]
    max_committed_fraction: Fraction
    """Of their present value."""


class DropLimits(Record):
    """Some limits of the policy no longer hold; what they cost is the difference to the plan that keeps them."""

    edit: Literal["drop_limits"]
    limits: Annotated[tuple[Literal["adequacy", "cash", "carbon", "concentration", "power"], ...], Len(min_length=1)]
    """Parts of the policy; `adequacy` is the loss of one vendor or region (N-1)."""


class ScaleCash(Record):
    """The cash limit of every year, times a factor: what if revenue carries less, or more."""

    edit: Literal["scale_cash"]
    factor_ratio: Ratio
    """1 leaves it as it is."""


class ScaleDemand(Record):
    """Demand times a factor from a month on."""

    edit: Literal["scale_demand"]
    workload: Id = "all"
    """One workload, or `all`."""
    factor_ratio: Ratio
    """1 leaves it as it is."""
    after_months: Months = 0
    """Months from the start of the plan."""


class DelayVendor(Record):
    """What a vendor has yet to deliver comes later."""

    edit: Literal["delay_vendor"]
    who: Who
    late_months: PositiveMonths
    """Added to what the future says."""


class DefaultVendor(Record):
    """A vendor delivers nothing more from a month on."""

    edit: Literal["default_vendor"]
    who: Who
    after_months: Months = 0
    """Months from the start of the plan."""


class ScaleOpenPrices(Record):
    """Prices without a commitment times a factor from a month on."""

    edit: Literal["scale_open_prices"]
    factor_ratio: Annotated[float, Gt(0), Le(20)]
    """1 leaves them as they are."""
    after_months: Months = 0
    """Months from the start of the plan."""


StrategyEdit = Annotated[
    KeepVendors
    | ExcludeVendors
    | KeepKinds
    | DropKinds
    | GrantFirstRefusal
    | ScaleSizes
    | LimitVendorShare
    | DropLimits
    | ScaleCash,
    Field(discriminator="edit"),
]
StressEdit = Annotated[ScaleDemand | DelayVendor | DefaultVendor | ScaleOpenPrices, Field(discriminator="edit")]


class Strategy(Record):
    """A way to buy: edits to what may be signed."""

    argosy: Literal[1]
    """Version of this file format."""
    id: Id
    """Short name."""
    title: Text
    """Name for people."""
    edits: tuple[StrategyEdit, ...]
    """In order; each sees what those before it left."""

    def of(self, portfolio: Portfolio) -> Portfolio:
        """The portfolio under this strategy."""
        for one in self.edits:
            portfolio = _edited(one, portfolio)
        return portfolio


class Stress(Record):
    """Something that goes wrong: edits to every future."""

    argosy: Literal[1]
    """Version of this file format."""
    id: Id
    """Short name."""
    title: Text
    """Name for people."""
    edits: Annotated[tuple[StressEdit, ...], Len(min_length=1)]
    """In order."""

    def of(self, portfolio: Portfolio, scenarios: tuple[Scenario, ...]) -> tuple[Scenario, ...]:
        """The futures of a portfolio under this stress; their probabilities stay."""
        for one in self.edits:
            scenarios = tuple(_stressed(one, portfolio, scenario) for scenario in scenarios)
        return scenarios


def _edited(one: Any, portfolio: Portfolio) -> Portfolio:
    match one:
        case KeepVendors():
            kept = set(one.who.of(portfolio))
            return _closed(portfolio, lambda c: c.vendor not in kept)
        case ExcludeVendors():
            out = set(one.who.of(portfolio))
            return _closed(portfolio, lambda c: c.vendor in out)
        case KeepKinds():
            return _closed(portfolio, lambda c: c.kind not in one.kinds)
        case DropKinds():
            return _closed(portfolio, lambda c: c.kind in one.kinds)
        case GrantFirstRefusal():
            holders = one.holder.of(portfolio)
            return _each(portfolio, lambda c: _granted(portfolio, c, holders, one.match_fraction))
        case ScaleSizes():
            return _each(portfolio, lambda c: _scaled(c, one.factor_ratio))
        case DropLimits():
            return _with_policy(portfolio, {name: UNLIMITED[name] for name in one.limits})
        case ScaleCash():
            cash = portfolio.policy.cash
            if cash is None:
                return portfolio
            limits = tuple(usd * one.factor_ratio for usd in cash.usd_per_year)
            return _with_policy(portfolio, {"cash": cash.model_copy(update={"usd_per_year": limits})})
        case _:
            changed = portfolio.policy.concentration.model_copy(
                update={"max_committed_fraction": one.max_committed_fraction}
            )
            return _with_policy(portfolio, {"concentration": changed})


def _with_policy(portfolio: Portfolio, update: dict[str, Any]) -> Portfolio:
    return portfolio.model_copy(update={"policy": portfolio.policy.model_copy(update=update)})


def _each(portfolio: Portfolio, change: Any) -> Portfolio:
    """Every candidate changed; what is signed and what is open stays."""
    contracts = tuple(change(c) if isinstance(c, Sized) and c.status == "candidate" else c for c in portfolio.contracts)
    return portfolio.model_copy(update={"contracts": contracts})


def _closed(portfolio: Portfolio, chosen: Any) -> Portfolio:
    """Some candidates can no longer be signed; they keep their place, so that plans can be compared."""
    return _each(portfolio, lambda c: _scaled(c, 0.0) if chosen(c) else c)


def _scaled(contract: AnyContract, factor: float) -> Any:
    fields = [name for name in SIZES if name in type(contract).model_fields]
    return contract.model_copy(update={name: getattr(contract, name) * factor for name in fields})


def _granted(portfolio: Portfolio, contract: Any, holders: tuple[str, ...], share: float) -> Any:
    vendor_of = {region.id: region.vendor for region in portfolio.regions}
    theirs = [p for p in portfolio.pools if vendor_of.get(p.region) in holders and p.tier != "spot"]
    if not theirs or contract.vendor in (*holders, OURSELVES) or not isinstance(contract, Capacity):
        return contract
    chips = {p.silicon for p in portfolio.pools if p.id in contract.pools}
    pool = next((p for p in theirs if p.silicon in chips), theirs[0])
    right = FirstRefusalGranted(holder=vendor_of[pool.region], pool=pool.id, match_fraction=share)
    return contract.model_copy(update={"right_of_first_refusal": right})


def _stressed(one: Any, portfolio: Portfolio, scenario: Scenario) -> Scenario:
    start = portfolio.horizon.start
    match one:
        case ScaleDemand():
            paths = dict(scenario.demand_factor)
            paths[one.workload] = _times(paths.get(one.workload, {}), start.plus(one.after_months), one.factor_ratio)
            return scenario.model_copy(update={"demand_factor": paths})
        case DelayVendor():
            delays = dict(scenario.delivery_delay_months)
            for vendor in one.who.of(portfolio):
                delays[vendor] = delays.get(vendor, 0) + one.late_months
            return scenario.model_copy(update={"delivery_delay_months": delays})
        case DefaultVendor():
            months = dict(scenario.default_month)
            for vendor in one.who.of(portfolio):
                month = start.plus(one.after_months)
                months[vendor] = min(month, months.get(vendor, month))
            return scenario.model_copy(update={"default_month": months})
        case _:
            prices = dict(scenario.price_factor)
            for contract in portfolio.contracts:
                if isinstance(contract, Open):
                    month = start.plus(one.after_months)
                    prices[contract.id] = _times(prices.get(contract.id, {}), month, one.factor_ratio)
            return scenario.model_copy(update={"price_factor": prices})


def _times(path: dict[Any, float], month: Any, factor: float) -> dict[Any, float]:
    """A stepwise path times a factor from a month on."""
    before = {m: v for m, v in path.items() if m < month}
    after = {m: v * factor for m, v in path.items() if m > month}
    return {**before, month: at(path, month) * factor, **after}

"""Questions: what a contract or a clause is worth, and at which fee to walk away (Q1 to Q6).

`cli.price` calls `price`. Each answer is an interval between certified bounds of a few plans over the same futures; the
numbers of docs/concepts/questions.md join formula, code and test. It signs nothing and reads no files.
"""

from __future__ import annotations

import threading

import numpy as np

from argosy.clock import Clock, SystemClock
from argosy.errors import BadInput, Problem
from argosy.model.agreement import Agreement, Committed, Sized
from argosy.model.portfolio import Portfolio
from argosy.model.question import ContractValue, CurvePoint, PlanCost, PriceAnswer
from argosy.model.scenario import Scenario
from argosy.plan.bounds import Bounds, difference
from argosy.plan.clauses import clause_values
from argosy.plan.edits import without
from argosy.plan.main import quiet
from argosy.plan.resolve import Resolver
from argosy.plan.solution import Progress
from argosy.plan.walk_away import WalkAway, at_fee, signed_now, walk_away
from argosy.settings import Settings

CURVE_POINTS = 9
SHARES = (0.2, 0.4, 0.6, 0.75, 0.85, 0.92, 0.97, 1.0, 1.03, 1.1, 1.25, 1.5)
"""Fees of the curve as shares of the walk-away fee."""


def price(
    portfolio: Portfolio,
    scenarios: tuple[Scenario, ...],
    contract: str,
    *,
    gap: float = 1e-3,
    seed: int = 0,
    curve: int = CURVE_POINTS,
    clauses: bool = True,
    settings: Settings | None = None,
    clock: Clock | None = None,
    progress: Progress = quiet,
    stop: threading.Event | None = None,
) -> PriceAnswer:
    """What one contract is worth to the buyer.

    `gap` is how far each plan may be from the best; the intervals widen with it. `curve` is the number of points of
    fee against size; 0 leaves the curve out. BadInput when no contract has the id.
    """
    index = next((i for i, c in enumerate(portfolio.contracts) if c.id == contract), None)
    if index is None:
        known = ", ".join(c.id for c in portfolio.contracts)
        message = f"no contract is called {contract!r}; contracts are {known}"
        raise BadInput([Problem("--contract", 0, 0, "option.unknown", "", message)])
    resolver = Resolver(
        scenarios,
        gap=gap,
        settings=settings,
        clock=clock,
        progress=progress,
        stop=stop,
    )
    value = _value(resolver, portfolio, portfolio.contracts[index], curve, clauses)
    return PriceAnswer(
        **resolver.head(portfolio, seed),
        plans=resolver.plans,
        values=(value,),
    )


def walk_aways(
    portfolio: Portfolio,
    scenarios: tuple[Scenario, ...],
    contracts: tuple[str, ...],
    *,
    gap: float = 1e-3,
    settings: Settings | None = None,
    clock: Clock | None = None,
    progress: Progress = quiet,
    stop: threading.Event | None = None,
) -> dict[str, WalkAway]:
    """Q4 for several contracts; those without a walk-away fee are left out."""
    stop = stop or threading.Event()
    resolver = Resolver(
        scenarios, gap=gap, settings=settings or Settings(), clock=clock or SystemClock(), progress=progress, stop=stop
    )
    held = resolver.solve(portfolio)
    out = {}
    for contract in portfolio.contracts:
        if contract.id in contracts and not stop.is_set():
            progress(f"walk-away fee of {contract.id}", None, None)
            found, _ = walk_away_of(resolver, portfolio, contract, held, left_out(resolver, portfolio, contract))
            if found is not None:
                out[contract.id] = found
    return out


def _value(resolver: Resolver, portfolio: Portfolio, contract: Agreement, curve: int, clauses: bool) -> ContractValue:
    held = resolver.solve(portfolio)
    free = left_out(resolver, portfolio, contract)
    signed_already = isinstance(contract, Sized) and contract.status == "signed"
    low, high = difference(held, free, restriction=not signed_already)
    notes = [_why(held, free)]
    found, note = walk_away_of(resolver, portfolio, contract, held, free)
    notes.append(note)
    hourly = found if found is not None and found.unit == "usd_per_accelerator_hour" else None
    points = _curve(resolver, portfolio, contract, (free, hourly), curve) if isinstance(contract, Committed) else ()
    status = contract.status if isinstance(contract, Sized) else "open"
    return ContractValue(
        contract=contract.id,
        name=contract.name,
        vendor=contract.vendor,
        status=status,
        unit=found.unit if found else None,
        fee=found.fee if found else None,
        walk_away_low=found.low if found else None,
        walk_away_high=found.high if found else None,
        fee_usd_per_accelerator_hour=hourly.fee if hourly else None,
        low_usd=low,
        high_usd=high,
        walk_away_low_usd_per_accelerator_hour=hourly.low if hourly else None,
        walk_away_high_usd_per_accelerator_hour=hourly.high if hourly else None,
        walk_away_accelerators=found.size if found else None,
        costs=(_cost("with", held), _cost("without", free)),
        size=held.size.get(contract.id, 0.0),
        curve=points,
        clauses=clause_values(resolver, portfolio, contract, held) if clauses else (),
        note="; ".join(note for note in notes if note) or None,
    )


def walk_away_of(
    resolver: Resolver, portfolio: Portfolio, contract: Agreement, held: Bounds, free: Bounds
) -> tuple[WalkAway | None, str]:
    """Q4 for any contract: the walk-away fee and a note, or None and the reason with its remedy.

    A contract that is signed later is asked about as if it were signed at the start, in every future (Q4.1).
    """
    if contract.negotiable is None or not isinstance(contract, Sized):
        return None, "capacity without a commitment has tiers of prices and no single fee; price a reservation instead"
    if np.isinf(held.upper) or np.isinf(free.upper):
        return None, ""
    note = ""
    if contract.status != "signed" and contract.signing is not None and portfolio.horizon.index(contract.signing) > 0:
        portfolio, contract = signed_now(portfolio, contract)
        held = resolver.solve(portfolio)
        note = "the walk-away fee is that of signing it now for every future; later, where it pays, it may cost more"
    found = walk_away(resolver, portfolio, contract, held, free)
    return found, "; ".join(n for n in (note, found.note) if n)


def left_out(resolver: Resolver, portfolio: Portfolio, contract: Agreement) -> Bounds:
    """Q1: the best plan that does without a contract."""
    if isinstance(contract, Sized):
        return resolver.solve(portfolio, without(contract.id))
    rest = tuple(c for c in portfolio.contracts if c.id != contract.id)
    return resolver.solve(portfolio.model_copy(update={"contracts": rest}))


def _why(held: Bounds, free: Bounds) -> str:
    if np.isinf(held.upper):
        return "no plan keeps all limits, with or without it" if np.isinf(free.upper) else "no plan keeps it"
    return "without it no plan keeps all limits" if np.isinf(free.upper) else ""


def _cost(name: str, bounds: Bounds) -> PlanCost:
    none = np.isinf(bounds.upper)
    return PlanCost.model_validate(
        {"name": name, "lower_usd": None if none else bounds.lower, "upper_usd": None if none else bounds.upper}
    )


def _curve(
    resolver: Resolver,
    portfolio: Portfolio,
    contract: Committed,
    known: tuple[Bounds, WalkAway | None],
    count: int,
) -> tuple[CurvePoint, ...]:
    """Q6: size and value at fees around the walk-away fee, and at the fee as written.

    `known` is the plan without the contract and the walk-away fee.
    """
    free, found = known
    if not count or contract.status == "signed":
        return ()
    asked = contract.usd_per_accelerator_hour
    middle = asked
    if found is not None and found.low is not None and found.low > 0:
        middle = found.low if found.high is None else 0.5 * (found.low + found.high)
    wanted = np.linspace(0, len(SHARES) - 1, min(count, len(SHARES))).round().astype(int)
    points = []
    for fee in sorted({round(middle * SHARES[i], 6) for i in wanted} | {asked}):
        bounds = resolver.solve(at_fee(portfolio, contract, fee))
        low, high = difference(bounds, free, restriction=True)
        points.append(
            CurvePoint(
                fee_usd_per_accelerator_hour=fee,
                size=bounds.size.get(contract.id, 0.0),
                option_size=bounds.option.get(contract.id, 0.0),
                low_usd=low,
                high_usd=high,
            )
        )
    return tuple(points)

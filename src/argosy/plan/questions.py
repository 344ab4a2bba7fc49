"""Questions: what a contract or a clause is worth, and at which fee to walk away (Q1 to Q6).

`cli.price` calls `price`. Each answer is an interval between certified bounds of a few plans over the same futures; the
numbers of docs/concepts/questions.md join formula, code and test. It signs nothing and reads no files.
"""

from __future__ import annotations

import threading
from importlib.metadata import version

import numpy as np

from argosy.clock import Clock, SystemClock
from argosy.errors import BadInput, Problem
from argosy.model.agreement import Agreement, Committed, Sized
from argosy.model.portfolio import Portfolio
from argosy.model.question import ContractValue, CurvePoint, PlanCost, PriceAnswer
from argosy.model.scenario import Scenario
from argosy.plan.bounds import NOTHING, Bounds, difference
from argosy.plan.clauses import clause_values
from argosy.plan.edits import without
from argosy.plan.main import data_hash, quiet
from argosy.plan.resolve import Resolver
from argosy.plan.solution import Progress
from argosy.plan.walk_away import WalkAway, at_fee, walk_away
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
        settings=settings or Settings(),
        clock=clock or SystemClock(),
        progress=progress,
        stop=stop or threading.Event(),
    )
    value = _value(resolver, portfolio, portfolio.contracts[index], curve, clauses)
    return PriceAnswer(
        portfolio=portfolio.name,
        title=portfolio.title or portfolio.name,
        seed=seed,
        futures=len(scenarios),
        gap_fraction=resolver.worst_gap,
        plans=resolver.plans,
        worst_residual=resolver.worst_residual,
        data_hash=data_hash(portfolio, scenarios),
        versions={name: version(name) for name in ("argosy", "highspy", "numpy")},
        values=(value,),
    )


def _value(resolver: Resolver, portfolio: Portfolio, contract: Agreement, curve: int, clauses: bool) -> ContractValue:
    held = resolver.solve(portfolio)
    free = left_out(resolver, portfolio, contract)
    signed_already = isinstance(contract, Sized) and contract.status == "signed"
    low, high = difference(held, free, restriction=not signed_already)
    found: WalkAway | None = None
    notes = [_why(held, free)]
    fee = None
    if not isinstance(contract, Committed):
        notes.append("this kind has no single fee per accelerator-hour, so there is no walk-away fee")
    elif contract.signing is not None and portfolio.horizon.index(contract.signing) > 0 and not signed_already:
        fee = contract.usd_per_accelerator_hour
        notes.append("it is signed later, in some futures and not in others, so there is no single walk-away fee")
    elif held is not NOTHING and free is not NOTHING:
        found = walk_away(resolver, portfolio, contract, held, free)
        fee = found.fee
        notes.append(found.note)
    points = _curve(resolver, portfolio, contract, (free, found), curve) if isinstance(contract, Committed) else ()
    status = contract.status if isinstance(contract, Sized) else "open"
    return ContractValue(
        contract=contract.id,
        name=contract.name,
        vendor=contract.vendor,
        status=status,
        unit="usd_per_accelerator_hour" if found is not None else None,
        fee_usd_per_accelerator_hour=fee,
        low_usd=low,
        high_usd=high,
        walk_away_low_usd_per_accelerator_hour=found.low if found else None,
        walk_away_high_usd_per_accelerator_hour=found.high if found else None,
        walk_away_accelerators=found.size if found else None,
        costs=(_cost("with", held), _cost("without", free)),
        size=held.size.get(contract.id, 0.0),
        curve=points,
        clauses=clause_values(resolver, portfolio, contract, held) if clauses else (),
        note="; ".join(note for note in notes if note) or None,
    )


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

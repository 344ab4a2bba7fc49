"""Clauses: what single rights and duties of a contract are worth, each by leaving it out (Q5).

`questions` calls it. One plan for each clause, over the same futures; a clause that changes no row of supply is worth
exactly nothing and costs no plan.
"""

from __future__ import annotations

from typing import Any

from argosy.model.agreement import Agreement, Sized
from argosy.model.open_supply import Open
from argosy.model.portfolio import Portfolio
from argosy.model.question import Clause, ClauseValue
from argosy.plan.bounds import Bounds
from argosy.plan.resolve import Resolver

RIGHTS: tuple[Clause, ...] = ("expansion_option", "exit", "make_up", "carry_forward")
"""Rights of the buyer: he may always leave them unused, so none is worth less than nothing."""
HELD: Clause = "first_refusal"


def clause_values(
    resolver: Resolver, portfolio: Portfolio, contract: Agreement, held: Bounds
) -> tuple[ClauseValue, ...]:
    """The values of all clauses that the contract carries, in the order of `Clause`. `held` is the plan with them."""
    if isinstance(contract, Open):
        if contract.kind != HELD:
            return ()
        rest = tuple(c for c in portfolio.contracts if c.id != contract.id)
        other = resolver.solve(portfolio.model_copy(update={"contracts": rest}))
        return (_between(contract, HELD, held, other, right=True),)
    if not isinstance(contract, Sized):
        return ()
    found = []
    for clause in RIGHTS:
        if getattr(contract, clause) is not None:
            changed = _changed(portfolio, contract, {clause: None})
            found.append(_compared(resolver, contract, clause, held, changed, right=True))
    if contract.obligation_follows_delivery:
        changed = _changed(portfolio, contract, {"obligation_follows_delivery": False})
        found.append(_compared(resolver, contract, "obligation_follows_delivery", held, changed, right=False))
    granted = contract.right_of_first_refusal
    if granted is not None:
        if contract.row_first_refusal() is None:  # lapsed: ask what it would do if it had been kept
            kept = granted.model_copy(update={"lapses": None})
            changed = _changed(portfolio, contract, {"right_of_first_refusal": kept})
            other = resolver.solve(changed)
            found.append(_between(contract, "right_of_first_refusal", other, held, right=False, lapsed=True))
        else:
            changed = _changed(portfolio, contract, {"right_of_first_refusal": None})
            found.append(_compared(resolver, contract, "right_of_first_refusal", held, changed, right=False))
    return tuple(found)


def _changed(portfolio: Portfolio, contract: Sized, update: dict[str, Any]) -> Portfolio:
    changed = contract.model_copy(update=update)
    rest = tuple(changed if c.id == contract.id else c for c in portfolio.contracts)
    return portfolio.model_copy(update={"contracts": rest})


def _compared(
    resolver: Resolver, contract: Sized, clause: Clause, held: Bounds, changed: Portfolio, *, right: bool
) -> ClauseValue:
    horizon = changed.horizon
    other = next(c for c in changed.contracts if c.id == contract.id)
    if other.supply(horizon) == contract.supply(horizon):
        return ClauseValue(contract=contract.id, clause=clause, state="in_force", low_usd=0.0, high_usd=0.0)
    return _between(contract, clause, held, resolver.solve(changed), right=right)


def _between(
    contract: Agreement, clause: Clause, held: Bounds, other: Bounds, *, right: bool, lapsed: bool = False
) -> ClauseValue:
    """Q5: cost without the clause (`other`) less cost with it (`held`)."""
    low: float | None = other.lower - held.upper
    high: float | None = other.upper - held.lower
    note = None
    if held.upper == float("inf"):
        low = high = None
        note = "with it no plan keeps all limits"
    elif other.upper == float("inf"):
        low, high = (0.0 if right else None), None
        note = "without it no plan keeps all limits"
    elif right and low is not None and high is not None:
        low, high = max(0.0, low), max(0.0, high)
    state = "lapsed" if lapsed else "in_force"
    return ClauseValue.model_validate(
        {"contract": contract.id, "clause": clause, "state": state, "low_usd": low, "high_usd": high, "note": note}
    )

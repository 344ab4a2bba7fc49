"""Quick values: what each contract is worth, from the cuts of the plan (Q12).

`main` calls `values` once a plan is certified. The best plan without a contract is bounded from below by the cuts and
from above by a plan that was certified; `questions` does the same with a whole solve, and finds the walk-away fee too.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from argosy.model.answer import ContractWorth
from argosy.plan.ask import Asker
from argosy.plan.bounds import Bounds, difference
from argosy.plan.edits import without
from argosy.plan.known_plans import KnownPlan
from argosy.plan.program import SIGN, Ints, Program

ROUNDS = 4
"""Most plans that are certified for one contract."""


def contracts_of(asker: Asker, which: Literal["chosen", "all"]) -> tuple[str, ...]:
    """Contracts with a size: candidates, or signed ones too, in the order of the portfolio."""
    program, sized = asker.template.program, asker.told.world.sized
    wanted = [row.contract for k, row in enumerate(sized) if which == "all" or program.sign_lower[k] == 0]
    return tuple(dict.fromkeys(wanted))


def values(asker: Asker, contracts: tuple[str, ...]) -> tuple[ContractWorth, ...]:
    """Q12.1: the value of each contract of some, in their order, without walk-away fees.

    Where the plan does without a contract anyway, Q12.2, nothing is solved: it is worth 0 to the width of the gap.
    """
    money = asker.template.program.money_scale
    best = min(plan.objective for plan in asker.known.plans)
    held = _bounds(asker.found.bound * money, best * money)
    out = []
    for contract in contracts:
        if asker.stop.is_set():
            break
        asker.progress(f"without {contract}", None, None)
        rows = np.array([row.contract == contract for row in asker.told.world.sized])
        signed = bool((asker.template.program.sign_lower[rows] > 0).any())
        idle = asker.plan.size[rows].max() <= 0 and not signed
        bounds = held if idle else _without(asker, contract)
        low, high = difference(held, bounds, restriction=not signed)
        out.append(
            ContractWorth(
                contract=contract, low_usd=low, high_usd=high, walk_away_low=None, walk_away_high=None, unit=None
            )
        )
    return tuple(out)


def _bounds(lower: float, upper: float) -> Bounds:
    return Bounds(min(lower, upper), upper, {}, {}, {})


def _without(asker: Asker, contract: str) -> Bounds:
    """Bounds of the best plan without a contract, USD; infinite where there is none."""
    edited, cuts, money = without(contract)(asker.told), asker.cuts, asker.template.program.money_scale
    cuts.close(_columns(asker, contract))
    lower, best = -np.inf, None
    try:
        for _ in range(1 + asker.patience):
            least = cuts.branched(cuts.objective)
            if least is None:
                break
            lower = max(lower, least.bound)
            made = _certified(asker, edited, least.first[cuts.integers].round())
            cuts.fix(None)
            best = made if best is None or (made and made.objective < best.objective) else best
            if best is not None and best.objective - lower <= asker.gap / 2 * abs(best.objective):
                break
        if lower == -np.inf:
            relaxed = cuts.relaxed(cuts.objective)
            lower = np.inf if relaxed is None else relaxed.bound
    finally:
        cuts.fix(None)
        cuts.reopen()
    if best is None:
        return Bounds(lower * money, np.inf, {}, {}, {})
    return _bounds(lower * money, best.objective * money)


def _certified(asker: Asker, edited: Program, integers: np.typing.NDArray[np.float64]) -> KnownPlan | None:
    cuts = asker.cuts
    cuts.fix(integers)
    best: KnownPlan | None = None
    for _ in range(ROUNDS * asker.patience):
        there = cuts.relaxed(cuts.objective)
        if there is None:
            break
        point = asker.tidy(cuts, there.first)
        if best is not None:
            point = asker.tidy(cuts, 0.5 * point + 0.5 * best.first)
        made = asker.known.solve(point, edited)
        best = made if best is None or made.objective < best.objective else best
        if best.objective - there.bound <= asker.gap / 4 * abs(best.objective):
            break
    return best


def _columns(asker: Asker, contract: str) -> Ints:
    """First-stage columns of a contract: all that it may sign, buy or decide later."""
    program, columns = asker.template.program, asker.template.first.columns
    rows = np.flatnonzero([row.contract == contract for row in asker.told.world.sized])
    later = np.flatnonzero(np.isin(program.later_row, rows))
    signs = np.flatnonzero(np.isin(program.later_row[program.later_action == SIGN], rows))
    parts = [columns.at(name)[rows] for name in ("sign", "size", "option", "prepay", "equity")]
    return np.concatenate([*parts, columns.at("later")[later], columns.at("later_sign")[signs]])

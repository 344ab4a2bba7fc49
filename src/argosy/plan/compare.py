"""Compare: the same futures under several strategies, side by side, and what each does under stress (Q7 to Q9).

`cli.compare` calls `compare`. Each strategy is planned and certified on its own. A stress changes the futures after
the contracts have been chosen, so it shows what those contracts cost when it happens, without a second choice.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence

import numpy as np

from argosy.clock import Clock
from argosy.model.agreement import Agreement, Sized
from argosy.model.decision import Plan
from argosy.model.portfolio import Portfolio
from argosy.model.question import Comparison, StrategyScore, StressScore
from argosy.model.scenario import Scenario
from argosy.model.strategy import Strategy, Stress
from argosy.plan.main import quiet
from argosy.plan.resolve import Resolver, Solved
from argosy.plan.risk import tail_weights
from argosy.plan.solution import Progress
from argosy.plan.unseen import Scorer
from argosy.settings import Settings


def compare(
    portfolio: Portfolio,
    scenarios: tuple[Scenario, ...],
    strategies: Sequence[Strategy],
    stresses: Sequence[Stress] = (),
    *,
    gap: float = 1e-3,
    seed: int = 0,
    settings: Settings | None = None,
    clock: Clock | None = None,
    progress: Progress = quiet,
    stop: threading.Event | None = None,
) -> Comparison:
    """Plan every strategy, score it under every stress, and compare it with the best listed in each future."""
    resolver = Resolver(
        scenarios,
        gap=gap,
        settings=settings,
        clock=clock,
        progress=progress,
        stop=stop,
    )
    solved = [resolver.planned(strategy.of(portfolio), seed) for strategy in strategies]
    costs = np.array(
        [
            [np.inf] * len(scenarios) if one is None else [s.cost_present_value_usd for s in one.plan.scenarios]
            for one in solved
        ]
    )
    best = costs.min(axis=0)
    probability = np.array([s.probability for s in scenarios])
    scores = []
    for strategy, one, cost in zip(strategies, solved, costs, strict=True):
        regret = cost - best if one is not None else None
        stressed = () if one is None else tuple(_stressed(one, stress, scenarios) for stress in stresses)
        scores.append(_score(strategy, None if one is None else one.plan, regret, probability, stressed))
    return Comparison(
        **resolver.head(portfolio, seed),
        strategies=tuple(scores),
    )


def _score(
    strategy: Strategy,
    plan: Plan | None,
    regret: np.typing.NDArray[np.float64] | None,
    probability: np.typing.NDArray[np.float64],
    stresses: tuple[StressScore, ...],
) -> StrategyScore:
    if plan is None or regret is None:
        return StrategyScore(strategy=strategy.id, title=strategy.title, status="infeasible")
    wanted = sum(w.demand_units for w in plan.work)
    largest = max(plan.vendor_shares, key=lambda v: (v.fraction, v.vendor), default=None)
    spent = [
        y.prepayment_usd + y.capex_usd + y.minimum_bill_usd + y.one_off_usd - y.credit_usd - y.borrowed_usd
        for y in plan.cash
    ]
    return StrategyScore(
        strategy=strategy.id,
        title=strategy.title,
        status=plan.status,
        lower_usd=plan.bound_usd,
        upper_usd=plan.objective_usd,
        expected_usd=plan.expected_usd,
        tail_usd=plan.tail_usd,
        served_fraction=1 - sum(w.unserved_units for w in plan.work) / wanted if wanted > 0 else 1.0,
        largest_vendor=largest.vendor if largest else None,
        largest_vendor_fraction=largest.fraction if largest else None,
        peak_cash_usd=max(spent, default=None),
        carbon_tonnes=sum(f.carbon_tonnes for f in plan.footprint) if plan.footprint else None,
        signed=tuple(d.contract for d in plan.decisions if d.reason == "chosen"),
        mean_regret_usd=float(probability @ regret),
        max_regret_usd=float(regret.max()),
        regret_usd={s.scenario: float(r) for s, r in zip(plan.scenarios, regret, strict=True)},
        stresses=stresses,
    )


def _stressed(one: Solved, stress: Stress, scenarios: tuple[Scenario, ...]) -> StressScore:
    """Q9: the contracts of a plan in the stressed futures, each future solved exactly."""
    scorer = Scorer.of(one.told, stress.of(as_signed(one.plan, one.told.world.portfolio), scenarios))
    outcome = scorer.outcome(one.found.first)
    program = scorer.program
    p, money = program.probability, program.money_scale
    wanted = float(p @ np.einsum("sdt,t->s", program.demand, program.duration))
    undone = float(p @ (outcome.unserved * np.einsum("sdt,t->s", program.demand, program.duration)))
    expected = float(p @ outcome.cost) * money
    return StressScore(
        stress=stress.id,
        title=stress.title,
        expected_usd=expected,
        tail_usd=float(tail_weights(p, outcome.cost, program.tail) @ outcome.cost) * money,
        more_usd=expected - one.plan.expected_usd,
        served_fraction=1 - undone / wanted if wanted > 0 else 1.0,
    )


def as_signed(plan: Plan, portfolio: Portfolio) -> Portfolio:
    """The portfolio with the contracts that a plan signs now as signed ones: a stress looks for the largest vendor."""
    sizes = {d.contract: d.size for d in plan.decisions if d.reason == "chosen" and d.size > 0}
    contracts: list[Agreement] = []
    for contract in portfolio.contracts:
        if isinstance(contract, Sized) and contract.id in sizes:
            field = "accelerators" if "accelerators" in type(contract).model_fields else "usd_per_month"
            contracts.append(contract.model_copy(update={"status": "signed", field: sizes[contract.id]}))
        else:
            contracts.append(contract)
    return portfolio.model_copy(update={"contracts": tuple(contracts)})

"""Baselines: simpler plans beside a plan, all scored on the same unseen futures (F9).

Each baseline is a way to choose first-stage columns of the plan's own program: for the mean future alone, without new
contracts, with one vendor, or by a rule that forecasts nothing. `main` calls `compare` once the plan is certified; the
plan's contracts never change. What information and later decisions are worth is computed on the plan's own futures.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from argosy.clock import Clock
from argosy.errors import SolverError
from argosy.model.decision import OutOfSample, RegretRow
from argosy.model.futures import futures
from argosy.model.portfolio import Portfolio
from argosy.model.scenario import Scenario
from argosy.plan import supply_arrays
from argosy.plan.inputs import Inputs
from argosy.plan.layout import first_columns
from argosy.plan.near_optimal import Alternative
from argosy.plan.no_forecast import reserved
from argosy.plan.program import SIGN, Bools, Floats, Program, mean_program
from argosy.plan.risk import measure
from argosy.plan.solution import Progress, Solution
from argosy.plan.solve import solve
from argosy.plan.supply_arrays import Later
from argosy.plan.template import Template, build
from argosy.plan.unseen import Outcome, Scorer, quantile, score
from argosy.settings import Settings

MOST_FUTURES = 64
"""With more futures in the plan, EVPI and the hindsight bound, which solve each or tell each apart, are left out."""
TOLERANCE = 1e-9
"""Share of its cost by which a plan may cost more than the best and still be called best."""

Find = Callable[[Template], Solution | None]
"""The solver of whole programs that made the plan; None when there is no plan."""
Change = Callable[[tuple[Scenario, ...]], tuple[Scenario, ...]]
RULES = {
    "plan": "this plan",
    "mean_value": "plans for the mean future alone, with the same later decisions in every future",
    "on_demand": "signs nothing new and buys what is missing without commitment; no limit on vendor shares holds",
    "single_vendor": "signs new contracts with one vendor only, {vendor}, the best; no limit on vendor shares holds",
    "no_forecast": "forecasts nothing: reserves what today's work would have paid for by the break-even rule;"
    " no limit on vendor shares holds",
}


def draws(portfolio: Portfolio) -> bool:
    """Whether unseen futures of the portfolio can differ from those that it was planned with."""
    return bool(portfolio.uncertainties) and sum(s.probability for s in portfolio.scenarios.given) < 1 - 1e-6


def unchanged(scenarios: tuple[Scenario, ...]) -> tuple[Scenario, ...]:
    """The futures as they were drawn."""
    return scenarios


@dataclass(frozen=True, slots=True)
class Comparison:
    """What `compare` needs besides the plan: how programs are solved and who is told."""

    find: Find
    settings: Settings
    clock: Clock
    progress: Progress
    stop: threading.Event
    gap: float
    others: tuple[Alternative, ...] = ()
    """Near-optimal plans (Q11.3) that are scored like the baselines."""
    change: Change = unchanged
    """What is done to unseen futures before they are scored: a plan for a stress is scored under it."""

    def small(self, template: Template) -> Solution | None:
        """A program of one future, solved whole; None when there is no plan or no time for one."""
        try:
            return solve(
                template, gap=self.gap, settings=self.settings, clock=self.clock, progress=_quiet, stop=self.stop
            )
        except SolverError:
            return None

    def large(self, template: Template) -> Solution | None:
        """A program of all futures; None when there is no plan or no time for one."""
        try:
            return self.find(template)
        except SolverError:
            return None


def compare(
    told: Inputs, template: Template, found: Solution, run: Comparison, *, count: int, seed: int
) -> dict[str, Any]:
    """F9: the optional fields of `Plan`. Those that need unseen futures stay empty where the portfolio draws none."""
    program, money = told.program, told.program.money_scale
    sample = Scorer(template)
    run.progress("baselines", None, None)
    plans, rules, left_out = _plans(told, found, run, sample)
    for one in run.others:
        plans[one.name], rules[one.name] = one.first, one.rule
    inside = {name: sample.outcome(first) for name, first in plans.items()}
    objective = {name: measure(program, outcome.cost) for name, outcome in inside.items()}
    mine = objective["plan"]
    fields: dict[str, Any] = {}
    if "mean_value" in plans:
        fields["vss_usd"] = (objective["mean_value"] - mine) * money
    if program.shape["S"] <= MOST_FUTURES:
        run.progress("each future alone", None, None)
        alone = _alone(program, inside["plan"].cost, run)
        fields["evpi_usd"] = None if alone is None else (mine - measure(program, alone)) * money
        run.progress("hindsight", None, None)
        hindsight = _hindsight(told, run, mine)
        fields["hindsight_usd"] = None if hindsight is None else hindsight * money
    portfolio = told.world.portfolio
    if count and draws(portfolio) and not run.stop.is_set():
        unseen = run.change(futures(portfolio, seed=seed, count=count, stream="unseen"))
        given = len(portfolio.scenarios.given)
        scorer = Scorer.of(told, unseen)
        outside: dict[str, Outcome] = {}
        for name, first in plans.items():
            run.progress(f"unseen futures, {name.replace('_', ' ')}", None, None)
            outside[name] = scorer.outcome(first)
        scores = [
            score(scorer.program, outcome, plan=name, rule=rules[name], in_sample=objective[name], given=given)
            for name, outcome in outside.items()
        ]
        fields["out_of_sample"] = OutOfSample(
            seed=seed,
            scenarios=tuple(scenario.id for scenario in unseen),
            probability=tuple(scenario.probability for scenario in unseen),
            drawn=len(unseen) - given,
            plan=scores[0],
            baselines=tuple(scores[1:]),
            left_out=left_out,
        )
        fields["regret"] = regret(scorer.program, outside)
    return fields


def regret(program: Program, outcomes: dict[str, Outcome]) -> tuple[RegretRow, ...]:
    """F9.6: one row per plan; components are those of the plan less those of the best plan in the same future."""
    names, p, money = list(outcomes), program.probability, program.money_scale
    cost = np.array([outcomes[name].cost for name in names])  # (plans, S)
    best = cost.argmin(axis=0)
    least = cost.min(axis=0)
    futures_ = np.arange(cost.shape[1])
    rows = []
    for name in names:
        above = outcomes[name].cost - least
        parts = {}
        for part, value in outcomes[name].parts.items():
            others = np.array([outcomes[other].parts[part] for other in names])
            parts[part] = float(p @ (value - others[best, futures_])) * money
        worst = int(above.argmax())
        rows.append(
            RegretRow(
                plan=name,
                expected_usd=float(p @ above) * money,
                high_usd=quantile(p, above, 0.95) * money,
                worst_usd=float(above[worst]) * money,
                worst_scenario=program.names["S"][worst],
                best_fraction=float(p[above <= TOLERANCE * np.abs(least)].sum()),
                components_usd=parts,
            )
        )
    return tuple(rows)


def _plans(
    told: Inputs, found: Solution, run: Comparison, sample: Scorer
) -> tuple[dict[str, Floats], dict[str, str], dict[str, str]]:
    """First-stage columns by name, how each plan decides, and why the others could not be made."""
    program = told.program
    plans, rules, left_out = {"plan": found.first}, dict(RULES), {}
    nobody = "no plan without new contracts keeps all limits"
    mean, later = _one_cluster(told)
    answer = run.small(build(mean))
    if answer is None:
        left_out["mean_value"] = "no plan for the mean future keeps all limits"
    else:
        plans["mean_value"] = _expanded(told, later, mean, answer.first)
    alone, mean_alone = _unshared(program), _unshared(mean)
    answer = run.large(build(allowed(alone, np.zeros(len(program.sign_lower), dtype=bool))))
    if answer is None:
        left_out["on_demand"] = nobody
    else:
        plans["on_demand"] = answer.first
    best: tuple[float, int] | None = None
    for v in _candidates(program):
        answer = run.small(build(allowed(mean_alone, mean.row_vendor == v)))
        if answer is not None:
            value = sample.objective(_expanded(told, later, mean, answer.first))
            best = (value, v) if best is None or value < best[0] else best
    answer = None if best is None else run.large(build(allowed(alone, program.row_vendor == best[1])))
    if best is None or answer is None:
        left_out["single_vendor"] = nobody if _candidates(program) else "no new contract is offered"
    else:
        plans["single_vendor"] = answer.first
        rules["single_vendor"] = RULES["single_vendor"].format(vendor=told.world.vendors[best[1]])
    fixed = reserved(told, build(mean_alone))
    answer = run.small(fixed.template)
    if answer is None:
        left_out["no_forecast"] = "what the rule reserves does not keep all limits"
    else:
        plans["no_forecast"] = _expanded(told, later, mean, answer.first)
        rules["no_forecast"] = f"{RULES['no_forecast']}{fixed.note}"
    return plans, rules, left_out


def allowed(program: Program, rows: Bools) -> Program:
    """The same program in which only these candidates, and what is signed already, may have a size, now or later."""
    live = rows | (program.sign_lower > 0)
    return replace(
        program,
        sign_upper=np.where(live, program.sign_upper, 0.0),
        size_min=np.where(live, program.size_min, 0.0),
        size_max=np.where(live, program.size_max, 0.0),
    )


def _unshared(program: Program) -> Program:
    """The same program without F4.C: a plan with one vendor, or with what is signed already, cannot keep it."""
    return replace(program, vendor_share_max=np.full(len(program.vendor_share_max), np.nan))


def _candidates(program: Program) -> list[int]:
    """Vendors that offer something that is not signed yet."""
    open_ = (program.sign_lower == 0) & (program.size_max > 0) & (program.sign_upper > 0)
    open_[program.later_row[program.later_action == SIGN]] = True
    return [int(v) for v in np.unique(program.row_vendor[open_])]


def _arranged(told: Inputs, later: tuple[Later, ...]) -> Program:
    """The plan's program with other later columns."""
    return replace(told.program, **supply_arrays.arrays(told.world, later))  # type: ignore[arg-type]


def _one_cluster(told: Inputs) -> tuple[Program, tuple[Later, ...]]:
    """The mean future, in which a later decision is the same whatever happens."""
    everyone = (True,) * len(told.world.scenarios)
    later = tuple(dict.fromkeys(replace(x, member=everyone) for x in told.later))
    return mean_program(_arranged(told, later)), later


def _expanded(told: Inputs, later: tuple[Later, ...], one: Program, first: Floats) -> Floats:
    """Columns with one cluster as columns of the plan's program: each cluster takes the common decision."""
    here, there = first_columns(told.program), first_columns(one)
    out = np.zeros(here.size)
    for name in here.shapes:
        if name not in ("later", "later_sign"):
            out[here.part(name)] = first[there.part(name)]
    at = {(x.row, x.action, x.month): e for e, x in enumerate(later)}
    common = [at[x.row, x.action, x.month] for x in told.later]
    if common:
        out[here.part("later")] = first[there.part("later")][common]
        signs = [e for e, x in enumerate(later) if x.action == SIGN]
        mine = [signs.index(e) for e, x in zip(common, told.later, strict=True) if x.action == SIGN]
        out[here.part("later_sign")] = first[there.part("later_sign")][mine]
    return out


def _alone(program: Program, cost: Floats, run: Comparison) -> Floats | None:
    """F9.5: (S,) least cost of every future alone, at most what the plan costs there; None when it was stopped."""
    out = cost.copy()
    for s in range(len(cost)):
        answer = run.small(build(only(program, s)))
        if answer is None or run.stop.is_set():
            return None
        out[s] = min(out[s], answer.objective)
    return out


def only(program: Program, s: int) -> Program:
    """The same problem with one future: s, for certain."""
    fields = (
        "later_member", "link_capacity", "bound_amount", "future_cost", "prepay_credit", "port_capacity",
        "site_energised", "use_max", "open_max", "stock", "demand", "backlog_max",
    )  # fmt: skip
    one: dict[str, Any] = {name: getattr(program, name)[s : s + 1] for name in fields}
    return replace(program, probability=np.ones(1), levers=program.levers.only(s), **one)


def _hindsight(told: Inputs, run: Comparison, objective: float) -> float | None:
    """F9.7: lower bound where later decisions know their future; the plan's own cost where nothing is decided later."""
    if not told.later or told.program.shape["S"] == 1:
        return objective
    scenarios = len(told.world.scenarios)
    dates = tuple(dict.fromkeys((x.row, x.action, x.month) for x in told.later))
    own = [tuple(i == s for i in range(scenarios)) for s in range(scenarios)]
    answer = run.large(build(_arranged(told, tuple(Later(*date, member) for date in dates for member in own))))
    return None if answer is None else min(objective, answer.bound)


def _quiet(step: str, best_usd: float | None, bound_usd: float | None) -> None:
    """Programs of one future are too quick to watch."""

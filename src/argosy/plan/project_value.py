"""Project value: what a project is worth, and up to which cost it pays (QP1, QP2).

`cli.price` calls `price_project`. Like the value of a contract, the answer is an interval between certified bounds of a
plan in which the project is done and one in which it is not.
"""

from __future__ import annotations

import threading
from dataclasses import replace

import numpy as np

from argosy.clock import Clock
from argosy.errors import BadInput, Problem
from argosy.model.portfolio import Portfolio
from argosy.model.question import PlanCost, PriceAnswer, ProjectValue
from argosy.model.scenario import Scenario
from argosy.plan.bounds import Bounds
from argosy.plan.edits import Edit
from argosy.plan.inputs import Inputs, inputs
from argosy.plan.main import quiet
from argosy.plan.program import Program
from argosy.plan.resolve import Resolver
from argosy.plan.solution import Progress
from argosy.settings import Settings


def price_project(
    portfolio: Portfolio,
    scenarios: tuple[Scenario, ...],
    project: str,
    *,
    gap: float = 1e-3,
    seed: int = 0,
    settings: Settings | None = None,
    clock: Clock | None = None,
    progress: Progress = quiet,
    stop: threading.Event | None = None,
) -> PriceAnswer:
    """What one project is worth. BadInput when no project has the id; CheckFailed as `plan.solve` says."""
    index = next((i for i, p in enumerate(portfolio.projects) if p.id == project), None)
    if index is None:
        known = ", ".join(p.id for p in portfolio.projects) or "none"
        message = f"no project is called {project!r}; projects are {known}"
        raise BadInput([Problem("--project", 0, 0, "option.unknown", "", message)])
    resolver = Resolver(
        scenarios,
        gap=gap,
        settings=settings,
        clock=clock,
        progress=progress,
        stop=stop,
    )
    done, free = resolver.solve(portfolio, decided(index, 1.0)), resolver.solve(portfolio, decided(index, 0.0))
    value = _value(inputs(portfolio, scenarios), index, done, free)
    return PriceAnswer(
        **resolver.head(portfolio, seed),
        plans=resolver.plans,
        values=(),
        projects=(value,),
    )


def decided(project: int, done: float) -> Edit:
    """Do a project in any case (1), or in no case (0)."""

    def edit(told: Inputs) -> Program:
        levers = told.program.levers
        least, most = levers.project_least.copy(), levers.project_most.copy()
        least[project] = most[project] = done
        return replace(told.program, levers=replace(levers, project_least=least, project_most=most))

    return edit


def _value(told: Inputs, index: int, done: Bounds, free: Bounds) -> ProjectValue:
    """QP1 and QP2 from the bounds of both plans; None stands where there is no plan."""
    project = told.world.portfolio.projects[index]
    low = high = None
    note = None
    if np.isinf(done.upper):
        note = "no plan keeps all limits with it: its people or its money are not there"
    elif np.isinf(free.upper):
        note = "without it no plan keeps all limits"
    else:
        low, high = free.lower - done.upper, free.upper - done.lower
    ends: tuple[float | None, float | None] = (None, None)
    if low is not None and high is not None:
        ends = break_even(told, index, low, high)
    return ProjectValue(
        project=project.id,
        name=project.name,
        status=project.status,
        low_usd=low,
        high_usd=high,
        cost_usd=project.cost_usd,
        break_even_low_usd=ends[0],
        break_even_high_usd=ends[1],
        costs=(_cost("with", done), _cost("without", free)),
        note=note,
    )


def _cost(name: str, bounds: Bounds) -> PlanCost:
    none = np.isinf(bounds.upper)
    return PlanCost.model_validate(
        {"name": name, "lower_usd": None if none else bounds.lower, "upper_usd": None if none else bounds.upper}
    )


def break_even(told: Inputs, index: int, low: float, high: float) -> tuple[float | None, float | None]:
    """QP2: up to the first cost it certainly pays, from the second on it certainly does not.

    A dollar of cost is worth between the least and the largest present value of its starts. A dearer project may break
    a cash limit, so with such a limit the first end is not above the cost as written.
    """
    levers, project = told.program.levers, told.world.portfolio.projects[index]
    value = levers.start_cost[levers.start_project == index] * told.program.money_scale
    if project.cost_usd <= 0 or not len(value) or value.min() <= 0:
        return (None, None)
    least, most = float(value.min()), float(value.max())
    first = project.cost_usd * (1 + low / (most if low >= 0 else least))
    second = project.cost_usd * (1 + high / (least if high >= 0 else most))
    if told.world.portfolio.policy.cash is not None:
        first = min(first, project.cost_usd)
    return (max(0.0, first) if first > 0 else None, max(0.0, second))

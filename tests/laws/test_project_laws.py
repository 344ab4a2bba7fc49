"""Laws of projects: what must never cost more, and prices of people against finite differences."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.against.test_against_linopy import worlds
from tests.support import worlds_plan as w

from argosy.clock import SystemClock
from argosy.plan.decompose import Decomposition
from argosy.plan.program import NONE, Program
from argosy.plan.project_prices import margin, part_of_projects, people_prices
from argosy.plan.solution import Solution
from argosy.plan.solve import solve
from argosy.plan.template import Template, build
from argosy.plan.values import Values
from argosy.settings import Settings

LAWS = settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))


def find(template: Template) -> Solution | None:
    return solve(
        template, gap=0.0, settings=Settings(), clock=SystemClock(), progress=lambda *_: None, stop=threading.Event()
    )


def found(program: Program) -> Solution:
    answer = find(build(program))
    assert answer is not None
    return answer


def crowded(seed: int) -> Program:
    """A random program with teams."""
    for attempt in range(60):
        program: Program = worlds.random_program(
            9_000 + 180 * seed + 3 * attempt, periods=3, scenarios=2, rows=2, pools=2, vendors=2, classes=2
        )
        if program.levers.shape["M"] and program.levers.shape["Z"]:
            return program
    raise AssertionError


def with_people(program: Program, more: Any) -> Program:
    levers = program.levers
    return replace(program, levers=replace(levers, team_capacity=levers.team_capacity + more))


@LAWS
@given(st.integers(0, 10_000), st.floats(0.1, 5.0))
def test_more_people_never_cost_more(seed: int, more: float) -> None:
    program = crowded(seed % 40)
    assert found(with_people(program, more)).objective <= found(program).objective + 1e-6


@LAWS
@given(st.integers(0, 10_000), st.floats(0.1, 0.9))
def test_a_cheaper_project_never_makes_a_dearer_plan(seed: int, share: float) -> None:
    program = crowded(seed % 40)
    cheaper = replace(program.levers, start_cost=program.levers.start_cost * share)
    before = found(program).objective
    assert found(replace(program, levers=cheaper)).objective <= before + 1e-6


@LAWS
@given(
    saved=st.lists(st.floats(0.05, 0.6), min_size=1, max_size=3),
    cost=st.floats(100.0, 9_000.0), units=st.floats(1.0, 6.0), people=st.floats(0.0, 8.0),
)  # fmt: skip
def test_a_plan_with_projects_is_the_best_of_all_sets_of_them(
    saved: list[float], cost: float, units: float, people: float
) -> None:
    """One pool at 1 USD: each set that people allow costs what multiplication says."""
    projects = [
        {"id": f"p{i}", "start": "2026-01", "duration_months": 2, "cost_usd": cost, "team_months": {"ml": 4.0},
         "gains": [{"workload": "job", "saved_fraction": share}]}
        for i, share in enumerate(saved)
    ]  # fmt: skip
    world = w.world(
        [w.on_demand(1.0)], [w.work(units)], projects=projects, teams=[{"id": "ml", "people": {"2026-01": people}}]
    )
    best = np.inf
    for bits in range(2 ** len(saved)):
        chosen = [share for i, share in enumerate(saved) if bits >> i & 1]
        if 2 * len(chosen) <= people:
            left = float(np.prod([1 - share for share in chosen]))
            best = min(best, cost * len(chosen) + units * (w.hours(1, 2) + left * w.hours(3, 12)))
    assert w.planned(world).objective_usd == pytest.approx(best, rel=1e-9)


@pytest.mark.parametrize("seed", range(6))
def test_prices_of_people_are_slopes(seed: int) -> None:
    """F8.5: the price lies between what a little less and a little more of all people in a period changes."""
    program = crowded(seed)
    answer = found(program)
    template = build(program)
    price = people_prices(program, answer, template, find)
    assert price is not None
    divisible = part_of_projects(program, answer, template)
    middle, step = found(divisible).objective, 1e-4
    for m, t in np.ndindex(*price.shape):
        each = np.zeros_like(price)
        each[m, t] = step
        mine = price[m, t] * program.discount[t] / program.money_scale
        more = (middle - found(with_people(divisible, each)).objective) / step
        less = find(build(with_people(divisible, -each)))
        assert more <= mine + 1e-5
        if less is not None:
            assert mine <= (less.objective - middle) / step + 1e-5


def test_some_people_have_a_price() -> None:
    prices = []
    for seed in range(12):
        program = crowded(seed)
        price = people_prices(program, found(program), build(program), find)
        assert price is not None
        prices.append(price.max())
    assert max(prices) > 0.01


def test_a_margin_bounds_the_first_part_and_the_whole() -> None:
    """F8.6: with every other yes or no as planned, a project that is not done adds its margin or more."""
    equal = seen = 0
    for seed in range(10):
        program = with_people(crowded(seed), 50.0)
        answer, template = found(program), build(program)
        values = Values.of(program, answer.first, answer.second)
        margins = margin(program, values, answer, template)
        start = template.first.columns.at("start")
        done = np.bincount(program.levers.start_project, weights=values.first["start"].round())
        levers = replace(program.levers, divisible=True, project_group=np.full(len(done), NONE))
        for h in np.flatnonzero(done[program.levers.start_project] == 0).tolist():
            held = np.where(template.first.integer, answer.first.round(), np.nan)
            added = {}
            for share in (1e-4, 1.0):
                held[start[h]] = share
                forced = found(replace(program, fixed=held, levers=levers))
                added[share] = (forced.objective - answer.objective) / share
            assert min(added.values()) >= margins[h] - 1e-5 * max(1.0, abs(margins[h]))
            seen += 1
            equal += added[1e-4] <= margins[h] + 1e-4 * max(1.0, abs(margins[h]))
    assert seen >= 10
    assert equal >= 0.5 * seen  # a plan stands at corners, where several duals fit and the bound is loose


@pytest.mark.parametrize("seed", range(3))
def test_future_by_future_costs_the_same(seed: int) -> None:
    program = crowded(seed)
    run = Decomposition(build(program), settings=Settings(), clock=SystemClock(), progress=lambda *_: None)
    answer = run.solve(1e-6, threading.Event())
    assert answer is not None
    assert answer.objective == pytest.approx(found(program).objective, rel=1e-5)

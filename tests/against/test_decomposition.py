"""The decomposition against the extensive form, and its cuts against exact futures."""

from __future__ import annotations

import itertools
import threading
from dataclasses import replace

import numpy as np
import pytest
from tests.against.worlds import random_program

from argosy.clock import SystemClock
from argosy.plan.branch import branch
from argosy.plan.check import check
from argosy.plan.decompose import Decomposition
from argosy.plan.main import quiet
from argosy.plan.pool import Pool
from argosy.plan.program import Program
from argosy.plan.recourse import Recourse
from argosy.plan.select import apart
from argosy.plan.selected import forward
from argosy.plan.solve import solve
from argosy.plan.template import build
from argosy.plan.values import Values
from argosy.settings import Settings

SEEDS = range(8)
GAP = 1e-6


def decomposed(program: Program, gap: float = GAP):
    template = build(program)
    plan = Decomposition(template, settings=Settings(), clock=SystemClock(), progress=quiet)
    return plan.solve(gap, threading.Event())


@pytest.mark.parametrize("seed", SEEDS)
def test_both_ways_find_the_same_cost(seed: int) -> None:
    program = random_program(seed)
    whole = solve(
        build(program), gap=0.0, settings=Settings(), clock=SystemClock(), progress=quiet, stop=threading.Event()
    )
    parts = decomposed(program)
    if whole is None:
        assert parts is None
        return
    assert parts is not None
    scale = max(1.0, abs(whole.objective))
    assert parts.objective == pytest.approx(whole.objective, abs=2 * GAP * scale)
    assert parts.bound <= whole.objective + 1e-7 * scale
    recount = check(program, Values.of(program, parts.first, parts.second))
    assert recount.worst < 1e-6
    assert recount.objective == pytest.approx(parts.objective, rel=1e-9, abs=1e-9)
    assert parts.weight.sum() == pytest.approx(1.0)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_dual_of_one_future_bounds_every_other_from_below(seed: int) -> None:
    """F7.1 holds at contracts other than those at which the dual was found."""
    program = random_program(seed)
    template = build(program)
    recourse, pool = Recourse(template), Pool(template)
    chance = np.random.default_rng(seed)
    first = template.first
    upper = np.where(np.isfinite(first.column_upper), first.column_upper, 1.0)
    lower = np.where(np.isfinite(first.column_lower), first.column_lower, 0.0)
    points = [lower + chance.uniform(size=len(upper)) * (upper - lower) for _ in range(3)]
    for point in points:
        point[first.columns.part("later")] = 0.0  # later columns alone could end more than was signed
    scenarios = range(program.shape["S"])
    exact = np.array([[recourse.solve(s, x).value for s in scenarios] for x in points])
    for s in scenarios:
        answer = recourse.solve(s, points[0])
        pool.add(answer.dual, answer.basis)
    for x, values in zip(points, exact, strict=True):
        bounds = (
            np.array([c + g @ x[pool.columns] for c, g in zip(pool.constant, pool.slope, strict=True)])
            - template.future_cost @ x
        )
        assert (bounds <= values[None, :] + 1e-6 * np.maximum(1.0, np.abs(values))).all()
    own = pool.best(points[0])[0] - template.future_cost @ points[0]
    assert own == pytest.approx(exact[0], rel=1e-7, abs=1e-6)


@pytest.mark.parametrize("seed", [0, 3, 5])
def test_a_changed_first_stage_is_solved_again_from_kept_cuts(seed: int) -> None:
    """F7.7: dearer sizes and a contract left out; the same cost as a program written that way."""
    program = random_program(seed)
    run = Decomposition(build(program), settings=Settings(), clock=SystemClock(), progress=quiet)
    before = run.solve(GAP, threading.Event())
    assert before is not None
    sign_upper = program.sign_upper.copy()
    sign_upper[int(np.argmax(program.sign_lower == 0))] = 0.0
    other = replace(program, size_cost=program.size_cost + 0.5, sign_upper=sign_upper)
    template = build(other)
    eta = template.first.columns.part("eta")
    cost, lower, upper = template.first.cost.copy(), template.first.column_lower, template.first.column_upper.copy()
    cost[eta] = upper[eta] = 0.0
    lower = np.where(np.isfinite(lower), lower, 0.0)
    run.master.change(cost, lower, upper)
    again = run.again(GAP, before.first)
    whole = solve(template, gap=0.0, settings=Settings(), clock=SystemClock(), progress=quiet, stop=threading.Event())
    if whole is None:
        assert again is None
        return
    assert again is not None
    scale = max(1.0, abs(whole.objective))
    assert again[1] == pytest.approx(whole.objective, abs=2 * GAP * scale)
    assert again[2] <= whole.objective + 1e-7 * scale


def test_forward_selection_takes_what_stands_apart_and_keeps_all_probability() -> None:
    """F7.8: three heaps of futures; one future of each heap is taken, with the probability of its heap."""
    chance = np.random.default_rng(0)
    heap = np.repeat([0, 1, 2], [5, 3, 2])
    features = np.array([[0.0, 0.0], [10.0, 0.0], [0.0, 30.0]])[heap] + 0.1 * chance.normal(size=(10, 2))
    chosen, weight = forward(apart(features), np.full(10, 0.1), 3)
    assert heap[chosen].tolist() == [0, 1, 2]
    assert weight == pytest.approx([0.5, 0.3, 0.2])
    everyone, same = forward(apart(features), np.full(10, 0.1), 10)
    assert everyone.tolist() == list(range(10))
    assert same == pytest.approx(np.full(10, 0.1))


def test_branch_finds_what_trying_every_set_of_integers_finds() -> None:
    """F7.6: by the cuts alone, without a future solved."""
    program = random_program(2)
    run = Decomposition(build(program), settings=Settings(), clock=SystemClock(), progress=quiet)
    assert run.solve(1e-3, threading.Event()) is not None
    master = run.master
    lower, upper = master.lower[master.integers], master.upper[master.integers]
    choice, bound = branch(master, gap=0.0, cutoff=np.inf, over=lambda: False)
    best = np.inf
    for some in itertools.product(*(range(int(a), int(b) + 1) for a, b in zip(lower, upper, strict=True))):
        master.fix(np.array(some, dtype=float))
        if master.solve():
            best = min(best, master.objective)
    assert choice is not None
    assert bound == pytest.approx(best, rel=1e-7)
    master.fix(choice)
    assert master.solve()
    assert master.objective == pytest.approx(best, rel=1e-7)

"""The decomposition against the extensive form, and its cuts against exact futures."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from tests.against.worlds import random_program

from argosy.clock import SystemClock
from argosy.plan.check import check
from argosy.plan.decompose import Decomposition
from argosy.plan.main import quiet
from argosy.plan.pool import Pool
from argosy.plan.program import Program
from argosy.plan.recourse import Recourse
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

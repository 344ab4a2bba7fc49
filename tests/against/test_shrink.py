"""The small second stage against the whole one: the same cost, columns that keep every rule, duals that prove it."""

from __future__ import annotations

import highspy
import numpy as np
import pytest
from bench.procure84 import procure84
from tests.against.worlds import random_program

from argosy.plan.pool import Pool
from argosy.plan.program import Floats, Program
from argosy.plan.recourse import Recourse
from argosy.plan.template import Template, build


def whole(template: Template, s: int, first: Floats) -> float:
    """Cost of one future by the second stage as it is written."""
    block = template.second
    lower, upper, columns = template.second_bounds(s)
    links = template.links
    entries = links.values(slice(s, s + 1))[0] * first[links.column]
    shift = np.bincount(links.row, weights=entries, minlength=len(lower))
    solver = highspy.Highs()
    solver.silent()
    solver.passModel(
        block.columns.size, len(lower), len(block.matrix.value), 1, 1, 0.0, block.cost, block.column_lower, columns,
        lower - shift, upper - shift, block.matrix.start[:-1], block.matrix.index, block.matrix.value,
        np.zeros(block.columns.size, dtype=np.int32),
    )  # fmt: skip
    solver.run()
    return float(solver.getInfo().objective_function_value)


def worst(template: Template, s: int, first: Floats, column: Floats) -> float:
    """Largest violation of any row or bound of one future."""
    block = template.second
    lower, upper, columns = template.second_bounds(s)
    links = template.links
    entries = links.values(slice(s, s + 1))[0] * first[links.column]
    of = np.repeat(np.arange(block.columns.size), np.diff(block.matrix.start))
    activity = np.bincount(block.matrix.index, weights=block.matrix.value * column[of], minlength=len(lower))
    activity += np.bincount(links.row, weights=entries, minlength=len(lower))
    off = (lower - activity, activity - upper, block.column_lower - column, column - columns)
    return float(max(violation.max() for violation in off))


def points(template: Template, seed: int) -> list[Floats]:
    """Contracts anywhere between their bounds, with nothing decided later that was not bought."""
    chance = np.random.default_rng(seed)
    first = template.first
    upper = np.where(np.isfinite(first.column_upper), first.column_upper, 1.0)
    lower = np.where(np.isfinite(first.column_lower), first.column_lower, 0.0)
    found = [lower + chance.uniform(size=len(upper)) * (upper - lower) for _ in range(2)]
    for point in found:
        point[first.columns.part("later")] = 0.0
    return [lower, *found]


def agree(program: Program, seed: int) -> Recourse:
    template = build(program)
    recourse, pool = Recourse(template), Pool(template)
    for first in points(template, seed):
        for s in range(program.shape["S"]):
            answer = recourse.solve(s, first, columns=True)
            assert answer.columns is not None
            scale = max(1.0, abs(answer.value))
            assert answer.value == pytest.approx(whole(template, s, first), rel=1e-9, abs=1e-7)
            assert template.second.cost @ answer.columns == pytest.approx(answer.value, rel=1e-9, abs=1e-7)
            assert worst(template, s, first, answer.columns) < 1e-6
            constant, slope = pool.cut(answer.dual)
            proof = constant[s] + slope[s] @ first[pool.columns] - template.future_cost[s] @ first
            assert abs(proof - answer.value) < 1e-6 * scale
    return recourse


@pytest.mark.parametrize("seed", range(8))
def test_random_worlds_cost_the_same_small_and_whole(seed: int) -> None:
    """F7.4"""
    agree(random_program(seed), seed)


def test_the_benchmark_shrinks_to_a_third_of_its_rows() -> None:
    """F7.4 with pools that are alike, tiers that become equal and lines of one pool."""
    program = procure84(2, months=24, clusters=2)
    small = agree(program, 1).small
    assert small.rows < 0.4 * small.height
    assert small.columns < 0.6 * small.width

"""The template against an independent builder: every rule row by row, the objective, and the solved optimum."""

from __future__ import annotations

import functools
import importlib.util
import itertools
import sys
import threading
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import highspy
import numpy as np
import pytest
import scipy.sparse
from scipy.optimize import linprog

from argosy.clock import SystemClock
from argosy.plan.extensive import Matrix, hand_over, tile
from argosy.plan.program import Program
from argosy.plan.solve import solve
from argosy.plan.template import Template, build
from argosy.settings import Settings

HERE = Path(__file__).parent


def _load(name: str, path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


oracle = _load("against_linopy_oracle", HERE / "linopy_oracle.py")
worlds = _load("against_worlds", HERE / "worlds.py")

FAST = range(8)
SLOW = range(8, 20)
SEEDS = [*FAST, *(pytest.param(seed, marks=pytest.mark.slow) for seed in SLOW)]
RELATIVE = 1e-9


def flat_of(template: Template, matrix: Matrix) -> Any:
    """The template's extensive form as the oracle's neutral record."""
    shape = (len(matrix.row_lower), len(matrix.cost))
    columns = matrix.matrix
    rows = scipy.sparse.csc_array((columns.value, columns.index, columns.start), shape=shape).tocsr()
    families: dict[str, list[int]] = {}
    for rule in template.first.rows.shapes:
        families.setdefault(rule, []).extend(range(shape[0])[template.first.rows.part(rule)])
    for s in range(template.program.shape["S"]):
        offset = matrix.scenario_rows(s).start
        for rule in template.second.rows.shapes:
            part = template.second.rows.part(rule)
            families.setdefault(rule, []).extend(range(offset + part.start, offset + part.stop))
        if matrix.risky:
            families.setdefault("F4.CV", []).append(matrix.tail_row(s))
    assert sum(map(len, families.values())) == shape[0], "a row belongs to no rule"
    return oracle.Flat(
        matrix.cost, matrix.column_lower, matrix.column_upper, matrix.integer, rows, matrix.row_lower,
        matrix.row_upper, families,
    )  # fmt: skip


@functools.cache
def both(seed: int) -> tuple[Program, Any, Any, Matrix]:
    program = worlds.random_program(seed)
    template = build(program)
    matrix = tile(template)
    return program, oracle.flatten(oracle.build(program), program), flat_of(template, matrix), matrix


def optimum(matrix: Matrix, integers: np.ndarray[Any, Any] | None) -> float:
    """Optimum of the program that was handed over, relaxed or with its integers fixed."""
    solver = hand_over(matrix)
    columns = np.flatnonzero(matrix.integer).astype(np.int32)
    if len(columns):
        solver.changeColsIntegrality(len(columns), columns, np.zeros(len(columns), dtype=np.uint8))
        if integers is not None:
            solver.changeColsBounds(len(columns), columns, integers, integers)
    solver.run()
    assert solver.getModelStatus() == highspy.HighsModelStatus.kOptimal
    return float(solver.getInfo().objective_function_value)


@pytest.mark.parametrize("seed", SEEDS)
def test_every_rule_and_the_objective_are_equal(seed: int) -> None:
    program, theirs, ours, _ = both(seed)
    problems = oracle.compare(theirs, ours, RELATIVE)
    assert not problems, "\n".join([f"{len(problems)} differences in {program.shape}", *problems[:10]])


@pytest.mark.parametrize("seed", SEEDS)
def test_optima_are_equal(seed: int) -> None:
    _, theirs, ours, matrix = both(seed)
    status, relaxed, _ = oracle.solve(theirs.relaxed())
    assert status == "optimal"
    assert optimum(matrix, None) == pytest.approx(relaxed, rel=RELATIVE)
    status, best, columns = oracle.solve(theirs)
    assert status == "optimal"
    assert best >= relaxed - RELATIVE * abs(relaxed)
    assert oracle.solve(ours)[1] == pytest.approx(best, rel=RELATIVE)
    assert optimum(matrix, np.round(columns[ours.integer])) == pytest.approx(best, rel=RELATIVE)


def test_every_rule_occurs() -> None:
    seen: set[str] = set()
    for seed in FAST:
        theirs = both(seed)[1]
        for rule, rows in theirs.families.items():
            if any(not oracle.implied(theirs, int(row)) for row in rows):
                seen.add(rule.removesuffix(oracle.OTHER_SIDE))
    assert seen == set(worlds.families_everywhere())


def _changed(flat: Any, field: str, rng: np.random.Generator) -> Any:
    values = getattr(flat, field).copy()
    chosen = rng.choice(np.flatnonzero(np.isfinite(values)))
    values[chosen] += 1e-6 * max(1.0, abs(values[chosen]))
    return replace(flat, **{field: values})


@pytest.mark.parametrize("field", ["cost", "lower", "upper", "row_lower", "row_upper", "rows", "integer", "families"])
def test_the_comparison_sees_one_changed_number(field: str) -> None:
    rng = np.random.Generator(np.random.PCG64(1))
    theirs = both(3)[1]
    if field == "rows":
        rows = theirs.rows.copy()
        rows.data[len(rows.data) // 2] *= 1 + 1e-6
        wrong = replace(theirs, rows=rows)
    elif field == "integer":
        wrong = replace(theirs, integer=np.zeros_like(theirs.integer))
    elif field == "families":
        wrong = replace(theirs, families={**theirs.families, "F4.D": theirs.families["F4.D"][1:]})
    else:
        wrong = _changed(theirs, field, rng)
    assert oracle.compare(theirs, wrong, RELATIVE)
    assert not oracle.compare(theirs, theirs, RELATIVE)


@pytest.mark.parametrize("seed", [*range(4), *(pytest.param(s, marks=pytest.mark.slow) for s in range(4, 10))])
def test_enumerating_the_binaries_finds_no_better_plan(seed: int) -> None:
    """SciPy's linear programs over all choices, from the oracle's rows, against what `solve` publishes."""
    program = worlds.tiny_program(seed)
    flat = oracle.flatten(oracle.build(program), program)
    free = flat.integer & (flat.lower < flat.upper)
    assert 1 <= free.sum() <= 4
    equal = flat.row_lower == flat.row_upper
    below = np.isfinite(flat.row_upper) & ~equal
    above = np.isfinite(flat.row_lower) & ~equal
    best = np.inf
    for choice in itertools.product([0.0, 1.0], repeat=int(free.sum())):
        lower, upper = flat.lower.copy(), flat.upper.copy()
        lower[free] = upper[free] = choice
        result = linprog(
            flat.cost,
            A_ub=scipy.sparse.vstack([flat.rows[below], -flat.rows[above]]),
            b_ub=np.concatenate([flat.row_upper[below], -flat.row_lower[above]]),
            A_eq=flat.rows[equal],
            b_eq=flat.row_lower[equal],
            bounds=np.column_stack([lower, upper]),
        )
        if result.status == 0:
            best = min(best, result.fun)
    found = solve(
        build(program),
        gap=0.0,
        settings=Settings(),
        clock=SystemClock(),
        progress=lambda step, best_usd, bound_usd: None,
        stop=threading.Event(),
    )
    assert found is not None
    assert found.objective == pytest.approx(best, rel=1e-7)
    assert found.bound <= best + 1e-7 * abs(best)


@pytest.mark.slow
@pytest.mark.parametrize("clusters", [None, 2])
def test_the_benchmark_model_is_equal(clusters: int | None) -> None:
    procure84 = _load("bench_procure84", HERE.parents[1] / "bench" / "procure84.py").procure84
    program = procure84(3, months=36, clusters=clusters)
    template = build(program)
    matrix = tile(template)
    theirs = oracle.flatten(oracle.build(program), program)
    problems = oracle.compare(theirs, flat_of(template, matrix), RELATIVE)
    assert not problems, "\n".join(problems[:10])
    status, relaxed, _ = oracle.solve(theirs.relaxed())
    assert status == "optimal"
    assert optimum(matrix, None) == pytest.approx(relaxed, rel=RELATIVE)

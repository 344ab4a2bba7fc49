"""The benchmark model: its sizes are the published ones as documented in bench/README.md, and it can be solved."""

from __future__ import annotations

import dataclasses
import importlib.util
import sys
from pathlib import Path
from typing import Any

import highspy
import numpy as np
import pytest

from argosy.plan.extensive import hand_over, tile
from argosy.plan.layout import first_columns, second_columns
from argosy.plan.program import Program
from argosy.plan.template import build

BENCH = Path(__file__).parents[2] / "bench" / "procure84.py"


def _procure84() -> Any:
    if "bench_procure84_unit" not in sys.modules:
        spec = importlib.util.spec_from_file_location("bench_procure84_unit", BENCH)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules["bench_procure84_unit"] = module
        spec.loader.exec_module(module)
    return sys.modules["bench_procure84_unit"].procure84


def _same(a: Program, b: Program) -> bool:
    return all(
        np.array_equal(getattr(a, f.name), getattr(b, f.name), equal_nan=True)
        for f in dataclasses.fields(a)
        if isinstance(getattr(a, f.name), np.ndarray)
    )


def test_sizes() -> None:
    program = _procure84()(1)
    shape = program.shape
    assert {letter: shape[letter] for letter in "TYPKDALQVO"} == {
        "T": 84, "Y": 7, "P": 27, "K": 51, "D": 9, "A": 173, "L": 54, "Q": 12, "V": 13, "O": 6,
    }  # fmt: skip
    assert shape["F"] == 51 * 7
    assert first_columns(program).size == 1_277 + 24
    assert second_columns(program).size == 27_097
    template = build(program)
    rows = template.second.rows.shapes
    counts = {rule: int(np.prod(rows[rule])) for rule in ("F4.D", "F4.P", "F4.U", "F4.T", "F4.N", "F4.E", "F4.CT")}
    assert counts == {
        "F4.D": 756, "F4.P": 2_268, "F4.U": 4_284, "F4.T": 357, "F4.N": 504, "F4.E": 7, "F4.CT": 84,
    }  # fmt: skip


def test_nonzeros_per_scenario() -> None:
    one, three = (len(tile(build(_procure84()(s))).matrix.value) for s in (1, 3))
    assert (three - one) / 2 == pytest.approx(94_000, rel=0.01)


def test_the_same_seed_gives_the_same_model() -> None:
    assert _same(_procure84()(2, months=24), _procure84()(2, months=24))
    assert not _same(_procure84()(2, months=24), _procure84()(2, months=24, seed=8))


def test_the_first_scenarios_of_a_larger_set_are_those_of_a_smaller_one() -> None:
    small, large = _procure84()(2, months=24), _procure84()(5, months=24)
    assert np.array_equal(small.demand, large.demand[:2])
    assert np.array_equal(small.open_max, large.open_max[:2])
    assert np.array_equal(small.link_capacity[:, :51], large.link_capacity[:2, :51])


@pytest.mark.parametrize(("clusters", "columns"), [(None, 24 * 6), (4, 24 * 4), (9, 24 * 6)])
def test_every_scenario_belongs_to_one_cluster(clusters: int | None, columns: int) -> None:
    program = _procure84()(6, months=24, clusters=clusters)
    assert program.later_member.shape == (6, columns)
    assert (program.later_member.sum(axis=1) == 24).all()
    assert program.later_member.any(axis=0).all()


@pytest.mark.parametrize("clusters", [None, 4])
def test_a_short_one_is_feasible(clusters: int | None) -> None:
    solver = hand_over(tile(build(_procure84()(1, months=12, clusters=clusters))))
    solver.setOptionValue("solve_relaxation", True)
    solver.run()
    assert solver.getModelStatus() == highspy.HighsModelStatus.kOptimal
    assert solver.getInfo().objective_function_value > 0

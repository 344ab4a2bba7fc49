"""Solver: HiGHS on a program's arrays. Nothing here knows what the columns mean."""

from __future__ import annotations

import highspy
import numpy as np

from argosy.errors import SolverError
from argosy.place.rows import INF, Floats, Program
from argosy.settings import Settings

PARALLEL_ROWS_AND_COLUMNS = 1 << 13
"""A rule of presolve that is left out: HiGHS 1.15.1 may fix an integer column for a parallel one that cannot take its
place, and calls the result optimal though a better one exists. Programs like these are solved as fast without it."""

FAIR_TOLERANCE = 1e-9
"""The share of work of minutes beside work of weeks is small beside 1: the usual 1e-6 may be a part in 10,000 of it"""

LEFT_OUT = ("feasibility_jump", "rens", "rins", "root_reduced_cost")
"""Heuristics that take half of the time of programs like these, and find nothing that branching does not."""


def _highs() -> highspy.Highs:
    """HiGHS without the callbacks that its Python class sets up, which take as long as solving a small program."""
    made = highspy.Highs.__new__(highspy.Highs)
    super(highspy.Highs, made).__init__()
    return made


class Solver:
    """HiGHS with the program handed over as arrays; stays resident: a change of bounds starts from the basis.

    It begins with the relaxation; `restrict` makes it the program itself.
    """

    def __init__(self, program: Program, *, threads: int, time_limit_seconds: float, gap: float) -> None:
        self.program = program
        rows = program.rows
        lp = highspy.HighsLp()
        lp.num_col_, lp.num_row_ = len(program.cost), len(rows.low)
        lp.sense_ = highspy.ObjSense.kMaximize
        lp.col_cost_, lp.col_lower_, lp.col_upper_ = program.cost, program.lower, program.upper
        lp.row_lower_, lp.row_upper_ = np.array(rows.low), np.array(rows.high)
        lp.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
        lp.a_matrix_.num_col_, lp.a_matrix_.num_row_ = lp.num_col_, lp.num_row_
        lp.a_matrix_.start_ = np.array(rows.start, dtype=np.int32)
        lp.a_matrix_.index_ = np.concatenate([np.zeros(0, dtype=np.int64), *rows.index]).astype(np.int32)
        lp.a_matrix_.value_ = np.concatenate([np.zeros(0), *rows.value])
        self.highs = _highs()
        for name, value in (
            ("output_flag", False),
            ("threads", threads),
            ("parallel", "off" if threads == 1 else "choose"),
            ("random_seed", 0),
            ("time_limit", time_limit_seconds),
            ("mip_rel_gap", gap),
            ("mip_abs_gap", 1e-9),
            ("presolve_rule_off", PARALLEL_ROWS_AND_COLUMNS),
            *((f"mip_heuristic_run_{name}", False) for name in LEFT_OUT),
        ):
            self.highs.setOptionValue(name, value)
        if not program.world.integral:
            for name in ("primal", "dual", "mip"):
                self.highs.setOptionValue(f"{name}_feasibility_tolerance", FAIR_TOLERANCE)
        self._ok(self.highs.passModel(lp), "the program was refused")

    def run(self) -> bool:
        """Solve; False when infeasible. SolverError when there is no answer that can be trusted."""
        self._ok(self.highs.run(), "the solver failed")
        status = self.highs.getModelStatus()
        if status == highspy.HighsModelStatus.kOptimal:
            return True
        if status in (highspy.HighsModelStatus.kInfeasible, highspy.HighsModelStatus.kUnboundedOrInfeasible):
            return False
        if status == highspy.HighsModelStatus.kTimeLimit and self.highs.getInfo().primal_solution_status == 2:
            return True
        raise SolverError(f"placement stopped with {self.highs.modelStatusToString(status)!r}")

    def try_run(self) -> bool:
        """Solve; False when there is no optimum to be had."""
        self._ok(self.highs.run(), "the solver failed")
        return bool(self.highs.getModelStatus() == highspy.HighsModelStatus.kOptimal)

    def columns(self) -> Floats:
        """The solution."""
        return np.array(self.highs.getSolution().col_value)

    def reduced(self) -> Floats:
        """Of the columns: what one more would add; only after a linear program."""
        return np.array(self.highs.getSolution().col_dual)

    def duals(self) -> Floats:
        """Of the rows; only after a linear program."""
        return np.array(self.highs.getSolution().row_dual)

    def objective(self) -> float:
        """Value found."""
        return float(self.highs.getInfo().objective_function_value)

    def gap(self) -> float:
        """Relative gap of an integer program; 0 for a linear one."""
        return max(0.0, float(self.highs.getInfo().mip_gap)) if self.program.integer.any() else 0.0

    def restrict(self) -> None:
        """From now on the integer columns must be whole."""
        columns = np.flatnonzero(self.program.integer).astype(np.int32)
        if len(columns):
            kinds = np.full(len(columns), int(highspy.HighsVarType.kInteger), dtype=np.uint8)
            self.highs.changeColsIntegrality(len(columns), columns, kinds)

    def bounds(self, column: int, low: float, high: float) -> None:
        """Change the bounds of one column."""
        self.highs.changeColBounds(column, low, high)

    def costs(self, cost: Floats) -> None:
        """Change the objective."""
        self.highs.changeColsCost(len(cost), np.arange(len(cost), dtype=np.int32), cost)

    def row_low(self, row: int, low: float) -> None:
        """Change the lower bound of one row."""
        self.highs.changeRowBounds(row, low, INF)

    def _ok(self, status: highspy.HighsStatus, words: str) -> None:
        if status == highspy.HighsStatus.kError:
            raise SolverError(words)


def solver_of(program: Program, settings: Settings, gap: float) -> Solver:
    """A solver of a program under the caller's settings."""
    return Solver(program, threads=settings.solver_threads, time_limit_seconds=settings.time_limit_seconds, gap=gap)

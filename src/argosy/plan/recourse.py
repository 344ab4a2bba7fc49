"""Recourse: what one future costs under given contracts, and a dual that bounds every future from below.

One solver holds the second stage (the small form of it that `shrink` makes) and stays resident: a future changes only
bounds, so each solve starts from the last basis. The dual of one future is feasible for all others (the matrix and the
cost are the same), which is what `pool` uses. Called by `decompose`; knows nothing of the first stage but its columns.
"""

from __future__ import annotations

from dataclasses import dataclass

import highspy
import numpy as np

from argosy.errors import SolverError
from argosy.plan.basis import Basis
from argosy.plan.program import Floats
from argosy.plan.shrink import Shrunk
from argosy.plan.template import Template


@dataclass(frozen=True, slots=True)
class Answer:
    """One future solved exactly."""

    value: float
    """Cost of the second stage, without `future_cost`."""
    dual: Floats
    """(second-stage rows,)"""
    basis: Basis
    """Where a solve of a similar future may start."""
    columns: Floats | None = None
    """(second-stage columns,), where they were asked for."""


class Recourse:
    """A resident second-stage solver. Not shared between threads or processes."""

    def __init__(self, template: Template) -> None:
        self.small = small = Shrunk(template)
        self.rows = np.arange(small.rows, dtype=np.int32)
        self.moved = small.moved.astype(np.int32)
        self.lower = small.lower[small.moved]
        self.iterations = 0
        """Simplex iterations so far."""
        self.solver = highspy.Highs()
        self.solver.silent()
        for option, setting in (
            ("solver", "simplex"),
            ("presolve", "off"),
            ("threads", 1),
            ("simplex_dual_edge_weight_strategy", 1),
        ):
            self.solver.setOptionValue(option, setting)
        free = np.full(small.rows, np.inf)
        self.solver.passModel(
            small.columns, small.rows, len(small.matrix.value), 1, 1, 0.0,
            small.cost, small.lower, small.upper, -free, free,
            small.matrix.start[:-1], small.matrix.index, small.matrix.value,
            np.zeros(small.columns, dtype=np.int32),
        )  # fmt: skip

    def forget(self) -> None:
        """Let nothing of earlier solves play a part in the next one."""
        self.solver.clearSolver()

    def solve(self, s: int, first: Floats, start: Basis | None = None, *, columns: bool = False) -> Answer:
        """Scenario s at these first-stage columns, from a basis or from where the last solve ended.

        SolverError when the solver finds no optimum.
        """
        lower, upper, column_upper, closer = self.small.bounds(s, first)
        self.solver.changeRowsBounds(len(self.rows), self.rows, lower, upper)
        self.solver.changeColsBounds(len(self.moved), self.moved, self.lower, column_upper)
        # A basis of another program's small form may have another shape; the solve then starts from where it is.
        if start is not None and (start.columns, start.rows) == (self.small.columns, self.small.rows):
            self.solver.setBasis(start.highs)
        self.solver.run()
        status = self.solver.getModelStatus()
        if status != highspy.HighsModelStatus.kOptimal:
            self.solver.clearSolver()  # a basis that led astray is dropped once before giving up
            self.solver.run()
            status = self.solver.getModelStatus()
        if status != highspy.HighsModelStatus.kOptimal:
            raise SolverError(f"scenario {s} ended with {self.solver.modelStatusToString(status)!r}")
        answer, info = self.solver.getSolution(), self.solver.getInfo()
        self.iterations += info.simplex_iteration_count
        return Answer(
            info.objective_function_value,
            self.small.dual(np.array(answer.row_dual), closer),
            Basis(self.solver.getBasis(), self.small.columns, self.small.rows),
            self.small.whole(s, first, np.array(answer.col_value)) if columns else None,
        )

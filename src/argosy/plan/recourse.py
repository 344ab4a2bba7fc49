"""Recourse: what one future costs under given contracts, and a dual that bounds every future from below.

One solver holds the second stage and stays resident: a future changes only bounds, so each solve starts from the last
basis. The dual of one future is feasible for all others (the matrix and the cost are the same), which is what `pool`
uses. Called by `decompose`; knows nothing of the first stage but its columns.
"""

from __future__ import annotations

from dataclasses import dataclass

import highspy
import numpy as np

from argosy.errors import SolverError
from argosy.plan.program import Floats
from argosy.plan.template import Template


@dataclass(frozen=True, slots=True)
class Answer:
    """One future solved exactly."""

    value: float
    """Cost of the second stage, without `future_cost`."""
    columns: Floats
    """(second-stage columns,)"""
    dual: Floats
    """(second-stage rows,)"""


class Recourse:
    """A resident second-stage solver. Not shared between threads or processes."""

    def __init__(self, template: Template) -> None:
        self.template = template
        block = template.second
        self.rows = np.arange(len(block.row_lower), dtype=np.int32)
        names = ("use", "open", "backlog")
        self.columns = np.concatenate([block.columns.at(name).ravel() for name in names]).astype(np.int32)
        self.lower = block.column_lower[self.columns]
        self.solver = highspy.Highs()
        self.solver.silent()
        for option, value in (("solver", "simplex"), ("presolve", "off"), ("threads", 1)):
            self.solver.setOptionValue(option, value)
        size = block.columns.size
        self.solver.passModel(
            size, len(block.row_lower), len(block.matrix.value), 1, 1, 0.0,
            block.cost, block.column_lower, block.column_upper, block.row_lower, block.row_upper,
            block.matrix.start[:-1].astype(np.int32), block.matrix.index.astype(np.int32), block.matrix.value,
            np.zeros(size, dtype=np.int32),
        )  # fmt: skip

    def shift(self, s: int, first: Floats) -> Floats:
        """(rows,) what the first-stage columns contribute to each row in scenario s."""
        template = self.template
        entries = template.link_values(slice(s, s + 1))[0] * first[template.link_column]
        return np.bincount(template.link_row, weights=entries, minlength=len(self.rows)).astype(float)

    def solve(self, s: int, first: Floats) -> Answer:
        """Scenario s at these first-stage columns. SolverError when the solver finds no optimum."""
        lower, upper, column_upper = self.template.second_bounds(s)
        shift = self.shift(s, first)
        self.solver.changeRowsBounds(len(self.rows), self.rows, lower - shift, upper - shift)
        self.solver.changeColsBounds(len(self.columns), self.columns, self.lower, column_upper[self.columns])
        self.solver.run()
        status = self.solver.getModelStatus()
        if status != highspy.HighsModelStatus.kOptimal:
            self.solver.clearSolver()  # a basis that led astray is dropped once before giving up
            self.solver.run()
            status = self.solver.getModelStatus()
        if status != highspy.HighsModelStatus.kOptimal:
            raise SolverError(f"scenario {s} ended with {self.solver.modelStatusToString(status)!r}")
        answer = self.solver.getSolution()
        return Answer(
            self.solver.getInfo().objective_function_value, np.array(answer.col_value), np.array(answer.row_dual)
        )

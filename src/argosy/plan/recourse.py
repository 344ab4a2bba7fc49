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
from argosy.plan.program import Floats, Ints
from argosy.plan.sparse import Places
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
    basis: highspy.HighsBasis
    """Where a solve of a similar future may start."""


class Recourse:
    """A resident second-stage solver. Not shared between threads or processes."""

    def __init__(self, template: Template) -> None:
        self.template = template
        block = template.second
        periods = len(template.program.duration)
        self.height, self.width = len(block.row_lower) - periods, block.columns.size - periods
        self.rows = np.arange(self.height, dtype=np.int32)
        names = ("use", "open", "backlog")
        self.columns = np.concatenate([block.columns.at(name).ravel() for name in names]).astype(np.int32)
        self.lower = block.column_lower[self.columns]
        self.discount = template.program.discount
        start, index, value, self.cost, self.of_cost = self._without_costs()
        self.solver = highspy.Highs()
        self.solver.silent()
        for option, setting in (
            ("solver", "simplex"),
            ("presolve", "off"),
            ("threads", 1),
            ("simplex_dual_edge_weight_strategy", 1),
        ):
            self.solver.setOptionValue(option, setting)
        self.solver.passModel(
            self.width, self.height, len(value), 1, 1, 0.0,
            self.cost, block.column_lower[: self.width], block.column_upper[: self.width],
            block.row_lower[: self.height], block.row_upper[: self.height],
            start[:-1], index, value, np.zeros(self.width, dtype=np.int32),
        )  # fmt: skip

    def _without_costs(self) -> tuple[Places, Places, Floats, Floats, tuple[Ints, Ints, Floats]]:
        """The matrix and the cost with F4.CT put into the objective: its dense rows would slow every solve.

        F4.CT and its columns are the last ones of the block. Returns the column-wise matrix, the cost of its columns,
        and the entries of F4.CT as (period, column, value) to compute the costs of a solution.
        """
        matrix = self.template.second.matrix
        column = np.repeat(np.arange(self.width, dtype=np.int64), np.diff(matrix.start[: self.width + 1]))
        index, value = matrix.index[: len(column)], matrix.value[: len(column)]
        costly = index >= self.height
        period = index[costly].astype(np.int64) - self.height
        cost = np.bincount(column[costly], weights=-value[costly] * self.discount[period], minlength=self.width)
        start = np.zeros(self.width + 1, dtype=np.int32)
        np.cumsum(np.bincount(column[~costly], minlength=self.width), out=start[1:])
        return start, index[~costly], value[~costly], cost.astype(float), (period, column[costly], -value[costly])

    def shift(self, s: int, first: Floats) -> Floats:
        """(rows,) what the first-stage columns contribute to each row in scenario s."""
        template = self.template
        entries = template.links.values(slice(s, s + 1))[0] * first[template.links.column]
        return np.bincount(template.links.row, weights=entries, minlength=self.height).astype(float)

    def solve(self, s: int, first: Floats, start: highspy.HighsBasis | None = None) -> Answer:
        """Scenario s at these first-stage columns, from a basis or from where the last solve ended.

        SolverError when the solver finds no optimum.
        """
        lower, upper, column_upper = self.template.second_bounds(s)
        shift = self.shift(s, first)
        lower, upper = lower[: self.height] - shift, upper[: self.height] - shift
        self.solver.changeRowsBounds(self.height, self.rows, lower, upper)
        self.solver.changeColsBounds(len(self.columns), self.columns, self.lower, column_upper[self.columns])
        if start is not None:
            self.solver.setBasis(start)
        self.solver.run()
        status = self.solver.getModelStatus()
        if status != highspy.HighsModelStatus.kOptimal:
            self.solver.clearSolver()  # a basis that led astray is dropped once before giving up
            self.solver.run()
            status = self.solver.getModelStatus()
        if status != highspy.HighsModelStatus.kOptimal:
            raise SolverError(f"scenario {s} ended with {self.solver.modelStatusToString(status)!r}")
        answer = self.solver.getSolution()
        column = np.array(answer.col_value)
        period, of, price = self.of_cost
        costs = np.bincount(period, weights=price * column[of], minlength=len(self.discount))
        return Answer(
            self.solver.getInfo().objective_function_value,
            np.concatenate([column, costs]),
            np.concatenate([np.array(answer.row_dual), self.discount]),
            self.solver.getBasis(),
        )

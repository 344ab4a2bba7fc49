"""Master: the first stage with cuts in place of the futures (F7).

Columns: the first stage, one `theta` per group of futures (their mean cost) and `rho` (the tail). A cut bounds theta or
rho from below by a linear function of the first stage. The linear program stays resident; rows are only added.
"""

from __future__ import annotations

import highspy
import numpy as np

from argosy.errors import SolverError
from argosy.plan.program import Floats, Ints
from argosy.plan.risk import tail_weights
from argosy.plan.template import Template

LOWEST = -1e9
"""Bound of theta and rho before the first cut, scaled."""


class Master:
    """First-stage program with cuts."""

    def __init__(self, template: Template, group_of: Ints) -> None:
        self.template, self.group_of = template, group_of
        self.program = template.program
        first = template.first
        self.groups = int(group_of.max()) + 1
        self.width = first.columns.size
        self.integers = np.flatnonzero(first.integer).astype(np.int32)
        self.tight = self.program.risk_aversion > 0
        lam = self.program.risk_aversion
        cost = first.cost.copy()
        eta = first.columns.part("eta")
        cost[eta] = 0.0
        lower, upper = first.column_lower.copy(), first.column_upper.copy()
        lower[eta] = upper[eta] = 0.0
        extra = self.groups + 1
        self.solver = highspy.Highs()
        self.solver.silent()
        self.solver.setOptionValue("threads", 1)
        ends = np.full(extra, first.matrix.start[-1])
        self.solver.passModel(
            self.width + extra, len(first.row_lower), len(first.matrix.value), 1, 1, 0.0,
            np.concatenate([cost, np.full(self.groups, 1 - lam), [lam]]),
            np.concatenate([lower, np.full(self.groups, LOWEST), [LOWEST if self.tight else 0.0]]),
            np.concatenate([upper, np.full(extra, np.inf)]),
            first.row_lower, first.row_upper,
            np.concatenate([first.matrix.start[:-1], ends]).astype(np.int32), first.matrix.index.astype(np.int32),
            first.matrix.value, np.zeros(self.width + extra, dtype=np.int32),
        )  # fmt: skip
        self.lower, self.upper = lower, upper
        self.cost = cost
        self.objective = -np.inf
        self.first = np.zeros(self.width)
        self.theta = np.full(self.groups, LOWEST)
        self.rho = LOWEST
        self.cuts = 0

    def solve(self) -> bool:
        """The linear program; False when it is infeasible."""
        self.solver.run()
        status = self.solver.getModelStatus()
        if status == highspy.HighsModelStatus.kInfeasible:
            return False
        if status != highspy.HighsModelStatus.kOptimal:
            self.solver.clearSolver()
            self.solver.run()
            status = self.solver.getModelStatus()
        if status in (highspy.HighsModelStatus.kInfeasible, highspy.HighsModelStatus.kUnboundedOrInfeasible):
            return False
        if status != highspy.HighsModelStatus.kOptimal:
            raise SolverError(f"the master ended with {self.solver.modelStatusToString(status)!r}")
        self._read()
        return True

    def _read(self) -> None:
        value = np.array(self.solver.getSolution().col_value)
        self.first = value[: self.width]
        self.theta, self.rho = value[self.width : -1], float(value[-1])
        self.objective = self.solver.getInfo().objective_function_value

    def branch(self, gap: float, seconds: float) -> tuple[Floats, float] | None:
        """Integers and a lower bound of the program with integers; None when it has no answer in time."""
        count = len(self.integers)
        self.solver.changeColsIntegrality(count, self.integers, np.ones(count, dtype=np.uint8))
        self.solver.setOptionValue("mip_rel_gap", gap)
        self.solver.setOptionValue("time_limit", seconds)
        try:
            self.solver.run()
            info = self.solver.getInfo()
            if info.primal_solution_status != highspy.SolutionStatus.kSolutionStatusFeasible:
                return None
            value = np.array(self.solver.getSolution().col_value)[self.integers]
            return np.round(value), float(info.mip_dual_bound)
        finally:
            self.solver.changeColsIntegrality(count, self.integers, np.zeros(count, dtype=np.uint8))
            self.solver.setOptionValue("time_limit", highspy.kHighsInf)

    def fix(self, integers: Floats | None) -> None:
        """Fix the integers, or free them with None."""
        lower = self.lower[self.integers] if integers is None else integers
        upper = self.upper[self.integers] if integers is None else integers
        self.solver.changeColsBounds(len(self.integers), self.integers, lower, upper)

    def add(self, columns: Ints, constant: Floats, slope: Floats, first: Floats, tolerance: float) -> int:
        """Add the cuts of all futures, (S,) and (S, linking columns), that the point `first` violates."""
        program = self.program
        cost = constant + slope @ first[columns]
        added = 0
        mean = np.zeros((self.groups, len(columns)))
        np.add.at(mean, self.group_of, program.probability[:, None] * slope)
        right = np.bincount(self.group_of, weights=program.probability * constant, minlength=self.groups)
        value = np.bincount(self.group_of, weights=program.probability * cost, minlength=self.groups)
        for g in np.flatnonzero(value > self._theta_at(first) + tolerance):
            self._row(columns, mean[g], self.width + int(g), float(right[g]))
            added += 1
        if self.tight:
            weight = tail_weights(program.probability, cost, program.tail)
            if weight @ cost > self._rho_at(first) + tolerance * self.groups:
                self._row(columns, weight @ slope, self.width + self.groups, float(weight @ constant))
                added += 1
        self.cuts += added
        return added

    def _theta_at(self, first: Floats) -> Floats:
        return self.theta if first is self.first else np.full(self.groups, -np.inf)

    def _rho_at(self, first: Floats) -> float:
        return self.rho if first is self.first else -np.inf

    def _row(self, columns: Ints, slope: Floats, column: int, right: float) -> None:
        keep = np.abs(slope) > 1e-12
        index = np.append(columns[keep], column).astype(np.int32)
        value = np.append(-slope[keep], 1.0)
        self.solver.addRow(right, highspy.kHighsInf, len(index), index, value)

    def reduced(self) -> Floats:
        """Cost of one more unit of each first-stage column, with rows F4.A1 to F4.A3 left out."""
        rows = self.template.first.rows
        dual = np.array(self.solver.getSolution().row_dual)
        direct = np.array(self.solver.getSolution().col_dual)[: self.width]
        matrix = self.template.first.matrix
        column = np.repeat(np.arange(self.width), np.diff(matrix.start))
        out = direct.copy()
        for rule in ("F4.A1", "F4.A2", "F4.A3"):
            part = rows.part(rule)
            inside = (matrix.index >= part.start) & (matrix.index < part.stop)
            out += np.bincount(
                column[inside], weights=matrix.value[inside] * dual[matrix.index[inside]], minlength=self.width
            )
        return out

    def first_dual(self) -> Floats:
        """Duals of the first-stage rows."""
        return np.array(self.solver.getSolution().row_dual)[: len(self.template.first.row_lower)]

"""Master: the first stage with cuts in place of the futures (F7).

Columns: the first stage, one `theta` per group of futures (their mean cost) and `rho` (the tail). A cut bounds theta or
rho from below by a linear function of the first stage. The linear program stays resident; rows are only added, and a
box around a point or fixed integers are bounds that can be taken back.
"""

from __future__ import annotations

from dataclasses import dataclass

import highspy
import numpy as np

from argosy.errors import SolverError
from argosy.plan.program import EXERCISE, Floats, Ints
from argosy.plan.risk import tail_weights
from argosy.plan.template import Template


@dataclass(frozen=True, slots=True)
class Cuts:
    """One linear bound of each future's cost from below."""

    columns: Ints
    """First-stage columns that the slopes count."""
    constant: Floats
    """(S,)"""
    slope: Floats
    """(S, columns)"""
    duals: tuple[Floats, ...]
    """The second-stage dual behind each."""


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
        """First-stage bounds without boxes and fixed integers."""
        self.held_lower, self.held_upper = lower.copy(), upper.copy()
        """The same with fixed integers."""
        self.reach = _reach(template)
        self.boxed = np.flatnonzero(np.isfinite(self.reach)).astype(np.int32)
        self.cost = cost
        self.objective = -np.inf
        self.first = np.zeros(self.width)
        self.theta = np.full(self.groups, LOWEST)
        self.rho = LOWEST
        self.cuts = 0
        self.support: list[tuple[Floats, tuple[Floats, ...]]] = []
        """For each cut: the weight of every future in it, and the dual of each future with weight, in order."""

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

    def change(self, cost: Floats, lower: Floats, upper: Floats) -> None:
        """Other costs and bounds of the first stage. Cuts do not know them, so all cuts stay (F7.7)."""
        every = np.arange(self.width, dtype=np.int32)
        self.cost, self.lower, self.upper = cost, lower, upper
        self.held_lower, self.held_upper = lower.copy(), upper.copy()
        self.solver.changeColsCost(self.width, every, cost)
        self.solver.changeColsBounds(self.width, every, lower, upper)

    def recost(self, column: int, cost: float) -> None:
        """Another cost of one first-stage column."""
        self.cost = self.cost.copy()
        self.cost[column] = cost
        self.solver.changeColCost(column, cost)

    def weigh(self, risk_aversion: float) -> None:
        """Another lambda of F5. Cuts of theta and rho hold for every lambda; only their costs change (F7.7)."""
        extra = np.arange(self.width, self.width + self.groups + 1, dtype=np.int32)
        cost = np.append(np.full(self.groups, 1 - risk_aversion), risk_aversion)
        self.solver.changeColsCost(len(extra), extra, cost)

    def hold(self, lower: Floats, upper: Floats) -> None:
        """Bounds of the integers until further notice; takes away any box."""
        self.held_lower[self.integers], self.held_upper[self.integers] = lower, upper
        self.solver.changeColsBounds(len(self.integers), self.integers, lower, upper)
        self.near(None, 1.0)

    def fix(self, integers: Floats | None) -> None:
        """Fix the integers, or free them with None."""
        if integers is None:
            self.hold(self.lower[self.integers], self.upper[self.integers])
        else:
            self.hold(integers, integers)

    def near(self, centre: Floats | None, radius: float) -> None:
        """F7.5: keep the columns that cuts count within a share of their reach around a point; None takes it away."""
        lower, upper = self.held_lower[self.boxed], self.held_upper[self.boxed]
        if centre is not None:
            most = radius * self.reach[self.boxed]
            middle = np.clip(centre[self.boxed], lower, upper)
            lower, upper = np.maximum(lower, middle - most), np.minimum(upper, middle + most)
        self.solver.changeColsBounds(len(self.boxed), self.boxed, lower, upper)

    def add(self, cuts: Cuts, first: Floats, tolerance: float) -> int:
        """Add the mean of each group and the tail of the futures' cuts, where the master's own point violates them.

        At any other point than the master's own all are added.
        """
        program, own = self.program, first is self.first
        cost = cuts.constant + np.einsum("sn,n->s", cuts.slope, first[cuts.columns])
        value = np.bincount(self.group_of, weights=program.probability * cost, minlength=self.groups)
        added = 0
        for g in range(self.groups):
            if not own or value[g] > self.theta[g] + tolerance:
                self._row(cuts, np.where(self.group_of == g, program.probability, 0.0), self.width + g)
                added += 1
        if self.tight:
            weight = tail_weights(program.probability, cost, program.tail)
            if not own or weight @ cost > self.rho + tolerance * self.groups:
                self._row(cuts, weight, self.width + self.groups)
                added += 1
        self.cuts += added
        return added

    def _row(self, cuts: Cuts, weight: Floats, column: int) -> None:
        futures = np.flatnonzero(weight)
        slope = np.einsum("s,sn->n", weight[futures], cuts.slope[futures])
        keep = np.abs(slope) > 1e-12
        index = np.append(cuts.columns[keep], column).astype(np.int32)
        value = np.append(-slope[keep], 1.0)
        right = float(weight[futures] @ cuts.constant[futures])
        self.solver.addRow(right, highspy.kHighsInf, len(index), index, value)
        self.support.append((weight, tuple(cuts.duals[s] for s in futures)))

    def second_dual(self) -> tuple[Floats, Floats]:
        """(S, rows) duals of the second stage and (S,) weights of the futures, as the cuts in force combine them."""
        first_rows = len(self.template.first.row_lower)
        price = np.array(self.solver.getSolution().row_dual)[first_rows:]
        scenarios = self.program.shape["S"]
        dual = np.zeros((scenarios, len(self.template.second.row_lower)))
        total = np.zeros(scenarios)
        for i in np.flatnonzero(np.abs(price) > 1e-12).tolist():
            weight, duals = self.support[i]
            for s, one in zip(np.flatnonzero(weight).tolist(), duals, strict=True):
                dual[s] += price[i] * weight[s] * one
                total[s] += price[i] * weight[s]
        return dual, total

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


def _reach(template: Template) -> Floats:
    """(first-stage columns,) how far a column that cuts count can move; inf for those that need no box."""
    p, columns = template.program, template.first.columns
    reach = np.full(columns.size, np.inf)
    counted = np.zeros(columns.size, dtype=bool)
    counted[template.links.column] = True
    counted |= np.abs(template.future_cost).max(axis=0) > 0
    share = np.where(p.later_action == EXERCISE, p.option_share[p.later_row], 1.0)
    for name, most in (
        ("size", p.size_max), ("later", p.size_max[p.later_row] * share), ("prepay", p.prepay_max * p.size_max),
        ("port", np.array(1.0)), ("replica", np.array(1.0)), ("power", p.site_max),
    ):  # fmt: skip
        reach[columns.part(name)] = most
    return np.where(counted & (reach > 0), reach, np.inf)

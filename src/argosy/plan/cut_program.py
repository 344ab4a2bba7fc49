"""Cut program: the first stage with cuts in place of the futures, asked one question after the other (Q10, Q11).

`front` and `near_optimal` call it. The cuts are those of a solve that is over: a dual bounds its future whatever is
asked of the first stage (F7.1), so every minimum found here is a lower bound of the true one. It solves no future.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import highspy
import numpy as np

from argosy.errors import SolverError
from argosy.plan.pool import Pool
from argosy.plan.program import SIGN, Floats, Ints, Program
from argosy.plan.risk import tail_weights
from argosy.plan.template import Template

LOWEST = -1e9
"""Bound of the columns that stand for futures before their first cut, scaled."""
GROUPS = 128
"""Most groups of futures with a column of their own."""
ROUNDS = 60
"""Most rounds of cuts for one question; more would not change the bound by much."""
BRANCH_GAP, BRANCH_NODES, BRANCH_ROUNDS = 5e-4, 40, 2
"""How near, how long and how often branch and bound looks for integers."""
EMERGENCY_SECONDS = 600.0
"""Branch and bound is cut off then whatever it is at; the nodes end it long before."""
TOLERANCE = 1e-7
"""Violation, as a share of the value, from which a cut is added."""


@dataclass(frozen=True, slots=True)
class Minimum:
    """The least value of a question over all that the cuts allow."""

    bound: float
    """No plan has less."""
    first: Floats
    """First-stage columns at which the cuts reach it."""


@dataclass(frozen=True, slots=True)
class PricedPool:
    """Cuts on the cost of a future plus a price times its carbon."""

    price: float
    """Scaled present value of one scaled tonne; 0 is cost alone."""
    pool: Pool


class CutProgram:
    """Columns: the first stage, the cost of each group of futures, the tail, and the carbon of each group."""

    def __init__(self, template: Template, pools: Sequence[PricedPool], *, tonne_scale: float = 1.0) -> None:
        """`tonne_scale` tonnes are one unit of the columns of carbon, so that numbers lie near 1."""
        self.template, self.program, self.pools = template, template.program, tuple(pools)
        self.tonne_scale = tonne_scale
        first = template.first
        self.group_of = _groups(template.program)
        self.groups = int(self.group_of.max()) + 1
        self.width = first.columns.size
        self.integers = np.flatnonzero(first.integer).astype(np.int32)
        lower, upper = first.column_lower.copy(), first.column_upper.copy()
        eta = first.columns.part("eta")
        lower[eta] = upper[eta] = 0.0
        self.lower, self.upper = lower, upper
        self.own_lower, self.own_upper = lower, upper
        self.size = self.width + 2 * self.groups + 1
        extra = self.size - self.width
        none, ends = np.zeros(self.groups), np.full(extra, first.matrix.start[-1])
        self.solver = highspy.Highs()
        self.solver.silent()
        self.solver.setOptionValue("threads", 1)
        self.solver.passModel(
            self.size, len(first.row_lower), len(first.matrix.value), 1, 1, 0.0, np.zeros(self.size),
            np.concatenate([lower, np.full(self.groups, LOWEST), [LOWEST], none]),
            np.concatenate([upper, np.full(extra, np.inf)]), first.row_lower, first.row_upper,
            np.concatenate([first.matrix.start[:-1], ends]).astype(np.int32), first.matrix.index.astype(np.int32),
            first.matrix.value, np.zeros(self.size, dtype=np.int32),
        )  # fmt: skip
        self.rows = len(first.row_lower)
        self.all = np.arange(self.size, dtype=np.int32)
        self.fixed: Floats | None = None

    # ---- what can be asked for: coefficients of all columns

    @property
    def expected(self) -> Floats:
        """Mean cost: F and the cost of every group."""
        return np.concatenate([self._own_cost(), np.ones(self.groups), [0.0], np.zeros(self.groups)])

    @property
    def tail(self) -> Floats:
        """Mean cost of the costliest futures."""
        return np.concatenate([self._own_cost(), np.zeros(self.groups), [1.0], np.zeros(self.groups)])

    @property
    def objective(self) -> Floats:
        """F5: mean and tail by the plan's own risk aversion."""
        aversion = self.program.risk_aversion
        return (1 - aversion) * self.expected + aversion * self.tail

    @property
    def carbon(self) -> Floats:
        """Mean emissions in `tonne_scale`: those of making own systems and those of every group."""
        own = self.of_sizes(self.program.embodied.sum(axis=1) / self.tonne_scale)
        own[self.width + self.groups + 1 :] = 1.0
        return own

    def of_sizes(self, per_size: Floats) -> Floats:
        """An amount per unit of size (K,), now and at its mean where it is signed later."""
        program, columns = self.program, self.template.first.columns
        out = np.zeros(self.size)
        out[columns.part("size")] = per_size
        signs = np.flatnonzero(program.later_action == SIGN)
        chance = program.probability @ program.later_member
        out[columns.at("later")[signs]] = per_size[program.later_row[signs]] * chance[signs]
        return out

    def _own_cost(self) -> Floats:
        cost = self.template.first.cost.copy()
        cost[self.template.first.columns.part("eta")] = 0.0
        return cost

    # ---- limits

    def limit(self, coefficients: Floats, upper: float) -> int:
        """Keep an amount at or below a value; the row's place, for `tighten`."""
        index = np.flatnonzero(coefficients).astype(np.int32)
        self.solver.addRow(-highspy.kHighsInf, upper, len(index), index, coefficients[index])
        self.rows += 1
        return self.rows - 1

    def tighten(self, row: int, upper: float) -> None:
        """Another value for a limit."""
        self.solver.changeRowBounds(row, -highspy.kHighsInf, upper)

    def rewrite(self, row: int, coefficients: Floats, columns: Ints) -> None:
        """Other coefficients for a limit, at the columns that may differ."""
        for column in columns.tolist():
            self.solver.changeCoeff(row, column, float(coefficients[column]))

    def dual(self, row: int) -> float:
        """What one unit more of a limit takes off the minimum of the last relaxed question; at least 0."""
        return max(0.0, -float(np.array(self.solver.getSolution().row_dual)[row]))

    def close(self, columns: Ints) -> None:
        """Fix columns of the first stage at 0, until `reopen`."""
        self.lower, self.upper = self.lower.copy(), self.upper.copy()
        self.lower[columns] = self.upper[columns] = 0.0
        self.solver.changeColsBounds(len(columns), columns.astype(np.int32), *(np.zeros(len(columns)),) * 2)

    def reopen(self) -> None:
        """Give all columns of the first stage their own bounds back."""
        self.lower, self.upper = self.own_lower, self.own_upper
        at = np.arange(self.width, dtype=np.int32)
        self.solver.changeColsBounds(self.width, at, self.lower, self.upper)

    def know(self, first: Floats) -> None:
        """Cut at a point, whatever the program proposes there."""
        value = np.full(self.size, LOWEST)
        value[: self.width] = first
        self.cut(value, all_of_them=True)

    def fix(self, integers: Floats | None) -> None:
        """Fix the integers, or free them with None."""
        self.fixed = integers
        low = self.lower[self.integers] if integers is None else integers
        high = self.upper[self.integers] if integers is None else integers
        self.solver.changeColsBounds(len(self.integers), self.integers, low, high)

    # ---- questions

    def relaxed(self, wanted: Floats) -> Minimum | None:
        """The least of an amount with integers relaxed, or as they are fixed; None when nothing keeps the limits."""
        self.solver.changeColsCost(self.size, self.all, wanted)
        for _ in range(ROUNDS):
            if not self._linear():
                return None
            value = np.array(self.solver.getSolution().col_value)
            bound = float(self.solver.getInfo().objective_function_value)
            if not self.cut(value):
                break
        return Minimum(bound, value[: self.width])

    def branched(self, wanted: Floats, *, gap: float = BRANCH_GAP, nodes: int = BRANCH_NODES) -> Minimum | None:
        """The same with integers, within a gap; None when no integers keep the limits, or none within the nodes.

        The effort is counted in nodes and not in seconds, so that the same question has the same answer.
        """
        relaxed = self.relaxed(wanted)
        free = self.lower[self.integers] < self.upper[self.integers]
        if relaxed is None or not free.any() or self.fixed is not None:
            return relaxed
        count, bound, first = len(self.integers), relaxed.bound, None
        self.solver.changeColsIntegrality(count, self.integers, np.ones(count, dtype=np.uint8))
        self.solver.setOptionValue("mip_rel_gap", gap)
        self.solver.setOptionValue("mip_max_nodes", nodes)
        self.solver.setOptionValue("time_limit", self.solver.getRunTime() + EMERGENCY_SECONDS)
        try:
            for _ in range(BRANCH_ROUNDS):
                self.solver.run()
                info = self.solver.getInfo()
                if info.primal_solution_status != highspy.SolutionStatus.kSolutionStatusFeasible:
                    break
                value = np.array(self.solver.getSolution().col_value)
                if np.isfinite(info.mip_dual_bound):
                    bound = max(bound, float(info.mip_dual_bound))
                first = value[: self.width]
                first[self.integers] = first[self.integers].round()
                if not self.cut(value):
                    break
        finally:
            self.solver.changeColsIntegrality(count, self.integers, np.zeros(count, dtype=np.uint8))
            self.solver.setOptionValue("time_limit", highspy.kHighsInf)
        return None if first is None else Minimum(bound, first)

    def cut(self, value: Floats, *, all_of_them: bool = False) -> int:
        """Add what the kept duals say at a point and the program does not know yet; the number of rows added."""
        program, first = self.program, value[: self.width]
        theta = value[self.width : self.width + self.groups]
        kappa = value[self.width + self.groups + 1 :]
        added = 0
        for priced in self.pools:
            if not len(priced.pool):
                continue
            cost, which = priced.pool.best(first)
            mean = np.bincount(self.group_of, weights=program.probability * cost, minlength=self.groups)
            low = theta + priced.price * self.tonne_scale * kappa
            room = TOLERANCE * np.maximum(1.0, np.abs(mean))
            wanted = np.flatnonzero((mean > low + room) | all_of_them)
            weight = tail_weights(program.probability, cost, program.tail)
            tail = weight @ cost
            high = priced.price == 0 and (all_of_them or tail > value[self.width + self.groups] + TOLERANCE * abs(tail))
            if not len(wanted) and not high:
                continue
            chosen = priced.pool.chosen(which)
            for g in wanted.tolist():
                share = np.where(self.group_of == g, program.probability, 0.0)
                others = [(self.width + g, 1.0)]
                if priced.price > 0:
                    others.append((self.width + self.groups + 1 + g, priced.price * self.tonne_scale))
                self._row(float(share @ chosen.constant), share @ chosen.slope, chosen.columns, others)
            if high:
                at = [(self.width + self.groups, 1.0)]
                self._row(float(weight @ chosen.constant), weight @ chosen.slope, chosen.columns, at)
            added += len(wanted) + int(high)
        return added

    def _row(self, constant: float, slope: Floats, columns: Ints, others: list[tuple[int, float]]) -> None:
        keep = np.abs(slope) > 1e-12
        index = np.concatenate([columns[keep], [c for c, _ in others]]).astype(np.int32)
        value = np.concatenate([-slope[keep], [v for _, v in others]])
        self.solver.addRow(constant, highspy.kHighsInf, len(index), index, value)
        self.rows += 1

    def _linear(self) -> bool:
        """Whether the linear program has an optimum; False when nothing keeps the limits."""
        infeasible = (highspy.HighsModelStatus.kInfeasible, highspy.HighsModelStatus.kUnboundedOrInfeasible)
        for _ in range(2):
            self.solver.run()
            status = self.solver.getModelStatus()
            if status == highspy.HighsModelStatus.kOptimal:
                return True
            if status == highspy.HighsModelStatus.kInfeasible:
                return False
            self.solver.clearSolver()  # a basis that led astray is dropped once before giving up
        if status in infeasible:
            return False
        raise SolverError(f"the cut program ended with {self.solver.modelStatusToString(status)!r}")


def _groups(program: Program) -> Ints:
    """(S,) group of each future: its own where they are few, else neighbours in demand together."""
    scenarios = program.shape["S"]
    if scenarios <= GROUPS:
        return np.arange(scenarios)
    group = np.empty(scenarios, dtype=np.int64)
    group[np.argsort(program.demand.sum(axis=(1, 2)), kind="stable")] = np.arange(scenarios) * GROUPS // scenarios
    return group

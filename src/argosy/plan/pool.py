"""Pool: duals of solved futures, as lower bounds on the cost of every future (F7).

A dual pi of the second stage bounds scenario s at first-stage columns x from below by

    F7.1  b(pi, s) + g(pi, s) x,   g(pi, s) = future_cost_s - T_s' pi,
          b(pi, s) = sum over rows of pi times the row's bound + sum over columns of min(0, q - W' pi) times its bound

because W and q are the same in every future. Columns without a bound must have a reduced cost of at least 0; what the
solver's tolerance leaves below 0 is charged at a generous bound, so that the result stays a bound.
"""

from __future__ import annotations

import highspy
import numpy as np

from argosy.plan.benders_master import Cuts
from argosy.plan.program import Floats, Ints
from argosy.plan.template import Template

GENEROUS = 1e3
"""Upper bound, scaled, charged to unbounded columns for the tolerance of the solver."""


class Pool:
    """Cuts of every kept dual for every scenario. Slopes are kept for the first-stage columns that link only."""

    def __init__(self, template: Template) -> None:
        self.template = template
        block, program = template.second, template.program
        self.scenarios = program.shape["S"]
        linked = np.unique(template.links.column)
        costly = np.flatnonzero(np.abs(template.future_cost).max(axis=0) > 0)
        self.columns: Ints = np.union1d(linked, costly)
        self.future = template.future_cost[:, self.columns]
        self.values = template.links.values(slice(0, self.scenarios))
        self.where = np.searchsorted(self.columns, template.links.column)
        self.group_start = np.flatnonzero(np.r_[True, np.diff(self.where) > 0]) if len(self.where) else self.where
        self.group = self.where[self.group_start] if len(self.where) else self.where
        self.demand = program.demand.reshape(self.scenarios, -1)
        self.stock = program.stock.reshape(self.scenarios, -1)
        names = ("use", "open", "backlog")
        self.random = np.concatenate([block.columns.at(name).ravel() for name in names])
        upper = np.array([template.second_bounds(s)[2][self.random] for s in range(self.scenarios)])
        self.unbounded = np.isinf(upper)
        self.upper = np.where(self.unbounded, 0.0, upper)
        self.column_of = np.repeat(np.arange(block.columns.size), np.diff(block.matrix.start))
        fixed = np.ones(block.columns.size, dtype=bool)
        fixed[self.random] = False
        self.fixed = np.flatnonzero(fixed)
        free = np.isinf(block.column_lower)
        self.free = np.flatnonzero(free)
        self.constant: list[Floats] = []
        self.slope: list[Floats] = []
        self.bases: list[highspy.HighsBasis] = []
        self.duals: list[Floats] = []

    def __len__(self) -> int:
        return len(self.constant)

    def _cut(self, dual: Floats, some: slice) -> tuple[Floats, Floats]:
        block = self.template.second
        matrix, rows = block.matrix, block.rows
        reduced = block.cost - np.bincount(
            self.column_of, weights=matrix.value * dual[matrix.index], minlength=block.columns.size
        )
        lower, upper = block.row_lower.copy(), block.row_upper.copy()
        for rule in ("F4.D", "F4.P"):
            lower[rows.part(rule)] = upper[rows.part(rule)] = 0.0
        bound = np.where(dual > 0, lower, upper)
        usable = np.isfinite(bound)
        constant = float((dual[usable] * bound[usable]).sum()) - GENEROUS * float(np.abs(dual[~usable]).sum())
        constant -= GENEROUS * float(np.abs(reduced[self.free]).sum())
        negative = np.minimum(0.0, reduced)
        fixed_upper = block.column_upper[self.fixed]
        infinite = np.isinf(fixed_upper)
        bounded = np.setdiff1d(self.fixed[infinite], self.free, assume_unique=True)
        constant += GENEROUS * float(negative[bounded].sum())
        constant += float((negative[self.fixed[~infinite]] * fixed_upper[~infinite]).sum())
        random = negative[self.random]
        per_scenario = (
            constant
            + self.demand[some] @ dual[rows.part("F4.D")]
            + self.stock[some] @ np.minimum(0.0, dual[rows.part("F4.P")])
        )
        per_scenario = per_scenario + self.upper[some] @ random + GENEROUS * (self.unbounded[some] @ random)
        slope = self.future[some].copy()
        if len(self.where):
            weighted = self.values[some] * dual[self.template.links.row]
            slope[:, self.group] -= np.add.reduceat(weighted, self.group_start, axis=1)
        return per_scenario, slope

    def cut(self, dual: Floats) -> tuple[Floats, Floats]:
        """F7.1 for every scenario: constants (S,) and slopes (S, linking columns)."""
        return self._cut(dual, slice(0, self.scenarios))

    def add(self, dual: Floats, basis: highspy.HighsBasis) -> None:
        """Keep the cuts of a dual, and the basis that it belongs to."""
        self.bases.append(basis)
        self.duals.append(dual)
        constant, slope = self.cut(dual)
        self.constant.append(constant)
        self.slope.append(slope)

    def best(self, first: Floats) -> tuple[Floats, Ints]:
        """Largest bound of each scenario at first-stage columns, and the dual that gives it: (S,), (S,)."""
        x = first[self.columns]
        values = np.array([constant + slope @ x for constant, slope in zip(self.constant, self.slope, strict=True)])
        which = values.argmax(axis=0)
        return values[which, np.arange(self.scenarios)], which

    def chosen(self, which: Ints) -> Cuts:
        """The cuts of one dual per scenario."""
        pairs = list(zip(which.tolist(), range(self.scenarios), strict=True))
        return Cuts(
            self.columns,
            np.array([self.constant[i][s] for i, s in pairs]),
            np.array([self.slope[i][s] for i, s in pairs]),
            tuple(self.duals[i] for i, _ in pairs),
        )

    def own(self, duals: list[Floats]) -> Cuts:
        """The cuts of each scenario's own dual, which need not be in the pool."""
        pairs = [self._cut(dual, slice(s, s + 1)) for s, dual in enumerate(duals)]
        constant, slope = np.concatenate([c for c, _ in pairs]), np.concatenate([g for _, g in pairs])
        return Cuts(self.columns, constant, slope, tuple(duals))

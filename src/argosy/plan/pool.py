"""Pool: duals of solved futures, as lower bounds on the cost of every future (F7).

A dual pi of the second stage bounds scenario s at first-stage columns x from below by

    F7.1  b(pi, s) + g(pi, s) x,   g(pi, s) = future_cost_s - T_s' pi,
          b(pi, s) = sum over rows of pi times the row's bound + sum over columns of min(0, q - W' pi) times its bound

because W and q are the same in every future. Columns without a bound must have a reduced cost of at least 0; what the
solver's tolerance leaves below 0 is charged at a generous bound, so that the result stays a bound.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from argosy.plan.basis import Basis
from argosy.plan.benders_master import Cuts
from argosy.plan.program import Floats, Ints
from argosy.plan.template import Template

SLIM = 256
"""Over more futures than this the duals behind cuts, from which prices are read, are held with seven digits: every pass
leaves one for each future. The cuts themselves are made before that."""
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
        where = np.searchsorted(self.columns, template.links.column)
        starts = np.flatnonzero(np.r_[True, np.diff(where) > 0]) if len(where) else where
        ends = np.append(starts[1:], len(where))[: len(starts)]  # nothing links where no contract is offered
        self.parts = [(int(where[i]), slice(int(i), int(j))) for i, j in zip(starts, ends, strict=True)]
        """For each linking column: its position in `columns`, and its entries among the links."""
        self.demand = program.demand.reshape(self.scenarios, -1)
        self.stock = program.stock.reshape(self.scenarios, -1)
        names = ("use", "open", "backlog")
        self.random = np.concatenate([block.columns.at(name).ravel() for name in names])
        upper = np.array([template.second_bounds(s)[2][self.random] for s in range(self.scenarios)])
        self.upper = np.where(np.isinf(upper), GENEROUS, upper)
        self.column_of = np.repeat(np.arange(block.columns.size), np.diff(block.matrix.start))
        fixed = np.ones(block.columns.size, dtype=bool)
        fixed[self.random] = False
        self.free = np.flatnonzero(np.isinf(block.column_lower))
        fixed[self.free] = False
        self.fixed = np.flatnonzero(fixed)
        most = block.column_upper[self.fixed]
        self.fixed_upper = np.where(np.isinf(most), GENEROUS, most)
        self.row_lower, self.row_upper = block.row_lower.copy(), block.row_upper.copy()
        for rule in ("F4.D", "F4.P"):
            self.row_lower[block.rows.part(rule)] = self.row_upper[block.rows.part(rule)] = 0.0
        self.constant: list[Floats] = []
        self.slope: list[Floats] = []
        self.bases: list[Basis] = []
        self.duals: list[Floats] = []

    def __len__(self) -> int:
        return len(self.constant)

    def _constants(self, dual: Floats, some: slice) -> Floats:
        """b of F7.1 for some scenarios."""
        block = self.template.second
        matrix, rows = block.matrix, block.rows
        reduced = block.cost - np.bincount(
            self.column_of, weights=matrix.value * dual[matrix.index], minlength=block.columns.size
        )
        bound = np.where(dual > 0, self.row_lower, self.row_upper)
        usable = np.isfinite(bound)
        constant = float((dual[usable] * bound[usable]).sum()) - GENEROUS * float(np.abs(dual[~usable]).sum())
        constant -= GENEROUS * float(np.abs(reduced[self.free]).sum())
        negative = np.minimum(0.0, reduced)
        constant += float((negative[self.fixed] * self.fixed_upper).sum())
        random = np.flatnonzero(negative[self.random])
        of_demand = _times(self.demand[some], dual[rows.part("F4.D")])
        of_stock = _times(self.stock[some], np.minimum(0.0, dual[rows.part("F4.P")]))
        of_bounds = _times(self.upper[some][:, random], negative[self.random[random]])
        return constant + of_demand + of_stock + of_bounds

    def _slopes(self, duals: Floats, some: slice) -> Floats:
        """(duals, scenarios, linking columns) g of F7.1."""
        slope = np.repeat(self.future[some][None], len(duals), axis=0)
        row, values = self.template.links.row, self.values[some]
        for column, part in self.parts:
            slope[:, :, column] -= np.einsum("dn,sn->ds", duals[:, row[part]], values[:, part])
        return slope

    def cut(self, dual: Floats) -> tuple[Floats, Floats]:
        """F7.1 for every scenario: constants (S,) and slopes (S, linking columns)."""
        everyone = slice(0, self.scenarios)
        return self._constants(dual, everyone), self._slopes(dual[None], everyone)[0]

    def add(self, dual: Floats, basis: Basis) -> None:
        """Keep the cuts of a dual, and the basis that it belongs to."""
        self.extend([dual], [basis])

    def extend(self, duals: Sequence[Floats], bases: Sequence[Basis]) -> None:
        """Keep the cuts of duals, and the bases that they belong to."""
        if not len(duals):
            return
        everyone = slice(0, self.scenarios)
        self.bases.extend(bases)
        self.duals.extend(duals)
        self.constant.extend(self._constants(dual, everyone) for dual in duals)
        self.slope.extend(self._slopes(np.array(duals), everyone))

    def forget(self) -> None:
        """Let go of all kept duals: once every future has a basis and cuts of its own they only take room."""
        for kept in (self.constant, self.slope, self.bases, self.duals):
            kept.clear()

    def known(self, first: Floats) -> Floats:
        """(S,) what contracts cost in each future without a second stage."""
        return _times(self.future, first[self.columns])

    def bounds(self, first: Floats) -> Floats:
        """(duals, S) what each dual says that each scenario costs at least at first-stage columns."""
        x = first[self.columns]
        return np.array([c + _times(slope, x) for c, slope in zip(self.constant, self.slope, strict=True)])

    def best(self, first: Floats) -> tuple[Floats, Ints]:
        """Largest bound of each scenario at first-stage columns, and the dual that gives it: (S,), (S,)."""
        values = self.bounds(first)
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
        row, slope = self.template.links.row, self.future.copy()
        if self.parts:
            column, start = np.array([(column, part.start) for column, part in self.parts]).T
            for s, dual in enumerate(duals):
                slope[s, column] -= np.add.reduceat(self.values[s] * dual[row], start)
        constant = np.concatenate([self._constants(dual, slice(s, s + 1)) for s, dual in enumerate(duals)])
        if self.scenarios > SLIM:
            duals = [dual.astype(np.float32) for dual in duals]
        return Cuts(self.columns, constant, slope, tuple(duals))


def _times(matrix: Floats, vector: Floats) -> Floats:
    """The product, on one thread: libraries of linear algebra wake threads that cost more than they help here."""
    return np.asarray(np.einsum("sn,n->s", matrix, vector))

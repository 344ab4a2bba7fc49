"""Extensive form: all futures side by side in one matrix, in the solver's column-wise form.

The second-stage block is written once and tiled. Columns: first stage, then each scenario's columns and its `tail`.
Rows: first stage, then each scenario's rows and its F4.CV.
"""

from __future__ import annotations

from dataclasses import dataclass

import highspy
import numpy as np

from argosy.errors import SolverError
from argosy.plan.program import Bools, Floats
from argosy.plan.sparse import Columns
from argosy.plan.template import Template


@dataclass(frozen=True, slots=True)
class Matrix:
    """A whole mixed-integer linear program by columns."""

    cost: Floats
    column_lower: Floats
    column_upper: Floats
    integer: Bools
    row_lower: Floats
    row_upper: Floats
    matrix: Columns
    first_columns: int
    first_rows: int
    columns_per_scenario: int
    rows_per_scenario: int

    def scenario_columns(self, s: int) -> slice:
        """Positions of the second-stage columns of scenario s, without its tail."""
        start = self.first_columns + s * self.columns_per_scenario
        return slice(start, start + self.columns_per_scenario - self._extra)

    def scenario_rows(self, s: int) -> slice:
        """Positions of the second-stage rows of scenario s, without F4.CV."""
        start = self.first_rows + s * self.rows_per_scenario
        return slice(start, start + self.rows_per_scenario - self._extra)

    def tail_row(self, s: int) -> int:
        """Position of F4.CV of scenario s."""
        return self.first_rows + (s + 1) * self.rows_per_scenario - 1

    risky: bool = True

    @property
    def _extra(self) -> int:
        return 1 if self.risky else 0


def tile(template: Template) -> Matrix:
    """Lay the futures side by side. F5 and F4.CV are written here."""
    program, first, second = template.program, template.first, template.second
    scenarios = program.shape["S"]
    risky = program.risk_aversion > 0
    weight = (1 - program.risk_aversion) * program.probability
    n1, m1 = first.columns.size, len(first.row_lower)
    n2, m2 = second.columns.size + risky, len(second.row_lower) + risky

    bounds = [template.second_bounds(s) for s in range(scenarios)]
    row_lower = np.empty((scenarios, m2))
    row_upper = np.empty((scenarios, m2))
    column_upper = np.empty((scenarios, n2))
    for s, (lower, upper, columns) in enumerate(bounds):
        row_lower[s, : len(lower)], row_upper[s, : len(upper)], column_upper[s, : len(columns)] = (
            lower,
            upper,
            columns,
        )
    column_lower = np.tile(np.append(second.column_lower, [0.0] * risky), (scenarios, 1))
    cost = np.outer(weight, np.append(second.cost, [0.0] * risky))
    block = second.matrix
    if risky:
        row_lower[:, -1], row_upper[:, -1], column_upper[:, -1] = 0.0, np.inf, np.inf
        cost[:, -1] = program.risk_aversion / (1 - program.tail) * program.probability
        block = _with_tail(block, second.cost, m2 - 1)
    first_cost = first.cost + weight @ template.future_cost
    left = _first_columns(template, m1, m2, risky)

    nonzeros, head = len(block.value), len(left.value)
    steps = np.arange(scenarios, dtype=np.int32)[:, None]
    start = np.empty(n1 + scenarios * n2 + 1, dtype=np.int32)
    index = np.empty(head + scenarios * nonzeros, dtype=np.int32)
    value = np.empty(len(index))
    start[:n1], index[:head], value[:head] = left.start[:-1], left.index, left.value
    np.add(steps * np.int32(nonzeros) + np.int32(head), block.start[:-1], out=start[n1:-1].reshape(scenarios, n2))
    start[-1] = len(index)
    np.add(steps * np.int32(m2) + np.int32(m1), block.index, out=index[head:].reshape(scenarios, nonzeros))
    value[head:].reshape(scenarios, nonzeros)[:] = block.value
    return Matrix(
        cost=np.concatenate([first_cost, cost.ravel()]),
        column_lower=np.concatenate([first.column_lower, column_lower.ravel()]),
        column_upper=np.concatenate([first.column_upper, column_upper.ravel()]),
        integer=np.concatenate([first.integer, np.zeros(scenarios * n2, dtype=bool)]),
        row_lower=np.concatenate([first.row_lower, row_lower.ravel()]),
        row_upper=np.concatenate([first.row_upper, row_upper.ravel()]),
        matrix=Columns(start, index, value),
        first_columns=n1,
        first_rows=m1,
        columns_per_scenario=n2,
        rows_per_scenario=m2,
        risky=risky,
    )


def _with_tail(block: Columns, cost: Floats, row: int) -> Columns:
    """The second-stage block with row F4.CV (tail - Q_s + eta >= 0) and column `tail`."""
    costly = np.flatnonzero(cost)
    counts = np.diff(block.start)
    ends = block.start[costly + 1]
    index = np.insert(block.index, ends, row)
    value = np.insert(block.value, ends, -cost[costly])
    counts[costly] += 1
    start = np.zeros(len(counts) + 2, dtype=np.int32)
    np.cumsum(np.append(counts, 1), out=start[1:])
    return Columns(start, np.append(index, np.int32(row)), np.append(value, 1.0))


def _first_columns(template: Template, m1: int, m2: int, risky: bool) -> Columns:
    """First-stage columns over the rows of all stages."""
    first, program = template.first, template.program
    scenarios, n1 = program.shape["S"], first.columns.size
    own_column = np.repeat(np.arange(n1), np.diff(first.matrix.start))
    rows, columns, entries = [first.matrix.index.astype(np.int64)], [own_column], [first.matrix.value]
    for s in range(scenarios):
        row, column, value = template.links.entries(s)
        rows.append(row + (m1 + s * m2))
        columns.append(column)
        entries.append(value)
    if risky:
        future, j = np.nonzero(template.future_cost)
        rows.append(m1 + (future + 1) * m2 - 1)
        columns.append(j)
        entries.append(-template.future_cost[future, j])
        rows.append(m1 + (np.arange(scenarios) + 1) * m2 - 1)
        columns.append(np.full(scenarios, first.columns.offsets["eta"]))
        entries.append(np.ones(scenarios))
    row, column, value = np.concatenate(rows), np.concatenate(columns), np.concatenate(entries)
    keep = value != 0
    row, column, value = row[keep], column[keep], value[keep]
    order = np.lexsort((row, column))
    start = np.zeros(n1 + 1, dtype=np.int32)
    np.cumsum(np.bincount(column, minlength=n1), out=start[1:])
    return Columns(start, row[order].astype(np.int32), value[order])


def hand_over(matrix: Matrix) -> highspy.Highs:
    """A silent solver that holds the program. SolverError when it refuses the arrays."""
    solver = highspy.Highs()
    solver.silent()
    status = solver.passModel(
        len(matrix.cost), len(matrix.row_lower), len(matrix.matrix.value), 1, 1, 0.0,
        matrix.cost, matrix.column_lower, matrix.column_upper, matrix.row_lower, matrix.row_upper,
        matrix.matrix.start[:-1], matrix.matrix.index, matrix.matrix.value,
        matrix.integer.astype(np.int32),
    )  # fmt: skip
    if status == highspy.HighsStatus.kError:
        raise SolverError("the solver refused the program; its numbers are not finite or its sizes do not agree")
    return solver

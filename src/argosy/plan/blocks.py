"""Blocks: columns, rows and the matrix of one stage while they are written. Knows no rule; `first_stage` and
`second_stage` write them, `template` joins them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from argosy.plan.layout import Axis
from argosy.plan.program import Bools, Floats, Ints, Program
from argosy.plan.sparse import Columns, Triplets

INFINITY = np.inf
OfScenarios = Callable[[slice], Floats]
"""Entries of some scenarios, (scenarios, ...); what follows the first axis is laid out as the rows and columns are."""


@dataclass(frozen=True, slots=True)
class Block:
    """Columns with cost and bounds, rows with bounds, and the matrix between them."""

    columns: Axis
    rows: Axis
    cost: Floats
    column_lower: Floats
    column_upper: Floats
    integer: Bools
    row_lower: Floats
    row_upper: Floats
    matrix: Columns


@dataclass(frozen=True, slots=True)
class Links:
    """Entries of the second stage's rows at first-stage columns."""

    row: Ints
    """(nonzeros,) second-stage row of each entry."""
    column: Ints
    """(nonzeros,) first-stage column, ascending."""
    values: OfScenarios
    """Entries of some scenarios: (scenarios, nonzeros)."""
    entries: Callable[[int], tuple[Ints, Ints, Floats]]
    """Row, column and value of the entries of one scenario that are not zero, in no order."""


class Writer:
    """One stage while it is written: families of rows in order, entries, column costs and bounds."""

    def __init__(self, program: Program, columns: Axis) -> None:
        self.program, self.n, self.columns = program, program.shape, columns
        self.at = columns.at
        self.cost, self.lower = np.zeros(columns.size), np.zeros(columns.size)
        self.upper = np.full(columns.size, INFINITY)
        self.integer = np.zeros(columns.size, dtype=bool)
        self._entries = Triplets()
        self._shapes: dict[str, tuple[int, ...]] = {}
        self._row_lower: list[Floats] = []
        self._row_upper: list[Floats] = []
        self._links: list[tuple[Ints, Ints, OfScenarios]] = []

    def rows(self, rule: str, shape: tuple[int, ...], lower: npt.ArrayLike, upper: npt.ArrayLike) -> Ints:
        """Open a family of rows and return their positions in its shape."""
        first = sum(int(np.prod(known)) for known in self._shapes.values())
        self._shapes[rule] = shape
        self._row_lower.append(np.broadcast_to(np.asarray(lower, dtype=float), shape).ravel())
        self._row_upper.append(np.broadcast_to(np.asarray(upper, dtype=float), shape).ravel())
        return first + np.arange(int(np.prod(shape)), dtype=np.int64).reshape(shape)

    def add(self, rows: npt.ArrayLike, columns: npt.ArrayLike, values: npt.ArrayLike) -> None:
        """Add entries; the three arguments broadcast against each other."""
        self._entries.add(rows, columns, values)

    def link(self, rows: Ints, columns: Ints, values: OfScenarios) -> None:
        """Add entries at first-stage columns, one for each pair of the broadcast rows and columns."""
        rows, columns = np.broadcast_arrays(rows, columns)
        self._links.append((rows.ravel(), columns.ravel(), values))

    def block(self) -> Block:
        """What was written."""
        return Block(
            self.columns,
            Axis.of(self._shapes),
            self.cost,
            self.lower,
            self.upper,
            self.integer,
            np.concatenate([np.zeros(0), *self._row_lower]),
            np.concatenate([np.zeros(0), *self._row_upper]),
            self._entries.columns(self.columns.size),
        )

    def links(self) -> Links:
        """All entries at first-stage columns."""
        links = self._links
        row = np.concatenate([link[0] for link in links])
        column = np.concatenate([link[1] for link in links])
        order = np.lexsort((row, column))
        starts = np.cumsum([0] + [len(link[0]) for link in links])[:-1]

        def parts(s: slice) -> list[Floats]:
            return [np.asarray(link[2](s)).reshape(s.stop - s.start, len(link[0])) for link in links]

        def values(s: slice) -> Floats:
            return np.concatenate(parts(s), axis=1)[:, order]

        def entries(s: int) -> tuple[Ints, Ints, Floats]:
            found = [part[0] for part in parts(slice(s, s + 1))]
            there = [np.flatnonzero(part) for part in found]  # later columns are zero outside their cluster
            at = np.concatenate([where + start for where, start in zip(there, starts, strict=True)])
            return row[at], column[at], np.concatenate([f[where] for f, where in zip(found, there, strict=True)])

        return Links(row[order], column[order], values, entries)


def capacity_columns(first: Axis) -> Ints:
    """First-stage positions of the capacity columns C: sizes, then later columns."""
    return np.concatenate([first.at("size"), first.at("later")])

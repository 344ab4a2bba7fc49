"""Triplets: a sparse matrix while it is being written, and its column-wise form for the solver.

Called by `template` and `extensive`; knows nothing of plans. Entries that are exactly zero are dropped, duplicates add.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from argosy.plan.program import Floats, Ints

Places = npt.NDArray[np.int32]
"""Positions in the width that the solver takes."""


@dataclass(frozen=True, slots=True)
class Columns:
    """A matrix by columns: `index[start[j]:start[j+1]]` are the rows of column j."""

    start: Places
    """(columns + 1,)"""
    index: Places
    """(nonzeros,) row of each entry, ascending within a column."""
    value: Floats
    """(nonzeros,)"""


class Triplets:
    """Collects entries in blocks; `columns` gives the column-wise matrix."""

    def __init__(self) -> None:
        self._rows: list[Ints] = []
        self._columns: list[Ints] = []
        self._values: list[Floats] = []

    def add(self, rows: npt.ArrayLike, columns: npt.ArrayLike, values: npt.ArrayLike) -> None:
        """Add entries; the three arguments broadcast against each other."""
        r, c, v = np.broadcast_arrays(np.asarray(rows), np.asarray(columns), np.asarray(values, dtype=float))
        self._rows.append(r.ravel().astype(np.int64))
        self._columns.append(c.ravel().astype(np.int64))
        self._values.append(v.ravel())

    def entries(self) -> tuple[Ints, Ints, Floats]:
        """All entries as (row, column, value), in column order with duplicates added."""
        if not self._rows:
            empty = np.zeros(0, dtype=np.int64)
            return empty, empty, np.zeros(0)
        row, column, value = (
            np.concatenate(self._rows),
            np.concatenate(self._columns),
            np.concatenate(self._values),
        )
        order = np.lexsort((row, column))
        row, column, value = row[order], column[order], value[order]
        first = np.ones(len(row), dtype=bool)
        first[1:] = (row[1:] != row[:-1]) | (column[1:] != column[:-1])
        value = np.add.reduceat(value, np.flatnonzero(first)) if len(value) else value
        row, column = row[first], column[first]
        keep = value != 0
        return row[keep], column[keep], value[keep]

    def columns(self, count: int) -> Columns:
        """The matrix by columns."""
        row, column, value = self.entries()
        start = np.zeros(count + 1, dtype=np.int32)
        np.cumsum(np.bincount(column, minlength=count), out=start[1:])
        return Columns(start=start, index=row.astype(np.int32), value=value)

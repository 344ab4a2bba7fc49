"""Basis: where the simplex method may start, in a form that can be sent to another process and kept on disk."""

from __future__ import annotations

from collections.abc import Iterable

import highspy
import numpy as np

_STATUS = {int(status): status for status in highspy.HighsBasisStatus.__members__.values()}


class Basis:
    """A basis of the second stage. Turned into bytes, and back, only where it crosses a border."""

    __slots__ = ("_highs", "_packed", "columns", "rows")

    def __init__(self, highs: highspy.HighsBasis, columns: int, rows: int) -> None:
        self.columns, self.rows = columns, rows
        self._highs: highspy.HighsBasis | None = highs
        self._packed: tuple[bytes, bytes] | None = None

    @property
    def highs(self) -> highspy.HighsBasis:
        """The solver's own form."""
        if self._highs is None:
            assert self._packed is not None
            self._highs = highspy.HighsBasis()
            self._highs.col_status, self._highs.row_status = ([_STATUS[code] for code in part] for part in self._packed)
            self._highs.valid = True
            self._highs.alien = False
        return self._highs

    def packed(self) -> tuple[bytes, bytes]:
        """One byte for the status of each column and of each row."""
        if self._packed is None:
            assert self._highs is not None
            self._packed = _codes(self._highs.col_status), _codes(self._highs.row_status)
        return self._packed

    @staticmethod
    def unpacked(columns: bytes, rows: bytes) -> Basis:
        """The basis of such bytes. ValueError when a byte is no status."""
        if (set(columns) | set(rows)) - set(_STATUS):
            raise ValueError("these bytes are no basis")
        made = Basis.__new__(Basis)
        made.__setstate__((columns, rows))
        return made

    def __getstate__(self) -> tuple[bytes, bytes]:
        return self.packed()

    def __setstate__(self, state: tuple[bytes, bytes]) -> None:
        self._highs, self._packed = None, state
        self.columns, self.rows = map(len, state)


def _codes(statuses: Iterable[highspy.HighsBasisStatus]) -> bytes:
    return np.fromiter((int(status) for status in statuses), dtype=np.uint8).tobytes()

"""Stores for tests: SQLite in a folder, PostgreSQL from the package index, with a clock that stands still."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

from argosy.store import Store

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


class HandClock:
    """A clock that moves when it is told to."""

    def __init__(self, at: datetime = BEGIN) -> None:
        self.at = at

    def now(self) -> datetime:
        """The instant it was set to."""
        return self.at

    def monotonic_seconds(self) -> float:
        """Seconds it has been moved by."""
        return (self.at - BEGIN).total_seconds()

    def forward(self, seconds: float) -> None:
        """Move on."""
        self.at += timedelta(seconds=seconds)


@contextmanager
def sqlite_store(folder: Path, clock: HandClock | None = None) -> Iterator[Store]:
    """A store in a folder, with tokens that repeat from run to run."""
    numbers = count(0xA000)
    store = Store(f"sqlite:///{folder / 'store.db'}", clock or HandClock(), token=lambda: f"{next(numbers):x}")
    try:
        yield store
    finally:
        store.close()

"""Clock and seeded Rng: the only doors to time and chance.

Both are arguments everywhere. `cli` makes the real ones; tests and `simulate` make their own.
"""

from __future__ import annotations

import hashlib
import random
import secrets
import time
from datetime import UTC, datetime
from typing import Protocol

import numpy as np


class Clock(Protocol):
    """What the rest of Argosy may ask about time."""

    def now(self) -> datetime:
        """The present instant, UTC-aware."""

    def monotonic_seconds(self) -> float:
        """Seconds on a clock that never goes back; only differences mean anything."""


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """The present instant, UTC-aware."""
        return datetime.now(UTC)

    def monotonic_seconds(self) -> float:
        """Seconds on a clock that never goes back."""
        return time.monotonic()


class FixedClock:
    """A clock that stands still until it is told to move."""

    def __init__(self, at: datetime) -> None:
        self._start = self._now = at

    def now(self) -> datetime:
        """The instant it was set to."""
        return self._now

    def monotonic_seconds(self) -> float:
        """Seconds it has been moved by."""
        return (self._now - self._start).total_seconds()


def rng(seed: int, *labels: str) -> np.random.Generator:
    """A generator that depends on the seed and the labels only.

    Each source of chance draws from its own labelled stream, so that adding one scenario, contract or generator leaves
    the draws of the others as they were.
    """
    digest = hashlib.sha256("\x1f".join(labels).encode()).digest()
    return np.random.Generator(np.random.PCG64([seed, *np.frombuffer(digest[:16], dtype="<u4").tolist()]))


def python_rng(seed: int) -> random.Random:
    """Python's own generator: for streams that others drew with it, which no other generator can draw again."""
    return random.Random(seed)


def unguessable(size: int = 32) -> str:
    """A token of so many random bytes, for keys and leases: nobody can guess it, and no seed repeats it."""
    return secrets.token_hex(size)

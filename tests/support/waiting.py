"""Wait for something that another process does: look, give the processor away for a moment, look again, with an end."""

from __future__ import annotations

import select
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
PATIENCE_SECONDS = 180.0
"""Longest wait for what must come. It costs only where it does not, so it is for the busiest machine there is."""


def wait_for(look: Callable[[], T], what: str, *, seconds: float = PATIENCE_SECONDS) -> T:
    """The first true answer; AssertionError that says what was waited for when there is none in time."""
    until = time.monotonic() + seconds
    while True:
        found = look()
        if found:
            return found
        assert time.monotonic() < until, f"waited {seconds:g} s for {what}; last answer {found!r}"
        select.select([], [], [], 0.02)

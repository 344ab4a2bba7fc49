"""Fault: one thing that cannot be true of a portfolio, at a path into it."""

from __future__ import annotations

from dataclasses import dataclass

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong where; `files.load` turns the path into a line."""

    path: Path
    """Fields and positions from the portfolio down, for example ("contracts", 3, "vendor")."""
    code: str
    """Stable name of the rule."""
    message: str
    """What is wrong and what would be right."""
    at_key: bool = False
    """Whether the last step is a key that is wrong itself, and not its value."""

"""Book: what a recount finds, the largest violation of each rule. Every part of `check` writes into one."""

from __future__ import annotations


class Book:
    """The largest violation of each rule, relative to its scale."""

    def __init__(self) -> None:
        self.residual: dict[str, float] = {}

    def below(self, rule: str, left: float, right: float) -> None:
        """left <= right."""
        over = max(0.0, left - right) / max(1.0, abs(right))
        self.residual[rule] = max(self.residual.get(rule, 0.0), over)

    def near(self, rule: str, left: float, right: float) -> None:
        """left = right, counted by the larger of both."""
        off = abs(left - right) / max(1.0, abs(left), abs(right))
        self.residual[rule] = max(self.residual.get(rule, 0.0), off)

    def holds(self, rule: str, right: bool) -> None:
        """A yes or no."""
        self.residual[rule] = max(self.residual.get(rule, 0.0), 0.0 if right else 1.0)

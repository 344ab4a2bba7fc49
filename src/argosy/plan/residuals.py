"""Residuals: how far the rules of a plan are from holding. `check` and its parts write into a `Ledger`."""

from __future__ import annotations

import numpy as np

from argosy.plan.program import Floats


class Ledger:
    """Collects violations: left must equal, stay below or stay above right."""

    def __init__(self) -> None:
        self.residual: dict[str, float] = {}

    def _note(self, rule: str, violation: Floats, scale: Floats) -> None:
        worst = float((violation / np.maximum(1.0, scale)).max(initial=0.0))
        worst = np.inf if np.isnan(worst) else worst  # what cannot be compared is not kept
        self.residual[rule] = max(self.residual.get(rule, 0.0), worst)

    def equal(self, rule: str, left: Floats, right: Floats) -> None:
        """Both sides must agree."""
        left, right = np.broadcast_arrays(left, right)
        self._note(rule, np.abs(left - right), np.abs(right))

    def below(self, rule: str, left: Floats, right: Floats) -> None:
        """The left side must not exceed the right one; a right side of inf is no limit."""
        left, right = np.broadcast_arrays(left, right)
        finite = np.isfinite(right)
        self._note(rule, np.maximum(0.0, left - right)[finite], np.abs(right)[finite])

"""Edits: changes of a program that bounds can express, so that every shape and the second stage stay as they are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from argosy.plan.inputs import Inputs
from argosy.plan.program import Program

Edit = Callable[[Inputs], Program]
"""A change of a program; it keeps every shape."""


def without(contract: str) -> Edit:
    """Leave a contract out: all its rows keep their place and have no size."""

    def edit(told: Inputs) -> Program:
        mine = _rows(told, contract)
        none = np.where(mine, 0.0, told.program.size_max)
        return replace(
            told.program,
            sign_lower=np.where(mine, 0.0, told.program.sign_lower),
            sign_upper=np.where(mine, 0.0, told.program.sign_upper),
            size_min=np.where(mine, 0.0, told.program.size_min),
            size_max=none,
        )

    return edit


def signed(contract: str, least_fraction: float) -> Edit:
    """Sign a contract of one row now, at its smallest size or more.

    Where that is 0, signing means at least `least_fraction` of its largest size.
    """

    def edit(told: Inputs) -> Program:
        mine = _rows(told, contract)
        assert mine.sum() == 1, "only a contract of one row can be forced"
        program = told.program
        least = np.maximum(program.size_min, least_fraction * program.size_max)
        return replace(
            program,
            sign_lower=np.where(mine, 1.0, program.sign_lower),
            size_min=np.where(mine, least, program.size_min),
        )

    return edit


def _rows(told: Inputs, contract: str) -> np.typing.NDArray[np.bool_]:
    return np.array([row.contract == contract for row in told.world.sized], dtype=bool)

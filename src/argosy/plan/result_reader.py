"""Reader: a checked solution with the names and units of its positions. Called by the `result_*` modules."""

from __future__ import annotations

import numpy as np

from argosy.plan.check import Recount
from argosy.plan.inputs import Inputs
from argosy.plan.program import EXERCISE, EXIT, Floats
from argosy.plan.solution import Solution
from argosy.plan.template import Template
from argosy.plan.values import Values
from argosy.units import Month

ACTIONS = {EXERCISE: "exercise", EXIT: "exit"}
SMALL = 1e-6


class Reader:
    """One solution with everything that is needed to put names and units on it."""

    def __init__(self, inputs: Inputs, template: Template, solution: Solution, recount: Recount) -> None:
        self.inputs, self.world, self.program = inputs, inputs.world, inputs.program
        self.template, self.solution, self.recount = template, solution, recount
        self.values = Values.of(self.program, solution.first, solution.second)
        self.money = self.program.money_scale
        self.scale = self.program.accelerator_scale
        self.probability = self.program.probability

    def mean(self, values: Floats) -> Floats:
        """Mean over scenarios (first axis)."""
        return np.asarray(np.tensordot(self.probability, values, axes=1))

    def months(self, period: int) -> range:
        """Month positions of a period."""
        step = self.world.calendar.horizon.step_months
        return range(period * step, (period + 1) * step)

    def month(self, position: int) -> Month:
        """Month at a position of the horizon."""
        return self.world.calendar.horizon.start.plus(position)

    def year_start(self, year: int) -> Month:
        """First month of a fiscal year."""
        return self.month(12 * year)


def mean_later_sizes(reader: Reader) -> Floats:
    """(K,) mean size of rows that are signed later."""
    program = reader.program
    out = np.zeros(len(program.sign_lower))
    for e, x in enumerate(reader.inputs.later):
        if x.action not in ACTIONS:
            chance = float(program.probability @ program.later_member[:, e])
            out[x.row] += chance * reader.values.first["later"][e]
    return out

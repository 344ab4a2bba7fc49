"""Template: a Program as matrices, one block for the first stage and one for the second stage of every future.

Fixed recourse makes this possible: the second stage has one matrix and one cost, and a future changes only right-hand
sides, bounds and the entries at first-stage columns. `extensive` lays the blocks side by side, `decompose` solves them
one by one. The rules of docs/concepts/plan.md are written in `first_stage` and `second_stage`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from argosy.plan.blocks import Block, Links, capacity_columns
from argosy.plan.first_stage import first_stage
from argosy.plan.program import Floats, Program
from argosy.plan.second_stage import second_stage


@dataclass(frozen=True, slots=True)
class Template:
    """The first stage, the second stage without its random numbers, and the way to fill those in."""

    program: Program
    first: Block
    second: Block
    links: Links
    future_cost: Floats
    """(S, first-stage columns) cost that depends on the future and needs no second stage."""

    def second_bounds(self, s: int) -> tuple[Floats, Floats, Floats]:
        """Row lower, row upper and column upper bounds of one scenario."""
        block, program = self.second, self.program
        lower, upper, columns = block.row_lower.copy(), block.row_upper.copy(), block.column_upper.copy()
        lower[block.rows.part("F4.D")] = upper[block.rows.part("F4.D")] = program.demand[s].ravel()
        upper[block.rows.part("F4.P")] = program.stock[s].ravel()
        columns[block.columns.part("use")] = program.use_max[s].ravel()
        columns[block.columns.part("open")] = program.open_max[s].ravel()
        backlog = np.repeat(program.backlog_max[s][:, None], len(program.duration), axis=1)
        backlog[:, -1] = 0.0
        columns[block.columns.part("backlog")] = backlog.ravel()
        return lower, upper, columns


def build(program: Program) -> Template:
    """Write every rule of F4 and F5 for the program."""
    first = first_stage(program)
    second, links = second_stage(program, first.columns)
    future = np.zeros((program.shape["S"], first.columns.size))
    future[:, capacity_columns(first.columns)] = program.future_cost
    future[:, first.columns.part("prepay")] = -program.prepay_credit
    return Template(program, first, second, links, future)

"""Resolve: the same futures under many slightly different portfolios, each with certified bounds.

`questions` calls it. A dual of one program bounds the futures of every other program with the same second-stage matrix
(F7.1 holds for any vector), so duals and bases of one solve start the next. Every answer is recounted without the
solver, as a plan is; nothing here turns an answer into a plan.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from importlib.metadata import version
from typing import Any

import numpy as np

from argosy.clock import Clock, SystemClock
from argosy.errors import CheckFailed
from argosy.model.decision import Certificate, Plan
from argosy.model.portfolio import Portfolio
from argosy.model.scenario import Scenario
from argosy.plan import result
from argosy.plan.bounds import NOTHING, Bounds
from argosy.plan.check import Recount, check
from argosy.plan.decompose import Decomposition
from argosy.plan.edits import Edit
from argosy.plan.inputs import Inputs, inputs
from argosy.plan.main import COST_TOLERANCE, EXTENSIVE_COLUMNS, RESIDUAL_TOLERANCE, data_hash
from argosy.plan.program import SIGN, Floats
from argosy.plan.solution import Progress, Solution
from argosy.plan.solve import solve as solve_extensive
from argosy.plan.template import Template, build
from argosy.plan.values import Values
from argosy.settings import Settings

KEPT = 400
"""Most duals that are handed from one solve to the next; the latest are kept."""


@dataclass(frozen=True, slots=True)
class Solved:
    """A whole plan, and the columns that it was read from."""

    told: Inputs
    found: Solution
    plan: Plan


class Resolver:
    """Solves variants of one portfolio over one set of futures, and remembers how good the answers were."""

    def __init__(
        self,
        scenarios: tuple[Scenario, ...],
        *,
        gap: float,
        settings: Settings | None,
        clock: Clock | None,
        progress: Progress,
        stop: threading.Event | None,
    ) -> None:
        self.scenarios, self.gap, self.settings = scenarios, gap, settings or Settings()
        self.clock, self.progress, self.stop = clock or SystemClock(), progress, stop or threading.Event()
        self.worst_gap = self.worst_residual = 0.0
        self.plans = 0
        self.kept: dict[tuple[int, ...], tuple[Floats, list[Floats], list[Any]]] = {}
        """Shape of a program to the contracts of its last plan, the duals found there and their bases."""

    def head(self, portfolio: Portfolio, seed: int) -> dict[str, Any]:
        """What every answer says of its question, once all of it was solved: data, futures, gap, residual, versions."""
        return {
            "portfolio": portfolio.name,
            "title": portfolio.title or portfolio.name,
            "seed": seed,
            "futures": len(self.scenarios),
            "gap_fraction": self.worst_gap,
            "worst_residual": self.worst_residual,
            "data_hash": data_hash(portfolio, self.scenarios),
            "versions": {name: version(name) for name in ("argosy", "highspy", "numpy")},
        }

    def solve(self, portfolio: Portfolio, edit: Edit | None = None) -> Bounds:
        """Bounds of the best plan of a portfolio, after an edit of its program; CheckFailed as `plan.solve` says."""
        done = self._checked(portfolio, edit)
        if done is None:
            return NOTHING
        told, _, found, _ = done
        return _bounds(told, Values.of(told.program, found.first, found.second), found)

    def planned(self, portfolio: Portfolio, seed: int) -> Solved | None:
        """The best plan of a portfolio as a whole record with its columns; None when no plan keeps all limits."""
        done = self._checked(portfolio, None)
        if done is None:
            return None
        told, template, found, recount = done
        money = told.program.money_scale
        certificate = Certificate(
            lower_usd=found.bound * money,
            upper_usd=found.objective * money,
            gap_fraction=found.gap,
            worst_residual=recount.worst,
            recounted_usd=recount.objective * money,
            data_hash=data_hash(portfolio, self.scenarios),
            versions={},
        )
        return Solved(told, found, result.plan(result.Reader(told, template, found, recount), certificate, seed))

    def _checked(self, portfolio: Portfolio, edit: Edit | None) -> tuple[Inputs, Template, Solution, Recount] | None:
        told = inputs(portfolio, self.scenarios)
        if edit is not None:
            told = replace(told, program=edit(told))
        template = build(told.program)
        self.plans += 1
        found = self._found(template)
        if found is None:
            return None
        values = Values.of(told.program, found.first, found.second)
        recount = check(told.program, values)
        off = abs(recount.objective - found.objective)
        if recount.worst > RESIDUAL_TOLERANCE or off > COST_TOLERANCE * max(1.0, abs(found.objective)):
            raise CheckFailed(
                f"the recount does not agree with the solver: worst residual {recount.worst:.3g}, "
                f"cost {recount.objective:.9g} against {found.objective:.9g}"
            )
        self.worst_gap = max(self.worst_gap, found.gap)
        self.worst_residual = max(self.worst_residual, recount.worst)
        return told, template, found, recount

    def _found(self, template: Template) -> Solution | None:
        if template.second.columns.size * len(self.scenarios) <= EXTENSIVE_COLUMNS:
            return solve_extensive(
                template, gap=self.gap, settings=self.settings, clock=self.clock, progress=self.progress, stop=self.stop
            )
        run = Decomposition(template, settings=self.settings, clock=self.clock, progress=self.progress)
        first, block = template.first, template.second
        key = (
            first.columns.size, block.columns.size, len(block.row_lower), len(block.matrix.value),
            len(template.links.column),
        )  # fmt: skip
        start = None
        if key in self.kept:
            start, duals, bases = self.kept[key]
            run.pool.extend(duals, bases)
        found = run.solve(self.gap, self.stop, start)
        if found is not None:
            self.kept[key] = (found.first, *run.kept(KEPT))
        return found


def _bounds(told: Inputs, values: Values, found: Solution) -> Bounds:
    program, world = told.program, told.world
    rows = len(world.sized)
    later, member = values.first["later"], program.later_member
    signs = program.later_action == SIGN
    sizes = values.first["size"].copy()
    if signs.any():
        np.add.at(sizes, program.later_row[signs], (program.probability @ member[:, signs]) * later[signs])
    fees = program.probability @ (program.future_cost * values.capacity_columns())
    of_row = np.concatenate([np.arange(rows), program.later_row])
    by_row = np.bincount(of_row, weights=fees, minlength=rows)
    size: dict[str, float] = {}
    option: dict[str, float] = {}
    paid: dict[str, float] = {}
    for k, row in enumerate(world.sized):
        unit = world.size_unit(row)
        size[row.contract] = size.get(row.contract, 0.0) + float(sizes[k]) * unit
        option[row.contract] = option.get(row.contract, 0.0) + float(values.first["option"][k]) * unit
        paid[row.contract] = paid.get(row.contract, 0.0) + float(by_row[k]) * program.money_scale
    money = program.money_scale
    return Bounds(found.bound * money, found.objective * money, size, option, paid)

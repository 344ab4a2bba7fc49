"""Known plans: contracts whose futures were all solved exactly, and the duals that this leaves (Q10 to Q12).

`front`, `near_optimal` and `quick_values` ask a cut program where to look and certify here. Every plan is recounted
without the solver before anything is said about it. Nothing here decides which plans to look at.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from argosy.errors import CheckFailed
from argosy.plan.check import check, period_cost, tail_mean
from argosy.plan.cut_program import PricedPool
from argosy.plan.exact import Exact
from argosy.plan.pool import Pool
from argosy.plan.program import SIGN, Floats, Program
from argosy.plan.template import Template, build
from argosy.plan.values import Values

RESIDUAL_TOLERANCE = 1e-6
COST_TOLERANCE = 1e-6
SMALL = 1e-9

Dual = tuple[Floats, Any]
"""A dual of the second stage and the basis that it belongs to."""


@dataclass(frozen=True, slots=True)
class KnownPlan:
    """First-stage columns and what they cost in the futures, scaled."""

    first: Floats
    expected: float
    tail: float
    objective: float
    """F5."""
    carbon: float
    """Mean tonnes, scaled as `Program.pool_carbon` is; nan where a pool's facts are unknown."""
    share: Floats
    """(V,) of the present value of all commitments; all 0 where there are none."""
    size: Floats
    """(K,) now, and at its mean where it is signed later."""


class KnownPlans:
    """One program's futures, solved exactly at one plan after the other."""

    def __init__(self, template: Template, duals: Iterable[Dual] = (), *, price: float = 0.0) -> None:
        """`duals` are those of an earlier solve with the same second stage.

        With a `price`, each future minimises its cost and the price times its carbon; what is reported stays cost
        alone and carbon alone.
        """
        self.program, self.price = template.program, price
        self.template = template if price == 0 else build(priced(template.program, price))
        self.exact, self.pool = Exact(self.template), Pool(self.template)
        for dual, basis in duals:
            self.pool.add(dual, basis)
        self.plans: list[KnownPlan] = []
        self.worst_residual = 0.0

    @property
    def priced_pool(self) -> PricedPool:
        """What a cut program needs."""
        return PricedPool(self.price, self.pool)

    def solve(self, first: Floats, edited: Program | None = None) -> KnownPlan:
        """Solve every future at these columns, keep the duals, recount, and remember the plan; CheckFailed as a plan.

        The columns keep all rules of the first stage; the recount says so. A plan of an `edited` program, whose
        second stage is the same, is recounted against that program and not remembered among the plans of this one.
        """
        program = self.program if edited is None else edited
        answers = self.exact.some(np.arange(program.shape["S"]), first, self.pool, columns=True)
        for answer in answers:
            self.pool.add(answer.dual, answer.basis)
        values = Values.of(program, first, np.array([answer.columns for answer in answers]))
        if self.price > 0:  # the solver's cost of a period holds the price of its carbon too
            values.second["cost"][:] = np.sum(list(period_cost(program, values).values()), axis=0)
        recount = check(program, values)
        if recount.worst > RESIDUAL_TOLERANCE:
            rule = max(recount.residual, key=lambda name: recount.residual[name])
            raise CheckFailed(f"a plan behind an answer breaks {rule} by {recount.worst:.3g}")
        self.worst_residual = max(self.worst_residual, recount.worst)
        cost, sizes = recount.scenario_cost, mean_sizes(program, values)
        value = np.bincount(program.row_vendor, program.committed_value * sizes, minlength=program.shape["V"])
        found = KnownPlan(
            first=first,
            expected=recount.first_cost + float(program.probability @ cost),
            tail=recount.first_cost + tail_mean(program.probability, cost, program.tail),
            objective=recount.objective,
            carbon=carbon(program, values, sizes),
            share=value / value.sum() if value.sum() > SMALL else np.zeros(len(value)),
            size=sizes,
        )
        if edited is None:
            self.plans.append(found)
        return found


def mean_sizes(program: Program, values: Values) -> Floats:
    """(K,) sizes signed now, and at their mean where they are signed later."""
    sizes = values.first["size"].copy()
    signs = program.later_action == SIGN
    chance = program.probability @ program.later_member
    np.add.at(sizes, program.later_row[signs], chance[signs] * values.first["later"][signs])
    return sizes


def carbon(program: Program, values: Values, sizes: Floats) -> float:
    """Mean emissions of use and of making own systems; nan where a pool in use has no known facts."""
    work = np.tensordot(program.probability, values.second["work"], axes=1)  # (A, T)
    tonnes = program.pool_carbon[program.arc_pool]
    used = np.where(work > SMALL, work, 0.0)
    return float(np.where(used > 0, tonnes * used, 0.0).sum() + program.embodied.sum(axis=1) @ sizes)


def carbon_unknown(program: Program) -> tuple[int, ...]:
    """Pools that work may run in and whose carbon is not known."""
    open_ = program.arc_open.any(axis=1)
    pools = np.unique(program.arc_pool[open_])
    return tuple(int(p) for p in pools if np.isnan(program.pool_carbon[p]).any())


def priced(program: Program, price: float) -> Program:
    """The same program with a price on every tonne of use, scaled present value.

    It changes the cost of the second stage and not its matrix: duals of a lower price stay feasible.
    """
    return replace(
        program, arc_cost=program.arc_cost + price * program.pool_carbon[program.arc_pool] / program.discount
    )

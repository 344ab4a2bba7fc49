"""Prices: the internal price of an accelerator-hour, from the duals of F4.P, with what sets it in each future (F8).

F8.1  price_{p,t} = sum_s weight_s * price_{p,t,s}
F8.2  price_{p,t,s} = -dual(F4.P)_{p,t,s} / (weight_s * discount_t * duration_t * 730)

Where a pool stands idle many duals fit. There the price is the least of them: what the best work would give for an
hour, and not what the hour would cost.
"""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from argosy.model.decision import Price, PriceTerm
from argosy.plan.blocks import Block
from argosy.plan.calendar import STANDARD_HOURS
from argosy.plan.inputs import Inputs
from argosy.plan.program import Floats, Program
from argosy.plan.solution import Solution
from argosy.plan.values import Values
from argosy.plan.world import World

SMALL = 1e-6
NO_WEIGHT = 1e-9


def price_terms(inputs: Inputs, values: Values, solution: Solution, second: Block) -> tuple[PriceTerm, ...]:
    """F8.2 for every pool, period and scenario with weight; periods are dated with their first month."""
    program, world = inputs.program, inputs.world
    unit = program.money_scale / program.accelerator_scale / STANDARD_HOURS
    out = []
    for s, scenario in enumerate(world.scenarios):
        weight = float(solution.weight[s])
        if weight <= NO_WEIGHT:
            continue
        price = worth(program, values, second, solution, s) / (weight * program.discount * program.duration) * unit
        setter = Setter(inputs, values, s)
        for p, pool in enumerate(world.pools):
            for t in range(program.shape["T"]):
                out.append(
                    PriceTerm(
                        pool=pool.id,
                        month=world.calendar.month(t),
                        scenario=scenario.id,
                        weight_fraction=weight,
                        usd_per_accelerator_hour=float(price[p, t]),
                        set_by=setter.name(p, t, float(price[p, t])),
                    )
                )
    return tuple(out)


def worth(program: Program, values: Values, second: Block, solution: Solution, s: int) -> Floats:
    """(P, T) what one more accelerator takes off the objective in one future, at least."""
    dual = solution.second_dual[s]
    full = -dual[second.rows.part("F4.P")].reshape(second.rows.shapes["F4.P"])
    return np.asarray(np.maximum(0.0, full - _spare(program, values, second, dual, s)))


def _spare(program: Program, values: Values, second: Block, dual: Floats, s: int) -> Floats:
    """(P, T) by how much the duals of F4.P in one future could be smaller where a pool stands idle; 0 elsewhere.

    It is the least reduced cost of the work that may run there, and all of the dual where none may.
    """
    work = second.columns.part("work")
    start = second.matrix.start[work.start : work.stop + 1]
    entries = slice(start[0], start[-1])
    column = np.repeat(np.arange(work.stop - work.start), np.diff(start))
    paid = second.matrix.value[entries] * dual[second.matrix.index[entries]]
    reduced = -np.bincount(column, weights=paid, minlength=work.stop - work.start).reshape(program.arc_open.shape)
    out = np.full((program.shape["P"], program.shape["T"]), np.inf)
    busy = np.zeros(out.shape, dtype=bool)
    for a, p in enumerate(program.arc_pool.tolist()):
        out[p] = np.where(program.arc_open[a], np.minimum(out[p], np.maximum(0.0, reduced[a])), out[p])
        busy[p] |= values.second["work"][s, a] > SMALL
    return np.where(busy, 0.0, out)


def prices(world: World, terms: tuple[PriceTerm, ...]) -> tuple[Price, ...]:
    """F8.1, for every month of the horizon."""
    total: dict[tuple[str, int], float] = defaultdict(float)
    for term in terms:
        total[term.pool, term.month.number] += term.weight_fraction * term.usd_per_accelerator_hour
    step = world.calendar.horizon.step_months
    return tuple(
        Price(
            pool=pool.id,
            month=world.calendar.month(t).plus(i),
            usd_per_accelerator_hour=total[pool.id, world.calendar.month(t).number],
        )
        for pool in world.pools
        for t in range(world.calendar.periods)
        for i in range(step)
    )


class Setter:
    """Says what one more accelerator-hour would replace in one future."""

    def __init__(self, inputs: Inputs, values: Values, s: int) -> None:
        self.inputs, self.program, self.s = inputs, inputs.program, s
        second = values.second
        self.open = second["open"][s]
        self.unserved = second["unserved"][s]
        self.work = second["work"][s]
        self.open_of = _positions(self.program.open_pool, self.program.shape["P"])
        self.arcs_of = _positions(self.program.arc_pool, self.program.shape["P"])

    def name(self, p: int, t: int, price: float) -> str:
        """The plainest reason that is consistent with the plan."""
        program = self.program
        if price <= SMALL:
            return "capacity to spare: one more hour replaces nothing"
        for tier in self.open_of[p]:
            if SMALL < self.open[tier, t] < program.open_max[self.s, tier, t] - SMALL:
                usd = self._usd_per_hour(program, tier, t)
                return f"{program.names['L'][tier]} at {usd:.4g} USD per accelerator-hour, which is partly used"
        for a in self.arcs_of[p]:
            d = program.arc_demand[a]
            if self.work[a, t] > SMALL and self.unserved[d, t] > SMALL:
                done = f"{program.arc_yield[a]:.4g} units per accelerator"
                return f"work of {program.names['D'][d]} that stays undone, {done}"
        for a in self.arcs_of[p]:
            other = self._elsewhere(a, t)
            if self.work[a, t] > SMALL and other is not None:
                d = program.arc_demand[a]
                return (
                    f"work of {program.names['D'][d]} that moves here from {program.names['P'][other[0]]}, "
                    f"{program.arc_yield[a] / other[1]:.4g} accelerators there for one here"
                )
        for a in self.arcs_of[p]:
            other = self._elsewhere(a, t)
            if self.work[a, t] <= SMALL and other is not None and program.arc_open[a, t]:
                d = program.arc_demand[a]
                return (
                    f"work of {program.names['D'][d]} that would move here from {program.names['P'][other[0]]}, "
                    f"{program.arc_yield[a] / other[1]:.4g} accelerators there for one here"
                )
        return "a limit on its own capacity: floors, power, data or later months"

    def _usd_per_hour(self, program: Program, tier: int, t: int) -> float:
        unit = program.money_scale / program.accelerator_scale / STANDARD_HOURS
        return float(program.open_cost[tier, t] / program.duration[t] * unit)

    def _elsewhere(self, arc: int, t: int) -> tuple[int, float] | None:
        """Another pool that does the same work now, and its yield."""
        program = self.program
        same = np.flatnonzero(program.arc_demand == program.arc_demand[arc])
        for b in same.tolist():
            if b != arc and self.work[b, t] > SMALL:
                return int(program.arc_pool[b]), float(program.arc_yield[b])
        return None


def _positions(of: np.typing.NDArray[np.int64], count: int) -> list[list[int]]:
    return [np.flatnonzero(of == i).tolist() for i in range(count)]

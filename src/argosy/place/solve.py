"""Solve: the columns that are best for an objective, with the gap and the prices of scarcity.

P4.7  What shares of time have nothing to say about (work that flows, and under `finish_time_fairness` and `makespan`
      work without an end) is placed first, by value; the others share what it leaves.
Shares of time themselves are found in `fair`.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from argosy.errors import SolverError
from argosy.place.fair import first_classes, shares
from argosy.place.program import build, place_bonus
from argosy.place.rows import Program
from argosy.place.solution import Solution, drawn, plain
from argosy.place.solver import solver_of
from argosy.place.world import Floats, World
from argosy.settings import Settings


def solve(world: World, settings: Settings, gap: float, room: Floats | None = None) -> Solution:
    """The best placement, with at most `room` (C, P) of each class in each pool where that is given.

    SolverError when there is none that keeps all rules, which only fixed asks can cause.
    """
    if not world.integral:
        return shares(world, settings, first_placed(world, settings, gap))
    found = whole(build(world, room), settings, gap)
    if found is None:
        # A limit has fallen below what runs: something must stop although nobody takes its place.
        found = whole(build(world, room, forced=True), settings, gap)
    if found is None:
        raise SolverError("no placement keeps what may not be stopped within the capacity")
    return found


def first_placed(world: World, settings: Settings, gap: float) -> Floats:
    """P4.7: (C, P) where the classes that shares of time have nothing to say about go, by value; 0 for all others."""
    first = first_classes(world)
    if not first.any():
        return np.zeros(world.rate.shape)
    plain_world = replace(world, objective="value")
    room = np.where(first[:, None], np.inf, 0.0)
    stays = np.flatnonzero(world.fixed & ~first)
    room[stays, world.running[stays]] = np.inf
    found = whole(build(plain_world, room, alone=True), settings, gap)
    if found is None:
        raise SolverError("no placement keeps what may not be stopped within the capacity")
    return np.asarray(np.where(first[:, None], found.share, 0.0))


def whole(program: Program, settings: Settings, gap: float) -> Solution | None:
    """The best placement of whole asks in a program, with the prices of its relaxation; None when there is none."""
    program.lower[program.t] = program.upper[program.t] = 0.0
    solver = solver_of(program, settings, gap)
    # The relaxation first: often it is whole by itself, and so the best; and the prices of scarcity are its prices, for
    # an integer program has none of its own.
    if not solver.run():
        return None
    found, value, reached, rows, reduced = solver.columns(), solver.objective(), 0.0, solver.duals(), solver.reduced()
    if program.is_whole(found):
        found = np.where(program.integer, np.round(found), found)
    else:
        solver.restrict()
        if not solver.run():
            return None
        found, value, reached = solver.columns(), solver.objective(), solver.gap()
    columns = drawn(program, found)
    # What is not drawn after all is not paid either (P1.J).
    taps = slice(len(program.cell[0]), program.first_z)
    value += float(program.cost[taps] @ (columns[taps] - found[taps]))
    value -= float(program.world.stop @ program.world.count)  # P3.3: what runs on has not been stopped.
    if program.penalty is not None:
        # Duals would be those of force.
        value -= float(program.penalty @ columns)
        value = _cost(program, columns) if program.world.objective == "cost" else value
        return replace(plain(program, columns, value), gap=reached)
    bare = plain(program, columns, value)
    if program.world.objective == "cost":
        return replace(bare, objective_value=_cost(program, columns), gap=reached)
    hours = program.world.snapshot.window_hours
    own, copied = np.zeros(len(program.world.count)), np.zeros(len(program.cell[0]))
    for r, (rule, c) in enumerate(program.rows.label):
        if rule == "P1.A":
            own[c] = rows[r]
        elif rule == "P1.D":
            mine = program.rows.index[r][:-1]
            copied[mine] += program.rows.value[r][:-1] * rows[r]
    # What a column would add beside its price for the class itself: all other prices are in it. The relaxation shares
    # the price of a copy out over readers there could be; a real first reader pays all of it, and the next nothing.
    net, (of, pool) = np.full(program.world.rate.shape, -np.inf), program.cell
    others = reduced[: len(of)] + program.world.weigh[of, pool] * own[of]
    net[of, pool] = (others + copied - program.world.stop[of]) / hours
    return replace(
        bare,
        gap=reached,
        scarcity=np.maximum(0.0, rows[program.pool_rows()]) / hours,
        duals=np.abs(rows[[limit.row for limit in program.limits]]) / hours,
        net=net - bare.copy,
    )


def _cost(program: Program, columns: Floats) -> float:
    """USD over the window, without what makes the program place all that it can; duals mean nothing then."""
    cells = len(program.cell[0])
    world = program.world
    bonus = place_bonus(world)[program.cell]
    cost = program.cost if program.penalty is None else program.cost - program.penalty
    return float((bonus - cost[:cells]) @ columns[:cells] - cost[cells:] @ columns[cells:])

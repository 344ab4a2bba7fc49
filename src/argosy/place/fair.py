"""Fair: shares of time under the objectives that look at the worst off, and the prices that prove them.

P1.M  max_min                 rate x / (equal x weight)                        >= t,  equal: a proportional share of all
P1.W  least_attained_service  (attained + window rate x) / (equal x weight)    >= t
P1.T  finish_time_fairness    (elapsed + remaining / rate x) / (elapsed + remaining / equal) <= rho, rho by bisection
P1.K  makespan                remaining / rate x                               <= 1 / t
P1.Z  Prices of the linear program at its optimum: with them nobody needs a solver to see that t cannot be higher.
After t the rest of the capacity is given to whoever makes the most of it, so that nothing idles for fairness' sake. A
copy of data counts then as much progress as its price is worth to the dearest of its readers.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from argosy.errors import BadInput, Problem, SolverError
from argosy.place.pairs import add_pairs, normalised, worthwhile
from argosy.place.program import build, fair_rows
from argosy.place.rows import Program
from argosy.place.solution import Proof, Solution, drawn, plain
from argosy.place.solver import Solver, solver_of
from argosy.place.world import Bools, Floats, World
from argosy.settings import Settings

BISECTIONS = 60
PRECISION = 1e-7
NO_PROGRESS = "some work can make no progress at all within the limits and beside what may not be stopped; use max_min"
HELD = 1e-8
"""How much less than was found is asked for when an amount is held, so that rounding makes nothing impossible."""


def first_classes(world: World) -> Bools:
    """P4.7: (C,) classes that shares of time have nothing to say about. BadInput when that is all of them.

    Work that flows is wanted at every hour; where ends count, work without one has none to look at.
    """
    asks = [world.ask(c) for c in range(len(world.count))]
    flows = np.array([ask.units_per_hour is not None for ask in asks], dtype=np.bool_)
    if world.objective not in ("finish_time_fairness", "makespan"):
        return flows
    endless = np.array([ask.remaining_units is None for ask in asks], dtype=np.bool_)
    if asks and endless.all():
        words = f"of at least one ask, and {asks[0].id} has none: give asks that end (`reference_hours` in --jobs)"
        message = f"{world.objective} needs remaining_units {words}"
        raise BadInput([Problem("snapshot", 0, 0, "place.remaining", "remaining_units", message)])
    return flows | endless


def equal_share(world: World) -> Floats:
    """(C,) units per hour of one ask with its proportional share of every pool it may use, at most all of its time."""
    most = np.where(world.fits, world.most[None, :], 0.0)
    total = most.sum(axis=1)
    return np.asarray(np.divide((world.rate * most).sum(axis=1), total, out=np.zeros(len(total)), where=total > 0))


def shares(world: World, settings: Settings, placed: Floats) -> Solution:
    """The fairest shares of time beside what was placed first (C, P)."""
    program = _program(world, placed)
    equal = equal_share(world)[program.fair]
    asks = [world.ask(c) for c in program.fair.tolist()]
    weight = np.array([ask.weight for ask in asks])
    window = world.snapshot.window_hours
    if world.objective == "max_min":
        need, slope = np.zeros(len(asks)), equal * weight
    elif world.objective == "least_attained_service":
        need, slope = -np.array([ask.attained_units for ask in asks]) / window, equal * weight / window
    elif world.objective == "makespan":
        # t in units of the longest time that anybody would need alone, so that it lies near 1.
        need, slope = np.zeros(len(asks)), _remaining(program) / _alone_hours(program)
    else:
        need = np.zeros(len(asks))
        rho = _finish_time(_program(world, placed), settings, equal) if asks else 0.0
        slope = _wanted(program, equal, rho)
        return _level(program, settings, need, slope, fixed=rho)
    return _level(program, settings, need, slope)


def _program(world: World, placed: Floats) -> Program:
    """The program with what was placed first held, gangs only where they fit beside it, and every copy free."""
    first = first_classes(world)
    program = build(world)
    of, pool = program.cell
    x = len(of)
    mine = np.flatnonzero(first[of])
    program.upper[mine] = placed[of[mine], pool[mine]]
    program.lower[mine] = program.upper[mine] * (1 - HELD)
    beside = world.most - world.accelerators[first] @ placed[first]
    others = np.flatnonzero(~first[of] & (world.accelerators[of] > beside[pool] + 1e-9) & (program.lower[:x] <= 0))
    program.upper[others] = 0.0
    z = slice(program.first_z, program.first_unmet)
    program.lower[z] = 1.0
    able = np.bincount(of, weights=program.upper[:x] > 0, minlength=len(first)) > 0
    program.fair = np.flatnonzero(able & ~first)
    open_to = np.zeros(world.rate.shape, dtype=np.bool_)
    open_to[program.cell] = (program.upper[:x] > 0) & ~first[of]
    add_pairs(program, worthwhile(world, open_to))
    return program


def _level(program: Program, settings: Settings, need: Floats, slope: Floats, fixed: float | None = None) -> Solution:
    """The highest t with progress >= need + slope t for all, its proof, and the rest given away.

    `fixed` is the ratio of finish times that bisection has found: t is 1 then.
    """
    world = program.world
    scale = fair_rows(program, need, slope)
    program.cost[:] = 0.0
    program.cost[program.t] = 1.0
    if not len(need):
        program.lower[program.t] = program.upper[program.t] = 0.0
    solver = solver_of(program, settings, 0.0)
    solver.restrict()
    if not solver.run():
        raise SolverError("no placement keeps what may not be stopped within the capacity")
    best = solver.objective() if len(need) else 0.0
    proof, bound = _proof(program, solver, settings, scale)
    gap = max(0.0, bound - best) / max(abs(bound), 1e-12) if len(need) else 0.0
    value = best if fixed is None else fixed
    if world.objective == "makespan":
        if len(need) and best <= 1e-12:
            raise SolverError(NO_PROGRESS)
        value = _alone_hours(program) / best if best > 0 else 0.0
    hold = min(best, 1.0) if fixed is not None else best
    columns = _rest(program, solver, hold - HELD * max(1e-2, abs(hold)))
    return replace(plain(program, columns, float(value)), gap=gap if gap > PRECISION else 0.0, proof=proof)


def _proof(program: Program, solver: Solver, settings: Settings, scale: Floats) -> tuple[Proof, float]:
    """P1.Z: the prices, and t as the linear program has it. An integer program is proved by its relaxation."""
    if program.integer.any():
        solver = solver_of(program, settings, 0.0)
        if not solver.run():
            raise SolverError("no placement keeps what may not be stopped within the capacity")
    rows, world = solver.duals(), program.world
    at = {c: i for i, c in enumerate(program.fair.tolist())}
    progress, time = np.zeros(len(world.count)), np.zeros(len(world.count))
    for r, (rule, c) in enumerate(program.rows.label):
        if rule == "P1.F":
            progress[c] = max(0.0, -rows[r]) / scale[at[c]]
        elif rule == "P1.A":
            time[c] = max(0.0, rows[r])
    pool = np.maximum(0.0, rows[program.pool_rows()])
    limit = np.maximum(0.0, rows[[row.row for row in program.limits]])
    return Proof(first_classes(world), progress, time, pool, limit), solver.objective()


def _rest(program: Program, solver: Solver, t: float) -> Floats:
    """With fairness held, the most normalised progress from what is left."""
    world, (of, pool) = program.world, program.cell
    solver.bounds(program.t, t, t)
    for w, usd in enumerate(_copies(world)):
        solver.bounds(program.first_z + w, 0.0, 1.0)
        program.cost[program.first_z + w] = -usd
    best = world.rate.max(axis=1)
    program.cost[program.t] = 0.0
    program.cost[: len(of)] = world.rate[of, pool] / best[of]
    program.cost[program.first_pair : program.t] = normalised(program, best)
    held = solver.columns()
    solver.costs(program.cost)
    # The fair part stands by itself; what could be added to it may be small or numerically out of reach.
    return drawn(program, solver.columns() if solver.try_run() else held)


def _copies(world: World) -> Floats:
    """(W,) price of each way as progress: over a window's work of the dearest of its readers."""
    worth = np.zeros(len(world.ways))
    best = world.rate.max(axis=1)
    for c, by_pool in enumerate(world.needs):
        for ways in by_pool:
            for way in ways:
                mine = best[c] * world.ask(c).usd_per_unit * world.snapshot.window_hours
                worth[way] = max(worth[way], float(mine))
    usd = np.array([way.usd for way in world.ways])
    return np.asarray(np.divide(usd, worth, out=np.full(len(usd), 1e3), where=worth > 0))


def _wanted(program: Program, equal: Floats, rho: float) -> Floats:
    """P1.T: units per hour that one ask of each class needs for a ratio of finish times."""
    remaining = _remaining(program)
    elapsed = np.array([program.world.ask(c).elapsed_hours for c in program.fair.tolist()])
    left = rho * (elapsed + remaining / equal) - elapsed
    return np.asarray(remaining / np.maximum(left, 1e-300))


def _finish_time(program: Program, settings: Settings, equal: Floats) -> float:
    """Bisection on rho; each step changes the right-hand sides of P1.F only and starts from the last basis."""
    world = program.world
    elapsed = np.array([world.ask(c).elapsed_hours for c in program.fair.tolist()])
    isolated = elapsed + _remaining(program) / equal
    fair_rows(program, np.zeros(len(equal)), np.zeros(len(equal)))
    program.cost[:] = 0.0
    program.lower[program.t] = program.upper[program.t] = 0.0
    first = len(program.rows.low) - len(equal)
    solver = solver_of(program, settings, 0.0)
    solver.restrict()

    def reach(rho: float) -> bool:
        if (rho * isolated - elapsed <= 0).any():
            return False
        for i, units in enumerate(_wanted(program, equal, rho).tolist()):
            solver.row_low(first + i, float(units))
        return solver.run()

    low, high = 0.0, 1.0
    while not reach(high):
        low, high = high, high * 2
        if high > 1e9:
            raise SolverError(NO_PROGRESS)
    for _ in range(BISECTIONS):
        if high - low <= PRECISION * high:
            break
        middle = (low + high) / 2
        low, high = (low, middle) if reach(middle) else (middle, high)
    return high


def _alone_hours(program: Program) -> float:
    """Hours of the longest work, alone in the pool that is fastest for it; 1 where there is none."""
    fastest = program.world.rate[program.fair].max(axis=1, initial=0.0)
    return float((_remaining(program) / fastest).max()) if len(fastest) else 1.0


def _remaining(program: Program) -> Floats:
    return np.array([program.world.ask(c).remaining_units for c in program.fair.tolist()], dtype=float)

"""Solve: the columns that are best for an objective, with the gap and the prices of scarcity.

P1.M  max_min                 rate x / (equal x weight)                        >= t,  equal: a proportional share of all
P1.W  least_attained_service  (attained + window rate x) / (equal x weight)    >= t
P1.T  finish_time_fairness    (elapsed + remaining / rate x) / (elapsed + remaining / equal) <= rho, rho by bisection
P1.K  makespan                remaining / rate x                               <= 1 / t
After t the rest of the capacity is given to whoever makes the most of it, so that nothing idles for fairness' sake.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from argosy.errors import BadInput, Problem, SolverError
from argosy.place.program import build, fair_rows, place_bonus
from argosy.place.rows import Program
from argosy.place.solver import Solver
from argosy.place.world import Floats, World
from argosy.settings import Settings

BISECTIONS = 40


@dataclass(frozen=True, slots=True)
class Solution:
    """What the solver found."""

    program: Program
    columns: Floats
    objective_value: float
    gap: float
    scarcity: Floats
    """(P,) dual of P1.P for each accelerator-hour, USD (0 for fair objectives)."""
    duals: Floats
    """(limits,) dual of each limit for each unit and hour, USD; 0 for fair objectives and cost."""
    net: Floats
    """(C, P) gain per hour of one ask less the price of every limit it takes from and of copies that it would be the
    first to need; -inf where it may not run."""
    copy: Floats
    """(C, P) USD per hour of those copies; 0 where its data is or has been ordered."""

    @property
    def share(self) -> Floats:
        """(C, P) asks of each class in each pool."""
        world = self.program.world
        share = np.zeros(world.rate.shape)
        share[self.program.cell] = np.maximum(0.0, self.columns[: len(self.program.cell[0])])
        return share

    @property
    def taps(self) -> Floats:
        """(Y,) accelerators drawn from supplies."""
        x = len(self.program.cell[0])
        return self.columns[x : x + len(self.program.tap[0])]

    @property
    def ordered(self) -> Floats:
        """(W,) ways that are ordered."""
        return self.columns[self.program.first_z : self.program.first_unmet]


def solve(world: World, settings: Settings, gap: float, room: Floats | None = None) -> Solution:
    """The best placement, with at most `room` (C, P) of each class in each pool where that is given.

    SolverError when there is none that keeps all rules, which only fixed asks can cause.
    """
    program = build(world, room)
    if world.integral:
        program.lower[program.t] = program.upper[program.t] = 0.0
        found = _whole(program, settings, gap)
        if found is None:
            # A limit has fallen below what runs: something must stop although nobody takes its place.
            program = build(world, room, forced=True)
            program.lower[program.t] = program.upper[program.t] = 0.0
            found = _whole(program, settings, gap)
        if found is None:
            raise SolverError("no placement keeps what may not be stopped within the capacity")
        return found
    return _fair(program, settings)


def _whole(program: Program, settings: Settings, gap: float) -> Solution | None:
    solver = _solver(program, settings, gap)
    if not solver.run():
        return None
    found, value, reached = solver.columns(), solver.objective(), solver.gap()
    columns = drawn(program, found)
    # What is not drawn after all is not paid either (P1.J).
    taps = slice(len(program.cell[0]), program.first_z)
    value += float(program.cost[taps] @ (columns[taps] - found[taps]))
    if program.penalty is not None:
        # Prices would be those of force.
        value = (
            _cost(program, columns) if program.world.objective == "cost" else value - float(program.penalty @ columns)
        )
        return replace(_plain(program, columns, value), gap=reached)
    # The prices of scarcity are those of the relaxation: an integer program has none of its own.
    solver.relax()
    plain = _plain(program, columns, value)
    if program.world.objective == "cost":
        return replace(plain, objective_value=_cost(program, columns), gap=reached)
    if not solver.run():
        return replace(plain, gap=reached)
    hours, rows = program.world.snapshot.window_hours, solver.duals()
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
    net[of, pool] = (solver.reduced()[: len(of)] + program.world.weigh[of, pool] * own[of] + copied) / hours
    return replace(
        plain,
        gap=reached,
        scarcity=np.maximum(0.0, rows[program.pool_rows()]) / hours,
        duals=np.abs(rows[[limit.row for limit in program.limits]]) / hours,
        net=net - plain.copy,
    )


def _copies(program: Program, columns: Floats) -> Floats:
    """(C, P) USD per hour of the copies that are not ordered and that one ask would need."""
    world = program.world
    ordered = columns[program.first_z : program.first_unmet] > 0.5
    copy = np.zeros(world.rate.shape)
    for c, row in enumerate(world.needs):
        for p, ways in enumerate(row):
            copy[c, p] = sum(world.ways[w].usd for w in ways if not ordered[w])
    return copy / world.snapshot.window_hours


def drawn(program: Program, columns: Floats) -> Floats:
    """The same with no more drawn from supplies than is used: the program does not mind, its readers do.

    What counts towards a floor stays as it is (P1.Y has kept it below what is used); of the rest the last goes first.
    """
    world, snapshot = program.world, program.world.snapshot
    x, columns = len(program.cell[0]), columns.copy()
    use = np.zeros(len(world.capacity))
    np.add.at(use, program.cell[1], world.accelerators[program.cell[0]] * columns[:x])
    owed = {floor.supply for floor in snapshot.burn_downs} if world.integral else set()
    need = np.maximum(0.0, use - world.capacity)
    lines, pools = program.tap
    for counts in (True, False):
        for j, (line, p) in enumerate(zip(lines.tolist(), pools.tolist(), strict=True)):
            if (snapshot.supplies[line].id in owed) == counts:
                columns[x + j] = columns[x + j] if counts else min(columns[x + j], need[p])
                need[p] = max(0.0, need[p] - columns[x + j])
    return columns


def _plain(program: Program, columns: Floats, value: float) -> Solution:
    """A solution without prices."""
    world = program.world
    copy = _copies(program, columns)
    net = np.where(world.rate > 0, world.gain / world.snapshot.window_hours - copy, -np.inf)
    scarcity, duals = np.zeros(len(world.capacity)), np.zeros(len(program.limits))
    return Solution(program, columns, value, 0.0, scarcity, duals, np.asarray(net), copy)


def _cost(program: Program, columns: Floats) -> float:
    """USD over the window, without what makes the program place all that it can; duals mean nothing then."""
    cells = len(program.cell[0])
    world = program.world
    bonus = place_bonus(world)[program.cell]
    cost = program.cost if program.penalty is None else program.cost - program.penalty
    return float((bonus - cost[:cells]) @ columns[:cells] - cost[cells:] @ columns[cells:])


def equal_share(world: World) -> Floats:
    """(C,) units per hour of one ask with its proportional share of every pool it may use, at most all of its time."""
    most = np.where(world.rate > 0, world.most[None, :], 0.0)
    total = most.sum(axis=1)
    return np.asarray(np.divide((world.rate * most).sum(axis=1), total, out=np.zeros(len(total)), where=total > 0))


def _fair(program: Program, settings: Settings) -> Solution:
    world = program.world
    equal = equal_share(world)
    program.fair = np.flatnonzero(equal > 0)
    asks = [world.ask(c) for c in program.fair.tolist()]
    weight = np.array([ask.weight for ask in asks])
    attained = np.array([ask.attained_units for ask in asks])
    equal = equal[program.fair]
    window = world.snapshot.window_hours
    if world.objective == "max_min":
        need, slope = np.zeros(len(asks)), equal * weight
    elif world.objective == "least_attained_service":
        need, slope = -attained / window, equal * weight / window
    elif world.objective == "makespan":
        need, slope = np.zeros(len(asks)), _remaining(program)
    else:
        return _finish_time(program, settings, equal)
    fair_rows(program, need, slope)
    program.cost[program.t] = 1.0
    if not asks:
        program.lower[program.t] = program.upper[program.t] = 0.0
    solver = _solver(program, settings, 0.0)
    if not solver.run():
        raise SolverError("no placement keeps what may not be stopped within the capacity")
    best = solver.objective() if asks else 0.0
    value = (1 / best if best > 0 else np.inf) if world.objective == "makespan" else best
    slack = 1e-7 * max(1.0, abs(best))
    return _rest(program, solver, value, best - slack)


def _finish_time(program: Program, settings: Settings, equal: Floats) -> Solution:
    """Bisection on rho; each step changes the right-hand sides of P1.F only and starts from the last basis."""
    world = program.world
    remaining = _remaining(program)
    elapsed = np.array([world.ask(c).elapsed_hours for c in program.fair.tolist()])
    isolated = elapsed + remaining / equal
    fair_rows(program, np.zeros(len(equal)), np.zeros(len(equal)))
    program.lower[program.t] = program.upper[program.t] = 0.0
    first = len(program.rows.low) - len(equal)
    solver = _solver(program, settings, 0.0)

    def reach(rho: float) -> bool:
        left = rho * isolated - elapsed
        if (left <= 0).any():
            return False
        for i, c in enumerate(program.fair.tolist()):
            solver.row_low(first + i, float(world.count[c] * remaining[i] / left[i]))
        return solver.run()

    low, high = 0.0, 1.0
    while not reach(high):
        low, high = high, high * 2
        if high > 1e9:
            raise SolverError("some work can make no progress at all beside what may not be stopped")
    for _ in range(BISECTIONS):
        if high - low <= 1e-6 * high:
            break
        middle = (low + high) / 2
        low, high = (low, middle) if reach(middle) else (middle, high)
    reach(high)
    return _rest(program, solver, high, None)


def _remaining(program: Program) -> Floats:
    asks = [program.world.ask(c) for c in program.fair.tolist()]
    endless = [ask.id for ask in asks if ask.remaining_units is None]
    if endless:
        message = f"{program.world.objective} needs remaining_units of every ask; {endless[0]} has none"
        raise BadInput([Problem("snapshot", 0, 0, "place.remaining", "remaining_units", message)])
    return np.array([ask.remaining_units for ask in asks], dtype=float)


def _rest(program: Program, solver: Solver, value: float, t: float | None) -> Solution:
    """With fairness held, the most normalised progress from what is left."""
    world, (of, pool) = program.world, program.cell
    if t is not None:
        solver.bounds(program.t, t, t)
    cost = np.zeros(len(program.cost))
    best = world.rate.max(axis=1)
    cost[: len(of)] = world.rate[of, pool] / best[of]
    held = solver.columns()
    solver.costs(cost)
    if not solver.try_run():
        # The fair part stands by itself; what could be added to it is small or numerically out of reach.
        return _plain(program, drawn(program, held), float(value))
    return _plain(program, drawn(program, solver.columns()), float(value))


def _solver(program: Program, settings: Settings, gap: float) -> Solver:
    return Solver(program, threads=settings.solver_threads, time_limit_seconds=settings.time_limit_seconds, gap=gap)

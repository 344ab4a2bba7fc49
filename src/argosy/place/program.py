"""Program: the arrays of a world as a linear or integer program, rows labelled by the rules of docs/concepts/place.md.

Columns: x (one per allowed class and pool), y (one per supply and pool it may serve), z (one per way), t (one).

P1.A   sum_p weigh[c, p] x[c, p] <= want[c]   (1 and the count, or both in work per hour)
P1.P   sum_c accelerators[c] x[c, p] <= own[p] + sum_l y[l, p]
P1.L   sum_p draw[l, p] y[l, p] <= line[l]
P1.D   sum over a region's pools of x[c, p] <= the most that could be x[c, .] times z[way], for every way needed
P1.O   accelerators of a team <= its share of all capacity
P1.V   accelerators with a vendor <= share of all accelerators in use
P1.E   accelerators evicted from p <= accelerators of newcomers that may preempt in p + capacity that is gone
P1.S   count[c] x[c, own pool] for what may not be stopped
P1.F   fair objectives: for every class, its normalised progress >= t (P1.M, P1.W, P1.T, P1.K say which)
"""

from __future__ import annotations

from dataclasses import dataclass

import highspy
import numpy as np

from argosy.errors import SolverError
from argosy.place.world import NONE, Bools, Floats, Ints, World

INF = highspy.kHighsInf


class Rows:
    """Collects rows one by one and keeps their labels."""

    def __init__(self) -> None:
        self.label: list[tuple[str, int]] = []
        self.low: list[float] = []
        self.high: list[float] = []
        self.start: list[int] = [0]
        self.index: list[Ints] = []
        self.value: list[Floats] = []

    def add(self, label: tuple[str, int], columns: Ints, values: Floats, low: float, high: float) -> None:
        """low <= values @ columns <= high."""
        self.label.append(label)
        self.low.append(low)
        self.high.append(high)
        self.index.append(np.asarray(columns, dtype=np.int64))
        self.value.append(np.broadcast_to(np.asarray(values, dtype=float), self.index[-1].shape))
        self.start.append(self.start[-1] + len(self.index[-1]))


@dataclass(slots=True)
class Program:
    """Columns, rows and objective (maximised)."""

    world: World
    cell: tuple[Ints, Ints]
    """(X,) class and (X,) pool of each x."""
    tap: tuple[Ints, Ints]
    """(Y,) supply and (Y,) pool of each y."""
    cost: Floats
    upper: Floats
    lower: Floats
    integer: Bools
    rows: Rows
    fair: Ints
    """Classes that the fair rows speak of."""

    @property
    def first_z(self) -> int:
        """Position of the first z."""
        return len(self.cell[0]) + len(self.tap[0])

    @property
    def t(self) -> int:
        """Position of t."""
        return len(self.cost) - 1

    def pool_rows(self) -> Ints:
        """(P,) position of the row P1.P of each pool."""
        found = np.full(len(self.world.capacity), NONE, dtype=np.int64)
        for r, (rule, p) in enumerate(self.rows.label):
            if rule == "P1.P":
                found[p] = r
        return found


def build(world: World) -> Program:
    """The program of a world; for fair objectives without the rows P1.F, which `fair_rows` adds."""
    allowed = world.rate > 0
    cells, taps = _positions(allowed), _positions(world.draw > 0)
    x_count, y_count, z_count = len(cells[0]), len(taps[0]), len(world.ways)
    columns = x_count + y_count + z_count + 1
    cost, lower, upper = np.zeros(columns), np.zeros(columns), np.full(columns, INF)
    integer = np.zeros(columns, dtype=np.bool_)
    cost[:x_count] = _worth(world)[cells]
    upper[:x_count] = world.upper[cells]
    whole = np.array([world.ask(c).units_per_hour is None for c in range(len(world.count))], dtype=np.bool_)
    integer[:x_count] = whole[cells[0]] & world.integral
    z = slice(x_count + y_count, columns - 1)
    cost[z] = [-way.usd for way in world.ways]
    upper[z] = 1.0
    integer[z] = True
    lower[-1], upper[-1] = -INF, INF
    program = Program(world, cells, taps, cost, upper, lower, integer, Rows(), np.zeros(0, dtype=np.int64))
    _class_rows(program)
    _pool_rows(program)
    _data_rows(program)
    _share_rows(program)
    _eviction_rows(program)
    return program


def _positions(where: Bools) -> tuple[Ints, Ints]:
    row, column = np.nonzero(where)
    return row.astype(np.int64), column.astype(np.int64)


def _worth(world: World) -> Floats:
    """(C, P) what placing one ask adds to the objective."""
    if world.objective == "value":
        return world.gain
    if world.objective == "cost":
        # All that can be placed is placed before the price counts.
        return place_bonus(world) - _paid(world)
    return np.zeros_like(world.rate)


def place_bonus(world: World) -> Floats:
    """(C, P) for the objective cost: more than any placement could cost, for each accelerator placed."""
    return np.asarray(
        np.where(world.rate > 0, 10.0 * (1.0 + _paid(world).max(initial=0.0)) * world.accelerators[:, None], 0.0)
    )


def _paid(world: World) -> Floats:
    """(C, P) USD over the window for one ask."""
    price = np.array([pool.usd_per_accelerator_hour for pool in world.snapshot.pools])
    hours = np.zeros_like(world.rate)
    for c in range(len(world.count)):
        ask = world.ask(c)
        with np.errstate(divide="ignore"):
            done = np.inf if ask.remaining_units is None else ask.remaining_units / world.rate[c]
        hours[c] = np.minimum(world.snapshot.window_hours, done)
    hours[world.rate <= 0] = 0.0
    return np.asarray(price[None, :] * world.accelerators[:, None] * hours + world.move)


def _class_rows(program: Program) -> None:
    world, (of, pool) = program.world, program.cell
    for c in range(len(world.count)):
        mine = np.flatnonzero(of == c)
        if not len(mine):
            continue
        program.rows.add(("P1.A", c), mine, world.weigh[c, pool[mine]], -INF, world.want[c])
        here = mine[pool[mine] == world.running[c]]
        if world.fixed[c] and len(here) and _held(world, c):
            program.lower[here] = world.count[c]  # P1.S


def _held(world: World, c: int) -> bool:
    """Whether the pool still has room for what may not be stopped there."""
    p = world.running[c]
    there = (world.fixed & (world.running == p)) * world.count * world.accelerators
    return bool(there.sum() <= world.most[p] + 1e-9)


def _pool_rows(program: Program) -> None:
    world, (of, pool), (line, tap_pool) = program.world, program.cell, program.tap
    x_count = len(of)
    for p in range(len(world.capacity)):
        mine, taps = np.flatnonzero(pool == p), np.flatnonzero(tap_pool == p)
        columns = np.concatenate([mine, x_count + taps])
        values = np.concatenate([world.accelerators[of[mine]], -np.ones(len(taps))])
        program.rows.add(("P1.P", p), columns, values, -INF, world.capacity[p])
    for i in range(len(world.line)):
        taps = np.flatnonzero(line == i)
        program.rows.add(("P1.L", i), x_count + taps, world.draw[i, tap_pool[taps]], -INF, world.line[i])


def _data_rows(program: Program) -> None:
    world, (of, pool) = program.world, program.cell
    waits: dict[tuple[int, int], list[int]] = {}
    for j, (c, p) in enumerate(zip(of.tolist(), pool.tolist(), strict=True)):
        for way in world.needs[c][p]:
            waits.setdefault((c, way), []).append(j)
    for (c, way), columns in waits.items():
        every = np.array([*columns, program.first_z + way])
        values = np.array([1.0] * len(columns) + [-max(1.0, world.upper[c].max())])
        program.rows.add(("P1.D", way), every, values, -INF, 0.0)


def _share_rows(program: Program) -> None:
    world, (of, pool) = program.world, program.cell
    snapshot = world.snapshot
    total = float(world.capacity.sum() + _line_accelerators(world).sum())
    owners = [world.ask(c).owner for c in range(len(world.count))]
    for i, (owner, share) in enumerate(sorted(snapshot.owner_shares.items())):
        mine = np.flatnonzero(np.array([owners[c] == owner for c in of.tolist()], dtype=np.bool_))
        program.rows.add(("P1.O", i), mine, world.accelerators[of[mine]], -INF, share * total)
    if snapshot.max_vendor_fraction is None:
        return
    vendor_of = {region.id: region.vendor for region in snapshot.regions}
    vendor = np.array([vendor_of[snapshot.pools[p].region] for p in pool.tolist()])
    for i, name in enumerate(sorted(set(vendor.tolist()))):
        values = world.accelerators[of] * ((vendor == name) - snapshot.max_vendor_fraction)
        program.rows.add(("P1.V", i), np.arange(len(of)), values, -INF, 0.0)


def _line_accelerators(world: World) -> Floats:
    """(L,) most accelerators of each supply."""
    least = np.where(world.draw > 0, world.draw, np.inf).min(axis=1, initial=np.inf)
    return np.asarray(np.where(np.isfinite(least), world.line / np.where(np.isfinite(least), least, 1.0), 0.0))


def _eviction_rows(program: Program) -> None:
    """P1.E. What runs in a pool that it may no longer use, or that has shrunk below it, does not count."""
    world, (of, pool) = program.world, program.cell
    if not world.integral:
        return
    use = world.count * world.accelerators
    may = np.array([world.ask(c).may_preempt for c in range(len(world.count))], dtype=np.bool_)
    for p in range(len(world.capacity)):
        flows = np.array([world.ask(c).units_per_hour is not None for c in range(len(world.count))], dtype=np.bool_)
        there = np.flatnonzero((world.running == p) & (world.rate[:, p] > 0) & ~flows)
        if not len(there):
            continue
        gone = max(0.0, float(use[there].sum()) - float(world.most[p]))
        runs = np.flatnonzero(np.isin(of, there))
        new = np.flatnonzero((pool == p) & may[of] & (world.running[of] == NONE))
        columns = np.concatenate([runs, new])
        values = np.concatenate([world.accelerators[of[runs]], world.accelerators[of[new]]])
        program.rows.add(("P1.E", p), columns, values, float(use[there].sum()) - gone, INF)


def fair_rows(program: Program, need: Floats, slope: Floats) -> None:
    """P1.F: for each class of `program.fair`: sum_p rate x >= count (need + slope t)."""
    of = program.cell[0]
    for i, c in enumerate(program.fair.tolist()):
        mine = np.flatnonzero(of == c)
        values = np.append(program.world.rate[c, program.cell[1][mine]], -slope[i] * program.world.count[c])
        program.rows.add(("P1.F", c), np.append(mine, program.t), values, float(need[i] * program.world.count[c]), INF)


class Solver:
    """HiGHS with the program handed over as arrays; stays resident: a change of bounds starts from the basis."""

    def __init__(self, program: Program, *, threads: int, time_limit_seconds: float, gap: float) -> None:
        self.program = program
        rows = program.rows
        lp = highspy.HighsLp()
        lp.num_col_, lp.num_row_ = len(program.cost), len(rows.low)
        lp.sense_ = highspy.ObjSense.kMaximize
        lp.col_cost_, lp.col_lower_, lp.col_upper_ = program.cost, program.lower, program.upper
        lp.row_lower_, lp.row_upper_ = np.array(rows.low), np.array(rows.high)
        lp.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
        lp.a_matrix_.num_col_, lp.a_matrix_.num_row_ = lp.num_col_, lp.num_row_
        lp.a_matrix_.start_ = np.array(rows.start, dtype=np.int32)
        lp.a_matrix_.index_ = np.concatenate([np.zeros(0, dtype=np.int64), *rows.index]).astype(np.int32)
        lp.a_matrix_.value_ = np.concatenate([np.zeros(0), *rows.value])
        if program.integer.any():
            whole, part = highspy.HighsVarType.kInteger, highspy.HighsVarType.kContinuous
            kinds = [whole if integer else part for integer in program.integer]
            lp.integrality_ = kinds
        self.highs = highspy.Highs()
        for name, value in (
            ("output_flag", False),
            ("threads", threads),
            ("parallel", "off" if threads == 1 else "choose"),
            ("random_seed", 0),
            ("time_limit", time_limit_seconds),
            ("mip_rel_gap", gap),
            ("mip_abs_gap", 1e-9),
        ):
            self.highs.setOptionValue(name, value)
        self._ok(self.highs.passModel(lp), "the program was refused")

    def run(self) -> bool:
        """Solve; False when infeasible. SolverError when there is no answer that can be trusted."""
        self._ok(self.highs.run(), "the solver failed")
        status = self.highs.getModelStatus()
        if status == highspy.HighsModelStatus.kOptimal:
            return True
        if status in (highspy.HighsModelStatus.kInfeasible, highspy.HighsModelStatus.kUnboundedOrInfeasible):
            return False
        if status == highspy.HighsModelStatus.kTimeLimit and self.highs.getInfo().primal_solution_status == 2:
            return True
        raise SolverError(f"placement stopped with {self.highs.modelStatusToString(status)!r}")

    def try_run(self) -> bool:
        """Solve; False when there is no optimum to be had."""
        self._ok(self.highs.run(), "the solver failed")
        return bool(self.highs.getModelStatus() == highspy.HighsModelStatus.kOptimal)

    def columns(self) -> Floats:
        """The solution."""
        return np.array(self.highs.getSolution().col_value)

    def duals(self) -> Floats:
        """Of the rows; only after a linear program."""
        return np.array(self.highs.getSolution().row_dual)

    def objective(self) -> float:
        """Value found."""
        return float(self.highs.getInfo().objective_function_value)

    def gap(self) -> float:
        """Relative gap of an integer program; 0 for a linear one."""
        return max(0.0, float(self.highs.getInfo().mip_gap)) if self.program.integer.any() else 0.0

    def fix(self, values: Floats) -> None:
        """Make the program linear with its integer columns at these values."""
        whole = np.flatnonzero(self.program.integer).astype(np.int32)
        if len(whole):
            at = np.round(values[whole])
            self.highs.changeColsIntegrality(len(whole), whole, np.zeros(len(whole), dtype=np.uint8))
            self.highs.changeColsBounds(len(whole), whole, at, at)

    def relax(self) -> None:
        """Let the integer columns be anything between their bounds."""
        whole = np.flatnonzero(self.program.integer).astype(np.int32)
        if len(whole):
            self.highs.changeColsIntegrality(len(whole), whole, np.zeros(len(whole), dtype=np.uint8))

    def bounds(self, column: int, low: float, high: float) -> None:
        """Change the bounds of one column."""
        self.highs.changeColBounds(column, low, high)

    def costs(self, cost: Floats) -> None:
        """Change the objective."""
        self.highs.changeColsCost(len(cost), np.arange(len(cost), dtype=np.int32), cost)

    def row_low(self, row: int, low: float) -> None:
        """Change the lower bound of one row."""
        self.highs.changeRowBounds(row, low, INF)

    def _ok(self, status: highspy.HighsStatus, words: str) -> None:
        if status == highspy.HighsStatus.kError:
            raise SolverError(words)

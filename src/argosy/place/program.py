"""Program: the arrays of a world as a linear or integer program, rows labelled by the rules of docs/concepts/place.md.

P1.A   sum_p weigh[c, p] x[c, p] <= want[c]   (1 and the count, or both in work per hour)
P1.P   sum_c accelerators[c] x[c, p] <= own[p] + sum_l y[l, p]
P1.D   sum over a region's pools of x[c, p] <= the most that could be x[c, .] times z[way], for every way needed
P1.E   accelerators evicted from p <= accelerators of newcomers that may preempt in p + capacity that is gone
P5.17  the same of what is safe on spot: only newcomers that are not safe there count
P1.S   count[c] x[c, own pool] for what may not be stopped
P1.F   fair objectives: for every class, its normalised progress >= t (P1.M, P1.W, P1.T, P1.K say which)

Rows that bind several pools or classes together stand in `limits`.
"""

from __future__ import annotations

import numpy as np

from argosy.place.limits import apart_classes, extra_columns, limit_rows
from argosy.place.pairs import progress
from argosy.place.rows import INF, Program, Rows
from argosy.place.world import NONE, Bools, Floats, Ints, World

TRACE = 1e-5


def build(world: World, room: Floats | None = None, *, forced: bool = False, alone: bool = False) -> Program:
    """The program of a world; for fair objectives without the rows P1.F, which `fair_rows` adds.

    `room` (C, P) is the most of each class that its pool's nodes could hold, inf where nothing is known. With `forced`
    P1.E and P1.S may be broken at a price above all gains: for worlds where a limit has fallen below what runs. With
    `alone` nobody is stopped or stays for others (P1.E is left out): for what is placed before shares are given.
    """
    allowed = world.rate > 0
    cells, taps = _positions(allowed), _positions(world.draw > 0)
    x_count, y_count, z_count = len(cells[0]), len(taps[0]), len(world.ways)
    apart = apart_classes(world)
    more = len(world.snapshot.burn_downs) if world.integral else 0
    more += sum(1 + len(names) for names in apart.values())
    more += len(world.capacity) if forced else 0
    columns = x_count + y_count + z_count + more + 1
    cost, lower, upper = np.zeros(columns), np.zeros(columns), np.full(columns, INF)
    integer = np.zeros(columns, dtype=np.bool_)
    cost[:x_count] = _worth(world)[cells]
    if world.integral:
        cost[x_count : x_count + y_count] = -world.above[taps] * world.snapshot.window_hours  # P1.J
    upper[:x_count] = world.upper[cells] if room is None else np.minimum(world.upper, room)[cells]
    whole = np.array([world.ask(c).units_per_hour is None for c in range(len(world.count))], dtype=np.bool_)
    integer[:x_count] = whole[cells[0]] & world.integral
    z = slice(x_count + y_count, x_count + y_count + z_count)
    cost[z] = [-way.usd if world.integral else 0.0 for way in world.ways]
    upper[z] = 1.0
    integer[z] = True
    lower[-1], upper[-1] = -INF, INF
    program = Program(
        world, cells, taps, cost, upper, lower, integer, Rows(), np.zeros(0, dtype=np.int64), apart, [], forced
    )
    extra_columns(program)
    _class_rows(program)
    _pool_rows(program)
    _data_rows(program)
    limit_rows(program)
    if not alone:
        _eviction_rows(program)
    if forced:
        _force(program)
    return program


def _positions(where: Bools) -> tuple[Ints, Ints]:
    row, column = np.nonzero(where)
    return row.astype(np.int64), column.astype(np.int64)


def _worth(world: World) -> Floats:
    """(C, P) what placing one ask adds to the objective."""
    if world.objective == "value":
        return np.asarray(np.where(world.rate > 0, world.gain + world.stop[:, None], 0.0))
    if world.objective == "cost":
        # All that can be placed is placed before the price counts.
        return place_bonus(world) - _paid(world)
    return np.zeros_like(world.rate)


def place_bonus(world: World) -> Floats:
    """(C, P) for the objective cost: more than any placement could cost, for each accelerator placed.

    A trace more for what runs: of equals the newcomer waits.
    """
    most = _paid(world).max(initial=0.0) + world.above.max(initial=0.0) * world.snapshot.window_hours
    each = 10.0 * (1.0 + most) * world.accelerators * np.where(world.running == NONE, 1.0, 1.0 + TRACE)
    return np.asarray(np.where(world.rate > 0, each[:, None], 0.0))


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
    world, (of, pool), tap_pool = program.world, program.cell, program.tap[1]
    x_count = len(of)
    for p in range(len(world.capacity)):
        mine, taps = np.flatnonzero(pool == p), np.flatnonzero(tap_pool == p)
        columns = np.concatenate([mine, x_count + taps])
        values = np.concatenate([world.accelerators[of[mine]], -np.ones(len(taps))])
        program.rows.add(("P1.P", p), columns, values, -INF, world.capacity[p])


def _data_rows(program: Program) -> None:
    world, (of, pool) = program.world, program.cell
    waits: dict[tuple[int, int], list[int]] = {}
    for j, (c, p) in enumerate(zip(of.tolist(), pool.tolist(), strict=True)):
        for way in world.needs[c][p]:
            waits.setdefault((c, way), []).append(j)
    for (c, way), columns in waits.items():
        every = np.array([*columns, program.first_z + way])
        there = pool[columns]
        most = min(world.upper[c, there].sum(), world.want[c] / world.weigh[c, there].min())
        values = np.array([1.0] * len(columns) + [-max(1.0, most)])
        program.rows.add(("P1.D", way), every, values, -INF, 0.0)


def _eviction_rows(program: Program) -> None:
    """P1.E. What runs in a pool that it may no longer use, or that has shrunk below it, does not count."""
    world, (of, pool) = program.world, program.cell
    if not world.integral:
        return
    use = world.count * world.accelerators
    may = np.array([world.ask(c).may_preempt for c in range(len(world.count))], dtype=np.bool_)
    flows = np.array([world.ask(c).units_per_hour is not None for c in range(len(world.count))], dtype=np.bool_)
    for p in np.unique(world.running[world.running != NONE]).tolist():
        there = np.flatnonzero((world.running == p) & (world.rate[:, p] > 0) & ~flows)
        if not len(there):
            continue
        gone = max(0.0, float(use[there].sum()) - float(world.most[p]))
        new = np.flatnonzero((pool == p) & may[of] & (world.running[of] == NONE))
        safe = np.array([c for c, q in world.safe if q == p], dtype=np.int64)
        for rule, mine, newcomers in (
            ("P1.E", there, new),
            ("P5.17", there[np.isin(there, safe)], new[~np.isin(of[new], safe)]),
        ):
            if not len(mine):
                continue
            runs = np.flatnonzero(np.isin(of, mine))
            columns = np.concatenate([runs, newcomers])
            values = np.concatenate([world.accelerators[of[runs]], world.accelerators[of[newcomers]]])
            if program.forced:
                columns, values = np.append(columns, program.first_forced + p), np.append(values, 1.0)
            program.rows.add((rule, p), columns, values, float(use[mine].sum()) - gone, INF)


def _force(program: Program) -> None:
    """P1.E and P1.S at a price: a stop without a newcomer costs more than any gain, of what is fixed ten times that."""
    world, of = program.world, program.cell[0]
    dear = 100.0 * (1.0 + float(np.abs(program.cost[: len(of)] / world.accelerators[of]).max(initial=0.0)))
    program.penalty = np.zeros(len(program.cost))
    program.penalty[program.first_forced : program.t] = -dear
    fixed = np.flatnonzero(program.lower[: len(of)] > 0)
    program.penalty[fixed] = 10.0 * dear * world.accelerators[of[fixed]]
    program.lower[fixed] = 0.0
    program.cost = program.cost + program.penalty


def fair_rows(program: Program, need: Floats, slope: Floats) -> Floats:
    """P1.F: for each class of `program.fair`: sum_p rate x >= count (need + slope t).

    Each row is divided by count and slope, so that all have the scale of t; returns those divisors.
    """
    of = program.cell[0]
    count = program.world.count[program.fair]
    scale = np.where(slope > 0, count * slope, count)
    for i, c in enumerate(program.fair.tolist()):
        mine = np.flatnonzero(of == c)
        rate = program.world.rate[c, program.cell[1][mine]]
        beside, shared = progress(program, c)
        values = np.append(np.append(rate, shared) / scale[i], -slope[i] * count[i] / scale[i])
        low = float(need[i] * count[i] / scale[i])
        program.rows.add(("P1.F", c), np.append(np.append(mine, beside), program.t), values, low, INF)
    return scale

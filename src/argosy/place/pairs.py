"""Pairs: columns of shares of time for two asks on the same accelerators, in the program of a fair objective.

P6.5  Two classes of equal size whose kinds were measured beside each other may share the accelerators of a pool, if
      that does more than taking turns (P6.2). A pair takes time of both, accelerators once, and does each one's work at
      the speed measured beside the other. Of a team's share each takes half; masks are those of both.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from argosy.errors import BadInput, Problem
from argosy.place.rows import INF, Limit, Pairs, Program
from argosy.place.world import Bools, Floats, Ints, World

MOST_PAIRS = 400_000
TOGETHER = 1e-6


def worthwhile(world: World, open_to: Bools) -> Pairs:
    """P6.5: all pairs of classes that may share; `open_to` (C, P) says where each may have a share of time."""
    snapshot = world.snapshot
    if not snapshot.pairs or world.integral:
        return Pairs.none()
    told: dict[tuple[str, str, str], tuple[float, float]] = {}
    for row in snapshot.pairs:
        told[row.kind, row.beside, row.silicon] = row.speed_fraction, row.beside_speed_fraction
        told[row.beside, row.kind, row.silicon] = row.beside_speed_fraction, row.speed_fraction
    asks = [world.ask(c) for c in range(len(world.count))]
    able = [
        c
        for c, ask in enumerate(asks)
        if ask.kind is not None and ask.spread is None and not ask.firm_fraction and ask.accelerators >= 1
        and not world.fixed[c]
    ]  # fmt: skip
    found: list[tuple[int, int, int, float, float]] = []
    for i, c in enumerate(able):
        for d in able[i:]:
            if asks[c].accelerators != asks[d].accelerators or (c == d and world.count[c] < 2):
                continue
            for p, pool in enumerate(snapshot.pools):
                speed = told.get((str(asks[c].kind), str(asks[d].kind), pool.silicon))
                if speed and sum(speed) > 1 + TOGETHER and open_to[c, p] and open_to[d, p]:
                    found.append((c, d, p, *speed))
        if len(found) > MOST_PAIRS:
            words = f"more than {MOST_PAIRS:,} pairs may share; give fewer kinds, or leave pairs out that gain little"
            raise BadInput([Problem("snapshot", 0, 0, "place.pairs", "pairs", words)])
    if not found:
        return Pairs.none()
    first, second, pool_of, one, other = (np.array(row) for row in zip(*found, strict=True))
    return Pairs(first, second, pool_of, (one.astype(float), other.astype(float)))


def add_pairs(program: Program, pairs: Pairs) -> None:
    """Columns and their part in every row that is there; P1.F is added later and asks `progress`."""
    number = len(pairs)
    program.pairs = pairs
    if not number:
        return
    world, rows = program.world, program.rows
    t = program.t
    program.cost = np.insert(program.cost, t, np.zeros(number))
    program.lower = np.insert(program.lower, t, np.zeros(number))
    program.upper = np.insert(program.upper, t, np.full(number, INF))
    program.integer = np.insert(program.integer, t, np.zeros(number, dtype=np.bool_))
    at = np.arange(t, t + number)
    size = world.accelerators[pairs.first]
    for r, (rule, i) in enumerate(rows.label):
        if rule == "P1.A":
            _extend(program, r, at, (pairs.first == i).astype(float) + (pairs.second == i))
        elif rule == "P1.P":
            _extend(program, r, at, size * (pairs.pool == i))
    for j, limit in enumerate(program.limits):
        used, growth = _takes(world, pairs, limit)
        _extend(program, limit.row, at, used - growth)
        program.limits[j] = replace(
            limit,
            columns=np.concatenate([limit.columns, at]),
            used=np.concatenate([limit.used, used]),
            growth=np.concatenate([limit.growth, growth]),
        )
    rows.start = np.concatenate([[0], np.cumsum([len(index) for index in rows.index])]).astype(np.int64).tolist()
    for k, (c, d, p) in enumerate(zip(pairs.first.tolist(), pairs.second.tolist(), pairs.pool.tolist(), strict=True)):
        for way in {*world.needs[c][p], *world.needs[d][p]}:
            most = -max(1.0, float(world.count[c]))
            rows.add(("P1.D", way), np.array([at[k], program.first_z + way]), np.array([1.0, most]), -INF, 0.0)


def progress(program: Program, c: int) -> tuple[Ints, Floats]:
    """Columns of pairs in which a class is, and the units per hour that it does there."""
    pairs, rate = program.pairs, program.world.rate[c]
    amount = np.where(pairs.first == c, rate[pairs.pool] * pairs.speed[0], 0.0)
    amount += np.where(pairs.second == c, rate[pairs.pool] * pairs.speed[1], 0.0)
    mine = np.flatnonzero(amount)
    return program.first_pair + mine, amount[mine]


def normalised(program: Program, best: Floats) -> Floats:
    """(K,) progress of both, over what each does alone where it is fastest."""
    pairs, rate = program.pairs, program.world.rate
    one = rate[pairs.first, pairs.pool] * pairs.speed[0] / best[pairs.first]
    return np.asarray(one + rate[pairs.second, pairs.pool] * pairs.speed[1] / best[pairs.second])


def _extend(program: Program, r: int, at: Ints, values: Floats) -> None:
    some = values != 0
    program.rows.index[r] = np.concatenate([program.rows.index[r], at[some]])
    program.rows.value[r] = np.concatenate([program.rows.value[r], values[some]])


def _takes(world: World, pairs: Pairs, limit: Limit) -> tuple[Floats, Floats]:
    """(K,) what a pair uses of a limit, and how much of it the pair brings."""
    snapshot, size = world.snapshot, world.accelerators[pairs.first]
    none = np.zeros(len(pairs))
    vendor = np.array([world.vendors[p] == limit.name for p in pairs.pool.tolist()], dtype=np.bool_)
    if limit.rule == "P1.O":
        mine = np.array([world.ask(c).owner == limit.name for c in range(len(world.count))], dtype=float)
        return size * (mine[pairs.first] + mine[pairs.second]) / 2, none
    if limit.rule == "P1.V":
        return size * vendor, size * (snapshot.max_vendor_fraction or 0.0)
    if limit.rule == "P1.C":
        critical = np.array([world.ask(c).critical for c in range(len(world.count))], dtype=float)
        work = world.rate[pairs.first, pairs.pool] * pairs.speed[0] * critical[pairs.first]
        work += world.rate[pairs.second, pairs.pool] * pairs.speed[1] * critical[pairs.second]
        return work * vendor, work * (snapshot.max_critical_vendor_fraction or 0.0)
    if limit.rule == "P1.G":
        row = next(row for row in snapshot.power_limits if row.id == limit.name)
        kw = np.array([(p.facility_kw_per_accelerator or 0.0) * (p.id in row.pools) for p in snapshot.pools])
        return size * kw[pairs.pool] / 1000.0, none
    if limit.rule == "P1.N":
        here = np.array([pool.id == limit.name for pool in snapshot.pools], dtype=float)
        return size * here[pairs.pool], none
    # P1.L is drawn by pools, P1.H and P1.Q speak of asks that do not share.
    return none, none

"""Result, use: capacity, work, dispatch, adequacy and footprint by month and year. Called by `result`."""

from __future__ import annotations

import numpy as np

from argosy.model.decision import AdequacyMonth, Dispatch, FootprintYear, PoolMonth, WorkMonth
from argosy.plan.program import Floats
from argosy.plan.project_results import saved_by
from argosy.plan.result_reader import SMALL, Reader, mean_later_sizes


def capacity(reader: Reader) -> tuple[PoolMonth, ...]:
    """Committed capacity of a pool is what lines deliver there; a line in several pools is split by use."""
    program, y = reader.program, reader.values.second
    columns = reader.values.capacity_columns()
    there = np.zeros((program.shape["S"], program.shape["N"], program.shape["T"]))
    for i, (n, c) in enumerate(zip(program.link_line, program.link_column, strict=True)):
        there[:, n] += program.link_capacity[:, i] * columns[c]
    committed = program.stock.copy()
    for j, (n, p) in enumerate(zip(program.use_line, program.use_pool, strict=True)):
        siblings = np.flatnonzero(program.use_line == n)
        if len(siblings) == 1:
            committed[:, p] += there[:, n] / program.use_draw[j]
        else:
            committed[:, p] += y["use"][:, j]
    taken = np.zeros_like(committed)
    for i, p in enumerate(program.open_pool):
        taken[:, p] += y["open"][:, i]
    used = np.zeros_like(committed)
    for a, p in enumerate(program.arc_pool):
        used[:, p] += y["work"][:, a]
    means = [reader.mean(v) * reader.scale for v in (committed, taken, used)]
    low, high = committed.min(axis=0) * reader.scale, committed.max(axis=0) * reader.scale
    return tuple(
        PoolMonth(
            pool=pool.id,
            month=reader.month(m),
            committed_accelerators=float(means[0][p, t]),
            committed_low_accelerators=float(low[p, t]),
            committed_high_accelerators=float(high[p, t]),
            open_accelerators=float(means[1][p, t]),
            used_accelerators=float(means[2][p, t]),
        )
        for p, pool in enumerate(reader.world.pools)
        for t in range(program.shape["T"])
        for m in reader.months(t)
    )


def work(reader: Reader) -> tuple[WorkMonth, ...]:
    """Demand and service by workload and month."""
    program, y = reader.program, reader.values.second
    workloads = list(dict.fromkeys(ask.workload for ask in reader.world.asks))
    if not workloads:
        return ()
    of = np.array([workloads.index(ask.workload) for ask in reader.world.asks])
    done = np.zeros_like(program.demand)
    for a, d in enumerate(program.arc_demand):
        done[:, d] += program.arc_yield[a] * y["work"][:, a]
    done += saved_by(program, y["saved"])

    def grouped(values: Floats) -> Floats:
        return np.stack([values[:, of == w].sum(axis=1) for w in range(len(workloads))], axis=1) * reader.scale

    demand, served = grouped(program.demand), grouped(done)
    unserved, backlog = grouped(y["unserved"]), grouped(y["backlog"])
    return tuple(
        WorkMonth(
            workload=workload,
            month=reader.month(m),
            demand_units=float(reader.mean(demand)[w, t]),
            demand_low_units=float(demand[:, w, t].min()),
            demand_high_units=float(demand[:, w, t].max()),
            served_units=float(reader.mean(served)[w, t]),
            unserved_units=float(reader.mean(unserved)[w, t]),
            unserved_high_units=float(unserved[:, w, t].max()),
            backlog_units=float(reader.mean(backlog)[w, t]),
        )
        for w, workload in enumerate(workloads)
        for t in range(program.shape["T"])
        for m in reader.months(t)
    )


def dispatch(reader: Reader) -> tuple[Dispatch, ...]:
    """Mean use by work and pool; one row per period, dated with its first month, where there is any."""
    mean = reader.mean(reader.values.second["work"]) * reader.scale
    out = []
    for a, arc in enumerate(reader.inputs.arcs):
        ask, pool = reader.world.asks[arc.ask], reader.world.pools[arc.pool]
        for t in np.flatnonzero(mean[a] > SMALL * reader.scale).tolist():
            out.append(
                Dispatch(
                    workload=ask.workload,
                    home=ask.home,
                    pool=pool.id,
                    month=reader.world.calendar.month(t),
                    accelerators=float(mean[a, t]),
                )
            )
    return tuple(out)


def adequacy(reader: Reader) -> tuple[AdequacyMonth, ...]:
    """The worst single loss of each month."""
    program = reader.program
    if not reader.inputs.losses:
        return ()
    size = reader.values.first["size"]
    remains = (program.adequacy_base + np.einsum("qkt,k->qt", program.adequacy_size, size)) * reader.scale
    required = program.adequacy_required * reader.scale
    out: list[AdequacyMonth] = []
    for t in range(program.shape["T"]):
        q = int(remains[:, t].argmin())
        out.extend(
            AdequacyMonth(
                month=reader.month(m),
                lost=reader.inputs.losses[q],
                required_units=float(required[t]),
                remaining_units=float(remains[q, t]),
                gap_units=float(max(0.0, required[t] - remains[q, t])),
            )
            for m in reader.months(t)
        )
    return tuple(out)


def footprint(reader: Reader) -> tuple[FootprintYear, ...]:
    """Mean emissions and highest mean power by fiscal year; left out where a pool's facts are unknown."""
    program = reader.program
    used = np.zeros((program.shape["P"], program.shape["T"]))
    work = reader.mean(reader.values.second["work"])
    for a, p in enumerate(program.arc_pool):
        used[p] += work[a]
    touched = used.max(axis=1, initial=0.0) > SMALL
    if np.isnan(program.pool_carbon[touched]).any() or np.isnan(program.pool_mw[touched]).any():
        return ()
    tonnes = (program.pool_carbon[touched] * used[touched]).sum(axis=0)
    mw = (program.pool_mw[touched][:, None] * used[touched]).sum(axis=0)
    out = []
    for year in range(program.shape["Y"]):
        t = program.year == year
        built = reader.values.first["size"] + mean_later_sizes(reader)
        embodied = float(program.embodied[:, year] @ built)
        limit, power = program.carbon_max[year], program.power_max[t].min()
        out.append(
            FootprintYear(
                start=reader.year_start(year),
                carbon_tonnes=float(tonnes[t].sum()) + embodied,
                carbon_limit_tonnes=float(limit) if np.isfinite(limit) else None,
                peak_mw=float(mw[t].max()),
                limit_mw=float(power) if np.isfinite(power) else None,
            )
        )
    return tuple(out)

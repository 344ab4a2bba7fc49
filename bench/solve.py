"""Solving Procure-84: the decomposition, the questions after it, and what more futures buy. Run by `bench.plan`.

Each function runs in a process of its own and returns plain numbers; CPU is `time.process_time`, memory the peak of the
process. Money is in millions of dollars, as in the model.
"""

from __future__ import annotations

import resource
import threading
import time
from dataclasses import replace
from typing import Any

import numpy as np

from argosy.clock import SystemClock
from argosy.plan.branch import branch
from argosy.plan.check import check
from argosy.plan.decompose import Decomposition
from argosy.plan.exact import Exact
from argosy.plan.extensive import hand_over, tile
from argosy.plan.main import quiet
from argosy.plan.pool import Pool
from argosy.plan.program import Floats, Program, mean_program, some_program
from argosy.plan.risk import measure
from argosy.plan.select import select
from argosy.plan.solution import Solution
from argosy.plan.template import build
from argosy.plan.values import Values
from argosy.settings import Settings
from bench.procure84 import HOURS, procure84

CLUSTERS = 4
UNSEEN = 300
SETTINGS = Settings(time_limit_seconds=7200)

Record = dict[str, Any]


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _run(program: Program) -> Decomposition:
    return Decomposition(build(program), settings=SETTINGS, clock=SystemClock(), progress=quiet)


def _solved(program: Program, gap: float) -> tuple[Decomposition, Solution]:
    run = _run(program)
    found = run.solve(gap, threading.Event())
    assert found is not None
    return run, found


def _plain(found: Solution) -> Record:
    return {"objective": found.objective, "bound": found.bound, "gap": found.gap}


def decomposition(scenarios: int, gap: float) -> Record:
    """Build, solve and certify; then the recount, which is not part of the time."""
    program = procure84(scenarios, clusters=CLUSTERS)
    before, cpu, wall = _peak_mb(), time.process_time(), time.perf_counter()
    run, found = _solved(program, gap)
    record: Record = {
        "cpu_seconds": time.process_time() - cpu, "wall_seconds": time.perf_counter() - wall, "peak_mb": _peak_mb(),
        "peak_mb_before": before, "passes": run.passes, "cuts": run.master.cuts, **_plain(found),
    }  # fmt: skip
    del run
    recount = check(program, Values.of(program, found.first, found.second))
    record["worst_residual"] = recount.worst
    record["recount_differs_by"] = abs(recount.objective - found.objective) / abs(found.objective)
    return record


def _cost(program: Program, first: Floats) -> float:
    """Objective of contracts over the futures of a program, each solved exactly."""
    template = build(program)
    exact, pool = Exact(template), Pool(template)
    order = np.argsort(program.demand.sum(axis=(1, 2)), kind="stable")
    answers = exact.some(order, first, pool)
    value = np.empty(len(order))
    value[order] = [answer.value for answer in answers]
    cost = template.first.cost.copy()
    cost[template.first.columns.part("eta")] = 0.0
    return float(cost @ first) + measure(program, value + pool.known(first))


def curve(sizes: list[int], gap: float) -> Record:
    """Plans for growing sets of futures, each scored on the same futures that none of them has seen."""
    whole = procure84(max(sizes) + UNSEEN, clusters=CLUSTERS)
    everyone = np.arange(max(sizes) + UNSEEN)
    unseen = some_program(whole, everyone[max(sizes) :], np.full(UNSEEN, 1 / UNSEEN))
    points = []
    for size in sizes:
        cpu = time.process_time()
        _, found = _solved(some_program(whole, everyone[:size], np.full(size, 1 / size)), gap)
        cpu = time.process_time() - cpu
        points.append({
            "scenarios": size, "cpu_seconds": cpu, "in_sample": found.objective, "out_of_sample":
            _cost(unseen, found.first),
        })  # fmt: skip
    return {"unseen": UNSEEN, "points": points}


def selected(scenarios: int, count: int, gap: float) -> Record:
    """A plan for selected futures, and what it costs over all."""
    program = procure84(scenarios, clusters=CLUSTERS)
    cpu, wall = time.process_time(), time.perf_counter()
    rough = mean_program(program)
    start = _run(rough)._start(1e-2)
    assert start is not None
    chosen, weight = select(build(program), start, count)
    selecting = time.process_time() - cpu
    run, found = _solved(some_program(program, chosen, weight), gap)
    record: Record = {
        "cpu_seconds": time.process_time() - cpu, "wall_seconds": time.perf_counter() - wall, "peak_mb": _peak_mb(),
        "selecting_cpu_seconds": selecting, "passes": run.passes, **_plain(found),
    }  # fmt: skip
    del run
    record["cost_over_all"] = _cost(program, found.first)
    return record


# ---- questions after the solve


class _Asked:
    """One solved program and the changes of its first stage that questions make."""

    def __init__(self, scenarios: int, gap: float) -> None:
        self.program = procure84(scenarios, clusters=CLUSTERS)
        self.run, self.found = _solved(self.program, gap)
        master = self.run.master
        self.cost, self.lower, self.upper = master.cost, master.lower, master.upper
        self.columns = self.run.template.first.columns
        p = self.program
        owed = p.bound_amount[:, : p.shape["F"]].reshape(p.shape["S"], p.shape["K"], -1).sum(axis=(0, 2))
        take = owed / p.link_capacity[:, : p.shape["K"]].sum(axis=(0, 2))
        self.fee = p.use_cost[:, 0] / HOURS
        """(K,) fee in dollars per accelerator-hour."""
        self.pv = p.committed_value / (take * self.fee)
        """(K,) present value of one dollar per accelerator-hour on the written ramp, per unit of size."""

    def change(self, k: int, extra: float, *, sign: tuple[float, float] = (0.0, 1.0)) -> None:
        """Contract k costs `extra` dollars per accelerator-hour more on its written ramp, and may or must be signed."""
        cost, lower, upper = self.cost.copy(), self.lower.copy(), self.upper.copy()
        cost[self.columns.at("size")[k]] += extra * self.pv[k]
        at = self.columns.at("sign")[k]
        lower[at], upper[at] = sign
        self.run.master.change(cost, lower, upper)


def questions(scenarios: int, gap: float) -> Record:
    """Walk-away fee, fee sweep and risk points from the cuts of one solve."""
    asked = _Asked(scenarios, gap)
    size = asked.found.first[asked.columns.part("size")]
    inner = np.flatnonzero((size > 2.5) & (size < 0.95 * asked.program.size_max))
    k = int(inner[np.argmax(size[inner])])
    record: Record = {"scenarios": scenarios, "contract": k, "size": float(size[k])}
    record["fee_sweep"] = _fee_sweep(asked, k)
    record["risk"] = _risk(asked)
    record["walk_away"] = _walk_away(asked, k)
    return record


def _fee_sweep(asked: _Asked, k: int) -> Record:
    """Bounds and sizes at 40 fees, by the cuts, with the integers of the plan but for the contract's own."""
    run = asked.run
    integers = asked.found.first[run.master.integers].round()
    own = run.master.integers == asked.columns.at("sign")[k]
    run.master.hold(np.where(own, 0.0, integers), np.where(own, 1.0, integers))
    seconds, bound, sizes = [], [], []
    for share in np.linspace(0.5, 1.5, 40):
        cpu = time.process_time()
        cost = asked.cost.copy()
        at = asked.columns.at("size")[k]
        cost[at] += (share - 1.0) * asked.fee[k] * asked.pv[k]
        run.master.recost(int(at), float(cost[at]))
        assert run.master.solve()
        seconds.append(time.process_time() - cpu)
        bound.append(run.master.objective)
        sizes.append(float(run.master.first[at]))
    run.master.recost(int(at), float(asked.cost[at]))
    return {
        "points": len(seconds), "mean_cpu_seconds": float(np.mean(seconds)), "worst_cpu_seconds": max(seconds),
        "bounds": [bound[0], bound[-1]], "sizes": [sizes[0], sizes[-1]],
    }  # fmt: skip


def _risk(asked: _Asked) -> Record:
    """Other weights of the tail with the integers of the plan: the bound by the cuts, and one pass that certifies."""
    run, program = asked.run, asked.program
    run.master.fix(asked.found.first[run.master.integers].round())
    points = []
    for weight in (0.0, 0.1, 0.5, 0.7, 0.9):
        cpu = time.process_time()
        run.master.weigh(weight)
        assert run.master.solve()
        bound, first = run.master.objective, run.master.first.copy()
        alone = time.process_time() - cpu
        answers = run.exact.some(np.arange(run.scenarios), first, run.pool)
        cost = np.array([answer.value for answer in answers]) + run.pool.known(first)
        upper = float(asked.cost @ first) + measure(replace(program, risk_aversion=weight), cost)
        points.append({
            "risk_aversion": weight, "cuts_cpu_seconds": alone, "cpu_seconds": time.process_time() - cpu,
            "lower": bound, "upper": upper,
        })  # fmt: skip
    run.master.weigh(program.risk_aversion)
    return {"points": points}


def front(scenarios: int, gap: float) -> Record:
    """Twenty supporting lines of cost against tail, by the cuts of one solve, with the integers of the plan.

    No plan with these integers has `(1 - weight) x mean + weight x tail` below the line of its weight. The mean and the
    tail of each line's own contracts are bounds from below too, by all duals of the last passes.
    """
    asked = _Asked(scenarios, gap)
    run, program = asked.run, asked.program
    run.pool.extend(*run.kept(scenarios))
    run.master.fix(asked.found.first[run.master.integers].round())
    cpu = time.process_time()
    points = []
    for weight in np.linspace(0.0, 0.95, 20).tolist():
        run.master.weigh(weight)
        assert run.master.solve()
        first = run.master.first.copy()
        future, _ = run.pool.best(first)
        fixed = float(asked.cost @ first)
        mean, tail = (measure(replace(program, risk_aversion=extreme), future) for extreme in (0.0, 1.0))
        points.append({"weight": weight, "line": run.master.objective, "mean": fixed + mean, "tail": fixed + tail})
    seconds = time.process_time() - cpu
    run.master.weigh(program.risk_aversion)
    return {"scenarios": scenarios, "points": points, "cpu_seconds": seconds}


def _walk_away(asked: _Asked, k: int) -> Record:
    """The fee at which the contract is worth nothing, between certified ends (Q3, Q4)."""
    run, found = asked.run, asked.found
    gap = 1e-4
    cpu, wall = time.process_time(), time.perf_counter()
    at = asked.columns.at("size")[k]
    asked.change(k, 0.0, sign=(0.0, 0.0))
    without = run.again(gap, found.first)
    assert without is not None
    known = [(found.objective, float(found.first[at]))]  # certified cost without the extra fee, and size, of a plan
    low, high, start = 0.0, np.inf, found.first
    for step in range(6):
        low = max((without[2] - cost) / (asked.pv[k] * size) for cost, size in known)
        asked.change(k, low * (1.0 + 0.005 * step), sign=(1.0, 1.0))
        held = run.again(gap, start)
        assert held is not None
        start = held[0]
        known.append((held[1] - low * (1.0 + 0.005 * step) * asked.pv[k] * float(start[at]), float(start[at])))
        new = max((without[2] - cost) / (asked.pv[k] * size) for cost, size in known)
        if new <= low * 1.002:
            break
    low = max((without[2] - cost) / (asked.pv[k] * size) for cost, size in known)
    for more in (0.005, 0.01, 0.02, 0.04):
        high = low + more * (asked.fee[k] + low)
        asked.change(k, high, sign=(1.0, 1.0))
        _, bound = branch(run.master, gap=1e-6, cutoff=np.inf, over=lambda: False)
        if bound >= without[1]:
            break
        high = np.inf
    asked.change(k, 0.0)
    fee = float(asked.fee[k])
    return {
        "cpu_seconds": time.process_time() - cpu, "wall_seconds": time.perf_counter() - wall, "fee": fee,
        "low": fee + low, "high": fee + high, "width": (high - low) / (fee + low),
        "value_low": without[2] - found.objective, "value_high": without[1] - found.bound,
    }  # fmt: skip


def what_if(changes: int) -> Record:
    """One future, 28 thousand variables, relaxed: more or less demand, solved from the last basis."""
    template = build(procure84(1, clusters=CLUSTERS))
    matrix = tile(template)
    solver = hand_over(matrix)
    count = np.flatnonzero(matrix.integer).astype(np.int32)
    solver.changeColsIntegrality(len(count), count, np.zeros(len(count), dtype=np.uint8))
    cpu = time.process_time()
    solver.run()
    record: Record = {"columns": solver.getNumCol(), "first_cpu_seconds": time.process_time() - cpu}
    rows = np.arange(matrix.first_rows, matrix.first_rows + template.program.demand[0].size, dtype=np.int32)
    demand = template.program.demand[0].ravel()
    seconds = []
    for share in np.linspace(0.98, 1.02, changes):
        cpu = time.process_time()
        solver.changeRowsBounds(len(rows), rows, share * demand, share * demand)
        solver.run()
        seconds.append(time.process_time() - cpu)
    record |= {"changes": changes, "mean_cpu_seconds": float(np.mean(seconds)), "worst_cpu_seconds": max(seconds)}
    return record

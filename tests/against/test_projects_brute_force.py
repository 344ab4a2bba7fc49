"""Projects against their plain meaning: every choice of starts as a program with multiplied throughput and no levers.

The program under test keeps its second-stage matrix: what projects save is a column. Here each choice has a matrix of
its own, in which an arc does more work once the projects that gain it are complete, and may be used as before. The
least cost over all choices must be the same.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from tests.against.test_against_linopy import worlds

from argosy.clock import SystemClock
from argosy.plan.check import check
from argosy.plan.levers import no_levers
from argosy.plan.program import NONE, Program
from argosy.plan.solution import Solution
from argosy.plan.solve import solve
from argosy.plan.template import build
from argosy.plan.values import Values
from argosy.settings import Settings

Array = np.ndarray[Any, Any]
WIDE = 1e4


def solved(program: Program) -> Solution | None:
    return solve(
        build(program), gap=0.0, settings=Settings(), clock=SystemClock(), progress=lambda *_: None,
        stop=threading.Event(),
    )  # fmt: skip


def small(seed: int) -> Program:
    """A program with projects; ports are wide, because they count units of an accelerator without projects."""
    for attempt in range(100):
        program: Program = worlds.random_program(
            6_000 + 300 * seed + 3 * attempt, periods=3, scenarios=2, rows=2, pools=2, vendors=2, classes=2
        )
        levers = program.levers
        if 2 <= len(levers.start_project) <= 4 and len(levers.saving_gain) > 2:
            ready = levers.ready(3)[levers.opener_start]
            cost = np.broadcast_to(levers.saving_cost.max(axis=0), levers.saving_cost.shape)  # by place, as records say
            wide = replace(
                levers, saving_cost=cost, opener_capacity=np.broadcast_to(WIDE * ready, levers.opener_capacity.shape)
            )
            return replace(program, port_capacity=np.full_like(program.port_capacity, WIDE), levers=wide)
    raise AssertionError


def choices(program: Program) -> Iterator[tuple[int, ...]]:
    """Every set of starts that keeps F4.L1, F4.L2 and F4.TM, counted here."""
    levers = program.levers
    for chosen in itertools.product((0, 1), repeat=len(levers.start_project)):
        done = np.bincount(levers.start_project, weights=chosen, minlength=len(levers.project_group))
        if (done > 1).any() or (done < levers.project_least).any():
            continue
        if any(done[levers.project_group == g].sum() > 1 for g in set(levers.project_group.tolist()) - {NONE}):
            continue
        if (np.tensordot(np.array(chosen), levers.start_need, axes=1) > levers.team_capacity + 1e-9).any():
            continue
        yield chosen


def multiplied(program: Program, chosen: tuple[int, ...]) -> Program:
    """Arcs once for each period as they are, and once with the throughput that complete projects give them there."""
    levers, periods = program.levers, len(program.duration)
    on = np.flatnonzero(chosen)
    fields: dict[str, list[Any]] = {name: [] for name in ("demand", "pool", "port", "transfer")}
    yields, costs, opens = [], [], []
    for t in range(periods):
        complete = {int(levers.start_project[h]) for h in on if levers.start_ready[h] <= t}
        for a in range(len(program.arc_demand)):
            more, paid = 0.0, np.zeros(periods)
            for i in np.flatnonzero(levers.factor_arc == a):
                z = levers.factor_saving[i]
                if set(np.flatnonzero(levers.gain_project[levers.saving_gain[z]])) <= complete:
                    more += levers.factor_units[i]
                    paid += levers.factor_units[i] * program.arc_yield[a] * levers.saving_cost[z]
            for gain, cost in ((0.0, 0.0 * paid), (more, paid)):
                for name, values in fields.items():
                    values.append(int(getattr(program, f"arc_{name}")[a]))
                yields.append(program.arc_yield[a] * (1.0 + gain))
                costs.append(program.arc_cost[a] + cost)
                opens.append(program.arc_open[a] & (np.arange(periods) == t))
    opened = np.zeros_like(program.port_capacity)
    for i, (h, o) in enumerate(zip(levers.opener_start, levers.opener_port, strict=True)):
        if chosen[h]:
            opened[:, o] = np.maximum(opened[:, o], levers.opener_capacity[:, i])
    return replace(
        program,
        levers=replace(no_levers(), closed_port=levers.closed_port),
        cash_limit=program.cash_limit - np.array(chosen) @ levers.start_cash,
        arc_demand=np.array(fields["demand"]), arc_pool=np.array(fields["pool"]),
        arc_transfer=np.array(fields["transfer"]), arc_yield=np.array(yields), arc_cost=np.array(costs),
        arc_open=np.array(opens), arc_port=_ports(program, fields["port"], opened),
    )  # fmt: skip


def _ports(program: Program, ports: list[int], opened: Array) -> Array:
    """Ports of the repeated arcs; in the periods in which a project has opened one, the arc needs none."""
    arcs = 2 * len(program.arc_demand)
    free = opened.min(axis=0) > 0  # (O, T)
    return np.array([NONE if o >= 0 and free[o, i // arcs] else o for i, o in enumerate(ports)])


@pytest.mark.parametrize("seed", [*range(5), *(pytest.param(s, marks=pytest.mark.slow) for s in range(5, 15))])
def test_projects_do_what_multiplied_throughput_does(seed: int) -> None:
    program = small(seed)
    costs: dict[tuple[int, ...], float] = {}
    for chosen in choices(program):
        found = solved(multiplied(program, chosen))
        if found is not None:
            costs[chosen] = found.objective + float(np.array(chosen) @ program.levers.start_cost)
    ours = solved(program)
    assert ours is not None
    assert ours.objective == pytest.approx(min(costs.values()), rel=1e-7)
    values = Values.of(program, ours.first, ours.second)
    assert check(program, values).worst < 1e-7
    mine = tuple(int(x) for x in values.first["start"].round())
    assert costs[mine] == pytest.approx(ours.objective, rel=1e-7)


def test_some_of_these_worlds_have_something_to_choose() -> None:
    """Projects pay in some worlds and not in others, sets of two occur, and people decide in some."""
    picked, sets, crowded = [], 0, 0
    for seed in range(15):
        program = small(seed)
        found = solved(program)
        assert found is not None
        picked.append(int(Values.of(program, found.first, found.second).first["start"].round().sum()))
        sets += int((program.levers.gain_project.sum(axis=1) > 1).sum())
        free = replace(program, levers=replace(program.levers, team_capacity=program.levers.team_capacity + 100.0))
        richer = solved(free)
        assert richer is not None
        crowded += richer.objective < found.objective - 1e-6
    assert max(picked) > 0
    assert sets > 0
    assert crowded > 0

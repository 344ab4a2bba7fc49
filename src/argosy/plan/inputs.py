"""Inputs: a portfolio and its futures as a `Program`. The only place where records become arrays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from argosy.model.portfolio import Portfolio
from argosy.model.scenario import Scenario
from argosy.plan import limit_arrays, project_arrays, supply_arrays, work_arrays
from argosy.plan.limit_arrays import losses
from argosy.plan.program import Program
from argosy.plan.project_arrays import Start
from argosy.plan.supply_arrays import Later
from argosy.plan.work_arrays import Arc
from argosy.plan.world import World


@dataclass(frozen=True, slots=True)
class Inputs:
    """A program with the rows that its positions stand for."""

    world: World
    program: Program
    arcs: tuple[Arc, ...]
    later: tuple[Later, ...]
    ports: tuple[tuple[str, str], ...]
    """(workload, family) along axis O."""
    replicas: tuple[tuple[str, str], ...]
    """(dataset, region) along axis R."""
    losses: tuple[str, ...]
    """Axis Q."""
    starts: tuple[Start, ...]
    """Axis H."""


def inputs(portfolio: Portfolio, scenarios: tuple[Scenario, ...]) -> Inputs:
    """All arrays of a consistent portfolio (`files.load` and `model.consistency` have refused any other)."""
    world = World.of(portfolio, scenarios)
    arcs = work_arrays.arcs(world)
    later = supply_arrays.later_columns(world)
    work = work_arrays.arrays(world, arcs)
    parts: dict[str, Any] = {
        **supply_arrays.arrays(world, later),
        **work,
        **project_arrays.arrays(world, arcs, work),
        **limit_arrays.arrays(world, arcs),
    }
    ports = tuple((workload, family) for workload, family, *_ in work_arrays.ports(world))
    replicas = tuple(work_arrays.replicas(world, arcs))
    lost = losses(world)
    names = {
        "K": tuple(row.id for row in world.sized),
        "P": tuple(pool.id for pool in world.pools),
        "V": world.vendors,
        "S": tuple(scenario.id for scenario in scenarios),
        "D": tuple(ask.id for ask in world.asks),
        "L": parts.pop("open_names"),
        "B": tuple(site.id for site in world.sites),
        "O": tuple(f"{workload} on {family}" for workload, family in ports),
        "R": tuple(f"{dataset} in {region}" for dataset, region in replicas),
        "Q": lost,
    }
    risk = portfolio.policy.risk
    program = Program(
        duration=world.calendar.duration,
        discount=world.calendar.discount,
        year=world.calendar.year,
        probability=world.probability,
        risk_aversion=risk.aversion_fraction,
        tail=risk.tail_fraction,
        accelerator_scale=world.accelerator_scale,
        money_scale=world.money_scale,
        names=names,
        **parts,
    )
    return Inputs(world, program, arcs, later, ports, replicas, lost, project_arrays.starts(world))

"""Projects and teams of a checked solution as records. Called by `result`; prices come from `project_prices`."""

from __future__ import annotations

from typing import Any

import numpy as np

from argosy.model.decision import PortDecision, ProjectDecision, ProjectGain, SavedMonth, TeamMonth
from argosy.model.project import Project
from argosy.plan.inputs import Inputs
from argosy.plan.program import Floats, Program
from argosy.plan.project_arrays import shares
from argosy.plan.values import Values
from argosy.plan.world import World

HALF = 0.5


def project_fields(inputs: Inputs, values: Values) -> dict[str, Any]:
    """The fields `projects`, `teams` and `savings` of a plan."""
    return {
        "projects": tuple(_decision(inputs, values, g) for g in range(len(inputs.world.portfolio.projects))),
        "teams": _teams(inputs, values),
        "savings": _savings(inputs, values),
    }


def chosen_start(inputs: Inputs, values: Values, project: int) -> int | None:
    """Position of the start at which a project is done; None when it is not."""
    for h, start in enumerate(inputs.starts):
        if start.project == project and values.first["start"][h] > HALF:
            return h
    return None


def opened_ports(program: Program, values: Values) -> set[int]:
    """Ports that a project which is done opens."""
    done = values.first["start"][program.levers.opener_start] > HALF
    return set(program.levers.opener_port[done].tolist())


def project_cash(program: Program, values: Values) -> Floats:
    """(Y,) money of projects by fiscal year, scaled."""
    start = values.first["start"]
    return np.asarray(start @ program.levers.start_cash.reshape(len(start), len(program.cash_limit)))


def saved_by(program: Program, saved: Floats) -> Floats:
    """(S, D, T) units saved by demand class, scaled, of (S, Z, T) savings."""
    out = np.zeros_like(program.demand)
    np.add.at(out.swapaxes(0, 1), program.levers.gain_demand[program.levers.saving_gain], saved.swapaxes(0, 1))
    return out


def _decision(inputs: Inputs, values: Values, g: int) -> ProjectDecision:
    world, calendar = inputs.world, inputs.world.calendar
    project = world.portfolio.projects[g]
    h = chosen_start(inputs, values, g)
    start = ready = None
    if h is not None:
        start = calendar.horizon.start.plus(inputs.starts[h].month)
        period = int(inputs.program.levers.start_ready[h])
        ready = calendar.month(period) if period < calendar.periods else None
    running = project.status == "running"
    return ProjectDecision(
        project=project.id,
        name=project.name,
        done=h is not None,
        reason="given" if running else "chosen" if h is not None else "not_chosen",
        start=start,
        ready=ready,
        cost_usd=project.cost_usd,
        team_months=project.team_months,
        gains=_gains(world, g),
        ports=tuple(
            PortDecision(workload=p.workload, family=p.family, ported=h is not None, cost_usd=project.cost_usd)
            for p in project.ports
        ),
    )


def _gains(world: World, g: int) -> tuple[ProjectGain, ...]:
    project: Project = world.portfolio.projects[g]
    names = dict.fromkeys(gain.workload for gain in project.gains)
    return tuple(
        ProjectGain(workload=name, saved_fraction=max(shares(world, name)[g].values(), default=0.0)) for name in names
    )


def _teams(inputs: Inputs, values: Values) -> tuple[TeamMonth, ...]:
    """Means over the months of each planning step; one row for each month."""
    calendar, levers = inputs.world.calendar, inputs.program.levers
    step = calendar.horizon.step_months
    needed = np.tensordot(values.first["start"], levers.start_need, axes=1)  # (M, T)
    return tuple(
        TeamMonth(
            team=team.id,
            month=calendar.month(t).plus(i),
            people=float(levers.team_capacity[m, t]) / step,
            needed_people=float(needed[m, t]) / step,
        )
        for m, team in enumerate(inputs.world.portfolio.teams)
        for t in range(calendar.periods)
        for i in range(step)
    )


def _savings(inputs: Inputs, values: Values) -> tuple[SavedMonth, ...]:
    """Workloads that some project gains; one row for each month."""
    program, calendar = inputs.program, inputs.world.calendar
    if not len(program.levers.saving_gain):
        return ()
    of = [ask.workload for ask in inputs.world.asks]
    gaining = dict.fromkeys(of[d] for d in program.levers.gain_demand.tolist())
    saved = saved_by(program, values.second["saved"]) * program.accelerator_scale
    rows = []
    for workload in gaining:
        units = saved[:, [d for d, name in enumerate(of) if name == workload]].sum(axis=1)  # (S, T)
        mean, most = program.probability @ units, units.max(axis=0)
        rows += [
            SavedMonth(
                workload=workload,
                month=calendar.month(t).plus(i),
                saved_units=float(mean[t]),
                saved_high_units=float(most[t]),
            )
            for t in range(calendar.periods)
            for i in range(calendar.horizon.step_months)
        ]
    return tuple(rows)

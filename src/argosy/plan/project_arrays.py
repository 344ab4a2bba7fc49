"""Projects and teams as arrays: starts, people, gains and ports that they open. Called by `inputs` and `unseen`."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np

from argosy.model import effects
from argosy.model.project import Project
from argosy.plan.levers import Levers
from argosy.plan.program import NONE, Floats
from argosy.plan.work_arrays import Arc, most_work, ports
from argosy.plan.world import World


@dataclass(frozen=True, slots=True)
class Start:
    """A project with the month in which its work begins."""

    project: int
    month: int
    """Position in the horizon; below 0 where it began before."""


def starts(world: World) -> tuple[Start, ...]:
    """All starts that the plan may choose from and that bring something before it ends; a running project has one."""
    found = []
    horizon = world.calendar.horizon
    for g, project in enumerate(world.portfolio.projects):
        first = horizon.index(project.start)
        last = first if project.latest_start is None else horizon.index(project.latest_start)
        months = range(first, last + 1, project.start_step_months)
        running = project.status == "running"
        found += [Start(g, m) for m in months if running or _ready(world, project, m) < world.calendar.periods]
    return tuple(found)


def _ready(world: World, project: Project, month: int) -> int:
    """First whole period after the work."""
    return max(0, -(-(month + project.duration_months) // world.calendar.horizon.step_months))


def arrays(world: World, arcs: tuple[Arc, ...], work: dict[str, object]) -> dict[str, object]:
    """The field `levers` of `Program`; `work` holds the fields of `work_arrays`."""
    projects = world.portfolio.projects
    chosen = starts(world)
    groups = sorted({p.alternatives for p in projects if p.alternatives is not None})
    running = np.array([float(p.status == "running") for p in projects])
    most = most_work(world)
    levers = Levers(
        start_project=np.array([x.project for x in chosen], dtype=np.int64),
        start_ready=np.array([_ready(world, projects[x.project], x.month) for x in chosen], dtype=np.int64),
        project_least=running,
        project_most=np.ones(len(projects)),
        project_group=np.array(
            [NONE if p.alternatives is None else groups.index(p.alternatives) for p in projects], dtype=np.int64
        ),
        **_effort(world, chosen),  # type: ignore[arg-type]
        **_gains(world, arcs, work, most),  # type: ignore[arg-type]
        **_openers(world, chosen, most),  # type: ignore[arg-type]
    )
    return {"levers": levers}


def _effort(world: World, chosen: tuple[Start, ...]) -> dict[str, object]:
    """Money and people of every start, and the people who are there."""
    calendar, teams = world.calendar, world.portfolio.teams
    months = calendar.horizon.months
    money, need = np.zeros((len(chosen), months)), np.zeros((len(chosen), len(teams), months))
    for h, x in enumerate(chosen):
        project = world.portfolio.projects[x.project]
        busy = slice(max(0, x.month), max(0, min(months, x.month + project.duration_months)))
        money[h, busy] = project.cost_usd / project.duration_months / world.money_scale
        for m, team in enumerate(teams):
            need[h, m, busy] = project.team_months.get(team.id, 0.0) / project.duration_months
    per_period = calendar.total(money)
    people = [effects.stepped(team.people, calendar.horizon, before=0.0) for team in teams]
    return {
        "start_cost": per_period @ calendar.discount,
        "start_cash": calendar.by_year(per_period),
        "start_need": calendar.total(need),
        "team_capacity": calendar.total(np.array(people).reshape(len(teams), months)),
    }


def shares(world: World, workload: str) -> dict[int, dict[str, float]]:
    """Project to (silicon to saved share) for the projects with a gain in a workload; only silicon that gains."""
    out: dict[int, dict[str, float]] = {}
    for g, project in enumerate(world.portfolio.projects):
        for gain in project.gains:
            if gain.workload == workload:
                chips = gain.silicon or tuple(world.silicon)
                out.setdefault(g, {}).update(dict.fromkeys(chips, gain.saved_fraction))
    return out


def together(world: World, known: list[int]) -> list[tuple[int, ...]]:
    """Every set of projects that can be complete at the same time, small ones first."""
    group = [world.portfolio.projects[g].alternatives for g in known]
    out = []
    for count in range(1, len(known) + 1):
        for picked in combinations(range(len(known)), count):
            named = [group[i] for i in picked if group[i] is not None]
            if len(set(named)) == len(named):
                out.append(tuple(known[i] for i in picked))
    return out


def _gains(world: World, arcs: tuple[Arc, ...], work: dict[str, object], most: Floats) -> dict[str, object]:
    """F10.1, F10.2: one gain for every set of projects and class, one saving for every region in which it has an arc.

    With h = g / (1 - g), projects with shares g multiply the work of an accelerator by the product of 1 + h, which is
    the sum over all sets of the products of h. So the gain of a set is what it adds to the gains of its parts.
    """
    arc_cost, arc_yield, arc_transfer = (np.asarray(work[n]) for n in ("arc_cost", "arc_yield", "arc_transfer"))
    demand: list[int] = []
    members: list[tuple[int, ...]] = []
    limit: list[Floats] = []
    saving: list[tuple[int, int, int, int]] = []
    factors: list[tuple[int, int, float]] = []
    known = {w.id: shares(world, w.id) for w in world.portfolio.workloads}
    for d, ask in enumerate(world.asks):
        of = known[ask.workload]
        mine = [a for a, arc in enumerate(arcs) if arc.ask == d]
        chip = {a: world.pools[arcs[a].pool].silicon for a in mine}
        for picked in together(world, list(of)):
            live = [a for a in mine if all(chip[a] in of[g] for g in picked)]
            if not live:
                continue
            demand.append(d)
            members.append(picked)
            limit.append(most[:, d] * max(np.prod([of[g][chip[a]] for g in picked]) for a in live))
            at: dict[str, int] = {}
            for a in live:
                region = world.pools[arcs[a].pool].region
                if region not in at:
                    at[region] = len(saving)
                    vendor = world.vendor_position(world.regions[region].vendor)
                    saving.append((len(demand) - 1, int(arc_transfer[a]), vendor, a))
                units = float(np.prod([of[g][chip[a]] / (1 - of[g][chip[a]]) for g in picked]))
                factors.append((at[region], a, units))
    whole = np.zeros((len(demand), len(world.portfolio.projects)), dtype=bool)
    for u, picked in enumerate(members):
        whole[u, list(picked)] = True
    periods, futures = world.calendar.periods, len(world.scenarios)
    example = np.array([x[3] for x in saving], dtype=np.int64)
    return {
        "gain_demand": np.array(demand, dtype=np.int64),
        "gain_project": whole,
        "gain_most": np.array(limit).reshape(len(limit), futures, periods).transpose(1, 0, 2),
        "saving_gain": np.array([x[0] for x in saving], dtype=np.int64),
        "saving_transfer": np.array([x[1] for x in saving], dtype=np.int64),
        "saving_vendor": np.array([x[2] for x in saving], dtype=np.int64),
        "saving_cost": arc_cost[example] / arc_yield[example][:, None],
        "factor_saving": np.array([x[0] for x in factors], dtype=np.int64),
        "factor_arc": np.array([x[1] for x in factors], dtype=np.int64),
        "factor_units": np.array([x[2] for x in factors]),
    }


def _openers(world: World, chosen: tuple[Start, ...], most: Floats) -> dict[str, object]:
    """Ports that projects open, with the work that may then be served."""
    known = ports(world)
    at = {(workload, family): o for o, (workload, family, *_) in enumerate(known)}
    own = {(ask.workload, port.family) for ask in world.asks for port in ask.ports}
    pairs = [
        (h, at[port.workload, port.family])
        for h, x in enumerate(chosen)
        for port in world.portfolio.projects[x.project].ports
        if (port.workload, port.family) in at
    ]
    periods = np.arange(world.calendar.periods)
    capacity = np.zeros((len(world.scenarios), len(pairs), len(periods)))
    for i, (h, o) in enumerate(pairs):
        of = [d for d, ask in enumerate(world.asks) if ask.workload == known[o][0]]
        ready = _ready(world, world.portfolio.projects[chosen[h].project], chosen[h].month)
        capacity[:, i] = most[:, of].sum(axis=1) * (periods >= ready)
    return {
        "closed_port": np.array([o for pair, o in at.items() if pair not in own], dtype=np.int64),
        "opener_start": np.array([h for h, _ in pairs], dtype=np.int64),
        "opener_port": np.array([o for _, o in pairs], dtype=np.int64),
        "opener_capacity": capacity,
    }

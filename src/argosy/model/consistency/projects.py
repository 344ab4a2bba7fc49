"""Projects and teams: names that nothing has, dates too late to bring anything, and gains that do not go together."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

from argosy.model.consistency.known import World, beyond, near, repeated
from argosy.model.fault import Fault, Path
from argosy.model.project import MOST_TOGETHER, Project


def project_faults(world: World) -> Iterator[Fault]:
    """Everything inconsistent in the sections `teams` and `projects`."""
    p = world.portfolio
    for i, team in enumerate(p.teams):
        for month in team.people:
            if month >= p.horizon.end:
                yield beyond(world, ("teams", i, "people", str(month)), month)
    for i, project in enumerate(p.projects):
        path: Path = ("projects", i)
        yield from _dates(world, path, project)
        yield from _people(world, path, project)
        yield from _gains(world, path, project)
        yield from _ports(world, path, project)
        if not project.gains and not project.ports:
            message = f"{project.id!r} changes nothing: it has neither gains nor ports"
            yield Fault((*path, "id"), "project.idle", message)
    yield from _together(world)


def _dates(world: World, path: Path, project: Project) -> Iterator[Fault]:
    horizon = world.portfolio.horizon
    running = project.status == "running"
    first = horizon.index(project.start)
    if first < 0 and not running:
        message = f"a candidate cannot start before the plan does, in {horizon.start}; or is it running?"
        yield Fault((*path, "start"), "date.past", message)
    if project.latest_start is not None:
        if running:
            message = "a running project has started; it has no latest_start"
            yield Fault((*path, "latest_start"), "field.value", message)
        elif project.latest_start < project.start:
            message = f"the latest start {project.latest_start} comes before the earliest, {project.start}"
            yield Fault((*path, "latest_start"), "date.order", message)
    ready = -(-(first + project.duration_months) // horizon.step_months) * horizon.step_months
    if ready >= horizon.months and not running:
        month = project.start.plus(project.duration_months)
        whole = (
            "" if horizon.step_months == 1 else f" (it counts from the next whole period, {horizon.start.plus(ready)})"
        )
        message = f"it brings something from {month} on at the earliest{whole}; the plan ends before {horizon.end}"
        yield Fault((*path, "start"), "project.late", message)


def _people(world: World, path: Path, project: Project) -> Iterator[Fault]:
    known = {team.id for team in world.portfolio.teams}
    for skill in project.team_months:
        if skill not in known:
            message = f"there is no team {skill!r}{near(skill, known)}"
            yield Fault((*path, "team_months", skill), "reference.unknown", message, at_key=True)


def _gains(world: World, path: Path, project: Project) -> Iterator[Fault]:
    for i, gain in enumerate(project.gains):
        at = (*path, "gains", i)
        yield from world.unknown("workload", gain.workload, (*at, "workload"))
        for j, chip in enumerate(gain.silicon):
            yield from world.unknown("silicon", chip, (*at, "silicon", j))
        yield from repeated((*at, "silicon"), gain.silicon)
    for (_, one), (j, other) in combinations(enumerate(project.gains), 2):
        both = not one.silicon or not other.silicon or set(one.silicon) & set(other.silicon)
        if one.workload == other.workload and both:
            message = f"an entry above has a gain of {one.workload!r} on the same silicon; write one of them"
            yield Fault((*path, "gains", j, "workload"), "reference.duplicate", message)


def _ports(world: World, path: Path, project: Project) -> Iterator[Fault]:
    families = {chip.family for chip in world.portfolio.silicon}
    workloads = {w.id: w for w in world.portfolio.workloads}
    seen = set()
    for i, port in enumerate(project.ports):
        at = (*path, "ports", i)
        yield from world.unknown("workload", port.workload, (*at, "workload"))
        if port.family not in families:
            message = f"no silicon is of family {port.family!r}{near(port.family, families)}"
            yield Fault((*at, "family"), "reference.unknown", message)
        elif port.workload in workloads and port.family in workloads[port.workload].runs_on_families:
            message = f"{port.workload!r} runs on {port.family} already (runs_on_families)"
            yield Fault((*at, "family"), "reference.duplicate", message)
        if (port.workload, port.family) in seen:
            message = f"{port.workload!r} on {port.family} stands above already"
            yield Fault((*at, "family"), "reference.duplicate", message)
        seen.add((port.workload, port.family))


def _together(world: World) -> Iterator[Fault]:
    """Every set of projects that can be complete together has a gain of its own, so there may not be many."""
    projects = world.portfolio.projects
    for workload in world.portfolio.workloads:
        gaining = [(i, p) for i, p in enumerate(projects) if any(g.workload == workload.id for g in p.gains)]
        apart = {p.alternatives or ("", i) for i, p in gaining}
        if len(apart) > MOST_TOGETHER:
            i, project = gaining[-1]
            j = next(j for j, gain in enumerate(project.gains) if gain.workload == workload.id)
            message = (
                f"{len(apart)} projects could gain {workload.id!r} together, at most {MOST_TOGETHER} may; put those"
                " that exclude each other into one group of `alternatives`, or write a pair as one project"
            )
            yield Fault(("projects", i, "gains", j, "workload"), "project.many", message)

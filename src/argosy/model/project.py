"""Projects: one-off work that makes workloads cheaper to run or lets them run elsewhere, and the people it needs.

`plan` decides which projects are done and when. A distillation, quantisation, a mixture of experts or new kernels have
gains; a port opens a silicon family. Nothing here computes; `plan.project_arrays` does.
"""

from __future__ import annotations

from typing import Annotated, Literal

from annotated_types import Ge, Gt, Le, Len, Lt
from pydantic import AllowInfNan

from argosy.record import Id, Record, Text
from argosy.units import Amount, Month, Usd

MOST_TOGETHER = 4
"""Most projects that may gain one workload at the same time: every set of them has a gain of its own."""


class Gain(Record):
    """What a project saves in one workload."""

    workload: Id
    """Workload that becomes cheaper to run."""
    saved_fraction: Annotated[float, Gt(0), Lt(1), AllowInfNan(False)]
    """Share of the accelerators that a unit of work no longer needs."""
    silicon: tuple[Id, ...] = ()
    """Types of chip on which it is saved; empty is all."""


class Opening(Record):
    """A silicon family on which a workload runs once the project is complete."""

    workload: Id
    """Workload that is ported."""
    family: Id
    """Silicon family, for example tpu."""


class Project(Record):
    """One-off work of people: a distillation, quantisation, new kernels, a port to other silicon."""

    id: Id
    """Short name, unique."""
    name: Text | None = None
    """Name for people."""
    status: Literal["candidate", "running"] = "candidate"
    """running: under way already and not to be decided; candidate: for the plan to decide."""
    start: Month
    """First month of work; of a candidate the earliest."""
    latest_start: Month | None = None
    """Latest first month of work; absent allows the earliest only."""
    start_step_months: Annotated[int, Ge(1), Le(60)] = 3
    """Months between the starts that the plan may choose from."""
    duration_months: Annotated[int, Ge(1), Le(120)]
    """Months of work; what it brings begins in the month after."""
    cost_usd: Usd
    """One-off cost, spread evenly over its months of work."""
    team_months: dict[Id, Amount] = {}
    """Skill to the months of one person that the project takes, spread evenly over its months of work."""
    gains: tuple[Gain, ...] = ()
    """Workloads that become cheaper to run."""
    ports: tuple[Opening, ...] = ()
    """Silicon families that it opens to workloads."""
    alternatives: Id | None = None
    """Group of projects of which at most one is done."""


class Team(Record):
    """People of one skill."""

    id: Id
    """Skill, for example kernel-engineers."""
    name: Text | None = None
    """Name for people."""
    people: Annotated[dict[Month, Amount], Len(min_length=1)]
    """Month of change to the people who are free for projects; nobody before the first."""

"""A control loop on invented engines and a store in memory, with a clock that moves when it is told to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import count
from typing import Any

from argosy.control.loop import Control, Look
from argosy.control.world import ControlWorld
from argosy.model.job import Job
from argosy.model.region import Region
from argosy.model.task import Choice, PlacementRules, Task
from argosy.run.rules import RunRules
from argosy.simulate.engine import Engine, Site, VirtualClock
from argosy.simulate.stores import sqlite_in_memory
from argosy.store import NewJob

EAST = Site("east", "alpha", "alpha/east", "h100", 2, 8, 32, 2.0)
WEST = Site("west", "beta", "beta/west", "h100", 2, 8, 32, 3.0)
RULES = RunRules(penalty_half_life_seconds=300, first_backoff_seconds=1, most_backoff_seconds=4)
REGIONS = {
    "alpha/east": Region(id="alpha/east", vendor="alpha", jurisdiction="US"),
    "beta/west": Region(id="beta/west", vendor="beta", jurisdiction="DE"),
}


def task(name: str = "work", *, accelerators: float = 8, seconds: float = 60, **given: Any) -> Task:
    """A task that asks for accelerators."""
    choice = given.pop("choice", {})
    rules = PlacementRules(**given.pop("placement", {}))
    choices = given.pop("choices", (Choice(silicon="h100", accelerators=accelerators, **choice),))
    return Task(name=name, run="true", choices=choices, envs={"SECONDS": str(seconds)}, placement=rules, **given)


class Stage:
    """One store, some engines, one control loop."""

    def __init__(
        self,
        sites: Sequence[Site] = (EAST, WEST),
        *,
        world: ControlWorld | None = None,
        rules: RunRules = RULES,
        work: Callable[[Any], tuple[float, int]] = lambda order: (float(order.task.envs["SECONDS"]), 0),
    ) -> None:
        self.clock, self.rules = VirtualClock(), rules
        self.store = sqlite_in_memory(self.clock, (f"{number:012x}" for number in count(1)))
        self.world = world or ControlWorld(regions=REGIONS)
        vendors: dict[str, list[Site]] = {}
        for site in sites:
            vendors.setdefault(site.vendor, []).append(site)
        self.engines = {name: Engine(name, mine, self.clock, lambda: 0.5, work) for name, mine in vendors.items()}
        self.control = self.replica("one")

    def replica(self, owner: str, control: type[Control] = Control) -> Control:
        return control(
            self.store, self.engines, owner=owner, clock=self.clock, rules=self.rules, world=self.world
        )  # fmt: skip

    def submit(self, *tasks: Task) -> list[Job]:
        return self.store.submit([NewJob(task) for task in tasks], project="p")

    def look(self, seconds: float = 1.0, control: Control | None = None) -> Look:
        self.clock.forward(seconds)
        for engine in self.engines.values():
            engine.advance()
        return (control or self.control).look()

    def looks(self, number: int, seconds: float = 1.0) -> None:
        for _ in range(number):
            self.look(seconds)

    def job(self, job: Job) -> Job:
        return self.store.job(job.id)

    def pools(self, job: Job) -> list[str]:
        return [run.pool for run in self.store.runs(job.id)]

    def until(self, job: Job, *statuses: str, seconds: float = 1.0, most: int = 400) -> Job:
        for _ in range(most):
            if self.job(job).status in statuses:
                return self.job(job)
            self.look(seconds)
        raise AssertionError(f"{job.id} is {self.job(job)} and not {statuses}")

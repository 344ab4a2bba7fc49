"""Faults: seeded schedules of everything that goes wrong, against the real control loop and either real store.

    python -m bench.faults --seed 7           replay one schedule and tell what happened
    python -m bench.faults --seeds 0 10000    many, over processes

One schedule: a few jobs, two vendors, one to three replicas, a virtual clock. At each step time passes, engines do what
is due, one replica looks; replicas are killed between any two calls and transactions, or paused while others go on.
`promises` is asked after every step. Then faults stop, and every job must end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from itertools import count
from typing import Any, TypeVar

from argosy.clock import rng
from argosy.control.loop import Control
from argosy.control.world import ControlWorld
from argosy.errors import ArgosyError, Conflict, OutsideError
from argosy.model.dataset import Dataset
from argosy.model.job import Event
from argosy.model.link import Link
from argosy.model.load import Residency
from argosy.model.region import Region
from argosy.model.task import Checkpoint, Choice, PlacementRules, Recovery, Task
from argosy.run.driver import Order
from argosy.run.rules import RunRules
from argosy.simulate.copying import CopyFaults, InventedCopier, InventedDisk
from argosy.simulate.engine import Engine, Faults, Site, VirtualClock
from argosy.simulate.promises import Broken, Promises
from argosy.simulate.stores import Killed, Kind, store_of
from argosy.store import NewJob
from argosy.store.rows import digest, to_text

T = TypeVar("T")
RULES = RunRules(
    lease_seconds=15,
    start_seconds=120,
    record_grace_seconds=15,
    stop_grace_seconds=10,
    sweep_seconds=30,
    orphan_grace_seconds=60,
    first_backoff_seconds=1,
    most_backoff_seconds=30,
    penalty_half_life_seconds=300,
    move_seconds=15,
    move_after_seconds=20,
)
STEPS = 24
CALM_STEPS = 220
_SITES = {
    "north": (
        Site("north/a", "alpha", "alpha/east", "h100", 2, 8, 32, 2.0),
        Site("north/b", "alpha", "alpha/west", "h100", 2, 8, 32, 2.2),
        Site("north/spot", "alpha", "alpha/west", "h100", 2, 8, 32, 0.9, spot=True),
        Site("north/cpu", "alpha", "alpha/east", None, 2, 0, 16, 0.05),
    ),
    "south": (
        Site("south/a", "beta", "beta/eu", "h100", 2, 8, 32, 2.1),
        Site("south/b", "beta", "beta/eu", "a100", 2, 8, 32, 1.2),
        Site("south/cpu", "beta", "beta/eu", None, 1, 0, 16, 0.06),
    ),
}
_REGIONS = {
    "alpha/east": Region(id="alpha/east", vendor="alpha", jurisdiction="US"),
    "alpha/west": Region(id="alpha/west", vendor="alpha", jurisdiction="US"),
    "beta/eu": Region(id="beta/eu", vendor="beta", jurisdiction="DE", zones=("EU",)),
}
_DATA = (
    Dataset(id="corpus", home="alpha/east", size_gib=100.0),
    Dataset(id="records", home="beta/eu", size_gib=40.0, jurisdictions=("DE",)),
)
_LINKS = (
    Link(start="alpha", end="same_vendor", usd_per_gib=0.01, p50_gbit_per_second=50.0),
    Link(start="alpha", end="beta", usd_per_gib=0.09, p50_gbit_per_second=20.0),
    # From beta/eu to alpha/east nobody wrote a price: what would go that way has to stay or to wait.
    Link(start="beta/eu", end="alpha/west", usd_per_gib=0.05, p50_gbit_per_second=20.0),
)
WORLD = ControlWorld(regions=_REGIONS, datasets=_DATA, links=_LINKS)


@dataclass(slots=True)
class Told:
    """What one schedule did."""

    seed: int
    events: int = 0
    """What happens in engines, calls of engines, and readings and writings of the store by replicas and people."""
    checks: int = 0
    """Readings of the store by the promises; no events."""
    looks: int = 0
    kills: int = 0
    pauses: int = 0
    runs: int = 0
    resumed: int = 0
    """Runs that went on from a checkpoint."""
    moves: int = 0
    copies: int = 0
    """Copies that became whole."""
    ended: dict[str, int] = field(default_factory=dict)
    state_hash: str = ""
    log: list[Event] = field(default_factory=list)
    """All events."""
    trace: list[str] = field(default_factory=list)

    def log_hash(self) -> str:
        """SHA-256 over all events, to the letter."""
        return digest([[e.number, to_text(e.at), e.kind, e.job, e.run, e.body] for e in self.log])


class Schedule:
    """One seeded world with its replicas."""

    def __init__(
        self,
        seed: int,
        *,
        control: Callable[..., Control] = Control,
        loud: bool = False,
        carries: bool = True,
        store: Kind = "memory",
    ) -> None:
        """`carries` adds checkpoints, data, copies and moves; without it the draws are those of earlier versions."""
        self.carries = carries
        more = rng(seed, "carries")
        self.more: Callable[[], float] = more.random
        self.seed, self.make, self.loud = seed, control, loud
        self.told = Told(seed)
        self.clock = VirtualClock()
        draw = rng(seed, "faults")
        self.chance: Callable[[], float] = draw.random
        self.store = store_of(store, self.clock, _tokens(seed))
        self.faulty = True
        self.depth = 0
        wild = self.chance()
        """How bad this schedule is, from 0 to 1."""
        self.p_kill, self.p_pause, self.p_store = 0.02 * wild, 0.012 * wild, 0.02 * wild
        self.engines = {name: self._engine(name, sites, wild) for name, sites in _SITES.items()}
        self.store.hook = self._store_hook
        self.copier, self.disk = self._copier(wild), InventedDisk(list(self.engines.values()), self.more)
        self.disk.fails = 0.2 * wild * self.more() if self.more() < 0.5 else 0.0
        self.names = count(1)
        self.replicas: list[Control] = [self._replica() for _ in range(1 + int(self.chance() * 3))]
        self.busy: set[int] = set()
        self.promises = Promises(
            self.store, list(self.engines.values()), RULES, _REGIONS,
            world=WORLD, disk=self.disk, copier=self.copier,
        )  # fmt: skip

    # --- Making

    def _copier(self, wild: float) -> InventedCopier:
        def often(most: float) -> float:
            return most * wild * self.more() if self.more() < 0.5 else 0.0

        faults = CopyFaults(often(0.4), often(0.4), often(0.5), often(0.8))
        return InventedCopier(self.clock, self.more, self._engine_hook, faults)

    def _engine(self, name: str, sites: tuple[Site, ...], wild: float) -> Engine:
        def often(most: float) -> float:
            """Each fault is absent in half of the schedules, so that single causes are seen too."""
            return most * wild * self.chance() if self.chance() < 0.5 else 0.0

        faults = Faults(
            lost_call=often(0.2),
            lost_answer=often(0.2),
            late_effect=often(0.3),
            twice=often(0.3),
            fence_fails=often(0.5),
            preempted=often(1.0),
            machine_lost=often(0.6),
            late_record=often(1.0),
            forgotten=often(1.0),
            unlisted=often(0.5),
        )
        engine = Engine(
            name,
            sites,
            self.clock,
            self.chance,
            self._work,
            faults=faults,
            skew_seconds=(self.chance() - 0.5) * 600 if self.chance() < 0.5 else 0.0,
            tells_age=self.chance() < 0.7,
            hook=self._engine_hook,
        )
        for _ in range(int(self.chance() * 3)):
            faults.unreachable.append(self._window(200))
        for _ in range(int(self.chance() * 2)):
            site = self._pick(sites)
            faults.sold_out.append((site.pool, *self._window(200)))
        if self.chance() < 0.4:
            site = self._pick(sites)
            begin, end = self._window(200)
            faults.dark.append((site.region, begin, end))
            engine._at((begin - self.clock.now()).total_seconds(), lambda: engine.darken(site.region))
        return engine

    def _window(self, most_seconds: float) -> tuple[Any, Any]:
        begin = self.clock.now() + timedelta(seconds=self.chance() * 300)
        return begin, begin + timedelta(seconds=self.chance() * most_seconds)

    def _pick(self, things: Any) -> Any:
        return things[int(self.chance() * len(things))]

    def _work(self, order: Order) -> tuple[float, int]:
        seconds = float(order.task.envs.get("SECONDS", "30"))
        fails = float(order.task.envs.get("FAILS", "0"))
        return seconds * (0.5 + self.chance()), 1 if self.chance() < fails else 0

    def _task(self, number: int) -> Task:
        kind = self.chance()
        silicon = self._pick(("h100", "h100", "a100", None))
        accelerators = float(self._pick((1, 2, 4, 8)))
        if kind < 0.25:
            choices = [Choice(cpus=self._pick((1.0, 4.0)))]
        elif kind < 0.5:
            choices = [Choice(silicon=silicon, accelerators=accelerators)]
        elif kind < 0.75:
            choices = [
                Choice(silicon="h100", accelerators=accelerators, spot=True),
                Choice(silicon="h100", accelerators=accelerators),
            ]
        else:
            choices = [
                Choice(vendor="beta", silicon="a100", accelerators=accelerators),
                Choice(vendor="alpha", silicon="h100", accelerators=accelerators),
            ]
        rules: dict[str, Any] = {"unreachable_grace_seconds": self._pick((0.0, 20.0, 60.0))}
        rules["on_unreachable"] = self._pick(("wait", "fence-then-replace", "fence-then-replace", "replace-now"))
        if self.chance() < 0.2 and kind < 0.5:
            rules["residency"] = self._pick((Residency(allowed=("US",)), Residency(denied=("US",))))
            choices = [c.model_copy(update={"silicon": "h100"}) if c.accelerators else c for c in choices]
        rules["keep_healthy_nodes"] = self.chance() < 0.5
        rules["idempotent"] = self.chance() < 0.1
        if self.carries and self.more() < 0.5:
            every = (None, 5.0, 20.0)[int(self.more() * 3)]
            gib = (0.0, 1.0, 20.0)[int(self.more() * 3)]
            rules["checkpoint"] = Checkpoint(prefix="/invented", gib=gib, every_seconds=every)
        if self.carries and self.more() < 0.3 and "residency" not in rules:
            rules["data"] = ("corpus",) if self.more() < 0.6 else ("records",)
            rules["value_usd_per_hour"] = 200.0 if self.more() < 0.7 else None
        return Task(
            name=f"job-{number}",
            nodes=self._pick((1, 1, 1, 2)) if kind >= 0.25 else 1,
            choices=tuple(choices),
            ordered=self.chance() < 0.5,
            envs={"SECONDS": str(self._pick((2, 20, 60, 150))), "FAILS": self._pick(("0", "0", "0.3"))},
            recovery=Recovery(max_restarts_on_errors=self._pick((0, 2, 5))),
            max_duration_seconds=self._pick((None, None, None, 100.0)),
            placement=PlacementRules(**rules),
            run="true",
        )

    def _replica(self, name: str | None = None) -> Control:
        return self.make(
            self.store,
            self.engines,
            owner=name or f"replica-{next(self.names)}",
            clock=self.clock,
            rules=RULES,
            world=WORLD if self.carries else ControlWorld(regions=_REGIONS),
            copier=self.copier if self.carries else None,
            find=self.disk.find,
        )

    # --- Faults

    def _say(self, what: str) -> None:
        if self.loud:
            self.told.trace.append(f"{self.clock.monotonic_seconds():7.1f}  {what}")

    def _engine_hook(self, what: str) -> None:
        if self.faulty and self.busy:
            self._kill_or_pause(what)

    def _store_hook(self, what: str) -> None:
        if not self.faulty or not self.busy:
            return
        if self.chance() < self.p_store * 0.5:
            self._say(f"{what}: the database does not answer")
            raise OutsideError(f"{what}: the database does not answer")
        if what == "store.within":
            if self.chance() < self.p_kill:
                self._kill(what)
        else:
            self._kill_or_pause(what)

    def _kill(self, what: str) -> None:
        self.told.kills += 1
        self._say(f"killed at {what}")
        raise Killed

    def _kill_or_pause(self, what: str) -> None:
        if self.chance() < self.p_kill:
            self._kill(what)
        if self.depth < 2 and self.chance() < self.p_pause:
            self.told.pauses += 1
            self._say(f"paused at {what}")
            self.depth += 1
            for _ in range(1 + int(self.chance() * 6)):
                self._step()
            self.depth -= 1
            self._say(f"resumed at {what}")

    # --- Steps

    def _step(self) -> None:
        """Time passes, engines do what is due, one replica looks, the promises are checked."""
        self.clock.forward(self._pick((0.2, 1.0, 1.0, 3.0, 8.0)))
        for engine in self.engines.values():
            engine.advance()
        free = [i for i in range(len(self.replicas)) if i not in self.busy]
        if free:
            self._look(self._pick(free))
        self._aside(lambda: self.promises.check(self._say))

    def _aside(self, ask: Callable[[], T]) -> T:
        """What the simulation itself asks of the store is no event of what it simulates."""
        steps = self.store.steps
        try:
            return ask()
        finally:
            self.told.checks += self.store.steps - steps
            self.store.steps = steps

    def _look(self, i: int) -> None:
        control = self.replicas[i]
        self.busy.add(i)
        self.told.looks += 1
        try:
            self._aside(lambda: self.promises.before(control))
            look = control.look()
            self._say(f"{control.owner} looked: {look.changed} changed, {look.outcome.placed} placed")
        except (OutsideError, Conflict) as error:
            self._say(f"{control.owner}: {error}")
        except Killed:
            same = self.chance() < 0.5
            self.replicas[i] = self._replica(control.owner if same else None)
        finally:
            self.busy.discard(i)

    def _user(self, task_numbers: Iterator[int]) -> None:
        """Somebody submits, cancels, cordons."""
        kind = self.chance()
        try:
            if kind < 0.15:
                self.store.submit([NewJob(self._task(next(task_numbers)))], project="p")
            elif kind < 0.22:
                jobs = self.store.open_jobs()
                if jobs:
                    self.store.request_cancel([self._pick(jobs).id])
            elif kind < 0.27:
                target = self._pick(("north/a", "beta/eu", "a-0", "pool:north/b", "alpha"))
                self.store.cordon(target, drain=self.chance() < 0.5)
            elif self.carries and self.more() < 0.15:
                self._prices()
            elif kind < 0.35:
                for target in self.store.cordons():
                    self.store.uncordon(target)
        except ArgosyError as error:
            self._say(f"user: {error}")

    def _prices(self) -> None:
        """A pool becomes much cheaper or dearer, so that moves pay."""
        engine = list(self.engines.values())[int(self.more() * 2)]
        sites = list(engine.sites.values())
        site = sites[int(self.more() * len(sites))]
        assert site.usd_per_hour is not None
        price = site.usd_per_hour * (0.3 if self.more() < 0.6 else 2.0)
        engine.sites[site.pool] = replace(site, usd_per_hour=price)
        self._say(f"user: {site.pool} costs {price:.2f} USD an hour")

    def run(self, steps: int = STEPS) -> Told:
        """The whole schedule. `Broken` says which promise was not kept."""
        numbers = count(1)
        tasks = [self._task(next(numbers)) for _ in range(3 + int(self.chance() * 3))]
        self.store.submit([NewJob(task) for task in tasks], project="p")
        for _ in range(steps):
            self._user(numbers)
            self._step()
        self._calm()
        return self._finish()

    def _calm(self) -> None:
        self._say("all is calm from here")
        self.faulty = False
        for engine in self.engines.values():
            engine.calm()
        self.copier.calm()
        self.disk.fails = 0.0
        for target in self.store.cordons():
            self.store.uncordon(target)
        self.promises.calm = True
        for _ in range(CALM_STEPS):
            self._step()
            if not self._aside(self.store.open_jobs):
                break
            self.clock.forward(self._pick((1.0, 5.0, 20.0)))

    def _finish(self) -> Told:
        for _ in range(12):  # what was left behind is swept away
            if not any(engine.billed() for engine in self.engines.values()):
                break
            self.clock.forward(RULES.sweep_seconds)
            self._step()
        found = self._aside(self.promises.end)
        told = self.told
        told.events = sum(engine.events for engine in self.engines.values()) + self.store.steps
        told.state_hash, told.log = found.log_hash, self.store.events(limit=1_000_000)
        told.moves = sum(event.kind == "Moving" for event in told.log)
        told.copies = sum(event.kind == "Copied" for event in told.log)
        told.resumed = self.promises.resumed
        counts = self.store.counts()
        told.ended, told.runs = counts["jobs"], sum(counts["runs"].values())
        return told


def _tokens(seed: int) -> Iterator[str]:
    return (f"{seed % 0x10000:04x}{number:08x}" for number in count(1))


def run(
    seed: int,
    *,
    control: Callable[..., Control] = Control,
    loud: bool = False,
    steps: int = STEPS,
    carries: bool = True,
    store: Kind = "memory",
) -> Told:
    """One schedule. `Broken` when a promise was not kept; its text has the command that replays it."""
    schedule = Schedule(seed, control=control, loud=loud, carries=carries, store=store)
    try:
        return schedule.run(steps)
    except Broken as error:
        tale = "\n".join(schedule.told.trace)
        raise Broken(f"{error}\nreplay: {replay(seed, store)}\n{tale}") from error


def replay(seed: int, store: Kind = "memory") -> str:
    """The command that runs a schedule again and tells every step."""
    return f"python -m bench.faults --seed {seed}" + ("" if store == "memory" else f" --store {store}")

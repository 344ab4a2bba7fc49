"""Live: one placement of waiting jobs on real engines, as the observer, the hands and the book of a tick.

`place` decided on a snapshot. Before anything of it is committed each item is compared with the world as it is now: the
machines still have room, the job is still the one that was looked at. What does not fit is left for the next tick.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from argosy.clock import Clock
from argosy.control.asks import FAMILY, Rung, rungs_of, running_ask, waiting_ask
from argosy.control.fleet import DEFAULT_CORES, Fleet, Need, need_of
from argosy.control.protocols import Halt
from argosy.control.tick import Step, tick
from argosy.control.world import ControlWorld
from argosy.errors import OutsideError
from argosy.model.job import Job, Run
from argosy.model.placement import Assignment, Eviction, Placement, Transfer
from argosy.model.region import Region
from argosy.model.snapshot import PlaceAsk, PoolState, Snapshot
from argosy.model.task import Choice, Task
from argosy.store import AnyStore, Change, Lease, NewRun

MOST_REASONS = 500
"""Waiting jobs whose reason is rewritten in one tick at most, oldest first."""
WORTH_HYSTERESIS_FRACTION = 0.25
"""By how much work must be worth more than what is stopped for it."""
MOST_UNPLACED = 200
"""Rows of unplaced asks that are kept with a decision."""


@dataclass(slots=True)
class Waiting:
    """Jobs that are alike for placement, oldest first, and where they may go."""

    task: Task
    jobs: list[Job]
    rungs: tuple[Rung, ...]
    may_preempt: bool


@dataclass(slots=True)
class Outcome:
    """What one tick did."""

    placed: int = 0
    evicted: int = 0
    waiting: int = 0
    reasons: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Name of an ask that waits to the reason's word and text."""


class LiveTick:
    """All rungs of one tick."""

    def __init__(
        self,
        store: AnyStore,
        fleet: Fleet,
        world: ControlWorld,
        *,
        clock: Clock,
        owner: str,
        fence: Lease,
        lease_seconds: float,
    ) -> None:
        self.store, self.fleet, self.world, self.clock = store, fleet, world, clock
        self.owner, self.fence, self.lease_seconds = owner, fence, lease_seconds
        self.outcome = Outcome()
        self.groups: dict[str, Waiting] = {}
        self.running: dict[str, tuple[Task, Run, Job]] = {}
        self.leaving: dict[str, float] = defaultdict(float)
        """Pool to what runs on their way out still hold there."""
        self.held: set[str] = set()
        """Asks that wait for what others are leaving, and look no further in this tick."""
        self.fragmented: set[tuple[str, Need]] = set()
        """Pools whose machines have no room together for a need, although they have it in sum."""
        self.kept: set[tuple[str, str]] = set()
        """Ask and pool of steps of the present decision that are not carried out."""
        self.level = 0
        self.asks: list[PlaceAsk] = []
        self.decision = ""
        self.awaited: dict[tuple[str, str], Transfer] = {}

    def run(
        self,
        jobs: Sequence[Job],
        runs: Sequence[Run],
        tasks: Mapping[str, Task],
        avoid: frozenset[str],
        now: datetime,
    ) -> Outcome:
        """Place waiting jobs, rung by rung."""
        self.now = now
        by_name = {job.id: job for job in jobs}
        self._gather(jobs, tasks, avoid)
        for run in runs:
            job = by_name.get(run.job)
            if run.pool not in self.fleet.pools or job is None:
                continue
            task = tasks[job.task_hash]
            if run.status in ("RUNNING", "PROVISIONING"):
                self.running[run.id] = (task, run, job)
            elif run.status == "TERMINATING" and run.unreachable_since is None:
                self.leaving[run.pool] += self._need(task, run).amount
        self._down_the_rungs()
        waits = any(group.jobs and name not in self.held for name, group in self.groups.items())
        if waits and self.fleet.open_avoided():  # nothing else had room
            self.fragmented.clear()
            self._down_the_rungs()
        self._say_why()
        return self.outcome

    def _down_the_rungs(self) -> None:
        rungs = max((len(group.rungs) for group in self.groups.values()), default=0)
        for self.level in range(rungs):
            known = -1
            while len(self.fragmented) > known:  # what has room in sum and on no machine is asked for elsewhere
                known = len(self.fragmented)
                self.asks = self._asks()
                if not any(ask.running_in is None for ask in self.asks):
                    break
                made = tick(self, self, self, clock=self.clock)
                if made.failed:
                    # Steps end in one store: when it fails one of them, the loop must know.
                    raise OutsideError(made.failed[0][1])

    # --- Observer

    def snapshot(self) -> Snapshot:
        """The world on this rung."""
        own: dict[str, float] = defaultdict(float)
        for ask in self.asks:
            if ask.running_in is not None:
                own[ask.running_in] += ask.accelerators
        pools, regions = [], dict(self.world.regions)
        for name, pool in self.fleet.pools.items():
            engine = pool.pool
            regions.setdefault(
                engine.region, Region(id=engine.region, vendor=engine.vendor, jurisdiction="jurisdiction unknown")
            )
            pools.append(
                PoolState(
                    id=name,
                    region=engine.region,
                    silicon=pool.silicon,
                    family=FAMILY,
                    tier="spot" if engine.spot else "dedicated",
                    # What is on its way out counts as free, or more would be stopped for the same ask each tick.
                    own_accelerators=pool.free + own[name] + (0.0 if self.level else self.leaving[name]),
                    usd_per_accelerator_hour=self._price(name),
                    cordoned=pool.cordoned,
                )
            )
        return Snapshot(
            price_source=self.world.price_source,
            regions=tuple(regions.values()),
            pools=tuple(pools),
            asks=tuple(self.asks),
            datasets=self.world.datasets,
            replicas=self.world.replicas,
            links=self.world.links,
            residency=self.world.residency,
            max_vendor_fraction=self.world.max_vendor_fraction,
        )

    # --- Book

    def decided(self, decision: str, placement: Placement) -> None:
        """Keep a decision that changes something, before anything of it is carried out."""
        self.decision = decision
        self.awaited = {(ask, copy.to_region): copy for copy in placement.transfers for ask in copy.readers}
        self.kept = self._pointless(placement)
        for row in placement.unplaced:
            if row.ask in self.groups and row.excuses:
                first = row.excuses[0]
                self.outcome.reasons[row.ask] = (
                    _REASONS.get(first.rule, "NotPlaceable"),
                    f"{first.limit}; {first.remedy}",
                )
        if placement.evictions or placement.transfers or any(a.change != "stay" for a in placement.assignments):
            kept = placement.model_copy(update={"unplaced": placement.unplaced[:MOST_UNPLACED]})
            self.store.decided(decision, kept.model_dump(mode="json"))

    def done(self, decision: str, number: int, step: Step) -> None:
        """Each step is booked by the event that carries it out, in the same transaction."""

    # --- Hands

    def stop(self, step: Eviction) -> None:
        """Ask a run to leave for dearer work; its job waits again."""
        if (step.ask, step.pool) in self.kept:
            return
        task, run, job = self.running[step.ask]
        fields = {"status": "TERMINATING", "reason": "Preempted", "message": step.reason}
        note = {"decision": self.decision}
        change = Change("Stopping", job.id, job.version, {}, run.id, run.token, fields, note=note)
        if self._commit([change])[0]:
            self.outcome.evicted += 1
            del self.running[step.ask]
            self.leaving[run.pool] += self._need(task, run).amount

    def copy(self, step: Transfer) -> None:
        """Copies are ordered by whoever owns the data; a job that needs one waits, and says for what."""

    def halt(self, step: Halt) -> None:
        """Nothing: a run is not moved while it lives; `start` passes over what no waiting group asked for."""

    def start(self, step: Assignment) -> None:
        """Promise machines to the oldest jobs of an ask, as far as there is room on machines and not only in sum."""
        group = self.groups.get(step.ask)
        if group is None or (step.ask, step.pool) in self.kept:
            return
        rung = group.rungs[self.level]
        pool, need = self.fleet.pools[step.pool], rung.needs[step.pool]
        copy = self.awaited.get((step.ask, pool.pool.region))
        if copy is not None:
            text = f"{copy.dataset} must be copied to {copy.to_region} first ({copy.gib:g} GiB, {copy.usd:,.2f} USD)"
            self.outcome.reasons[step.ask] = ("WaitingForData", text)
            return
        why = step.model_dump(mode="json", include={"runner_up", "runner_up_loss_usd_per_hour", "why_not"})
        chosen: list[Job] = []
        for job in group.jobs[: int(step.count + 1e-6)]:
            if not pool.fits(need):
                if self.leaving[step.pool]:
                    self.held.add(step.ask)
                    self.outcome.reasons[step.ask] = ("WaitingForPreempted", f"work in {step.pool} is being stopped")
                    break
                text = "no machines with enough room together; smaller nodes or fewer of them would fit sooner"
                self.outcome.reasons[step.ask] = ("NodesFragmented", text)
                self.fragmented.add((step.pool, need))
                break
            pool.take(need)
            chosen.append(job)
        price = self._price(step.pool)
        new = NewRun(
            driver=pool.driver,
            pool=step.pool,
            vendor=pool.pool.vendor,
            region=pool.pool.region,
            choice=rung.choice[step.pool],
            usd_per_hour=price * rung.amount if self._priced(step.pool) else None,
        )
        fields = {"status": "STARTING", "reason": "Placed", "message": f"placed in {step.pool}", "not_before": None}
        note = {"decision": self.decision, "why": why}
        changes = [Change("Placed", job.id, job.version, fields, new_run=new, note=note) for job in chosen]
        done = self._commit(changes)
        self.outcome.placed += sum(done)
        gone = {job.id for job in chosen}
        group.jobs = [job for job in group.jobs if job.id not in gone]

    # --- Inside

    def _pointless(self, placement: Placement) -> set[tuple[str, str]]:
        """Stops that make room for work that is worth no more, and the starts of that work.

        Among equals the program may choose any; stopping one of them to start the other would go on for ever.
        """
        worth = {ask.id: ask.usd_per_unit for ask in self.asks}
        stops: dict[str, list[Eviction]] = defaultdict(list)
        for stop in placement.evictions:
            stops[stop.pool].append(stop)
        found: set[tuple[str, str]] = set()
        for pool, rows in stops.items():
            rows.sort(key=lambda row: (-worth[row.ask], row.ask))
            least = worth[rows[0].ask] * (1.0 + WORTH_HYSTERESIS_FRACTION)
            freed = 0.0
            for start in placement.assignments:
                if start.pool == pool and start.change == "start" and worth[start.ask] <= least:
                    found.add((start.ask, pool))
                    freed += start.accelerators
            for row in rows:
                task, run, _ = self.running[row.ask]
                amount = self._need(task, run).amount
                if amount <= freed + 1e-9:
                    found.add((row.ask, pool))
                    freed -= amount
        return found

    def _gather(self, jobs: Sequence[Job], tasks: Mapping[str, Task], avoid: frozenset[str]) -> None:
        known: dict[str, tuple[Rung, ...]] = {}
        cache: dict[Any, tuple[Rung, ...]] = {}
        places = frozenset(self.world.regions)
        for job in jobs:
            if job.run is not None or job.cancel or (job.not_before is not None and job.not_before > self.now):
                continue
            task = tasks[job.task_hash]
            if job.task_hash not in known:
                rules = task.placement
                key = (task.choices, task.nodes, task.ordered, task.max_usd_per_hour, rules.residency, rules.data)
                if key not in cache:
                    cache[key] = rungs_of(task, self.fleet, avoid, places, self.world)
                known[job.task_hash] = cache[key]
            was_stopped = job.reason == "Preempted"
            name = f"{job.task_hash[:32]}{'/again' if was_stopped else ''}"
            group = self.groups.get(name)
            if group is None:
                group = self.groups[name] = Waiting(task, [], known[job.task_hash], not was_stopped)
                if not group.rungs:
                    self.outcome.reasons[name] = self._unmatched(task)
            group.jobs.append(job)

    def _asks(self) -> list[PlaceAsk]:
        asks = []
        for name, group in self.groups.items():
            if group.jobs and self.level < len(group.rungs) and name not in self.held:
                rung = group.rungs[self.level]
                pools = tuple(pool for pool in rung.pools if (pool, rung.needs[pool]) not in self.fragmented)
                if not pools:
                    continue
                asks.append(
                    waiting_ask(
                        name,
                        group.task,
                        rung,
                        pools,
                        len(group.jobs),
                        fleet=self.fleet,
                        now=self.now,
                        may_preempt=group.may_preempt,
                    )
                )
        if self.level == 0:
            for name, (task, run, _) in self.running.items():
                need = self._need(task, run)
                asks.append(running_ask(name, task, run, need, fleet=self.fleet, now=self.now))
        return asks

    def _need(self, task: Task, run: Run) -> Need:
        return need_of(task, task.choices[run.choice])

    def _commit(self, changes: Sequence[Change]) -> tuple[bool, ...]:
        return self.store.apply(changes, owner=self.owner, lease_seconds=self.lease_seconds, fence=self.fence).done

    def _priced(self, pool: str) -> bool:
        return pool in self.world.prices or self.fleet.pools[pool].pool.usd_per_hour is not None

    def _price(self, pool: str) -> float:
        """Internal price; an engine without any is taken before all that cost something."""
        return self.world.prices.get(pool, self.fleet.pools[pool].pool.usd_per_hour or 0.0)

    def _unmatched(self, task: Task) -> tuple[str, str]:
        """Why a task has no rung at all."""
        lost = self.world.unknown_data(task.placement.data)
        if lost:
            return "DataUnknown", f"nobody knows where {', '.join(lost)} lies"
        asked = " or ".join(sorted({_words(choice) for choice in task.choices}))
        has = sorted(f"{name} ({pool.describe()})" for name, pool in self.fleet.pools.items())
        mute = "".join(f"; {name} cannot be asked: {why}" for name, why in self.fleet.unknown.items())
        some = f"no pool that may be used has {task.nodes} x {asked}"
        return "NoMatchingPool", f"{some}; there is {', '.join(has) or 'nothing'}{mute}"

    def _say_why(self) -> None:
        """Give waiting jobs their reason, where it is another than before."""
        changes: list[Change] = []
        for name, group in self.groups.items():
            self.outcome.waiting += len(group.jobs)
            reason, text = self.outcome.reasons.get(name, ("Queued", ""))
            longest = group.task.recovery.max_wait_seconds
            for job in group.jobs:
                waited = (self.now - job.created_at).total_seconds()
                if longest is not None and waited > longest and job.status == "PENDING":
                    ended = f"waited longer than {longest:g} seconds; {reason}: {text}"
                    fields = {"status": "FAILED", "reason": "MaxWait", "message": ended, "not_before": None}
                    changes.append(Change("MaxWait", job.id, job.version, fields, drop_secrets=True))
                elif job.reason != reason and job.status == "PENDING" and len(changes) < MOST_REASONS:
                    changes.append(Change("Waiting", job.id, job.version, {"reason": reason, "message": text}))
        if changes:
            self._commit(changes)


_REASONS = {
    "P1.P": "InsufficientCapacity",
    "price": "WorthLessThanPrice",
    "residency": "Residency",
    "cordon": "Cordoned",
    "link": "NoWayForData",
    "deadline": "DeadlineOutOfReach",
}
"""Rule of an excuse of `place` to the reason's word, in Kueue's style."""


def _words(choice: Choice) -> str:
    """Resources of one node in words."""
    parts = [f"{choice.accelerators:g} {choice.silicon or 'accelerators'}"] if choice.accelerators else []
    parts += [f"{choice.cpus or DEFAULT_CORES:g} cores"] if choice.cpus is not None or not parts else []
    parts += [f"{choice.memory_gib:g} GiB"] if choice.memory_gib is not None else []
    where = "/".join(part for part in (choice.vendor, choice.region, choice.zone) if part)
    return ", ".join(parts) + (" on spot" if choice.spot else "") + (f" in {where}" if where else "")

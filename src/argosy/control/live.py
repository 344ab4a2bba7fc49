"""Live: one placement of waiting jobs on real engines, as the observer, the hands and the book of a tick.

`place` decided on a snapshot. Before anything of it is committed each item is compared with the world as it is now: the
machines still have room, the job is still the one that was looked at. What does not fit is left for the next tick.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from argosy.clock import Clock
from argosy.control import copies as data_copies
from argosy.control.asks import FAMILY, Progress, Rung, WayOut, is_paced, rungs_of, running_ask, waiting_ask
from argosy.control.fleet import Fleet, Need, need_of
from argosy.control.protocols import Halt
from argosy.control.resumes import Resume
from argosy.control.tick import Step, tick
from argosy.control.world import ControlWorld
from argosy.errors import OutsideError
from argosy.model.copy import Copy
from argosy.model.decision import Excuse
from argosy.model.job import Job, Run
from argosy.model.placement import Assignment, Eviction, Placement, Transfer
from argosy.model.region import Region
from argosy.model.snapshot import PlaceAsk, PoolState, Snapshot
from argosy.model.task import Task
from argosy.run.rules import RunRules
from argosy.store import AnyStore, Change, Lease, NewRun

WAITS = "WaitingForSpot"
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
    resume: Resume | None = None
    """What they go on from; then there is one job."""


@dataclass(slots=True)
class Outcome:
    """What one tick did."""

    placed: int = 0
    evicted: int = 0
    moved: int = 0
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
        resumes: Mapping[str, Resume] | None = None,
        troubles: Mapping[str, str] | None = None,
        copies: Mapping[str, Copy] | None = None,
        copies_made: bool = False,
        targets: Mapping[str, str] | None = None,
        ways_out: Callable[[Mapping[str, tuple[Task, Run, Job]]], Mapping[str, WayOut]] | None = None,
        kept: Mapping[str, float] | None = None,
        rules: RunRules | None = None,
    ) -> None:
        """`resumes` and `troubles` are by job: what it goes on from, and why that could not be found out.

        `targets` is job to the pool that it left its last one for. `copies_made` says whether somebody carries copies
        out. `ways_out` gives those runs that may move now; without it none may. `kept` is run to the hours of work that
        it went on from (R15); `rules` say what a start may take and how often moves are asked for.
        """
        self.kept_hours, self.rules = kept or {}, rules or RunRules()
        self.away: dict[str, str] = {}
        """Pool of the snapshot without capacity to the spot pool that it stands for: not used now, but hoped for."""
        self.resumes, self.troubles = resumes or {}, troubles or {}
        self.targets = targets or {}
        self.only: dict[str, str] = {}
        """Groups that are asked for alone, and the one pool that each is asked for in; empty: all are."""
        self.copies, self.copies_made = copies or {}, copies_made
        self.look_for_ways_out = ways_out
        self.ways_out: Mapping[str, WayOut] = {}
        self.moves: dict[str, str] = {}
        """Ask that moves by the present decision to its new pool."""
        self.store, self.fleet, self.world, self.clock = store, fleet, world, clock
        self.owner, self.fence, self.lease_seconds = owner, fence, lease_seconds
        self.outcome = Outcome()
        self.groups: dict[str, Waiting] = {}
        self.running: dict[str, tuple[Task, Run, Job]] = {}
        self.leaving: dict[str, float] = defaultdict(float)
        """Pool to what runs on their way out still hold there."""
        self.held: set[str] = set()
        """Asks that wait for what others are leaving, or for data, and look no further in this tick."""
        self.fragmented: set[tuple[str, Need]] = set()
        """Pools whose machines have no room together for a need, although they have it in sum."""
        self.kept: set[tuple[str, str]] = set()
        """Ask and pool of steps of the present decision that are not carried out."""
        self.level = 0
        self.asks: list[PlaceAsk] = []
        self.decision = ""
        self.awaited: dict[tuple[str, str], Transfer] = {}
        self.for_data: dict[str, str] = {}
        """Name of a group to the copies that it waits for, in words."""
        self.missing_ways: dict[str, str] = {}
        """Name of a group to a way that its checkpoint has no price for."""

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
        for run in runs:
            if run.status == "TERMINATING" and run.moving_to in self.fleet.pools and run.job in by_name:
                task = tasks[by_name[run.job].task_hash]
                self.fleet.pools[run.moving_to].take(self._need(task, run))  # kept for it until it is there
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
        if self.look_for_ways_out is not None:
            self.ways_out = self.look_for_ways_out(self.running)
        self._arrive()
        self._down_the_rungs()
        waits = any(group.jobs and name not in self.held for name, group in self.groups.items())
        if waits and self.fleet.open_avoided():  # nothing else had room
            self.fragmented.clear()
            self._down_the_rungs()
        self._say_why()
        return self.outcome

    def _arrive(self) -> None:
        """Place what left for another pool there, before anybody else may have the room that was kept for it."""
        for name, group in self.groups.items():
            target = next((self.targets[job.id] for job in group.jobs if job.id in self.targets), None)
            if target is not None and group.rungs and target in group.rungs[0].pools:
                self.only[name] = target
        self.level = 0
        if self.only:
            self.asks = self._asks()
            self._tick()
        self.only = {}

    def _down_the_rungs(self) -> None:
        rungs = max((len(group.rungs) for group in self.groups.values()), default=0)
        for level in range(max(rungs, 1 if self.ways_out else 0)):
            self.level = level
            known = -1
            while len(self.fragmented) > known:  # what has room in sum and on no machine is asked for elsewhere
                known = len(self.fragmented)
                self.asks = self._asks()
                if not any(ask.running_in is None or ask.id in self.ways_out for ask in self.asks):
                    break
                self._tick()

    def _tick(self) -> None:
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
        pools: list[PoolState] = []
        regions = dict(self.world.regions)
        for name, pool in self.fleet.pools.items():
            engine = pool.pool
            regions.setdefault(
                engine.region, Region(id=engine.region, vendor=engine.vendor, jurisdiction="jurisdiction unknown")
            )
            # What is on its way out counts as free, or more would be stopped for the same ask each tick.
            capacity = pool.free + own[name] + (0.0 if self.level else self.leaving[name])
            pools.append(
                PoolState(
                    id=name,
                    region=engine.region,
                    silicon=pool.silicon,
                    family=FAMILY,
                    tier="spot" if engine.spot else "dedicated",
                    own_accelerators=capacity,
                    as_used_fraction=max(0.0, 1.0 - pool.paid / capacity) if capacity > 0 else 0.0,
                    usd_per_accelerator_hour=self._price(name),
                    cordoned=pool.cordoned,
                )
            )
        known = {pool.id: pool for pool in pools}
        pools += [
            known[name].model_copy(update={"id": away, "own_accelerators": 0.0}) for away, name in self.away.items()
        ]
        return Snapshot(
            look_hours=self.rules.move_seconds / 3600,
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
        self.moves = {row.ask: row.pool for row in placement.assignments if row.change == "migrate"}
        self.kept = self._pointless(placement)
        for row in placement.unplaced:
            if row.ask in self.groups and row.excuses:
                first, told = row.excuses[0], self.outcome.reasons.get(row.ask)
                if told is not None and told[0] == WAITS:
                    continue  # places that are avoided say no more
                text = self._until(first) if first.rule == "wait" else f"{first.limit}; {first.remedy}"
                self.outcome.reasons[row.ask] = _REASONS.get(first.rule, "NotPlaceable"), text
        if placement.evictions or placement.transfers or any(a.change != "stay" for a in placement.assignments):
            note = self.world.price_note([use.pool for use in placement.pools])
            shown = {"unplaced": placement.unplaced[:MOST_UNPLACED], "price_note": note}
            kept = placement.model_copy(update=shown)
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
        """Order a copy, once for a dataset and a region; whoever reads it waits until it is there."""
        if self.copies_made:
            data_copies.order(self.store, step, self.world, decision=self.decision, now=self.now, fence=self.fence)

    def halt(self, step: Halt) -> None:
        """Ask a run to leave for another place (R14). Its job is placed anew once it is gone and shut out."""
        if step.ask not in self.running or step.ask not in self.moves:
            return
        task, run, job = self.running[step.ask]
        target = self.moves[step.ask]
        need = self._need(task, run)
        if not self.fleet.pools[target].fits(need):
            self.fragmented.add((target, need))
            return
        there, here = self._price(target) * need.amount, self._price(run.pool) * need.amount
        text = f"moves to {target}: {there:,.2f} USD an hour instead of {here:,.2f}"
        fields = {"status": "TERMINATING", "reason": "Moved", "message": text, "moving_to": target}
        note = {"decision": self.decision, "carries_gib": self.ways_out[step.ask].gib}
        if self._commit([Change("Moving", job.id, job.version, {}, run.id, run.token, fields, note=note)])[0]:
            self.outcome.moved += 1
            del self.running[step.ask]
            self.leaving[run.pool] += need.amount
            self.fleet.pools[target].take(need)

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
            text += "" if self.copies_made else "; nobody is told to copy (data.folders of the server file)"
            self.outcome.reasons[step.ask] = ("WaitingForData", text)
            if self.copies_made:
                self.held.add(step.ask)  # it was found a place, and is not to end in a worse one for want of patience
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
        going_on, told = self._going_on(group.resume, pool.pool.region)
        new = NewRun(
            driver=pool.driver,
            pool=step.pool,
            vendor=pool.pool.vendor,
            region=pool.pool.region,
            choice=rung.choice[step.pool],
            usd_per_hour=price * rung.amount if self._priced(step.pool) else None,
            **going_on,
        )
        fields = {"status": "STARTING", "reason": "Placed", "message": f"placed in {step.pool}", "not_before": None}
        note = {"decision": self.decision, "why": why, **told}
        changes = [Change("Placed", job.id, job.version, fields, new_run=new, note=note) for job in chosen]
        done = self._commit(changes)
        self.outcome.placed += sum(done)
        gone = {job.id for job in chosen}
        group.jobs = [job for job in group.jobs if job.id not in gone]

    # --- Inside

    def _until(self, excuse: Excuse) -> str:
        """P5.15 in words that stay true: the instant at which work starts on demand at the latest."""
        latest = self.now + timedelta(hours=excuse.short or 0.0)
        return f"ahead of its deadline; starts on demand at {latest:%Y-%m-%d %H:%M} UTC at the latest"

    def _progress(self, task: Task, jobs: Sequence[Job], kept_hours: float) -> Progress | None:
        """R15, by the oldest of jobs that are alike; None where P5.15 does not speak of the task."""
        if not is_paced(task):
            return None
        look = self.rules.move_seconds / 3600
        elapsed = (self.now - min(job.created_at for job in jobs)).total_seconds() / 3600
        return Progress(kept_hours, look * int(max(0.0, elapsed) / look + 1e-9), self.rules.start_seconds / 3600)

    def _away(self, group: Waiting) -> list[str]:
        """Spot pools of other rungs, as pools of the snapshot that hold nothing: full or avoided now, and hoped for."""
        rung = group.rungs[self.level]
        every = {pool for other in group.rungs if other.amount == rung.amount for pool in other.pools}
        names = sorted(pool for pool in every - set(rung.pools) if self.fleet.pools[pool].pool.spot)
        self.away |= {f"{name}/away": name for name in names}
        return [f"{name}/away" for name in names]

    def _going_on(self, resume: Resume | None, region: str) -> tuple[dict[str, Any], dict[str, Any]]:
        """R12: fields of a new run, and words of its event, about the checkpoint that it goes on from."""
        if resume is None:
            return {}, {}
        way = resume.carried(self.world, region)
        assert not isinstance(way, str), "places without a way for the checkpoint were left out"
        fields: dict[str, Any] = {
            "resume_from": resume.path,
            "resume_region": resume.region,
            "resume_hash": resume.hash,
            "resume_gib": resume.gib,
            "resume_usd": None if way is None else way.usd,
            "resume_hours": None if way is None else way.hours,
        }
        told = {} if resume.lost_seconds is None else {"lost_seconds": resume.lost_seconds}
        return fields, {"resume": {**fields, **told}}

    def _carriable(self, rungs: tuple[Rung, ...], resume: Resume) -> tuple[tuple[Rung, ...], str]:
        """Rungs without the places that have no way for the checkpoint, and which way that is."""
        found, missing = [], ""
        for rung in rungs:
            pools = []
            for pool in rung.pools:
                way = resume.carried(self.world, self.fleet.pools[pool].pool.region)
                if isinstance(way, str):
                    missing = missing or way
                else:
                    pools.append(pool)
            if pools:
                found.append(Rung(tuple(pools), rung.amount, rung.choice, rung.needs))
        return tuple(found), missing

    def _data_open(self, group: Waiting, rung: Rung, name: str) -> list[str]:
        """Pools where the data of a group is, or that a copy may be ordered for now.

        While a copy is under way no other is ordered, and where it goes nothing is started. Work that does not say its
        worth waits for room where its data lies; a copy is ordered for it only where there is no such place.
        """
        data = group.task.placement.data
        if not data:
            return list(rung.pools)
        here = {pool for pool in rung.pools if self.world.has_data(data, self.fleet.pools[pool].pool.region)}
        mine = [copy for copy in self.copies.values() if copy.dataset in data and copy.status != "DONE"]
        resting = {copy.to_region for copy in mine if copy.failures >= data_copies.FAILING}
        going = [copy for copy in mine if copy.to_region not in resting]
        if mine:
            self.for_data[name] = "; ".join(data_copies.words(copy, self.now) for copy in going or mine)
        any_here = any(
            self.world.has_data(data, self.fleet.pools[pool].pool.region) for r in group.rungs for pool in r.pools
        )
        if going or (any_here and group.task.placement.value_usd_per_hour is None):
            return [pool for pool in rung.pools if pool in here]
        return [pool for pool in rung.pools if self.fleet.pools[pool].pool.region not in resting]

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
                ordered = task.ordered and not is_paced(task)
                key = (task.choices, task.nodes, ordered, task.max_usd_per_hour, rules.residency, rules.data)
                if key not in cache:
                    cache[key] = rungs_of(task, self.fleet, avoid, places, self.world)
                known[job.task_hash] = cache[key]
            was_stopped = job.reason in ("Preempted", "Moved")
            name = f"{job.task_hash[:32]}{'/again' if was_stopped else ''}"
            resume = self.resumes.get(job.id)
            if resume is not None or job.id in self.troubles:
                name = f"{job.task_hash[:32]}/{job.id}"
            group = self.groups.get(name)
            if group is None:
                group = self.groups[name] = Waiting(task, [], known[job.task_hash], not was_stopped, resume)
                if job.id in self.troubles:
                    group.rungs = ()
                    self.outcome.reasons[name] = ("CheckpointsUnreadable", self.troubles[job.id])
                elif not group.rungs:
                    self.outcome.reasons[name] = self._unmatched(task)
                elif resume is not None:
                    group.rungs, missing = self._carriable(group.rungs, resume)
                    if missing:
                        self.missing_ways[name] = f"its checkpoint of {resume.gib:.3g} GiB: {missing}"
                    if not group.rungs:
                        self.outcome.reasons[name] = ("LinkMissing", self.missing_ways[name])
            group.jobs.append(job)

    def _asks(self) -> list[PlaceAsk]:
        asks = []
        self.away = {}
        for name, group in self.groups.items():
            if self.only and name not in self.only:
                continue
            if group.jobs and self.level < len(group.rungs) and name not in self.held:
                rung = group.rungs[self.level]
                pools = tuple(
                    pool
                    for pool in self._data_open(group, rung, name)
                    if (pool, rung.needs[pool]) not in self.fragmented and self.only.get(name, pool) == pool
                )
                if not pools:
                    continue
                kept = 0.0 if group.resume is None else group.resume.kept_hours
                progress = self._progress(group.task, group.jobs, kept)
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
                        resume=group.resume,
                        world=self.world,
                        progress=progress,
                        away=[] if progress is None else self._away(group),
                    )
                )
        if self.level == 0 and not self.only:
            for name, (task, run, job) in self.running.items():
                need = self._need(task, run)
                asks.append(
                    running_ask(
                        name,
                        task,
                        run,
                        need,
                        fleet=self.fleet,
                        now=self.now,
                        way_out=self._way_out(name, need),
                        progress=self._progress(task, [job], self.kept_hours.get(run.id, 0.0)),
                    )
                )
        return asks

    def _way_out(self, name: str, need: Need) -> WayOut | None:
        found = self.ways_out.get(name)
        if found is None:
            return None
        pools = tuple(pool for pool in found.pools if (pool, need) not in self.fragmented)
        return WayOut(pools, found.gib, found.saved_at)

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
        asked = " or ".join(sorted({choice.describe() for choice in task.choices}))
        has = sorted(f"{name} ({pool.describe()})" for name, pool in self.fleet.pools.items())
        mute = "".join(f"; {name} cannot be asked: {why}" for name, why in self.fleet.unknown.items())
        rules = (task.placement.residency, self.world.residency)
        limits = [
            " in a region that is known to keep the residency rule" * any(r.allowed or r.denied for r in rules),
            f" where {', '.join(task.placement.data)} can be read" if task.placement.data else "",
            f" at a known price of up to {most:g} USD an hour" if (most := task.max_usd_per_hour) is not None else "",
        ]
        some = f"no pool that may be used has {task.nodes} x {asked}{' and'.join(filter(None, limits))}"
        return "NoMatchingPool", f"{some}; there is {', '.join(has) or 'nothing'}{mute}"

    def _say_why(self) -> None:
        """Give waiting jobs their reason, where it is another than before."""
        changes: list[Change] = []
        for name, group in self.groups.items():
            self.outcome.waiting += len(group.jobs)
            reason, text = self.outcome.reasons.get(name, ("Queued", ""))
            if name in self.for_data:
                reason, text = "WaitingForData", self.for_data[name]
            missing = "" if reason == "LinkMissing" else self.missing_ways.get(name, "")
            text += f"; not elsewhere: {missing}" if missing else ""
            longest = group.task.recovery.max_wait_seconds
            for job in group.jobs:
                waited = (self.now - job.created_at).total_seconds()
                if longest is not None and waited > longest and job.status == "PENDING":
                    ended = f"waited longer than {longest:g} seconds; {reason}: {text}"
                    fields = {"status": "FAILED", "reason": "MaxWait", "message": ended, "not_before": None}
                    changes.append(Change("MaxWait", job.id, job.version, fields, drop_secrets=True))
                elif len(changes) < MOST_REASONS and (fields := _told_anew(job, reason, text, missing)):
                    changes.append(Change("Waiting", job.id, job.version, fields))
        if changes:
            self._commit(changes)


_OUTSIDE = ("WaitingForData", "LinkMissing", "CheckpointsUnreadable")
"""Reasons whose text is kept up to date; what it says changes only when something happened."""


def _told_anew(job: Job, reason: str, text: str, missing: str) -> dict[str, Any]:
    """Fields of a waiting job whose reason is another than before; a job that recovers keeps why it does."""
    if job.status == "PENDING":
        same = job.reason == reason and (reason not in _OUTSIDE or job.message == text)
        return {} if same else {"reason": reason, "message": text}
    if reason not in _OUTSIDE and not missing:
        return {}
    told = f"{reason}: {text}" if reason in _OUTSIDE else f"{reason} where its checkpoint lies; LinkMissing: {missing}"
    return {"message": told} if job.message != told else {}


_REASONS = {
    "P1.P": "InsufficientCapacity",
    "price": "WorthLessThanPrice",
    "residency": "Residency",
    "cordon": "Cordoned",
    "link": "NoWayForData",
    "deadline": "DeadlineOutOfReach",
    "wait": WAITS,
}
"""Rule of an excuse of `place` to the reason's word, in Kueue's style."""

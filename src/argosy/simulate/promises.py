"""Promises: what must hold after every step of a fault simulation, recounted from the engines' own ledgers.

I1  At most one run of a job commits success, and once one has, no other run of that job is ever made.
I2  Nothing is billed without an owner for longer than sweep period and grace.
I3  A job that succeeded has a committed record; one that ended otherwise has a record or says what is unknown.
I4  The log folds to the tables.
I5  A run is only where its job's residency allows it.
I6  Once nothing fails any more, every job ends.
I7  A recovery does not go to a place inside its penalty window while another that would do has room.
I8  A run that is placed again goes on from the newest checkpoint that was committed before, where residency lets that
    lie; it is charged what the link from there says, and a checkpoint without a priced way goes nowhere.
I9  Data is there before its reader is placed. A copy is charged once, when it is whole, lies only where its dataset
    may, and comes from where the dataset was.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from argosy.control.loop import Control
from argosy.control.world import ControlWorld
from argosy.model.job import JOB_ENDS, RUN_ACTIVE, Event, Job, Run
from argosy.model.region import Region
from argosy.model.task import Task
from argosy.run.driver import EnginePool
from argosy.run.ladder import Penalties, locations, node_location, weight
from argosy.run.rules import RunRules
from argosy.simulate.copying import InventedCopier, InventedDisk
from argosy.simulate.engine import Commit, Engine
from argosy.store import AnyStore, Present, Recount
from argosy.store.fold import empty, fold
from argosy.store.rows import told

EVERY = 16
"""Steps between two recounts of the whole log; what a step changed is compared after that step."""


class Broken(AssertionError):
    """A promise was not kept."""


class Promises:
    """Looks at one store and its engines after every step."""

    def __init__(
        self,
        store: AnyStore,
        engines: list[Engine],
        rules: RunRules,
        regions: Mapping[str, Region],
        *,
        world: ControlWorld | None = None,
        disk: InventedDisk | None = None,
        copier: InventedCopier | None = None,
    ) -> None:
        """`disk` and `copier` are judged too where they are given, with the links and data of `world`."""
        self.world, self.disk, self.copier = world or ControlWorld(regions=regions), disk, copier
        self.resumed = 0
        self.charged: dict[str, float] = {}
        """Copies that were charged."""
        self.store, self.engines, self.rules, self.regions = store, engines, rules, regions
        self.calm = False
        self.steps = 0
        self.read = 0
        """Number of the last event that was looked at."""
        self.tasks: dict[str, Task] = {}
        self.runs: dict[str, Run] = {}
        self.jobs: dict[str, Job] = {}
        self.folded = empty()
        """What the log folds to, up to `read`."""
        self.unowned: dict[str, tuple[datetime, int]] = {}
        self.commits: dict[str, str] = {}
        self.counted = [0] * len(engines)
        self.control: Control | None = None
        self.present = Present()
        self.cordons: dict[str, bool] = {}
        self.penalties: dict[str, tuple[float, datetime]] = {}

    def before(self, control: Control) -> None:
        """A replica is about to look."""
        self.store.refresh(self.present)
        self.control, self.cordons, self.penalties = control, self.present.cordons, self.present.penalties

    def check(self, say: Callable[[str], None] = lambda _: None) -> None:
        """All promises that can be looked at now."""
        self.steps += 1
        self._read(say)
        self._one_commit()
        self._owners()
        if self.steps % EVERY == 0:
            self._fold()

    def end(self) -> Recount:
        """What must hold at the very end; what the last replay of the log found."""
        found = self._fold()
        late = [job for job in self.store.open_jobs() if job.status not in JOB_ENDS]
        if late:
            raise Broken(f"I6: {late[0].id} is still {late[0].status} ({late[0].reason}: {late[0].message})")
        billed = [run for engine in self.engines for run in engine.billed()]
        if billed:
            raise Broken(f"I2: {billed[0]} is still billed")
        return found

    # --- Reading what is new

    def _read(self, say: Callable[[str], None]) -> None:
        events = self.store.events(after=self.read)
        if not events:
            return
        self.read = events[-1].number
        jobs = {event.job for event in events if event.job is not None}
        self.jobs |= self.store.jobs_named(sorted(jobs))
        missing = {self.jobs[name].task_hash for name in jobs} - set(self.tasks)
        if missing:
            self.tasks |= self.store.tasks(sorted(missing))
        for name in jobs:
            for run in self.store.runs(name):
                self.runs[run.id] = run
        self._folds(events)
        for event in events:
            told = event.body.get("run", {}).get("status"), event.body.get("job", {}).get("status")
            say(f"  event {event.number} {event.kind} {event.run or event.job} run {told[0]} job {told[1]}")
        for name in sorted(jobs):
            self._ended(self.jobs[name])
        placed = [self.runs[event.run] for event in events if event.kind == "Placed" and event.run is not None]
        for event in events:
            if event.kind == "Placed" and event.run is not None:
                self._placed(self.runs[event.run], placed)
            for name, row in event.body.get("copies", {}).items():
                self._copy(event.kind, name, row)

    def _folds(self, events: list[Event]) -> None:
        """I4, of the jobs and runs that these events name."""
        fold(self.folded, events)
        for event in events:
            named: tuple[tuple[str, str | None, Mapping[str, Job | Run]], ...]
            named = (("jobs", event.job, self.jobs), ("runs", event.run, self.runs))
            for part, name, kept in named:
                if name is not None and (row := told(kept[name])) != self.folded[part][name]:
                    raise Broken(f"I4: {name} is {row}, and the log says {self.folded[part][name]}")

    def _copy(self, kind: str, name: str, row: Mapping[str, Any]) -> None:
        """I9, of one step of a copy."""
        dataset = next(known for known in self.world.datasets if known.id == row["dataset"])
        region = self.regions[row["to_region"]]
        if dataset.jurisdictions and not region.within(frozenset(dataset.jurisdictions)):
            raise Broken(f"I9: a copy of {dataset.id} to {region.id}, outside {dataset.jurisdictions}")
        if kind == "CopyOrdered" and not self._lies(dataset.id, row["from_region"]):
            raise Broken(f"I9: {name} is copied from {row['from_region']}, where {dataset.id} is not")
        if kind == "Copied":
            if name in self.charged:
                raise Broken(f"I9: {name} was charged twice")
            if self.copier is not None and all(whole != name for whole, _ in self.copier.whole):
                raise Broken(f"I9: {name} was charged, and is not whole")
            way = self.world.carried(row["from_region"], row["to_region"], dataset.size_gib)
            if isinstance(way, str) or abs(row["charged_usd"] - way.usd) > 1e-9:
                raise Broken(f"I9: {name} was charged {row['charged_usd']}, the link says {way}")
            self.charged[name] = row["charged_usd"]
        elif row["charged_usd"] is not None:
            raise Broken(f"I9: {name} was charged before it was whole")

    def _lies(self, dataset: str, region: str) -> bool:
        return self.world.has_data((dataset,), region) or f"{dataset}@{region}" in self.charged

    def _goes_on(self, run: Run, task: Task) -> None:
        """I8 and I9, of a run that was placed."""
        for name in task.placement.data:
            if not self._lies(name, run.region):
                raise Broken(f"I9: {run.id} is in {run.region} before {name} is")
        if run.epoch == 1 or task.placement.checkpoint is None or self.disk is None or self._twice_is_fine(run.job):
            return
        begun = [r for r in self.runs.values() if r.job == run.job and r.epoch < run.epoch and r.status != "RETURNED"]
        last = max((r.epoch for r in begun), default=0)
        newest = self.disk.newest(run.job, last)
        told = None if newest is None else newest.path
        if run.resume_from != told:
            raise Broken(f"I8: {run.id} goes on from {run.resume_from}, the newest is {told}")
        if newest is None:
            return
        self.resumed += 1
        if not self.world.allows(task.placement.residency, newest.region):
            raise Broken(f"I8: {run.id} takes its checkpoint out of {newest.region}")
        way = self.world.carried(newest.region, run.region, newest.gib)
        if isinstance(way, str) or (run.resume_region, run.resume_usd, run.resume_hours) != (
            newest.region, way.usd, way.hours,
        ):  # fmt: skip
            raise Broken(f"I8: {run.id} was charged {run.resume_usd} from {run.resume_region}, the link says {way}")

    def _ended(self, job: Job) -> None:
        if job.status not in JOB_ENDS:
            return
        if job.status == "SUCCEEDED" and not any(c.job == job.id and c.exit_code == 0 for c in self._ledger()):
            raise Broken(f"I3: {job.id} is SUCCEEDED, and no engine has a record of that")
        if job.status == "FAILED" and job.exit_code is None and job.reason == "ExitCode":
            raise Broken(f"I3: {job.id} is FAILED by an exit code that nobody knows")
        if not job.reason:
            raise Broken(f"I3: {job.id} is {job.status} without a reason")

    def _placed(self, run: Run, together: list[Run]) -> None:
        job = self.jobs[run.job]
        task = self.tasks[job.task_hash]
        rule, region = task.placement.residency, self.regions[run.region]
        if rule.allowed and not region.within(frozenset(rule.allowed)):
            raise Broken(f"I5: {run.id} is in {run.region}, outside {rule.allowed}")
        if rule.denied and region.within(frozenset(rule.denied)):
            raise Broken(f"I5: {run.id} is in {run.region}, which {rule.denied} excludes")
        self._goes_on(run, task)
        if run.epoch > 1 and self.control is not None and run.lease_owner == self.control.owner:
            self._ladder(run, task, together)

    def _ladder(self, run: Run, task: Task, together: list[Run]) -> None:
        """I7, with the capacity that the control loop was told."""
        assert self.control is not None
        after = self.store.penalties()
        pools = {pool.id: pool for told in self.control.capacity.values() for pool in told}

        def bad(penalties: Penalties, names: Iterable[str]) -> bool:
            least = self.rules.avoid_fraction
            return any(weight(penalties, name, run.created_at, self.rules) >= least for name in names)

        def names(pool: EnginePool) -> list[str]:
            return list(locations(pool.id, pool.vendor, pool.region).values())

        if run.pool not in pools or not bad(self.penalties, names(pools[run.pool])):
            return
        for pool in pools.values():
            if pool.id == run.pool or bad(self.penalties | after, names(pool)) or not self._would_do(pool, task):
                continue
            if not all(self._lies(name, pool.region) for name in task.placement.data):
                continue
            if not self._carriable(run, pool.region):
                continue
            promised = sum(
                self.tasks[self.jobs[other.job].task_hash].nodes
                for other in self.runs.values()
                if (other.pool == pool.id and (other in together or other.status in RUN_ACTIVE))
                or (other.moving_to == pool.id and other.status == "TERMINATING")  # its room is kept
            )
            free = sum(
                node.ready and node.free_accelerators == node.accelerators and node.free_cpus == node.cpus
                and not bad(self.penalties | after, [node_location(pool.id, node.id)])
                for node in pool.nodes
            )  # fmt: skip
            if free - promised >= task.nodes:
                raise Broken(f"I7: {run.id} went back to {run.pool} while {pool.id} had room")

    def _carriable(self, run: Run, region: str) -> bool:
        """Whether what a run goes on from has a way to a region."""
        if run.resume_gib is None or run.resume_region is None:
            return True
        return not isinstance(self.world.carried(run.resume_region, region, run.resume_gib), str)

    def _would_do(self, pool: EnginePool, task: Task) -> bool:
        if self.cordons:
            return False
        rule, region = task.placement.residency, self.regions[pool.region]
        if rule.allowed and not region.within(frozenset(rule.allowed)):
            return False
        if rule.denied and region.within(frozenset(rule.denied)):
            return False
        return any(
            choice.spot == pool.spot
            and (choice.vendor in (None, pool.vendor))
            and (
                (pool.silicon is None and not choice.accelerators)
                or (
                    pool.silicon is not None
                    and choice.accelerators > 0
                    and choice.silicon in (None, pool.silicon)
                    and all(node.accelerators >= choice.accelerators for node in pool.nodes)
                )
            )
            for choice in task.choices
        )

    # --- Commits and owners

    def _ledger(self) -> Iterator[Commit]:
        return (commit for engine in self.engines for commit in engine.ledger)

    def _one_commit(self) -> None:
        """I1."""
        for i, engine in enumerate(self.engines):
            for commit in engine.ledger[self.counted[i] :]:
                if commit.exit_code == 0:
                    before = self.commits.setdefault(commit.job, commit.run)
                    if before != commit.run and not self._twice_is_fine(commit.job):
                        raise Broken(f"I1: {before} and {commit.run} both finished the work of {commit.job}")
            self.counted[i] = len(engine.ledger)
        for name, run in self.commits.items():
            job = self.jobs.get(name)
            if job is not None and f"{name}-{job.epoch}" != run and not self._twice_is_fine(name):
                raise Broken(f"I1: {name} was finished by {run}, and has run {job.epoch}")

    def _twice_is_fine(self, job: str) -> bool:
        rules = self.tasks[self.jobs[job].task_hash].placement
        return rules.idempotent and rules.on_unreachable == "replace-now"

    def _owners(self) -> None:
        """I2. Time counts while the engine can be asked."""
        limit = self.rules.orphan_grace_seconds + 3 * self.rules.sweep_seconds + self.rules.stop_grace_seconds
        for engine in self.engines:
            now = engine.clock.now()
            for run in engine.billed():
                known = self.runs.get(run)
                if (known is not None and known.status in RUN_ACTIVE) or not engine.reachable() or not self.calm:
                    self.unowned.pop(run, None)
                    continue
                since, steps = self.unowned.get(run, (now, self.steps))
                self.unowned[run] = (since, steps)
                if (now - since).total_seconds() > limit and self.steps - steps > 8:
                    raise Broken(f"I2: {run} was billed without an owner for {(now - since).total_seconds():g} s")

    def _fold(self) -> Recount:
        """I4."""
        found = self.store.recount()
        if found.problems or found.log_hash != found.table_hash:
            raise Broken(f"I4: {'; '.join(found.problems[:3])}")
        return found

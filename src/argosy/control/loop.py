"""Loop: one look at everything, again and again: observe, judge, place, start, stop, sweep.

Any number of replicas may run it on one PostgreSQL store. Each looks after the runs whose lease it holds; one of them,
by a lease with an epoch, also places. Everything that takes time (engines) happens outside transactions; what follows
from it is committed only if job and run are still as they were. A loop that is killed anywhere is followed by the next
look: every step is at least once and idempotent by job, epoch and step.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any, TypeVar

from argosy.clock import Clock
from argosy.control.asks import is_paced
from argosy.control.copies import at_hand, carry_out
from argosy.control.fleet import Fleet, make_fleet, need_of, node_names, place_names, promise
from argosy.control.live import LiveTick, Outcome
from argosy.control.moves import ways_out
from argosy.control.resumes import Find, Resumes, on_disk
from argosy.control.world import ControlWorld
from argosy.errors import ArgosyError, BadInput, CheckFailed, OutsideError, SolverError, StartRefused
from argosy.model.job import Job, Run
from argosy.model.task import Task
from argosy.run.copier import Copier
from argosy.run.decide import Case, Sight, Verdict, judge, leave, refused, started
from argosy.run.driver import Driver, EnginePool, Observation, Order
from argosy.run.ladder import Penalties, avoided, node_location
from argosy.run.rules import RunRules
from argosy.store import AnyStore, Change, Lease, Present

LEAD = "tick"
_log = logging.getLogger("argosy.control")
A = TypeVar("A")
B = TypeVar("B")
Spread = Callable[[Callable[[A], B], Sequence[A]], Iterable[B]]


def in_turn(call: Callable[[A], B], items: Sequence[A]) -> Iterator[B]:
    """One after the other; what a simulation uses instead of threads."""
    return map(call, items)


@dataclass(slots=True)
class Look:
    """What one pass of the loop did."""

    leads: bool = False
    observed: int = 0
    changed: int = 0
    discarded: int = 0
    started: int = 0
    swept: int = 0
    copied: int = 0
    """Steps of copies of data."""
    outcome: Outcome = field(default_factory=Outcome)
    open_jobs: int = 0
    failing: str = ""
    """Why nothing could be placed; empty when that is not so."""

    @property
    def busy(self) -> bool:
        """Whether something happened, so that the next look should not wait."""
        return bool(self.changed or self.started or self.outcome.placed or self.outcome.evicted or self.copied)


class Control:
    """The loop of one replica."""

    def __init__(
        self,
        store: AnyStore,
        drivers: Mapping[str, Driver],
        *,
        owner: str,
        clock: Clock,
        rules: RunRules | None = None,
        world: ControlWorld | None = None,
        spread: Spread[Any, Any] = in_turn,
        copier: Copier | None = None,
        find: Find | None = None,
    ) -> None:
        """`copier` carries out copies of data; without one nobody does. `find` looks for checkpoints."""
        self.copier = copier
        self.store, self.drivers, self.owner, self.clock = store, dict(drivers), owner, clock
        self.rules, self.world, self.spread = rules or RunRules(), world or ControlWorld(), spread
        self.find = find or on_disk(self.rules.checkpoint_hash_gib)
        self.resumes = Resumes(store, self.find, self.world)
        self.moved_at: datetime | None = None
        self.looking_since: float | None = None
        """When the present look began, by the monotonic clock; None between looks."""
        self.lead: Lease | None = None
        self.present = Present()
        self.tasks: dict[str, Task] = {}
        self.fresh = True
        self.claimed_at: datetime | None = None
        self.swept_at: datetime | None = None
        self.orphans: dict[str, datetime] = {}
        """Runs without an owner that engines still show, and since when."""
        self.capacity: dict[str, tuple[EnginePool, ...]] = {}
        self.unknown: dict[str, str] = {}

    def look(self) -> Look:
        """One pass. OutsideError and Conflict end it where it stands; the next one begins anew."""
        self.looking_since = self.clock.monotonic_seconds()
        try:
            return self._look()
        finally:
            self.looking_since = None

    def beat(self) -> bool:
        """Keep the lead and the leases of runs for longer while a look takes long; from another thread. False: nothing
        was kept, because there is no look, or because it takes so long that another replica should have its place."""
        since = self.looking_since
        if since is None or self.clock.monotonic_seconds() - since > self.rules.longest_look_seconds:
            return False
        self.store.prolong(self.lead, self.owner, list(self.drivers), self.rules.lease_seconds)
        return True

    def _look(self) -> Look:
        done = Look()
        now = self.store.now()
        done.leads = self._take_the_lead(now)
        runs = self._mine(now)
        self._watch(runs, now, done)
        if done.leads:
            try:
                self._copy(now, done)
                self._place(now, done)
            except (BadInput, CheckFailed, SolverError) as error:  # what runs must be looked after all the same
                done.failing = f"nothing can be placed: {error}"
        self._start(now, done)
        if done.leads and (self.swept_at is None or now - self.swept_at >= timedelta(seconds=self.rules.sweep_seconds)):
            self._sweep(now, done)
        return done

    def retire(self) -> None:
        """Give the lead back. Runs keep going; their leases run out or are taken again by this replica's next start."""
        if self.lead is not None:
            self.store.release(self.lead)
            self.lead = None

    # --- Leases

    def _take_the_lead(self, now: datetime) -> bool:
        held = self.lead
        if held is not None and (held.expires_at - now).total_seconds() > self.rules.lease_seconds * 0.6:
            return True
        self.lead = self.store.lease(LEAD, self.owner, self.rules.lease_seconds, held)
        return self.lead is not None

    def _mine(self, now: datetime) -> list[Run]:
        """Runs that this replica looks after, claimed again when a third of their lease is over."""
        due = self.claimed_at is None or (now - self.claimed_at).total_seconds() > self.rules.lease_seconds / 3
        if due:
            self.store.claim(self.owner, list(self.drivers), self.rules.lease_seconds, anew=self.fresh)
            self.claimed_at, self.fresh = now, False
        self.store.refresh(self.present)
        return [run for run in self.present.runs if self._is_mine(run)]

    def _is_mine(self, run: Run) -> bool:
        """Whether this replica looks after a run: one of its name had it, on an engine that it has now."""
        return run.lease_owner == self.owner and run.driver in self.drivers

    # --- Watching

    def _watch(self, runs: Sequence[Run], now: datetime, done: Look) -> None:
        begun = [run for run in runs if run.status != "LEASED"]
        if not begun:
            return
        jobs, penalties = self.present.jobs, self.present.penalties
        self._know(jobs[run.job].task_hash for run in begun if run.job in jobs)
        sights = self._sights(begun)
        drained = self._drained(begun)
        self.store.seen(
            {run.id: run.token for run in begun if sights[run.id].observation is not None and self._stale(run, now)}
        )
        verdicts: list[tuple[Case, Verdict]] = []
        for run in begun:
            job = jobs.get(run.job)
            if job is None or job.run != run.id:
                continue
            case = self._case(job, run, penalties, now)
            verdict = judge(case, sights[run.id])
            if run.id in drained and run.status in ("PROVISIONING", "RUNNING") and verdict == Verdict():
                verdict = leave(case, "Drained", f"{drained[run.id]} is drained")
            verdicts.append((case, verdict))
        done.observed += len(begun)
        self._follow(verdicts, done)

    def _sights(self, runs: Sequence[Run]) -> dict[str, Sight]:
        """What each engine says of its runs, and the exit records of those that may have ended."""
        by_driver: dict[str, list[Run]] = defaultdict(list)
        for run in runs:
            by_driver[run.driver].append(run)
        found: dict[str, Sight] = {}
        for sights in self.spread(lambda item: self._ask_engine(*item), list(by_driver.items())):
            found |= sights
        return found

    def _ask_engine(self, name: str, runs: Sequence[Run]) -> dict[str, Sight]:
        driver = self.drivers[name]
        seen: dict[str, Observation] = {}
        why = ""
        try:
            seen = driver.observe([run.id for run in runs])
        except OutsideError as error:
            why = str(error)
        found = {}
        for run in runs:
            observation = seen.get(run.id)
            if observation is not None and observation.seen in ("queued", "running"):
                found[run.id] = Sight(observation)
                continue
            try:
                record = driver.exit_record(run.id)
            except OutsideError as error:
                # Whether it finished is what decides; without an answer nothing may be concluded.
                found[run.id] = Sight(None, None, str(error))
                continue
            found[run.id] = Sight(observation, record, why)
        return found

    def _follow(self, verdicts: Sequence[tuple[Case, Verdict]], done: Look) -> None:
        """Fence, change, then stop and replace; nothing is stopped for a change that was discarded."""
        ready: list[tuple[Case, Verdict]] = []
        for case, verdict in verdicts:
            safe = self._fenced(case, verdict) if verdict.fence else verdict
            if safe is not None:
                ready.append((case, safe))
        changes = [verdict.change for _, verdict in ready if verdict.change is not None]
        applied = self._commit(changes)
        done.changed += sum(applied)
        done.discarded += len(applied) - sum(applied)
        made = iter(applied)
        for case, verdict in ready:
            if verdict.change is not None and not next(made):
                continue
            driver = self.drivers[case.run.driver]
            try:
                if verdict.stop:
                    driver.stop(case.run.id, self.rules.stop_grace_seconds)
                if verdict.replace_rank is not None:
                    driver.replace_node(
                        self._order(case.job, case.run, case.task, case.penalties, case.now), verdict.replace_rank
                    )
            except StartRefused as error:
                # The others cannot go on without it: the whole run leaves and is placed anew.
                whole = leave(case, "NodeFailed", f"a machine cannot be replaced: {error}")
                done.changed += sum(self._commit([whole.change] if whole.change is not None else []))
            except OutsideError as error:
                _log.warning("engine did not answer", extra={"run": case.run.id, "error": str(error)})

    def _fenced(self, case: Case, verdict: Verdict) -> Verdict | None:
        """R7: the verdict once older epochs are shut out; None while that does not work.

        The record is read again behind the fence. A run may have finished between the first look and the fence; after
        it no record can come any more, so only this answer is final (R5).
        """
        driver = self.drivers[case.run.driver]
        try:
            driver.fence(case.job.id, case.run.epoch + 1)
            record = driver.exit_record(case.run.id)
        except OutsideError as error:
            _log.warning("fence did not work", extra={"run": case.run.id, "error": str(error)})
            return None
        if record is None or record.superseded or record.exit_code != 0:
            return verdict
        return judge(case, Sight(None, record))

    def _commit(self, changes: Sequence[Change]) -> tuple[bool, ...]:
        # Changes of runs are guarded by their tokens, which the lease of the run gives; the lead is not needed.
        return self.store.apply(changes, owner=self.owner, lease_seconds=self.rules.lease_seconds, fence=None).done

    def _stale(self, run: Run, now: datetime) -> bool:
        return run.seen_at is None or (now - run.seen_at).total_seconds() > self.rules.lease_seconds / 3

    def _drained(self, runs: Sequence[Run]) -> dict[str, str]:
        """Runs on drained places, and the place."""
        drained = {target for target, drain in self.present.cordons.items() if drain}
        found = {}
        for run in runs if drained else ():
            names = place_names(run.pool, run.vendor, run.region).union(*(node_names(run.pool, n) for n in run.nodes))
            if here := drained & names:
                found[run.id] = min(here)
        return found

    # --- Placing

    def _place(self, now: datetime, done: Look) -> None:
        self.store.refresh(self.present)
        by_name, runs = self.present.jobs, self.present.runs
        jobs = list(by_name.values())
        done.open_jobs = len(jobs)
        moves = self._moves_due(now)
        if not moves and not any(job.run is None and not job.cancel for job in jobs):
            return
        self._know({job.task_hash for job in jobs})
        world = self.world.at(now, at_hand(self.world, self.present.copies))
        resumes, troubles = self.resumes.of(jobs, self.tasks)
        avoid = avoided(self.present.penalties, now, self.rules)
        fleet = self.fleet(avoid, world)
        needs = {}
        for run in runs:
            job = by_name.get(run.job)
            if job is not None:
                task = self.tasks[job.task_hash]
                needs[run.id] = need_of(task, task.choices[run.choice])
        promise(fleet, runs, needs)
        paced = [run for run in runs if run.job in by_name and is_paced(self.tasks[by_name[run.job].task_hash])]
        assert self.lead is not None
        tick = LiveTick(
            self.store,
            fleet,
            world,
            clock=self.clock,
            owner=self.owner,
            fence=self.lead,
            lease_seconds=self.rules.lease_seconds,
            resumes=resumes,
            troubles=troubles,
            copies=self.present.copies,
            targets=self._targets(jobs),
            copies_made=self.copier is not None,
            kept=self.resumes.kept_before(paced, self.tasks, by_name),
            rules=self.rules,
            ways_out=partial(ways_out, fleet=fleet, world=world, avoid=avoid, find=self.find, rules=self.rules, now=now)
            if moves
            else None,
        )
        done.outcome = tick.run(jobs, runs, self.tasks, avoid, now)
        if moves:
            self.moved_at = now

    def _targets(self, jobs: Sequence[Job]) -> dict[str, str]:
        """Of jobs that left a place for another: which one."""
        found = {}
        for job in jobs:
            if job.status == "RECOVERING" and job.reason == "Moved" and job.run is None:
                last = self.store.run(f"{job.id}-{job.epoch}")
                if last is not None and last.moving_to is not None:
                    found[job.id] = last.moving_to
        return found

    def _moves_due(self, now: datetime) -> bool:
        """Whether it is time to ask whether something that runs should be elsewhere."""
        if self.moved_at is not None and (now - self.moved_at).total_seconds() < self.rules.move_seconds:
            return False
        old = timedelta(seconds=self.rules.move_after_seconds)
        return any(
            run.status == "RUNNING" and run.started_at is not None and now - run.started_at >= old
            for run in self.present.runs
        )

    def _copy(self, now: datetime, done: Look) -> None:
        """R13: one step of every copy of data."""
        if self.copier is None:
            return
        self.store.refresh(self.present)
        if all(copy.status == "DONE" for copy in self.present.copies.values()):
            return
        assert self.lead is not None
        done.copied = carry_out(
            self.store, self.copier, self.present.copies, rules=self.rules, now=now, fence=self.lead
        )  # fmt: skip

    def fleet(self, avoid: frozenset[str] = frozenset(), world: ControlWorld | None = None) -> Fleet:
        """Pools of all engines now; an engine that cannot be asked has none, and the fleet says why."""
        self.capacity, self.unknown = {}, {}
        prices = (world or self.world.at(self.store.now())).prices

        def ask(name: str) -> tuple[str, tuple[EnginePool, ...] | str]:
            try:
                return name, self.drivers[name].capacity()
            except ArgosyError as error:
                return name, str(error)

        for name, answer in self.spread(ask, list(self.drivers)):
            if isinstance(answer, str):
                self.unknown[name] = answer
            else:
                self.capacity[name] = tuple(_priced(pool, prices) for pool in answer)
        return make_fleet(self.capacity, unknown=self.unknown, cordons=self.present.cordons, avoid=avoid)

    # --- Starting

    def _start(self, now: datetime, done: Look) -> None:
        if done.outcome.placed or not done.leads:
            self.store.refresh(self.present)
        jobs, penalties = self.present.jobs, self.present.penalties
        runs = [run for run in self.present.runs if run.status == "LEASED" and self._is_mine(run) and run.job in jobs]
        if not runs:
            return
        self._know({jobs[run.job].task_hash for run in runs})
        cases = [self._case(jobs[run.job], run, penalties, now) for run in runs]
        verdicts = list(self.spread(self._start_one, cases))
        done.started += sum(v.change is not None and v.change.kind == "Started" for v in verdicts)
        self._follow(list(zip(cases, verdicts, strict=True)), done)

    def _start_one(self, case: Case) -> Verdict:
        if case.job.cancel:
            return leave(case, "Cancelled", "its end was asked for")
        driver = self.drivers[case.run.driver]
        try:
            if case.run.epoch > 1:
                driver.fence(case.job.id, case.run.epoch)  # R7, also where the last run was on another engine
            driver.start(self._order(case.job, case.run, case.task, case.penalties, case.now))
        except StartRefused as error:
            return refused(case, error.reason, str(error), retryable=error.retryable)
        except OutsideError as error:
            return judge(case, Sight(None, None, str(error)))
        return started(case)

    def _order(self, job: Job, run: Run, task: Task, penalties: Penalties, now: datetime) -> Order:
        prefix = node_location(run.pool, "")
        avoid = {name.removeprefix(prefix) for name in avoided(penalties, now, self.rules) if name.startswith(prefix)}
        cordons = set(self.present.cordons)
        pools = [pool for pool in self.capacity.get(run.driver, ()) if pool.id == run.pool]
        avoid |= {node.id for pool in pools for node in pool.nodes if cordons & node_names(run.pool, node.id)}
        return Order(
            run=run.id,
            job=job.id,
            epoch=run.epoch,
            task=task,
            choice=task.choices[run.choice],
            pool=run.pool,
            avoid_nodes=tuple(sorted(avoid)),
            secrets=self.store.secrets(job.id) if task.secrets else {},
            checkpoint=run.resume_from,
        )

    # --- Sweeping

    def _sweep(self, now: datetime, done: Look) -> None:
        """R10: stop whatever carries our tag and belongs to no active run, once it is older than the grace time.

        Runs are read after the engine was asked: what it shows was kept before it was started, so a run that is not
        active by then has ended. Its age is counted by our clock, from its end or from when it was first seen here.
        """
        self.swept_at = now
        orphans: dict[str, datetime] = {}
        for name, driver in self.drivers.items():
            try:
                resources = driver.list_by_tag()
            except OutsideError as error:
                _log.warning("engine cannot be swept", extra={"driver": name, "error": str(error)})
                orphans |= {run: since for run, since in self.orphans.items() if run not in orphans}
                continue
            tagged = {r.run for r in resources if r.run.startswith(f"{self.store.id}-")}
            for run in sorted(tagged - {run.id for run in self.store.active_runs()} if tagged else ()):
                orphans[run] = self._orphan_since(run, now)
                if now - orphans[run] < timedelta(seconds=self.rules.orphan_grace_seconds):
                    continue
                try:
                    driver.stop(run, self.rules.stop_grace_seconds)
                    done.swept += 1
                except OutsideError as error:
                    _log.warning("orphan was not stopped", extra={"run": run, "error": str(error)})
        self.orphans = orphans

    def _orphan_since(self, run: str, now: datetime) -> datetime:
        if run in self.orphans:
            return self.orphans[run]
        known = self.store.run(run)
        return now if known is None or known.finished_at is None else known.finished_at

    # --- Inside

    def _know(self, hashes: Iterable[str]) -> None:
        missing = {name for name in hashes if name not in self.tasks}
        if missing:
            self.tasks |= self.store.tasks(sorted(missing))

    def _case(self, job: Job, run: Run, penalties: Penalties, now: datetime) -> Case:
        return Case(job, run, self.tasks[job.task_hash], penalties, now, self.rules)


def _priced(pool: EnginePool, prices: Mapping[str, float]) -> EnginePool:
    price = prices.get(pool.id)
    return pool if price is None else pool.model_copy(update={"usd_per_hour": price})

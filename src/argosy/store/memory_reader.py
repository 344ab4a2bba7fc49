"""Memory reader: what a store in memory holds, and everything it answers without being changed.

Records are kept as they are: they are frozen, so an answer may share them. What a database makes of a value on its way
through JSON is made of it here too, when it is written. The answers are those of `Reader`, in the same order; the tests
hold the two equal. For one thread.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import Any

from pydantic import SecretStr

from argosy.clock import Clock
from argosy.errors import NotFound
from argosy.model.copy import Copy
from argosy.model.job import JOB_ENDS, RUN_ACTIVE, Event, Job, Run
from argosy.model.task import Task
from argosy.store.fold import State, empty, fold, state_hash
from argosy.store.reader import LISTED, MOST_CHANGED, Decision, Present
from argosy.store.recount import Recount, broken_rules, differences
from argosy.store.rows import to_row, to_text, told
from argosy.store.settle import Key, Lease, copied_body, key_digest


@dataclass(slots=True)
class Kept:
    """All that rests: one of these is one database. Several stores may share it, as replicas share a database."""

    store: str = ""
    """Begin of the ids of its jobs; empty until the first store has opened it."""
    engines: dict[str, str] = field(default_factory=dict)
    """Name of a driver to the folder that it means."""
    counters: Counter[str] = field(default_factory=Counter)
    events: list[Event] = field(default_factory=list)
    """Event n stands at n - 1."""
    jobs: dict[str, Job] = field(default_factory=dict)
    """In the order of submission."""
    serials: dict[str, int] = field(default_factory=dict)
    runs: dict[str, Run] = field(default_factory=dict)
    open_jobs: dict[str, Job] = field(default_factory=dict)
    """Those of `jobs` that did not end, in the same order."""
    active_runs: dict[str, Run] = field(default_factory=dict)
    """Those of `runs` that did not end."""
    runs_of: dict[str, list[str]] = field(default_factory=dict)
    """Job to its runs, by epoch."""
    tasks: dict[str, Task] = field(default_factory=dict)
    secrets: dict[str, dict[str, SecretStr]] = field(default_factory=dict)
    requests: dict[tuple[str, str], tuple[str, list[str]]] = field(default_factory=dict)
    """Project and idempotency key to the request's hash and its jobs."""
    penalties: dict[str, tuple[float, datetime]] = field(default_factory=dict)
    cordons: dict[str, tuple[bool, datetime]] = field(default_factory=dict)
    copies: dict[str, Copy] = field(default_factory=dict)
    leases: dict[str, Lease] = field(default_factory=dict)
    decisions: dict[str, Decision] = field(default_factory=dict)
    keys: dict[str, tuple[Key, datetime]] = field(default_factory=dict)
    """Digest of a key's secret to the key and its making."""

    def put_job(self, job: Job) -> None:
        """Keep a job as it is now."""
        self.jobs[job.id] = job
        if job.status in JOB_ENDS:
            self.open_jobs.pop(job.id, None)
        else:
            self.open_jobs[job.id] = job

    def put_run(self, run: Run) -> None:
        """Keep a run as it is now."""
        if run.id not in self.runs:
            self.runs_of.setdefault(run.job, []).append(run.id)
        self.runs[run.id] = run
        if run.status in RUN_ACTIVE:
            self.active_runs[run.id] = run
        else:
            self.active_runs.pop(run.id, None)


class MemoryReader:
    """Reads what is kept."""

    def __init__(self, kept: Kept, clock: Clock) -> None:
        self.kept, self.clock = kept, clock

    def job(self, name: str, *, project: str | None = None) -> Job:
        """One job. NotFound when there is none that the project may see."""
        found = self._read().jobs.get(name)
        if found is None or (project is not None and found.project != project):
            raise NotFound(f"there is no job {name}")
        return found

    def jobs(
        self,
        *,
        project: str | None = None,
        statuses: Sequence[str] = (),
        name: str | None = None,
        open_only: bool = False,
        before: int | None = None,
        limit: int | None = 100,
    ) -> tuple[str, int | None]:
        """Jobs as text of a JSON list, newest first: LISTED by name. And `before` of the next page, None at the end.

        The text is that of a database, byte for byte.
        """
        kept = self._read()
        wanted = (
            job
            for job in reversed((kept.open_jobs if open_only else kept.jobs).values())
            if (project is None or job.project == project)
            and (name is None or job.name == name)
            and (not statuses or job.status in statuses)
            and (before is None or kept.serials[job.id] < before)
        )
        found = list(islice(wanted, limit))
        text = json.dumps([_listed(job, kept) for job in found], separators=(",", ":"), ensure_ascii=False)
        return text, kept.serials[found[-1].id] if len(found) == limit else None

    def open_jobs(self) -> list[Job]:
        """Jobs that did not end, oldest first."""
        return list(self._read().open_jobs.values())

    def refresh(self, present: Present) -> None:
        """Bring it up to date. Jobs are looked at again only where an event names them."""
        kept = self._read()
        number = len(kept.events)
        if number != present.number:
            if present.number >= 0 and 0 < number - present.number <= MOST_CHANGED:
                for name in self._named_since(present.number):
                    job = kept.jobs[name]
                    if job.status in JOB_ENDS:
                        present.jobs.pop(name, None)
                    else:
                        present.jobs[name] = job
            else:
                present.jobs = dict(kept.open_jobs)
            present.penalties = dict(kept.penalties)
            present.cordons = {target: drain for target, (drain, _) in sorted(kept.cordons.items())}
            present.copies = dict(sorted(kept.copies.items()))
            present.number = number
        present.runs = self._active()

    def jobs_named(self, ids: Sequence[str]) -> dict[str, Job]:
        """Jobs by id; those that are not there are left out."""
        jobs = self._read().jobs
        return {name: jobs[name] for name in ids if name in jobs}

    def counts(self) -> dict[str, dict[str, int]]:
        """How many jobs and runs there are in each state."""
        kept = self._read()
        jobs = Counter(str(job.status) for job in kept.jobs.values())
        runs = Counter(str(run.status) for run in kept.runs.values())
        return {"jobs": dict(jobs), "runs": dict(runs)}

    def runs(self, job: str) -> list[Run]:
        """All runs of a job, in order."""
        kept = self._read()
        return [kept.runs[name] for name in kept.runs_of.get(job, ())]

    def run(self, name: str) -> Run | None:
        """One run; None when there is none."""
        return self._read().runs.get(name)

    def active_runs(self) -> list[Run]:
        """All runs that did not end."""
        self._read()
        return self._active()

    def tasks(self, hashes: Sequence[str]) -> dict[str, Task]:
        """Tasks by hash."""
        tasks = self._read().tasks
        return {name: tasks[name] for name in sorted(set(hashes)) if name in tasks}

    def secrets(self, job: str) -> dict[str, SecretStr]:
        """Values of a job's secrets; empty once it ended."""
        return dict(self._read().secrets.get(job, {}))

    def events(self, *, after: int = 0, job: str | None = None, limit: int = 1000) -> list[Event]:
        """Events with higher numbers, in order."""
        events = self._read().events
        if job is None:
            return events[after : after + limit]
        return list(islice((event for event in islice(events, after, None) if event.job == job), limit))

    def last_event(self) -> int:
        """Number of the newest event; 0 before the first."""
        return len(self._read().events)

    def penalties(self) -> dict[str, tuple[float, datetime]]:
        """Weight of each location that failed, and since when it decays."""
        return dict(self._read().penalties)

    def cordons(self) -> dict[str, bool]:
        """What is cordoned, and whether it is drained."""
        return {target: drain for target, (drain, _) in sorted(self._read().cordons.items())}

    def copies(self) -> dict[str, Copy]:
        """Copies of data that were ordered, by id."""
        return dict(sorted(self._read().copies.items()))

    def now(self) -> datetime:
        """The instant by the clock that leases go by."""
        self._read()
        return self.clock.now()

    def decisions(self, *, limit: int = 20, before: int | None = None) -> list[Decision]:
        """Newest decisions first."""
        rows = reversed(self._read().decisions.values())
        return list(islice((row for row in rows if before is None or row.serial < before), limit))

    def key(self, secret: str) -> Key | None:
        """The key with this secret; None when there is none or it was revoked."""
        found = self._read().keys.get(key_digest(secret))
        return None if found is None or found[0].revoked_at is not None else found[0]

    def keys(self) -> list[Key]:
        """All keys, without their secrets."""
        return [key for key, _ in sorted(self._read().keys.values(), key=lambda row: (row[1], row[0].id))]

    def recount(self) -> Recount:
        """Replay the whole log and compare it with what is kept."""
        kept = self._read()
        tables = self._state()
        problems = [f"event {i} is missing" for i, event in enumerate(kept.events, 1) if event.number != i]
        state = fold(empty(), kept.events)
        problems += differences(state, tables) + broken_rules(tables)
        return Recount(len(kept.events), state_hash(state), state_hash(tables), tuple(problems))

    # --- Inside

    def _read(self) -> Kept:
        return self.kept

    def _active(self) -> list[Run]:
        return [run for _, run in sorted(self.kept.active_runs.items())]

    def _named_since(self, number: int) -> Iterator[str]:
        """Jobs that events after `number` name, oldest first."""
        kept = self.kept
        names = {event.job for event in islice(kept.events, number, None) if event.job is not None}
        return iter(sorted(names, key=kept.serials.__getitem__))

    def _state(self) -> State:
        kept, state = self.kept, empty()
        state["jobs"] = {name: told(job) for name, job in kept.jobs.items()}
        state["runs"] = {name: told(run) for name, run in kept.runs.items()}
        state["penalties"] = {name: {"weight": w, "at": to_text(at)} for name, (w, at) in kept.penalties.items()}
        state["cordons"] = {name: {"drain": drain, "at": to_text(at)} for name, (drain, at) in kept.cordons.items()}
        for name, copy in kept.copies.items():
            state["copies"][name] = copied_body(to_row(dict(copy)))["copies"][name]
        return state


def _listed(job: Job, kept: Kept) -> dict[str, Any]:
    run = kept.runs.get(f"{job.id}-{job.epoch}")
    row = to_row(dict(job)) | {
        name: None if run is None else getattr(run, name) for name in ("vendor", "region", "pool")
    }
    row["run"] = None if run is None else run.id
    return {name: row[name] for name in LISTED}

"""Settle: what a write makes of what is there, before anything is written. Pure; every store asks it.

A store on a database and the one in memory differ in where rows rest and not in what becomes of them: guards of
changes, the rows and events of new jobs, leases, and what a wish to cancel means are decided here, once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from pydantic import SecretStr

from argosy.errors import Conflict, NotFound, Reused
from argosy.model.copy import Copy
from argosy.model.job import JOB_ENDS, RUN_ENDS, Job, Run
from argosy.model.task import Task
from argosy.store.change import Change, CopyChange, illegal, stamped
from argosy.store.rows import LEASE_COLUMNS, digest, to_row, to_text

Role = Literal["viewer", "submitter", "operator", "admin"]
ID_DIGITS = 12
"""Hexadecimal digits of a store's id, with which the ids of its jobs begin: engines are shared by many stores."""
KEPT_DECISIONS = 1000
_NOT_TOLD = LEASE_COLUMNS | {"id", "version"}
"""Columns of a run that events do not have; a lease's token in particular is nobody's to read."""


@dataclass(frozen=True, slots=True)
class NewJob:
    """A job to be submitted."""

    task: Task
    secrets: Mapping[str, SecretStr] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Key:
    """A key of the interface."""

    id: str
    project: str
    role: Role
    revoked_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Lease:
    """A named right that one replica has until it expires; a later holder has a higher epoch."""

    name: str
    owner: str
    epoch: int
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Applied:
    """What became of changes."""

    done: tuple[bool, ...]
    """For each change, whether it was made."""
    jobs: tuple[Job, ...]
    """Jobs as they are now, one for each change that was made."""
    runs: tuple[Run | None, ...]
    """Runs as they are now, one for each change that was made; None where it touched none."""


@dataclass(frozen=True, slots=True)
class Made:
    """A change that fits: job and run as they will be, but for their version, and the body of its event."""

    change: Change
    job: Job
    run: Run | None
    body: dict[str, Any]


def settle(
    changes: Sequence[Change],
    jobs: Mapping[str, Job],
    runs: Mapping[str, Run],
    *,
    at: datetime,
    owner: str,
    expires: datetime | None,
    token: Callable[[], str],
) -> tuple[tuple[bool, ...], list[Made]]:
    """Which changes still fit jobs and runs as they are now, and what they make of them.

    A step that does not exist (R1, R2) is a bug and stops everything.
    """
    done: list[bool] = []
    made: list[Made] = []
    changed: set[str] = set()
    for change in changes:
        job = jobs.get(change.job)
        run = runs.get(change.run) if change.run is not None else None
        # A job that another change of this batch has just changed is no longer what this one was decided on.
        fits = job is not None and job.version == change.version and change.job not in changed
        if change.run is not None:
            fits = fits and run is not None and run.token == change.token
        done.append(fits)
        if not fits:
            continue
        assert job is not None
        job_fields = stamped(change.job_fields, at, job)
        run_fields = dict(change.run_fields)
        after_run: Run | None = None
        if change.new_run is not None:
            assert expires is not None, "a new run needs a lease"
            after_run = _new_run(job, change, at=at, owner=owner, expires=expires, token=token())
            job_fields |= {"epoch": after_run.epoch, "run": after_run.id}
            run_fields = dict(after_run)
        elif run is not None:
            if run_fields.get("status", run.status) in RUN_ENDS and run.finished_at is None:
                run_fields.setdefault("finished_at", at)
                if job.run == run.id:
                    job_fields.setdefault("run", None)
            after_run = run.model_copy(update=run_fields)
        after = job.model_copy(update=job_fields)
        assert (wrong := illegal(job, after, run, after_run)) is None, wrong
        body: dict[str, Any] = {"job": to_row(job_fields)} if job_fields else {"job": {}}
        if after_run is not None:
            body["run"] = {k: v for k, v in to_row(run_fields).items() if k not in _NOT_TOLD}
        if change.penalties:
            body["penalties"] = {name: {"weight": w, "at": to_text(at)} for name, w in change.penalties.items()}
        if change.note:
            body["note"] = dict(change.note)
        changed.add(job.id)
        made.append(Made(change, after, after_run, body))
    return tuple(done), made


def numbered(made: Sequence[Made], first: int) -> tuple[list[Job], list[Run | None]]:
    """Jobs and runs with the numbers of their events as versions, from `first` on."""
    jobs: list[Job] = []
    runs: list[Run | None] = []
    for number, row in enumerate(made, first):
        jobs.append(row.job.model_copy(update={"version": number}))
        runs.append(None if row.run is None else row.run.model_copy(update={"version": number}))
    return jobs, runs


def _new_run(job: Job, change: Change, *, at: datetime, owner: str, expires: datetime, token: str) -> Run:
    new = change.new_run
    assert new is not None
    epoch = job.epoch + 1
    return Run(
        id=f"{job.id}-{epoch}",
        job=job.id,
        epoch=epoch,
        driver=new.driver,
        pool=new.pool,
        vendor=new.vendor,
        region=new.region,
        choice=new.choice,
        usd_per_hour=new.usd_per_hour,
        resume_from=new.resume_from,
        resume_region=new.resume_region,
        resume_hash=new.resume_hash,
        resume_gib=new.resume_gib,
        resume_usd=new.resume_usd,
        resume_hours=new.resume_hours,
        token=token,
        lease_owner=owner,
        lease_expires_at=expires,
        created_at=at,
    )


def submitted(
    new: Sequence[NewJob], hashes: Sequence[str], *, store: str, project: str, at: datetime, first: int, number: int
) -> list[Job]:
    """The jobs that new ones become: `first` is the first one's serial, `number` that of its event."""
    return [
        Job(
            id=f"{store}-{first + i}",
            project=project,
            name=job.task.name,
            task_hash=hashes[i],
            created_at=at,
            changed_at=at,
            version=number + i,
        )
        for i, job in enumerate(new)
    ]


def submitted_body(row: Mapping[str, Any]) -> dict[str, Any]:
    """The body of the event of a new job, from its row."""
    return {"job": {name: value for name, value in row.items() if name not in ("id", "version")}}


def copied_body(row: Mapping[str, Any]) -> dict[str, Any]:
    """The body of the event of a copy's step, from its row."""
    told = {name: value for name, value in row.items() if name not in ("id", "version")}
    return {"copies": {row["id"]: told}}


def same_request(known: str, request: str, key: str) -> None:
    """Reused when an idempotency key was used for another request."""
    if known != request:
        raise Reused(f"the idempotency key {key!r} was used for another request; take a new one for this")


def cancelling(jobs: Iterable[Job]) -> list[Change]:
    """What a wish for the end of jobs changes; those that ended, or were asked to already, stay as they are."""
    changes = []
    for job in jobs:
        if job.status in JOB_ENDS or job.cancel:
            continue
        fields: dict[str, Any] = {"cancel": True, "status": "CANCELLING", "reason": "CancelRequested"}
        if job.run is None:
            fields |= {"status": "CANCELLED", "reason": "Cancelled", "message": ""}
        changes.append(Change("CancelRequested", job.id, job.version, fields, drop_secrets=job.run is None))
    return changes


def check_jobs(ids: Iterable[str], found: Mapping[str, Job], project: str | None) -> None:
    """NotFound names a job that is not there, or that the project may not see."""
    for name in ids:
        if name not in found or (project is not None and found[name].project != project):
            raise NotFound(f"there is no job {name}")


def check_cordoned(target: str, cordons: Mapping[str, bool]) -> None:
    """NotFound when a target is not cordoned, with what is."""
    if target not in cordons:
        raise NotFound(f"{target} is not cordoned; cordoned: {', '.join(cordons) or 'nothing'}")


def stepped(changes: Sequence[CopyChange], versions: dict[str, int], number: Callable[[], int]) -> list[Copy | None]:
    """Each copy as its step leaves it, with the number of its event; None where it was another by then.

    `versions` are those of the copies that are known; they follow the steps.
    """
    made: list[Copy | None] = []
    for change in changes:
        if versions.get(change.copy.id, 0) != change.version:
            made.append(None)
            continue
        versions[change.copy.id] = number()
        made.append(change.copy.model_copy(update={"version": versions[change.copy.id]}))
    return made


def next_lease(
    known: Lease | None, name: str, owner: str, held: Lease | None, *, at: datetime, until: datetime
) -> Lease | None:
    """The lease that `owner` has from now on, given the one that is known; None while another holds it."""
    if known is None:
        return Lease(name, owner, 1, until)
    same = held is not None and same_lease(known, held)
    if not same and known.owner != owner and known.expires_at > at:
        return None
    return Lease(name, owner, known.epoch if same else known.epoch + 1, until)


def same_lease(known: Lease | None, held: Lease) -> bool:
    """Whether the lease that is known is still the one that was taken, run out or not."""
    return known is not None and (known.owner, known.epoch) == (held.owner, held.epoch)


def check_fence(known: Lease | None, fence: Lease, at: datetime) -> None:
    """Conflict unless the lease that `fence` speaks of is still held."""
    if known is None or not same_lease(known, fence) or known.expires_at <= at:
        raise Conflict(f"the lease {fence.name} of epoch {fence.epoch} is no longer held; nothing was changed")


def task_hash(task: Task) -> str:
    """SHA-256 over a task."""
    return digest(task.model_dump(mode="json"))


def key_digest(secret: str) -> str:
    """What is kept of a key's secret."""
    # Keys are long and random, so one round of SHA-256 is as hard to turn around as the key is to guess.
    return hashlib.sha256(secret.encode()).hexdigest()

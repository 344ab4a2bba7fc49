"""Apply: guarded changes, many at once, inside one transaction.

Each change is compared with the rows as they are now. What no longer fits is discarded whole; what fits becomes one
event and the rows that follow from it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, Row, Select, Table, Update

from argosy.model.job import RUN_ENDS, Job, Run
from argosy.store import tables as t
from argosy.store.change import Change, illegal, stamped
from argosy.store.reader import JOBS_NAMED, RUNS_NAMED
from argosy.store.rows import JOB_COLUMNS, LEASE_COLUMNS, RUN_COLUMNS, job_in, run_in, to_row, to_text

CHUNK = 5000
_NOT_TOLD = LEASE_COLUMNS | {"id", "version"}
"""Columns of a run that events do not have; a lease's token in particular is nobody's to read."""


@dataclass(frozen=True, slots=True)
class Applied:
    """What became of changes."""

    done: tuple[bool, ...]
    """For each change, whether it was made."""
    jobs: tuple[Job, ...]
    """Jobs as they are now, one for each change that was made."""
    runs: tuple[Run | None, ...]
    """Runs as they are now, one for each change that was made; None where it touched none."""


def apply_changes(
    connection: Connection,
    changes: Sequence[Change],
    *,
    at: datetime,
    owner: str,
    expires: datetime | None,
    token: Callable[[], str],
    take: Callable[[int], int],
) -> Applied:
    """Make the changes that still fit. A step that does not exist (R1, R2) is a bug and stops everything."""
    jobs = {job.id: job for job in map(job_in, _rows(connection, JOBS_NAMED, {c.job for c in changes}))}
    named = {c.run for c in changes if c.run is not None}
    runs = {run.id: run for run in map(run_in, _rows(connection, RUNS_NAMED, named))}
    done: list[bool] = []
    made: list[tuple[Change, Job, Run | None, dict[str, Any]]] = []
    new_runs: set[str] = set()
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
            new_runs.add(after_run.id)
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
        made.append((change, after, after_run, body))
    if not made:
        return Applied(tuple(done), (), ())
    return _write(connection, made, done, new_runs, at=at, first=take(len(made)))


def _write(
    connection: Connection,
    made: Sequence[tuple[Change, Job, Run | None, dict[str, Any]]],
    done: Sequence[bool],
    new_runs: set[str],
    *,
    at: datetime,
    first: int,
) -> Applied:
    jobs: list[Job] = []
    runs: list[Run | None] = []
    for number, (_, job, run, _) in enumerate(made, first):
        jobs.append(job.model_copy(update={"version": number}))
        runs.append(None if run is None else run.model_copy(update={"version": number}))
    connection.execute(
        _NEW_EVENT,
        [
            {
                "number": number,
                "at": to_text(at),
                "kind": change.kind,
                "job": job.id,
                "run": None if run is None else run.id,
                "body": body,
            }
            for number, (change, job, run, body) in enumerate(made, first)
        ],
    )
    _update(connection, _UPDATE_JOB, [to_row(dict(job)) for job in jobs])
    touched = {run.id: run for run in runs if run is not None}
    _update(connection, _UPDATE_RUN, [to_row(dict(run)) for name, run in touched.items() if name not in new_runs])
    fresh = [to_row(dict(run)) for name, run in touched.items() if name in new_runs]
    if fresh:
        connection.execute(_NEW_RUN, fresh)
    weights = {name: weight for change, *_ in made for name, weight in change.penalties.items()}
    if weights:
        connection.execute(sa.delete(t.penalties).where(t.penalties.c.location.in_(sorted(weights))))
        rows = [{"location": name, "weight": weight, "at": to_text(at)} for name, weight in weights.items()]
        connection.execute(sa.insert(t.penalties), rows)
    bare = [change.job for change, *_ in made if change.drop_secrets]
    if bare:
        connection.execute(sa.delete(t.secrets).where(t.secrets.c.job.in_(bare)))
    return Applied(tuple(done), tuple(jobs), tuple(runs))


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
        token=token,
        lease_owner=owner,
        lease_expires_at=expires,
        created_at=at,
    )


def _rows(connection: Connection, query: Select[Any], ids: set[str]) -> list[Row[Any]]:
    names = sorted(ids)
    found: list[Row[Any]] = []
    for start in range(0, len(names), CHUNK):
        found += connection.execute(query, {"ids": names[start : start + CHUNK]})
    return found


def _update(connection: Connection, query: Update, rows: list[dict[str, Any]]) -> None:
    if rows:
        connection.execute(query, [{f"_{name}": value for name, value in row.items()} for row in rows])


def _update_of(table: Table, columns: Sequence[str]) -> Update:
    """The statement that sets all columns of one row."""
    values = {name: sa.bindparam(f"_{name}", type_=table.c[name].type) for name in columns if name != "id"}
    return sa.update(table).where(table.c.id == sa.bindparam("_id")).values(values)


_UPDATE_JOB, _UPDATE_RUN = _update_of(t.jobs, JOB_COLUMNS), _update_of(t.runs, RUN_COLUMNS)
_NEW_RUN, _NEW_EVENT = sa.insert(t.runs), sa.insert(t.events)

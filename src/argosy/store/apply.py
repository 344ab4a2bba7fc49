"""Apply: guarded changes, many at once, inside one transaction.

Each change is compared with the rows as they are now. What no longer fits is discarded whole; what fits becomes one
event and the rows that follow from it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, Row, Select, Table, Update

from argosy.store import tables as t
from argosy.store.change import Change
from argosy.store.reader import JOBS_NAMED, RUNS_NAMED
from argosy.store.rows import JOB_COLUMNS, RUN_COLUMNS, job_in, run_in, to_row, to_text
from argosy.store.settle import Applied, Made, numbered, settle

CHUNK = 5000


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
    """Make the changes that still fit (`settle`)."""
    jobs = {job.id: job for job in map(job_in, _rows(connection, JOBS_NAMED, {c.job for c in changes}))}
    named = {c.run for c in changes if c.run is not None}
    runs = {run.id: run for run in map(run_in, _rows(connection, RUNS_NAMED, named))}
    done, made = settle(changes, jobs, runs, at=at, owner=owner, expires=expires, token=token)
    if not made:
        return Applied(done, (), ())
    return _write(connection, made, done, at=at, first=take(len(made)))


def _write(
    connection: Connection,
    made: Sequence[Made],
    done: tuple[bool, ...],
    *,
    at: datetime,
    first: int,
) -> Applied:
    jobs, runs = numbered(made, first)
    connection.execute(
        _NEW_EVENT,
        [
            {
                "number": number,
                "at": to_text(at),
                "kind": row.change.kind,
                "job": row.job.id,
                "run": None if row.run is None else row.run.id,
                "body": row.body,
            }
            for number, row in enumerate(made, first)
        ],
    )
    _update(connection, _UPDATE_JOB, [to_row(dict(job)) for job in jobs])
    touched = {run.id: run for run in runs if run is not None}
    new_runs = {row.run.id for row in made if row.run is not None and row.change.new_run is not None}
    _update(connection, _UPDATE_RUN, [to_row(dict(run)) for name, run in touched.items() if name not in new_runs])
    fresh = [to_row(dict(run)) for name, run in touched.items() if name in new_runs]
    if fresh:
        connection.execute(_NEW_RUN, fresh)
    weights = {name: weight for row in made for name, weight in row.change.penalties.items()}
    if weights:
        connection.execute(sa.delete(t.penalties).where(t.penalties.c.location.in_(sorted(weights))))
        rows = [{"location": name, "weight": weight, "at": to_text(at)} for name, weight in weights.items()]
        connection.execute(sa.insert(t.penalties), rows)
    bare = [row.change.job for row in made if row.change.drop_secrets]
    if bare:
        connection.execute(sa.delete(t.secrets).where(t.secrets.c.job.in_(bare)))
    return Applied(done, tuple(jobs), tuple(runs))


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

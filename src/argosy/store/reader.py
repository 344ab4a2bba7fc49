"""Reader: everything that the database answers without being changed. Reads see the last commit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from pydantic import SecretStr
from sqlalchemy import Connection, Engine
from sqlalchemy.dialects.postgresql import aggregate_order_by
from sqlalchemy.exc import SQLAlchemyError

from argosy.clock import Clock
from argosy.errors import NotFound, OutsideError
from argosy.model.copy import Copy
from argosy.model.job import JOB_ENDS, Event, Job, Run
from argosy.model.task import Task
from argosy.store import tables as t
from argosy.store.fold import State, empty, fold, state_hash
from argosy.store.recount import Recount, broken_rules, differences
from argosy.store.rows import (
    COPY_COLUMNS,
    JOB_COLUMNS,
    LEASE_COLUMNS,
    RUN_COLUMNS,
    copy_of,
    event_of,
    job_in,
    run_in,
    run_of,
    to_instant,
)

ACTIVE = sa.text(t.ACTIVE)
_JOB = [t.jobs.c[name] for name in JOB_COLUMNS]
_RUN = [t.runs.c[name] for name in RUN_COLUMNS]
# What every look asks is written once: making a statement costs more than running it.
_OPEN_JOBS = sa.select(*_JOB).where(sa.text(t.OPEN)).order_by(t.jobs.c.serial)
_ACTIVE_RUNS = sa.select(*_RUN).where(ACTIVE).order_by(t.runs.c.id)
_RUNS_OF_JOB = sa.select(*_RUN).where(t.runs.c.job == sa.bindparam("job")).order_by(t.runs.c.epoch)
JOBS_NAMED = sa.select(*_JOB).where(t.jobs.c.id.in_(sa.bindparam("ids", expanding=True)))
RUNS_NAMED = sa.select(*_RUN).where(t.runs.c.id.in_(sa.bindparam("ids", expanding=True)))
_NEWEST = sa.and_(t.runs.c.job == t.jobs.c.id, t.runs.c.epoch == t.jobs.c.epoch)
_LISTED: list[sa.ColumnElement[Any]] = [t.jobs.c[name] for name in JOB_COLUMNS if name != "run"]
_LISTED += [t.runs.c.id.label("run"), t.runs.c.vendor, t.runs.c.region, t.runs.c.pool]
LISTED = tuple(column.name for column in _LISTED)
"""What a list says of a job: its columns, and name and place of its newest run."""
_LAST_EVENT = sa.select(t.counters.c.value).where(t.counters.c.name == "events")
_CHANGED = (
    sa.select(t.jobs.c.id)
    .where(
        t.jobs.c.id.in_(
            sa.select(t.events.c.job).where(t.events.c.number > sa.bindparam("after"), t.events.c.job.is_not(None))
        )
    )
    .order_by(t.jobs.c.serial)
)
_PENALTIES = sa.select(t.penalties)
_CORDONS = sa.select(t.cordons).order_by(t.cordons.c.target)
_COPIES = sa.select(t.copies).order_by(t.copies.c.id)
_EVENTS = (
    sa.select(t.events)
    .where(t.events.c.number > sa.bindparam("after"))
    .order_by(t.events.c.number)
    .limit(sa.bindparam("most"))
)
_EVENTS_OF_JOB = _EVENTS.where(t.events.c.job == sa.bindparam("job"))


MOST_CHANGED = 20_000
"""Events after which all open jobs are read again instead of those that changed."""


@dataclass(frozen=True, slots=True)
class Decision:
    """A placement that was decided."""

    id: str
    at: datetime
    placement: dict[str, Any]
    serial: int
    """Position in the order of decisions; `before` goes on after a page's last."""


@dataclass(slots=True)
class Present:
    """What does not end: open jobs, active runs, penalties, cordons. Brought up to date by reading what changed."""

    number: int = -1
    """Number of the last event that it knows; -1: nothing is known yet."""
    jobs: dict[str, Job] = field(default_factory=dict)
    """Jobs that did not end, oldest first."""
    runs: list[Run] = field(default_factory=list)
    """Runs that did not end, with their leases."""
    penalties: dict[str, tuple[float, datetime]] = field(default_factory=dict)
    cordons: dict[str, bool] = field(default_factory=dict)
    copies: dict[str, Copy] = field(default_factory=dict)
    """Copies of data that were ordered, by id."""


class Reader:
    """Reads one database."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self.engine, self.clock = engine, clock
        self.reading = engine.execution_options(writing=False)
        self.on_postgresql = engine.dialect.name == "postgresql"

    def job(self, name: str, *, project: str | None = None) -> Job:
        """One job. NotFound when there is none that the project may see."""
        with self._read() as connection:
            found = self._jobs_by_id(connection, [name])
        if not found or (project is not None and found[0].project != project):
            raise NotFound(f"there is no job {name}")
        return found[0]

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

        The database writes the text, because everyone who waits for one of ten thousand asks for all of them: rows that
        become objects on their way would cost four times as much, and stop every other thread meanwhile.
        """
        query = sa.select(*_LISTED, t.jobs.c.serial).select_from(t.jobs.outerjoin(t.runs, _NEWEST))
        query = query.order_by(t.jobs.c.serial.desc()).limit(limit)
        for wanted, column in ((project, t.jobs.c.project), (name, t.jobs.c.name)):
            if wanted is not None:
                query = query.where(column == wanted)
        if statuses:
            query = query.where(t.jobs.c.status.in_(list(statuses)))
        if open_only:
            query = query.where(sa.text("jobs." + t.OPEN))
        if before is not None:
            query = query.where(t.jobs.c.serial < before)
        with self._read() as connection:
            text, last, number = connection.execute(_as_text(query, self.on_postgresql)).one()
        return f"[{text or ''}]", last if number == limit else None

    def open_jobs(self) -> list[Job]:
        """Jobs that did not end, oldest first."""
        with self._read() as connection:
            return [job_in(row) for row in connection.execute(_OPEN_JOBS)]

    def refresh(self, present: Present) -> None:
        """Bring it up to date, in one reading. Jobs are read again only where an event names them."""
        with self._read() as connection:
            number = connection.execute(_LAST_EVENT).scalar_one()
            if number != present.number:
                if present.number >= 0 and 0 < number - present.number <= MOST_CHANGED:
                    names = connection.execute(_CHANGED, {"after": present.number}).scalars().all()
                    for job in self._jobs_by_id(connection, names):  # in the order of their submission
                        if job.status in JOB_ENDS:
                            present.jobs.pop(job.id, None)
                        else:
                            present.jobs[job.id] = job
                else:
                    present.jobs = {job.id: job for job in map(job_in, connection.execute(_OPEN_JOBS))}
                at = connection.execute(_PENALTIES)
                present.penalties = {row.location: (row.weight, to_instant(row.at)) for row in at}
                present.cordons = {row.target: row.drain for row in connection.execute(_CORDONS)}
                present.copies = {row["id"]: copy_of(row) for row in connection.execute(_COPIES).mappings()}
                present.number = number
            present.runs = [run_in(row) for row in connection.execute(_ACTIVE_RUNS)]

    def jobs_named(self, ids: Sequence[str]) -> dict[str, Job]:
        """Jobs by id; those that are not there are left out."""
        with self._read() as connection:
            return {job.id: job for job in self._jobs_by_id(connection, ids)}

    def counts(self) -> dict[str, dict[str, int]]:
        """How many jobs and runs there are in each state."""
        with self._read() as connection:
            return {
                name: {
                    row[0]: row[1]
                    for row in connection.execute(sa.select(table.c.status, sa.func.count()).group_by(table.c.status))
                }
                for name, table in (("jobs", t.jobs), ("runs", t.runs))
            }

    def runs(self, job: str) -> list[Run]:
        """All runs of a job, in order."""
        with self._read() as connection:
            return [run_in(row) for row in connection.execute(_RUNS_OF_JOB, {"job": job})]

    def run(self, name: str) -> Run | None:
        """One run; None when there is none."""
        with self._read() as connection:
            row = connection.execute(sa.select(t.runs).where(t.runs.c.id == name)).mappings().one_or_none()
        return None if row is None else run_of(row)

    def active_runs(self) -> list[Run]:
        """All runs that did not end."""
        with self._read() as connection:
            return [run_in(row) for row in connection.execute(_ACTIVE_RUNS)]

    def tasks(self, hashes: Sequence[str]) -> dict[str, Task]:
        """Tasks by hash."""
        found: dict[str, Task] = {}
        with self._read() as connection:
            for part in chunks(sorted(set(hashes))):
                for row in connection.execute(sa.select(t.tasks).where(t.tasks.c.hash.in_(part))):
                    found[row.hash] = Task.model_validate(row.task, strict=False)
        return found

    def secrets(self, job: str) -> dict[str, SecretStr]:
        """Values of a job's secrets; empty once it ended."""
        with self._read() as connection:
            row = connection.execute(sa.select(t.secrets.c.secret).where(t.secrets.c.job == job)).one_or_none()
        return {} if row is None else {name: SecretStr(value) for name, value in row.secret.items()}

    def events(self, *, after: int = 0, job: str | None = None, limit: int = 1000) -> list[Event]:
        """Events with higher numbers, in order."""
        query = _EVENTS if job is None else _EVENTS_OF_JOB
        with self._read() as connection:
            rows = connection.execute(query, {"after": after, "job": job, "most": limit})
            return [event_of(row) for row in rows.mappings()]

    def last_event(self) -> int:
        """Number of the newest event; 0 before the first."""
        with self._read() as connection:
            return connection.execute(sa.select(sa.func.max(t.events.c.number))).scalar_one() or 0

    def penalties(self) -> dict[str, tuple[float, datetime]]:
        """Weight of each location that failed, and since when it decays."""
        with self._read() as connection:
            return {row.location: (row.weight, to_instant(row.at)) for row in connection.execute(_PENALTIES)}

    def cordons(self) -> dict[str, bool]:
        """What is cordoned, and whether it is drained."""
        with self._read() as connection:
            return {row.target: row.drain for row in connection.execute(_CORDONS)}

    def copies(self) -> dict[str, Copy]:
        """Copies of data that were ordered, by id."""
        with self._read() as connection:
            return {row["id"]: copy_of(row) for row in connection.execute(_COPIES).mappings()}

    def now(self) -> datetime:
        """The instant by the clock that leases go by: the database's on PostgreSQL, ours on SQLite."""
        with self._read() as connection:
            return self._now(connection)

    def decisions(self, *, limit: int = 20, before: int | None = None) -> list[Decision]:
        """Newest decisions first."""
        query = sa.select(t.decisions).order_by(t.decisions.c.serial.desc()).limit(limit)
        if before is not None:
            query = query.where(t.decisions.c.serial < before)
        with self._read() as connection:
            return [Decision(r.id, to_instant(r.at), r.placement, r.serial) for r in connection.execute(query)]

    def recount(self) -> Recount:
        """Replay the whole log and compare it with the tables, in one snapshot of the database."""
        state, last = empty(), 0
        with self._read() as connection:
            if self.on_postgresql:
                connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            tables = self._state(connection)
            problems = []
            while (
                page := connection.execute(
                    sa.select(t.events).where(t.events.c.number > last).order_by(t.events.c.number).limit(10_000)
                )
                .mappings()
                .all()
            ):
                for row in page:
                    if row["number"] != last + 1:
                        problems.append(f"event {last + 1} is missing")
                    last = row["number"]
                fold(state, [event_of(row) for row in page])
        problems += differences(state, tables) + broken_rules(tables)
        return Recount(last, state_hash(state), state_hash(tables), tuple(problems))

    # --- Inside

    @contextmanager
    def _read(self) -> Iterator[Connection]:
        try:
            with self.reading.connect() as connection:
                yield connection
        except SQLAlchemyError as error:
            cause = type(getattr(error, "orig", None) or error).__name__
            raise OutsideError(f"the store cannot be read ({cause})") from error

    def _now(self, connection: Connection) -> datetime:
        if not self.on_postgresql:
            return self.clock.now()
        at: datetime = connection.exec_driver_sql("SELECT clock_timestamp()").scalar_one()
        return at

    def _jobs_by_id(self, connection: Connection, ids: Sequence[str]) -> list[Job]:
        found: dict[str, Job] = {}
        for part in chunks(list(ids)):
            for row in connection.execute(JOBS_NAMED, {"ids": part}):
                job = job_in(row)
                found[job.id] = job
        return [found[name] for name in ids if name in found]

    def _state(self, connection: Connection) -> State:
        state = empty()
        for row in connection.execute(sa.select(t.jobs)).mappings():
            state["jobs"][row["id"]] = {name: row[name] for name in JOB_COLUMNS}
        for row in connection.execute(sa.select(t.runs)).mappings():
            state["runs"][row["id"]] = {name: row[name] for name in RUN_COLUMNS if name not in LEASE_COLUMNS}
        for row in connection.execute(sa.select(t.penalties)).mappings():
            state["penalties"][row["location"]] = {"weight": row["weight"], "at": row["at"]}
        for row in connection.execute(sa.select(t.cordons)).mappings():
            state["cordons"][row["target"]] = {"drain": row["drain"], "at": row["at"]}
        for row in connection.execute(sa.select(t.copies)).mappings():
            state["copies"][row["id"]] = {name: row[name] for name in COPY_COLUMNS if name not in ("id", "version")}
        return state


def _as_text(query: sa.Select[Any], on_postgresql: bool) -> sa.Select[Any]:
    """One row for a sorted query of LISTED and `serial`: its rows as JSON with commas, last serial and number."""
    page = query.subquery("page")
    if on_postgresql:
        names = ", ".join(f"page.{name}" for name in LISTED)
        row: sa.ColumnElement[Any] = sa.literal_column(f"row_to_json((SELECT x FROM (SELECT {names}) AS x))::text")
        text: sa.ColumnElement[Any] = sa.func.string_agg(row, aggregate_order_by(sa.literal(","), page.c.serial.desc()))
    else:
        # SQLite keeps the order of a subquery for every aggregate but counts and extremes.
        row = sa.func.json_object(*(part for name in LISTED for part in (name, _as_json(page.c[name]))))
        text = sa.func.group_concat(row, ",")
    return sa.select(text, sa.func.min(page.c.serial), sa.func.count()).select_from(page)


def _as_json(column: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    """What SQLite writes as JSON for a column: it keeps 0 and 1 for no and yes."""
    return sa.func.json(sa.case((column, "true"), else_="false")) if isinstance(column.type, sa.Boolean) else column


def chunks(names: list[str], size: int = 5000) -> Iterator[list[str]]:
    """The names in parts that one statement takes."""
    for start in range(0, len(names), size):
        yield names[start : start + size]

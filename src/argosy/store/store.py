"""Store: everything that is asked of the database, as methods with records in and out.

Reads see the last commit. Writes go through one writer for each process (`writer`). On PostgreSQL a writing transaction
takes the row of the event counter first, so that all replicas write one after the other, event numbers have no gaps and
follow the order of commits, and no two writers can wait for each other in a circle.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy import Connection, Engine

from argosy.clock import Clock, unguessable
from argosy.errors import NotFound
from argosy.model.copy import Copy
from argosy.model.job import Job, Run
from argosy.model.task import Task
from argosy.store import tables as t
from argosy.store.apply import apply_changes
from argosy.store.change import Change, CopyChange
from argosy.store.engine import migrate, open_engine
from argosy.store.reader import ACTIVE, Reader, chunks
from argosy.store.rows import (
    RUN_COLUMNS,
    digest,
    run_in,
    to_instant,
    to_row,
    to_text,
)
from argosy.store.settle import (
    ID_DIGITS,
    KEPT_DECISIONS,
    Applied,
    Key,
    Lease,
    NewJob,
    Role,
    cancelling,
    check_cordoned,
    check_fence,
    check_jobs,
    copied_body,
    key_digest,
    next_lease,
    same_request,
    stepped,
    submitted,
    submitted_body,
    task_hash,
)
from argosy.store.writer import Writer

T = TypeVar("T")
_COUNT = (
    sa.update(t.counters)
    .where(t.counters.c.name == sa.bindparam("_name"))
    .values(value=t.counters.c.value + sa.bindparam("_number", type_=sa.BigInteger))
    .returning(t.counters.c.value)
)
_LEASE = sa.select(t.leases).where(t.leases.c.name == sa.bindparam("_name"))
_RENEW = (
    sa.update(t.leases)
    .where(t.leases.c.name == sa.bindparam("_name"))
    .values(owner=sa.bindparam("_owner"), epoch=sa.bindparam("_epoch"), expires_at=sa.bindparam("_until"))
)
_OF = (ACTIVE, t.runs.c.driver.in_(sa.bindparam("drivers", expanding=True)))
_MINE = t.runs.c.lease_owner == sa.bindparam("_owner")
_OVER = t.runs.c.lease_expires_at <= sa.bindparam("_at")
_PROLONG = sa.update(t.runs).where(*_OF, _MINE).values(lease_expires_at=sa.bindparam("_until"))
_OVERDUE = sa.select(t.runs.c.id).where(*_OF, _OVER, sa.not_(_MINE)).order_by(t.runs.c.id)
_OVERDUE_OR_MINE = sa.select(t.runs.c.id).where(*_OF, sa.or_(_OVER, _MINE)).order_by(t.runs.c.id)
_TAKE = (
    sa.update(t.runs)
    .where(t.runs.c.id == sa.bindparam("_id"))
    .values(lease_owner=sa.bindparam("_owner"), lease_expires_at=sa.bindparam("_until"), token=sa.bindparam("_token"))
)
_SEEN = (
    sa.update(t.runs)
    .where(t.runs.c.id == sa.bindparam("_id"), t.runs.c.token == sa.bindparam("_token"))
    .values(seen_at=sa.bindparam("_at"))
)
_HOLD = (
    sa.update(t.leases)
    .where(t.leases.c.name == sa.bindparam("_name"), t.leases.c.owner == sa.bindparam("_owner"))
    .where(t.leases.c.epoch == sa.bindparam("_epoch"), t.leases.c.expires_at > sa.bindparam("_at"))
    .values(expires_at=sa.bindparam("_until"))
)
_COPIES_NAMED = sa.select(t.copies.c.id, t.copies.c.version).where(
    t.copies.c.id.in_(sa.bindparam("ids", expanding=True))
)
_CLAIMED = sa.select(*(t.runs.c[name] for name in RUN_COLUMNS)).where(*_OF, _MINE).order_by(t.runs.c.id)


class Store(Reader):
    """One database."""

    def __init__(
        self,
        url: str,
        clock: Clock,
        *,
        token: Callable[[], str] = lambda: unguessable(8),
        engine: Engine | None = None,
    ) -> None:
        """Open, and bring up to date. BadInput for no address, OutsideError when there is no store that answers there.

        A given `engine` is up to date already.
        """
        if engine is None:
            engine = open_engine(url)
            migrate(engine)
        super().__init__(engine, clock)
        self.token = token
        self.writer = Writer(self.engine, self._begin)
        self.id = self._write(self._identity)

    def close(self) -> None:
        """Let go of all connections."""
        self.engine.dispose()

    # --- Submitting

    def submit(
        self, new: Sequence[NewJob], *, project: str, key: str | None = None, request_hash: str = ""
    ) -> list[Job]:
        """Keep jobs, all or none. With an idempotency key the same request again gives the same jobs.

        Reused when the key was used for another request.
        """
        hashes = [task_hash(job.task) for job in new]
        request_hash = request_hash or digest(hashes)

        def work(connection: Connection) -> list[Job]:
            at = self._now(connection)
            if key is not None:
                known = connection.execute(
                    sa.select(t.idempotency).where(t.idempotency.c.project == project, t.idempotency.c.key == key)
                ).one_or_none()
                if known is not None:
                    same_request(known.request_hash, request_hash, key)
                    return self._jobs_by_id(connection, known.jobs)
            first = self._count(connection, "jobs", len(new))
            number = self._count(connection, "events", len(new))
            made = submitted(new, hashes, store=self.id, project=project, at=at, first=first, number=number)
            self._keep_tasks(connection, {h: job.task for h, job in zip(hashes, new, strict=True)})
            rows = [to_row(dict(job)) for job in made]
            connection.execute(sa.insert(t.jobs), [{**row, "serial": first + i} for i, row in enumerate(rows)])
            connection.execute(
                sa.insert(t.events),
                [
                    {
                        "number": number + i,
                        "at": to_text(at),
                        "kind": "Submitted",
                        "job": row["id"],
                        "run": None,
                        "body": submitted_body(row),
                    }
                    for i, row in enumerate(rows)
                ],
            )
            hidden = [
                {"job": row["id"], "secret": {k: v.get_secret_value() for k, v in job.secrets.items()}}
                for row, job in zip(rows, new, strict=True)
                if job.secrets
            ]
            if hidden:
                connection.execute(sa.insert(t.secrets), hidden)
            if key is not None:
                ids = [job.id for job in made]
                connection.execute(
                    sa.insert(t.idempotency),
                    {"project": project, "key": key, "request_hash": request_hash, "jobs": ids, "at": to_text(at)},
                )
            return made

        return self._write(work) if new else []

    def request_cancel(self, ids: Sequence[str], *, project: str | None = None) -> list[Job]:
        """Ask for the end of jobs; those that ended stay as they are. NotFound names one that is not there."""

        def work(connection: Connection) -> list[Job]:
            found = {job.id: job for job in self._jobs_by_id(connection, ids)}
            check_jobs(ids, found, project)
            self._apply(connection, cancelling(found.values()))
            return self._jobs_by_id(connection, ids)

        return self._write(work)

    # --- Changing

    def apply(self, changes: Sequence[Change], *, owner: str, lease_seconds: float, fence: Lease | None) -> Applied:
        """Make each change whose job and run are still as they were when it was decided; discard the others.

        With `fence` nothing at all is changed, and Conflict raised, unless that lease is still held.
        """
        if not changes:
            return Applied((), (), ())

        def work(connection: Connection) -> Applied:
            at = self._now(connection)
            if fence is not None:
                check_fence(self._known_lease(connection, fence.name), fence, at)
            return self._apply(connection, changes, owner=owner, expires=at + timedelta(seconds=lease_seconds))

        return self._write(work)

    def change_copies(self, changes: Sequence[CopyChange], *, fence: Lease) -> tuple[bool, ...]:
        """Make each step whose copy is still as it was when the step was decided; for each, whether it was made.

        Nothing at all is changed, and Conflict raised, unless the lease `fence` is still held.
        """
        if not changes:
            return ()

        def work(connection: Connection) -> tuple[bool, ...]:
            at = self._now(connection)
            check_fence(self._known_lease(connection, fence.name), fence, at)
            ids = sorted({change.copy.id for change in changes})
            known = {row.id: row.version for row in connection.execute(_COPIES_NAMED, {"ids": ids})}
            made = stepped(changes, known, lambda: self._count(connection, "events", 1))
            for change, copy in zip(changes, made, strict=True):
                if copy is not None:
                    self._keep_copy(connection, change.kind, copy, at)
            return tuple(copy is not None for copy in made)

        return self._write(work)

    def prolong(self, lease: Lease | None, owner: str, drivers: Sequence[str], seconds: float) -> bool:
        """Keep what is held for longer, and take nothing: a named lease, and the leases of an owner's runs.

        False when the named lease is not held any more; runs are prolonged all the same.
        """

        def work(connection: Connection) -> bool:
            at = self._now(connection)
            until = to_text(at + timedelta(seconds=seconds))
            connection.execute(_PROLONG, {"drivers": list(drivers), "_owner": owner, "_until": until})
            if lease is None:
                return False
            named = {"_name": lease.name, "_owner": lease.owner, "_epoch": lease.epoch}
            return bool(connection.execute(_HOLD, {**named, "_at": to_text(at), "_until": until}).rowcount)

        return self._write(work)

    def lease(self, name: str, owner: str, seconds: float, held: Lease | None = None) -> Lease | None:
        """Take or prolong a lease; None while another holds it. Taking it anew raises its epoch."""

        def work(connection: Connection) -> Lease | None:
            at = self._now(connection)
            until = at + timedelta(seconds=seconds)
            known = self._known_lease(connection, name)
            made = next_lease(known, name, owner, held, at=at, until=until)
            if made is None:
                return None
            if known is None:
                row = {"name": name, "owner": owner, "epoch": made.epoch, "expires_at": to_text(until)}
                connection.execute(sa.insert(t.leases), row)
            else:
                given = {"_name": name, "_owner": owner, "_epoch": made.epoch, "_until": to_text(until)}
                connection.execute(_RENEW, given)
            return made

        return self._write(work)

    def release(self, lease: Lease) -> None:
        """Give a lease back, so that another need not wait for its end."""

        def work(connection: Connection) -> None:
            mine = (t.leases.c.name == lease.name, t.leases.c.owner == lease.owner, t.leases.c.epoch == lease.epoch)
            connection.execute(sa.update(t.leases).where(*mine).values(expires_at=to_text(self._now(connection))))

        self._write(work)

    @property
    def commits(self) -> int:
        """How often this process has committed; a reader that saw this number knows whether there is news."""
        return self.writer.commits

    def wait(self, commits: int, seconds: float) -> bool:
        """Wait until this process has committed more than so many times; False when the time is over first."""
        return self.writer.wait(commits, seconds)

    def wake(self) -> None:
        """Let whoever waits look again."""
        with self.writer.turn:
            self.writer.turn.notify_all()

    def claim(self, owner: str, drivers: Sequence[str], seconds: float, *, anew: bool = False) -> list[Run]:
        """Active runs that `owner` looks after from now on: its own, and those whose lease ran out.

        A run that changes hands gets a new token, so that its former owner can change nothing; `anew` gives new tokens
        to its own runs too, which a process does once when it starts.
        """

        def work(connection: Connection) -> list[Run]:
            at = self._now(connection)
            until = to_text(at + timedelta(seconds=seconds))
            given = {"drivers": list(drivers), "_owner": owner, "_at": to_text(at), "_until": until}
            if not anew:
                connection.execute(_PROLONG, given)
            taken = connection.execute(_OVERDUE_OR_MINE if anew else _OVERDUE, given).scalars().all()
            if taken:
                rows = [{"_id": name, "_token": self.token(), "_owner": owner, "_until": until} for name in taken]
                connection.execute(_TAKE, rows)
            return [run_in(row) for row in connection.execute(_CLAIMED, given)]

        return self._write(work)

    def seen(self, tokens: Mapping[str, str]) -> None:
        """Note that the engine knew these runs just now: run to its token."""
        if not tokens:
            return

        def work(connection: Connection) -> None:
            at = to_text(self._now(connection))
            connection.execute(_SEEN, [{"_id": run, "_token": token, "_at": at} for run, token in tokens.items()])

        self._write(work)

    def cordon(self, target: str, *, drain: bool = False) -> None:
        """Let nothing new start on a vendor, region, pool or node; `drain` also moves what runs there."""
        self._cordon("Drained" if drain else "Cordoned", target, drain)

    def uncordon(self, target: str) -> None:
        """Let new work start there again. NotFound when it was not cordoned."""
        check_cordoned(target, self.cordons())
        self._cordon("Uncordoned", target, None)

    # --- Decisions

    def decided(self, decision: str, placement: Mapping[str, Any]) -> None:
        """Keep a decision before anything of it is carried out. Old ones are dropped."""

        def work(connection: Connection) -> None:
            known = connection.execute(sa.select(t.decisions.c.id).where(t.decisions.c.id == decision)).first()
            if known is not None:
                return
            serial = self._count(connection, "decisions", 1)
            row = {"id": decision, "serial": serial, "at": to_text(self._now(connection))}
            connection.execute(sa.insert(t.decisions), {**row, "placement": dict(placement)})
            connection.execute(sa.delete(t.decisions).where(t.decisions.c.serial <= serial - KEPT_DECISIONS))

        self._write(work)

    # --- Engines

    def engine_of(self, name: str, id: str, *, anew: bool = False) -> str:
        """The engine that runs mean by a name: the one that was first given here under it, or with `anew` this one."""

        def work(connection: Connection) -> str:
            mine = t.facts.c.name == f"engine/{name}"
            known = connection.execute(sa.select(t.facts.c.value).where(mine)).scalar_one_or_none()
            if known is not None and not anew:
                return str(known)
            connection.execute(sa.delete(t.facts).where(mine))
            connection.execute(sa.insert(t.facts), {"name": f"engine/{name}", "value": id})
            return id

        return self._write(work)

    # --- Keys

    def make_key(self, project: str, role: Role) -> tuple[str, str]:
        """A new key: its id and its secret, which is shown this once; only its digest is kept."""
        secret = f"argosy_{unguessable()}"

        def work(connection: Connection) -> str:
            name = f"key-{self._count(connection, 'keys', 1)}"
            row = {"id": name, "digest": key_digest(secret), "project": project, "role": role}
            connection.execute(sa.insert(t.keys), {**row, "created_at": to_text(self._now(connection))})
            return name

        return self._write(work), secret

    def key(self, secret: str) -> Key | None:
        """The key with this secret; None when there is none or it was revoked."""
        query = sa.select(t.keys).where(t.keys.c.digest == key_digest(secret), t.keys.c.revoked_at.is_(None))
        with self._read() as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None else Key(row.id, row.project, row.role)

    def keys(self) -> list[Key]:
        """All keys, without their secrets."""
        with self._read() as connection:
            rows = connection.execute(sa.select(t.keys).order_by(t.keys.c.created_at, t.keys.c.id))
            return [
                Key(r.id, r.project, r.role, None if r.revoked_at is None else to_instant(r.revoked_at)) for r in rows
            ]

    def revoke(self, name: str) -> None:
        """End a key. NotFound when there is none."""

        def work(connection: Connection) -> None:
            at = to_text(self._now(connection))
            if not connection.execute(sa.update(t.keys).where(t.keys.c.id == name).values(revoked_at=at)).rowcount:
                raise NotFound(f"there is no key {name}")

        self._write(work)

    # --- Inside

    def _begin(self, connection: Connection) -> None:
        if self.on_postgresql:
            connection.exec_driver_sql("SELECT value FROM counters WHERE name = 'events' FOR UPDATE")
            connection.exec_driver_sql("SELECT pg_notify('argosy', '')")

    def _write(self, work: Callable[[Connection], T]) -> T:
        return self.writer.run(work)

    def _identity(self, connection: Connection) -> str:
        found = connection.execute(sa.select(t.facts.c.value).where(t.facts.c.name == "store")).scalar_one_or_none()
        if found is None:
            found = self.token()[:ID_DIGITS]
            connection.execute(sa.insert(t.facts), {"name": "store", "value": found})
        return str(found)

    def _count(self, connection: Connection, name: str, number: int) -> int:
        """Take so many numbers from a counter; the first of them."""
        last: int = connection.execute(_COUNT, {"_name": name, "_number": number}).scalar_one()
        return last - number + 1

    def _known_lease(self, connection: Connection, name: str) -> Lease | None:
        row = connection.execute(_LEASE, {"_name": name}).one_or_none()
        return None if row is None else Lease(row.name, row.owner, row.epoch, to_instant(row.expires_at))

    def _keep_tasks(self, connection: Connection, tasks: Mapping[str, Task]) -> None:
        known: set[str] = set()
        for part in chunks(sorted(tasks)):
            known |= set(connection.execute(sa.select(t.tasks.c.hash).where(t.tasks.c.hash.in_(part))).scalars())
        new = [{"hash": h, "task": tasks[h].model_dump(mode="json")} for h in tasks if h not in known]
        if new:
            connection.execute(sa.insert(t.tasks), new)

    def _apply(
        self, connection: Connection, changes: Sequence[Change], owner: str = "", expires: datetime | None = None
    ) -> Applied:
        return apply_changes(
            connection,
            changes,
            at=self._now(connection),
            owner=owner,
            expires=expires,
            token=self.token,
            take=lambda number: self._count(connection, "events", number),
        )

    def _keep_copy(self, connection: Connection, kind: str, copy: Copy, at: datetime) -> None:
        row = to_row(dict(copy))
        connection.execute(sa.delete(t.copies).where(t.copies.c.id == copy.id))
        connection.execute(sa.insert(t.copies), row)
        event = {"number": copy.version, "at": to_text(at), "kind": kind, "job": None, "run": None}
        connection.execute(sa.insert(t.events), {**event, "body": copied_body(row)})

    def _cordon(self, kind: str, target: str, drain: bool | None) -> None:
        """Set or, with None, take away the cordon of a target."""

        def work(connection: Connection) -> None:
            at = to_text(self._now(connection))
            body = None if drain is None else {"drain": drain, "at": at}
            connection.execute(sa.delete(t.cordons).where(t.cordons.c.target == target))
            if body is not None:
                connection.execute(sa.insert(t.cordons), {"target": target, **body})
            row = {"number": self._count(connection, "events", 1), "at": at, "kind": kind, "job": None, "run": None}
            connection.execute(sa.insert(t.events), {**row, "body": {"cordons": {target: body}}})

        self._write(work)

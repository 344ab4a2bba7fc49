"""Memory: a store that rests nowhere, for simulations that make thousands of them.

It takes and gives what `Store` does and decides by the same pure functions (`settle`, `fold`, `recount`); only where
rows rest differs. A write gathers all that it will change and then changes it in one step that cannot fail, so that it
is whole or nothing wherever it is cut off. For one thread; nothing of it outlives the process.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any, TypeVar

from argosy.clock import Clock, unguessable
from argosy.errors import NotFound, OutsideError
from argosy.model.job import Event, Job, Run
from argosy.model.task import Task
from argosy.store.change import Change, CopyChange
from argosy.store.memory_reader import Kept, MemoryReader
from argosy.store.reader import Decision
from argosy.store.rows import digest, to_row, to_text
from argosy.store.settle import (
    ID_DIGITS,
    KEPT_DECISIONS,
    Applied,
    Key,
    Lease,
    Made,
    NewJob,
    Role,
    cancelling,
    check_cordoned,
    check_fence,
    check_jobs,
    copied_body,
    key_digest,
    next_lease,
    numbered,
    same_lease,
    same_request,
    settle,
    stepped,
    submitted,
    submitted_body,
)

T = TypeVar("T")


@dataclass(slots=True)
class Write:
    """One transaction: what it will change. Nothing is changed before `commit`."""

    kept: Kept
    taken: Counter[str] = field(default_factory=Counter)
    """Numbers taken from each counter."""
    events: list[Event] = field(default_factory=list)
    changes: list[Callable[[], Any]] = field(default_factory=list)

    def count(self, name: str, number: int) -> int:
        """Take so many numbers from a counter; the first of them."""
        first = self.kept.counters[name] + self.taken[name] + 1
        self.taken[name] += number
        return first

    def event(
        self, number: int, at: datetime, kind: str, body: Any, *, job: str | None = None, run: str | None = None
    ) -> None:
        """Add an event. Its body becomes what a database would make of it; what JSON cannot hold is refused here."""
        body = json.loads(json.dumps(body, allow_nan=False))
        self.events.append(Event.model_construct(number=number, at=at, kind=kind, job=job, run=run, body=body))

    def commit(self) -> None:
        """Change everything."""
        self.kept.counters.update(self.taken)
        self.kept.events += self.events
        for change in self.changes:
            change()


class MemoryStore(MemoryReader):
    """One store in memory."""

    def __init__(
        self, clock: Clock, *, token: Callable[[], str] = lambda: unguessable(8), kept: Kept | None = None
    ) -> None:
        """Open what is kept; by default nothing is yet."""
        super().__init__(Kept() if kept is None else kept, clock)
        self.token = token
        self.commits = 0
        self.id = self._write(self._identity)

    def close(self) -> None:
        """Nothing is held."""

    def wait(self, commits: int, seconds: float) -> bool:
        """Whether more than so many commits were made: nobody else could make one while this waited."""
        return self.commits > commits

    def wake(self) -> None:
        """Nobody waits."""

    # --- Submitting

    def submit(
        self, new: Sequence[NewJob], *, project: str, key: str | None = None, request_hash: str = ""
    ) -> list[Job]:
        """Keep jobs, all or none. With an idempotency key the same request again gives the same jobs.

        Reused when the key was used for another request.
        """
        dumped = [job.task.model_dump(mode="json") for job in new]
        hashes = [digest(task) for task in dumped]
        request_hash = request_hash or digest(hashes)

        def work(write: Write) -> list[Job]:
            kept, at = self.kept, self.clock.now()
            known = None if key is None else kept.requests.get((project, key))
            if key is not None and known is not None:
                same_request(known[0], request_hash, key)
                return [kept.jobs[name] for name in known[1]]
            first, number = write.count("jobs", len(new)), write.count("events", len(new))
            made = submitted(new, hashes, store=self.id, project=project, at=at, first=first, number=number)
            for i, job in enumerate(made):
                write.event(number + i, at, "Submitted", submitted_body(to_row(dict(job))), job=job.id)
            # What is read back is what a database would give: the task that its JSON says.
            tasks = {
                name: Task.model_validate(task, strict=False)
                for name, task in zip(hashes, dumped, strict=True)
                if name not in kept.tasks
            }
            hidden = {job.id: dict(asked.secrets) for job, asked in zip(made, new, strict=True) if asked.secrets}

            def change() -> None:
                for i, job in enumerate(made):
                    kept.serials[job.id] = first + i
                    kept.put_job(job)
                kept.tasks |= tasks
                kept.secrets |= hidden
                if key is not None:
                    kept.requests[project, key] = request_hash, [job.id for job in made]

            write.changes.append(change)
            return made

        return self._write(work) if new else []

    def request_cancel(self, ids: Sequence[str], *, project: str | None = None) -> list[Job]:
        """Ask for the end of jobs; those that ended stay as they are. NotFound names one that is not there."""

        def work(write: Write) -> list[Job]:
            found = {name: self.kept.jobs[name] for name in ids if name in self.kept.jobs}
            check_jobs(ids, found, project)
            applied = self._apply(write, cancelling(found.values()))
            found |= {job.id: job for job in applied.jobs}
            return [found[name] for name in ids]

        return self._write(work)

    # --- Changing

    def apply(self, changes: Sequence[Change], *, owner: str, lease_seconds: float, fence: Lease | None) -> Applied:
        """Make each change whose job and run are still as they were when it was decided; discard the others.

        With `fence` nothing at all is changed, and Conflict raised, unless that lease is still held.
        """
        if not changes:
            return Applied((), (), ())

        def work(write: Write) -> Applied:
            at = self.clock.now()
            if fence is not None:
                check_fence(self.kept.leases.get(fence.name), fence, at)
            return self._apply(write, changes, owner=owner, expires=at + timedelta(seconds=lease_seconds))

        return self._write(work)

    def change_copies(self, changes: Sequence[CopyChange], *, fence: Lease) -> tuple[bool, ...]:
        """Make each step whose copy is still as it was when the step was decided; for each, whether it was made.

        Nothing at all is changed, and Conflict raised, unless the lease `fence` is still held.
        """
        if not changes:
            return ()

        def work(write: Write) -> tuple[bool, ...]:
            at, kept = self.clock.now(), self.kept
            check_fence(kept.leases.get(fence.name), fence, at)
            known = {name: copy.version for name, copy in kept.copies.items()}
            made = stepped(changes, known, lambda: write.count("events", 1))
            for change, copy in zip(changes, made, strict=True):
                if copy is not None:
                    write.event(copy.version, at, change.kind, copied_body(to_row(dict(copy))))
                    write.changes.append(partial(kept.copies.update, {copy.id: copy}))
            return tuple(copy is not None for copy in made)

        return self._write(work)

    def prolong(self, lease: Lease | None, owner: str, drivers: Sequence[str], seconds: float) -> bool:
        """Keep what is held for longer, and take nothing: a named lease, and the leases of an owner's runs.

        False when the named lease is not held any more; runs are prolonged all the same.
        """

        def work(write: Write) -> bool:
            at = self.clock.now()
            until = at + timedelta(seconds=seconds)
            for run in self._active():
                if run.lease_owner == owner and run.driver in drivers:
                    write.changes.append(partial(self.kept.put_run, run.model_copy(update={"lease_expires_at": until})))
            known = None if lease is None else self.kept.leases.get(lease.name)
            if lease is None or known is None or not same_lease(known, lease) or known.expires_at <= at:
                return False
            longer = replace(known, expires_at=until)
            write.changes.append(lambda: self.kept.leases.update({lease.name: longer}))
            return True

        return self._write(work)

    def lease(self, name: str, owner: str, seconds: float, held: Lease | None = None) -> Lease | None:
        """Take or prolong a lease; None while another holds it. Taking it anew raises its epoch."""

        def work(write: Write) -> Lease | None:
            at = self.clock.now()
            until = at + timedelta(seconds=seconds)
            made = next_lease(self.kept.leases.get(name), name, owner, held, at=at, until=until)
            if made is not None:
                write.changes.append(lambda: self.kept.leases.update({name: made}))
            return made

        return self._write(work)

    def release(self, lease: Lease) -> None:
        """Give a lease back, so that another need not wait for its end."""

        def work(write: Write) -> None:
            known = self.kept.leases.get(lease.name)
            if known is not None and same_lease(known, lease):
                given = replace(known, expires_at=self.clock.now())
                write.changes.append(lambda: self.kept.leases.update({lease.name: given}))

        self._write(work)

    def claim(self, owner: str, drivers: Sequence[str], seconds: float, *, anew: bool = False) -> list[Run]:
        """Active runs that `owner` looks after from now on: its own, and those whose lease ran out.

        A run that changes hands gets a new token, so that its former owner can change nothing; `anew` gives new tokens
        to its own runs too, which a process does once when it starts.
        """

        def work(write: Write) -> list[Run]:
            at = self.clock.now()
            until = at + timedelta(seconds=seconds)
            held: list[Run] = []
            for run in self._active():
                if run.driver not in drivers:
                    continue
                mine = run.lease_owner == owner
                if (mine and anew) or (not mine and run.lease_expires_at <= at):
                    fields = {"token": self.token(), "lease_owner": owner, "lease_expires_at": until}
                    held.append(run.model_copy(update=fields))
                elif mine:
                    held.append(run.model_copy(update={"lease_expires_at": until}))
            write.changes += [partial(self.kept.put_run, run) for run in held]
            return held

        return self._write(work)

    def seen(self, tokens: Mapping[str, str]) -> None:
        """Note that the engine knew these runs just now: run to its token."""
        if not tokens:
            return

        def work(write: Write) -> None:
            at, runs = self.clock.now(), self.kept.runs
            for name, token in tokens.items():
                if name in runs and runs[name].token == token:
                    write.changes.append(partial(self.kept.put_run, runs[name].model_copy(update={"seen_at": at})))

        self._write(work)

    def cordon(self, target: str, *, drain: bool = False) -> None:
        """Let nothing new start on a vendor, region, pool or node; `drain` also moves what runs there."""
        self._cordon("Drained" if drain else "Cordoned", target, drain)

    def uncordon(self, target: str) -> None:
        """Let new work start there again. NotFound when it was not cordoned."""
        check_cordoned(target, self.cordons())
        self._cordon("Uncordoned", target, None)

    def decided(self, decision: str, placement: Mapping[str, Any]) -> None:
        """Keep a decision before anything of it is carried out. Old ones are dropped."""

        def work(write: Write) -> None:
            kept = self.kept
            if decision in kept.decisions:
                return
            serial = write.count("decisions", 1)
            row = Decision(decision, self.clock.now(), dict(placement), serial)
            old = [name for name, known in kept.decisions.items() if known.serial <= serial - KEPT_DECISIONS]
            write.changes.append(lambda: kept.decisions.update({decision: row}))
            write.changes += [partial(kept.decisions.pop, name) for name in old]

        self._write(work)

    # --- Engines

    def engine_of(self, name: str, id: str, *, anew: bool = False) -> str:
        """The engine that runs mean by a name: the one that was first given here under it, or with `anew` this one."""

        def work(write: Write) -> str:
            engines = self.kept.engines
            if name in engines and not anew:
                return engines[name]
            write.changes.append(lambda: engines.update({name: id}))
            return id

        return self._write(work)

    # --- Keys

    def make_key(self, project: str, role: Role) -> tuple[str, str]:
        """A new key: its id and its secret, which is shown this once; only its digest is kept."""
        secret = f"argosy_{unguessable()}"

        def work(write: Write) -> str:
            name = f"key-{write.count('keys', 1)}"
            row = Key(name, project, role), self.clock.now()
            write.changes.append(lambda: self.kept.keys.update({key_digest(secret): row}))
            return name

        return self._write(work), secret

    def revoke(self, name: str) -> None:
        """End a key. NotFound when there is none."""

        def work(write: Write) -> None:
            keys = self.kept.keys
            found = {mark: row for mark, row in keys.items() if row[0].id == name}
            if not found:
                raise NotFound(f"there is no key {name}")
            ended = {mark: (replace(key, revoked_at=self.clock.now()), at) for mark, (key, at) in found.items()}
            write.changes.append(lambda: keys.update(ended))

        self._write(work)

    # --- Inside

    def _write(self, work: Callable[[Write], T]) -> T:
        write = Write(self.kept)
        result = work(write)
        write.commit()
        self.commits += 1
        return result

    def _identity(self, write: Write) -> str:
        if self.kept.store:
            return self.kept.store
        name = self.token()[:ID_DIGITS]
        write.changes.append(lambda: setattr(self.kept, "store", name))
        return name

    def _apply(
        self, write: Write, changes: Sequence[Change], owner: str = "", expires: datetime | None = None
    ) -> Applied:
        kept, at = self.kept, self.clock.now()
        done, made = settle(changes, kept.jobs, kept.runs, at=at, owner=owner, expires=expires, token=self.token)
        if not made:
            return Applied(done, (), ())
        self._one_active_run(made)
        first = write.count("events", len(made))
        jobs, runs = numbered(made, first)
        for number, (row, run) in enumerate(zip(made, runs, strict=True), first):
            write.event(number, at, row.change.kind, row.body, job=row.job.id, run=None if run is None else run.id)
        weights = {name: (weight, at) for row in made for name, weight in row.change.penalties.items()}
        bare = [row.job.id for row in made if row.change.drop_secrets]

        def change() -> None:
            for job in jobs:
                kept.put_job(job)
            for run in runs:
                if run is not None:
                    kept.put_run(run)
            for name in weights:
                kept.penalties.pop(name, None)
            kept.penalties.update(weights)
            for name in bare:
                kept.secrets.pop(name, None)

        write.changes.append(change)
        return Applied(done, tuple(jobs), tuple(runs))

    def _one_active_run(self, made: Sequence[Made]) -> None:
        """What the index over active runs is in a database: a second one of a job is refused, and all with it."""
        kept = self.kept
        for row in made:
            known = kept.runs_of.get(row.job.id, ()) if row.change.new_run is not None else ()
            if any(name in kept.active_runs for name in known) or (known and row.run and row.run.id in kept.runs):
                raise OutsideError("the store did not confirm a change (a second active run); it counts as not made")

    def _cordon(self, kind: str, target: str, drain: bool | None) -> None:
        """Set or, with None, take away the cordon of a target."""

        def work(write: Write) -> None:
            at, cordons = self.clock.now(), self.kept.cordons
            body = None if drain is None else {"drain": drain, "at": to_text(at)}
            write.event(write.count("events", 1), at, kind, {"cordons": {target: body}})
            write.changes.append(
                lambda: cordons.pop(target, None) if drain is None else cordons.update({target: (drain, at)})
            )

        self._write(work)

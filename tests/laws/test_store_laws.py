"""Laws of the store: whatever is changed in whatever order, stale or not, the log folds to the tables."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from tests.support.stores import HandClock

from argosy.errors import Conflict, Reused
from argosy.model.job import JOB_ENDS, JOB_STEPS, RUN_ENDS, RUN_STEPS, Job, Run
from argosy.model.task import Task
from argosy.simulate.stores import sqlite_in_memory
from argosy.store import Change, Lease, NewJob, NewRun, Present, Store
from argosy.store import tables as t

PLACE = NewRun(driver="d", pool="p", vendor="v", region="r", choice=0, usd_per_hour=1.5)


def step_of(data: st.DataObject, job: Job, run: Run | None, note: dict[str, Any] | None = None) -> Change | None:
    """A change from what was seen, that may be old, to a state that may follow it."""
    more = note or {}
    weights = data.draw(st.dictionaries(st.sampled_from(["pool:p", "node:p/n"]), st.floats(0, 2), max_size=1))
    if run is None:
        if job.run is not None or job.status not in ("PENDING", "RECOVERING"):
            return None
        return Change(
            "Placed", job.id, job.version, {"status": "STARTING"}, new_run=PLACE, penalties=weights, note=more
        )
    status = data.draw(st.sampled_from(sorted({run.status, *RUN_STEPS[run.status]})))
    after = {"PENDING", "STARTING"} if status not in RUN_ENDS else {"RECOVERING", *JOB_ENDS}
    steps = sorted((JOB_STEPS[job.status] | {job.status}) & (after | {job.status}))
    if status in RUN_ENDS:
        steps = [step for step in steps if step in {"RECOVERING", *JOB_ENDS}]
    steps = [step for step in steps if step != "PENDING"]
    if not steps:
        return None
    token = data.draw(st.sampled_from([run.token, "stale"]))
    fields = {"status": data.draw(st.sampled_from(steps))}
    return Change("Step", job.id, job.version, fields, run.id, token, {"status": status}, penalties=weights, note=more)


class StoreMachine(RuleBasedStateMachine):
    """Random changes, many of them decided on what is no longer so."""

    @initialize()
    def begin(self) -> None:
        self.clock = HandClock()
        self.store: Store = sqlite_in_memory(self.clock, (f"{n:08x}" for n in itertools.count(1)))  # type: ignore[arg-type]
        self.present = Present()
        self.seen: list[tuple[Job, Run | None]] = []
        self.leases: list[Lease] = []
        self.acknowledged: set[str] = set()

    def look(self) -> None:
        runs = {run.id: run for run in self.store.active_runs()}
        self.seen += [(job, runs.get(job.run or "")) for job in self.store.open_jobs()]
        self.seen = self.seen[-40:]

    @rule(number=st.integers(1, 3), key=st.sampled_from([None, "k1", "k2"]))
    def submit(self, number: int, key: str | None) -> None:
        try:
            jobs = self.store.submit([NewJob(Task(name=f"t{number}"))] * number, project="p", key=key)
        except Reused:
            return
        self.acknowledged |= {job.id for job in jobs}
        self.look()

    @rule(data=st.data(), old=st.booleans())
    def change(self, data: st.DataObject, old: bool) -> None:
        if not old:
            self.look()
        if not self.seen:
            return
        changes = []
        for job, run in data.draw(st.lists(st.sampled_from(self.seen), min_size=1, max_size=3)):
            made = step_of(data, job, run)
            if made is not None:
                changes.append(made)
        fence = data.draw(st.sampled_from([None, *self.leases]))
        before = self.store.recount().table_hash
        try:
            applied = self.store.apply(changes, owner="o", lease_seconds=5, fence=fence)
        except Conflict:
            assert self.store.recount().table_hash == before
            return
        if not any(applied.done):
            assert self.store.recount().table_hash == before

    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        if self.acknowledged:
            self.store.request_cancel([data.draw(st.sampled_from(sorted(self.acknowledged)))])

    @rule(owner=st.sampled_from(["a", "b"]), anew=st.booleans())
    def claim(self, owner: str, anew: bool) -> None:
        before = self.store.recount().table_hash
        mine = self.store.claim(owner, ["d"], 5, anew=anew)
        assert all(run.lease_owner == owner for run in mine)
        self.store.seen({run.id: run.token for run in mine})
        assert self.store.recount().table_hash == before, "leases are not part of the state"

    @rule(owner=st.sampled_from(["a", "b"]))
    def lead(self, owner: str) -> None:
        taken = self.store.lease("tick", owner, 5)
        if taken is not None:
            assert all(taken.epoch > lease.epoch for lease in self.leases)
            self.leases.append(taken)

    @rule(seconds=st.sampled_from([0.0, 3.0, 6.0]))
    def wait(self, seconds: float) -> None:
        self.clock.forward(seconds)

    @rule(place=st.sampled_from(["v", "pool:p"]), drain=st.booleans())
    def cordon(self, place: str, drain: bool) -> None:
        if place in self.store.cordons():
            self.store.uncordon(place)
        else:
            self.store.cordon(place, drain=drain)

    @rule()
    def fail(self) -> None:
        """A transaction that fails at its end leaves nothing."""
        before = self.store.recount()

        def work(connection: sa.Connection) -> None:
            connection.execute(sa.insert(t.cordons), {"target": "x", "drain": True, "at": ""})
            self.store._count(connection, "events", 5)
            raise RuntimeError

        with pytest.raises(RuntimeError):
            self.store._write(work)
        assert self.store.recount() == before

    @invariant()
    def the_log_is_the_truth(self) -> None:
        found = self.store.recount()
        assert found.problems == ()
        assert found.log_hash == found.table_hash

    @invariant()
    def nothing_acknowledged_is_lost(self) -> None:
        assert self.store.jobs_named(sorted(self.acknowledged)).keys() == self.acknowledged

    @invariant()
    def what_is_kept_up_to_date_is_what_is_read(self) -> None:
        """`refresh` reads what changed; it must give what reading everything gives, in the same order."""
        self.store.refresh(self.present)
        assert list(self.present.jobs.values()) == self.store.open_jobs()
        assert self.present.runs == self.store.active_runs()
        assert self.present.penalties == self.store.penalties()
        assert self.present.cordons == self.store.cordons()


TestStore = StoreMachine.TestCase
TestStore.settings = settings(
    max_examples=25, stateful_step_count=25, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)

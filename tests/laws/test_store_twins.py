"""The store in memory is the store: the same operations, many of them stale or cut off, get the same answers."""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from typing import Any

import pytest
from bench.faults import differences
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from pydantic import SecretStr
from tests.laws.test_store_laws import step_of
from tests.support.stores import HandClock

from argosy.errors import ArgosyError, Conflict
from argosy.model.copy import Copy
from argosy.model.job import Job, Run
from argosy.model.task import Choice, Task
from argosy.record import Record
from argosy.simulate.faults import Told, run
from argosy.simulate.stores import FaultyMemoryStore, FaultyStore, Kind, sqlite_in_memory, store_of
from argosy.store import Change, CopyChange, Lease, MemoryStore, NewJob, NewRun, Present, Store

PLACE = NewRun(driver="d", pool="p", vendor="v", region="r", choice=0, usd_per_hour=1.5)
NOTES = ({}, {"why": {"runner_up": None, "loss": 0.5}, "list": [1, "two"]})
# What a database has and memory has not, and what tests of one store use to reach into it.
OF_A_DATABASE = {"engine", "clock", "reading", "writer", "on_postgresql"}


class Cut(Exception):
    """A transaction ends here."""


def answer(call: Callable[[], Any]) -> Any:
    """What a call gives, or what it raises."""
    try:
        return plain(call())
    except (ArgosyError, Cut, AssertionError) as error:
        return type(error), str(error)


def plain(value: Any) -> Any:
    """A value by its parts, so that types count: 1 is not 1.0 and not True."""
    if isinstance(value, Record):
        return type(value).__name__, plain(dict(value))
    if is_dataclass(value) and not isinstance(value, type):
        return type(value).__name__, {part.name: plain(getattr(value, part.name)) for part in fields(value)}
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, dict):
        return {name: plain(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [plain(part) for part in value]
    return type(value).__name__, value


class Twins(RuleBasedStateMachine):
    """Every operation is done on both stores; two replicas work on each."""

    @initialize()
    def begin(self) -> None:
        self.clock = HandClock()
        tokens = [(f"{n:08x}" for n in itertools.count(1)) for _ in range(2)]
        self.stores: tuple[FaultyStore, FaultyMemoryStore] = (
            sqlite_in_memory(self.clock, tokens[0]),
            FaultyMemoryStore(self.clock, token=lambda: next(tokens[1])),
        )
        self.presents = Present(), Present()
        self.seen: list[tuple[Job, Run | None]] = []
        self.leases: list[Lease] = []
        self.jobs: list[str] = []
        self.cut = ""

    def both(self, call: Callable[[Any], Any]) -> Any:
        """The answer, which must be the same; None when the call failed."""
        for store in self.stores:
            store.hook = self.cutting(self.cut)
        given = [answer(lambda store=store: call(store)) for store in self.stores]  # type: ignore[misc]
        for store in self.stores:
            store.hook = self.cutting("")
        self.cut = ""
        assert given[0] == given[1]
        return given[0]

    @staticmethod
    def cutting(point: str) -> Callable[[str], None]:
        def hook(what: str) -> None:
            if what == point:
                raise Cut(what)

        return hook

    @rule(point=st.sampled_from(["store.before", "store.within", "store.after"]))
    def the_next_is_cut_off(self, point: str) -> None:
        self.cut = point

    def look(self) -> list[tuple[Job, Run | None]]:
        """Open jobs with their runs as they are now; what was seen before is remembered."""
        memory = self.stores[1]
        runs = {run.id: run for run in memory.active_runs()}
        fresh = [(job, runs.get(job.run or "")) for job in memory.open_jobs()]
        self.stores[0].active_runs()
        self.stores[0].open_jobs()
        self.seen = [*self.seen, *fresh][-40:]
        return fresh

    @rule(number=st.integers(1, 3), key=st.sampled_from([None, "k1", "k2"]), secret=st.booleans())
    def submit(self, number: int, key: str | None, secret: bool) -> None:
        task = Task(name=f"t{number}", choices=(Choice(silicon="h100", accelerators=float(number)),), envs={"A": "1"})
        hidden = {"TOKEN": SecretStr("hunter2")} if secret else {}
        self.both(lambda store: store.submit([NewJob(task, hidden)] * number, project=f"p{number % 2}", key=key))
        self.jobs = list(self.stores[1].kept.jobs)
        self.look()

    @rule(data=st.data(), old=st.booleans(), note=st.sampled_from(NOTES))
    def change(self, data: st.DataObject, old: bool, note: dict[str, Any]) -> None:
        fresh = self.look()
        among = self.seen if old else fresh
        if not among:
            return
        changes = []
        for job, seen in data.draw(st.lists(st.sampled_from(among), min_size=1, max_size=3)):
            made = step_of(data, job, seen, note=note)
            if made is not None:
                changes.append(made)
        fence = data.draw(st.sampled_from([None, *self.leases]))
        self.both(lambda store: store.apply(changes, owner="o", lease_seconds=5, fence=fence))

    @rule(weight=st.floats(0, 2), owner=st.sampled_from(["a", "b"]))
    def place_all(self, weight: float, owner: str) -> None:
        """Every job that waits gets a run, so that there is something to claim, to see and to change."""
        waiting = [job for job, _ in self.look() if job.run is None and not job.cancel]
        changes = [
            Change(
                "Placed", job.id, job.version, {"status": "STARTING"}, new_run=PLACE, penalties={f"pool:{i}": weight}
            )
            for i, job in enumerate(waiting)
        ]
        self.both(lambda store: store.apply(changes, owner=owner, lease_seconds=5, fence=None))

    @rule(data=st.data())
    def a_step_that_does_not_exist(self, data: st.DataObject) -> None:
        self.look()
        if self.seen:
            job, _ = data.draw(st.sampled_from(self.seen))
            wrong = Change("Jump", job.id, job.version, {"status": "SUCCEEDED" if job.run is None else "PENDING"})
            self.both(lambda store: store.apply([wrong], owner="o", lease_seconds=5, fence=None))

    @rule(data=st.data())
    def a_second_run(self, data: st.DataObject) -> None:
        """A run for a job that has one: a database's index refuses it, and so must memory."""
        self.look()
        placed = [job for job, _ in self.seen if job.run is not None]
        if placed:
            job = data.draw(st.sampled_from(placed))
            twice = Change("Placed", job.id, job.version, {}, new_run=PLACE)
            words = [answer(lambda s=s: s.apply([twice], owner="o", lease_seconds=5, fence=None)) for s in self.stores]  # type: ignore[misc]
            # In its own words each: only what becomes of it must be the same.
            assert str(words[0][0]) == str(words[1][0])

    @rule(data=st.data(), project=st.sampled_from([None, "p0", "p1"]))
    def cancel(self, data: st.DataObject, project: str | None) -> None:
        names = data.draw(st.lists(st.sampled_from([*self.jobs, "none-1"]), min_size=1, max_size=3))
        self.both(lambda store: store.request_cancel(names, project=project))
        for name in names:
            self.both(lambda store, name=name: store.secrets(name))

    @rule(owner=st.sampled_from(["a", "b"]), anew=st.booleans(), drivers=st.sampled_from([["d"], ["e"], ["d", "e"]]))
    def claim(self, owner: str, anew: bool, drivers: list[str]) -> None:
        self.both(lambda store: store.claim(owner, drivers, 5, anew=anew))

    @rule(stale=st.booleans())
    def sight(self, stale: bool) -> None:
        tokens = {run.id: "stale" if stale else run.token for run in self.stores[1].active_runs()}
        self.stores[0].active_runs()
        self.both(lambda store: store.seen(tokens | {"none-1-1": "x"}))

    @rule(owner=st.sampled_from(["a", "b"]), data=st.data())
    def lead(self, owner: str, data: st.DataObject) -> None:
        held = data.draw(st.sampled_from([None, *self.leases]))
        self.both(lambda store: store.lease("tick", owner, 5, held))
        known = self.stores[1].kept.leases.get("tick")
        if known is not None:
            self.leases = [*self.leases, known][-6:]

    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        if self.leases:
            lease = data.draw(st.sampled_from(self.leases))
            self.both(lambda store: store.release(lease))

    @rule(data=st.data(), dataset=st.sampled_from(["c", "d"]), step=st.sampled_from(["CopyOrdered", "Copied"]))
    def copy(self, data: st.DataObject, dataset: str, step: str) -> None:
        if not self.leases:
            return
        known = self.stores[1].kept.copies.get(f"{dataset}@r")
        version = data.draw(st.sampled_from([0, 1, 0 if known is None else known.version]))
        made = Copy(
            id=f"{dataset}@r", dataset=dataset, from_region="q", to_region="r", gib=1.0, usd=0.5, hours=0.1,
            status="DONE" if step == "Copied" else "ORDERED", ordered_at=self.clock.now(), readers=("a", "b"),
        )  # fmt: skip
        changes = [CopyChange(step, made, version)] * data.draw(st.integers(1, 2))
        fence = data.draw(st.sampled_from(self.leases))
        self.both(lambda store: store.change_copies(changes, fence=fence))

    @rule(data=st.data(), owner=st.sampled_from(["a", "b"]))
    def prolong(self, data: st.DataObject, owner: str) -> None:
        lease = data.draw(st.sampled_from([None, *self.leases]))
        self.both(lambda store: store.prolong(lease, owner, ["d"], 5))

    @rule(seconds=st.sampled_from([0.0, 3.0, 5.0, 6.0]))
    def wait(self, seconds: float) -> None:
        self.clock.forward(seconds)

    @rule(place=st.sampled_from(["v", "pool:p", "a"]), drain=st.booleans(), take=st.booleans())
    def cordon(self, place: str, drain: bool, take: bool) -> None:
        self.both(lambda store: store.uncordon(place) if take else store.cordon(place, drain=drain))

    @rule(name=st.sampled_from(["e", "f"]), id=st.sampled_from(["1", "2"]), anew=st.booleans())
    def engine_of(self, name: str, id: str, anew: bool) -> None:
        self.both(lambda store: store.engine_of(name, id, anew=anew))

    @rule(name=st.sampled_from(["d1", "d2", "d3"]))
    def decide(self, name: str) -> None:
        self.both(lambda store: store.decided(name, {"pools": [1, 2.5], "why": None}))

    @rule(
        project=st.sampled_from([None, "p0"]),
        statuses=st.sampled_from([(), ("PENDING",), ("CANCELLED", "SUCCEEDED")]),
        open_only=st.booleans(),
        before=st.sampled_from([None, 1, 3]),
        limit=st.sampled_from([None, 1, 2]),
    )
    def ask(self, limit: int | None, **given: Any) -> None:
        self.both(lambda store: store.jobs(limit=limit, **given))
        self.both(lambda store: store.events(after=given["before"] or 0, limit=limit or 5))
        self.both(lambda store: store.decisions(limit=limit or 5, before=given["before"]))
        for name in [*self.jobs[:2], "none-1"]:
            self.both(lambda store, name=name: store.job(name, project=given["project"]))
            self.both(lambda store, name=name: store.runs(name))
            self.both(lambda store, name=name: store.run(f"{name}-1"))
            self.both(lambda store, name=name: store.secrets(name))
            self.both(lambda store, name=name: store.events(job=name))

    @invariant()
    def all_that_is_read_is_the_same(self) -> None:
        cut, self.cut = self.cut, ""
        for read in (
            "open_jobs",
            "active_runs",
            "penalties",
            "cordons",
            "copies",
            "counts",
            "recount",
            "last_event",
            "now",
        ):
            self.both(lambda store, read=read: getattr(store, read)())
        for store, present in zip(self.stores, self.presents, strict=True):
            store.refresh(present)
        assert plain(self.presents[0]) == plain(self.presents[1])
        assert list(self.presents[0].jobs) == list(self.presents[1].jobs)
        hashes = sorted({job.task_hash for job, _ in self.seen})
        self.both(lambda store: store.tasks([*hashes, "none"]))
        self.both(lambda store: store.jobs_named([*self.jobs, "none"]))
        assert self.stores[0].steps == self.stores[1].steps, "events are counted alike"
        self.cut = cut


TestTwins = Twins.TestCase
TestTwins.settings = settings(
    max_examples=15, stateful_step_count=40, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)


def test_both_stores_have_the_same_interface() -> None:
    def shape(cls: type) -> dict[str, str]:
        members = {name: getattr(cls, name) for name in dir(cls) if not name.startswith("_")}
        return {
            name: str(inspect.signature(member)) if callable(member) else ""
            for name, member in members.items()
            if name not in OF_A_DATABASE
        }

    of_store, of_memory = shape(Store), shape(MemoryStore)
    of_store.pop("commits")  # a property there, a plain count here
    assert of_memory == of_store


def test_keys_are_the_same() -> None:
    clock = HandClock()
    found = []
    for kind in ("sqlite", "memory"):
        store = store_of(kind, clock, (f"{n:08x}" for n in itertools.count(1)))  # type: ignore[arg-type]
        name, secret = store.make_key("p", "viewer")
        store.make_key("q", "admin")
        first = store.key(secret), store.keys(), store.key("argosy_wrong")
        store.revoke(name)
        found.append((first, store.key(secret), store.keys(), answer(lambda s=store: s.revoke("key-9"))))  # type: ignore[misc]
    assert found[0] == found[1]


@pytest.mark.parametrize("kind", ["sqlite", "memory"])
def test_leases_are_over_at_their_last_instant(kind: Kind) -> None:
    clock = HandClock()
    store = store_of(kind, clock, (f"{n:08x}" for n in itertools.count(1)))
    (job,) = store.submit([NewJob(Task(name="t"))], project="p")
    placed = Change("Placed", job.id, job.version, {"status": "STARTING"}, new_run=PLACE)
    store.apply([placed], owner="a", lease_seconds=5, fence=None)
    lead = store.lease("tick", "a", 5)
    clock.forward(5)
    assert [run.lease_owner for run in store.claim("b", ["d"], 5)] == ["b"]
    taken = store.lease("tick", "b", 5)
    assert (lead and lead.epoch, taken and taken.epoch) == (1, 2)
    with pytest.raises(Conflict):
        store.apply([placed], owner="a", lease_seconds=5, fence=lead)


def test_replicas_share_what_is_kept() -> None:
    clock = HandClock()
    one = MemoryStore(clock, token=lambda: "abcdef")
    other = MemoryStore(clock, token=lambda: "123456", kept=one.kept)
    (job,) = one.submit([NewJob(Task(name="t"))], project="p")
    assert other.id == one.id
    assert other.open_jobs() == [job]
    assert other.lease("tick", "b", 5) is not None
    assert one.lease("tick", "a", 5) is None


def test_what_json_cannot_hold_is_refused_whole() -> None:
    """A database would refuse it too; nothing of the transaction is kept."""
    store = MemoryStore(HandClock(), token=lambda: "abcdef")
    (job,) = store.submit([NewJob(Task(name="t"))], project="p")
    before = store.recount()
    with pytest.raises(TypeError):
        store.apply(
            [Change("Waiting", job.id, job.version, {"reason": "x"}, note={"bad": {1, 2}})],
            owner="o",
            lease_seconds=5,
            fence=None,
        )
    assert store.recount() == before
    assert store.commits == 2


@pytest.mark.parametrize("seed", [*range(12), 20, 180])
def test_a_schedule_does_the_same_on_both_stores(seed: int) -> None:
    """So a seed that fails on one replays on the other."""
    on_memory, on_sqlite = run(seed, loud=True), run(seed, loud=True, store="sqlite")
    assert on_memory.log_hash() == on_sqlite.log_hash()
    assert on_memory.trace == on_sqlite.trace
    assert differences(on_memory, on_sqlite) == []


def test_a_difference_between_the_stores_is_told() -> None:
    one, other = Told(7, events=3), Told(7, events=4)
    assert differences(one, other) == [
        "seed 7: the stores differ in events\nreplay: python -m bench.faults --seed 7 --store sqlite"
    ]

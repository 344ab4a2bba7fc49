"""The store when its disk, its process or its neighbour fails."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from tests.support.control import Stage, task
from tests.support.kills import Server
from tests.support.stores import BEGIN, HandClock, sqlite_store
from tests.support.waiting import wait_for

from argosy.clock import Clock, SystemClock
from argosy.errors import OutsideError
from argosy.model.task import Task
from argosy.store import NewJob, Present, Store
from argosy.store import tables as t
from argosy.store.rows import to_text

HERE = Path(__file__).resolve().parents[2]
SUBMITS = """
import sys
from argosy.clock import SystemClock
from argosy.model.task import Task
from argosy.store import NewJob, Store
store = Store(sys.argv[1], SystemClock())
print("open", flush=True)
while True:
    for job in store.submit([NewJob(Task(name="t", run="x" * 20_000))] * 5, project="p"):
        print(job.id, flush=True)
"""
HOLDS = """
import sys
from argosy.clock import SystemClock
from argosy.errors import OutsideError
from argosy.model.task import Task
from argosy.store import NewJob, Store
store = Store(sys.argv[1], SystemClock())
def work(connection):
    print("within", flush=True)
    sys.stdin.readline()
    connection.exec_driver_sql("UPDATE counters SET value = value + 1000")
try:
    store._write(work)
except OutsideError as error:
    print("refused", flush=True)
print(store.submit([NewJob(Task(name="after"))], project="p")[0].id, flush=True)
"""


def child(code: str, *args: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code, *args], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=HERE
    )


def test_a_commit_that_is_torn_loses_nothing_acknowledged(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'store.db'}"
    acknowledged: list[str] = []
    for after in (3, 17, 40):
        with child(SUBMITS, url) as process:
            assert process.stdout is not None
            lines = [process.stdout.readline() for _ in range(after)]
            process.kill()
            lines += process.stdout.readlines()
        acknowledged += [line.strip() for line in lines if line.endswith("\n") and line != "open\n"]
    with sqlite_store(tmp_path) as store:
        assert store.jobs_named(acknowledged).keys() == set(acknowledged)
        assert len(store.open_jobs()) % 5 == 0, "all of a submission or nothing"
        assert store.recount().problems == ()


def test_a_full_disk_is_told_and_loses_nothing_acknowledged(tmp_path: Path) -> None:
    with sqlite_store(tmp_path) as store:

        def most(pages: int) -> None:
            store.engine.dispose()
            sa.event.listen(store.engine, "connect", lambda raw, _: raw.execute(f"PRAGMA max_page_count = {pages}"))

        acknowledged: list[str] = []

        def fill() -> None:
            for number in range(200):
                big = Task(name=f"t{number}", run="x" * 20_000)
                acknowledged.extend(job.id for job in store.submit([NewJob(big)], project="p"))

        most(100)
        with pytest.raises(OutsideError, match="did not confirm"):
            fill()
        assert acknowledged
        assert [job.id for job in store.open_jobs()] == acknowledged
        assert store.recount().problems == ()
        most(100_000)
        assert store.submit([NewJob(Task(name="again"))], project="p")


@pytest.mark.parametrize("what", ["not a database", ""])
def test_a_file_that_is_no_store_is_refused_or_made_one(tmp_path: Path, what: str) -> None:
    (tmp_path / "store.db").write_text(what * 1000)
    if not what:
        with sqlite_store(tmp_path) as store:
            assert store.open_jobs() == []
        return
    with pytest.raises(OutsideError, match="cannot be opened"), sqlite_store(tmp_path):
        pass
    assert (tmp_path / "store.db").read_text() == what * 1000


def test_a_store_whose_pages_are_spoilt_says_so(tmp_path: Path) -> None:
    with sqlite_store(tmp_path) as store:
        for _ in range(20):
            store.submit([NewJob(Task(name="t", run="x" * 5000))] * 20, project="p")
    path = tmp_path / "store.db"
    spoilt = bytearray(path.read_bytes())
    spoilt[4096:] = b"\xff" * (len(spoilt) - 4096)
    path.write_bytes(spoilt)
    with pytest.raises(OutsideError), sqlite_store(tmp_path) as store:
        store.recount()


def test_two_processes_may_share_a_file(tmp_path: Path) -> None:
    """Writers wait for each other, numbers have no gaps, and the second replica does not lead."""

    def submit(store: Store) -> None:
        for _ in range(10):
            store.submit([NewJob(Task(name="t"))], project="p")

    with sqlite_store(tmp_path) as one, sqlite_store(tmp_path) as two:
        assert one.id == two.id
        with ThreadPoolExecutor(2) as threads:
            list(threads.map(submit, (one, two)))
        assert [event.number for event in one.events()] == list(range(1, 21))
        assert one.lease("tick", "a", 60) is not None
        assert two.lease("tick", "b", 60) is None
        assert two.recount().problems == ()


# --- PostgreSQL


class OpenStore(Protocol):
    """Opens a store on PostgreSQL, a new one or the one at a URL; what it opened is closed when the test is over."""

    def __call__(self, clock: Clock, url: str | None = None) -> tuple[str, Store]: ...


@pytest.fixture
def open_store(database: Callable[[], str]) -> Iterator[OpenStore]:
    with ExitStack() as held:

        def opened(clock: Clock, url: str | None = None) -> tuple[str, Store]:
            url = url or database()
            store = Store(url, clock)
            held.callback(store.close)
            return url, store

        yield opened


def test_migrations_from_empty_on_postgresql(database: Callable[[], str], open_store: OpenStore) -> None:
    url = database()
    with ThreadPoolExecutor(3) as threads:
        stores = [store for _, store in threads.map(lambda _: open_store(HandClock(), url), range(3))]
    assert len({store.id for store in stores}) == 1
    with stores[0].engine.connect() as connection:
        connection.exec_driver_sql("SET idle_in_transaction_session_timeout = 0")  # comparing takes its time
        assert compare_metadata(MigrationContext.configure(connection), t.metadata) == []


def test_the_loop_does_the_same_on_postgresql(open_store: OpenStore) -> None:
    """The same work on the same engines through both databases ends in the same states."""
    stages = [Stage(), Stage()]
    _, there = open_store(HandClock())
    stages[1].store = there  # type: ignore[assignment]
    stages[1].control = stages[1].replica("one")
    tasks = [task("a", accelerators=4), task("b", nodes=2), task("c", max_duration_seconds=20.0)]
    ended = []
    for stage in stages:
        jobs = stage.submit(*tasks)
        for _ in range(200):
            if not stage.store.open_jobs():
                break
            stage.look(2.0)
            present = Present()
            stage.store.refresh(present)
            assert list(present.jobs.values()) == stage.store.open_jobs()
        found = stage.store.recount()
        assert found.problems == ()
        assert found.log_hash == found.table_hash
        ended.append([(stage.job(job).status, stage.pools(job)) for job in jobs if job.name != "c"])
    assert ended[0] == ended[1]


def test_a_replica_stopped_within_a_transaction_holds_nobody_up(open_store: OpenStore) -> None:
    url, store = open_store(SystemClock())
    with child(HOLDS, url) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stdout.readline() == "within\n"
        os.kill(process.pid, signal.SIGSTOP)
        (job,) = store.submit([NewJob(Task(name="t"))], project="p")
        os.kill(process.pid, signal.SIGCONT)
        process.stdin.write("\n")
        process.stdin.flush()
        assert process.stdout.readline() == "refused\n", "what it began before it stood still is not kept"
        later = process.stdout.readline().strip()
    assert [found.id for found in store.open_jobs()] == [job.id, later]
    assert [event.number for event in store.events()] == [1, 2]
    assert store.recount().problems == ()


def end_leases(store: Store) -> None:
    """As if their time were over."""
    past = to_text(BEGIN)
    with store.engine.begin() as connection:
        connection.execute(sa.update(t.leases).values(expires_at=past))
        connection.execute(sa.update(t.runs).values(lease_expires_at=past))


@pytest.mark.slow
def test_a_replica_stopped_past_its_lease_commits_nothing(tmp_path: Path, open_store: OpenStore) -> None:
    """Two real servers: the one that leads and looks after all runs is stopped; the other takes over and keeps it.

    Leases are long, and end by hand, so that no server that is merely slow loses what it holds.
    """
    url, store = open_store(SystemClock())
    runs, done, release = tmp_path / "runs", tmp_path / "done", tmp_path / "release"
    with (
        Server(tmp_path / "a", store=url, runs=runs, lease_seconds=20.0) as first,
        Server(tmp_path / "b", store=url, runs=runs, lease_seconds=20.0) as second,
    ):
        first.start()
        wait = f"while [ ! -e {release} ]; do sleep 0.2; done"
        for i in range(3):
            assert first.ask(f"j{i}", f"{wait}; echo j{i} >> {done}")

        def owners() -> list[str]:
            return sorted({run.lease_owner for run in store.active_runs() if run.status == "RUNNING"})

        def leader() -> str:
            with store.engine.connect() as connection:
                return connection.execute(sa.select(t.leases.c.owner).where(t.leases.c.name == "tick")).scalar_one()

        wait_for(lambda: len([r for r in store.active_runs() if r.status == "RUNNING"]) == 3, "three runs")
        before = owners()
        second.start()
        assert second.ask("j4", f"echo j4 >> {done}")
        assert owners() == before
        os.kill(first.pid, signal.SIGSTOP)
        end_leases(store)
        wait_for(lambda: [leader()] == owners() != before, "the other to take over")
        after = owners()
        wait_for(lambda: len(store.open_jobs()) == 3, "the short job to end, so that only what waits is held")
        held = {run.id: run.token for run in store.active_runs()}
        assert len(held) == 3
        number = store.events(limit=10_000)[-1].number
        os.kill(first.pid, signal.SIGCONT)
        assert first.ask("j3", f"echo j3 >> {done}"), "it serves again"
        looks = first.looks()
        wait_for(lambda: first.looks() > looks + 5, "it to look at everything again and again")
        assert [leader()] == owners() == after
        assert {run.id: run.token for run in store.active_runs() if run.id in held} == held
        kinds = [event.kind for event in store.events(after=number) if event.run in held]
        assert kinds == [], "nothing happened to runs that were taken over"
        release.touch()
        wait_for(lambda: not store.open_jobs(), "all jobs to end")
        assert sorted(done.read_text().split()) == ["j0", "j1", "j2", "j3", "j4"]
        assert store.recount().problems == ()

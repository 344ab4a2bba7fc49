"""The store: what is acknowledged is kept, what is stale is discarded, and the log gives the tables."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from pydantic import SecretStr
from tests.support.stores import HandClock, sqlite_store

from argosy.errors import BadInput, Conflict, NotFound, OutsideError, Reused
from argosy.model.task import Task
from argosy.store import Change, NewJob, NewRun, Store, file_address, whole_address
from argosy.store import tables as t

TASK = Task(name="hello", run="echo hello")
HOLD = {"owner": "a", "lease_seconds": 10.0, "fence": None}
PLACE = NewRun(driver="local", pool="here", vendor="local", region="here", choice=0, usd_per_hour=None)


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def store(tmp_path: Path, clock: HandClock) -> Iterator[Store]:
    with sqlite_store(tmp_path, clock) as opened:
        yield opened


def place(store: Store, name: str, owner: str = "a") -> None:
    job = store.job(name)
    change = Change("Placed", name, job.version, {"status": "STARTING", "reason": "Placed"}, new_run=PLACE)
    assert store.apply([change], owner=owner, lease_seconds=10, fence=None).done == (True,)


def test_migrations_end_where_the_tables_are(store: Store) -> None:
    with store.engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), t.metadata) == []


def test_what_was_acknowledged_is_there_after_reopening(tmp_path: Path) -> None:
    with sqlite_store(tmp_path) as store:
        ids = [job.id for job in store.submit([NewJob(TASK)] * 3, project="p")]
    with sqlite_store(tmp_path) as again:
        assert [job.id for job in again.open_jobs()] == ids
        assert again.tasks([again.open_jobs()[0].task_hash]) == {again.open_jobs()[0].task_hash: TASK}


def test_ids_of_two_stores_never_meet_and_a_store_keeps_its_own(tmp_path: Path) -> None:
    """Engines are shared: what one server started must not look like another's. A seed repeats them."""
    ids = set()
    for number in range(2):
        (tmp_path / str(number)).mkdir()
        for _ in range(2):
            store = Store(f"sqlite:///{tmp_path / str(number) / 'store.db'}", HandClock())
            ids.add(store.id)
            (job,) = store.submit([NewJob(TASK)], project="p")
            assert job.id.startswith(f"{store.id}-")
            store.close()
    assert len(ids) == 2
    assert all(re.fullmatch(r"[0-9a-f]{12}", id) for id in ids)
    (tmp_path / "seeded").mkdir()
    with sqlite_store(tmp_path / "seeded") as seeded:
        assert seeded.id == "a000"


def test_an_idempotency_key_gives_the_same_jobs(store: Store) -> None:
    first = store.submit([NewJob(TASK)], project="p", key="k")
    assert store.submit([NewJob(TASK)], project="p", key="k") == first
    assert store.submit([NewJob(TASK)], project="q", key="k") != first
    with pytest.raises(Reused):
        store.submit([NewJob(TASK.model_copy(update={"name": "other"}))], project="p", key="k")
    assert len(store.open_jobs()) == 2


def test_a_stale_change_is_discarded_whole(store: Store) -> None:
    (job,) = store.submit([NewJob(TASK)], project="p")
    place(store, job.id)
    before = store.recount().log_hash
    stale = Change("Placed", job.id, job.version, {"status": "STARTING"}, new_run=PLACE, penalties={"pool:x": 1.0})
    assert store.apply([stale], **HOLD).done == (False,)
    assert store.recount().log_hash == before


def test_of_two_changes_of_one_job_in_one_batch_the_second_is_discarded(store: Store) -> None:
    (job,) = store.submit([NewJob(TASK)], project="p")
    change = Change("Placed", job.id, job.version, {"status": "STARTING"}, new_run=PLACE)
    assert store.apply([change, change], **HOLD).done == (True, False)
    assert [run.epoch for run in store.runs(job.id)] == [1]


def test_nobody_reads_the_token_of_a_lease_in_the_log(store: Store) -> None:
    (job,) = store.submit([NewJob(TASK)], project="p")
    place(store, job.id)
    (run,) = store.active_runs()
    assert run.token not in str([event.model_dump() for event in store.events()])


def test_a_wrong_token_changes_nothing(store: Store) -> None:
    (job,) = store.submit([NewJob(TASK)], project="p")
    place(store, job.id)
    now = store.job(job.id)
    change = Change(
        "Ended", job.id, now.version, {"status": "SUCCEEDED"}, f"{job.id}-1", "stale", {"status": "SUCCEEDED"}
    )
    assert store.apply([change], **HOLD).done == (False,)
    assert store.job(job.id) == now


def test_a_second_active_run_cannot_exist(store: Store) -> None:
    (job,) = store.submit([NewJob(TASK)], project="p")
    place(store, job.id)
    with store.engine.connect() as connection:
        row = connection.execute(sa.select(t.runs)).mappings().one()
        with pytest.raises(sa.exc.IntegrityError):
            connection.execute(sa.insert(t.runs), {**row, "id": "other", "epoch": 2})


def test_a_step_that_does_not_exist_is_a_bug(store: Store) -> None:
    (job,) = store.submit([NewJob(TASK)], project="p")
    with pytest.raises(AssertionError, match="PENDING to RUNNING"):
        store.apply([Change("Jump", job.id, job.version, {"status": "RUNNING"})], **HOLD)
    assert store.recount().problems == ()


def test_a_lease_that_ran_out_is_fenced(store: Store, clock: HandClock) -> None:
    (job,) = store.submit([NewJob(TASK)], project="p")
    held = store.lease("tick", "a", 10)
    assert held is not None
    assert store.lease("tick", "b", 10) is None
    clock.forward(11)
    taken = store.lease("tick", "b", 10)
    assert taken is not None
    assert taken.epoch == held.epoch + 1
    change = Change("Placed", job.id, job.version, {"status": "STARTING"}, new_run=PLACE)
    with pytest.raises(Conflict):
        store.apply([change], owner="a", lease_seconds=10, fence=held)
    assert store.apply([change], owner="b", lease_seconds=10, fence=taken).done == (True,)


def test_a_run_changes_hands_with_a_new_token(store: Store, clock: HandClock) -> None:
    (job,) = store.submit([NewJob(TASK)], project="p")
    place(store, job.id, "a")
    (mine,) = store.claim("a", ["local"], 10)
    assert store.claim("b", ["local"], 10) == []
    clock.forward(11)
    (theirs,) = store.claim("b", ["local"], 10)
    assert theirs.token != mine.token
    assert store.claim("a", ["local"], 10) == []
    assert store.recount().problems == ()


def test_secrets_rest_apart_and_are_dropped(store: Store) -> None:
    (job,) = store.submit([NewJob(TASK, {"TOKEN": SecretStr("hunter2")})], project="p")
    assert store.secrets(job.id)["TOKEN"].get_secret_value() == "hunter2"
    assert "hunter2" not in str([event.model_dump() for event in store.events()])
    store.request_cancel([job.id])
    assert store.secrets(job.id) == {}


def test_cancelling_what_was_not_placed_ends_it(store: Store) -> None:
    first, second = store.submit([NewJob(TASK)] * 2, project="p")
    place(store, second.id)
    assert [job.status for job in store.request_cancel([first.id, second.id])] == ["CANCELLED", "CANCELLING"]
    with pytest.raises(NotFound):
        store.request_cancel([first.id], project="q")


def test_cordons_and_penalties_are_part_of_the_log(store: Store) -> None:
    store.cordon("pool:a", drain=True)
    store.cordon("pool:b")
    store.uncordon("pool:b")
    assert store.cordons() == {"pool:a": True}
    with pytest.raises(NotFound, match="pool:a"):
        store.uncordon("pool:b")
    assert store.recount().problems == ()


def test_the_file_has_no_secret_of_a_job_that_ended(tmp_path: Path) -> None:
    """A row that is deleted leaves its bytes in the file unless SQLite is told otherwise: by us, or when built."""

    def held() -> bool:
        return any(b"hunter2-" in file.read_bytes() for file in tmp_path.iterdir() if file.is_file())

    with sqlite_store(tmp_path) as store:
        (job,) = store.submit([NewJob(TASK, {"TOKEN": SecretStr("hunter2-" * 40)})], project="p")
        with store.engine.connect() as connection:
            assert connection.exec_driver_sql("PRAGMA secure_delete").scalar_one() == 1
            assert connection.exec_driver_sql("PRAGMA journal_size_limit").scalar_one() == 0
    assert held()
    with sqlite_store(tmp_path) as store:
        store.request_cancel([job.id])
    assert not held()


def test_keys_are_found_by_their_secret_until_revoked(store: Store) -> None:
    name, secret = store.make_key("p", "viewer")
    found = store.key(secret)
    assert found is not None
    assert (found.id, found.project, found.role) == (name, "p", "viewer")
    store.revoke(name)
    assert store.key(secret) is None
    assert store.key("argosy_wrong") is None


def test_a_recount_sees_what_the_log_does_not_say(store: Store) -> None:
    (job,) = store.submit([NewJob(TASK)], project="p")
    with store.engine.begin() as connection:
        connection.execute(sa.update(t.jobs).values(message="changed behind the log"))
    assert any(job.id in problem for problem in store.recount().problems)


def test_many_threads_submit_without_losing_or_doubling(store: Store) -> None:
    threads = [threading.Thread(target=lambda: store.submit([NewJob(TASK)] * 2, project="p")) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({job.id for job in store.open_jobs()}) == 40
    assert [event.number for event in store.events()] == list(range(1, 41))


def test_one_piece_that_fails_takes_no_other_with_it(store: Store) -> None:
    """Even when they share a commit."""
    go = threading.Barrier(8)
    errors: list[Exception] = []

    def submit(i: int) -> None:
        go.wait()
        try:
            store.submit([NewJob(TASK.model_copy(update={"name": f"n{i % 2}"}))], project="p", key="same")
        except Reused as error:
            errors.append(error)

    threads = [threading.Thread(target=submit, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(errors) == 4
    assert len(store.open_jobs()) == 1


def test_an_address_that_cannot_be_opened_says_so(tmp_path: Path) -> None:
    with pytest.raises(OutsideError, match=r"/no/such/folder/x\.db cannot be opened: No such file"):
        Store("sqlite:////no/such/folder/x.db", HandClock())
    (tmp_path / "x.db").write_bytes(b"not a database " * 100)
    with pytest.raises(OutsideError, match=r"x\.db cannot be opened: file is not a database"):
        Store(file_address(tmp_path / "x.db"), HandClock())
    with pytest.raises(BadInput):
        Store("nonsense", HandClock())


def test_an_address_means_the_same_in_every_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert whole_address("sqlite:///x.db") == file_address(tmp_path / "x.db")
    assert whole_address("postgres://me:word@h/x?sslmode=require") == (
        "postgresql+psycopg://me:word@h/x?sslmode=require"
    )


def test_a_store_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    with sqlite_store(tmp_path) as store, store.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(OutsideError, match="another version"), sqlite_store(tmp_path):
        pass

"""What runs leave behind goes by age and room, the oldest first; what lives, or is not known to have ended, stays."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.support.stores import HandClock, sqlite_store
from tests.support.waiting import wait_for

from argosy.clock import SystemClock
from argosy.control.loop import Control
from argosy.control.retention import Cleaner
from argosy.errors import OutsideError
from argosy.model.task import Choice, Task
from argosy.run.drivers import local
from argosy.run.rules import Retention, RunRules
from argosy.store import NewJob, Store

FOR_EVER = "exec tail -f /dev/null"


class Cut(BaseException):
    """The process was killed here."""


@dataclass
class Place:
    """A store, this machine as an engine, and a loop between them; the store's clock moves by hand."""

    folder: Path
    clock: HandClock
    store: Store
    driver: local.Driver
    control: Control

    def cleaner(self, **rules: float | None) -> Cleaner:
        return Cleaner(self.store, {"local": self.driver}, Retention(**rules), self.clock)  # type: ignore[arg-type]

    def run(self, text: str, *statuses: str) -> str:
        """A job that came to one of these states; where it ended, its wrapper is gone too."""
        task = Task(name="t", run=text, choices=(Choice(cpus=0.01),))
        (job,) = self.store.submit([NewJob(task)], project="p")

        def there() -> bool:
            self.control.look()
            return self.store.job(job.id).status in statuses

        wait_for(there, f"{job.id} to be {statuses}")
        lock = self.driver.folders.run(f"{job.id}-1") / "0.1.lock"
        wait_for(lambda: "RUNNING" in statuses or not self.driver.folders.locked(lock), "its wrapper to end")
        return job.id

    def done(self, text: str = "echo hi") -> str:
        return self.run(text, "SUCCEEDED")

    def kept(self) -> set[str]:
        return {path.name for path in (self.folder / "runs" / "runs").iterdir()}

    def documents(self) -> set[str]:
        return {path.stem for path in (self.folder / "runs" / "jobs").glob("*.json")}


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    clock = HandClock()
    settings = local.Settings(folder=str(tmp_path / "runs"), cpus=8.0, memory_gib=8.0, poll_seconds=0.1)
    driver = local.Driver(settings, SystemClock())
    rules = RunRules(record_grace_seconds=0, stop_grace_seconds=0.5)
    with sqlite_store(tmp_path, clock) as store:
        control = Control(store, {"local": driver}, owner="one", clock=clock, rules=rules)
        made = Place(tmp_path, clock, store, driver, control)
        yield made
        open_jobs = [job.id for job in store.open_jobs()]
        store.request_cancel(open_jobs)

        def over() -> bool:
            control.look()
            return not store.open_jobs()

        wait_for(over, "everything to end")


def test_files_go_by_age_and_records_with_their_job(place: Place) -> None:
    old, living = place.done(), place.run(FOR_EVER, "RUNNING")
    cleaner = place.cleaner(ended_days=30.0)
    place.clock.forward(30 * 86_400 - 10)
    assert cleaner.clean().runs == 0
    assert place.kept() == {f"{old}-1", f"{living}-1"}
    place.clock.forward(20)
    young = place.done()
    assert (removed := cleaner.clean()).runs == 1
    assert removed.size_bytes > 0
    assert place.kept() == {f"{young}-1", f"{living}-1"}
    cleaner.clean()
    assert place.documents() == {young, living}, "the records of a job go once nothing of its runs is there"
    assert place.driver.logs_from(f"{old}-1", 0) is None
    place.control.look()
    assert place.store.job(living).status == "RUNNING"
    assert place.store.recount().problems == ()


def test_a_start_that_comes_late_finds_that_the_work_is_done(place: Place, tmp_path: Path) -> None:
    """The run's files are gone, its record is not: a replica that stood still and asks for the start gets nothing."""
    job = place.done(f"echo once >> {tmp_path}/done")
    run = place.store.run(f"{job}-1")
    assert run is not None
    record = place.store.job(job)
    place.control._know([record.task_hash])
    case = place.control._case(record, run, {}, place.clock.now())
    order = place.control._order(case.job, case.run, case.task, case.penalties, case.now)
    place.clock.forward(86_400)
    assert place.cleaner(ended_gib=0.0).clean().runs == 1
    place.driver.start(order)
    assert place.driver.observe([f"{job}-1"])[f"{job}-1"].seen == "ended"
    assert (tmp_path / "done").read_text() == "once\n"
    assert place.driver.list_by_tag() == ()


def test_files_go_by_room_the_oldest_first_and_never_at_once(place: Place) -> None:
    jobs = []
    for _ in range(3):
        jobs.append(place.done("head -c 300000 /dev/urandom > big"))
        place.clock.forward(60)
    cleaner = place.cleaner(ended_gib=700_000 / 2**30, least_hours=1.0)
    assert cleaner.clean().runs == 0, "all of them are young"
    place.clock.forward(3600)
    assert cleaner.clean().runs == 1
    assert place.kept() == {f"{job}-1" for job in jobs[1:]}
    assert place.cleaner(ended_gib=None).clean().runs == 0


def test_what_is_not_ours_or_may_live_stays(place: Place, tmp_path: Path) -> None:
    """Another store's runs, runs that the store knows as open, a wrapper that lives on behind its end."""
    job = place.done()
    folders = place.driver.folders
    shutil.copytree(folders.run(f"{job}-1"), folders.root / "runs" / "bbbb-1-1")
    spec = (folders.root / "runs" / "bbbb-1-1" / "spec.json").read_text().replace(f'"{job}', '"bbbb-1')
    (folders.root / "runs" / "bbbb-1-1" / "spec.json").write_text(spec)
    cleaner = place.cleaner(ended_days=0.0, ended_gib=0.0, least_hours=0.0)
    with folders.lock(folders.run(f"{job}-1") / "0.1.lock"):
        assert cleaner.clean().runs == 0
    folders.live_file(f"{job}-1").touch()
    assert not place.driver.forget(f"{job}-1"), "it may hold capacity"
    assert cleaner.clean().runs == 1, "asked again, the engine knows better"
    assert place.kept() == {"bbbb-1-1"}


def test_links_are_not_followed(place: Place, tmp_path: Path) -> None:
    """What a job mounted, or linked, is not its own."""
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "data").write_text("all there is")
    place.done(f"ln -s {tmp_path}/precious link; mkdir shut; touch shut/file; chmod 500 shut")
    assert place.cleaner(ended_days=0.0).clean().runs == 1
    assert place.kept() == set()
    assert list((tmp_path / "runs" / "gone").iterdir()) == []
    assert (tmp_path / "precious" / "data").read_text() == "all there is"


def test_cut_off_anywhere_the_next_pass_goes_on(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed at every single step that touches the disk: a run is there whole or gone, and what lives is untouched."""
    living = place.run(FOR_EVER, "RUNNING")
    calls = ("rename", "unlink", "rmdir", "fsync", "mkdir")
    real = {name: getattr(os, name) for name in calls}
    steps = 0
    for cut_at in range(100):
        job = place.done()
        place.clock.forward(86_400)
        left = cut_at

        def step(name: str) -> object:
            def call(*given: object, **more: object) -> object:
                nonlocal left
                left -= 1
                if left < 0:
                    raise Cut
                return real[name](*given, **more)

            return call

        with monkeypatch.context() as patch:
            for name in calls:
                patch.setattr(os, name, step(name))
            try:
                cleaner = place.cleaner(ended_days=0.5)
                cleaner.clean()
                cleaner.clean()
            except Cut:
                steps += 1
        there = place.kept() - {f"{living}-1"}
        assert there <= {f"{job}-1"}
        if there:
            record = place.driver.exit_record(f"{job}-1")
            assert record is not None
            assert record.exit_code == 0
            assert place.driver.logs(f"{job}-1", 0, 0, 10) == b"hi\n"
        cleaner = place.cleaner(ended_days=0.5)
        cleaner.clean()
        cleaner.clean()
        assert place.kept() == {f"{living}-1"}
        assert place.documents() == {living}
        assert list((place.folder / "runs" / "gone").iterdir()) == []
        if left >= 0:
            break
    assert 5 < steps < 99, "every step was cut once"
    place.control.look()
    assert place.store.job(living).status == "RUNNING"


def test_a_wrapper_whose_run_was_cleared_away_ends_its_work(place: Place, tmp_path: Path) -> None:
    """It was thought lost, and what fenced it is gone with the rest: it must neither go on nor commit."""
    job = place.run(
        f"trap 'echo ended > {tmp_path}/ended; exit' TERM; touch {tmp_path}/up; sleep 999 & wait", "RUNNING"
    )
    wait_for((tmp_path / "up").exists, "the work")
    folder = place.driver.folders.run(f"{job}-1")
    folder.rename(tmp_path / "away")
    wait_for((tmp_path / "ended").exists, "the work to end")
    (tmp_path / "away").rename(folder)


def test_an_engine_that_is_away_is_left_for_the_next_pass(place: Place, tmp_path: Path) -> None:
    place.done()
    place.clock.forward(86_400)
    (tmp_path / "runs").rename(tmp_path / "away")
    assert place.cleaner(ended_days=0.0).clean().runs == 0
    with pytest.raises(OutsideError):
        place.driver.kept()
    (tmp_path / "away").rename(tmp_path / "runs")
    assert place.cleaner(ended_days=0.0).clean().runs == 1


def test_a_thread_of_its_own_looks_while_it_leads(place: Place) -> None:
    place.done()
    place.clock.forward(40 * 86_400)
    cleaner, leads = place.cleaner(every_seconds=0.02), False
    cleaner.start(lambda: leads)
    assert place.kept() != set()
    leads = True
    wait_for(lambda: not place.kept(), "the files to go")
    cleaner.stop(180)
    assert cleaner.thread is not None
    assert not cleaner.thread.is_alive()

"""Checkpoints and data on real processes and folders: what is carried, what that costs, and what the work finds."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.waiting import wait_for

from argosy.clock import SystemClock
from argosy.control.loop import Control
from argosy.control.world import ControlWorld
from argosy.model.dataset import Dataset
from argosy.model.job import Job, Run
from argosy.model.link import Link
from argosy.model.region import Region
from argosy.model.task import Checkpoint, PlacementRules, Task
from argosy.run import wrapper
from argosy.run.copier import FolderCopier
from argosy.run.drivers.local import Driver, Settings
from argosy.run.rules import RunRules
from argosy.store import NewJob, Store

WORK = """
import os, pathlib, subprocess, sys
place = pathlib.Path(os.environ["ARGOSY_CHECKPOINT"])
resumed = os.environ.get("ARGOSY_RESUME_FROM")
step = int((pathlib.Path(resumed) / "step").read_text()) if resumed else 0
print("resumed at", step, flush=True)
while step < 5:
    step += 1
    folder = place / f"step-{step}"
    folder.mkdir()
    (folder / "weights").write_bytes(bytes(2**20))
    (folder / "step").write_text(str(step))
    if step == 3 and not resumed:
        print("torn", flush=True)
        sys.stdin = open("wait")  # a pipe that nobody opens: it stands here until it is killed
    subprocess.run([os.environ["ARGOSY_COMMIT"], str(folder)], check=True)
pathlib.Path("done").write_text(str(step))
"""
GIB = 2**30


class Site:
    """Two regions of one vendor on this machine."""

    def __init__(self, root: Path, *, links: tuple[Link, ...], datasets: tuple[Dataset, ...] = ()) -> None:
        self.root = root
        regions = {name: Region(id=f"here/{name}", vendor="here", jurisdiction="DE") for name in ("east", "west")}
        settings = {
            name: Settings(
                folder=str(root / name), pool=name, vendor="here", region=f"here/{name}", cpus=2, poll_seconds=0.1
            )
            for name in regions
        }
        clock = SystemClock()
        self.store = Store(f"sqlite:///{root / 'store.db'}", clock)
        self.drivers = {name: Driver(wanted, clock) for name, wanted in settings.items()}
        self.control = Control(
            self.store,
            self.drivers,
            owner="one",
            clock=clock,
            rules=RunRules(record_grace_seconds=0.1, first_backoff_seconds=0.05, checkpoint_hash_gib=1.0),
            world=ControlWorld(
                regions={region.id: region for region in regions.values()}, links=links, datasets=datasets,
                prices={"east": 1.0, "west": 2.0},
            ),
            copier=FolderCopier({f"here/{name}": str(root / "data" / name) for name in regions}),
        )  # fmt: skip

    def submit(self, **given: object) -> Job:
        task = Task.model_validate({"name": "work", "workdir": str(self.root / "work")} | given)
        return self.store.submit([NewJob(task)], project="p")[0]

    def looks_until(self, job: Job, *statuses: str) -> Job:
        def there() -> bool:
            self.control.look()
            return self.store.job(job.id).status in statuses

        wait_for(there, f"{job.id} to be {statuses}")
        return self.store.job(job.id)

    def log(self, run: Run) -> str:
        return self.drivers[run.driver].logs(run.id, 0, 0, 10_000).decode()


LINK = Link(start="here/east", end="here/west", usd_per_gib=0.5, p50_gbit_per_second=2.0)


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Path]:
    (tmp_path / "work").mkdir()
    os.mkfifo(tmp_path / "work" / "wait")
    (tmp_path / "work" / "work.py").write_text(WORK)
    yield tmp_path
    for state in tmp_path.glob("*/runs/*/0.json"):
        wrapped = json.loads(state.read_text())
        if wrapper.process_start(wrapped["pid"]) == wrapped["start"]:  # the number may be another's by now
            wrapper.send([wrapped["pid"]], signal.SIGKILL)


def killed_midway(site: Site) -> Job:
    """A job that is killed in the east while it writes its third checkpoint; nothing new may start there."""
    rules = PlacementRules(checkpoint=Checkpoint(prefix=f"file://{site.root}/checkpoints"))
    job = site.submit(run=f"exec {sys.executable} work.py", placement=rules)
    site.looks_until(job, "RUNNING")
    (run,) = site.store.runs(job.id)
    assert run.pool == "east"

    def torn() -> bool:
        site.control.look()
        return "torn" in site.log(run)

    wait_for(torn, "the third checkpoint to be begun")
    site.store.cordon("here/east")
    state = json.loads((site.root / "east" / "runs" / run.id / "0.json").read_text())
    os.kill(state["pid"], signal.SIGKILL)
    return job


def test_r11_r12_killed_work_goes_on_elsewhere_from_the_newest_complete_checkpoint(root: Path) -> None:
    site = Site(root, links=(LINK,))
    job = killed_midway(site)
    assert site.looks_until(job, "SUCCEEDED", "FAILED").status == "SUCCEEDED"
    first, second = site.store.runs(job.id)
    assert (first.pool, second.pool) == ("east", "west")
    prefix = root / "checkpoints" / job.id / "00000001"
    assert second.resume_from == str(prefix / "step-2"), "step 3 was torn"
    assert "resumed at 2" in site.log(second)
    assert (root / "work" / "done").read_text() == "5"
    # Recounted by hand: 1 MiB of weights and one byte, at 0.5 USD per GiB and 2 Gbit/s.
    size = 2**20 + 1
    assert second.resume_region == "here/east"
    assert second.resume_gib == size / GIB
    assert second.resume_usd == pytest.approx(0.5 * size / GIB, rel=1e-12)
    assert second.resume_hours == pytest.approx(size * 8 / 2e9 / 3600, rel=1e-12)
    weights, step = hashlib.sha256(bytes(2**20)).hexdigest(), hashlib.sha256(b"2").hexdigest()
    lines = f"step 1 {step}\nweights 1048576 {weights}"
    assert second.resume_hash == hashlib.sha256(lines.encode()).hexdigest()
    (told,) = [e.body["note"]["resume"] for e in site.store.events(job=job.id) if "resume" in e.body.get("note", {})]
    assert told["resume_usd"] == second.resume_usd
    assert told["lost_seconds"] >= 0
    assert site.store.recount().problems == ()


def test_r12_a_missing_price_is_told_with_its_link_and_nothing_starts(root: Path) -> None:
    site = Site(root, links=())
    job = killed_midway(site)

    def told() -> bool:
        site.control.look()
        return "LinkMissing" in site.store.job(job.id).message

    wait_for(told, "the link to be named")
    message = site.store.job(job.id).message
    assert "no link has a price for data from here/east to here/west" in message
    assert len(site.store.runs(job.id)) == 1
    site.store.uncordon("here/east")  # where it lies nothing need be carried
    assert site.looks_until(job, "SUCCEEDED", "FAILED").status == "SUCCEEDED"
    second = site.store.runs(job.id)[1]
    assert (second.pool, second.resume_usd, second.resume_hours) == ("east", 0.0, 0.0)


def with_data(root: Path) -> Site:
    (root / "data" / "east" / "corpus").mkdir(parents=True)
    (root / "data" / "east" / "corpus" / "part").write_text("tokens")
    site = Site(root, links=(LINK,), datasets=(Dataset(id="corpus", home="here/east", size_gib=4.0),))
    site.store.cordon("here/east")
    return site


def reader(site: Site) -> Job:
    rules = PlacementRules(data=("corpus",), value_usd_per_hour=50.0)
    return site.submit(run=f"cat {site.root}/data/west/corpus/part > done", placement=rules)


def test_r13_data_is_copied_first_charged_once_and_shared(root: Path) -> None:
    site = with_data(root)
    one, two = reader(site), reader(site)
    site.control.look()
    site.control.look()
    waiting = site.store.job(one.id)
    assert (waiting.status, waiting.reason) == ("PENDING", "WaitingForData")
    for job in (one, two):
        assert site.looks_until(job, "SUCCEEDED", "FAILED").status == "SUCCEEDED"
    assert (root / "work" / "done").read_text() == "tokens"
    (copy,) = site.store.copies().values()
    assert (copy.id, copy.status, copy.charged_usd, copy.hours) == (
        "corpus@here/west", "DONE", 2.0, pytest.approx(4 * GIB * 8 / 2e9 / 3600),
    )  # fmt: skip
    assert copy.started_at is not None
    assert copy.finished_at is not None
    assert copy.finished_at <= min(site.store.runs(job.id)[0].created_at for job in (one, two))
    kinds = [event.kind for event in site.store.events() if "copies" in event.body]
    assert kinds == ["CopyOrdered", "CopyStarted", "Copied"]
    assert site.store.recount().problems == ()


def test_r13_a_copy_that_fails_is_tried_again_and_says_why(root: Path) -> None:
    site = with_data(root)
    (root / "data" / "west" / "corpus").mkdir(parents=True)
    (root / "data" / "west" / "corpus" / "part").write_text("another's")
    job = reader(site)

    def failed() -> bool:
        site.control.look()
        return "holds something else" in site.store.job(job.id).message

    wait_for(failed, "the copy to fail")
    assert (root / "data" / "west" / "corpus" / "part").read_text() == "another's"
    (root / "data" / "west" / "corpus" / "part").unlink()
    (root / "data" / "west" / "corpus").rmdir()
    assert site.looks_until(job, "SUCCEEDED", "FAILED").status == "SUCCEEDED"
    (copy,) = site.store.copies().values()
    assert copy.attempts > 1
    assert [event.kind for event in site.store.events()].count("Copied") == 1

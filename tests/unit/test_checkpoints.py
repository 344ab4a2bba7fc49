"""Checkpoints: what is complete, which one is the newest, and that a superseded run commits none (R11)."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from argosy.errors import OutsideError
from argosy.model.task import folder_of
from argosy.run import wrapper
from argosy.run.checkpoints import find_checkpoint, place_of

JOB = "j-1"


class Disk:
    """A prefix, and the folders of runs that write below it."""

    def __init__(self, root: Path) -> None:
        self.root, self.prefix = root, root / "checkpoints"
        self.job = wrapper.JobFile(root / "jobs" / f"{JOB}.json")

    def run(self, epoch: int) -> Path:
        folder = self.root / "runs" / f"{JOB}-{epoch}"
        folder.mkdir(parents=True, exist_ok=True)
        spec = {"job": JOB, "run": folder.name, "epoch": epoch, "nodes": 1, "job_file": str(self.job.path)}
        spec["checkpoint"] = place_of(str(self.prefix), JOB, epoch)
        (folder / "spec.json").write_text(json.dumps(spec))
        self.job.change(lambda before: wrapper.fenced(before, epoch))
        return folder

    def write(self, epoch: int, name: str, text: str = "weights") -> Path:
        folder = self.prefix / JOB / f"{epoch:08d}" / name
        (folder / "deep").mkdir(parents=True)
        (folder / "model").write_text(text)
        (folder / "deep" / "state").write_text(text * 2)
        return folder

    def commit(self, epoch: int, name: str) -> Path:
        folder = self.write(epoch, name)
        wrapper.commit_checkpoint(self.run(epoch), folder)
        return folder

    def find(self, last_epoch: int, **given: Any) -> Path | None:
        found = find_checkpoint(str(self.prefix), JOB, last_epoch=last_epoch, **given)
        return None if found is None else Path(found.path)


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    return Disk(tmp_path)


def test_r11_the_newest_complete_one_is_found_and_never_a_torn_one(disk: Disk) -> None:
    assert disk.find(1) is None
    old, new = disk.commit(1, "step-900"), disk.commit(1, "step-1000")
    torn = disk.write(1, "step-1100")
    assert disk.find(1) == new
    (torn / wrapper.COMPLETE).write_text((new / wrapper.COMPLETE).read_text().replace("model", "other"))
    assert disk.find(1) == new, "a manifest whose lines are others is none"
    (torn / wrapper.COMPLETE).write_text('{"files": {')
    assert disk.find(1) == new, "half a manifest is none"
    (new / "model").write_text("weight")
    assert disk.find(1) == old, "a file that is shorter than its manifest says"
    (old / "deep" / "state").unlink()
    assert disk.find(1) is None


def test_r11_content_is_compared_up_to_a_size(disk: Disk) -> None:
    old, new = disk.commit(1, "1"), disk.commit(1, "2")
    (new / "model").write_text("WEIGHTS")  # as long as before
    assert disk.find(1, hash_gib=0.0) == new
    assert disk.find(1, hash_gib=1.0) == old


def test_r11_later_epochs_go_before_larger_numbers(disk: Disk) -> None:
    disk.commit(1, "step-500")
    second = disk.commit(2, "step-90")
    assert disk.find(2) == second
    assert disk.find(1) != second, "of a run that was not asked about"


def test_r11_size_and_hash_can_be_recounted(disk: Disk) -> None:
    folder = disk.commit(1, "1")
    found = find_checkpoint(str(disk.prefix), JOB, last_epoch=1)
    assert found is not None
    assert found.gib == (7 + 14) / 2**30
    told = json.loads((folder / wrapper.COMPLETE).read_text())
    assert (found.hash, found.epoch) == (told["hash"], 1)
    assert sorted(told["files"]) == ["deep/state", "model"]


def test_r11_a_superseded_run_commits_nothing(disk: Disk) -> None:
    old, first = disk.run(1), disk.write(1, "late")
    second = disk.commit(2, "1")
    with pytest.raises(wrapper.Refused, match="epoch 2 holds the job"):
        wrapper.commit_checkpoint(old, first)
    assert not (first / wrapper.COMPLETE).exists()
    assert disk.find(2) == second


def test_r11_a_mark_of_the_work_itself_counts_only_while_nobody_came_after(disk: Disk) -> None:
    """A superseded node may set such a mark at any time, so only the last run's counts, or one that was used."""
    folder = disk.write(1, "step-5")
    (folder / wrapper.COMPLETE).write_text("")
    assert disk.find(1) == folder
    assert disk.find(2) is None
    assert disk.find(2, known=[str(folder)]) == folder


@pytest.mark.parametrize("where", ["outside", "empty", "url"])
def test_what_is_no_checkpoint_of_the_run_is_refused(disk: Disk, where: str) -> None:
    folder = disk.run(1)
    target = disk.root / "elsewhere" if where == "outside" else disk.prefix / JOB / "00000001" / "1"
    target.mkdir(parents=True)
    if where == "outside":
        (target / "model").write_text("x")
    if where == "url":
        spec = json.loads((folder / "spec.json").read_text()) | {"checkpoint": "s3://bucket/j/1"}
        (folder / "spec.json").write_text(json.dumps(spec))
    with pytest.raises(wrapper.Refused):
        wrapper.commit_checkpoint(folder, target)
    done = subprocess.run(
        [sys.executable, "-I", "-S", wrapper.__file__, "commit", str(folder), str(target)],
        capture_output=True, check=False,
    )  # fmt: skip
    assert (done.returncode, b"no checkpoint" in done.stderr) == (wrapper.NOT_COMMITTED, True)


def test_a_disk_that_does_not_answer_is_no_absence(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    disk.commit(1, "1")

    def gone(self: Path) -> None:
        raise PermissionError(13, "not now")

    monkeypatch.setattr(Path, "iterdir", gone)
    with pytest.raises(OutsideError, match="not now"):
        disk.find(1)


@pytest.mark.parametrize(
    ("prefix", "folder"),
    [
        ("/a/b", "/a/b"),
        ("file:///a/b%20c", "/a/b c"),
        ("file://localhost/a", "/a"),
        ("file://other/a", None),
        ("s3://bucket/a", None),
    ],
)
def test_prefixes_that_the_server_sees(prefix: str, folder: str | None) -> None:
    assert folder_of(prefix) == (None if folder is None else Path(folder))
    assert place_of(prefix, JOB, 3) == f"{folder or prefix}/{JOB}/00000003"

"""Copiers: folders compared by what is in them, and commands without a shell."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from argosy.errors import OutsideError
from argosy.model.copy import Copy
from argosy.run.copier import HOUSE, CommandCopier, FolderCopier, Progress


def ordered(**given: object) -> Copy:
    fields = {"id": "d@b", "dataset": "d", "from_region": "a", "to_region": "b", "gib": 1.0, "usd": 1.0, "hours": 1.0}
    return Copy.model_validate(fields | {"attempts": 1, "ordered_at": datetime(2026, 1, 1, tzinfo=UTC)} | given)


@pytest.fixture
def folders(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "a" / "d" / "deep").mkdir(parents=True)
    (tmp_path / "a" / "d" / "deep" / "x").write_text("x")
    (tmp_path / "a" / "d" / "link").symlink_to("deep/x")
    return {"a": str(tmp_path / "a"), "b": str(tmp_path / "b")}


def made(copier: FolderCopier | CommandCopier, copy: Copy) -> Progress:
    copier.begin(copy)
    copier.wait(copy.id, 180.0)
    return copier.look(copy)


def test_a_folder_arrives_whole_and_is_known_to_have_arrived(folders: dict[str, str], tmp_path: Path) -> None:
    done = made(FolderCopier(folders), ordered())
    assert (done.state, (tmp_path / "b" / "d" / "link").read_text()) == ("done", "x")
    later = FolderCopier(folders)  # another process
    assert later.look(ordered()) == done
    assert made(later, ordered(attempts=2)).checksum == done.checksum, "again is once"
    assert [path.name for path in (tmp_path / "b" / HOUSE).iterdir()] == ["d.json"]


def test_half_a_copy_of_a_crash_is_never_taken_for_a_whole_one(folders: dict[str, str], tmp_path: Path) -> None:
    part = tmp_path / "b" / HOUSE / "d.1.part"
    part.mkdir(parents=True)
    (part / "rest").write_text("of an attempt that was cut off")
    copier = FolderCopier(folders)
    assert copier.look(ordered()).state == "absent"
    assert made(copier, ordered()).state == "done"
    assert not (tmp_path / "b" / "d" / "rest").exists()


def test_a_crash_before_the_note_is_made_good(folders: dict[str, str], tmp_path: Path) -> None:
    made(FolderCopier(folders), ordered())
    (tmp_path / "b" / HOUSE / "d.json").unlink()
    assert FolderCopier(folders).look(ordered()).state == "absent"
    assert made(FolderCopier(folders), ordered(attempts=2)).state == "done"


@pytest.mark.parametrize("wrong", ["other", "missing", "nowhere"])
def test_why_a_copy_fails_is_told(folders: dict[str, str], tmp_path: Path, wrong: str) -> None:
    if wrong == "other":
        (tmp_path / "b" / "d").mkdir(parents=True)
        (tmp_path / "b" / "d" / "mine").write_text("mine")
    told = {"other": "holds something else", "missing": "e is not in", "nowhere": "no folder is known for data in c"}
    copy = {"other": {}, "missing": {"dataset": "e"}, "nowhere": {"from_region": "c"}}[wrong]
    failed = made(FolderCopier(folders), ordered(**copy))
    assert failed.state == "failed"
    assert told[wrong] in failed.message
    if wrong == "other":
        assert (tmp_path / "b" / "d" / "mine").read_text() == "mine"


def test_a_note_that_cannot_be_read_is_no_absence(folders: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "b" / HOUSE).mkdir(parents=True)
    (tmp_path / "b" / HOUSE / "d.json").write_text("{")
    with pytest.raises(OutsideError):
        FolderCopier(folders).look(ordered())


def test_a_command_copies_and_tells_why_it_does_not(folders: dict[str, str], tmp_path: Path) -> None:
    program = tmp_path / "copy.py"
    program.write_text("import shutil, sys\nshutil.copytree(sys.argv[1], sys.argv[2], dirs_exist_ok=True)\n")
    command = f"{sys.executable} {program} {{source}} {{target}}"
    done = made(CommandCopier(command, folders, seconds=180.0), ordered())
    assert (done.state, (tmp_path / "b" / "d" / "deep" / "x").read_text()) == ("done", "x")
    failed = made(CommandCopier(command, folders, seconds=180.0), ordered(dataset="none"))
    assert (failed.state, "ended with 1" in failed.message) == ("failed", True)
    away = made(CommandCopier(command, {"a": folders["a"]}, seconds=180.0), ordered())
    assert "no place is known for data in b" in away.message

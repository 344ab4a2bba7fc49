"""What a rank prints: kept up to a limit, the newest of it; positions stay true; the work never suffers for its log."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.engines import Runs, local_engine
from tests.support.waiting import wait_for

from argosy.clock import SystemClock
from argosy.run import wrapper
from argosy.run.drivers import local
from argosy.run.drivers._folder import RunFolders

MOST = 64
PART = MOST // wrapper.LOG_PARTS


class Kept(wrapper.Log):
    """A log that leaves the standard output of the tests alone."""

    def _open(self, begin: int) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(os, "dup2", lambda *_: None)
            super()._open(begin)

    def close(self) -> None:
        for handle in (self.handle, self.source, self.sink):
            os.close(handle)


@pytest.fixture
def folders(tmp_path: Path) -> RunFolders:
    made = RunFolders(str(tmp_path / "runs"), make=True)
    made.run("r").mkdir()
    return made


def whole(folders: RunFolders) -> tuple[int, bytes]:
    begin = folders.logs_from("r", 0)
    assert begin is not None
    return begin, folders.logs("r", 0, begin, 1 << 20)


@given(pieces=st.lists(st.binary(min_size=1, max_size=40), max_size=40), restarts=st.sets(st.integers(0, 40)))
def test_what_is_kept_is_the_end_of_what_was_printed(
    tmp_path_factory: pytest.TempPathFactory, pieces: list[bytes], restarts: set[int]
) -> None:
    """At any time: one piece without a hole, at its true position, no larger than the limit and one write."""
    folders = RunFolders(str(tmp_path_factory.mktemp("log") / "runs"), make=True)
    folders.run("r").mkdir()
    log, said = Kept(folders.run("r"), 0, MOST), b""
    for number, piece in enumerate(pieces):
        if number in restarts:  # another attempt of the rank goes on in the same log
            log.close()
            log = Kept(folders.run("r"), 0, MOST)
        log.write(piece)
        said += piece
        begin, kept = whole(folders)
        assert kept == said[begin:]
        assert len(kept) >= min(len(said), MOST - PART)
        assert len(kept) <= MOST + wrapper.LOG_PARTS * 40
        for offset in {0, begin, begin + len(kept) // 2, len(said)}:
            assert folders.logs("r", 0, offset, 7) == (said[offset : offset + 7] if offset >= begin else b"")
    log.close()


@pytest.mark.parametrize("cut", ["open", "unlink"])
def test_a_log_that_was_cut_off_between_two_parts_goes_on(
    folders: RunFolders, monkeypatch: pytest.MonkeyPatch, cut: str
) -> None:
    """Killed before the new part is there, or before the oldest is gone: nothing is lost that was kept."""
    log, said = Kept(folders.run("r"), 0, MOST), b""
    real = getattr(os, cut)

    def killed(*given: object, **more: object) -> object:
        if cut == "open" and not (str(given[0]).endswith(".log") or ".log." in str(given[0])):
            return real(*given, **more)
        raise KeyboardInterrupt

    for number in range(30):
        piece = b"%09d\n" % number
        if number % 5 == 4:
            monkeypatch.setattr(os, cut, killed)
        try:
            log.write(piece)
            said += piece
        except KeyboardInterrupt:
            monkeypatch.setattr(os, cut, real)
            log.close()
            log = Kept(folders.run("r"), 0, MOST)
        monkeypatch.setattr(os, cut, real)
        begin, kept = whole(folders)
        assert kept == said[begin:]
        assert len(kept) <= MOST + PART + (wrapper.LOG_PARTS + 1) * len(piece)
    log.close()


def test_what_a_full_disk_refuses_is_counted(folders: RunFolders, monkeypatch: pytest.MonkeyPatch) -> None:
    log = Kept(folders.run("r"), 0, 1 << 20)
    log.write(b"before\n")

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        log.write(b"x" * 500)
        wrapper.say("the wrapper goes on")
        log.write(b"y" * 11)
    log.write(b"after\n")
    assert whole(folders) == (0, b"before\n[argosy] 511 bytes of output could not be written\nafter\n")
    log.close()


@pytest.fixture
def runs(tmp_path: Path) -> Iterator[Runs]:
    settings = local.Settings(folder=str(tmp_path / "runs"), poll_seconds=0.2, log_bytes=2**16)
    with local_engine(tmp_path) as engine:
        orders = Runs(engine, local.Driver(settings, SystemClock()), "logs")
        yield orders
        orders.close()


def test_work_that_prints_without_end_fills_no_disk(runs: Runs, tmp_path: Path) -> None:
    order = runs.start("seq 1 400000; echo last; exit 3")
    assert runs.ended(order) == 3
    folder = tmp_path / "runs" / "runs" / order.run
    assert sum(path.stat().st_size for path in folder.glob("0.log*")) < 2**16 + 2**20
    begin = runs.driver.logs_from(order.run, 0)
    assert begin
    lines = runs.driver.logs(order.run, 0, begin, 1 << 22).split(b"\n")
    assert lines[-2] == b"last"
    assert lines[1:-2] == [b"%d" % number for number in range(int(lines[1]), 400_001)], "no hole"
    assert begin + sum(len(line) + 1 for line in lines) - 1 == sum(len(f"{n}\n") for n in range(1, 400_001)) + 5


def test_both_outputs_come_in_the_order_that_they_were_printed_in(runs: Runs) -> None:
    order = runs.start("for i in 1 2 3; do echo out $i; echo err $i >&2; done; (sleep 3600; echo never) & echo end")
    assert runs.ended(order) == 0
    wait_for(lambda: "end" in runs.text(order), "the log")
    assert runs.text(order).splitlines() == [
        *(f"{way} {i}" for i in (1, 2, 3) for way in ("out", "err")), "end",
    ]  # fmt: skip


def test_a_run_without_a_folder_has_no_log(runs: Runs) -> None:
    assert runs.driver.logs_from("nothing", 0) is None
    order = runs.start("true")
    assert runs.ended(order) == 0
    assert runs.driver.logs_from(order.run, 0) == 0

"""Cuts on disk: a killed solve goes on from them, and whatever is torn, stale or foreign is noticed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from bench.procure84 import procure84

from argosy.clock import SystemClock
from argosy.errors import OutsideError
from argosy.plan.decompose import Decomposition
from argosy.plan.kept import MOST_PASSES, Keeper, program_hash, stage_hash
from argosy.plan.main import quiet
from argosy.plan.program import Program
from argosy.plan.solution import Solution
from argosy.plan.template import build
from argosy.settings import Settings

GAP = 2e-3


@pytest.fixture(scope="module")
def program() -> Program:
    return procure84(4, months=6, clusters=2)


def solved(program: Program, folder: Path | None) -> tuple[Decomposition, Solution]:
    settings = Settings(cuts_folder=None if folder is None else str(folder))
    run = Decomposition(build(program), settings=settings, clock=SystemClock(), progress=quiet)
    found = run.solve(GAP, threading.Event())
    assert found is not None
    return run, found


@pytest.fixture(scope="module")
def fresh(program: Program) -> tuple[Decomposition, Solution]:
    return solved(program, None)


@pytest.fixture(scope="module")
def folder(program: Program, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the cuts of one solve; tests copy it."""
    made = tmp_path_factory.mktemp("cuts")
    solved(program, made)
    return made


def file_in(folder: Path) -> Path:
    (found,) = folder.glob("*.cuts")
    return found


def test_the_same_question_again_takes_fewer_passes_to_the_same_cost(
    program: Program, fresh: tuple[Decomposition, Solution], tmp_path: Path
) -> None:
    first, _ = solved(program, tmp_path)
    again, found = solved(program, tmp_path)
    assert first.passes == fresh[0].passes, "keeping cuts does not change a first solve"
    assert again.passes < first.passes
    assert found.gap <= GAP
    assert abs(found.objective - fresh[1].objective) <= 2 * GAP * abs(fresh[1].objective)


def test_another_question_starts_from_the_same_cuts(program: Program, folder: Path, tmp_path: Path) -> None:
    """Fees, risk and limits are not in the second stage, so its cuts hold."""
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    other = replace(program, size_cost=program.size_cost * 1.05, risk_aversion=program.risk_aversion / 2)
    cold, exact = solved(other, None)
    warm, found = solved(other, tmp_path)
    assert len(list(tmp_path.glob("*.cuts"))) == 1
    assert warm.passes < cold.passes
    scale = abs(exact.objective)
    assert found.bound <= exact.objective + 1e-9 * scale
    assert exact.bound <= found.objective + 1e-9 * scale


def test_other_data_have_a_file_of_their_own(program: Program, folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    other = replace(program, unserved_cost=program.unserved_cost * 2)
    assert stage_hash(build(other)) != stage_hash(build(program))
    assert program_hash(other) != program_hash(program)
    solved(other, tmp_path)
    assert len(list(tmp_path.glob("*.cuts"))) == 2


def _torn(data: bytes) -> bytes:
    return data[: len(data) * 2 // 3]


def _flipped(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 0x10]) + data[middle + 1 :]


def _foreign(data: bytes) -> bytes:
    return b"something else entirely" * 100


def _empty(data: bytes) -> bytes:
    return b""


def _stale(data: bytes) -> bytes:
    return data.replace(b"argosy cuts 1", b"argosy cuts 0")


@pytest.mark.parametrize("harm", [_torn, _flipped, _foreign, _empty, _stale])
def test_what_is_harmed_is_noticed_and_written_anew(
    harm: Callable[[bytes], bytes],
    program: Program,
    fresh: tuple[Decomposition, Solution],
    folder: Path,
    tmp_path: Path,
) -> None:
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    path = file_in(tmp_path)
    whole = path.read_bytes()
    before = Keeper(tmp_path, build(program))
    passes = len(before.latest())
    before.close()
    path.write_bytes(harm(whole))
    keeper = Keeper(tmp_path, build(program))
    assert len(keeper.latest()) < passes
    assert (keeper.dropped > 0) == (len(harm(whole)) > 0)
    keeper.close()
    _, found = solved(program, tmp_path)
    assert abs(found.objective - fresh[1].objective) <= 2 * GAP * abs(fresh[1].objective)
    after = Keeper(tmp_path, build(program))
    assert after.dropped == 0
    assert after.latest()
    after.close()


def test_a_record_of_wrong_numbers_is_left_out(
    program: Program, fresh: tuple[Decomposition, Solution], tmp_path: Path
) -> None:
    template = build(program)
    run, _ = fresh
    first, answers = run.last
    keeper = Keeper(tmp_path, template)
    keeper.add(first, 1.0, [a.dual * np.nan for a in answers], [a.basis for a in answers])
    keeper.add(first, 1.0, [a.dual for a in answers], [a.basis for a in answers])
    assert len(keeper.latest()) == 1
    keeper.close()


def test_a_second_process_reads_and_does_not_write(
    program: Program, fresh: tuple[Decomposition, Solution], folder: Path, tmp_path: Path
) -> None:
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    run, _ = fresh
    holder = Keeper(tmp_path, build(program))
    size = file_in(tmp_path).stat().st_size
    other = Keeper(tmp_path, build(program))
    assert not other.writes
    assert other.latest()
    first, answers = run.last
    other.add(first, 1.0, [a.dual for a in answers], [a.basis for a in answers])
    other.close()
    assert file_in(tmp_path).stat().st_size == size
    holder.close()


def test_a_folder_that_cannot_be_used_says_so(program: Program, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutsideError, match="cuts cannot be kept"):
        Keeper(tmp_path / "file", build(program))


KILLED = """
import os, signal, sys, threading
from argosy.clock import SystemClock
from argosy.plan import decompose
from argosy.plan.kept import Keeper
from argosy.plan.template import build
from argosy.settings import Settings
from bench.procure84 import procure84

count, passes, add = 0, int(sys.argv[2]), Keeper.add
def dying(self, *args):
    global count
    add(self, *args)
    count += 1
    if count == passes:
        os.kill(os.getpid(), signal.SIGKILL)
Keeper.add = dying
run = decompose.Decomposition(build(procure84(4, months=6, clusters=2)), settings=Settings(cuts_folder=sys.argv[1]),
                              clock=SystemClock(), progress=lambda *told: None)
run.solve(2e-3, threading.Event())
"""


def test_a_killed_solve_goes_on_from_its_cuts(
    program: Program, fresh: tuple[Decomposition, Solution], tmp_path: Path
) -> None:
    killed_after = min(fresh[0].passes // 2, MOST_PASSES)
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path), str(killed_after)],
        cwd=Path(__file__).parents[2], env=os.environ, check=False,
    )  # fmt: skip
    assert done.returncode == -9
    keeper = Keeper(tmp_path, build(program))
    assert len(keeper.latest()) == killed_after
    assert {one.program for one in keeper.latest()} == {program_hash(program)}
    keeper.close()
    resumed, found = solved(program, tmp_path)
    assert resumed.log[0][0] == "cuts kept from earlier"
    assert first_bound(resumed) > first_bound(fresh[0]), "it begins with what was known, not from nothing"
    assert found.gap <= GAP
    assert abs(found.objective - fresh[1].objective) <= 2 * GAP * abs(fresh[1].objective)


def first_bound(run: Decomposition) -> float:
    """The first bound that a solve told."""
    return next(bound for *_, bound in run.log if np.isfinite(bound))

"""F7.9: the answer does not depend on who solved which future."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from bench.procure84 import procure84
from tests.support.ray_head import QUIET

from argosy.clock import SystemClock
from argosy.errors import OutsideError, SolverError
from argosy.plan import crews
from argosy.plan.basis import Basis
from argosy.plan.crews import Processes, RayActors, crew
from argosy.plan.decompose import Decomposition
from argosy.plan.exact import CHUNK, Exact
from argosy.plan.main import quiet
from argosy.plan.pool import Pool
from argosy.plan.program import Floats
from argosy.plan.recourse import Answer, Recourse
from argosy.plan.template import Template, build
from argosy.settings import Settings

SCENARIOS = 2 * CHUNK + 3


@pytest.fixture(scope="module")
def template() -> Template:
    return build(procure84(SCENARIOS, months=6, clusters=2))


def points(template: Template) -> list[Floats]:
    first = template.first
    upper = np.where(np.isfinite(first.column_upper), first.column_upper, 1.0)
    size = first.columns.part("size")
    found = []
    for share in (0.0, 0.2, 0.21):
        point = np.zeros(first.columns.size)
        point[size] = share * upper[size]
        found.append(point)
    return found


def passes(template: Template, exact: Exact) -> list[list[Answer]]:
    pool = Pool(template)
    everyone = np.arange(SCENARIOS)
    return [exact.some(everyone, point, pool, columns=True) for point in points(template)]


def same(some: list[list[Answer]], others: list[list[Answer]]) -> bool:
    return all(
        a.value == b.value and np.array_equal(a.dual, b.dual) and np.array_equal(a.columns, b.columns)
        for left, right in zip(some, others, strict=True)
        for a, b in zip(left, right, strict=True)
    )


@pytest.mark.parametrize("count", [2, 3])
def test_processes_answer_as_one_does_to_the_last_bit(template: Template, count: int) -> None:
    workers = Processes(template, count)
    try:
        assert same(passes(template, Exact(template)), passes(template, Exact(template, workers)))
    finally:
        workers.close()
    assert not any(worker.is_alive() for worker in workers.workers)


@pytest.fixture
def ray_settings(monkeypatch: pytest.MonkeyPatch) -> Settings:
    for name, value in QUIET.items():
        monkeypatch.setenv(name, value)
    return Settings(plan_workers=2, ray_address="local")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # Ray's own, of its own making
def test_a_ray_cluster_answers_the_same(template: Template, ray_settings: Settings) -> None:
    pytest.importorskip("ray")
    actors = RayActors(template, 2, ray_settings)
    try:
        assert same(passes(template, Exact(template)), passes(template, Exact(template, actors)))
    finally:
        actors.close()


def test_the_order_of_futures_within_a_batch_decides_nothing_else(template: Template) -> None:
    """A part of the futures gets what it gets among all of them, chunk by chunk."""
    point = points(template)[1]
    everyone = Exact(template).some(np.arange(SCENARIOS), point, Pool(template))
    chunk = Exact(template).some(np.arange(CHUNK, 2 * CHUNK), point, Pool(template))
    assert [a.value for a in chunk] == [a.value for a in everyone[CHUNK : 2 * CHUNK]]


def test_a_lost_process_is_an_error_that_says_so(template: Template) -> None:
    workers = Processes(template, 2)
    try:
        victim = workers.workers[0]
        assert victim.pid is not None
        os.kill(victim.pid, signal.SIGKILL)
        victim.join()
        with pytest.raises(SolverError, match="lost"):
            passes(template, Exact(template, workers))
    finally:
        workers.close()


def test_a_failure_in_a_process_is_the_same_failure_here(monkeypatch: pytest.MonkeyPatch) -> None:
    class Failing:
        def __init__(self, program: object) -> None:
            pass

        def solve(self, *asked: object) -> None:
            raise SolverError("scenario 3 ended with 'Infeasible'")

    monkeypatch.setattr(crews, "_Remote", Failing)
    mine, theirs = multiprocessing.Pipe()
    worker = threading.Thread(target=crews._serve, args=(theirs,))
    worker.start()
    mine.send(None)
    processes = Processes.__new__(Processes)
    processes.lines, processes.workers = [mine], []
    with pytest.raises(SolverError, match="scenario 3"):
        processes.solve([[0]], np.zeros(1), {}, False)
    processes.close()
    worker.join()


def test_few_futures_need_no_crew(template: Template) -> None:
    assert crew(build(procure84(3, months=12)), Settings(plan_workers=4)) is None
    assert crew(template, Settings()) is None


def test_ray_without_its_extra_names_it(template: Template, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    with pytest.raises(OutsideError, match=r"argosy\[ray\]"):
        RayActors(template, 2, Settings(plan_workers=2, ray_address="local"))


def test_a_basis_survives_the_way_there_and_back(template: Template) -> None:
    recourse = Recourse(template)
    here = recourse.solve(0, points(template)[1])
    again = Basis.unpacked(*here.basis.packed())
    recourse.forget()
    before = recourse.iterations
    there = recourse.solve(0, points(template)[1], again)
    assert there.value == pytest.approx(here.value, rel=1e-12)
    assert recourse.iterations == before
    with pytest.raises(ValueError, match="no basis"):
        Basis.unpacked(b"\xff", b"\x00")


def test_a_plan_is_the_same_for_any_number_of_workers() -> None:
    program = procure84(CHUNK + 2, months=6, clusters=2)
    plans = []
    for count in (1, 2):
        run = Decomposition(build(program), settings=Settings(plan_workers=count), clock=SystemClock(), progress=quiet)
        found = run.solve(0.02, threading.Event())
        assert found is not None
        plans.append((found.objective, found.bound, found.first.tobytes(), found.second.tobytes()))
    assert plans[0] == plans[1]


SEEDED = """
import hashlib, threading
from argosy.clock import SystemClock
from argosy.plan.decompose import Decomposition
from argosy.plan.template import build
from argosy.settings import Settings
from bench.procure84 import procure84
from tests.support.ray_head import QUIET
run = Decomposition(build(procure84(9, months=6, clusters=2)), settings=Settings(), clock=SystemClock(),
                    progress=lambda *told: None)
found = run.solve(0.02, threading.Event())
columns = hashlib.sha256(found.first.tobytes() + found.second.tobytes())
print(found.objective.hex(), found.bound.hex(), columns.hexdigest())
"""


def test_a_plan_is_the_same_for_any_hash_seed() -> None:
    told = {
        subprocess.run(
            [sys.executable, "-c", SEEDED], cwd=Path(__file__).parents[2], env=os.environ | {"PYTHONHASHSEED": seed},
            check=True, capture_output=True, text=True,
        ).stdout
        for seed in ("0", "4711")
    }  # fmt: skip
    assert len(told) == 1

"""What only the Slurm driver owes, on a real cluster: deaths, preemption, a restarted controller, a short memory."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest
from tests.support.engines import Runs
from tests.support.slurm import NODES, Cluster, cluster, engine_of
from tests.support.waiting import wait_for

from argosy.clock import SystemClock
from argosy.errors import OutsideError, StartRefused
from argosy.model.task import Task
from argosy.run.driver import Order
from argosy.run.drivers import slurm
from argosy.run.drivers.slurm import _gres, _refusal

FOR_EVER = "tail -f /dev/null"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Cluster, Path]]:
    folder = tmp_path_factory.mktemp("slurm")
    with cluster(folder / "cluster") as started:
        yield started, folder


@pytest.fixture
def runs(made: tuple[Cluster, Path]) -> Iterator[Runs]:
    engine = engine_of(*made)
    orders = Runs(engine, engine.driver(), "slurm")
    yield orders
    orders.close()


def gate(path: Path) -> str:
    return f"until [ -e {path} ]; do read -t 0.05 <> <(:); done; true"


def test_slurm_does_not_requeue_and_knows_the_run_by_name(runs: Runs, made: tuple[Cluster, Path]) -> None:
    order = runs.start(FOR_EVER)
    runs.until(order, "running")
    (resource,) = [r for r in runs.driver.list_by_tag() if r.run == order.run]
    shown = made[0].ask("scontrol", "show", "job", resource.reference.split()[-1])
    assert "Requeue=0" in shown
    assert f"JobName={order.run}" in shown
    assert f"Comment=argosy:{order.run}" in shown
    assert resource.since is not None
    assert abs((SystemClock().now() - resource.since).total_seconds()) < 120


def test_work_outlives_the_daemon_of_its_node(runs: Runs, made: tuple[Cluster, Path], tmp_path: Path) -> None:
    """Slurm loses sight of the node; the work finishes all the same, and its record says so."""
    order = runs.start(f"echo > {tmp_path}/up; {gate(tmp_path / 'gate')}; echo finished")
    runs.file(tmp_path / "up")
    (node,) = runs.until(order, "running").nodes
    made[0].end(node.node, signal.SIGKILL)
    assert runs.see(order).seen == "running"
    (tmp_path / "gate").touch()
    assert runs.ended(order) == 0
    assert runs.see(order).seen == "ended"
    assert runs.see(order).exit_code == 0
    assert not runs.see(order).node_failed


@pytest.mark.slow
def test_a_machine_that_dies_is_noticed_by_slurm_itself(runs: Runs, made: tuple[Cluster, Path], tmp_path: Path) -> None:
    order = runs.start(f"echo > {tmp_path}/up; {FOR_EVER}")
    runs.file(tmp_path / "up")
    (node,) = runs.until(order, "running").nodes
    made[0].kill_machine(node.node)
    assert runs.see(order).seen == "running", "out of sight is not dead"
    with made[0].hurried(node_seconds=5):
        seen = wait_for(lambda: (s := runs.see(order)).seen == "ended" and s, "Slurm to notice")
    assert seen
    assert seen.node_failed
    assert not seen.preempted
    assert runs.driver.exit_record(order.run) is None


def test_a_controller_that_was_killed_comes_back_to_the_same_runs(
    runs: Runs, made: tuple[Cluster, Path], tmp_path: Path
) -> None:
    order = runs.start(f"echo x >> {tmp_path}/up; {gate(tmp_path / 'gate')}")
    runs.file(tmp_path / "up")
    # Slurm saves its state every few seconds, and ends jobs that it does not find there after a crash.
    state = made[0].folder / "state" / "job_state"
    wait_for(lambda: state.exists() and order.run.encode() in state.read_bytes(), "Slurm to save its state")
    made[0].end("slurmctld", signal.SIGKILL)
    assert runs.driver.exit_record(order.run) is None
    made[0].start_controller()
    made[0].wait_idle()
    runs.driver.start(order)
    (tmp_path / "gate").touch()
    assert runs.ended(order) == 0
    assert (tmp_path / "up").read_text() == "x\n"


def test_a_wrapper_that_was_killed_leaves_slurms_word(runs: Runs, tmp_path: Path) -> None:
    order = runs.start(f"echo > {tmp_path}/up; {FOR_EVER}")
    runs.file(tmp_path / "up")
    driver = runs.driver
    assert isinstance(driver, slurm.Driver)
    state = driver.folders.ranks(order.run, driver.folders.spec(order.run) or {})[0][0]
    os.kill(state["pid"], signal.SIGKILL)
    seen = runs.until(order, "ended")
    assert (seen.exit_code, seen.node_failed, seen.preempted) == (137, False, False)
    assert driver.exit_record(order.run) is None


def test_preempted_work_is_reported_as_taken_away(runs: Runs, made: tuple[Cluster, Path], tmp_path: Path) -> None:
    made[0].wait_idle()
    wait_for(lambda: set(made[0].states().values()) == {"idle"}, "an empty cluster")
    order = runs.start(f"trap '' TERM; echo > {tmp_path}/up; {FOR_EVER}", nodes=4, choice={"cpus": 16.0})
    runs.file(tmp_path / "up")
    script = tmp_path / "urgent.sh"
    script.write_text("#!/bin/sh\ntrue\n")
    with made[0].hurried(kill_seconds=3):
        made[0].ask("sbatch", "--partition=urgent", "--nodes=4", "--exclusive", f"--output={tmp_path}/out", str(script))
        seen = runs.until(order, "ended")
    assert (seen.preempted, seen.ended_by) == (True, None)


@pytest.mark.parametrize("deaf", [False, True])
def test_what_a_person_cancelled_is_told_from_a_failure(
    runs: Runs, made: tuple[Cluster, Path], tmp_path: Path, deaf: bool
) -> None:
    """By scancel, behind our back: work that obeys leaves a record of 143, work that does not is killed without one."""
    order = runs.start(f"{'trap : TERM; ' if deaf else ''}echo > {tmp_path}/up; {gate(tmp_path / 'never')}")
    runs.file(tmp_path / "up")
    driver = runs.driver
    assert isinstance(driver, slurm.Driver)
    with made[0].hurried(kill_seconds=3) if deaf else nullcontext():
        made[0].ask("scancel", driver._submitted(order.run) or "")
        seen = runs.until(order, "ended")
    assert (seen.ended_by, seen.preempted, seen.node_failed) == ("operator", False, False)
    assert (driver.exit_record(order.run) is None) == deaf
    assert "CANCELLED" in seen.message


# How Slurm 22.05 told of jobs that were over their limit of time, or cancelled, on the cluster of these tests; the line
# of a job that ran out of memory is made after Slurm's manual: that needs control groups, which a container has not.
RECORDED = {
    "TIMEOUT": ("time-limit", False, False, None),
    "DEADLINE": ("time-limit", False, False, None),
    "OUT_OF_MEMORY": ("out-of-memory", False, False, 137),
    "CANCELLED": ("operator", False, False, None),
    "NODE_FAIL": (None, True, False, None),
    "BOOT_FAIL": (None, True, False, None),
    "PREEMPTED": (None, False, True, None),
}


@pytest.mark.parametrize("state", RECORDED)
@pytest.mark.parametrize("remembered", [True, False])
def test_states_of_slurm_that_end_a_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, state: str, remembered: bool
) -> None:
    """By the controller while it remembers the job, by the accounting after that."""
    driver = slurm.Driver(slurm.Settings(folder=str(tmp_path / "runs")), SystemClock())
    task = Task(name="t", run="true")
    order = Order(run="a-1-1", job="a-1", epoch=1, task=task, choice=task.choices[0], pool="slurm")
    driver.folders.prepare(order, {})
    driver._remember(order.run, "17")

    def ask(program: str, *words: str, text: str | None = None) -> str:
        if program == "squeue":
            return f"17\t{state}\tNone\t2026-11-22T20:00:00\targosy:a-1-1\n" if remembered else ""
        return {"scontrol": "", "sacct": f"{state}{' by 0' if state == 'CANCELLED' else ''}\n"}[program]

    monkeypatch.setattr(driver, "_ask", ask)
    seen = driver.observe([order.run])[order.run]
    code = RECORDED[state][3] if remembered else None
    told = (seen.seen, seen.ended_by, seen.node_failed, seen.preempted, seen.exit_code)
    assert told == ("ended", *RECORDED[state][:3], code)
    assert state in seen.message


def test_a_crash_between_submission_and_note_adopts_the_job(runs: Runs, tmp_path: Path) -> None:
    order = runs.start(f"echo x >> {tmp_path}/up; {FOR_EVER}")
    driver = runs.driver
    assert isinstance(driver, slurm.Driver)
    (driver.folders.run(order.run) / "slurm-job").unlink()
    driver.start(order)
    runs.file(tmp_path / "up")
    assert [r.run for r in driver.list_by_tag()].count(order.run) == 1
    assert (tmp_path / "up").read_text() == "x\n"


def test_a_run_that_waits_is_queued_and_leaves_the_queue_when_stopped(runs: Runs, tmp_path: Path) -> None:
    first = runs.start(f"echo > {tmp_path}/up; {FOR_EVER}", nodes=4, choice={"cpus": 16.0})
    runs.file(tmp_path / "up")
    second = runs.start(f"touch {tmp_path}/ran", nodes=4, choice={"cpus": 16.0})
    seen = wait_for(lambda: "Resources" in (s := runs.see(second)).message and s, "a reason")
    assert seen
    assert seen.seen == "queued"
    runs.driver.stop(second.run, 10)
    runs.until(second, "ended", "absent")
    assert second.run not in [r.run for r in runs.driver.list_by_tag()]
    assert runs.see(first).seen == "running"
    assert not (tmp_path / "ran").exists()


def test_bad_nodes_are_avoided(runs: Runs) -> None:
    order = runs.start("echo $SLURMD_NODENAME", avoid_nodes=("n1", "n2", "n4", "machine-of-another-engine"))
    assert runs.ended(order) == 0
    assert runs.text(order).strip() == "n3"


def test_a_run_that_slurm_forgot_is_known_by_its_record(runs: Runs, made: tuple[Cluster, Path]) -> None:
    order = runs.start("exit 4")
    assert runs.ended(order) == 4
    driver = runs.driver
    assert isinstance(driver, slurm.Driver)
    # Jobs of another tag are as good as forgotten.
    forgetful = slurm.Driver(driver.settings.model_copy(update={"tag": "another"}), SystemClock())
    seen = forgetful.observe([order.run])[order.run]
    assert (seen.seen, seen.exit_code) == ("ended", 4)
    running = runs.start(FOR_EVER)
    runs.until(running, "running")
    assert forgetful.observe([running.run])[running.run].seen == "absent"
    assert forgetful.list_by_tag() == ()


def test_accelerators_are_given_by_slurm(runs: Runs) -> None:
    order = runs.start("echo $CUDA_VISIBLE_DEVICES", pool="slurm-h100", choice={"silicon": "H100", "accelerators": 2.0})
    assert runs.ended(order) == 0
    assert runs.text(order).strip() == "0,1"


@pytest.mark.parametrize(
    "given",
    [
        {"choice": {"silicon": "H100", "accelerators": 5.0}, "pool": "slurm-h100"},
        {"choice": {"silicon": "B300", "accelerators": 1.0}, "pool": "slurm-h100"},
        {"choice": {"silicon": "H100", "accelerators": 1.0}},
        {"choice": {"memory_gib": 9000.0}},
        {"choice": {"image": "docker:x"}},
        {"nodes": 5},
    ],
)
def test_what_the_cluster_can_never_do_is_refused(runs: Runs, given: dict[str, object]) -> None:
    with pytest.raises(StartRefused) as caught:
        runs.start("true", **given)
    assert not caught.value.retryable


def test_a_pool_holds_every_node(runs: Runs) -> None:
    cores, chips = runs.driver.capacity()
    assert [n.id for n in cores.nodes] == list(NODES)
    assert [n.id for n in chips.nodes] == ["n1", "n2", "n3"]
    assert (chips.silicon, chips.nodes[0].accelerators, chips.nodes[0].cpus) == ("h100", 4, 16)


def test_types_of_accelerators_are_read() -> None:
    assert _gres("gpu:h100:4(S:0),gpu:a100:2,craynetwork:1") == {"h100": 4, "a100": 2}
    assert _gres("gpu:8") == {"gpu": 8}
    assert _gres("gpu:h100:2(IDX:0-1)") == {"h100": 2}
    assert _gres("(null)") == {}


@pytest.mark.parametrize(
    ("words", "kind", "retryable"),
    [
        ("sbatch: error: Unable to contact slurm controller (connect failure)", OutsideError, True),
        ("sbatch: error: Batch job submission failed: Socket timed out on send/recv operation", OutsideError, True),
        ("sbatch: error: Batch job submission failed: Job violates accounting/QOS policy", StartRefused, True),
        ("allocation failure: Requested node configuration is not available", StartRefused, False),
        ("sbatch: error: invalid partition specified: x", StartRefused, False),
    ],
)
def test_refusals_are_told_from_silence(words: str, kind: type[Exception], retryable: bool) -> None:
    error = _refusal(OutsideError(f"sbatch: {words}"))
    assert type(error) is kind
    assert getattr(error, "retryable") is retryable  # noqa: B009


def test_a_missing_program_is_an_outside_error(tmp_path: Path) -> None:
    driver = slurm.Driver(slurm.Settings(folder=str(tmp_path / "runs"), programs=str(tmp_path)), SystemClock())
    with pytest.raises(OutsideError, match="squeue cannot be run"):
        driver.list_by_tag()

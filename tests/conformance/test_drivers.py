"""Laws that every driver obeys, tried on its engine: real processes, a real Slurm, a real Ray, emulated services."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from tests.support.engines import Engine, Runs, local_engine, marked
from tests.support.kube_api import kube_engine
from tests.support.ray_head import ray_engine
from tests.support.sky import sky_engine
from tests.support.slurm import slurm_engine
from tests.support.waiting import wait_for

from argosy.errors import OutsideError, StartRefused
from argosy.model.task import PlacementRules

ENGINES: dict[str, Callable[[Path], AbstractContextManager[Engine]]] = {
    "local": local_engine,
    "slurm": slurm_engine,
    "ray": ray_engine,
    "kubernetes": kube_engine,
    "skypilot": sky_engine,
}
# A job on Ray takes seconds to start: by default it is tried on these laws only, with ARGOSY_ALL_LAWS=1 on all.
SLOW_TO_START = ("ray",)
# SkyPilot starts tasks by itself, without our wrapper: laws about what the wrapper does are not its own.
WRAPPER_LAWS = {
    "test_a_failing_setup_is_the_end",
    "test_death_by_a_signal_is_128_and_its_number",
    "test_work_that_listens_has_its_grace_time",
    "test_starts_at_the_same_time_start_once",
    "test_logs_are_read_by_offset",
    "test_huge_output_is_kept_whole",
    "test_environment_and_checkpoints",
    "test_a_manifest_is_hashed",
    "test_workdir_is_where_the_work_starts",
    "test_a_missing_workdir_is_refused_or_ends_the_run",
    "test_paths_that_lead_elsewhere_are_refused",
    "test_mounts",
    "test_mounts_that_nobody_fetches_are_refused",
    "test_what_is_impossible_is_refused_for_good",
    "test_one_rank_that_fails_ends_the_gang_with_its_code",
    "test_a_dead_node_is_reported_and_replaced",
    "test_accelerators_in_use_are_not_free",
}
FIRST_LAWS = {
    "test_a_run_starts_runs_and_ends_with_a_record",
    "test_starting_twice_starts_once",
    "test_stopping_kills_the_whole_tree",
    "test_an_unknown_run_is_absent",
    "test_an_engine_that_cannot_be_asked_says_so",
    "test_a_superseded_run_commits_nothing",
    "test_secrets_are_nowhere_but_in_the_environment",
    "test_a_gang_knows_its_ranks_and_addresses",
    "test_capacity_is_counted",
    "test_what_is_impossible_is_refused_for_good",
}
FOR_EVER = "tail -f /dev/null"
PAUSE = "read -t 0.05 <> <(:)"  # bash, for a moment
KEEP = PlacementRules(keep_healthy_nodes=True)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "engine" in metafunc.fixturenames:
        whole = metafunc.function.__name__ in FIRST_LAWS or "ARGOSY_ALL_LAWS" in os.environ
        names = [name for name in ENGINES if whole or name not in SLOW_TO_START]
        if metafunc.function.__name__ in WRAPPER_LAWS:
            names.remove("skypilot")
        metafunc.parametrize("engine", names, indirect=True, scope="module")


@pytest.fixture(scope="module")
def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    with ENGINES[request.param](tmp_path_factory.mktemp(request.param)) as made:
        yield made


@pytest.fixture
def runs(engine: Engine, request: pytest.FixtureRequest) -> Iterator[Runs]:
    driver = engine.driver()
    label = request.node.originalname.removeprefix("test_").replace("_", "-")[:40]
    made = Runs(engine, driver, label)
    yield made
    made.close()
    driver.close()


# --- start and end ---


def test_a_run_starts_runs_and_ends_with_a_record(runs: Runs, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    order = runs.start(f'echo begun; until [ -e {gate} ]; do {PAUSE}; done; echo "done"')
    runs.until(order, "running")
    wait_for(lambda: "begun" in runs.text(order), "its log")
    assert runs.driver.exit_record(order.run) is None
    gate.touch()
    assert runs.ended(order) == 0
    seen = runs.until(order, "ended")
    assert not seen.node_failed
    assert not seen.preempted
    assert runs.text(order).splitlines()[-1] == "done"
    record = runs.driver.exit_record(order.run)
    assert record is not None
    assert not record.superseded
    assert record.manifest_hash is None
    assert record.finished_at.utcoffset() is not None


@pytest.mark.parametrize("code", [1, 3, 137])
def test_exit_codes_are_those_of_the_work(runs: Runs, code: int) -> None:
    order = runs.start(f"exit {code}")
    assert runs.ended(order) == code
    assert runs.until(order, "ended").exit_code in (code, None)


def test_death_by_a_signal_is_128_and_its_number(runs: Runs) -> None:
    assert runs.ended(runs.start("kill -9 $$")) == 137


def test_a_task_without_run_ends_after_setup(runs: Runs) -> None:
    order = runs.start(None, setup="echo prepared")
    assert runs.ended(order) == 0
    assert "prepared" in runs.text(order)


def test_a_task_with_nothing_to_do_succeeds(runs: Runs) -> None:
    assert runs.ended(runs.start(None)) == 0


def test_a_failing_setup_is_the_end(runs: Runs, tmp_path: Path) -> None:
    order = runs.start(f"touch {tmp_path}/ran", setup="echo no; exit 7")
    assert runs.ended(order) == 7
    assert not (tmp_path / "ran").exists()
    assert "setup ended with exit code 7" in runs.text(order)


# --- twice is once ---


def test_starting_twice_starts_once(runs: Runs, tmp_path: Path) -> None:
    order = runs.start(f"echo x >> {tmp_path}/count; {FOR_EVER}")
    runs.driver.start(order)
    runs.file(tmp_path / "count")
    runs.until(order, "running")
    runs.engine.driver().start(order)
    runs.until(order, "running")
    assert (tmp_path / "count").read_text() == "x\n"
    assert [r.run for r in runs.driver.list_by_tag()].count(order.run) == 1


def test_starts_at_the_same_time_start_once(runs: Runs, tmp_path: Path) -> None:
    order = runs.order(f"echo x >> {tmp_path}/count; {FOR_EVER}")
    drivers = [runs.engine.driver() for _ in range(3)]
    threads = [threading.Thread(target=driver.start, args=(order,)) for driver in drivers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    runs.file(tmp_path / "count")
    runs.until(order, "running")
    assert (tmp_path / "count").read_text() == "x\n"
    assert [r.run for r in runs.driver.list_by_tag()].count(order.run) == 1


def test_a_run_that_ended_is_not_started_again(runs: Runs, tmp_path: Path) -> None:
    order = runs.start(f"echo x >> {tmp_path}/count")
    assert runs.ended(order) == 0
    runs.driver.start(order)
    runs.engine.driver().start(order)
    after = runs.start("true")
    assert runs.ended(after) == 0
    assert (tmp_path / "count").read_text() == "x\n"
    assert runs.see(order).seen == "ended" or runs.engine.forgets


def test_a_new_instance_sees_what_an_old_one_started(runs: Runs, tmp_path: Path) -> None:
    order = runs.start(f"echo > {tmp_path}/up; {FOR_EVER}")
    runs.file(tmp_path / "up")
    runs.until(order, "running")
    new = runs.engine.driver()
    assert new.observe([order.run])[order.run].seen == "running"
    assert order.run in [resource.run for resource in new.list_by_tag()]
    new.stop(order.run, 1)
    assert runs.ended(order) in (137, 143)
    assert new.exit_record(order.run) == runs.driver.exit_record(order.run)


# --- stop ---


def test_stopping_kills_the_whole_tree(runs: Runs, tmp_path: Path) -> None:
    # A child, a grandchild in a session of its own, and one that does not listen.
    order = runs.start(
        f"trap '' TERM; (setsid {FOR_EVER} &) ; (trap '' TERM; setsid {FOR_EVER}) & echo x > {tmp_path}/up; {FOR_EVER}"
    )
    runs.file(tmp_path / "up")
    assert marked(order.run)
    runs.driver.stop(order.run, 0.3)
    runs.driver.stop(order.run, 0.3)
    wait_for(lambda: not marked(order.run), "every process to be gone")
    runs.driver.stop(order.run, 0.3)
    runs.until(order, "ended", "absent")
    assert runs.ended(order) in (137, 143)


def test_work_that_listens_has_its_grace_time(runs: Runs, tmp_path: Path) -> None:
    order = runs.start(f"trap 'echo saved > {tmp_path}/saved; exit 0' TERM; echo > {tmp_path}/up; {FOR_EVER} & wait")
    runs.file(tmp_path / "up")
    runs.driver.stop(order.run, 120)
    assert runs.file(tmp_path / "saved") == "saved\n"
    # It ended because it was asked to, which is not success.
    assert runs.ended(order) == 143


def test_stopping_the_unknown_is_no_error(runs: Runs) -> None:
    runs.driver.stop("never-heard-of", 0)
    assert runs.see(runs.order(id="never-heard-of")).seen == "absent"


def test_an_unknown_run_is_absent(runs: Runs) -> None:
    for run in ("unknown", "a/../../b", "x" * 100, "/".join("abc" * 16)):
        seen = runs.driver.observe([run])[run]
        assert (seen.run, seen.seen, seen.nodes) == (run, "absent", ())
        assert runs.driver.exit_record(run) is None
        assert runs.driver.logs(run, 0, 0, 100) == b""


def test_ids_with_every_legal_letter_work(runs: Runs) -> None:
    order = runs.start("echo $ARGOSY_RUN $ARGOSY_JOB", id="proj/a_b.c/../run-1", job="proj/a_b.c/../job")
    assert runs.ended(order) == 0
    assert runs.text(order).split()[-2:] == [order.run, order.job]


# --- unreachable is not dead ---


def test_an_engine_that_cannot_be_asked_says_so(runs: Runs) -> None:
    order = runs.start(FOR_EVER)
    runs.until(order, "running")
    other, driver = runs.order("true"), (runs.engine.impatient or runs.engine.driver)()
    calls: dict[str, Callable[[], object]] = {
        "capacity": driver.capacity,
        "observe": lambda: driver.observe([order.run]),
        "start": lambda: driver.start(other),
        "stop": lambda: driver.stop(order.run, 0),
        "list_by_tag": driver.list_by_tag,
        "exit_record": lambda: driver.exit_record(order.run),
        "fence": lambda: driver.fence(other.job, 1),
        "logs": lambda: driver.logs(order.run, 0, 0, 10),
    }
    answered = []
    with runs.engine.unreachable():
        for name, call in calls.items():
            try:
                call()
            except OutsideError:
                continue
            answered.append(name)
    assert set(answered) <= runs.engine.answers_alone
    assert runs.until(order, "running").seen == "running"
    assert runs.see(other).seen == "absent"


# --- logs ---


def test_logs_are_read_by_offset(runs: Runs) -> None:
    order = runs.start("printf 'one\\ntwo\\n'; printf 'three\\n' >&2; printf 'é'")
    assert runs.ended(order) == 0
    whole = runs.driver.logs(order.run, 0, 0, 1 << 20)
    wait_for(lambda: runs.text(order).endswith("é"), "the whole log")
    whole = runs.driver.logs(order.run, 0, 0, 1 << 20)
    assert {b"one", b"two", b"three"} <= set(whole.split(b"\n"))
    pieces = [runs.driver.logs(order.run, 0, at, 3) for at in range(0, len(whole), 3)]
    assert b"".join(pieces) == whole
    assert runs.driver.logs(order.run, 0, len(whole), 100) == b""
    assert runs.driver.logs(order.run, 0, len(whole) + 100, 100) == b""
    assert runs.driver.logs(order.run, 5, 0, 100) == b""


def test_huge_output_is_kept_whole(runs: Runs) -> None:
    order = runs.start("head -c 20000000 /dev/zero | tr '\\0' x; printf '\\nend\\n'")
    assert runs.ended(order) == 0
    tail = wait_for(lambda: runs.driver.logs(order.run, 0, 20_000_000, 100), "the end of the log")
    assert tail.endswith(b"\nend\n")
    assert runs.driver.logs(order.run, 0, 10_000_000, 5) == b"xxxxx"


# --- fence ---


def test_a_superseded_run_commits_nothing(runs: Runs, tmp_path: Path) -> None:
    order = runs.start(f"trap '' TERM; echo > {tmp_path}/up; until [ -e {tmp_path}/gate ]; do {PAUSE}; done; exit 0")
    runs.file(tmp_path / "up")
    runs.driver.fence(order.job, 2)
    (tmp_path / "gate").touch()
    runs.ended(order)
    record = runs.driver.exit_record(order.run)
    assert record is not None
    assert record.superseded


def test_a_superseded_order_is_not_started(runs: Runs) -> None:
    order = runs.order("true", epoch=3)
    runs.driver.fence(order.job, 4)
    runs.driver.fence(order.job, 2)
    with pytest.raises(StartRefused) as caught:
        runs.driver.start(order)
    assert not caught.value.retryable
    assert runs.see(order).seen == "absent"
    newer = runs.start("true", job=order.job, epoch=4)
    assert runs.ended(newer) == 0


def test_two_runs_of_a_job_have_a_record_each(runs: Runs) -> None:
    first = runs.start("exit 1", epoch=1)
    assert runs.ended(first) == 1
    second = runs.start("exit 0", epoch=2, job=first.job)
    assert runs.ended(second) == 0
    assert runs.ended(first) == 1


# --- what the work is given ---


def test_environment_and_checkpoints(runs: Runs, tmp_path: Path) -> None:
    rules = PlacementRules.model_validate({"checkpoint": {"prefix": str(tmp_path / "checkpoints")}})
    order = runs.start("env", envs={"COLOUR": "red"}, placement=rules, resume_from="s3://there/step-5", epoch=7)
    assert runs.ended(order) == 0
    env = dict(line.split("=", 1) for line in runs.text(order).splitlines() if "=" in line)
    expected = {
        "COLOUR": "red", "ARGOSY_JOB": order.job, "ARGOSY_RUN": order.run, "ARGOSY_EPOCH": "7",
        "ARGOSY_RESUME_FROM": "s3://there/step-5", "SKYPILOT_NODE_RANK": "0", "SKYPILOT_NUM_NODES": "1",
        "SKYPILOT_NUM_GPUS_PER_NODE": "0", "WORLD_SIZE": "1", "RANK": "0", "NODE_RANK": "0", "LOCAL_WORLD_SIZE": "1",
        "SLURM_PROCID": "0", "SLURM_NNODES": "1",
    }  # fmt: skip
    assert {name: env.get(name) for name in expected} == expected
    assert env["SKYPILOT_TASK_ID"]
    assert env["ARGOSY_CHECKPOINT"].startswith(str(tmp_path / "checkpoints"))
    assert order.job in env["ARGOSY_CHECKPOINT"]
    assert env["SKYPILOT_NODE_IPS"] == env["MASTER_ADDR"]
    assert int(env["MASTER_PORT"]) > 1024


def test_secrets_are_nowhere_but_in_the_environment(runs: Runs, tmp_path: Path) -> None:
    # Put together here, so that the value stands in no script and no file of ours.
    secret = "-".join(["tell", "nobody", str(os.getpid())])
    order = runs.start(
        f"echo ${{#TOKEN}} > {tmp_path}/length; echo $TOKEN > {tmp_path}/given; {FOR_EVER}", secrets={"TOKEN": secret}
    )
    assert runs.file(tmp_path / "length").strip() == str(len(secret))
    assert runs.file(tmp_path / "given").strip() == secret
    assert [path for path in command_lines() if contains(path, secret)] == []
    assert secret not in repr(order)
    assert secret not in order.model_dump_json()
    assert secret not in runs.text(order)
    held = [path for folder in runs.engine.folders() for path in folder.rglob("*") if contains(path, secret)]
    assert held == []


def command_lines() -> Iterator[Path]:
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            yield folder / "cmdline"


def contains(path: Path, text: str) -> bool:
    try:
        return path.is_file() and text.encode() in path.read_bytes()
    except OSError:
        return False


def test_a_manifest_is_hashed(runs: Runs, tmp_path: Path) -> None:
    if not runs.engine.mounts:
        pytest.skip("outputs of pods are not compared across folders")
    script = (
        "mkdir -p out; printf '%s' \"$WHAT\" > out/a; echo out/a >> $ARGOSY_MANIFEST; echo out/b >> $ARGOSY_MANIFEST"
    )
    orders = [runs.start(script, envs={"WHAT": what}) for what in ("x", "x", "y")]
    assert [runs.ended(order) for order in orders] == [0, 0, 0]
    records = [runs.driver.exit_record(order.run) for order in orders]
    same, again, other = [record.manifest_hash for record in records if record is not None]
    assert same is not None
    assert same == again != other


def test_workdir_is_where_the_work_starts(runs: Runs, tmp_path: Path) -> None:
    assert runs.ended(order := runs.start("pwd", workdir=str(tmp_path))) == 0
    assert runs.text(order).strip() == str(tmp_path)


def test_a_missing_workdir_is_refused_or_ends_the_run(runs: Runs, tmp_path: Path) -> None:
    order = runs.order(f"touch {tmp_path}/ran", workdir=str(tmp_path / "nowhere"))
    refused: list[StartRefused] = []
    try:
        runs.driver.start(order)
    except StartRefused as error:
        refused.append(error)
    if refused:
        assert "nowhere" in str(refused[0])
        assert not refused[0].retryable
    else:
        assert runs.ended(order) not in (0, 143)
        assert "nowhere" in runs.text(order)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("path", ["/srv/../etc", "relative", "/srv/a\0b"])
def test_paths_that_lead_elsewhere_are_refused(runs: Runs, path: str) -> None:
    with pytest.raises(StartRefused, match="workdir") as caught:
        runs.start("true", workdir=path)
    assert not caught.value.retryable


def test_mounts(runs: Runs, tmp_path: Path) -> None:
    source = tmp_path / "data.txt"
    source.write_text("content")
    order = runs.order("cat data/in.txt", file_mounts={"data/in.txt": str(source)})
    if not runs.engine.mounts:
        with pytest.raises(StartRefused, match="file_mounts"):
            runs.driver.start(order)
        return
    runs.driver.start(order)
    assert runs.ended(order) == 0
    assert runs.text(order) == "content"


@pytest.mark.parametrize(
    "source", ["s3://bucket/key", "https://example.com/x", {"source": "s3://b", "mode": "MOUNT"}, "/srv/../etc/passwd"]
)
def test_mounts_that_nobody_fetches_are_refused(runs: Runs, source: str) -> None:
    with pytest.raises(StartRefused, match="file_mounts") as caught:
        runs.start("true", file_mounts={"x": source})
    assert not caught.value.retryable


def test_what_is_impossible_is_refused_for_good(runs: Runs) -> None:
    for given in ({"pool": "elsewhere"}, {"choice": {"cpus": 90_000.0}}):
        order = runs.order("true", **given)
        with pytest.raises(StartRefused) as caught:
            runs.driver.start(order)
        assert not caught.value.retryable
        assert runs.see(order).seen == "absent"


# --- gangs ---


def test_a_gang_knows_its_ranks_and_addresses(runs: Runs) -> None:
    nodes = runs.engine.nodes
    order = runs.start(
        'echo "$SKYPILOT_NODE_RANK $NODE_RANK $WORLD_SIZE $SKYPILOT_NUM_NODES $MASTER_ADDR:$MASTER_PORT" '
        "$SKYPILOT_NODE_IPS",
        nodes=nodes,
    )
    assert runs.ended(order) == 0
    lines = [runs.text(order, rank).split() for rank in range(nodes)]
    assert [line[:4] for line in lines] == [[str(rank), str(rank), str(nodes), str(nodes)] for rank in range(nodes)]
    assert len({line[4] for line in lines}) == 1, "one master"
    assert all(line[5:] == lines[0][5:] for line in lines)
    assert len(lines[0][5:]) == nodes
    assert lines[0][4].split(":")[0] == lines[0][5]


def test_one_rank_that_fails_ends_the_gang_with_its_code(runs: Runs, tmp_path: Path) -> None:
    order = runs.start(
        f"echo x >> {tmp_path}/up; until [ $(cat {tmp_path}/up | wc -l) = 2 ]; do {PAUSE}; done; "
        f'[ "$NODE_RANK" = 1 ] && exit 9; {FOR_EVER}',
        nodes=2,
    )
    assert runs.ended(order) == 9
    wait_for(lambda: not marked(order.run), "the other rank to end")
    assert runs.until(order, "ended", "absent").seen == "ended" or runs.engine.forgets


def test_a_dead_node_is_reported_and_replaced(runs: Runs, tmp_path: Path) -> None:
    until_gate = f"until [ -e {tmp_path}/gate ]; do {PAUSE}; done; true"
    script = f"echo $ARGOSY_ATTEMPT >> {tmp_path}/up-$NODE_RANK; {until_gate}"
    order = runs.start(script, nodes=2, placement=KEEP, secrets={"TOKEN": "abc"})
    for rank in range(2):
        runs.file(tmp_path / f"up-{rank}")
    runs.until(order, "running")
    runs.engine.kill_node(runs.driver, order.run, 1)
    lost = wait_for(
        lambda: [n for n in runs.see(order).nodes if n.state == "lost"], "the loss to be seen",
    )  # fmt: skip
    assert [n.rank for n in lost] == [1]
    seen = runs.see(order)
    assert seen.node_failed
    assert runs.driver.exit_record(order.run) is None
    if not runs.engine.replaces:
        with pytest.raises(StartRefused):
            runs.driver.replace_node(order, 1)
        return
    assert seen.seen == "running", "the healthy node goes on"
    replaced = order.model_copy(update={"avoid_nodes": (lost[0].node,)})
    runs.driver.replace_node(replaced, 1)
    runs.driver.replace_node(replaced, 1)
    wait_for(lambda: len((tmp_path / "up-1").read_text().split()) == 2, "the rank to begin again")
    assert (tmp_path / "up-0").read_text() == "1\n", "the healthy node was not started again"
    (tmp_path / "gate").touch()
    assert runs.ended(order) == 0
    assert len((tmp_path / "up-1").read_text().split()) == 2


def test_a_run_whose_nodes_all_died_ended_without_a_record(runs: Runs, tmp_path: Path) -> None:
    order = runs.start(f"echo > {tmp_path}/up; {FOR_EVER}")
    runs.file(tmp_path / "up")
    runs.until(order, "running")
    runs.engine.kill_node(runs.driver, order.run, 0)
    seen = runs.until(order, "ended", "absent")
    assert seen.node_failed or seen.preempted or seen.seen == "absent"
    assert runs.driver.exit_record(order.run) is None
    assert runs.see(order).exit_code in (None, 137)


# --- capacity ---


def test_capacity_is_counted(runs: Runs) -> None:
    pools = {pool.id: pool for pool in runs.driver.capacity()}
    assert runs.engine.pool in pools
    for pool in pools.values():
        assert pool.nodes or pool.elastic_nodes
        assert len({node.id for node in pool.nodes}) == len(pool.nodes)
        for node in pool.nodes:
            assert 0 <= node.free_cpus <= node.cpus
            assert 0 <= node.free_accelerators <= node.accelerators
            assert (node.accelerators > 0) <= (pool.silicon is not None)


def test_accelerators_in_use_are_not_free(runs: Runs, tmp_path: Path) -> None:
    silicon = runs.engine.silicon
    if silicon is None:
        pytest.skip("no accelerators on this engine")

    def free() -> float:
        pools = [pool for pool in runs.driver.capacity() if (pool.silicon or "").lower() == silicon.lower()]
        return sum(node.free_accelerators for pool in pools for node in pool.nodes)

    pool = next(p.id for p in runs.driver.capacity() if (p.silicon or "").lower() == silicon.lower())
    before = wait_for(free, "accelerators to be free")
    choice = {"silicon": silicon, "accelerators": 2.0}
    order = runs.start(f"echo $SKYPILOT_NUM_GPUS_PER_NODE > {tmp_path}/up; {FOR_EVER}", choice=choice, pool=pool)
    assert runs.file(tmp_path / "up").strip() == "2"
    wait_for(lambda: free() == before - 2, "two fewer")
    runs.driver.stop(order.run, 0)
    wait_for(lambda: free() == before, "all to be free again")

"""What only the local driver owes: processes are never mistaken, limits hold, devices are shared out."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from tests.support.engines import Engine, Runs, local_engine, marked
from tests.support.waiting import wait_for

from argosy.clock import FixedClock, SystemClock
from argosy.errors import OutsideError, StartRefused
from argosy.run import engine as engines
from argosy.run import wrapper
from argosy.run.drivers import local
from argosy.run.drivers._folder import file_name

FOR_EVER = "tail -f /dev/null"


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    with local_engine(tmp_path) as made:
        yield made


@pytest.fixture
def driver(engine: Engine) -> local.Driver:
    made = engine.driver()
    assert isinstance(made, local.Driver)
    return made


@pytest.fixture
def runs(engine: Engine, driver: local.Driver) -> Iterator[Runs]:
    made = Runs(engine, driver, "local")
    yield made
    made.close()


def state(driver: local.Driver, run: str, rank: int = 0) -> tuple[Path, dict[str, object]]:
    path = driver.folders.run(run) / f"{rank}.json"
    return path, json.loads(path.read_text())


def test_the_driver_is_found_by_its_file_name(tmp_path: Path) -> None:
    assert "local" in engines.names()
    made = engines.open_driver(local.Settings(folder=str(tmp_path / "runs")), SystemClock())
    assert isinstance(made, local.Driver)
    assert made.capacity()[0].id == "local"


# --- processes ---


@pytest.mark.parametrize("field", ["start", "boot"])
def test_a_number_that_was_given_to_somebody_else_is_not_ours(
    runs: Runs, driver: local.Driver, tmp_path: Path, field: str
) -> None:
    order = runs.start(f"echo > {tmp_path}/up; {FOR_EVER}")
    runs.file(tmp_path / "up")
    path, told = state(driver, order.run)
    ours = int(str(told["pid"]))
    bystander = subprocess.Popen(["tail", "-f", "/dev/null"])
    try:
        # What it does at its own end, or as its work is taken from it, is not looked at here: it stands still.
        wrapper.send([ours], signal.SIGSTOP)
        # As after a reboot or a long time: the number belongs to a process that started at another time.
        other = {"start": wrapper.process_start(bystander.pid), "boot": wrapper.boot(), "pid": bystander.pid}
        other[field] = 12345 if field == "start" else "another-boot"
        path.write_text(json.dumps(told | other))
        driver.stop(order.run, 0)
        assert bystander.poll() is None
        assert [n.state for n in runs.see(order).nodes] == ["lost"]
        assert bystander.poll() is None
        path.write_text(json.dumps(told))
        wrapper.send([ours], signal.SIGCONT)
        wait_for(lambda: wrapper.process_start(ours) is None, "the wrapper to end")
    finally:
        wrapper.send([ours], signal.SIGCONT)
        bystander.kill()
        bystander.wait()


def test_no_zombies_are_left(runs: Runs) -> None:
    def children() -> set[int]:
        """Those of every thread that lives to tell."""
        found = set()
        for thread in Path("/proc/self/task").iterdir():
            with suppress(OSError):
                found.update(map(int, (thread / "children").read_text().split()))
        return found

    before = children()
    orders = [runs.start("true", nodes=2) for _ in range(3)]
    assert [runs.ended(order) for order in orders] == [0, 0, 0]
    wait_for(lambda: children() <= before, "every child to be reaped")


SERVER = """
import sys
from argosy.clock import SystemClock
from argosy.run.drivers import local
from argosy.run.driver import Order
driver = local.Driver(local.Settings.model_validate_json(sys.argv[1]), SystemClock())
order = Order.model_validate_json(sys.argv[2])
driver.start(order)
sys.stdout.write("started\\n"); sys.stdout.flush()
sys.stdin.read()
"""


def test_work_survives_the_server(runs: Runs, driver: local.Driver, tmp_path: Path) -> None:
    """The server is ended by kill -9 with its whole process group; the work is untouched and found again."""
    order = runs.order(f"echo x >> {tmp_path}/up; until [ -e {tmp_path}/gate ]; do read -t 0.05 <> <(:); done; true")
    server = subprocess.Popen(
        [sys.executable, "-c", SERVER, driver.settings.model_dump_json(), order.model_dump_json()],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    assert server.stdout is not None
    assert server.stdout.readline() == b"started\n"
    runs.file(tmp_path / "up")
    os.killpg(server.pid, signal.SIGKILL)
    server.communicate()
    assert runs.see(order).seen == "running"
    driver.start(order)
    (tmp_path / "gate").touch()
    assert runs.ended(order) == 0
    assert (tmp_path / "up").read_text() == "x\n"


def test_a_start_that_was_cut_off_is_completed(runs: Runs, driver: local.Driver, tmp_path: Path) -> None:
    order = runs.order(f"echo $NODE_RANK >> {tmp_path}/up; {FOR_EVER}", nodes=2)
    # As if the server had died after writing the order, and then after starting the first of two ranks.
    driver.folders.prepare(order, driver._admit(order))
    assert runs.see(order).seen == "absent"
    driver._spawn(order, {0: 1})
    runs.file(tmp_path / "up")
    assert runs.see(order).seen == "absent"
    driver.start(order)
    runs.file(tmp_path / "up", "1")
    assert runs.see(order).seen == "running"
    assert sorted((tmp_path / "up").read_text().split()) == ["0", "1"]


def test_a_wrapper_that_is_started_twice_works_once(runs: Runs, driver: local.Driver, tmp_path: Path) -> None:
    order = runs.start(f"echo x >> {tmp_path}/up; {FOR_EVER}")
    runs.file(tmp_path / "up")
    driver._spawn(order, {0: 1})
    driver.replace_node(order, 0)
    driver.stop(order.run, 0)
    runs.ended(order)
    driver._spawn(order, {0: 1})
    assert (tmp_path / "up").read_text() == "x\n"


def test_a_later_attempt_ends_the_earlier(runs: Runs, driver: local.Driver, tmp_path: Path) -> None:
    """A node was thought lost and replaced, and lives: its wrapper sees that and commits nothing."""
    script = f"echo $ARGOSY_ATTEMPT >> {tmp_path}/up; [ $ARGOSY_ATTEMPT = 1 ] && exec {FOR_EVER}"
    order = runs.start(f"{script}; until [ -e {tmp_path}/gate ]; do read -t 0.05 <> <(:); done; true")
    runs.file(tmp_path / "up", "1")
    first = int(str(state(driver, order.run)[1]["pid"]))
    driver._spawn(order, {0: 2})
    wait_for(lambda: wrapper.process_start(first) is None, "the first to end")
    assert driver.exit_record(order.run) is None
    runs.file(tmp_path / "up", "2")
    (tmp_path / "gate").touch()
    assert runs.ended(order) == 0


def test_who_looks_at_a_lost_rank_leaves_what_replaced_it(
    runs: Runs, driver: local.Driver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another replica starts the rank again between the look at what began and the end of what was left behind."""
    order = runs.start(f"echo $ARGOSY_ATTEMPT >> {tmp_path}/up; exec {FOR_EVER}")
    runs.file(tmp_path / "up", "1")
    wrapper.send([int(str(state(driver, order.run)[1]["pid"]))], signal.SIGKILL)
    wait_for(lambda: not marked(order.run), "the first to be gone")
    sweep = local._kill_strays

    def late(*given: int | str) -> None:
        monkeypatch.setattr(local, "_kill_strays", sweep)
        local.Driver(driver.settings, driver.clock).replace_node(order, 0)
        runs.file(tmp_path / "up", "2")
        sweep(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(local, "_kill_strays", late)
    assert [node.state for node in runs.see(order).nodes] == ["lost"]
    assert [node.state for node in runs.see(order).nodes] == ["running"]
    assert marked(order.run)


def test_a_superseded_wrapper_ends_its_work_without_a_server(runs: Runs, driver: local.Driver, tmp_path: Path) -> None:
    order = runs.start(f"echo > {tmp_path}/up; {FOR_EVER}")
    runs.file(tmp_path / "up")
    driver.fence(order.job, 2)
    record = wait_for(lambda: driver.exit_record(order.run), "the superseded work to end")
    assert record is not None
    assert marked(order.run) == []
    assert record.superseded


def test_a_wrapper_that_does_not_react_is_ended_by_force(runs: Runs, engine: Engine, tmp_path: Path) -> None:
    order = runs.start(f"echo > {tmp_path}/up; {FOR_EVER}")
    runs.file(tmp_path / "up")
    real = runs.driver
    assert isinstance(real, local.Driver)
    os.kill(int(str(state(real, order.run)[1]["pid"])), signal.SIGSTOP)
    clock = FixedClock(SystemClock().now())
    patient = local.Driver(real.settings, clock)
    patient.stop(order.run, 1)
    assert marked(order.run)
    clock._now += local.timedelta(seconds=30)
    patient.stop(order.run, 1)
    wait_for(lambda: not marked(order.run), "the work to be gone")
    assert runs.until(order, "ended").node_failed


def test_what_the_work_leaves_behind_is_ended(runs: Runs, tmp_path: Path) -> None:
    order = runs.start(f"(setsid {FOR_EVER} &); echo $! > {tmp_path}/up")
    assert runs.ended(order) == 0
    assert marked(order.run) == []


def test_work_whose_wrapper_dies_is_ended(runs: Runs, driver: local.Driver, tmp_path: Path) -> None:
    order = runs.start(f"setsid {FOR_EVER} & echo > {tmp_path}/up; {FOR_EVER}")
    runs.file(tmp_path / "up")
    os.kill(int(str(state(driver, order.run)[1]["pid"])), signal.SIGKILL)
    seen = runs.until(order, "ended")
    assert seen.node_failed
    wait_for(lambda: not marked(order.run), "what it left to be gone")


def test_a_start_takes_milliseconds(runs: Runs, tmp_path: Path) -> None:
    """Processor time of the server; it waits for the wrapper meanwhile, which a busy machine makes longer."""
    runs.start("true")
    took = []
    for _ in range(5):
        before = time.process_time()
        runs.start("true")
        took.append(time.process_time() - before)
    assert min(took) < 0.1


# --- what is given ---


def test_nothing_of_the_servers_environment_is_passed_on(runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_KEY_OF_THE_SERVER", "x")
    order = runs.start("env")
    assert runs.ended(order) == 0
    assert "API_KEY_OF_THE_SERVER" not in runs.text(order)


def test_files_of_a_run_are_for_their_owner_only(runs: Runs, driver: local.Driver, tmp_path: Path) -> None:
    order = runs.start(f"echo > {tmp_path}/up; {FOR_EVER}", secrets={"TOKEN": "abc"})
    runs.file(tmp_path / "up")
    folder = driver.folders.run(order.run)
    assert list(folder.glob("*.secrets")) == []
    assert folder.stat().st_mode & 0o077 == 0
    assert [p for p in folder.iterdir() if p.is_file() and p.stat().st_mode & 0o077] == []


def test_secrets_of_a_run_that_never_began_are_deleted(runs: Runs, driver: local.Driver) -> None:
    order = runs.order("true", secrets={"TOKEN": "abc"})
    driver.folders.prepare(order, driver._admit(order))
    driver.folders.leave_secrets(order, 0)
    left = driver.folders.run(order.run) / "0.secrets"
    assert left.stat().st_mode & 0o777 == 0o600
    driver.stop(order.run, 0)
    assert not left.exists()


def test_missing_secrets_are_refused(runs: Runs) -> None:
    order = runs.order("true", secrets={"TOKEN": "abc"})
    with pytest.raises(StartRefused, match="TOKEN"):
        runs.driver.start(order.model_copy(update={"secrets": {}}))


def test_devices_are_shared_out(runs: Runs, driver: local.Driver, tmp_path: Path) -> None:
    def start(accelerators: float, nodes: int = 1) -> list[str]:
        choice = {"silicon": "h100", "accelerators": accelerators}
        script = f'echo "<$CUDA_VISIBLE_DEVICES>" > {tmp_path}/$ARGOSY_RUN-$NODE_RANK; {FOR_EVER}'
        order = runs.start(script, choice=choice, pool="local-h100", nodes=nodes)
        return [runs.file(tmp_path / f"{order.run}-{rank}").strip() for rank in range(nodes)]

    assert start(2, nodes=2) == ["<0,1>", "<2,3>"]
    assert start(0.5) == start(0.5) == ["<4>"]
    assert start(0.3) == ["<5>"]
    assert start(2) == ["<6,7>"]
    with pytest.raises(StartRefused) as caught:
        start(1)
    assert caught.value.retryable
    assert driver.capacity()[1].nodes[0].free_accelerators == pytest.approx(0.7)
    assert start(0.7) == ["<5>"]
    cores = runs.start(f'echo "<$CUDA_VISIBLE_DEVICES>" > {tmp_path}/none')
    assert runs.file(tmp_path / "none").strip() == "<>"
    assert runs.ended(cores) == 0


@pytest.mark.parametrize(
    ("choice", "reason"),
    [
        ({"silicon": "H100", "accelerators": 9.0}, "TooLarge"),
        ({"silicon": "H100", "accelerators": 1.5}, "BadShare"),
        ({"silicon": "B300", "accelerators": 1.0}, "NoSuchSilicon"),
        ({"cpus": 65.0}, "TooLarge"),
        ({"memory_gib": 65.0}, "TooLarge"),
        ({"disk_gib": 1e6}, "TooLarge"),
        ({"image": "docker:x"}, "ImageUnsupported"),
        ({"instance_type": "p5"}, "InstanceTypeUnsupported"),
        ({"spot": True}, "SpotUnsupported"),
    ],
)
def test_what_this_machine_cannot_do_is_refused(runs: Runs, choice: dict[str, object], reason: str) -> None:
    with pytest.raises(StartRefused) as caught:
        runs.start("true", choice=choice, pool="local-h100")
    assert (caught.value.reason, caught.value.retryable) == (reason, False)


def test_cores_and_memory_that_are_taken_are_refused_for_now(runs: Runs, tmp_path: Path) -> None:
    for number, choice in enumerate(({"cpus": 40.0}, {"memory_gib": 40.0})):
        runs.start(f"echo > {tmp_path}/{number}; {FOR_EVER}", choice=choice)
        runs.file(tmp_path / str(number))
        with pytest.raises(StartRefused) as caught:
            runs.start("true", choice=choice)
        assert (caught.value.reason, caught.value.retryable) == ("NoCapacity", True)
    assert runs.driver.capacity()[0].nodes[0].free_cpus == 23.0


def test_memory_is_limited(runs: Runs) -> None:
    script = f"exec {sys.executable} -c 'x = bytearray(600 << 20); print(len(x))'"
    small, large = (runs.start(script, choice={"memory_gib": gib}) for gib in (0.3, 2.0))
    assert runs.ended(large) == 0
    assert runs.ended(small) == 1
    assert "MemoryError" in runs.text(small)
    assert "RLIMIT_DATA" in runs.see(small).message


def test_control_groups_are_used_where_they_can_be_written(tmp_path: Path) -> None:
    (tmp_path / "cgroup.controllers").write_text("cpu memory")
    limits = {"memory_bytes": 1 << 20, "cpus": 1.5, "cgroup": str(tmp_path)}
    made = wrapper.Limits(limits, "run-1-0")
    assert (tmp_path / "run-1-0" / "memory.max").read_text() == str(1 << 20)
    assert (tmp_path / "run-1-0" / "cpu.max").read_text() == "150000 100000"
    assert (tmp_path / "run-1-0" / "cgroup.procs").read_text() == str(os.getpid())
    assert [line.rpartition(" ")[2] for line in made.enforced] == ["(cgroup)", "(cgroup)"]
    without = wrapper.Limits(limits | {"cgroup": str(tmp_path / "not-there")}, "run-1-0")
    assert "RLIMIT_DATA" in without.enforced[0]
    assert "not enforced" in without.enforced[1]


def test_folders_that_are_not_allowed_are_refused(tmp_path: Path) -> None:
    allowed, secret = tmp_path / "allowed", tmp_path / "secret"
    for folder in (allowed, secret):
        folder.mkdir()
    (allowed / "link").symlink_to(secret)
    (allowed / "fine").mkdir()
    settings = local.Settings(folder=str(tmp_path / "runs"), allowed_folders=(str(allowed),))
    driver = local.Driver(settings, SystemClock())
    runs = Runs(Engine("local", "local", lambda: driver, lambda: None, lambda *_: None), driver, "allowed")  # type: ignore[arg-type, return-value]
    for given in ({"workdir": str(secret)}, {"workdir": str(allowed / "link")}, {"file_mounts": {"x": str(secret)}}):
        with pytest.raises(StartRefused) as caught:
            runs.start("true", **given)
        assert caught.value.reason == "PathNotAllowed"
    assert runs.ended(runs.start("true", workdir=str(allowed / "fine"))) == 0
    runs.close()


def test_a_mount_never_replaces_a_file(runs: Runs, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    (tmp_path / "other").write_text("other")
    order = runs.start("cat mine", workdir=str(tmp_path), file_mounts={"mine": str(tmp_path / "other")})
    assert runs.ended(order) == wrapper.FAILED_BEFORE_WORK
    assert "already something else" in runs.text(order)
    assert (tmp_path / "mine").read_text() == "mine"


# --- the folder ---


def test_a_folder_that_is_not_absolute_is_an_error() -> None:
    with pytest.raises(OutsideError, match="absolute"):
        local.Driver(local.Settings(folder="runs"), SystemClock())


def test_a_damaged_order_is_an_outside_error(runs: Runs, driver: local.Driver) -> None:
    order = runs.start("true")
    assert runs.ended(order) == 0
    wait_for(lambda: not driver.folders.live_file(order.run).exists(), "the wrapper to end")
    (driver.folders.run(order.run) / "spec.json").write_text("{")
    with pytest.raises(OutsideError):
        runs.see(order)
    runs.started.clear()


@pytest.mark.parametrize("id", ["a", "a/b", "a/../b", "..", ".", "x" * 100, "/" * 99])
def test_ids_become_file_names(id: str) -> None:
    name = file_name(id)
    assert "/" not in name
    assert name not in (".", "..")
    assert len(name) < 250
    assert name != file_name(id + "0")

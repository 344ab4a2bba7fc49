"""What only the SkyPilot driver owes, against a stand-in for its SDK."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
from pydantic import SecretStr
from tests.support.sky import POOL, FakeSky, settings_of
from tests.support.waiting import wait_for

from argosy.clock import SystemClock
from argosy.errors import StartRefused
from argosy.model.task import Choice, Task
from argosy.run.driver import Order
from argosy.run.drivers import skypilot


@pytest.fixture
def sky(tmp_path: Path) -> FakeSky:
    return FakeSky(tmp_path)


@pytest.fixture
def driver(sky: FakeSky, tmp_path: Path) -> skypilot.Driver:
    return skypilot.Driver(settings_of(tmp_path), SystemClock(), sky)


def order_of(run: str | None = "true", *, name: str = "run-1", epoch: int = 1, **task: object) -> Order:
    choice = Choice(silicon="H100", accelerators=8, cpus=16.0, memory_gib=100.0, disk_gib=500.0, spot=True)
    made = Task(name="train", run=run, choices=(choice,), **task)  # type: ignore[arg-type]
    values = {secret: SecretStr("tell-nobody") for secret in made.secrets}
    return Order(run=name, job="job-1", epoch=epoch, task=made, choice=choice, pool=POOL.id, secrets=values)


def test_without_the_sdk_the_error_says_what_to_install(tmp_path: Path) -> None:
    if importlib.util.find_spec("sky") is not None:
        pytest.skip("SkyPilot is installed here")
    with pytest.raises(skypilot.SdkMissing, match="pip install skypilot"):
        skypilot.Driver(settings_of(tmp_path), SystemClock())


def test_a_task_in_skypilots_words() -> None:
    order = order_of(
        "python train.py", setup="pip install x", nodes=2, envs={"A": "b"}, secrets=("TOKEN",), workdir="/w",
        file_mounts={"/data": {"source": "s3://bucket", "mode": "MOUNT"}}, ports=("8080",), labels={"team": "a"},
    )  # fmt: skip
    made = skypilot.task_of(order, POOL)
    assert made["resources"] == {
        "infra": "aws/us-east-1", "use_spot": True, "accelerators": {"H100": 8.0}, "cpus": "16+", "memory": "100+",
        "disk_size": 500, "ports": ["8080"], "labels": {"team": "a"},
    }  # fmt: skip
    assert made["num_nodes"] == 2
    assert made["setup"] == "pip install x"
    assert made["run"].splitlines()[-1] == "python train.py"
    assert made["file_mounts"] == {"/data": {"source": "s3://bucket", "mode": "MOUNT"}}
    assert made["secrets"] == {"TOKEN": "tell-nobody"}
    assert "tell-nobody" not in str({key: value for key, value in made.items() if key != "secrets"})
    assert (made["envs"]["A"], made["envs"]["ARGOSY_EPOCH"]) == ("b", "1")


def test_machines_are_given_back_once_the_record_is_written(driver: skypilot.Driver, sky: FakeSky) -> None:
    order = order_of("exit 3")
    driver.start(order)
    record = wait_for(lambda: driver.exit_record("run-1"), "the record")
    assert record
    assert record.exit_code == 3
    assert sky.status == {}
    assert sky.calls.count("launch") == 1
    assert driver.list_by_tag() == ()
    driver.start(order)
    assert sky.calls.count("launch") == 1, "finished work is not launched again"


def test_spot_machines_that_were_taken_away(driver: skypilot.Driver, sky: FakeSky) -> None:
    driver.start(order_of("tail -f /dev/null"))
    assert driver.observe(["run-1"])["run-1"].seen == "running"
    sky.status["argosy-run-1"] = "STOPPED"
    seen = driver.observe(["run-1"])["run-1"]
    assert (seen.seen, seen.preempted, seen.node_failed) == ("ended", True, False)
    driver.stop("run-1", 0)
    assert sky.status == {}
    seen = driver.observe(["run-1"])["run-1"]
    assert (seen.seen, seen.preempted) == ("absent", True)
    driver.start(order_of("tail -f /dev/null"))
    assert sky.calls.count("launch") <= 2
    driver.stop("run-1", 0)


def test_a_cluster_that_is_being_provisioned_is_queued(driver: skypilot.Driver, sky: FakeSky) -> None:
    driver.start(order_of("tail -f /dev/null"))
    sky.status["argosy-run-1"] = "INIT"
    assert driver.observe(["run-1"])["run-1"].seen == "queued"
    driver.stop("run-1", 0)
    assert sky.status == {}


def test_pools_are_those_of_the_settings(driver: skypilot.Driver) -> None:
    (pool,) = driver.capacity()
    assert (pool.id, pool.vendor, pool.elastic_nodes, pool.nodes) == ("aws-east", "aws", 4, ())
    with pytest.raises(StartRefused):
        driver.start(order_of(nodes=5))

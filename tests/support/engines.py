"""Engines for the conformance suite: how each is started, made unreachable, and robbed of a node."""

from __future__ import annotations

import itertools
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from tests.support.waiting import wait_for

from argosy.clock import SystemClock
from argosy.model.task import Choice, Task
from argosy.run.driver import Driver, Observation, Order
from argosy.run.drivers import local


@dataclass
class Engine:
    """An engine that the laws are tried on."""

    name: str
    pool: str
    driver: Callable[[], Driver]
    """A new instance with the same settings."""
    unreachable: Callable[[], AbstractContextManager[None]]
    """While it is open the engine cannot be asked."""
    kill_node: Callable[[Driver, str, int], None]
    """The machine under one rank dies with all that runs on it."""
    nodes: int = 3
    """Largest gang."""
    replaces: bool = True
    """Whether one rank can be replaced while the others go on."""
    mounts: bool = True
    """Whether it sees files of this machine."""
    forgets: bool = False
    """Whether runs vanish from it once they ended."""
    silicon: str | None = "H100"
    """A type of chip that it has."""
    choice: dict[str, Any] = field(default_factory=dict)
    """What a task must ask for at least."""
    repair: Callable[[], None] = lambda: None
    """Machines that died come back."""
    impatient: Callable[[], Driver] | None = None
    """An instance that does not wait long for an engine that is away."""
    answers_alone: frozenset[str] = frozenset()
    """Calls that need only the folder of runs, and so are answered while the engine is away."""
    folders: Callable[[], list[Path]] = list
    """Where its files are, to look for what must not be there."""


def lacks(engine: str, reason: str) -> None:
    """In continuous integration an engine that is not there is a failure, elsewhere the reason of a skip."""
    if os.environ.get("CI"):
        pytest.fail(f"{engine}: {reason}")
    pytest.skip(f"{engine}: {reason}")


_NUMBERS = itertools.count(1)  # ids are never used twice in one folder


class Runs:
    """Orders of one test on one engine; everything is stopped at its end."""

    def __init__(self, engine: Engine, driver: Driver, label: str) -> None:
        self.engine, self.driver, self.label = engine, driver, label
        self.started: list[str] = []

    def order(self, run: str | None = "true", **given: Any) -> Order:
        name = given.pop("id", f"{self.label}-{next(_NUMBERS)}")
        choice = Choice(**(self.engine.choice | given.pop("choice", {})))
        order = {
            "run": name,
            "job": given.pop("job", f"job-{name}"),
            "epoch": given.pop("epoch", 1),
            "pool": given.pop("pool", self.engine.pool),
            "secrets": {k: SecretStr(v) for k, v in given.pop("secrets", {}).items()},
            "checkpoint": given.pop("resume_from", None),
            "avoid_nodes": given.pop("avoid_nodes", ()),
        }
        task = Task(name="law", run=run, choices=(choice,), secrets=tuple(order["secrets"]), **given)
        self.started.append(name)
        return Order(task=task, choice=choice, **order)

    def start(self, run: str | None = "true", **given: Any) -> Order:
        order = self.order(run, **given)
        self.driver.start(order)
        return order

    def see(self, order: Order) -> Observation:
        return self.driver.observe([order.run])[order.run]

    def until(self, order: Order, *states: str) -> Observation:
        def look() -> Observation | None:
            seen = self.see(order)
            return seen if seen.seen in states else None

        return wait_for(look, f"{order.run} to be {states}")  # type: ignore[return-value]

    def file(self, path: Path, text: str = "") -> str:
        """The content of a file that the work writes, once it has what is looked for."""

        def look() -> str:
            found = path.read_text() if path.exists() else ""
            return found if found and text in found else ""

        return wait_for(look, f"{path.name} with {text!r}")

    def ended(self, order: Order) -> int:
        """The exit code of the record, once there is one."""
        record = wait_for(lambda: self.driver.exit_record(order.run), f"the record of {order.run}")
        assert record is not None
        assert (record.run, record.job, record.epoch) == (order.run, order.job, order.epoch)
        return record.exit_code

    def text(self, order: Order, rank: int = 0) -> str:
        return self.driver.logs(order.run, rank, 0, 1 << 24).decode()

    def close(self) -> None:
        self.engine.repair()
        for run in self.started:
            self.driver.stop(run, 0)

        def gone() -> bool:
            held = {resource.run for resource in self.driver.list_by_tag()}
            return not held.intersection(self.started)

        wait_for(gone, "everything to be gone")


def marked(run: str) -> list[int]:
    """Living processes of this machine that carry a run in their environment."""
    mark, found = f"ARGOSY_RUN={run}".encode(), []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                if mark in (folder / "environ").read_bytes().split(b"\0"):
                    found.append(int(folder.name))
            except OSError:
                continue
    return found


@contextmanager
def moved_away(folder: Path) -> Iterator[None]:
    """A folder that is not where it was, as when a disk is not mounted."""
    away = folder.with_name(folder.name + ".away")
    folder.rename(away)
    try:
        yield
    finally:
        folder.rename(folder.with_name(folder.name + ".never")) if folder.exists() else None
        away.rename(folder)


@contextmanager
def local_engine(folder: Path) -> Iterator[Engine]:
    settings = local.Settings(
        folder=str(folder / "runs"), cpus=64.0, memory_gib=64.0, accelerators={"H100": 8}, poll_seconds=0.2
    )

    def kill_node(driver: Driver, run: str, rank: int) -> None:
        """A rank's wrapper dies, as when the kernel ran out of memory."""
        state = driver.folders.ranks(run, driver.folders.spec(run))[0][rank]  # type: ignore[attr-defined]
        os.kill(state["pid"], signal.SIGKILL)

    yield Engine(
        name="local",
        pool="local",
        driver=lambda: local.Driver(settings, SystemClock()),
        unreachable=lambda: moved_away(folder / "runs"),
        kill_node=kill_node,
        folders=lambda: [folder],
    )
    shutil.rmtree(folder / "runs", ignore_errors=True)

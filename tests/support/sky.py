"""A stand-in for SkyPilot's SDK: clusters are entries, jobs are processes. It proves nothing about SkyPilot."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support.engines import Engine, marked

from argosy.clock import SystemClock
from argosy.run import wrapper
from argosy.run.driver import Driver
from argosy.run.drivers import skypilot

POOL = skypilot.SkyPool(id="aws-east", vendor="aws", region="us-east-1", infra="aws/us-east-1", nodes=4, spot=True)


class FakeSky:
    """Clusters by name; each call is kept, and raises while `away` is set."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.calls: list[str] = []
        self.tasks: dict[str, Mapping[str, Any]] = {}
        self.status: dict[str, str] = {}
        self.processes: dict[str, list[subprocess.Popen[bytes]]] = {}
        self.cancelled: set[str] = set()
        self.away = False

    def note(self, call: str) -> None:
        self.calls.append(call)
        if self.away:
            raise ConnectionError("the API server does not answer")

    def launch(self, cluster: str, task: Mapping[str, Any], keep_minutes: int) -> None:
        self.note("launch")
        assert cluster not in self.status, "SkyPilot would run the task a second time"
        self.tasks[cluster], self.status[cluster] = task, "UP"
        addresses = "\n".join(f"127.0.0.{n + 1}" for n in range(task["num_nodes"]))
        script = self.folder / f"{cluster}.sh"
        script.write_text(f"{task.get('setup') or 'true'}\n{task['run']}\n")
        for rank in range(task["num_nodes"]):
            env = {"PATH": os.defpath, "SKYPILOT_NODE_IPS": addresses, "SKYPILOT_NODE_RANK": str(rank)}
            env |= {"SKYPILOT_NUM_NODES": str(task["num_nodes"]), "SKYPILOT_TASK_ID": "sky-1"}
            env |= {"SKYPILOT_NUM_GPUS_PER_NODE": "0", **task["envs"], **task.get("secrets", {})}
            with (self.folder / f"{cluster}-{rank}.log").open("wb") as log:
                made = subprocess.Popen(["bash", script], env=env, stdout=log, stderr=log, start_new_session=True)
            self.processes.setdefault(cluster, []).append(made)

    def clusters(self) -> list[Mapping[str, Any]]:
        self.note("clusters")
        return [{"name": name, "status": status, "launched_at": 1_800_000_000} for name, status in self.status.items()]

    def jobs(self, cluster: str) -> list[Mapping[str, Any]]:
        self.note("jobs")
        codes = [process.poll() for process in self.processes[cluster]]
        state = "RUNNING" if None in codes else "FAILED" if any(codes) else "SUCCEEDED"
        if cluster in self.cancelled and state != "RUNNING":
            state = "CANCELLED"
        return [{"job_id": 1, "status": f"JobStatus.{state}"}]

    def cancel(self, cluster: str) -> None:
        self.note("cancel")
        self.cancelled.add(cluster)
        self.end(cluster)

    def end(self, cluster: str) -> None:
        for process in self.processes[cluster]:
            while left := marked(self.tasks[cluster]["envs"]["ARGOSY_RUN"]):  # what dies may have started another
                wrapper.send(left, signal.SIGKILL)
            process.wait()

    def down(self, cluster: str) -> None:
        self.note("down")
        self.end(cluster)
        self.status.pop(cluster, None)

    def logs(self, cluster: str) -> bytes:
        self.note("logs")
        found = []
        for rank in range(len(self.processes[cluster])):
            prefix = f"({'head' if rank == 0 else f'worker{rank}'}, rank={rank}, pid=1) ".encode()
            lines = (self.folder / f"{cluster}-{rank}.log").read_bytes().splitlines(keepends=True)
            found += [prefix + line for line in lines]
        return b"".join(found)


def settings_of(folder: Path) -> skypilot.Settings:
    return skypilot.Settings(folder=str(folder / "runs"), pools=(POOL,))


@contextmanager
def sky_engine(folder: Path) -> Iterator[Engine]:
    sky = FakeSky(folder)

    @contextmanager
    def unreachable() -> Iterator[None]:
        sky.away = True
        try:
            yield
        finally:
            sky.away = False

    def kill_node(driver: Driver, run: str, rank: int) -> None:
        assert isinstance(driver, skypilot.Driver)
        sky.status[driver._cluster(run)] = "STOPPED"

    yield Engine(
        name="skypilot",
        pool=POOL.id,
        driver=lambda: skypilot.Driver(settings_of(folder), SystemClock(), sky),
        unreachable=unreachable,
        kill_node=kill_node,
        replaces=False,
        answers_alone=frozenset({"fence", "logs", "exit_record"}),
        silicon=None,
        choice={"spot": True},
    )
    for cluster in list(sky.processes):
        sky.end(cluster)

"""Kill a server at random points under load, and count what was lost, doubled or disturbed."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

from tests.support.ports import free_ports

from argosy.cli.client import Client
from argosy.clock import SystemClock
from argosy.errors import OutsideError
from argosy.store import Store

HERE = Path(__file__).resolve().parents[2]
LONG_JOBS = 3


@dataclass
class Found:
    """What so many kills did."""

    kills: int = 0
    acknowledged: dict[str, str] = field(default_factory=dict)
    """Key to the job's id that the server answered."""
    asked: set[str] = field(default_factory=set)
    done: Counter[str] = field(default_factory=Counter)
    """Lines that work wrote at its end, by key."""
    begun: Counter[str] = field(default_factory=Counter)
    """Lines that long work wrote at its beginning, by key and process."""
    recovery_seconds: list[float] = field(default_factory=list)
    statuses: Counter[str] = field(default_factory=Counter)
    problems: tuple[str, ...] = ()


class Server:
    """`argosy up` on a data folder, which is killed and started again at one address."""

    def __init__(self, folder: Path, *, store: str = "", runs: Path | None = None, lease_seconds: float = 2.0) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.pid = folder, 0
        self.data = folder / "data"
        (port,) = free_ports(1)
        self.address = f"http://127.0.0.1:{port}"
        local = {"kind": "local", "folder": str(runs or folder / "runs"), "cpus": 64.0, "memory_gib": 64.0}
        rules = {"sweep_seconds": 2.0, "orphan_grace_seconds": 5.0, "record_grace_seconds": 2.0}
        rules["lease_seconds"] = lease_seconds
        config = folder / "config.yaml"
        config.write_text(json.dumps({"drivers": {"local": {**local, "poll_seconds": 0.2}}, "rules": rules}))
        command = [sys.executable, "-W", "ignore", "-m", "tests.support.server"]
        with (folder / "server.log").open("ab") as log:
            self.parent = subprocess.Popen(
                [*command, str(self.data), str(port), store, str(config)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                cwd=HERE,
            )

    def __enter__(self) -> Server:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None) -> None:
        if self.pid:
            self.kill()
        assert self.parent.stdin is not None
        self.parent.stdin.close()
        self.parent.wait(180)
        assert self.parent.stdout is not None
        self.parent.stdout.close()

    def start(self) -> None:
        assert self.parent.stdin is not None
        assert self.parent.stdout is not None
        self.parent.stdin.write("start\n")
        self.parent.stdin.flush()
        self.pid = int(self.parent.stdout.readline())

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)
        self.pid = 0

    def looks(self) -> int:
        """How often it has looked since it began."""
        text = Client(self.address, (self.data / "key").read_text()).call("GET", "/metrics")
        return int(next(line for line in text.splitlines() if line.startswith("argosy_tick_seconds_count ")).split()[1])

    def ask(self, key: str, run: str, *, seconds: float = 240.0) -> str | None:
        """Submit until it is acknowledged, however often the server dies meanwhile; None when the time is over."""
        task = {"name": key, "run": run, "choices": [{"cpus": 0.01}]}
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            try:
                client = Client(self.address, (self.data / "key").read_text())
                answer = client.call("POST", "/v1/jobs", body={"task": task}, headers={"Idempotency-Key": key})
                return str(answer["jobs"][0]["id"])
            except (OSError, OutsideError):
                threading.Event().wait(0.02)
        return None


def kill_often(folder: Path, kills: int, *, seed: int, store: str = "", jobs_per_second: float = 3.0) -> Found:
    """So many kills at random points while jobs are submitted and run; then wait until every job has ended."""
    found, chance = Found(kills), random.Random(seed)
    folder.mkdir(parents=True, exist_ok=True)
    done, begun, release = folder / "done", folder / "begun", folder / "release"
    stop = threading.Event()

    def submit(key: str, run: str) -> None:
        found.asked.add(key)
        answer = server.ask(key, run)
        if answer is not None:
            found.acknowledged[key] = answer

    def load(name: str) -> None:
        number = 0
        while not stop.wait(1.0 / jobs_per_second):
            number += 1
            key = f"{name}-{number}"
            submit(key, f"sleep 0.{number % 5}; echo {key} >> {done}")

    with Server(folder, store=store) as server:
        server.start()
        for i in range(LONG_JOBS):
            wait = f"while [ ! -e {release} ]; do sleep 0.2; done"
            submit(f"long-{i}", f"echo long-{i} $$ >> {begun}; {wait}; echo long-{i} >> {done}")
        loaders = [threading.Thread(target=load, args=(f"load-{i}",)) for i in range(3)]
        for loader in loaders:
            loader.start()
        try:
            for number in range(kills):
                threading.Event().wait(0.1 + chance.random() ** 2 * 0.9)
                server.kill()
                at = time.monotonic()
                server.start()
                if number % 5 == 0:
                    submit(f"probe-{number}", f"echo probe-{number} >> {done}")
                    found.recovery_seconds.append(time.monotonic() - at)
        finally:
            stop.set()
            for loader in loaders:
                loader.join(250)
        release.touch()
        kept = Store(store or f"sqlite:///{server.data / 'store.db'}", SystemClock())
        try:
            until = time.monotonic() + 240
            while kept.open_jobs() and time.monotonic() < until:
                threading.Event().wait(0.2)
            jobs = json.loads(kept.jobs(limit=None)[0])
            found.statuses = Counter(job["status"] for job in jobs)
            names = {job["id"]: job["name"] for job in jobs}
            lost = [key for key, job in found.acknowledged.items() if names.get(job) != key]
            found.problems = (*kept.recount().problems, *(f"{key} was acknowledged and lost" for key in lost))
        finally:
            kept.close()
    found.done = Counter(done.read_text().split("\n")[:-1])
    found.begun = Counter(begun.read_text().split("\n")[:-1])
    return found


def judge(found: Found) -> None:
    """What must be so after any number of kills."""
    assert found.problems == ()
    assert set(found.statuses) == {"SUCCEEDED"}, found.statuses
    assert sum(found.statuses.values()) == len(found.acknowledged) == len(found.asked)
    assert {key: number for key, number in found.done.items() if number != 1} == {}, "run twice to completion"
    assert set(found.done) == found.asked
    assert len(found.begun) == sum(found.begun.values()) == LONG_JOBS, "long work was disturbed"
    assert max(found.recovery_seconds) < 5.0, found.recovery_seconds

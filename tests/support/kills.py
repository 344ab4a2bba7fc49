"""Kill a server at random points under load, and count what was lost, doubled or disturbed."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

from argosy.clock import SystemClock
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
    """A server process that is killed and started again."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url, self.folder, self.path = url, folder, str(folder / "s")
        with (folder / "server.log").open("ab") as log:
            self.parent = subprocess.Popen(
                [sys.executable, "-W", "ignore", "-m", "tests.support.server", url, str(folder / "runs"), self.path],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                cwd=HERE,
            )
        self.pid = 0

    def __enter__(self) -> Server:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None) -> None:
        if self.pid:
            self.kill()
        assert self.parent.stdin is not None
        self.parent.stdin.close()
        self.parent.wait(30)
        assert self.parent.stdout is not None
        self.parent.stdout.close()

    def start(self, owner: str) -> None:
        assert self.parent.stdin is not None
        assert self.parent.stdout is not None
        self.parent.stdin.write(f"start {owner}\n")
        self.parent.stdin.flush()
        self.pid = int(self.parent.stdout.readline())

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)
        self.pid = 0


def ask(path: str, key: str, run: str, until: float) -> str | None:
    """Submit until it is acknowledged, however often the server dies meanwhile; None when the time is over."""
    while time.monotonic() < until:
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as link:
                link.settimeout(5)
                link.connect(path)
                link.sendall(json.dumps({"key": key, "run": run}).encode() + b"\n")
                answer = link.makefile().readline().strip()
                if answer:
                    return answer
        except OSError:
            pass
        threading.Event().wait(0.01)
    return None


def kill_often(url: str, folder: Path, kills: int, *, seed: int, jobs_per_second: float = 3.0) -> Found:
    """So many kills at random points while jobs are submitted and run; then wait until every job has ended."""
    found, chance = Found(kills), random.Random(seed)
    folder.mkdir(parents=True, exist_ok=True)
    done, begun, release = folder / "done", folder / "begun", folder / "release"
    stop = threading.Event()

    def submit(key: str, run: str) -> None:
        found.asked.add(key)
        answer = ask(server.path, key, run, time.monotonic() + 120)
        if answer is not None:
            found.acknowledged[key] = answer

    def load(name: str) -> None:
        number = 0
        while not stop.wait(1.0 / jobs_per_second):
            number += 1
            key = f"{name}-{number}"
            submit(key, f"sleep 0.{number % 5}; echo {key} >> {done}")

    with Server(url, folder) as server:
        server.start("server")
        for i in range(LONG_JOBS):
            wait = f"while [ ! -e {release} ]; do sleep 0.2; done"
            submit(f"long-{i}", f"echo long-{i} $$ >> {begun}; {wait}; echo long-{i} >> {done}")
        loaders = [threading.Thread(target=load, args=(f"load-{i}",)) for i in range(3)]
        for loader in loaders:
            loader.start()
        try:
            for number in range(kills):
                threading.Event().wait(chance.random() ** 2 * 0.5)
                server.kill()
                at = time.monotonic()
                server.start("server" if chance.random() < 0.8 else f"server-{number}")
                if number % 5 == 0:
                    submit(f"probe-{number}", f"echo probe-{number} >> {done}")
                    found.recovery_seconds.append(time.monotonic() - at)
        finally:
            stop.set()
            for loader in loaders:
                loader.join(130)
        release.touch()
        store = Store(url, SystemClock())
        try:
            until = time.monotonic() + 120
            while store.open_jobs() and time.monotonic() < until:
                threading.Event().wait(0.2)
            found.statuses = Counter(job.status for _, job, _ in store.jobs(limit=None))
            kept = {job.id: job.name for _, job, _ in store.jobs(limit=None)}
            lost = [key for key, job in found.acknowledged.items() if kept.get(job) != key]
            found.problems = (*store.recount().problems, *(f"{key} was acknowledged and lost" for key in lost))
        finally:
            store.close()
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

"""A server that can be killed: store, control loop and local engine in one process, taking jobs over a Unix socket.

Run as a program it holds everything imported and makes a server by fork for each line `start` on its input, so that a
kill costs no second of imports: `python -m tests.support.server URL FOLDER SOCKET`. It says the new process's id and
collects the old one. A line `{"key": ..., "run": ...}` on the socket is answered by the job's id once it is kept.
"""

from __future__ import annotations

import json
import os
import socketserver
import sys
from pathlib import Path
from typing import Any

from argosy.clock import SystemClock
from argosy.control.loop import Control
from argosy.control.service import Service
from argosy.model.task import Choice, Task
from argosy.run.drivers import local
from argosy.run.rules import RunRules
from argosy.store import NewJob, Store

RULES = RunRules(lease_seconds=2, sweep_seconds=2, orphan_grace_seconds=5, record_grace_seconds=2)


def task(name: str, run: str) -> Task:
    """A task small enough that hundreds fit on one machine."""
    return Task(name=name, run=run, choices=(Choice(cpus=0.01),))


def serve(url: str, folder: str, path: str, owner: str) -> None:
    """Be a server until killed."""
    clock = SystemClock()
    store = Store(url, clock)
    driver = local.Driver(local.Settings(folder=folder, cpus=64.0, memory_gib=64.0, poll_seconds=0.2), clock)
    service = Service(Control(store, {"local": driver}, owner=owner, clock=clock, rules=RULES), idle_seconds=0.1)

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            for line in self.rfile:
                asked: dict[str, Any] = json.loads(line)
                (job,) = store.submit([NewJob(task(asked["key"], asked["run"]))], project="p", key=asked["key"])
                self.wfile.write(f"{job.id}\n".encode())

    class Server(socketserver.ThreadingUnixStreamServer):
        daemon_threads = True
        request_queue_size = 64

    Path(path).unlink(missing_ok=True)
    with Server(path, Handler) as server:
        service.start()
        server.serve_forever()


def main(url: str, folder: str, path: str) -> None:
    child = 0
    for line in sys.stdin:
        if child:
            os.waitpid(child, 0)
            child = 0
        if line.startswith("start"):
            child = os.fork()
            if not child:
                os.close(0)
                serve(url, folder, path, line.split()[1])
                os._exit(0)
            print(child, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])

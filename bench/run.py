"""Measure the control plane: submitting, placing, ticks, listing, fault schedules, recovery after kill -9.

    python -m bench.run [--out out/bench-run.json] [--jobs 10000]

CPU is `time.process_time`; rates that wait for a disk are wall clock and say so. Everything goes through the real store
on SQLite with synchronous FULL in a temporary folder, and the real loop; only the engine is invented.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import platform
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

from tests.support.kills import Server

from argosy.clock import SystemClock
from argosy.control.loop import Control, Look
from argosy.control.world import ControlWorld
from argosy.model.task import Choice, Task
from argosy.simulate.engine import Engine, Site, VirtualClock
from argosy.store import Change, NewJob, Store
from bench.faults import batch

THREADS = 8
SHAPES = 20
TARGETS = {
    "submit_jobs_per_second": (">=", 500.0),
    "placements_per_second": (">=", 1500.0),
    "tick_10000_queued_seconds": ("<=", 1.0),
    "tick_100000_stored_ratio": ("<=", 2.0),
    "list_page_p95_seconds": ("<=", 0.1),
    "http_list_10000_p95_seconds": ("<=", 0.1),
    "fault_events_per_cpu_second": (">=", 10_000.0),
    "recovery_seconds": ("<=", 5.0),
}


def task(shape: int) -> Task:
    """One of a few shapes of work."""
    return Task(name=f"shape-{shape}", run="true", choices=(Choice(silicon="h100", accelerators=float(1 + shape % 4)),))


def engine(clock: VirtualClock, machines: int) -> Engine:
    """Enough machines of eight accelerators, in four regions."""
    sites = [Site(f"pool-{i}", "alpha", f"alpha/r{i}", "h100", machines // 4, 8, 64, 2.0 + i / 10) for i in range(4)]
    return Engine("alpha", sites, clock, lambda: 0.5, lambda order: (1e6, 0))


def timed(call: Callable[[], Any]) -> tuple[float, float]:
    """Wall clock and CPU seconds of a call."""
    wall, cpu = time.perf_counter(), time.process_time()
    call()
    return time.perf_counter() - wall, time.process_time() - cpu


def submitting(store: Store, jobs: int) -> dict[str, float]:
    """Single-job transactions from several threads."""
    made = task(0)

    def submit() -> None:
        for _ in range(jobs // THREADS):
            store.submit([NewJob(made)], project="p")

    def together() -> None:
        threads = [threading.Thread(target=submit) for _ in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    wall, cpu = timed(together)
    return {"submit_jobs_per_second": jobs / wall, "submit_jobs_per_cpu_second": jobs / cpu}


def placing(folder: Path, jobs: int) -> dict[str, float]:
    """All jobs are there, capacity is enough: looks until all are placed."""
    clock = VirtualClock()
    store = Store(f"sqlite:///{folder / 'place.db'}", clock)
    store.submit([NewJob(task(i % SHAPES)) for i in range(jobs)], project="p")
    control = Control(store, {"alpha": engine(clock, jobs)}, owner="a", clock=clock, world=ControlWorld())
    control._start = lambda now, done: None  # type: ignore[method-assign] # what the engine does is measured by nobody
    placed, wall, cpu = 0, 0.0, 0.0
    while placed < jobs and wall < 120:
        looks: list[Look] = []
        took = timed(lambda into=looks: into.append(control.look()))  # type: ignore[misc]
        placed += looks[0].outcome.placed
        wall, cpu = wall + took[0], cpu + took[1]
        clock.forward(1.0)
        if not looks[0].outcome.placed:
            left = {(job.reason, job.message) for job in store.open_jobs() if job.status == "PENDING"}
            assert not left, left
            break
    assert store.recount().problems == ()
    store.close()
    return {"placements": placed, "placements_per_second": placed / wall, "placements_per_cpu_second": placed / cpu}


def ticking(folder: Path, queued: int, ended: int) -> dict[str, float]:
    """Median look with so many waiting and nothing free, without and with many ended jobs in the store."""
    clock = VirtualClock()
    store = Store(f"sqlite:///{folder / 'tick.db'}", clock)
    store.submit([NewJob(task(i % SHAPES)) for i in range(queued)], project="p")
    invented = engine(clock, 4)
    for site in invented.sites.values():
        invented.broken |= {name: clock.now() for name in invented._machines(site)}

    def looks(number: int) -> float:
        control = Control(store, {"alpha": invented}, owner="a", clock=clock)
        took = []
        for _ in range(number):
            clock.forward(1.0)
            took.append(timed(control.look)[1])
        return statistics.median(took[2:])

    first = looks(32)  # also gives every job the reason of its waiting
    alone = looks(9)
    for begin in range(0, ended, 10_000):
        jobs = store.submit([NewJob(task(0))] * min(10_000, ended - begin), project="old")
        end = {"status": "FAILED", "reason": "MaxWait"}
        changes = [Change("MaxWait", job.id, job.version, end) for job in jobs]
        store.apply(changes, owner="a", lease_seconds=10, fence=None)
    crowded = looks(9)
    pages = [timed(lambda: store.jobs(project="p", open_only=True))[0] for _ in range(60)]
    old = [timed(lambda: store.jobs(limit=100, before=ended))[0] for _ in range(60)]
    store.close()
    return {
        "tick_first_seconds": first,
        "tick_10000_queued_seconds": alone,
        "tick_100000_stored_seconds": crowded,
        "tick_100000_stored_ratio": crowded / alone,
        "list_page_p95_seconds": max(statistics.quantiles(pages, n=20)[-1], statistics.quantiles(old, n=20)[-1]),
    }


def listing(folder: Path, jobs: int) -> dict[str, float]:
    """Over HTTP from a real server: a page of 100 jobs, and all that wait in one answer."""
    with Server(folder / "list") as server:
        server.data.mkdir()
        store = Store(f"sqlite:///{server.data / 'store.db'}", SystemClock())
        store.submit([NewJob(task(i % SHAPES)) for i in range(jobs)], project="default")
        store.close()
        server.start()
        assert server.ask("first", "true", seconds=60)
        header = {"Authorization": "Bearer " + (server.data / "key").read_text().strip()}

        def read(path: str) -> int:
            with urlopen(Request(server.address + path, headers=header), timeout=60) as answer:
                return len(answer.read())

        def took(limit: int) -> list[float]:
            seconds = []
            for _ in range(40):
                begin = time.perf_counter()
                size = read(f"/v1/jobs?limit={limit}")
                seconds.append(time.perf_counter() - begin)
                assert size > 400 * min(limit, jobs), size
            return seconds

        took(jobs)  # meanwhile the first looks give every job the reason of its waiting
        page, whole = took(100), took(jobs)
    return {
        "http_page_of_100_p95_seconds": statistics.quantiles(page, n=20)[-1],
        "http_list_10000_median_seconds": statistics.median(whole),
        "http_list_10000_p95_seconds": statistics.quantiles(whole, n=20)[-1],
    }


def faults() -> dict[str, float]:
    """Schedules in this process."""
    batch(range(1000, 1003))
    counts, seconds, broken = batch(range(1003, 1043))
    assert not broken, broken[0]
    return {
        "fault_events_per_cpu_second": counts["events"] / seconds,
        "fault_schedule_cpu_seconds": seconds / counts["schedules"],
        "fault_events_per_schedule": counts["events"] / counts["schedules"],
    }


def recovery(folder: Path) -> dict[str, float]:
    """From kill -9 to the next acknowledged job: a new process with everything to import, and one made by fork."""
    numbers = count(1)

    def answered(server: Server) -> None:
        assert server.ask(f"k{next(numbers)}", "true", seconds=60)

    with Server(folder / "kill") as server:
        server.start()
        answered(server)
    begin = time.perf_counter()
    with Server(folder / "kill") as server:
        server.start()
        answered(server)
        cold = time.perf_counter() - begin
        warm = []
        for _ in range(5):
            server.kill()
            begin = time.perf_counter()
            server.start()
            answered(server)
            warm.append(time.perf_counter() - begin)
    return {"recovery_seconds": cold, "recovery_without_imports_seconds": statistics.median(warm)}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("out/bench-run.json"))
    parser.add_argument("--jobs", type=int, default=10_000)
    given = parser.parse_args()
    logging.disable(logging.ERROR)
    found: dict[str, float] = {}
    with tempfile.TemporaryDirectory(prefix="argosy-bench-") as name:
        folder = Path(name)
        store = Store(f"sqlite:///{folder / 'submit.db'}", SystemClock())
        for part in (
            lambda: submitting(store, 4000),
            lambda: placing(folder, given.jobs),
            lambda: ticking(folder, given.jobs, 9 * given.jobs),
            lambda: listing(folder, given.jobs),
            faults,
            lambda: recovery(folder),
        ):
            made = part()
            found |= made
            for key, value in made.items():
                sign, target = TARGETS.get(key, ("", 0.0))
                met = value >= target if sign == ">=" else value <= target
                print(
                    f"{key:40} {value:12,.3f}"
                    + (f"   target {sign} {target:g}: {'met' if met else 'MISSED'}" if sign else "")
                )
        store.close()
    about = {"machine": platform.machine(), "cores": os.cpu_count(), "python": platform.python_version()}
    about |= {"load_average": os.getloadavg()[0]}
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(json.dumps({"about": about, "figures": found}, indent=2) + "\n")
    print(about)
    return 0


if __name__ == "__main__":
    sys.exit(main())

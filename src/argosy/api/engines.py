"""Engines: the control loop of this process as the interface sees it."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping, Sequence

from argosy.api.measures import family, histogram
from argosy.control.fleet import make_fleet, need_of
from argosy.control.service import Service
from argosy.control.tick_times import BOUNDS_SECONDS
from argosy.errors import ArgosyError, OutsideError
from argosy.model.job import Run
from argosy.model.task import Task
from argosy.run.driver import Driver, EnginePool

FRESH_SECONDS = 2.0
"""How old capacity may be that is shown; engines are not asked more often for it."""
PAGE = 1000


class Engines:
    """Capacity, output and health of a control loop."""

    def __init__(self, service: Service) -> None:
        self.service, self.control = service, service.control
        self.lock = threading.Lock()
        self.known: Mapping[str, tuple[EnginePool, ...]] = {}
        self.unknown: Mapping[str, str] = {}
        self.asked_at: float | None = None
        self.seen = self.control.store.last_event()
        self.events: Counter[str] = Counter()
        self.recoveries: Counter[str] = Counter()

    def fleet(self) -> Sequence[tuple[str, EnginePool]]:
        """Pools as they are now, or were a moment ago, each with the name of its driver."""
        self._ask()
        return [(driver, pool) for driver, pools in self.known.items() for pool in pools]

    def impossible(self, task: Task) -> str | None:
        """Why no pool could ever run a task; None when one could, or when an engine cannot be asked."""
        self._ask()
        if self.unknown:
            return None
        fleet = make_fleet(self.known, unknown={}, cordons={}, avoid=frozenset())
        if any(fleet.candidates(choice, need_of(task, choice)) for choice in task.choices):
            return None
        there = sorted(f"{name} ({pool.describe()})" for name, pool in fleet.pools.items())
        nodes = f"{task.nodes} nodes, each " if task.nodes != 1 else ""
        wanted = " or ".join(dict.fromkeys(choice.describe() for choice in task.choices))
        return f"no pool could ever give it {nodes}{wanted}; there is {', '.join(there) or 'nothing'}"

    def logs(self, run: Run, rank: int, offset: int, limit: int) -> bytes:
        """Output of one rank of a run; OutsideError when its engine is not here or does not answer."""
        return self._driver(run).logs(run.id, rank, offset, limit)

    def logs_from(self, run: Run, rank: int) -> int | None:
        """First byte of the output of one rank that is still kept; None when nothing of the run is."""
        return self._driver(run).logs_from(run.id, rank)

    def ready(self) -> str | None:
        """Why the loop does not do its work; None when it does."""
        health = self.service.health
        if health.broken:
            return f"the control loop stopped: {health.broken}"
        if health.failing:
            return f"the control loop cannot look: {health.failing}"
        return None if health.looks else "the control loop did not look yet"

    def lines(self) -> list[str]:
        """Measures of the loop since this process began."""
        self._count()
        health = self.service.health
        found = [
            "# HELP argosy_tick_seconds Time that one look of the control loop takes.",
            "# TYPE argosy_tick_seconds histogram",
            *histogram("argosy_tick_seconds", (), BOUNDS_SECONDS, health.times.counts, health.times.total_seconds),
        ]
        for name, value, about in (
            ("started", health.started, "Runs that were started."),
            ("placed", health.placed, "Jobs that were given a place."),
            ("evicted", health.evicted, "Runs that were asked to leave for dearer work."),
            ("swept", health.swept, "Resources without an owner that were stopped."),
            ("discarded", health.discarded, "Changes that came too late and were not made."),
        ):
            found += family(f"argosy_{name}_total", "counter", about, [((), float(value))])
        leads = [((), 1.0 if health.leads else 0.0)]
        found += family("argosy_leads", "gauge", "Whether this replica places jobs.", leads)
        for name, word, about, counts in (
            ("events", "kind", "Changes of state in the store, by kind.", self.events),
            ("recoveries", "reason", "Jobs that lost their run and are started again, by reason.", self.recoveries),
        ):
            rows = [(((word, key),), float(count)) for key, count in sorted(counts.items())]
            found += family(f"argosy_{name}_total", "counter", about, rows)
        return found

    def _driver(self, run: Run) -> Driver:
        driver = self.control.drivers.get(run.driver)
        if driver is None:
            raise OutsideError(f"there is no driver {run.driver} in this process")
        return driver

    def _ask(self) -> None:
        """Ask all engines for their capacity, unless that was done just now."""
        with self.lock:
            now = self.control.clock.monotonic_seconds()
            if self.asked_at is not None and now - self.asked_at < FRESH_SECONDS:
                return
            known, unknown = {}, {}
            for name, driver in self.control.drivers.items():
                try:
                    known[name] = driver.capacity()
                except ArgosyError as error:
                    unknown[name] = str(error)
            self.known, self.unknown, self.asked_at = known, unknown, now

    def _count(self) -> None:
        """Count the events that came since the last time."""
        with self.lock:
            while page := self.control.store.events(after=self.seen, limit=PAGE):
                self.seen = page[-1].number
                for event in page:
                    self.events[event.kind] += 1
                    job = event.body.get("job") or {}
                    if job.get("status") == "RECOVERING":
                        self.recoveries[str(job.get("reason", "unknown"))] += 1

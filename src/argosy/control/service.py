"""Service: the loop in a thread of its own, looking again when something was committed or when time is due.

`argosy up` makes one for each process, `argosy launch` one for as long as its job runs. A look that fails because the
outside does not answer is told once and tried again; a bug stops the loop and makes the service unhealthy.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from argosy.control.loop import Control, Look
from argosy.control.tick_times import Times
from argosy.errors import Conflict, OutsideError

IDLE_SECONDS = 1.0
"""Longest time between two looks."""
BUSY_SECONDS = 0.05
"""Time between looks while something happens."""
_log = logging.getLogger("argosy.control")


@dataclass(slots=True)
class Health:
    """How the loop is."""

    looks: int = 0
    leads: bool = False
    failing: str = ""
    """Why the last look failed; empty when it did not."""
    broken: str = ""
    """The bug that stopped the loop; empty while it runs."""
    last: Look = field(default_factory=Look)
    times: Times = field(default_factory=Times)
    started: int = 0
    placed: int = 0
    evicted: int = 0
    swept: int = 0
    discarded: int = 0
    moved: int = 0
    beats: int = 0
    """Times that leases were prolonged in the middle of a look."""


class Service:
    """A control loop that runs until it is stopped."""

    def __init__(self, control: Control, *, workers: int = 8, idle_seconds: float = IDLE_SECONDS) -> None:
        self.control, self.idle_seconds = control, idle_seconds
        self.health = Health()
        self.threads = ThreadPoolExecutor(workers, thread_name_prefix="argosy-engine")
        control.spread = self.threads.map
        self.stopping = threading.Event()
        self.looked = threading.Condition()
        self.thread = threading.Thread(target=self._run, name="argosy-control", daemon=True)
        self.heart = threading.Thread(target=self.beat_until, name="argosy-heartbeat", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self.thread.start()
        self.heart.start()

    def stop(self, seconds: float = 10.0) -> None:
        """End after the present look and give the lead back. Runs go on."""
        self.stopping.set()
        self.control.store.wake()
        self.thread.join(seconds)
        self.threads.shutdown(wait=False, cancel_futures=True)

    def wait_for_look(self, looks: int, seconds: float) -> bool:
        """Wait until more than so many looks were made."""
        with self.looked:
            return self.looked.wait_for(lambda: self.health.looks > looks or bool(self.health.broken), seconds)

    def beat_until(self, wait: Callable[[float], bool] | None = None) -> None:
        """Keep the leases of a look that takes long, three times in each lease, until `wait` says that it is over.

        The placement of a large fleet, or an engine that answers slowly, may take longer than a lease; that alone must
        not lose the lead. A process that stands still stops this thread too.
        """
        wait = wait or self.stopping.wait
        while not wait(self.control.rules.lease_seconds / 3):
            try:
                self.health.beats += self.control.beat()
            except OutsideError as error:
                _log.warning("leases were not prolonged", extra={"error": str(error)})

    def _run(self) -> None:
        try:
            while not self.stopping.is_set():
                self._once()
            self.control.retire()
        except OutsideError as error:
            _log.warning("the lead was not given back", extra={"error": str(error)})
        except Exception as error:
            self.health.broken = f"{type(error).__name__}: {error}"
            _log.exception("the control loop stopped on a bug")
            with self.looked:
                self.looked.notify_all()

    def _once(self) -> None:
        health, clock = self.health, self.control.clock
        commits = self.control.store.commits
        begin = clock.monotonic_seconds()
        pause = self.idle_seconds
        try:
            look = self.control.look()
        except (OutsideError, Conflict) as error:
            if str(error) != health.failing:
                _log.warning("a look failed", extra={"error": str(error)})
            health.failing, health.leads = str(error), False
        else:
            if look.failing and look.failing != health.failing:
                _log.warning("a look failed", extra={"error": look.failing})
            health.failing, health.leads, health.last = look.failing, look.leads, look
            health.started += look.started
            health.placed += look.outcome.placed
            health.evicted += look.outcome.evicted
            health.swept += look.swept
            health.moved += look.outcome.moved
            health.discarded += look.discarded
            commits = self.control.store.commits  # its own writing is no news
            pause = BUSY_SECONDS if look.busy else self.idle_seconds
        health.times.add(clock.monotonic_seconds() - begin)
        with self.looked:
            health.looks += 1
            self.looked.notify_all()
        if not self.stopping.is_set():
            self.control.store.wait(commits, pause)

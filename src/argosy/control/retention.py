"""Retention: removes what runs that ended left on engines, by age and by room, and never anything that may live.

A run's files go once the store has kept how it ended: its log, its scripts, the folder that it worked in. The exit
records and the fence of a job go with its last files, when the job itself ended that long ago; until then a start that
comes late finds that the work is done. The replica that leads does this, in a thread of its own; each step may be cut
off anywhere and is made again.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from argosy.clock import Clock
from argosy.errors import OutsideError
from argosy.model.job import JOB_ENDS
from argosy.run.driver import Driver, Keeps, Kept
from argosy.run.rules import Retention
from argosy.store import Store

_log = logging.getLogger("argosy.control")


@dataclass(slots=True)
class Removed:
    """What one pass removed."""

    runs: int = 0
    jobs: int = 0
    size_bytes: int = 0


class Cleaner:
    """Removes what is kept no longer, again and again."""

    def __init__(self, store: Store, drivers: Mapping[str, Driver], rules: Retention, clock: Clock) -> None:
        self.store, self.drivers, self.rules, self.clock = store, drivers, rules, clock
        self.ended: dict[str, datetime] = {}
        """When runs ended that are still kept: an end never changes."""
        self.sizes_bytes: dict[str, int] = {}
        self.stopping = threading.Event()
        self.thread: threading.Thread | None = None

    def start(self, leads: Callable[[], bool]) -> None:
        """Pass now and then while this replica leads."""
        self.thread = threading.Thread(target=self._run, args=(leads,), name="argosy-retention", daemon=True)
        self.thread.start()

    def stop(self, seconds: float = 10.0) -> None:
        """End after the present run."""
        self.stopping.set()
        if self.thread is not None:
            self.thread.join(seconds)

    def _run(self, leads: Callable[[], bool]) -> None:
        while not self.stopping.is_set():
            if leads():
                try:
                    self.clean()
                except OutsideError as error:  # the store did not answer
                    _log.warning("nothing was cleared away", extra={"error": str(error)})
            self.stopping.wait(self.rules.every_seconds if leads() else min(1.0, self.rules.every_seconds))

    def clean(self) -> Removed:
        """One pass over all engines. An engine that cannot be asked, or fails on the way, is left for the next."""
        done = Removed()
        for name, driver in self.drivers.items():
            if not isinstance(driver, Keeps):
                continue  # its engine clears away by itself
            try:
                self._clean(driver, driver, done)
            except OutsideError as error:
                _log.warning("an engine was not cleared", extra={"driver": name, "error": str(error)})
        if done.runs or done.jobs:
            told = {"runs": done.runs, "jobs": done.jobs, "bytes": done.size_bytes}
            _log.info("cleared away what ended", extra=told)
        return done

    def _clean(self, driver: Driver, keeps: Keeps, done: Removed) -> None:
        kept = [one for one in keeps.kept() if one.job.startswith(f"{self.store.id}-")]
        now, rules = self.store.now(), self.rules
        runs = sorted((at, one.run) for one in kept if one.run is not None and (at := self._ended_at(one)) is not None)
        if not kept:
            return
        held = {resource.run for resource in driver.list_by_tag()} if runs else set()
        old = now - timedelta(days=rules.ended_days)
        young = now - timedelta(hours=rules.least_hours)
        for run in {run for _, run in runs} - self.sizes_bytes.keys():
            if self.stopping.is_set():
                return
            self.sizes_bytes[run] = keeps.kept_bytes(run)
        left_bytes = sum(self.sizes_bytes[run] for _, run in runs)
        most_bytes = float("inf") if rules.ended_gib is None else rules.ended_gib * 2**30
        for at, run in runs:  # the oldest first
            if self.stopping.is_set():
                return
            if run in held or not (at <= old or (left_bytes > most_bytes and at <= young)):
                continue
            if keeps.forget(run):
                size_bytes = self.sizes_bytes.pop(run)
                self.ended.pop(run, None)
                left_bytes -= size_bytes
                done.runs += 1
                done.size_bytes += size_bytes
        jobs = self.store.jobs_named(sorted({one.job for one in kept if one.run is None}))
        for name, job in jobs.items():
            over = job.status in JOB_ENDS and job.finished_at is not None and job.finished_at <= old
            if over and not self.stopping.is_set():
                done.jobs += keeps.forget_job(name)

    def _ended_at(self, one: Kept) -> datetime | None:
        """When a run ended by the store's word; None while it has not, or where the store does not know it."""
        assert one.run is not None
        if one.run not in self.ended:
            run = self.store.run(one.run)
            if run is None or run.finished_at is None:
                return None
            self.ended[one.run] = run.finished_at
        return self.ended[one.run]

"""Resumes: what waiting jobs go on from, what it takes to bring that elsewhere, and how far they are (R11, R12, R15).

A job is looked at once for each epoch that ended: behind the fence nothing can be added that counts. A checkpoint lies
in the region of the run that wrote it; one in a region that a residency rule excludes is not used.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from argosy.control.world import ControlWorld
from argosy.errors import OutsideError
from argosy.model.job import Job, Run
from argosy.model.load import Residency
from argosy.model.routes import Carried
from argosy.model.task import Task, folder_of
from argosy.run.checkpoints import Found, find_checkpoint
from argosy.store import AnyStore

Find = Callable[[Task, str, int, Collection[str]], Found | None]
"""Task, job, last epoch that may have begun, checkpoints that were gone on from: the newest complete one."""


def on_disk(hash_gib: float) -> Find:
    """Looks into the folder that the task declares; content is compared up to so many GiB."""

    def find(task: Task, job: str, last_epoch: int, known: Collection[str]) -> Found | None:
        assert task.placement.checkpoint is not None
        return find_checkpoint(
            task.placement.checkpoint.prefix, job, last_epoch=last_epoch, known=known, hash_gib=hash_gib
        )

    return find


@dataclass(frozen=True, slots=True)
class Resume:
    """A checkpoint that a waiting job goes on from."""

    path: str | None
    """Its folder; None where the work finds it by itself below a URL."""
    region: str
    """Where it lies."""
    gib: float | None
    """Its size; None where nobody knows it, and then nothing is charged for it."""
    hash: str | None
    lost_seconds: float | None
    """Work of the last run that is lost: from the checkpoint to the run's end; None where nobody knows it."""
    kept_hours: float = 0.0
    """R15: work that is in it."""

    def carried(self, world: ControlWorld, region: str) -> Carried | str | None:
        """R12: what it takes to bring it to a region; why that is not known; None where its size is not."""
        return None if self.gib is None else world.carried(self.region, region, self.gib)


@dataclass(slots=True)
class Resumes:
    """Finds them, and remembers what it found."""

    store: AnyStore
    find: Find
    world: ControlWorld
    found: dict[tuple[str, int], Resume | None] = field(default_factory=dict)
    """Job and its epoch to what its next run goes on from."""
    kept: dict[str, float] = field(default_factory=dict)
    """Run to the work that was in what it went on from."""

    def kept_before(self, runs: Sequence[Run], tasks: Mapping[str, Task], jobs: Mapping[str, Job]) -> dict[str, float]:
        """R15: of runs, the hours of work that each went on from; looked up once for each run."""
        seen = {}
        for run in runs:
            if run.id in self.kept or run.resume_region is None:
                seen[run.id] = self.kept.get(run.id, 0.0)
                continue
            checkpoint = tasks[jobs[run.job].task_hash].placement.checkpoint
            before = [old for old in self.store.runs(run.job) if old.epoch < run.epoch and old.status != "RETURNED"]
            seen[run.id] = kept_hours(before, {}, None if checkpoint is None else checkpoint.every_seconds)
        self.kept = seen
        return seen

    def of(self, jobs: Sequence[Job], tasks: Mapping[str, Task]) -> tuple[dict[str, Resume], dict[str, str]]:
        """Of jobs that wait for a further run: what each goes on from, and why that could not be found out."""
        resumes: dict[str, Resume] = {}
        troubles: dict[str, str] = {}
        seen = {}
        for job in jobs:
            task = tasks[job.task_hash]
            if job.run is not None or job.cancel or job.epoch == 0 or task.placement.checkpoint is None:
                continue
            key = (job.id, job.epoch)
            try:
                seen[key] = self.found[key] if key in self.found else self._look(job, task)
            except OutsideError as error:
                troubles[job.id] = str(error)
                continue
            made = seen[key]
            if made is not None and self._allowed(task, made.region):
                resumes[job.id] = made
        self.found = seen
        return resumes, troubles

    def _look(self, job: Job, task: Task) -> Resume | None:
        begun = [run for run in self.store.runs(job.id) if run.status != "RETURNED"]
        if not begun:
            return None
        last = begun[-1]
        checkpoint = task.placement.checkpoint
        assert checkpoint is not None
        if folder_of(checkpoint.prefix) is None:
            kept = kept_hours(begun, {}, checkpoint.every_seconds)
            return Resume(None, last.region, checkpoint.gib or None, None, None, kept)
        known = {run.resume_from for run in begun if run.resume_from is not None}
        found = self.find(task, job.id, last.epoch, known)
        if found is None:
            return None
        by_epoch: dict[int, Run] = {run.epoch: run for run in begun}
        if found.epoch not in by_epoch:
            return None
        lost = None
        if found.epoch == last.epoch and last.finished_at is not None:
            lost = max(0.0, (last.finished_at - found.at).total_seconds())
        older = [run for run in begun if run.epoch <= found.epoch]
        kept = kept_hours(older, {found.epoch: found.at}, checkpoint.every_seconds)
        return Resume(found.path, by_epoch[found.epoch].region, found.gib, found.hash, lost, kept)

    def _allowed(self, task: Task, region: str) -> bool:
        rules: tuple[Residency, ...] = (task.placement.residency, self.world.residency)
        return all(self.world.allows(rule, region) for rule in rules)


def kept_hours(begun: Sequence[Run], saved: Mapping[int, datetime], every_seconds: float | None) -> float:
    """R15: hours of work in the newest checkpoint of runs that went on from one another, oldest first.

    `saved` is epoch to when the newest checkpoint of that run was complete. Of other runs all counts but what they may
    not have saved at their end: the time between two checkpoints, or everything where the task does not say that.
    """
    total = 0.0
    for run in begun:
        if run.resume_region is None:
            total = 0.0  # from the beginning
        if run.started_at is None:
            continue
        end = saved.get(run.epoch)
        if end is None and run.finished_at is not None and every_seconds is not None:
            end = run.finished_at - timedelta(seconds=every_seconds)
        if end is not None:
            total += max(0.0, (end - run.started_at).total_seconds()) / 3600
    return total

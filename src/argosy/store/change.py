"""Change: what is to become different, and what must still be true for it.

A change names the version of the job that it was decided on, and the token of the run where it touches one. If either
is no longer so, the whole change is discarded: whoever decided it looked at an old world.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from argosy.model.copy import Copy
from argosy.model.job import JOB_STEPS, RUN_STEPS, Job, Run


@dataclass(frozen=True, slots=True)
class NewRun:
    """A run to be made for a job; the store gives it id, epoch, token and lease."""

    driver: str
    pool: str
    vendor: str
    region: str
    choice: int
    usd_per_hour: float | None
    resume_from: str | None = None
    resume_region: str | None = None
    resume_hash: str | None = None
    resume_gib: float | None = None
    resume_usd: float | None = None
    resume_hours: float | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """One step of one job and at most one run of it."""

    kind: str
    """What happened, one word."""
    job: str
    version: int
    """The job's version that this was decided on."""
    job_fields: Mapping[str, Any] = field(default_factory=dict)
    """Fields of the job and their new values."""
    run: str | None = None
    token: str | None = None
    """Token of the run; must be the present one."""
    run_fields: Mapping[str, Any] = field(default_factory=dict)
    """Fields of the run and their new values."""
    new_run: NewRun | None = None
    """A run to make; then `run` is None."""
    penalties: Mapping[str, float] = field(default_factory=dict)
    """Location to the weight it has from now on."""
    note: Mapping[str, Any] = field(default_factory=dict)
    """Anything else worth keeping with the event: the runner-up, the engine's words."""
    drop_secrets: bool = False
    """Whether values of secrets are no longer needed."""


@dataclass(frozen=True, slots=True)
class CopyChange:
    """One step of one copy: what it is from now on, and the version of it that this was decided on (0: none yet)."""

    kind: str
    """What happened, one word."""
    copy: Copy
    version: int


def illegal(before: Job, after: Job, run_before: Run | None, run_after: Run | None) -> str | None:
    """R1, R2: why a step is none of those that exist; None when it is one."""
    if after.status != before.status and after.status not in JOB_STEPS[before.status]:
        return f"job {before.id}: {before.status} to {after.status}"
    if run_after is None:
        return None
    if run_before is None:
        return None if run_after.status == "LEASED" else f"run {run_after.id}: begins as {run_after.status}"
    if run_after.status != run_before.status and run_after.status not in RUN_STEPS[run_before.status]:
        return f"run {run_before.id}: {run_before.status} to {run_after.status}"
    return None


def stamped(fields: Mapping[str, Any], at: datetime, before: Job) -> dict[str, Any]:
    """The job's fields with the instants that follow from a change of state."""
    made = dict(fields)
    status = made.get("status", before.status)
    if status != before.status or made.get("reason", before.reason) != before.reason:
        made["changed_at"] = at
    if status in ("SUCCEEDED", "FAILED", "CANCELLED") and before.finished_at is None:
        made["finished_at"] = at
    return made

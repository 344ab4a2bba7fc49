"""Job, run and event: what the control plane remembers, and the only changes of state that exist.

A job is the intent and is never created twice; a run is one attempt on one placement. Both are folds over events: an
event holds the fields that changed. The store writes both in one transaction; replaying the events gives the same rows.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal, get_args

from argosy.record import Id, Record

JobStatus = Literal["PENDING", "STARTING", "RUNNING", "RECOVERING", "CANCELLING", "SUCCEEDED", "FAILED", "CANCELLED"]
RunStatus = Literal[
    "LEASED",
    "PROVISIONING",
    "RUNNING",
    "UNREACHABLE",
    "TERMINATING",
    "SUCCEEDED",
    "FAILED",
    "PREEMPTED",
    "CANCELLED",
    "RETURNED",
    "EXPIRED",
]
JOB_STATUSES: tuple[JobStatus, ...] = get_args(JobStatus)
RUN_STATUSES: tuple[RunStatus, ...] = get_args(RunStatus)
JOB_ENDS: frozenset[JobStatus] = frozenset({"SUCCEEDED", "FAILED", "CANCELLED"})
RUN_ENDS: frozenset[RunStatus] = frozenset({"SUCCEEDED", "FAILED", "PREEMPTED", "CANCELLED", "RETURNED", "EXPIRED"})
RUN_ACTIVE: frozenset[RunStatus] = frozenset(RUN_STATUSES) - RUN_ENDS

JOB_STEPS: dict[JobStatus, frozenset[JobStatus]] = {
    "PENDING": frozenset({"STARTING", "CANCELLING", "CANCELLED", "FAILED"}),
    "STARTING": frozenset({"PENDING", "RUNNING", "RECOVERING", "CANCELLING", "SUCCEEDED", "FAILED", "CANCELLED"}),
    "RUNNING": frozenset({"RECOVERING", "CANCELLING", "SUCCEEDED", "FAILED", "CANCELLED"}),
    "RECOVERING": frozenset({"STARTING", "RUNNING", "CANCELLING", "SUCCEEDED", "FAILED", "CANCELLED"}),
    "CANCELLING": frozenset({"CANCELLED", "SUCCEEDED", "FAILED"}),
    "SUCCEEDED": frozenset(),
    "FAILED": frozenset(),
    "CANCELLED": frozenset(),
}
"""R1: which states may follow a state of a job."""
_TO_END: frozenset[RunStatus] = RUN_ENDS | {"UNREACHABLE", "TERMINATING"}
RUN_STEPS: dict[RunStatus, frozenset[RunStatus]] = {
    "LEASED": _TO_END | {"PROVISIONING", "RUNNING"},
    "PROVISIONING": _TO_END | {"RUNNING"},
    "RUNNING": _TO_END - {"RETURNED"},
    "UNREACHABLE": RUN_ENDS | {"PROVISIONING", "RUNNING", "TERMINATING"},
    "TERMINATING": RUN_ENDS,
    **{end: frozenset() for end in RUN_ENDS},
}
"""R2: which states may follow a state of a run."""


class Job(Record):
    """The intent."""

    id: Id
    """Unique; sorts by time of submission."""
    project: Id
    """Project that it belongs to."""
    name: str
    """The task's name."""
    task_hash: str
    """SHA-256 of the task."""
    status: JobStatus = "PENDING"
    """State."""
    reason: str = "Queued"
    """Why it is in this state, one word in Kueue's style."""
    message: str = ""
    """The same for people."""
    cancel: bool = False
    """Whether its end was asked for."""
    epoch: int = 0
    """Epoch of the newest run; a run with a lower one may commit nothing."""
    errors: int = 0
    """Runs that failed by the task's own fault."""
    run: Id | None = None
    """The active run; None between runs."""
    not_before: datetime | None = None
    """Earliest next attempt; None: now."""
    exit_code: int | None = None
    """Exit code of the run that ended it; None while it has none."""
    created_at: datetime
    """Submission."""
    changed_at: datetime
    """Last change of state (lastTransitionTime)."""
    finished_at: datetime | None = None
    """End."""
    version: int = 0
    """Number of the event that last changed it; a change says which version it was made for."""


class Run(Record):
    """One attempt on one placement."""

    id: Id
    """Unique; the tag of everything that an engine makes for it."""
    job: Id
    """Its job."""
    epoch: int
    """1 for the first run of a job, then counting; given to the workers."""
    status: RunStatus = "LEASED"
    """State."""
    reason: str = "Placed"
    """Why it is in this state."""
    message: str = ""
    """The same for people."""
    driver: str
    """Driver that starts it, by the name given to it in the settings."""
    pool: str
    """Pool that it was placed in."""
    vendor: str
    """Vendor of the pool."""
    region: str
    """Region of the pool."""
    choice: int = 0
    """Position of the task's choice that was taken."""
    usd_per_hour: float | None = None
    """Internal price of all its capacity; None when no price is known."""
    token: str
    """Lease token: a change must name it, so that a replica that lost the run can change nothing."""
    lease_owner: str
    """Replica that looks after it."""
    lease_expires_at: datetime
    """When another replica may take it over."""
    nodes: tuple[str, ...] = ()
    """Nodes that it runs on, by rank; empty until the engine says."""
    seen_at: datetime | None = None
    """Last time that its engine was seen to know it."""
    unreachable_since: datetime | None = None
    """Since when it was not seen; None while it is."""
    created_at: datetime
    """When it was placed."""
    started_at: datetime | None = None
    """When its work was first seen to run."""
    finished_at: datetime | None = None
    """End."""
    exit_code: int | None = None
    """Exit code of its record; None when it left none."""
    manifest_hash: str | None = None
    """Hash over what it wrote, from its exit record."""
    resume_from: str | None = None
    """Checkpoint that it goes on from; None begins anew, or the work finds it below its prefix by itself."""
    resume_region: str | None = None
    """Region that the checkpoint lies in; None where there is none."""
    resume_hash: str | None = None
    """Hash over the checkpoint, from its manifest; None where only a mark says that it is complete."""
    resume_gib: float | None = None
    """Size of the checkpoint; None where nobody knows it."""
    resume_usd: float | None = None
    """What carrying it to this region was charged; 0 within a region."""
    resume_hours: float | None = None
    """Time that carrying it takes at the median throughput of the link."""
    moving_to: str | None = None
    """Pool for whose sake it was asked to leave, while it moves."""
    version: int = 0
    """Number of the event that last changed it."""


class Event(Record):
    """One change. State is a fold over events."""

    number: int
    """Counts from 1 without gaps in the order of commitment."""
    at: datetime
    """When it was committed, by the store's clock."""
    kind: str
    """What happened, one word."""
    job: str | None
    """Job that it changed."""
    run: str | None
    """Run that it changed."""
    body: dict[str, Any]
    """`job`, `run` and others: the fields that changed with their new values."""


class ExitRecord(Record):
    """What a run wrote, durably, before it ended."""

    job: str
    """Job."""
    run: str
    """Run."""
    epoch: int
    """Its fencing epoch."""
    exit_code: int
    """0 is success."""
    finished_at: datetime
    """By the node's clock."""
    manifest_hash: str | None = None
    """Hash over what it wrote; None when nothing was declared."""
    superseded: bool = False
    """Whether a newer epoch held the job when it wanted to commit; then nothing of it counts."""

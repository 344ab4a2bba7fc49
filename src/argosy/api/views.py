"""Views: what the interface takes and gives, as records. Tokens of leases and values of secrets are in none of them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from annotated_types import Len
from pydantic import ConfigDict, SecretStr, StringConstraints

from argosy.api.problem import FILE_NAME, NAME, TARGET, Place
from argosy.model.copy import Copy
from argosy.model.job import Event, Job, JobStatus, Run, RunStatus
from argosy.model.task import Task
from argosy.record import Id, Record, Text
from argosy.run.driver import EnginePool
from argosy.store.settle import Role

# Nobody but a replica needs these, and with a token anybody could be one.
HIDDEN = frozenset({"token", "lease_owner", "lease_expires_at"})


class Submission(Record):
    """A job to be submitted: the text of a task file, or a task that was read from one."""

    file: Annotated[str, Len(1, 2**20)] | None = None
    """Task file as text."""
    file_name: Annotated[str, StringConstraints(pattern=FILE_NAME)] | None = None
    """Name of the file, for messages; a task without a name takes it."""
    task: Task | None = None
    """Task as a record, instead of `file`."""
    name: Annotated[str, StringConstraints(pattern=NAME)] | None = None
    """Name that goes before the one in the file."""
    envs: dict[str, str] = {}
    """Variables; they go before those of the file."""
    secrets: dict[str, SecretStr] = {}
    """Values of secrets; they are kept apart and forgotten when the job ends."""
    folder: Text | None = None
    """Folder that paths in the file are relative to; within the project's own, except for admins."""


class RunView(Record):
    """One attempt on one placement."""

    id: str
    job: str
    epoch: int
    """1 for the first run of a job, then counting."""
    status: RunStatus
    reason: str
    message: str
    driver: str
    pool: str
    vendor: str
    region: str
    choice: int
    """Position of the task's choice that was taken."""
    usd_per_hour: float | None
    """Internal price of all its capacity; null when no price is known."""
    nodes: tuple[str, ...]
    """Nodes that it runs on, by rank."""
    seen_at: datetime | None
    unreachable_since: datetime | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    exit_code: int | None
    manifest_hash: str | None
    resume_from: str | None
    """Checkpoint that it goes on from; null where it begins anew or finds it by itself."""
    resume_region: str | None
    """Region that the checkpoint lies in."""
    resume_hash: str | None
    resume_gib: float | None
    resume_usd: float | None
    """What carrying it here was charged."""
    resume_hours: float | None
    """Time that carrying it takes at the median throughput of the link."""
    moving_to: str | None
    """Pool for whose sake it was asked to leave."""
    version: int

    @classmethod
    def of(cls, run: Run) -> RunView:
        """The view of a run."""
        return cls.model_construct(**{k: v for k, v in dict(run).items() if k not in HIDDEN})


class JobView(Record):
    """One job and its newest run."""

    id: str
    project: str
    name: str
    task_hash: str
    status: JobStatus
    reason: str
    message: str
    cancel: bool
    """Whether its end was asked for."""
    epoch: int
    errors: int
    """Runs that failed by the task's own fault."""
    not_before: datetime | None
    exit_code: int | None
    created_at: datetime
    changed_at: datetime
    finished_at: datetime | None
    version: int
    run: str | None
    """Newest run; null before the first."""
    vendor: str | None
    """Vendor of the newest run."""
    region: str | None
    """Region of the newest run."""
    pool: str | None
    """Pool of the newest run."""

    @classmethod
    def of(cls, job: Job, run: Run | None) -> JobView:
        """The view of a job with its newest run."""
        place = dict.fromkeys(("run", "vendor", "region", "pool"))
        if run is not None:
            place = {"run": run.id, "vendor": run.vendor, "region": run.region, "pool": run.pool}
        return cls.model_construct(**(dict(job) | place))


class JobPage(Record):
    """Jobs, newest first."""

    jobs: tuple[JobView, ...]
    next: str | None
    """Give it as `before` for the next page; null at the end."""


class Checked(Record):
    """A job that would be kept."""

    name: str
    task_hash: str
    """SHA-256 of the task; equal for equal work."""


class Submitted(Record):
    """Jobs that were kept, in the order of the request."""

    jobs: tuple[JobView, ...]
    checked: tuple[Checked, ...] = ()
    """With `dry_run`, what would be kept."""
    notes: tuple[Place, ...]
    """Fields of their files that are understood and not honoured, with what it would take."""


class JobDetail(Record):
    """One job with its task and all its runs."""

    job: JobView
    task: Task
    runs: tuple[RunView, ...]


class RunPage(Record):
    """Runs."""

    runs: tuple[RunView, ...]


class EventPage(Record):
    """Events in the order of commitment."""

    events: tuple[Event, ...]
    after: int
    """Give it as `after` for what comes next."""


class CopyView(Record):
    """A copy of data that was ordered."""

    id: str
    """`<dataset>@<region>`."""
    dataset: str
    from_region: str
    to_region: str
    gib: float
    usd: float
    """Price of the way, once."""
    hours: float
    """Time at the median throughput of the link."""
    status: str
    message: str
    """Why the last attempt failed."""
    attempts: int
    failures: int
    not_before: datetime | None
    readers: tuple[str, ...]
    decision: str
    ordered_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    charged_usd: float | None
    """What was charged; null until it is whole."""
    checksum: str | None

    @classmethod
    def of(cls, copy: Copy) -> CopyView:
        """The view of a copy."""
        return cls.model_construct(**{k: v for k, v in dict(copy).items() if k != "version"})


class Explanation(Record):
    """Why a job is where it is, or why it waits."""

    job: JobView
    decision: str | None
    """Decision that placed it, or the newest in which it had to wait; null when none is kept."""
    decided_at: datetime | None
    placed: tuple[dict[str, Any], ...]
    """Where it was placed, the runner-up, and what spoke against that."""
    unplaced: tuple[dict[str, Any], ...]
    """Why it waits: one excuse for every rule that stands in the way."""
    prices: tuple[dict[str, Any], ...]
    """Pools of that decision with the internal price that was charged there."""
    price_note: str | None
    """Where these prices come from."""
    copies: tuple[CopyView, ...]
    """Copies of the data that it reads."""
    runs: tuple[RunView, ...]
    events: tuple[Event, ...]
    """Its newest events."""


class DriverPool(Record):
    """One pool of one driver."""

    driver: str
    pool: EnginePool


class Cordon(Record):
    """Nothing new starts there."""

    model_config = ConfigDict(defer_build=False)  # as a body it is built by the route that takes it

    target: Annotated[str, StringConstraints(pattern=TARGET)]
    """Vendor, region, pool or node."""
    drain: bool = False
    """Whether what runs there is moved away."""


class Fleet(Record):
    """Capacity as it was last seen."""

    pools: tuple[DriverPool, ...]
    cordons: tuple[Cordon, ...]


class DecisionView(Record):
    """A placement that was decided."""

    id: str
    at: datetime
    placement: dict[str, Any]


class DecisionPage(Record):
    """Decisions, newest first."""

    placements: tuple[DecisionView, ...]
    next: str | None
    """Give it as `before` for the next page; null at the end."""


class NewKey(Record):
    """A key to be made."""

    model_config = ConfigDict(defer_build=False)

    project: Id
    role: Role


class KeyView(Record):
    """A key, without its secret."""

    id: str
    project: str
    role: Role
    revoked_at: datetime | None


class MadeKey(Record):
    """A key that was made; its secret is shown this once."""

    id: str
    project: str
    role: Role
    secret: str


class KeyPage(Record):
    """All keys."""

    keys: tuple[KeyView, ...]


class Health(Record):
    """Whether the process does its work."""

    status: str
    """`ok`, or why not."""
    version: str
    """Version of Argosy."""

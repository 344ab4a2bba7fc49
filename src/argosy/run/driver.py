"""Driver: what an engine must be able to do so that runs can be started on it, watched and stopped.

A driver is one file in `drivers/` with a class `Driver`; the file name is its kind. It keeps no state of its own that
it could not read back from its engine: after a crash a new instance with the same settings sees the same runs. Calls
may take time and are made outside transactions, from worker threads; each may be repeated, and twice is once.

Every call raises OutsideError when the engine cannot be asked. That is not an answer: unreachable is not dead.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Literal, Protocol, runtime_checkable

from annotated_types import Ge
from pydantic import SecretStr

from argosy.model.job import ExitRecord
from argosy.model.task import Choice, Task
from argosy.record import Id, Record

Seen = Literal["queued", "running", "ended", "absent"]
"""queued: known to the engine, not started. ended: it left; its exit record says how. absent: unknown or forgotten."""


EndedBy = Literal["time-limit", "out-of-memory", "operator"]
"""Reasons of an engine's end that are neither the work's own exit nor a failure of its place."""


class Node(Record):
    """One machine of the engine."""

    id: str
    """The engine's name of it."""
    ready: bool = True
    """Whether new work may start there."""
    accelerators: Annotated[float, Ge(0)] = 0.0
    """Accelerators in all."""
    free_accelerators: Annotated[float, Ge(0)] = 0.0
    """Accelerators that nobody uses."""
    cpus: Annotated[float, Ge(0)]
    """Cores in all."""
    free_cpus: Annotated[float, Ge(0)]
    """Cores that nobody uses."""
    memory_gib: Annotated[float, Ge(0)] | None = None
    """Memory; None when the engine does not say."""


class EnginePool(Record):
    """Interchangeable capacity of an engine: one vendor, region, type of chip and tier."""

    id: Id
    """Pool."""
    vendor: Id
    """Vendor, `local` for this machine."""
    region: Id
    """Region."""
    silicon: str | None
    """Type of chip; None for nodes without accelerators."""
    spot: bool = False
    """Whether it may be taken away."""
    nodes: tuple[Node, ...]
    """Its machines now; empty where the engine provisions on demand."""
    elastic_nodes: Annotated[int, Ge(0)] = 0
    """Further machines that the engine would provision."""
    usd_per_hour: Annotated[float, Ge(0)] | None = None
    """Price of one accelerator-hour (core-hour without accelerators), where the engine knows it."""
    paid: bool | None = None
    """Whether it is paid for whether used or not; None: machines that stand are, further ones that the engine would
    provision are not."""


class Order(Record):
    """Start this."""

    run: Id
    """Tag of everything that is made for it."""
    job: Id
    """Job."""
    epoch: int
    """Fencing epoch, given to every node in ARGOSY_EPOCH."""
    task: Task
    """What to start."""
    choice: Choice
    """The resources it was placed with."""
    pool: Id
    """Where."""
    avoid_nodes: tuple[str, ...] = ()
    """Nodes that failed it lately."""
    secrets: Mapping[str, SecretStr] = {}
    """Values of the task's secrets; never logged, never in an argument list."""
    checkpoint: str | None = None
    """Newest complete checkpoint to resume from; None starts at the beginning."""


class NodeSeen(Record):
    """One node of a run."""

    rank: Annotated[int, Ge(0)]
    """Its rank."""
    node: str
    """The engine's name of it."""
    state: Literal["running", "ended", "lost"]
    """lost: the engine says that the machine is gone."""
    exit_code: int | None = None
    """Exit code, when it ended and the engine knows it."""


class Observation(Record):
    """What an engine says of one run, now."""

    run: Id
    """Run."""
    seen: Seen
    """Its state on the engine."""
    nodes: tuple[NodeSeen, ...] = ()
    """Its nodes, by rank."""
    exit_code: int | None = None
    """Exit code by the engine's word; the exit record goes before it."""
    preempted: bool = False
    """Whether the engine took it away."""
    node_failed: bool = False
    """Whether a machine was lost under it."""
    ended_by: EndedBy | None = None
    """What the engine, or somebody through it, ended it for; None where that is not so, or not known."""
    message: str = ""
    """The engine's own words, for people."""


class Resource(Record):
    """Something that an engine holds under our tag, and that may cost money."""

    run: Id
    """Tag."""
    reference: str
    """The engine's name of it."""
    since: datetime | None
    """When it was made, by the engine's clock; None when it does not say."""


class Kept(Record):
    """What is kept of a job or of one run of it."""

    job: str
    """Job."""
    run: str | None
    """Run; None for the exit records and the fence of the job."""


class Driver(Protocol):
    """Starts runs on one engine."""

    def capacity(self) -> tuple[EnginePool, ...]:
        """Pools with their machines and what is free now."""

    def start(self, order: Order) -> None:
        """Start a run. Whatever already carries its tag is adopted instead of made again.

        Refused raises `StartRefused` with the reason: no capacity, or never possible here.
        """

    def observe(self, runs: Sequence[str]) -> dict[str, Observation]:
        """What the engine knows of each of these runs; one that it does not know is `absent`."""

    def exit_record(self, run: str) -> ExitRecord | None:
        """The record that the run wrote before it ended; None when there is none (yet)."""

    def fence(self, job: str, epoch: int) -> None:
        """From now on no run of the job with a lower epoch can commit an exit record or a checkpoint."""

    def stop(self, run: str, grace_seconds: float) -> None:
        """Ask it to end, and end it by force after the grace time. Unknown runs are stopped already."""

    def replace_node(self, order: Order, rank: int) -> None:
        """Start one rank again on another machine; the others go on. StartRefused where the engine cannot."""

    def logs(self, run: str, rank: int, offset: int, limit: int) -> bytes:
        """Output of one rank from a byte offset; empty when there is no more yet, or when that part was dropped."""

    def logs_from(self, run: str, rank: int) -> int | None:
        """First byte of a rank's output that is still kept; None when nothing of the run is kept any more."""

    def list_by_tag(self) -> tuple[Resource, ...]:
        """Everything that the engine holds under our tags."""

    def close(self) -> None:
        """Let go of connections. Runs go on."""


@runtime_checkable
class Keeps(Protocol):
    """A driver whose runs leave files that nobody but it removes."""

    def folder_id(self) -> str:
        """What tells its folder from every other; it goes where the folder goes."""

    def kept(self) -> tuple[Kept, ...]:
        """Runs of which files are kept, ended or not."""

    def kept_bytes(self, run: str) -> int:
        """Room that the files of a run take."""

    def forget(self, run: str) -> bool:
        """Remove all files of a run but its exit record; False while anything of it may still live."""

    def forget_job(self, job: str) -> bool:
        """Remove the exit records and the fence of a job; False while files of a run of it are kept.

        The caller knows that the job has ended, and that nobody will order a run of it any more.
        """

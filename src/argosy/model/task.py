"""Task: what a user asks to be run, in the words of a SkyPilot task file, reduced to what placement and drivers need.

`files` makes one from YAML, the store keeps it, drivers start it. Values of secrets are never part of a task.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import unquote, urlsplit

from annotated_types import Ge, Gt, Le, Len

from argosy.model.load import Residency
from argosy.record import Id, Record, Text
from argosy.units import Fraction, Usd

OnUnreachable = Literal["wait", "fence-then-replace", "replace-now"]
RestartEvent = Literal["no-capacity", "interruption", "error"]

Name = Annotated[str, Len(1, 63)]
MOST_SECONDS = 10 * 365 * 86_400.0
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class Choice(Record):
    """One set of resources that a task accepts, for each of its nodes."""

    vendor: Id | None = None
    """Vendor, by our id; None accepts any."""
    region: Id | None = None
    """Region, as the vendor writes it; None accepts any."""
    zone: Text | None = None
    """Zone within the region; None accepts any."""
    silicon: Text | None = None
    """Type of chip as written, for example H100; None needs no accelerator."""
    accelerators: Annotated[float, Ge(0), Le(100_000)] = 0
    """Accelerators on each node; below 1 is a share of one."""
    cpus: Annotated[float, Gt(0), Le(100_000)] | None = None
    """Least CPU cores on each node; None: what comes with the rest."""
    memory_gib: Annotated[float, Gt(0), Le(10_000_000)] | None = None
    """Least memory on each node."""
    disk_gib: Annotated[float, Gt(0), Le(10_000_000)] | None = None
    """Least disk on each node."""
    instance_type: Text | None = None
    """Machine type of the vendor; None accepts any."""
    spot: bool = False
    """Whether capacity is asked for that may be taken away."""
    image: Text | None = None
    """Machine or container image."""

    def describe(self) -> str:
        """What a node gets of it, and where, in words."""
        parts = [f"{self.accelerators:g} {self.silicon or 'accelerators'}"] if self.accelerators else []
        parts += [] if self.cpus is None else [f"{self.cpus:g} cores"]
        parts += [] if self.memory_gib is None else [f"{self.memory_gib:g} GiB"]
        parts += [] if self.instance_type is None else [self.instance_type]
        place = "/".join(name for name in (self.vendor, self.region, self.zone) if name)
        return ", ".join(parts or ["a machine"]) + (" of spot" if self.spot else "") + (f" in {place}" if place else "")


class Recovery(Record):
    """What to do when the task ends without success."""

    max_restarts_on_errors: Annotated[int, Ge(0), Le(1_000_000)] = 0
    """Restarts after the task's own failure."""
    exit_codes: tuple[Annotated[int, Ge(0), Le(255)], ...] = ()
    """Exit codes that never count as the task's own failure."""
    on_events: tuple[RestartEvent, ...] = ("no-capacity", "interruption")
    """Which events lead to another attempt; `error` asks for restarts after the task's own failure."""
    max_wait_seconds: Annotated[float, Gt(0)] | None = None
    """How long attempts may go on without running; None: for ever."""
    eager_next_region: bool = False
    """Whether to leave the region at once when capacity was taken away, instead of trying it again first."""


class Checkpoint(Record):
    """Where the task writes its checkpoints."""

    prefix: Text
    """Place that every node can read and write: a path, `file://`, or a URL of an object store, which only the work
    itself looks into."""
    gib: Annotated[float, Ge(0)] = 0.0
    """Size of one checkpoint."""
    every_seconds: Annotated[float, Gt(0)] | None = None
    """How often one is written; what is lost when the task is stopped."""


def folder_of(prefix: str) -> Path | None:
    """The folder that a prefix names: a path, or a `file://` URL of this machine; None for any other URL."""
    if "://" not in prefix:
        return Path(prefix)
    parts = urlsplit(prefix)
    if parts.scheme != "file" or parts.netloc not in ("", "localhost"):
        return None
    return Path(unquote(parts.path))


class PlacementRules(Record):
    """The `placement:` block: what no other system's task file can say."""

    residency: Residency = Residency()
    """Where the task, its data and its checkpoints may be."""
    data: tuple[Id, ...] = ()
    """Datasets that must lie in the region where it runs."""
    checkpoint: Checkpoint | None = None
    """Checkpoints; None restarts from the beginning."""
    deadline: datetime | None = None
    """Instant by which it must be done."""
    work_hours: Annotated[float, Gt(0), Le(1e6)] | None = None
    """Hours that it is expected to work, on what it asks for; None: nobody knows, and it waits for no spot (P5.15)."""
    value_usd_per_hour: Usd | None = None
    """What an hour of it is worth; None: placed when capacity is free, after all that say their worth."""
    idempotent: bool = False
    """Whether two copies at once do no harm."""
    on_unreachable: OnUnreachable = "fence-then-replace"
    """What to do once its nodes could not be seen for the grace time."""
    unreachable_grace_seconds: Annotated[float, Ge(0)] = 300.0
    """How long its nodes may be out of sight before `on_unreachable` applies."""
    keep_healthy_nodes: bool = False
    """Whether one node may be replaced while the others go on."""


class Task(Record):
    """One thing to run."""

    name: Name
    """Name for people; need not be unique."""
    nodes: Annotated[int, Ge(1), Le(100_000)] = 1
    """Nodes, all or none."""
    choices: Annotated[tuple[Choice, ...], Len(min_length=1)] = (Choice(),)
    """Resources that would do."""
    ordered: bool = False
    """Whether the choices are in order of preference; otherwise the cheapest is taken."""
    setup: str | None = None
    """Shell script before the work, on every node."""
    run: str | None = None
    """Shell script of the work, on every node."""
    envs: dict[str, str] = {}
    """Environment; never secret."""
    secrets: tuple[str, ...] = ()
    """Names of secret environment variables; their values are kept apart."""
    workdir: Text | None = None
    """Folder that the work starts in, absolute."""
    file_mounts: dict[str, str | dict[str, Any]] = {}
    """Path on the node to what is put there: a path, a URL, or a store in SkyPilot's words."""
    service: dict[str, Any] | None = None
    """SkyPilot's service block, kept as written."""
    labels: dict[str, str] = {}
    """Labels for the engine."""
    ports: tuple[str, ...] = ()
    """Ports to open."""
    recovery: Recovery = Recovery()
    """What to do when it ends without success."""
    max_usd_per_hour: Annotated[float, Gt(0)] | None = None
    """Most that one hour may cost, all nodes together."""
    max_duration_seconds: Annotated[float, Gt(0)] | None = None
    """Longest time in RUNNING before it is stopped."""
    priority: Annotated[int, Ge(-1000), Le(1000)] = 0
    """Higher first among tasks of equal worth."""
    spot_goodput_fraction: Fraction = 0.9
    """Useful share of the time on spot capacity."""
    placement: PlacementRules = PlacementRules()
    """Residency, data, checkpoints, deadline, worth, and what may happen to it."""


def unfit(task: Task) -> str | None:
    """Why nothing could carry out a task though each of its fields is sound; None when that is not so.

    What is read from a file cannot be like this; a task that comes as a record can.
    """
    for name in (*task.envs, *task.secrets):
        if not _VARIABLE.fullmatch(name):
            return f"{name!r} is no name of a variable: letters, digits and _, no digit first"
    if twice := task.envs.keys() & set(task.secrets):
        return f"{min(twice)} is both a variable and a secret"
    if any("\0" in text for text in _texts(task.model_dump(mode="json"))):
        return "a text has a zero byte, which no process can be given"
    checkpoint = task.placement.checkpoint
    for seconds in (
        task.max_duration_seconds,
        task.recovery.max_wait_seconds,
        task.placement.unreachable_grace_seconds,
        None if checkpoint is None else checkpoint.every_seconds,
    ):
        if seconds is not None and seconds > MOST_SECONDS:
            return f"{seconds:g} seconds are more than ten years"
    return None


def _texts(value: Any) -> Iterator[str]:
    """Every text in a value, keys included."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from (key, *_texts(item))
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _texts(item)

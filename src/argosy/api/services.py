"""Services: what the interface stands on. Tests give a store alone, `argosy up` gives the control loop too."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from argosy.api.measures import Measures
from argosy.api.traces import Traces
from argosy.clock import Clock
from argosy.model.job import Run
from argosy.model.task import Task
from argosy.run.driver import EnginePool
from argosy.store import Store

MAX_BODY_BYTES = 8 * 2**20
FOLLOW_SECONDS = 3600.0


class Live(Protocol):
    """The control loop of this process, as far as the interface asks it."""

    def fleet(self) -> Sequence[tuple[str, EnginePool]]:
        """Pools as they were last seen, each with the name of its driver."""

    def logs(self, run: Run, rank: int, offset: int, limit: int) -> bytes:
        """Output of one rank of a run from a byte offset; OutsideError when its engine cannot be asked."""

    def logs_from(self, run: Run, rank: int) -> int | None:
        """First byte of the output of one rank that is still kept; None when nothing of the run is."""

    def ready(self) -> str | None:
        """Why the loop does not do its work now; None when it does."""

    def impossible(self, task: Task) -> str | None:
        """Why no pool that is known could ever run this; None when one could, or when not all pools are known."""

    def lines(self) -> list[str]:
        """Measures of the loop, for Prometheus."""


@dataclass(frozen=True, slots=True)
class Services:
    """What one application needs."""

    store: Store
    clock: Clock
    live: Live | None = None
    """None where no control loop runs in this process: capacity and output of jobs are then unknown."""
    projects: Path | None = None
    """Folder with one folder for each project, which its jobs may read; None lets no path in but an admin's."""
    max_body_bytes: int = MAX_BODY_BYTES
    follow_seconds: float = FOLLOW_SECONDS
    """When a stream of events ends, to be taken up again by its reader."""
    traces: Traces = field(default_factory=Traces)
    requests: Measures = field(default_factory=Measures)
    """Counts and durations of requests."""

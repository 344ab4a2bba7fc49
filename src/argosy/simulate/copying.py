"""Copying: an invented copier, and an invented disk of checkpoints, with everything that goes wrong with them.

The copier may never hear what it was told, forget what it did, fail, or answer nothing; its ledger of whole copies is
what the control loop is judged by.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from argosy.errors import OutsideError
from argosy.model.copy import Copy
from argosy.model.task import Task
from argosy.run.checkpoints import Found
from argosy.run.copier import ABSENT, COPYING, Progress
from argosy.simulate.engine import Engine, Save, VirtualClock


@dataclass(slots=True)
class CopyFaults:
    """How often each thing goes wrong with a call, as a chance. All 0 is a calm world."""

    lost_call: float = 0.0
    lost_answer: float = 0.0
    forgotten: float = 0.0
    """It knows nothing of an attempt that is under way or done."""
    failed: float = 0.0


@dataclass(slots=True)
class InventedCopier:
    """Copies take a while and may fail; an attempt that was forgotten may still come through."""

    clock: VirtualClock
    chance: Callable[[], float]
    hook: Callable[[str], None] = lambda _: None
    faults: CopyFaults = field(default_factory=CopyFaults)
    most_seconds: float = 40.0
    whole: list[tuple[str, datetime]] = field(default_factory=list)
    """Copies that became whole, each time that one did."""
    under_way: dict[str, tuple[datetime, bool]] = field(default_factory=dict)
    """Copy to when its attempt ends, and whether it will have failed."""
    attempts: list[tuple[str, str, str]] = field(default_factory=list)
    """Copy, from and to, of every attempt."""

    def begin(self, copy: Copy) -> None:
        """Begin an attempt."""
        self.hook("copier.begin")
        self._may_be_lost(self.faults.lost_call)
        self.attempts.append((copy.id, copy.from_region, copy.to_region))
        ends = self.clock.now() + timedelta(seconds=self.chance() * self.most_seconds)
        self.under_way[copy.id] = (ends, self.chance() < self.faults.failed)
        self._may_be_lost(self.faults.lost_answer)
        self.hook("copier.begin done")

    def look(self, copy: Copy) -> Progress:
        """How far it is, as far as it remembers."""
        self.hook("copier.look")
        self._may_be_lost(self.faults.lost_call)
        if copy.id not in self.under_way or self.chance() < self.faults.forgotten:
            return ABSENT
        ends, fails = self.under_way[copy.id]
        if ends > self.clock.now():
            return COPYING
        if fails:
            del self.under_way[copy.id]
            return Progress("failed", "the line broke")
        self.whole.append((copy.id, ends))
        return Progress("done", checksum="0")

    def calm(self) -> None:
        """From now on nothing goes wrong."""
        self.faults = CopyFaults()

    def close(self) -> None:
        """Nothing is held."""

    def _may_be_lost(self, often: float) -> None:
        if often > 0 and self.chance() < often:
            raise OutsideError("the copier does not answer")


@dataclass(slots=True)
class InventedDisk:
    """Where the invented engines' checkpoints are looked for."""

    engines: Iterable[Engine]
    chance: Callable[[], float]
    fails: float = 0.0

    def find(self, task: Task, job: str, last_epoch: int, known: Collection[str]) -> Found | None:
        """The newest that was committed."""
        if self.fails > 0 and self.chance() < self.fails:
            raise OutsideError("the disk of checkpoints does not answer")
        newest = self.newest(job, last_epoch)
        return None if newest is None else Found(newest.path, newest.epoch, newest.gib, None, newest.at)

    def newest(self, job: str, last_epoch: int) -> Save | None:
        """The newest committed checkpoint of epochs up to one."""
        saves = [save for engine in self.engines for save in engine.saves if save.job == job]
        return max(
            (save for save in saves if save.epoch <= last_epoch),
            key=lambda save: (save.epoch, save.done_seconds),
            default=None,
        )

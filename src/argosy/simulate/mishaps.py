"""Faults: what goes wrong between control and its world, drawn by seed; nothing at all once they have stopped.

M9   Calls to a vendor lose their effect, or only their answer; listings fail, show an older state or leave runs out;
     messages are lost, late, repeated and out of order. None of these happens more than twice in a row to one subject.
M10  A vendor's interface is silent for hours; a region loses its accelerators; a pool has run out; runs are taken away.
M11  The wall clock is wrong by up to an hour either way, in jumps. Control crashes after any write or call, losing its
     memory, and starts again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from argosy.clock import rng
from argosy.control.protocols import Sighting
from argosy.errors import OutsideError
from argosy.simulate.capacity import Capacity

QUIET_FRACTION = 0.8
"""Share of the simulated time after which nothing goes wrong any more."""
CALL_LOST, ANSWER_LOST = 0.04, 0.04
LIST_FAILS, LIST_OLD, RUN_LEFT_OUT = 0.05, 0.05, 0.02
MESSAGE_LOST, MESSAGE_TWICE, MESSAGE_LATE, LATE_HOURS = 0.10, 0.10, 0.25, 0.6
CRASH = 0.004
BEAT_HOURS = 0.25
IN_A_ROW = 2


class Crash(Exception):
    """Control stops where it stands, with all that it had in memory."""


class Skewed(Protocol):
    """The part of the virtual clock that faults use."""

    hours: float
    skew_seconds: Callable[[float], float]


@dataclass(frozen=True, slots=True)
class Spell:
    """Something that is wrong for a while."""

    subject: str
    begin_hours: float
    end_hours: float

    def covers(self, hours: float) -> bool:
        """Whether it is going on."""
        return self.begin_hours <= hours < self.end_hours


class Faults:
    """All faults of one simulation."""

    def __init__(self, seed: int, hours: float, vendors: Sequence[str], capacity: Capacity, clock: Skewed) -> None:
        self.seed, self.clock, self.capacity = seed, clock, capacity
        self.until_hours = QUIET_FRACTION * hours
        self.vendors = tuple(vendors)
        regions = sorted({capacity.region_of[pool] for pool in capacity.pools})
        self.silent = self._spells("silent", self.vendors, 40.0, 5.0)
        self.dark = self._spells("dark", regions, 80.0, 8.0)
        self.empty = self._spells("empty", capacity.pools, 40.0, 4.0)
        self._crash = rng(seed, "simulate", "crash")
        self._crashes = 0
        jumps = rng(seed, "simulate", "skew")
        count = int(jumps.integers(1, 6))
        at = np.sort(jumps.random(count)) * self.until_hours
        by = np.round(jumps.uniform(-3600, 3600, size=count), 3)

        def skew(now: float) -> float:
            seen = int(np.searchsorted(at, now, side="right"))
            return float(by[seen - 1]) if seen and now < self.until_hours else 0.0

        clock.skew_seconds = skew

    def _spells(self, what: str, subjects: Sequence[str], gap_hours: float, mean_hours: float) -> list[Spell]:
        found = []
        for subject in subjects:
            draw = rng(self.seed, "simulate", "faults", what, subject)
            at = float(draw.exponential(gap_hours))
            while at < self.until_hours:
                long = round(float(draw.exponential(mean_hours)), 3)
                found.append(Spell(subject, round(at, 3), min(round(at + long, 3), self.until_hours)))
                at += long + float(draw.exponential(gap_hours))
        return found

    @property
    def active(self) -> bool:
        """Whether anything may still go wrong."""
        return self.clock.hours < self.until_hours

    def standing(self, pool: str, hours: float) -> float:
        """M10: 0 while the pool's region is dark."""
        region = self.capacity.region_of[pool]
        return 0.0 if any(s.subject == region and s.covers(hours) for s in self.dark) else 1.0

    def events(self) -> list[tuple[float, str, str, str]]:
        """What happens by itself: regions go and come back, runs are taken away, runs say that they live."""
        found = [(at, "capacity", "", "") for spell in self.dark for at in (spell.begin_hours, spell.end_hours)]
        for vendor in self.vendors:
            draw = rng(self.seed, "simulate", "faults", "take", vendor)
            at = float(draw.exponential(12.0))
            while at < self.until_hours:
                found.append((round(at, 3), "take", vendor, str(int(draw.integers(1 << 30)))))
                at += float(draw.exponential(12.0))
        found += [(i * BEAT_HOURS, "beat", "", "") for i in range(1, int(self.until_hours / BEAT_HOURS))]
        return sorted(found)

    def crash(self) -> None:
        """M11: perhaps stop here."""
        if self.active and self._crashes < IN_A_ROW and float(self._crash.random()) < CRASH:
            self._crashes += 1
            raise Crash
        self._crashes = 0

    def channel(self, vendor: str) -> FaultyChannel:
        """The way to one vendor."""
        return FaultyChannel(self, vendor)


class FaultyChannel:
    """`simulate.vendors.Channel` on which things go wrong; M9."""

    def __init__(self, faults: Faults, vendor: str) -> None:
        self.faults, self.vendor = faults, vendor
        self._draw = rng(faults.seed, "simulate", "faults", "channel", vendor)
        self._row: dict[tuple[str, str], int] = defaultdict(int)
        self._before: Sequence[Sighting] = ()

    def _fails(self, what: str, subject: str, chance: float) -> bool:
        """Whether it goes wrong now: by chance, but at most twice in a row for one subject."""
        key = (what, subject)
        if not self.faults.active or self._row[key] >= IN_A_ROW or float(self._draw.random()) >= chance:
            self._row.pop(key, None)
            return False
        self._row[key] += 1
        return True

    def _silent(self) -> bool:
        now = self.faults.clock.hours
        return any(s.subject == self.vendor and s.covers(now) for s in self.faults.silent)

    def call(self, what: str, subject: str, effect: Callable[[], None]) -> None:
        """Perhaps nothing happens, perhaps it happens and nobody says so, perhaps control stops before or after."""
        self.faults.crash()
        if self._silent() or self._fails(what, subject, CALL_LOST):
            raise OutsideError(f"{self.vendor} does not answer")
        effect()
        self.faults.crash()
        if self._fails(f"{what} answer", subject, ANSWER_LOST):
            raise OutsideError(f"{self.vendor} did not say whether it did {what} {subject}")

    def listed(self, now: Sequence[Sighting]) -> Sequence[Sighting]:
        """Perhaps no answer, an older one, or one that leaves runs out."""
        self.faults.crash()
        if self._silent() or self._fails("list", "", LIST_FAILS):
            raise OutsideError(f"{self.vendor} does not answer")
        before, self._before = self._before, now
        if self._fails("old list", "", LIST_OLD):
            return before
        return [message for message in now if not self._fails("run in list", message.run, RUN_LEFT_OUT)]

    def deliveries_hours(self, now: float) -> tuple[float, ...]:
        """Perhaps never, perhaps twice, perhaps late and so behind later ones; nothing comes from a silent vendor."""
        if not self.faults.active:
            return (now,)
        if self._silent() or float(self._draw.random()) < MESSAGE_LOST:
            return ()
        copies = 2 if float(self._draw.random()) < MESSAGE_TWICE else 1
        late = [
            round(float(self._draw.exponential(LATE_HOURS)), 3) if float(self._draw.random()) < MESSAGE_LATE else 0.0
            for _ in range(copies)
        ]
        return tuple(now + wait for wait in late)

    def has_room(self, pool: str) -> bool:
        """Not while the pool has run out."""
        now = self.faults.clock.hours
        return not any(s.subject == pool and s.covers(now) for s in self.faults.empty)

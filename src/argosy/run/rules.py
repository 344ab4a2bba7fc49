"""Rules: how patient the control plane is. All of it is settings, none of it is looked up anywhere else."""

from __future__ import annotations

from typing import Annotated

from annotated_types import Ge, Gt

from argosy.record import Record
from argosy.units import Fraction

Seconds = Annotated[float, Ge(0)]


class Retention(Record):
    """How long files of runs that ended are kept on engines: logs, scripts and the folders that they worked in."""

    ended_days: Annotated[float, Ge(0)] = 30.0
    """They go so long after the end."""
    ended_gib: Annotated[float, Ge(0)] | None = 50.0
    """They go earlier, the oldest first, when those of one engine take more room than this; None: never."""
    least_hours: Annotated[float, Ge(0)] = 1.0
    """They stay at least so long, whatever room they take."""
    every_seconds: Annotated[float, Gt(0)] = 600.0
    """How often that is looked at."""


class RunRules(Record):
    """Times and weights by which runs are kept alive."""

    lease_seconds: Annotated[float, Gt(0)] = 10.0
    """How long a replica may be silent before another takes over its runs and the lead."""
    start_seconds: Annotated[float, Gt(0)] = 900.0
    """How long an engine may keep a run queued before another place is tried."""
    record_grace_seconds: Seconds = 20.0
    """How long to wait for the exit record of a run that the engine says has ended."""
    stop_grace_seconds: Seconds = 15.0
    """Time between asking work to end and ending it by force."""
    sweep_seconds: Annotated[float, Gt(0)] = 60.0
    """How often engines are asked for resources that nobody owns."""
    orphan_grace_seconds: Seconds = 120.0
    """How old a resource must be before it counts as an orphan."""
    first_backoff_seconds: Seconds = 2.0
    """Wait before the second attempt; it doubles with each further one that never ran."""
    most_backoff_seconds: Seconds = 300.0
    """Longest wait between attempts."""
    penalty_half_life_seconds: Annotated[float, Gt(0)] = 1800.0
    """Time in which the penalty of a location that failed halves."""
    checkpoint_hash_gib: Annotated[float, Ge(0)] = 1.0
    """Checkpoints up to this size are hashed before work goes on from them; larger ones are compared by the size of
    each file."""
    move_seconds: Annotated[float, Gt(0)] = 60.0
    """How often it is asked whether work that runs should be elsewhere."""
    move_after_seconds: Seconds = 600.0
    """How long work runs in a place before it may be moved from there."""
    longest_look_seconds: Annotated[float, Gt(0)] = 600.0
    """How long one look may take before its leases are let go."""
    avoid_fraction: Fraction = 0.25
    """A location is avoided while its penalty is at least this much."""

    def backoff_seconds(self, tries: int) -> float:
        """Wait after so many tries that came to nothing: it doubles, up to the most; none after none."""
        return min(self.first_backoff_seconds * 2.0 ** min(tries - 1, 60), self.most_backoff_seconds) if tries else 0.0

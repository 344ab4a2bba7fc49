"""Batch: inference or data work that may wait."""

from __future__ import annotations

from typing import ClassVar, Literal

from argosy.model.ask import Ask
from argosy.model.demand import Path
from argosy.model.horizon import Horizon
from argosy.model.load import Load
from argosy.model.pattern import Pattern
from argosy.model.silicon import Profile


class Workload(Load):
    """Batch demand, in H100-equivalents kept busy."""

    inference: ClassVar[bool] = True
    default_profile: ClassVar[Profile] = "batch_inference"
    pattern: ClassVar[Pattern] = Pattern(
        flows=False,
        night_fraction=0.6,
        weekend_fraction=0.7,
        median_hours=3.0,
        longest_hours=48.0,
        slack_ratio=4.0,
        checkpoint_every_hours=0.25,
        restart_hours=0.1,
    )
    kind: Literal["batch"] = "batch"
    h100_accelerators: Path
    """Accelerators it would keep busy if all were H100."""

    def asks(self, horizon: Horizon) -> tuple[Ask, ...]:
        """One row per home."""
        return self.rows(horizon, self.h100_accelerators)

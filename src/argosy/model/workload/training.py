"""Training: gangs that pretrain or fine-tune models."""

from __future__ import annotations

from typing import ClassVar, Literal

from argosy.model.ask import Ask
from argosy.model.demand import Path
from argosy.model.horizon import Horizon
from argosy.model.load import Load
from argosy.model.pattern import Pattern
from argosy.model.silicon import Profile


class Workload(Load):
    """Training demand, in H100-equivalents kept busy."""

    default_profile: ClassVar[Profile] = "pretraining"
    pattern: ClassVar[Pattern] = Pattern(
        flows=False,
        night_fraction=0.3,
        weekend_fraction=0.5,
        median_hours=16.0,
        checkpoint_every_hours=0.5,
        checkpoint_gib=10.0,
        restart_hours=0.25,
    )
    kind: Literal["training"] = "training"
    h100_accelerators: Path
    """Accelerators it would keep busy if all were H100."""

    def asks(self, horizon: Horizon) -> tuple[Ask, ...]:
        """One row per home."""
        return self.rows(horizon, self.h100_accelerators)

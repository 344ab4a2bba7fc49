"""Batch: inference or data work that may wait."""

from __future__ import annotations

from typing import ClassVar, Literal

from argosy.model.ask import Ask
from argosy.model.demand import Path
from argosy.model.horizon import Horizon
from argosy.model.load import Load
from argosy.model.silicon import Profile


class Workload(Load):
    """Batch demand, in H100-equivalents kept busy."""

    inference: ClassVar[bool] = True
    default_profile: ClassVar[Profile] = "batch_inference"
    kind: Literal["batch"] = "batch"
    h100_accelerators: Path
    """Accelerators it would keep busy if all were H100."""

    def asks(self, horizon: Horizon) -> tuple[Ask, ...]:
        """One row per home."""
        return self.rows(horizon, self.h100_accelerators)

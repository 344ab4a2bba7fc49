"""Agents: fleets of sandboxes on CPU servers. Their tokens are demand of a service and written there."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from annotated_types import Gt, Le

from argosy.model.ask import Ask
from argosy.model.demand import Path
from argosy.model.horizon import Horizon
from argosy.model.load import Load
from argosy.model.pattern import Pattern
from argosy.model.silicon import Profile


class Workload(Load):
    """Sandboxes that run at the same time; one unit of work is one reference CPU server for a month."""

    default_profile: ClassVar[Profile] = "agents"
    pattern: ClassVar[Pattern] = Pattern(night_fraction=0.25, weekend_fraction=0.5, noise_fraction=0.2)
    kind: Literal["agents"] = "agents"
    sandboxes: Path
    """Sandboxes running at the same time in the busy hours."""
    sandboxes_per_server: Annotated[float, Gt(0), Le(10_000)]
    """Sandboxes that one reference CPU server carries."""

    def asks(self, horizon: Horizon) -> tuple[Ask, ...]:
        """One row per home."""
        return self.rows(horizon, self.sandboxes.scaled(1 / self.sandboxes_per_server))

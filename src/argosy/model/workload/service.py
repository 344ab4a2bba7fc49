"""Service: interactive inference, written in accelerators or in tokens per second."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from annotated_types import Gt, Le
from pydantic import model_validator

from argosy.model.ask import Ask
from argosy.model.demand import Path
from argosy.model.horizon import Horizon
from argosy.model.load import Load
from argosy.model.pattern import Pattern
from argosy.model.silicon import Profile


class Workload(Load):
    """Interactive demand: H100-equivalents, or output tokens per second and what one H100 gives."""

    inference: ClassVar[bool] = True
    default_profile: ClassVar[Profile] = "interactive_inference"
    pattern: ClassVar[Pattern] = Pattern(night_fraction=0.4, weekend_fraction=0.8, noise_fraction=0.05)
    kind: Literal["service"] = "service"
    h100_accelerators: Path | None = None
    """Accelerators it would keep busy if all were H100."""
    tokens_per_second: Path | None = None
    """Output tokens per second in the busy hours that must be covered."""
    tokens_per_second_per_h100: Annotated[float, Gt(0), Le(1e6)] | None = None
    """Output tokens per second of one H100 within the service objective."""

    @model_validator(mode="after")
    def _one_demand(self) -> Workload:
        if (self.h100_accelerators is None) == (self.tokens_per_second is None):
            raise ValueError("write either h100_accelerators or tokens_per_second")
        if (self.tokens_per_second is None) != (self.tokens_per_second_per_h100 is None):
            raise ValueError("tokens_per_second and tokens_per_second_per_h100 go together")
        return self

    def asks(self, horizon: Horizon) -> tuple[Ask, ...]:
        """One row per home."""
        if self.tokens_per_second is not None and self.tokens_per_second_per_h100 is not None:
            return self.rows(horizon, self.tokens_per_second.scaled(1 / self.tokens_per_second_per_h100))
        assert self.h100_accelerators is not None
        return self.rows(horizon, self.h100_accelerators)

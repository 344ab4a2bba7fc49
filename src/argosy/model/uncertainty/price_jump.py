"""Price jump: list and spot prices that move between a few levels, up and down."""

from __future__ import annotations

import math
from typing import Annotated, Literal

import numpy as np
from annotated_types import Gt, Le, Len
from pydantic import model_validator

from argosy.model.chance import Effects, Streams, Subjects, stepwise
from argosy.model.horizon import Horizon
from argosy.model.uncertainty._open import OpenChance
from argosy.units import Fraction, Month

Levels = Annotated[tuple[Annotated[float, Gt(0), Le(20)], ...], Len(min_length=1, max_length=8)]


class Uncertainty(OpenChance):
    """S5: a price keeps its level for a random time, then takes a new level by its weight.

    Levels are few because the plan turns each one into a price tier of its own with random capacity. The default
    weights leave the mean at 1 (0.375 * 0.56 + 0.415 + 0.15 * 1.5 + 0.06 * 2.5 = 1). Public facts behind the levels:
    p5.48xlarge in us-east-1 fell from 98.32 to 55.04 USD per hour, a factor of 0.56, on 2025-06-05, and then stood
    still for 14 months (daily series of github.com/amorton45/aws-gpu-price-tracker, read 2026-08-22). Preemptible H100
    were listed at 4.76 USD when the same vendor sold them on demand at 3.29, a factor of 1.45
    (https://www.runpod.io/pricing, 2026-05-24). The median B200 offer of a spot market ranged over a factor of 2.4
    between February and June 2026 (github.com/cherielilili/gpu-pricing-tracker, read 2026-07-21).
    """

    kind: Literal["price_jump"] = "price_jump"
    levels_ratio: Levels = (0.56, 1.0, 1.5, 2.5)
    """Factors that a price can have; 1, today's price, is one of them."""
    weights_fraction: tuple[Fraction, ...] = (0.375, 0.415, 0.15, 0.06)
    """Chance of each level whenever the price is set anew; sums to 1."""
    mean_stay_months: Annotated[float, Gt(0), Le(1200)] = 12.0
    """Mean time between two settings of the price."""

    @model_validator(mode="after")
    def _levels_have_weights(self) -> Uncertainty:
        if len(set(self.levels_ratio)) != len(self.levels_ratio):
            raise ValueError("the levels must differ from each other")
        if 1.0 not in self.levels_ratio:
            raise ValueError("1, today's price, must be one of the levels; give it the weight 0 if it never comes back")
        if len(self.weights_fraction) != len(self.levels_ratio):
            raise ValueError(f"{len(self.levels_ratio)} levels need as many weights, not {len(self.weights_fraction)}")
        if abs(math.fsum(self.weights_fraction) - 1) > 1e-9:
            raise ValueError(f"the weights sum to {math.fsum(self.weights_fraction):g}, not 1")
        return self

    def draw(self, streams: Streams, subjects: Subjects) -> Effects:
        """One path for each group of contracts, with changes at the beginning of periods only."""
        factors: dict[str, dict[Month, float]] = {}
        for label, contracts in self.groups(subjects).items():
            path = self._path(streams.of(*label), subjects.horizon)
            factors.update(dict.fromkeys(contracts, path))
        return Effects(price_factor=factors)

    def _path(self, rng: np.random.Generator, horizon: Horizon) -> dict[Month, float]:
        """The level in the first month of each period. The first month of the plan has today's price."""
        chance = -math.expm1(-1 / self.mean_stay_months)
        bounds = np.cumsum(self.weights_fraction)
        moves, where = rng.random((horizon.months, 2)).T
        levels = np.ones(horizon.months)
        for month in np.flatnonzero(moves < chance).tolist():
            if month > 0:
                position = int(np.searchsorted(bounds, where[month], side="right"))
                levels[month:] = self.levels_ratio[min(position, len(self.levels_ratio) - 1)]
        return stepwise(horizon, levels[:: horizon.step_months])

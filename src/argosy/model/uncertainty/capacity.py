"""Capacity: spells in which little can be had without a commitment."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
import numpy.typing as npt
from annotated_types import Ge, Le, Lt
from pydantic import model_validator

from argosy.model.chance import Effects, Streams, Subjects, period_means, stepwise
from argosy.model.horizon import Horizon
from argosy.model.uncertainty._open import OpenChance
from argosy.units import Fraction, Month


class Uncertainty(OpenChance):
    """S6: what can be had is as written, or in a scarce spell a random share of it.

    The mean is below 1: 1 - scarce_fraction * (1 - mean share that remains); write amounts for good times. Public
    facts: over 45 days single V100 spot machines could not be had 9.5 to 83 % of the time, depending on the zone
    (https://github.com/skypilot-org/spot-traces, 2023-02); of the H100 SXM offers of a market of 2025 a third was in
    stock (github.com/tugot17/gpu-price-tracker, 2025-10 to 2025-11). The default stands at the good end of that.
    """

    kind: Literal["capacity"] = "capacity"
    scarce_fraction: Annotated[float, Ge(0), Lt(1)] = 0.25
    """Share of the time that is scarce."""
    mean_scarce_months: Annotated[float, Ge(1), Le(1200)] = 4.0
    """Mean length of a scarce spell."""
    low_fraction: Fraction = 0.0
    """Least that can be had in a scarce spell, as a share of what is written."""
    high_fraction: Fraction = 0.6
    """Most that can be had in a scarce spell; shares between the two are equally likely."""

    @model_validator(mode="after")
    def _spells_fit(self) -> Uncertainty:
        if self.low_fraction > self.high_fraction:
            raise ValueError(f"low_fraction ({self.low_fraction:g}) is above high_fraction ({self.high_fraction:g})")
        if self._entry() > 1:
            raise ValueError(
                f"spells of {self.mean_scarce_months:g} months cannot fill {self.scarce_fraction:g} of the time; "
                "make them longer or rarer"
            )
        return self

    def _entry(self) -> float:
        """Monthly chance that a spell begins, so that the share of scarce months is the same from the first on."""
        return self.scarce_fraction / (1 - self.scarce_fraction) / self.mean_scarce_months

    def draw(self, streams: Streams, subjects: Subjects) -> Effects:
        """One path for each group of contracts, with the mean of each period."""
        factors: dict[str, dict[Month, float]] = {}
        for label, contracts in self.groups(subjects).items():
            path = self._path(streams.of(*label), subjects.horizon)
            factors.update(dict.fromkeys(contracts, path))
        return Effects(capacity_factor=factors)

    def _path(self, rng: np.random.Generator, horizon: Horizon) -> dict[Month, float]:
        """Two numbers decide each month, whether or not a spell begins."""
        values: npt.NDArray[np.float64] = np.ones(horizon.months)
        ends, entry = 1 / self.mean_scarce_months, self._entry()
        scarce, share = False, 1.0
        for month, (turns, how) in enumerate(rng.random((horizon.months, 2)).tolist()):
            begins = entry if month else self.scarce_fraction
            if scarce and turns < ends:
                scarce = False
            elif not scarce and turns < begins:
                scarce, share = True, self.low_fraction + how * (self.high_fraction - self.low_fraction)
            values[month] = share if scarce else 1.0
        return stepwise(horizon, period_means(horizon, values))

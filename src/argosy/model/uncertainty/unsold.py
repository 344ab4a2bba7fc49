"""Unsold: how much of a backstop's capacity the vendor fails to sell to others, and we must take."""

from __future__ import annotations

from typing import Annotated, Literal

from annotated_types import Gt, Le

from argosy.model.chance import DIGITS, Chance, Effects, Streams, Subjects
from argosy.record import Id


class Uncertainty(Chance):
    """S10: a Beta-distributed share around the mean that the contract states, between none and all.

    A public backstop of this form covers up to 15 billion USD beside 12 billion of firm capacity
    (https://softwareherald.com/meta-signs-up-to-27b-ai-infrastructure-deal-with-nebius-on-nvidia-vera-rubin, 2026-03).
    How much of it stays unsold is not public; the default spread (standard deviation 0.22 around one half) is a
    judgement.
    """

    kind: Literal["unsold"] = "unsold"
    contracts: tuple[Id, ...] = ()
    """Contracts that are drawn; empty means all with a backstop."""
    certainty_ratio: Annotated[float, Gt(0), Le(10_000)] = 4.0
    """Sum of the two parameters of the Beta distribution: the larger, the closer to the mean."""

    def draw(self, streams: Streams, subjects: Subjects) -> Effects:
        """The unsold share of each contract; a mean of 0 or 1 is certain."""
        shares = {}
        for contract in self.chosen("contracts", subjects.backstops):
            mean = subjects.backstops[contract]
            share = mean
            if 0 < mean < 1:
                a, b = mean * self.certainty_ratio, (1 - mean) * self.certainty_ratio
                share = round(float(streams.of("contract", contract).beta(a, b)), DIGITS)
            shares[contract] = share
        return Effects(unsold_fraction=shares)

"""First refusal: whether the holder of a right to match a contract of ours uses it."""

from __future__ import annotations

from typing import Literal

from argosy.model.chance import Chance, Effects, Streams, Subjects
from argosy.record import Id


class Uncertainty(Chance):
    """S9: the holder matches a contract, or does not, with the chance that the contract states.

    Without this uncertainty a scenario counts with the chance itself, as if that share of the contract were matched.
    """

    kind: Literal["first_refusal"] = "first_refusal"
    contracts: tuple[Id, ...] = ()
    """Contracts that are drawn; empty means all that grant such a right."""

    def draw(self, streams: Streams, subjects: Subjects) -> Effects:
        """1 where the holder matches, 0 where not."""
        return Effects(
            matched_fraction={
                contract: float(streams.of("contract", contract).random() < subjects.first_refusals[contract])
                for contract in self.chosen("contracts", subjects.first_refusals)
            }
        )

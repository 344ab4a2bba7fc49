"""Delivery slip: contracted capacity that comes late, or not at all."""

from __future__ import annotations

from typing import Literal

from argosy.model.chance import Effects, Streams, Subjects
from argosy.model.uncertainty._late import LateChance
from argosy.record import Id


class Uncertainty(LateChance):
    """S4: each contract is on time, late by one of a few lengths, or never delivered within the plan.

    Contracts of one vendor share part of their luck: the same factory, grid and builders stand behind them. Contracts
    that have delivered everything before the plan begins are not hit.
    """

    kind: Literal["delivery_slip"] = "delivery_slip"
    contracts: tuple[Id, ...] = ()
    """Contracts that may slip; with `vendors` also empty: all whose delivery lies ahead."""
    vendors: tuple[Id, ...] = ()
    """Vendors all of whose contracts may slip."""

    def draw(self, streams: Streams, subjects: Subjects) -> Effects:
        """Months of delay of each contract; on time needs no entry."""
        hit = set(self.chosen("contracts", subjects.sized)) if self.contracts or not self.vendors else set()
        if self.vendors:
            # A vendor all of whose contracts have delivered is known and simply has nothing that could slip.
            vendors = self.chosen("vendors", {*subjects.vendors, *subjects.sized.values()})
            hit |= {contract for contract, vendor in subjects.sized.items() if vendor in vendors}
        shared = {v: float(streams.of("vendor", v).normal()) for v in sorted({subjects.sized[c] for c in hit})}
        delays = {
            contract: self.delay_months(
                shared[subjects.sized[contract]],
                float(streams.of("contract", contract).normal()),
                subjects.horizon.months,
            )
            for contract in sorted(hit)
        }
        return Effects(delivery_delay_months={contract: months for contract, months in delays.items() if months})

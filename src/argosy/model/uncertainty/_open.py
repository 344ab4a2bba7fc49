"""What price_jump and capacity share: which contracts without a commitment they hit, and which move together."""

from __future__ import annotations

from typing import Literal

from argosy.model.chance import Chance, Subjects
from argosy.record import Id


class OpenChance(Chance):
    """An uncertainty about contracts without a commitment."""

    contracts: tuple[Id, ...] = ()
    """On-demand, spot or first-refusal contracts that are hit; with `vendors` also empty: all."""
    vendors: tuple[Id, ...] = ()
    """Vendors all of whose on-demand, spot and first-refusal contracts are hit."""
    shared_by: Literal["contract", "vendor", "all"] = "vendor"
    """Who shares one path: each contract has its own, all contracts of a vendor share one, or all share one."""

    def groups(self, subjects: Subjects) -> dict[tuple[str, ...], tuple[str, ...]]:
        """The label of each path, to the contracts that follow it. Labels do not change when contracts are added."""
        hit = set(self.chosen("contracts", subjects.open)) if self.contracts or not self.vendors else set()
        if self.vendors:
            vendors = self.chosen("vendors", set(subjects.open.values()))
            hit |= {contract for contract, vendor in subjects.open.items() if vendor in vendors}
        groups: dict[tuple[str, ...], tuple[str, ...]] = {}
        for contract in sorted(hit):
            label: tuple[str, ...] = ("all",)
            if self.shared_by != "all":
                label = (self.shared_by, contract if self.shared_by == "contract" else subjects.open[contract])
            groups[label] = (*groups.get(label, ()), contract)
        return groups

"""Consistency: what cannot be true of a portfolio as a whole although every record in it is in order.

`files.load` calls `faults` with the catalogue filled in and gives each fault its line. Rules look at classes and
clauses, never at a vendor's name; what concerns demand and supply as a whole is in `model.reach`.
"""

from __future__ import annotations

from argosy.model.consistency.contracts import contract_faults, exclusive
from argosy.model.consistency.futures import scenario_faults, uncertainty_faults
from argosy.model.consistency.known import World
from argosy.model.consistency.projects import project_faults
from argosy.model.consistency.records import duplicates, places, policy_faults, workload_faults
from argosy.model.fault import Fault
from argosy.model.portfolio import Portfolio
from argosy.model.reach import reach_faults

__all__ = ["Fault", "faults"]


def faults(portfolio: Portfolio) -> list[Fault]:
    """Everything inconsistent in a portfolio `with_catalogue`, in the order of its sections.

    Rules that need a record which does not exist are left out for that record: its absence is the fault.
    """
    world = World.of(portfolio)
    found = list(duplicates(portfolio))
    found += places(world)
    for i, contract in enumerate(portfolio.contracts):
        found += contract_faults(world, ("contracts", i), contract)
    found += exclusive(portfolio)
    for i in range(len(portfolio.workloads)):
        found += workload_faults(world, i)
    found += project_faults(world)
    found += policy_faults(world)
    found += uncertainty_faults(world)
    found += scenario_faults(world)
    # Demand and supply are compared only when every name in them means something.
    if not any(fault.code.startswith(("reference.", "id.")) for fault in found):
        found += reach_faults(portfolio)
    return found

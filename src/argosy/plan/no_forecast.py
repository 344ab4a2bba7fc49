"""No forecast: what a rule reserves that knows only today's work and today's prices (F9.8).

The rule is the deterministic one of Wang, Li and Liang, "To Reserve or Not to Reserve: Optimal Online Multi-Instance
Acquisition in IaaS Clouds" (ICAC 2013): reserve one more instance once what a level of demand has cost on demand within
the last term is more than 1 / (1 - a) reservation fees, a being the price of a reserved hour as a share of an on-demand
hour. There it never costs more than 2 - a times the best plan in hindsight. `baselines` calls it; it solves nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from argosy.plan.inputs import Inputs
from argosy.plan.program import NONE, Bools, Floats, Program
from argosy.plan.template import Template

SMALL = 1e-9


@dataclass(frozen=True, slots=True)
class Reserved:
    """A program whose contracts are fixed to what the rule reserves."""

    template: Template
    note: str
    """What the rule could not be asked about; empty when it fits every candidate."""


def reserved(told: Inputs, template: Template) -> Reserved:
    """The mean program with signings fixed by the rule, and without options, exits, ports, projects, copies or
    prepayments.

    What is left free (borrowing, adequacy gaps, power of committed sites) follows from the contracts.
    """
    size = sizes(told, template.program)
    block = template.first
    at = block.columns.part
    lower, upper = block.column_lower.copy(), block.column_upper.copy()
    for name in ("option", "prepay", "later", "later_sign", "port", "replica"):
        upper[at(name)] = lower[at(name)]
    upper[at("start")] = template.program.levers.project_least[template.program.levers.start_project]
    upper[at("build")] = lower[at("build")]
    new = told.program.sign_lower == 0
    lower[at("sign")] = np.where(new, size > 0, lower[at("sign")])
    upper[at("sign")] = np.where(new, size > 0, upper[at("sign")])
    lower[at("size")] = np.where(new, size, lower[at("size")])
    upper[at("size")] = np.where(new, size, upper[at("size")])
    first = replace(block, column_lower=lower, column_upper=upper)
    asked = _askable(told)
    strange = int((new & ~asked).sum())
    note = ""
    if strange:
        note = f"; it has no term for {strange} candidates (own build, spend, later signing), which it does not sign"
    return Reserved(replace(template, first=first), note)


def sizes(told: Inputs, program: Program) -> Floats:
    """(K,) size of every row that the rule signs, scaled; 0 where it signs nothing.

    Today's work of each class, less what stock and signed contracts do, is offered to the candidates, cheapest unit of
    work first. A candidate is signed for as much of it as it can do when the work, held for the candidate's whole
    term, costs more on demand than its minimum bill and its usage: the last term is taken to have been like today.
    """
    left = program.demand[0, :, 0].copy()
    price = _on_demand(program)  # (D,)
    size = np.zeros(len(program.sign_lower))
    signed = np.flatnonzero(program.sign_lower > 0)
    stock = program.stock[0, :, 0].copy()
    for d in range(len(left)):
        for a in np.flatnonzero(program.arc_demand == d):
            taken = min(stock[program.arc_pool[a]], left[d] / program.arc_yield[a])
            stock[program.arc_pool[a]] -= taken
            left[d] -= taken * program.arc_yield[a]
    for k in signed.tolist():
        _serve(program, k, program.size_max[k] * _held(program, k).max(initial=0.0), left)
    asked = np.flatnonzero(_askable(told))
    unit_cost = [_unit_cost(program, k) for k in asked.tolist()]
    groups: set[int] = set(program.row_group[signed].tolist()) - {NONE}
    for i in np.argsort(unit_cost, kind="stable").tolist():
        k = int(asked[i])
        if not np.isfinite(unit_cost[i]) or int(program.row_group[k]) in groups:
            continue
        worth = np.where(price * _yields(program, k) * _months(program, k) > _bill(program, k), left, 0.0)
        wanted = _serve(program, k, program.size_max[k], worth.copy())
        if wanted < max(program.size_min[k], SMALL):
            continue
        size[k] = wanted
        kept = left - worth
        _serve(program, k, wanted, worth)
        left = kept + worth
        groups |= {int(program.row_group[k])} - {NONE}
    return size


def _askable(told: Inputs) -> Bools:
    """(K,) candidates that the rule has a term for: accelerators for an hourly fee, signed now."""
    rows = told.world.sized
    plain = np.array([row.unit == "accelerators" and row.build is None for row in rows], dtype=bool)
    return np.asarray(plain & (told.program.sign_lower == 0) & (told.program.sign_upper > 0))


def _held(program: Program, k: int) -> Floats:
    """(T,) share of a unit of the row's size that is there in the mean future."""
    lines = (program.line_row[program.link_line] == k) & (program.link_column == k)
    return np.asarray(program.link_capacity[0, lines].sum(axis=0))


def _months(program: Program, k: int) -> float:
    """Present value of one unit of money in each month in which a unit of the row is there."""
    return float((_held(program, k) * program.duration) @ program.discount)


def _bill(program: Program, k: int) -> float:
    """Present value of the minimum bill of a unit, and of using it whenever it is there."""
    uses = program.line_row[program.use_line] == k
    rate = float((program.use_cost[uses, 0] / program.duration[0]).min(initial=np.inf))
    rate = rate if np.isfinite(rate) else 0.0
    return float(program.committed_value[k]) + rate * _months(program, k)


def _yields(program: Program, k: int) -> Floats:
    """(D,) most units of each class that an accelerator of the row does, today; 0 where it does none."""
    pools = np.unique(program.use_pool[program.line_row[program.use_line] == k])
    out = np.zeros(program.demand.shape[1])
    here = np.isin(program.arc_pool, pools)
    np.maximum.at(out, program.arc_demand[here], program.arc_yield[here])
    return out


def _unit_cost(program: Program, k: int) -> float:
    """Bill per month and unit of the work that the row does best; inf where it does nothing."""
    most = float(_yields(program, k).max(initial=0.0)) * _months(program, k)
    return _bill(program, k) / most if most > SMALL else np.inf


def _on_demand(program: Program) -> Floats:
    """(D,) least money for a unit of each class and month without a commitment, at today's prices; 0 where unknown."""
    out = np.full(program.demand.shape[1], np.inf)
    there = program.open_max[0, :, 0] > SMALL
    for pool in np.unique(program.open_pool[there]).tolist():
        tiers = there & (program.open_pool == pool)
        price = np.average(program.open_cost[tiers, 0], weights=program.open_max[0, tiers, 0]) / program.duration[0]
        for a in np.flatnonzero(program.arc_pool == pool):
            d = program.arc_demand[a]
            out[d] = min(out[d], price / program.arc_yield[a])
    return np.where(np.isfinite(out), out, 0.0)


def _serve(program: Program, k: int, most: float, left: Floats) -> float:
    """Accelerators of a row, at most `most`, that the work left in each class keeps busy; takes it from `left`."""
    used = 0.0
    yields = _yields(program, k)
    for d in np.argsort(-yields, kind="stable").tolist():
        if yields[d] <= 0 or used >= most:
            break
        taken = min(most - used, left[d] / yields[d])
        left[d] -= taken * yields[d]
        used += taken
    return used

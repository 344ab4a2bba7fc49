"""Infeasible: which limits cannot hold together, and the smallest change of each that would do.

Only first-stage limits can clash: every second stage has unserved work and shortfall as a way out. Each limit that
the user can change may get a slack. A deletion filter finds an irreducible set, and one small program per member the
smallest relaxation that would do.
"""

from __future__ import annotations

from dataclasses import dataclass

import highspy
import numpy as np

from argosy.errors import SolverError
from argosy.model.decision import Excuse
from argosy.plan.inputs import Inputs
from argosy.plan.template import Block, Template


@dataclass(frozen=True, slots=True)
class Limit:
    """Rows of the first stage that stand for one limit of the user, and how to speak of it."""

    rows: tuple[int, ...]
    rule: str
    subject: str
    text: str
    unit: str
    factor: float
    """Scaled slack to `unit`."""


def explain(inputs: Inputs, template: Template) -> tuple[Excuse, ...]:
    """One excuse per limit of an irreducible set; each remedy alone makes a plan possible."""
    limits = _limits(inputs, template.first)
    kept = list(range(len(limits)))
    for i in list(kept):
        trial = [j for j in kept if j != i]
        if _least(template.first, limits, hard=trial, soft=[]) is None:
            kept = trial
    out = []
    for i in kept:
        amount = _least(template.first, limits, hard=[j for j in range(len(limits)) if j != i], soft=[i])
        limit = limits[i]
        short = None if amount is None else amount * limit.factor
        out.append(
            Excuse(
                subject=limit.subject,
                rule=limit.rule,
                limit=limit.text,
                short=short,
                unit=limit.unit,
                remedy=f"relax it by {short:,.6g} {limit.unit}"
                if short is not None
                else "relaxing this limit alone is not enough; other limits clash as well",
            )
        )
    return tuple(out)


def _limits(inputs: Inputs, first: Block) -> list[Limit]:
    world, program, rows = inputs.world, inputs.program, first.rows
    money = program.money_scale
    out: list[Limit] = []

    years = np.flatnonzero(np.isfinite(program.cash_limit)).tolist()
    for i, y in enumerate(years):
        limit = float(program.cash_limit[y]) * money
        start = world.calendar.horizon.start.plus(12 * y)
        text = f"cash of the fiscal year from {start} is limited to {limit:,.0f} USD"
        out.append(Limit(tuple(rows.at("F4.Y")[i].tolist()), "F4.Y", f"policy.cash year {y + 1}", text, "USD", money))
    vendors = np.flatnonzero(~np.isnan(program.vendor_share_max)).tolist()
    for i, v in enumerate(vendors):
        share = float(program.vendor_share_max[v])
        text = f"{program.names['V'][v]} may hold at most {share:.0%} of all commitments (present value)"
        subject = "policy.concentration.max_committed_fraction"
        out.append(Limit((int(rows.at("F4.C")[i]),), "F4.C", subject, text, "USD of present value", money))
    for k, row in enumerate(world.sized):
        unit = world.size_unit(row)
        if row.signed_size is not None:
            text = f"{row.contract} is signed for {row.signed_size:,.0f} {_unit(row.unit)}"
            low = int(rows.at("F4.A2")[k])
            out.append(Limit((low,), "F4.A2", row.contract, text, _unit(row.unit), unit))
    for b, site in enumerate(world.sites):
        low, high = (int(r) for r in rows.at("F4.Z")[:, b])
        if site.committed and site.min_mw > 0:
            text = f"the site {site.id} is being built with at least {site.min_mw:,.0f} MW"
            out.append(Limit((low,), "F4.Z", site.id, text, "MW", 1.0))
        text = f"the site {site.id} can have at most {site.max_mw:,.0f} MW"
        out.append(Limit((high,), "F4.Z", site.id, text, "MW", 1.0))
    groups = sorted({row.alternatives for row in world.sized if row.alternatives})
    for g, group in enumerate(groups):
        text = f"contracts of the group {group} exclude each other"
        out.append(Limit(tuple(rows.at("F4.EX")[g].tolist()), "F4.EX", group, text, "contracts", 1.0))
    return out


def _unit(unit: str) -> str:
    return "accelerators" if unit == "accelerators" else "USD per month"


def _least(first: Block, limits: list[Limit], *, hard: list[int], soft: list[int]) -> float | None:
    """Smallest total slack of the soft limits with the hard ones kept and all others dropped; None when infeasible.

    With no soft limit: 0 when the hard ones can hold together.
    """
    lower, upper = first.row_lower.copy(), first.row_upper.copy()
    for i, limit in enumerate(limits):
        if i not in hard and i not in soft:
            lower[list(limit.rows)], upper[list(limit.rows)] = -np.inf, np.inf
    slack_rows = [list(limits[i].rows) for i in soft]
    rows, columns = len(lower), first.columns.size
    extra_start, extra_index, extra_value = [0], [], []
    for group in slack_rows:
        for row in group:
            extra_index.append(row)
            extra_value.append(-1.0 if np.isfinite(upper[row]) else 1.0)
        extra_start.append(len(extra_index))
    total = columns + len(slack_rows)
    cost = np.concatenate([np.zeros(columns), np.ones(len(slack_rows))])
    ends = first.matrix.start[-1] + np.array(extra_start[:-1], dtype=np.int64)
    start = np.concatenate([first.matrix.start[:-1], ends])
    index = np.concatenate([first.matrix.index, np.array(extra_index, dtype=np.int64)])
    value = np.concatenate([first.matrix.value, np.array(extra_value)])
    solver = highspy.Highs()
    solver.silent()
    column_lower = np.concatenate([first.column_lower, np.zeros(len(slack_rows))])
    column_upper = np.concatenate([first.column_upper, np.full(len(slack_rows), np.inf)])
    integer = np.concatenate([first.integer, np.zeros(len(slack_rows), dtype=bool)])
    solver.passModel(
        total, rows, len(value), 1, 1, 0.0, cost, column_lower, column_upper, lower, upper,
        start.astype(np.int32), index.astype(np.int32), value, integer.astype(np.int32),
    )  # fmt: skip
    solver.run()
    status = solver.getModelStatus()
    if status == highspy.HighsModelStatus.kOptimal:
        return float(solver.getInfo().objective_function_value)
    if status in (highspy.HighsModelStatus.kInfeasible, highspy.HighsModelStatus.kUnboundedOrInfeasible):
        return None
    raise SolverError(f"the solver stopped with {solver.modelStatusToString(status)!r} while explaining infeasibility")

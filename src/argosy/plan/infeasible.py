"""Infeasible: which limits cannot hold together, and the smallest change of each that would do.

Only first-stage limits can clash: every second stage has unserved work and shortfall as a way out. Each limit that
the user can change may get a slack. A deletion filter finds an irreducible set, and one small program per member the
smallest relaxation that would do.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import highspy
import numpy as np

from argosy.errors import SolverError
from argosy.model.decision import Excuse
from argosy.plan.blocks import Block
from argosy.plan.inputs import Inputs
from argosy.plan.program import SIGN
from argosy.plan.sparse import Triplets
from argosy.plan.template import Template

SHARE_STEPS = 40
"""Halvings of the interval in which the smallest share lies."""


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
    share: float | None = None
    """The share that a limit on shares allows; such a limit has a larger share for its slack."""


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
        others, limit = [j for j in range(len(limits)) if j != i], limits[i]
        if limit.share is None:
            amount = _least(template.first, limits, hard=others, soft=[i])
            short = None if amount is None else amount * limit.factor
            remedy = "" if short is None else f"relax it by {short:,.6g} {limit.unit}"
        else:
            share = _least_share(inputs, template.first, limits, i)
            short = None if share is None else share - limit.share
            remedy = "" if share is None else f"raise it to {math.ceil(share * 1e6 - 1e-3) / 1e4:.6g} %"
        out.append(
            Excuse(
                subject=limit.subject,
                rule=limit.rule,
                limit=limit.text,
                short=short,
                unit=limit.unit,
                remedy=remedy or "relaxing this limit alone is not enough; other limits clash as well",
            )
        )
    return tuple(out)


def _least_share(inputs: Inputs, first: Block, limits: list[Limit], i: int) -> float | None:
    """The smallest share, the same for every vendor, with which limit `i` and all others hold; None when none does."""
    low = limits[i].share
    assert low is not None
    high, every = 1.0, list(range(len(limits)))
    if _least(_with_share(inputs, first, high), limits, hard=every, soft=[]) is None:
        return None
    for _ in range(SHARE_STEPS):
        middle = (low + high) / 2
        if _least(_with_share(inputs, first, middle), limits, hard=every, soft=[]) is None:
            low = middle
        else:
            high = middle
    return high


def _with_share(inputs: Inputs, first: Block, share: float) -> Block:
    """The first stage with another share in F4.C."""
    program, matrix = inputs.program, first.matrix
    rows, a = first.rows.at("F4.C"), Triplets()
    column = np.repeat(np.arange(first.columns.size), np.diff(matrix.start))
    kept = ~np.isin(matrix.index, rows)
    a.add(matrix.index[kept], column[kept], matrix.value[kept])
    sign = np.flatnonzero(program.later_action == SIGN)
    chance = program.probability @ program.later_member
    for row, v in zip(rows.tolist(), np.flatnonzero(~np.isnan(program.vendor_share_max)).tolist(), strict=True):
        value = program.committed_value * ((program.row_vendor == v) - share)
        a.add(row, first.columns.at("size"), value)
        a.add(row, first.columns.at("later")[sign], value[program.later_row[sign]] * chance[sign])
    return replace(first, matrix=a.columns(first.columns.size))


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
    shares = program.vendor_share_max[~np.isnan(program.vendor_share_max)]
    if len(shares):
        share = float(shares.min())
        text = f"one vendor may hold at most {share:.6g} of all commitments (present value)"
        subject = "policy.concentration.max_committed_fraction"
        where = tuple(rows.at("F4.C").tolist())
        out.append(Limit(where, "F4.C", subject, text, "fraction", 1.0, share))
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
    return [*out, *_people(inputs, first)]


def _people(inputs: Inputs, first: Block) -> list[Limit]:
    """Teams that running projects need."""
    world, levers = inputs.world, inputs.program.levers
    running = levers.project_least[levers.start_project]
    step, out = world.calendar.horizon.step_months, []
    for m, team in enumerate(world.portfolio.teams):
        needed = running @ levers.start_need[:, m]
        t = int((needed - levers.team_capacity[m]).argmax())
        if needed[t] > 0:
            there = (
                f"{levers.team_capacity[m, t] / step:,.6g} people of {team.id} are free in {world.calendar.month(t)}"
            )
            text = f"{there}, and running projects need {needed[t] / step:,.6g}"
            out.append(Limit(tuple(first.rows.at("F4.TM")[m].tolist()), "F4.TM", team.id, text, "people", 1 / step))
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
    upper_bound = first.column_upper.copy()
    upper_bound[first.columns.part("power")] = np.inf  # F4.Z says it too, and may be dropped or relaxed
    column_upper = np.concatenate([upper_bound, np.full(len(slack_rows), np.inf)])
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

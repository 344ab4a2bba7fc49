"""Prices of people and of projects that are not done (F8.5, F8.6). Called by `main` once a plan is certified.

Whether a project is done is a yes or no, and a yes or no has no dual. So people are priced where projects may be done
in part and every other yes or no is that of the plan; a project is priced by what its first part would save at the
prices of the plan itself.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from argosy.errors import SolverError
from argosy.model.decision import Excuse, Plan
from argosy.plan.blocks import Block
from argosy.plan.inputs import Inputs
from argosy.plan.program import Bools, Floats, Program
from argosy.plan.project_results import chosen_start, opened_ports
from argosy.plan.solution import Solution
from argosy.plan.template import Template, build
from argosy.plan.values import Values

SMALL = 1e-6
Find = Callable[[Template], Solution | None]


def priced(inputs: Inputs, plan: Plan, found: Solution, template: Template, find: Find) -> dict[str, Any]:
    """The fields of a plan that `result` leaves open: prices of people, margins, and excuses of projects not done."""
    if not plan.projects:
        return {}
    values = Values.of(inputs.program, found.first, found.second)
    margins = margin(inputs.program, values, found, template)
    projects = tuple(
        decision if decision.done else decision.model_copy(update={"margin_usd": _least(inputs, margins, g)})
        for g, decision in enumerate(plan.projects)
    )
    excuses = [_excuse(inputs, values, found, template, g) for g, d in enumerate(plan.projects) if not d.done]
    fields: dict[str, Any] = {"projects": projects, "excuses": (*plan.excuses, *excuses)}
    price = people_prices(inputs.program, found, template, find) if plan.teams else None
    if price is not None:
        fields["teams"] = _with_prices(inputs, plan, price)
    return fields


def part_of_projects(program: Program, found: Solution, template: Template) -> Program:
    """The program in which projects may be done in part and every other yes or no is that of the plan."""
    block = template.first
    held = np.where(block.integer, found.first.round(), np.nan)
    held[block.columns.part("start")] = np.nan
    return replace(program, fixed=held, levers=replace(program.levers, divisible=True))


def people_prices(program: Program, found: Solution, template: Template, find: Find) -> Floats | None:
    """F8.5: (M, T) USD of the period for one more month of one person; None when the solver had no time for it."""
    if not len(program.levers.start_project):
        return np.zeros_like(program.levers.team_capacity)
    relaxed = build(part_of_projects(program, found, template))
    try:
        answer = find(relaxed)
    except SolverError:
        return None
    if answer is None:
        return None
    dual = answer.first_dual[relaxed.first.rows.at("F4.TM")]
    return np.asarray(np.maximum(0.0, -dual) / program.discount * program.money_scale)


def _with_prices(inputs: Inputs, plan: Plan, price: Floats) -> tuple[Any, ...]:
    step = inputs.world.calendar.horizon.step_months
    each = np.repeat(price, step, axis=1).ravel().tolist()  # rows run over teams, then months
    return tuple(row.model_copy(update={"usd_per_team_month": usd}) for row, usd in zip(plan.teams, each, strict=True))


def margin(program: Program, values: Values, found: Solution, template: Template) -> Floats:
    """F8.6: (H,) what the first part of a project adds to the objective, scaled up to the whole project."""
    return _cost(program, found, template.first) - worth(program, values, found, template.second)


def _cost(program: Program, found: Solution, first: Block) -> Floats:
    """(H,) its cost, with what it takes of the limits on cash."""
    years = np.flatnonzero(np.isfinite(program.cash_limit))
    levers = program.levers
    cash = levers.start_cash.reshape(len(levers.start_project), len(program.cash_limit))[:, years]
    return np.asarray(levers.start_cost - cash @ found.first_dual[first.rows.at("F4.Y")].sum(axis=1))


def worth(program: Program, values: Values, found: Solution, second: Block) -> Floats:
    """(H,) what the first part of every start saves at the prices of the plan, scaled up to the whole.

    Where nothing is saved yet many duals of F4.L4 and F4.N fit; these are the least that do.
    """
    levers, periods = program.levers, len(program.duration)
    out = np.zeros(len(levers.start_project))
    ready = levers.ready(periods)
    complete = np.zeros((len(levers.project_group), periods), dtype=bool)
    for h, project in enumerate(levers.start_project.tolist()):
        complete[project] |= ready[h] & (values.first["start"][h] > 0.5)
    parts = [complete[needs].all(axis=0) for needs in levers.gain_project]
    whole = np.array(parts, dtype=bool).reshape(-1, periods)  # (U, T)
    used = opened_ports(program, values) | set(np.flatnonzero(values.first["port"] > 0.5).tolist())
    for s, dual in enumerate(found.second_dual):
        unit = _unit_worth(program, second, dual, whole)
        for u, needs in enumerate(levers.gain_project):
            for h, project in enumerate(levers.start_project.tolist()):
                if needs[project]:
                    others = needs & (np.arange(len(needs)) != project)
                    when = ready[h] & complete[others].all(axis=0)
                    out[h] += float((levers.gain_most[s, u] * unit[u])[when].sum())
        port = _port_worth(program, second, dual) if len(levers.opener_start) else None
        for i, h in enumerate(levers.opener_start.tolist()):
            assert port is not None
            if levers.opener_port[i] not in used:
                out[h] += float((levers.opener_capacity[s, i] * port[levers.opener_port[i]]).sum())
    return out


def _reduced(second: Block, price: Floats, family: str) -> Floats:
    """Reduced cost of a family of columns, in its shape, at duals."""
    part = second.columns.part(family)
    start = second.matrix.start[part.start : part.stop + 1]
    entries = slice(start[0], start[-1])
    column = np.repeat(np.arange(part.stop - part.start), np.diff(start))
    paid: Floats = np.bincount(
        column, weights=second.matrix.value[entries] * price[second.matrix.index[entries]], minlength=len(start) - 1
    ).astype(float)
    return (-paid).reshape(second.columns.shapes[family])


def _unit_worth(program: Program, second: Block, dual: Floats, whole: Bools) -> Floats:
    """(U, T) what one more unit saved takes off the objective in one future, where it is saved best.

    `whole` (U, T) are gains that the plan has; their duals stay, those of the others are the least that fit. Work that
    would have to move to where it is saved costs what moving it costs (its reduced cost).
    """
    levers, price = program.levers, dual.copy()
    for rule, of in (("F4.L3", levers.saving_gain), ("F4.L4", levers.requirements()[0])):
        price[second.rows.at(rule)[~whole[of]]] = 0.0
    value, moving = -_reduced(second, price, "saved"), _reduced(second, price, "work")
    units = np.zeros(program.arc_open.shape)  # all that is saved for each unit of work on the arc
    for z, a, factor in zip(levers.factor_saving, levers.factor_arc, levers.factor_units, strict=True):
        units[a] += np.where(whole[levers.saving_gain[z]], 0.0, factor * program.arc_yield[a])
    toll = np.full(value.shape, np.inf)
    for z, a in zip(levers.factor_saving.tolist(), levers.factor_arc.tolist(), strict=True):
        there = program.arc_open[a] & (units[a] > 0)
        least = np.divide(np.maximum(0.0, moving[a]), units[a], out=np.full(len(units[a]), np.inf), where=there)
        toll[z] = np.minimum(toll[z], least)
    out = np.zeros((len(levers.gain_demand), len(program.duration)))
    for z, u in enumerate(levers.saving_gain.tolist()):
        out[u] = np.maximum(out[u], np.where(whole[u], 0.0, value[z] - toll[z]))
    return out


def _port_worth(program: Program, second: Block, dual: Floats) -> Floats:
    """(O, T) what the first unit of work on ported silicon takes off the objective in one future."""
    price = dual.copy()
    price[second.rows.part("F4.N")] = 0.0
    value = -_reduced(second, price, "work") / program.arc_yield[:, None]
    out = np.zeros((len(program.port_cost), len(program.duration)))
    for a, o in enumerate(program.arc_port.tolist()):
        if o >= 0:
            out[o] = np.maximum(out[o], np.where(program.arc_open[a], value[a], 0.0))
    return out


def _of(inputs: Inputs, g: int) -> list[int]:
    return [h for h, start in enumerate(inputs.starts) if start.project == g]


def _least(inputs: Inputs, margins: Floats, g: int) -> float | None:
    mine = _of(inputs, g)
    return float(margins[mine].min()) * inputs.program.money_scale if mine else None


def _excuse(inputs: Inputs, values: Values, found: Solution, template: Template, g: int) -> Excuse:
    """Why a project is not done: a rival, its cost, people, or that it comes whole or not at all."""
    world, program, levers = inputs.world, inputs.program, inputs.program.levers
    project = world.portfolio.projects[g]
    rivals = [
        world.portfolio.projects[i].id
        for i in np.flatnonzero(
            (levers.project_group == levers.project_group[g]) & (levers.project_group >= 0)
        ).tolist()
        if i != g and chosen_start(inputs, values, i) is not None
    ]
    if rivals:
        return Excuse(
            subject=project.id, rule="F4.L2", limit=f"it excludes {rivals[0]}, which is done",
            remedy=f"drop {rivals[0]}, or let both be done",
        )  # fmt: skip
    cost, saves = _cost(program, found, template.first), worth(program, values, found, template.second)
    mine = _of(inputs, g)
    best = min(mine, key=lambda h: cost[h] - saves[h])
    over = float(cost[best] - saves[best])
    if over > SMALL:
        return _too_dear(inputs, g, over, float(cost[best]), float(saves[best]))
    free = levers.team_capacity - np.tensordot(values.first["start"], levers.start_need, axes=1)
    lacks = [(float((levers.start_need[h] - free).max(initial=0.0)), h) for h in mine if cost[h] <= saves[h]]
    short, h = min(lacks)
    if short > SMALL:
        team, period = np.unravel_index(int((levers.start_need[h] - free).argmax()), free.shape)
        name, month = world.portfolio.teams[int(team)].id, world.calendar.month(int(period))
        return Excuse(
            subject=project.id, rule="F4.TM", limit=f"it takes more {name} in {month} than are free",
            short=short, unit="team_months",
            remedy=f"{short:,.3g} more months of {name} in the planning step from {month}, or a later start",
        )  # fmt: skip
    return Excuse(
        subject=project.id, rule="F8.6",
        limit="its first part would pay, but not the whole: the more is saved, the less each unit of it is worth",
        remedy="split it into smaller projects; `argosy price --project` says what the whole is worth",
    )  # fmt: skip


def _too_dear(inputs: Inputs, g: int, over: float, cost: float, saves: float) -> Excuse:
    """F8.6: how much its cost would have to fall, or its gain to rise."""
    project, money = inputs.world.portfolio.projects[g], inputs.program.money_scale
    limit = f"it costs {cost * money:,.0f} USD and saves at most {saves * money:,.0f} USD (present value)"
    fall = over / cost * project.cost_usd
    remedy = f"it would have to cost at least {fall:,.0f} USD less"
    if project.gains and saves > SMALL and not project.ports:
        most = max(gain.saved_fraction for gain in project.gains)
        needed = most * cost / saves
        more = f"save at least {needed:.3g} of the accelerators instead of {most:.3g}"
        remedy += f", or {more}" if needed < 1 else ""
    return Excuse(subject=project.id, rule="F8.6", limit=limit, short=fall, unit="usd", remedy=remedy)

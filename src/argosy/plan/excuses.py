"""Excuses: why a candidate was not signed and work was not done, and the smallest change that would do (F8.3).

F8.3  fee cut = reduced cost / fee value * fee: what the price must fall so that the first unit pays. The fee value is
      what in the reduced cost of a unit of size is proportional to its committed fee.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from argosy.model.decision import Excuse, FeeMargin
from argosy.model.supply import Supply
from argosy.plan import delivery
from argosy.plan.blocks import Block
from argosy.plan.inputs import Inputs
from argosy.plan.layout import Axis, first_columns
from argosy.plan.prices import worth
from argosy.plan.program import NONE, Floats
from argosy.plan.solution import Solution
from argosy.plan.supply_arrays import flow
from argosy.plan.template import Template
from argosy.plan.values import Values

SMALL = 1e-6


def excuses(inputs: Inputs, values: Values, solution: Solution, template: Template) -> tuple[Excuse, ...]:
    """One excuse per unsigned candidate, then one per workload that is not fully served."""
    out: list[Excuse] = []
    sized = inputs.world.sized
    seen = {row.contract for k, row in enumerate(sized) if values.first["size"][k] > SMALL}
    seen |= {sized[x.row].contract for e, x in enumerate(inputs.later) if values.first["later"][e] > SMALL}
    for k, row in enumerate(sized):
        if row.signed_size is None and row.contract not in seen:
            seen.add(row.contract)
            out.append(_unsigned(inputs, values, solution, template, k))
    out.extend(_unserved(inputs, values))
    return tuple(out)


def fee_margins(inputs: Inputs, values: Values, solution: Solution, template: Template) -> tuple[FeeMargin, ...]:
    """F8.4 for every contract of accelerators that has a fee and is decided now: its fee and its worth at the margin.

    F8.4  worth = fee - reduced cost / fee value * fee
    """
    out = []
    position = first_columns(inputs.program).at("size")
    for k, row in enumerate(inputs.world.sized):
        assert row.commitment is not None
        used = values.first["size"][k] > SMALL
        tiers = [i for i, other in enumerate(inputs.world.sized) if other.contract == row.contract]
        shown = used or (k == tiers[0] and not any(values.first["size"][i] > SMALL for i in tiers))
        if row.unit != "accelerators" or row.build is not None or row.sign_month > 0 or not shown:
            continue
        value = _fee_value(inputs, solution, template.first.rows, k)
        if value <= SMALL:
            continue
        cost = float(solution.reduced[position[k]])
        if not used:
            cost = _entry_cost(inputs, values, solution, template.second, k)
        fee = row.commitment.committed_usd
        worth = fee - cost / value * fee
        out.append(
            FeeMargin(
                contract=row.contract, fee_usd_per_accelerator_hour=fee, worth_usd_per_accelerator_hour=max(0.0, worth)
            )
        )
    return tuple(out)


def _entry_cost(inputs: Inputs, values: Values, solution: Solution, second: Block, k: int) -> float:
    """What the first unit of a row's size adds to the objective.

    That is its reduced cost, with the least of the duals that fit. Where the row's pools stand idle, those of F4.P,
    F4.U and F4.T at hand may promise more for its hours than any work would give.
    """
    program, rows = inputs.program, second.rows
    cost = float(solution.reduced[first_columns(program).at("size")[k]])
    if program.make_up_share[k] > 0 or program.carry_share[k] > 0:
        return cost
    lines = np.flatnonzero(program.line_row == k)
    links = [i for i in np.flatnonzero(program.link_column == k).tolist() if program.link_line[i] in lines]
    bounds = np.flatnonzero(program.bound_column == k).tolist()
    for s, dual in enumerate(solution.second_dual):
        value = worth(program, values, second, solution, s)
        month = dual[rows.part("F4.CT")]
        power = dual[rows.part("F4.W2")].reshape(rows.shapes["F4.W2"])
        amounts, gains = [], []
        for i in links:
            uses = np.flatnonzero(program.use_line == program.link_line[i])
            gain = value[program.use_pool[uses]] - program.use_cost[uses] * month
            if program.row_site[k] != NONE:
                gain = gain + program.row_kw[k] * power[program.row_site[k]]
            gain = np.where(program.use_max[s, uses] > 0, gain / program.use_draw[uses, None], -np.inf)
            amounts.append(program.link_capacity[s, i] * program.duration)
            gains.append(gain.max(axis=0, initial=-np.inf) / program.duration)
            cost -= float(program.link_capacity[s, i] @ dual[rows.at("F4.U")[program.link_line[i]]])
        for g in bounds:
            f = program.bound_floor[g]
            span = slice(program.floor_first[f], program.floor_last[f] + 1)
            owed, last = float(program.bound_amount[s, g]), month[program.floor_last[f]]
            cost -= owed * float(dual[rows.at("F4.T")[f]])
            amount, gain = (
                np.concatenate([part[span] for part in parts] or [np.zeros(0)]) for parts in (amounts, gains)
            )
            cost -= _best_use(
                amount, gain, owed, float(program.over_cost[f] * last), float(program.short_cost[f] * last)
            )
    return cost


def _best_use(amount: Floats, gain: Floats, owed: float, over: float, short: float) -> float:
    """What the best use of some capacity gains: `owed` of it is paid for, more costs `over`, less costs `short`."""
    order = np.argsort(-gain, kind="stable")
    amount, gain = amount[order], gain[order]
    inside = np.clip(owed - (np.cumsum(amount) - amount), 0.0, amount)
    paid = inside * np.maximum(0.0, gain + short) + (amount - inside) * np.maximum(0.0, gain - over)
    return float(paid.sum()) - short * owed


def _fee_value(inputs: Inputs, solution: Solution, rows: Axis, k: int) -> float:
    """The part of a size's reduced cost that is proportional to its fee: bills and prepayment less credits over the

    weighted futures, and what they take of the limits on cash, concentration and prepayment.
    """
    world, program = inputs.world, inputs.program
    row, calendar = world.sized[k], world.calendar
    assert row.commitment is not None
    fees = replace(delivery.Fees.of(row, calendar, world.accelerator_scale, world.money_scale), late=0.0)
    discount = calendar.discount[calendar.period_of_month]
    rate = fees.amount * row.commitment.take_or_pay_fraction * fees.committed
    value = 0.0
    for s, weight in enumerate(solution.weight):
        part = flow(world, row, fees, s, None)
        value += float(weight) * float(((part.owed * rate + part.extra) * discount).sum())
    if row.paid_ahead is not None and 0 <= row.paid_ahead.pay_month < len(discount):
        paid = row.paid_ahead.fraction * delivery.whole_term_fee(row, fees)
        value += paid * float(discount[row.paid_ahead.pay_month])
    dual = solution.first_dual
    years = np.flatnonzero(np.isfinite(program.cash_limit))
    if row.build is None:
        value -= float(program.size_cash[k, years] @ dual[rows.at("F4.Y")].sum(axis=1))
    vendors = np.flatnonzero(~np.isnan(program.vendor_share_max))
    share = (vendors == program.row_vendor[k]) - program.vendor_share_max[vendors]
    value -= float(program.committed_value[k] * share @ dual[rows.at("F4.C")])
    ahead = np.flatnonzero(program.prepay_max > 0)
    value += float((program.prepay_max * (np.arange(len(program.prepay_max)) == k))[ahead] @ dual[rows.at("F4.PP")])
    return value


def _unsigned(inputs: Inputs, values: Values, solution: Solution, template: Template, k: int) -> Excuse:
    world, program = inputs.world, inputs.program
    siblings = [i for i, row in enumerate(world.sized) if row.contract == world.sized[k].contract]
    costs = [_entry_cost(inputs, values, solution, template.second, i) for i in siblings]
    per_value = [cost / max(float(program.committed_value[i]), SMALL) for i, cost in zip(siblings, costs, strict=True)]
    best = siblings[per_value.index(min(per_value))]
    row, cost = world.sized[best], costs[siblings.index(best)]
    subject = row.contract
    if row.vendor in world.portfolio.policy.excluded_vendors:
        return Excuse(
            subject=subject, rule="F3", limit=f"policy excludes the vendor {row.vendor}",
            remedy=f"take {row.vendor} out of policy.excluded_vendors",
        )  # fmt: skip
    if row.sign_month > 0:
        return Excuse(
            subject=subject, rule="F6", limit="in no group of futures does it pay to sign it at its date",
            remedy="offer it at a lower price, or with an earlier signing date",
        )  # fmt: skip
    rival = _rival(inputs, values, best)
    if cost <= SMALL and rival is not None:
        return Excuse(
            subject=subject, rule="F4.EX", limit=f"it excludes {rival}, which is signed",
            remedy=f"drop {rival}, or let both be signed",
        )  # fmt: skip
    if cost <= SMALL:
        least = row.min_size
        return Excuse(
            subject=subject, rule="F4.A2" if least > 0 else "F4.A1",
            limit=f"its first units would pay, but not its smallest size of {least:,.0f} {_unit(row)}"
            if least > 0 else "it is worth no more than the gap of this plan",
            remedy="offer a smaller minimum" if least > 0 else "ask for a smaller gap",
        )  # fmt: skip
    assert row.commitment is not None
    value = _fee_value(inputs, solution, template.first.rows, best)
    if value <= SMALL:
        return Excuse(
            subject=subject, rule="F8.3", limit="its one-off cost is above what its capacity is worth",
            short=cost * program.money_scale / world.size_unit(row), unit=_price_unit(row),
            remedy="lower its one-off cost by that much",
        )  # fmt: skip
    cut = cost / value * row.commitment.committed_usd
    if row.build is not None or cut > row.commitment.committed_usd:
        per_unit = cost * program.money_scale / world.size_unit(row)
        return Excuse(
            subject=subject, rule="F8.3",
            limit=f"one more of its {_unit(row)} costs {per_unit:,.0f} USD (present value) more than it is worth",
            short=per_unit, unit=_price_unit(row),
            remedy=f"lower its whole cost by {per_unit:,.0f} USD per {_unit(row)}",
        )  # fmt: skip
    if row.unit == "accelerators":
        return Excuse(
            subject=subject, rule="F8.3",
            limit=f"at {row.commitment.committed_usd:.3g} USD per accelerator-hour it costs more than it is worth",
            short=cut, unit="usd_per_accelerator_hour",
            remedy=f"sign it below {row.commitment.committed_usd - cut:.6g} USD per accelerator-hour",
        )  # fmt: skip
    return Excuse(
        subject=subject, rule="F8.3", limit="its committed spend buys less than it costs",
        short=cut, unit="fraction", remedy=f"a discount of {cut:.1%} on its contracted prices",
    )  # fmt: skip


def _unit(row: Supply) -> str:
    return "accelerators" if row.unit == "accelerators" else "USD per month"


def _price_unit(row: Supply) -> str:
    return "usd_per_accelerator" if row.unit == "accelerators" else "usd_per_usd_per_month"


def _rival(inputs: Inputs, values: Values, k: int) -> str | None:
    group = inputs.program.row_group[k]
    if group == NONE:
        return None
    for i in np.flatnonzero(inputs.program.row_group == group).tolist():
        if (
            i != k
            and values.first["sign"][i] > 0.5
            and inputs.world.sized[i].contract != inputs.world.sized[k].contract
        ):
            return inputs.world.sized[i].contract
    return None


def _unserved(inputs: Inputs, values: Values) -> list[Excuse]:
    world, program = inputs.world, inputs.program
    out = []
    for workload in dict.fromkeys(ask.workload for ask in world.asks):
        of = [d for d, ask in enumerate(world.asks) if ask.workload == workload]
        left = values.second["unserved"][:, of].sum(axis=1)  # (S, T)
        amount = np.einsum("s,st,t->", program.probability, left, program.duration) * program.accelerator_scale
        wanted = np.einsum("s,sdt,t->", program.probability, program.demand[:, of], program.duration)
        if amount <= 1e-6 * wanted * program.accelerator_scale:
            continue
        hit = [world.scenarios[s].id for s in range(len(left)) if left[s].max(initial=0.0) > SMALL]
        first = int(np.flatnonzero(left.max(axis=0) > SMALL)[0])
        price = next(ask.unserved_usd_per_unit for ask in world.asks if ask.workload == workload)
        out.append(
            Excuse(
                subject=workload,
                rule="F4.D",
                limit=f"in {len(hit)} of {len(left)} futures ({', '.join(hit[:4])}{'…' if len(hit) > 4 else ''}), from "
                f"{world.calendar.month(first)}, more capacity costs more than the {price:,.0f} USD per unit it saves",
                short=float(amount),
                unit="unit_months",
                remedy="cheaper or earlier capacity in the pools it may use, or a higher unserved_usd_per_unit",
            )
        )
    return out

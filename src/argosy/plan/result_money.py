"""Result, money: cost of each future, cash, burn-down and dependence on vendors. Called by `result`."""

from __future__ import annotations

import numpy as np

from argosy.model.decision import CashYear, CommitmentYear, ScenarioCost, VendorShare
from argosy.plan import delivery
from argosy.plan.calendar import STANDARD_HOURS
from argosy.plan.check import period_cost
from argosy.plan.project_results import project_cash
from argosy.plan.result_reader import SMALL, Reader, mean_later_sizes


def scenarios(reader: Reader) -> tuple[ScenarioCost, ...]:
    """What each future costs, in parts that sum to it."""
    program, recount, money = reader.program, reader.recount, reader.money
    known = program.future_cost @ reader.values.capacity_columns()
    known = known - program.prepay_credit @ reader.values.first["prepay"]
    parts = {name: value @ program.discount for name, value in period_cost(program, reader.values).items()}
    out = []
    for s, scenario in enumerate(reader.world.scenarios):
        components = {
            "commitments": float(known[s]) * money,
            "one_off": recount.first_cost * money,
            **{name: float(value[s]) * money for name, value in parts.items()},
        }
        out.append(
            ScenarioCost(
                scenario=scenario.id,
                name=scenario.name,
                probability=scenario.probability,
                weight_fraction=float(reader.solution.weight[s]),
                cost_present_value_usd=sum(components.values()),
                components_present_value_usd=components,
            )
        )
    return tuple(out)


def cash(reader: Reader) -> tuple[CashYear, ...]:
    """Money by fiscal year as written; later decisions count with their probability."""
    program, x, world = reader.program, reader.values.first, reader.world
    calendar, money = world.calendar, reader.money
    prepaid, capex, credit = (np.zeros(calendar.years) for _ in range(3))
    for k, row in enumerate(world.sized):
        size = float(x["size"][k])
        if row.paid_ahead is not None and size > 0:
            fees = delivery.Fees.of(row, calendar, reader.scale, money)
            paid = row.paid_ahead.fraction * delivery.whole_term_fee(row, fees) * size
            free = float(x["prepay"][k])
            back = delivery.credits(row.paid_ahead, delivery.first_delivery(row), calendar.horizon.months, None)
            by_year = calendar.by_year(calendar.total(back))
            credit += (paid + free / (1 - row.paid_ahead.discount_fraction)) * by_year
            if 0 <= row.paid_ahead.pay_month < calendar.horizon.months:
                prepaid[calendar.year[calendar.period(row.paid_ahead.pay_month)]] += paid + free
        if row.build is not None and size > 0:
            when = calendar.year[calendar.period(row.build.capex_month)]
            capex[when] += row.build.capex_usd_per_accelerator * reader.scale / money * size
    capex += program.site_fixed_cash.T @ x["build"] + program.site_cash.T @ x["power"]
    one_off = program.option_cash.T @ x["option"] + program.port_cash.T @ x["port"]
    one_off = one_off + program.replica_cash.T @ x["replica"] + project_cash(program, reader.values)
    total = program.size_cash.T @ x["size"] + program.prepay_cash.T @ x["prepay"]
    site = program.site_fixed_cash.T @ x["build"] + program.site_cash.T @ x["power"]
    minimum = total - prepaid - (capex - site) + credit
    chance = program.probability @ program.later_member if len(program.later_row) else np.zeros(0)
    minimum = minimum + program.later_cash.T @ (x["later"] * chance)
    return tuple(
        CashYear(
            start=reader.year_start(y),
            prepayment_usd=float(prepaid[y]) * money,
            capex_usd=float(capex[y]) * money,
            minimum_bill_usd=float(minimum[y]) * money,
            credit_usd=float(credit[y]) * money,
            one_off_usd=float(one_off[y]) * money,
            borrowed_usd=float(x["borrow"][y]) * money,
            limit_usd=float(program.cash_limit[y]) * money if np.isfinite(program.cash_limit[y]) else None,
        )
        for y in range(calendar.years)
    )


def commitments(reader: Reader) -> tuple[CommitmentYear, ...]:
    """Burn-down: one row per contract and contract year, means over futures."""
    program, y, world = reader.program, reader.values.second, reader.world
    columns = reader.values.capacity_columns()
    row_of_use = program.line_row[program.use_line]
    out = []
    for f, k in enumerate(program.floor_row.tolist()):
        row = world.sized[k]
        mine = program.bound_floor == f
        committed = reader.mean(program.bound_amount[:, mine] @ columns[program.bound_column[mine]])
        if committed <= SMALL:
            continue
        span = slice(program.floor_first[f], program.floor_last[f] + 1)
        uses = row_of_use == k
        taken = np.einsum("t,j,sjt->s", program.duration[span], program.use_draw[uses], y["use"][:, uses, span])
        hours = row.unit == "accelerators"
        factor = reader.scale * STANDARD_HOURS if hours else reader.money
        assert row.commitment is not None
        out.append(
            CommitmentYear(
                contract=row.contract,
                start=world.calendar.month(int(program.floor_first[f])),
                unit="accelerator_hours" if hours else "usd",
                committed=float(committed) * factor,
                used=float(reader.mean(taken)) * factor,
                shortfall=float(reader.mean(y["short"][:, f])) * factor,
                over_take=float(reader.mean(y["over"][:, f])) * factor,
                made_up=float(reader.mean(y["made"][:, f])) * factor,
                credited=float(reader.mean(y["credit"][:, f])) * factor,
                fee_usd=float(committed) * factor * row.commitment.committed_usd,
            )
        )
    return tuple(out)


def vendor_shares(reader: Reader) -> tuple[VendorShare, ...]:
    """Vendors with commitments, now or later."""
    program, world = reader.program, reader.world
    sizes = reader.values.first["size"] + mean_later_sizes(reader)
    value = np.bincount(program.row_vendor, weights=program.committed_value * sizes, minlength=len(world.vendors))
    total = float(value.sum())
    return tuple(
        VendorShare(
            vendor=vendor,
            committed_present_value_usd=float(value[v]) * reader.money,
            fraction=float(value[v]) / total if total > 0 else 0.0,
            limit_fraction=None if np.isnan(program.vendor_share_max[v]) else float(program.vendor_share_max[v]),
        )
        for v, vendor in enumerate(world.vendors)
        if value[v] > 0
    )

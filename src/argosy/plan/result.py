"""Result: a checked solution as a `Plan`. The only place where positions become ids again."""

from __future__ import annotations

import numpy as np

from argosy.model.decision import (
    AdequacyMonth,
    CashYear,
    Certificate,
    CommitmentYear,
    ContractDecision,
    Dispatch,
    FootprintYear,
    LaterDecision,
    Plan,
    PoolMonth,
    PortDecision,
    Reason,
    ReplicaDecision,
    ScenarioCost,
    SiteDecision,
    VendorShare,
    WorkMonth,
)
from argosy.model.supply import Supply
from argosy.plan import delivery
from argosy.plan.calendar import STANDARD_HOURS
from argosy.plan.check import Recount, period_cost, tail_mean
from argosy.plan.excuses import excuses, fee_margins
from argosy.plan.inputs import Inputs
from argosy.plan.prices import price_terms, prices
from argosy.plan.program import EXERCISE, EXIT, Floats
from argosy.plan.project_results import opened_ports, project_cash, project_fields, saved_by
from argosy.plan.solution import Solution
from argosy.plan.template import Template
from argosy.plan.values import Values
from argosy.units import Month

ACTIONS = {EXERCISE: "exercise", EXIT: "exit"}
SMALL = 1e-6


class Reader:
    """One solution with everything that is needed to put names and units on it."""

    def __init__(self, inputs: Inputs, template: Template, solution: Solution, recount: Recount) -> None:
        self.inputs, self.world, self.program = inputs, inputs.world, inputs.program
        self.template, self.solution, self.recount = template, solution, recount
        self.values = Values.of(self.program, solution.first, solution.second)
        self.money = self.program.money_scale
        self.scale = self.program.accelerator_scale
        self.probability = self.program.probability

    def mean(self, values: Floats) -> Floats:
        """Mean over scenarios (first axis)."""
        return np.asarray(np.tensordot(self.probability, values, axes=1))

    def months(self, period: int) -> range:
        """Month positions of a period."""
        step = self.world.calendar.horizon.step_months
        return range(period * step, (period + 1) * step)

    def month(self, position: int) -> Month:
        """Month at a position of the horizon."""
        return self.world.calendar.horizon.start.plus(position)

    def year_start(self, year: int) -> Month:
        """First month of a fiscal year."""
        return self.month(12 * year)


def plan(reader: Reader, certificate: Certificate, seed: int) -> Plan:
    """All records of a plan."""
    world, program, recount = reader.world, reader.program, reader.recount
    portfolio = world.portfolio
    solution = reader.solution
    worst = tail_mean(program.probability, recount.scenario_cost, program.tail)
    terms = price_terms(reader.inputs, reader.values, solution, reader.template.second)
    return Plan(
        status=solution.status,
        portfolio=portfolio.name,
        title=portfolio.title or portfolio.name,
        start=portfolio.horizon.start,
        months=portfolio.horizon.months,
        step_months=portfolio.horizon.step_months,
        objective_usd=certificate.upper_usd,
        bound_usd=certificate.lower_usd,
        gap_fraction=certificate.gap_fraction,
        certificate=certificate,
        risk_aversion_fraction=program.risk_aversion,
        tail_fraction=program.tail,
        discount_rate_fraction=portfolio.policy.discount_rate_fraction,
        expected_usd=(recount.first_cost + float(program.probability @ recount.scenario_cost)) * reader.money,
        tail_usd=(recount.first_cost + worst) * reader.money,
        seed=seed,
        scenarios=_scenarios(reader),
        decisions=_decisions(reader),
        later=_later(reader),
        ports=_ports(reader),
        replicas=_replicas(reader),
        sites=_sites(reader),
        capacity=_capacity(reader),
        work=_work(reader),
        dispatch=_dispatch(reader),
        prices=prices(world, terms),
        price_terms=terms,
        cash=_cash(reader),
        commitments=_commitments(reader),
        vendor_shares=_vendor_shares(reader),
        adequacy=_adequacy(reader),
        footprint=_footprint(reader),
        **project_fields(reader.inputs, reader.values),
        fee_margins=fee_margins(reader.inputs, reader.values, solution, reader.template),
        excuses=excuses(reader.inputs, reader.values, solution, reader.template),
    )


def _scenarios(reader: Reader) -> tuple[ScenarioCost, ...]:
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


def _decisions(reader: Reader) -> tuple[ContractDecision, ...]:
    """One row per contract; the rows of volume tiers are one decision."""
    world, x = reader.world, reader.values.first
    contracts = {contract.id: contract for contract in world.portfolio.contracts}
    by_contract: dict[str, list[int]] = {}
    for k, row in enumerate(world.sized):
        by_contract.setdefault(row.contract, []).append(k)
    later_size = _mean_later_sizes(reader)
    out = []
    for contract, rows in by_contract.items():
        chosen = max(rows, key=lambda k: x["size"][k] + later_size[k])
        row, unit = world.sized[chosen], world.size_unit(world.sized[chosen])
        size = float(x["size"][chosen]) * unit
        given = row.signed_size is not None
        signed = given or bool(x["sign"][chosen] > 0.5 and size > SMALL * unit)
        reason: Reason = "given" if given else "chosen" if signed else "not_chosen"
        if not signed and later_size[chosen] > SMALL:
            reason = "later"
        cash = delivery.profile(row.tranches, row.end_month, world.calendar.horizon.months)
        fees = delivery.Fees.of(row, world.calendar, reader.scale, reader.money)
        assert row.commitment is not None
        bill = float((cash * fees.amount).sum()) * row.commitment.take_or_pay_fraction * fees.committed * reader.money
        out.append(
            ContractDecision(
                contract=contract,
                name=contracts[contract].name,
                vendor=row.vendor,
                kind=contracts[contract].kind,
                pools=tuple(dict.fromkeys(use.pool for use in row.uses)),
                signed=signed,
                reason=reason,
                size=size,
                max_size=max(_size_limit(world.sized[k]) for k in rows),
                unit=row.unit,
                start=reader.month(_term_start(row)),
                end=reader.month(row.end_month),
                option_size=float(x["option"][chosen]) * unit,
                committed_usd=bill * float(x["size"][chosen]),
                committed_present_value_usd=float(
                    reader.program.committed_value[chosen] * x["size"][chosen] * reader.money
                ),
            )
        )
    return tuple(out)


def _size_limit(row: Supply) -> float:
    return row.max_size if row.signed_size is None else row.signed_size


def _term_start(row: Supply) -> int:
    return delivery.first_delivery(row)


def _mean_later_sizes(reader: Reader) -> Floats:
    """(K,) mean size of rows that are signed later."""
    program = reader.program
    out = np.zeros(len(program.sign_lower))
    for e, x in enumerate(reader.inputs.later):
        if x.action not in ACTIONS:
            chance = float(program.probability @ program.later_member[:, e])
            out[x.row] += chance * reader.values.first["later"][e]
    return out


def _later(reader: Reader) -> tuple[LaterDecision, ...]:
    out = []
    for e, x in enumerate(reader.inputs.later):
        row = reader.world.sized[x.row]
        size = float(reader.values.first["later"][e]) * reader.world.size_unit(row)
        if size <= SMALL * reader.world.size_unit(row):
            continue
        members = [scenario for scenario, inside in zip(reader.world.scenarios, x.member, strict=True) if inside]
        out.append(
            LaterDecision(
                contract=row.contract,
                action="exercise" if x.action == EXERCISE else "exit" if x.action == EXIT else "sign",
                month=reader.month(x.month),
                scenarios=tuple(scenario.id for scenario in members),
                probability=sum(scenario.probability for scenario in members),
                size=size,
                unit=row.unit,
            )
        )
    return tuple(out)


def _ports(reader: Reader) -> tuple[PortDecision, ...]:
    opened = opened_ports(reader.program, reader.values)
    return tuple(
        PortDecision(
            workload=workload,
            family=family,
            ported=bool(reader.values.first["port"][o] > 0.5) or o in opened,
            cost_usd=float(reader.program.port_cash[o, 0]) * reader.money,
        )
        for o, (workload, family) in enumerate(reader.inputs.ports)
    )


def _replicas(reader: Reader) -> tuple[ReplicaDecision, ...]:
    out = []
    for r, (dataset, region) in enumerate(reader.inputs.replicas):
        share = float(reader.values.first["replica"][r])
        if share > SMALL:
            facts = reader.world.datasets[dataset]
            gib = facts.size_gib * share
            out.append(
                ReplicaDecision(
                    dataset=dataset,
                    region=region,
                    fraction=share,
                    gib=gib,
                    usd_per_month=gib * facts.storage_usd_per_gib,
                )
            )
    return tuple(out)


def _sites(reader: Reader) -> tuple[SiteDecision, ...]:
    x = reader.values.first
    return tuple(
        SiteDecision(
            site=site.id,
            built=bool(x["build"][b] > 0.5),
            mw=float(x["power"][b]),
            capex_usd=float(site.fixed_usd * x["build"][b] + site.capex_usd_per_mw * x["power"][b]),
        )
        for b, site in enumerate(reader.world.sites)
    )


def _capacity(reader: Reader) -> tuple[PoolMonth, ...]:
    """Committed capacity of a pool is what lines deliver there; a line in several pools is split by use."""
    program, y = reader.program, reader.values.second
    columns = reader.values.capacity_columns()
    there = np.zeros((program.shape["S"], program.shape["N"], program.shape["T"]))
    for i, (n, c) in enumerate(zip(program.link_line, program.link_column, strict=True)):
        there[:, n] += program.link_capacity[:, i] * columns[c]
    committed = program.stock.copy()
    for j, (n, p) in enumerate(zip(program.use_line, program.use_pool, strict=True)):
        siblings = np.flatnonzero(program.use_line == n)
        if len(siblings) == 1:
            committed[:, p] += there[:, n] / program.use_draw[j]
        else:
            committed[:, p] += y["use"][:, j]
    taken = np.zeros_like(committed)
    for i, p in enumerate(program.open_pool):
        taken[:, p] += y["open"][:, i]
    used = np.zeros_like(committed)
    for a, p in enumerate(program.arc_pool):
        used[:, p] += y["work"][:, a]
    means = [reader.mean(v) * reader.scale for v in (committed, taken, used)]
    low, high = committed.min(axis=0) * reader.scale, committed.max(axis=0) * reader.scale
    return tuple(
        PoolMonth(
            pool=pool.id,
            month=reader.month(m),
            committed_accelerators=float(means[0][p, t]),
            committed_low_accelerators=float(low[p, t]),
            committed_high_accelerators=float(high[p, t]),
            open_accelerators=float(means[1][p, t]),
            used_accelerators=float(means[2][p, t]),
        )
        for p, pool in enumerate(reader.world.pools)
        for t in range(program.shape["T"])
        for m in reader.months(t)
    )


def _work(reader: Reader) -> tuple[WorkMonth, ...]:
    program, y = reader.program, reader.values.second
    workloads = list(dict.fromkeys(ask.workload for ask in reader.world.asks))
    if not workloads:
        return ()
    of = np.array([workloads.index(ask.workload) for ask in reader.world.asks])
    done = np.zeros_like(program.demand)
    for a, d in enumerate(program.arc_demand):
        done[:, d] += program.arc_yield[a] * y["work"][:, a]
    done += saved_by(program, y["saved"])

    def grouped(values: Floats) -> Floats:
        return np.stack([values[:, of == w].sum(axis=1) for w in range(len(workloads))], axis=1) * reader.scale

    demand, served = grouped(program.demand), grouped(done)
    unserved, backlog = grouped(y["unserved"]), grouped(y["backlog"])
    return tuple(
        WorkMonth(
            workload=workload,
            month=reader.month(m),
            demand_units=float(reader.mean(demand)[w, t]),
            demand_low_units=float(demand[:, w, t].min()),
            demand_high_units=float(demand[:, w, t].max()),
            served_units=float(reader.mean(served)[w, t]),
            unserved_units=float(reader.mean(unserved)[w, t]),
            unserved_high_units=float(unserved[:, w, t].max()),
            backlog_units=float(reader.mean(backlog)[w, t]),
        )
        for w, workload in enumerate(workloads)
        for t in range(program.shape["T"])
        for m in reader.months(t)
    )


def _dispatch(reader: Reader) -> tuple[Dispatch, ...]:
    """Mean use by work and pool; one row per period, dated with its first month, where there is any."""
    mean = reader.mean(reader.values.second["work"]) * reader.scale
    out = []
    for a, arc in enumerate(reader.inputs.arcs):
        ask, pool = reader.world.asks[arc.ask], reader.world.pools[arc.pool]
        for t in np.flatnonzero(mean[a] > SMALL * reader.scale).tolist():
            out.append(
                Dispatch(
                    workload=ask.workload,
                    home=ask.home,
                    pool=pool.id,
                    month=reader.world.calendar.month(t),
                    accelerators=float(mean[a, t]),
                )
            )
    return tuple(out)


def _cash(reader: Reader) -> tuple[CashYear, ...]:
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


def _commitments(reader: Reader) -> tuple[CommitmentYear, ...]:
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


def _vendor_shares(reader: Reader) -> tuple[VendorShare, ...]:
    program, world = reader.program, reader.world
    sizes = reader.values.first["size"] + _mean_later_sizes(reader)
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


def _adequacy(reader: Reader) -> tuple[AdequacyMonth, ...]:
    """The worst single loss of each month."""
    program = reader.program
    if not reader.inputs.losses:
        return ()
    size = reader.values.first["size"]
    remains = (program.adequacy_base + np.einsum("qkt,k->qt", program.adequacy_size, size)) * reader.scale
    required = program.adequacy_required * reader.scale
    out: list[AdequacyMonth] = []
    for t in range(program.shape["T"]):
        q = int(remains[:, t].argmin())
        out.extend(
            AdequacyMonth(
                month=reader.month(m),
                lost=reader.inputs.losses[q],
                required_units=float(required[t]),
                remaining_units=float(remains[q, t]),
                gap_units=float(max(0.0, required[t] - remains[q, t])),
            )
            for m in reader.months(t)
        )
    return tuple(out)


def _footprint(reader: Reader) -> tuple[FootprintYear, ...]:
    """Mean emissions and highest mean power by fiscal year; left out where a pool's facts are unknown."""
    program = reader.program
    used = np.zeros((program.shape["P"], program.shape["T"]))
    work = reader.mean(reader.values.second["work"])
    for a, p in enumerate(program.arc_pool):
        used[p] += work[a]
    touched = used.max(axis=1, initial=0.0) > SMALL
    if np.isnan(program.pool_carbon[touched]).any() or np.isnan(program.pool_mw[touched]).any():
        return ()
    tonnes = (program.pool_carbon[touched] * used[touched]).sum(axis=0)
    mw = (program.pool_mw[touched][:, None] * used[touched]).sum(axis=0)
    out = []
    for year in range(program.shape["Y"]):
        t = program.year == year
        built = reader.values.first["size"] + _mean_later_sizes(reader)
        embodied = float(program.embodied[:, year] @ built)
        limit, power = program.carbon_max[year], program.power_max[t].min()
        out.append(
            FootprintYear(
                start=reader.year_start(year),
                carbon_tonnes=float(tonnes[t].sum()) + embodied,
                carbon_limit_tonnes=float(limit) if np.isfinite(limit) else None,
                peak_mw=float(mw[t].max()),
                limit_mw=float(power) if np.isfinite(power) else None,
            )
        )
    return tuple(out)

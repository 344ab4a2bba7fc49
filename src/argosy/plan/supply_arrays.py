"""Supply rows as arrays: sizes and clauses of the first stage, capacity, floors and fees of every future.

Called by `inputs`; reads `Supply` rows and never a contract's kind. All results are fields of `Program`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from argosy.model import effects
from argosy.model.supply import OptionRight, Supply, Tranche
from argosy.plan import delivery
from argosy.plan.calendar import STANDARD_HOURS
from argosy.plan.clusters import clusters
from argosy.plan.delivery import Fees
from argosy.plan.program import EXERCISE, EXIT, NONE, SIGN, Floats, Ints
from argosy.plan.world import World


@dataclass(frozen=True, slots=True)
class Later:
    """One later column: a decision on a row at a date for the futures of one cluster."""

    row: int
    action: int
    month: int
    member: tuple[bool, ...]


@dataclass(frozen=True, slots=True)
class Flow:
    """What one unit of a capacity column brings in one future, by month."""

    capacity: Floats
    """(M,) share of a unit that may be used, outages aside."""
    matched: Floats
    """(M,) the same as a third party would deliver it, whatever becomes of the vendor."""
    owed: Floats
    """(M,) share of a unit that the floor counts."""
    extra: Floats
    """(M,) money paid (+) or credited (-) outside the floor."""


def later_columns(world: World) -> tuple[Later, ...]:
    """Every exercise, exit and later signing, one per information cluster at its date."""
    found: list[Later] = []
    excluded = world.portfolio.policy.excluded_vendors
    for k, row in enumerate(world.sized):
        dates: list[tuple[int, int]] = []
        if row.option is not None:
            dates += [(EXERCISE, m) for m in row.option.exercise_months]
        if row.exit is not None:
            dates += [(EXIT, m) for m in row.exit.notice_given_months]
        if row.signed_size is None and row.sign_month > 0 and row.vendor not in excluded:
            dates.append((SIGN, row.sign_month))
        for action, month in dates:
            found.extend(Later(k, action, month, member) for member in clusters(world, month))
    return tuple(found)


def flow(world: World, row: Supply, fees: Fees, s: int, later: Later | None) -> Flow:
    """Capacity, obligation and extra money of one column in one future; all zero outside the column's cluster."""
    months = world.calendar.horizon.months
    zero = np.zeros(months)
    if later is not None and not later.member[s]:
        return Flow(zero, zero, zero, zero)
    scenario = world.scenarios[s]
    assert row.commitment is not None
    terms = row.commitment
    delay = effects.delay_months(scenario, row.contract, row.vendor)
    default = world.default_month(s, row.vendor)
    alive = np.ones(months)
    if default is not None:
        alive[default:] = 0.0
    tranches = row.tranches
    if later is not None and later.action == EXERCISE:
        assert row.option is not None
        tranches = (_exercised(row.option, later.month),)
    nominal = delivery.profile(tranches, row.end_month, months)
    delivered = delivery.profile(tranches, row.end_month, months, delay)
    unsold = 0.0
    if row.backstop is not None:
        drawn = effects.unsold_fraction(scenario, row.contract, row.backstop.expected_unsold_fraction)
        unsold = row.backstop.max_fraction * drawn
    unfailing = delivered * (1 + unsold)
    capacity = unfailing * alive
    owed = (delivered if terms.follows_delivery else nominal) * alive * (1 + unsold)
    extra = -fees.late * np.maximum(nominal - delivered, 0.0) * fees.amount * alive
    if later is None or later.action == SIGN:
        if row.paid_ahead is not None and row.paid_ahead.fraction > 0:
            paid = row.paid_ahead.fraction * delivery.whole_term_fee(row, fees)
            extra = extra - paid * delivery.credits(row.paid_ahead, delivery.first_credit(row, delay), months, default)
        return Flow(capacity, unfailing, owed, extra)
    if later.action == EXERCISE:
        assert row.option is not None
        extra = extra.copy()
        extra[later.month] += row.option.strike_usd_per_accelerator * world.accelerator_scale / world.money_scale
        return Flow(capacity, unfailing, owed, extra)
    assert row.exit is not None
    gone = np.zeros(months)
    gone[later.month + row.exit.notice_months :] = 1.0
    saved = (owed * gone * fees.amount).sum() * terms.take_or_pay_fraction * fees.committed
    fee = np.zeros(months)
    fee[min(months - 1, later.month + row.exit.notice_months)] = row.exit.fee_fraction * saved
    return Flow(-capacity * gone, -unfailing * gone, -owed * gone, fee - extra * gone)


def _exercised(option: OptionRight, month: int) -> Tranche:
    """Delivery of an option exercised in a month."""
    return Tranche(month=month + option.lead_months, fraction=1.0, ramp_months=option.ramp_months)


def floors(world: World) -> tuple[Ints, Ints, Ints]:
    """(row, first period, last period) of every contract year that touches the horizon, by row and year."""
    step, periods = world.calendar.horizon.step_months, world.calendar.periods
    chunk = 12 // step
    found = []
    for k, row in enumerate(world.sized):
        start = delivery.first_delivery(row) // step
        end = min(periods, -(-min(row.end_month, world.calendar.horizon.months) // step))
        for first in range(start, end, chunk):
            if first + chunk > 0:
                found.append((k, max(0, first), min(first + chunk, end) - 1))
    rows, first_period, last_period = np.array(found, dtype=np.int64).reshape(-1, 3).T
    return rows, first_period, last_period


def arrays(world: World, later: tuple[Later, ...]) -> dict[str, object]:
    """The fields of `Program` that come from sized rows."""
    calendar, sized = world.calendar, world.sized
    scenarios, rows, periods = len(world.scenarios), len(sized), calendar.periods
    months = calendar.horizon.months
    monthly_discount = calendar.discount[calendar.period_of_month]
    fees = [Fees.of(row, calendar, world.accelerator_scale, world.money_scale) for row in sized]
    columns: list[tuple[int, Later | None]] = [(k, None) for k in range(rows)] + [(x.row, x) for x in later]
    floor_row, floor_first, floor_last = floors(world)

    line_row = list(range(rows)) + [k for k, row in enumerate(sized) if row.first_refusal is not None]
    live = [c for c, (k, x) in enumerate(columns) if _has(sized[k], x)]
    link = [(n, c) for n, k in enumerate(line_row) for c in live if columns[c][0] == k]
    bound = [(f, c) for f, k in enumerate(floor_row) for c in live if columns[c][0] == k]
    capacity = np.zeros((scenarios, len(link), periods))
    amount = np.zeros((scenarios, len(bound)))
    cost = np.zeros((scenarios, len(columns)))
    of_link = [[i for i, (_, c) in enumerate(link) if c == column] for column in range(len(columns))]
    of_bound = [[g for g, (_, c) in enumerate(bound) if c == column] for column in range(len(columns))]
    for s in range(scenarios):
        for c in live:
            k, x = columns[c]
            row, fee = sized[k], fees[k]
            assert row.commitment is not None
            share = row.commitment.take_or_pay_fraction
            f = flow(world, row, fee, s, x)
            for i in of_link[c]:
                n = link[i][0]
                twin = n >= rows
                level = (f.matched if twin else f.capacity) * _line_share(world, row, s, twin=twin)
                level = level * _line_available(world, row, s, twin)
                if row.unit == "usd_per_month":
                    money = calendar.total(level) * (1 + row.max_over_take_fraction)
                    capacity[s, i] = money / calendar.duration
                else:
                    capacity[s, i] = calendar.mean(level)
            owed = calendar.total(f.owed * fee.amount)
            for g in of_bound[c]:
                span = slice(floor_first[bound[g][0]], floor_last[bound[g][0]] + 1)
                amount[s, g] = share * owed[span].sum()
            paid = f.owed * fee.amount * share * fee.committed + f.extra
            cost[s, c] = (paid * monthly_discount).sum()
    member = np.array([x.member for x in later], dtype=bool).reshape(len(later), scenarios).T
    sign = np.array([x.action == SIGN for x in later], dtype=bool)
    one_off = _one_off(world, fees)
    if sign.any():
        at = np.array([x.row for x in later])
        cost[:, rows:][:, sign] += one_off["size_cost"][at[sign]] * member[:, sign]
    return {
        **_first_stage(world),
        **one_off,
        **_uses(world, line_row, fees, floor_row),
        "later_row": np.array([x.row for x in later], dtype=np.int64),
        "later_action": np.array([x.action for x in later], dtype=np.int64),
        "later_period": np.array([calendar.period(x.month) for x in later], dtype=np.int64),
        "later_member": member,
        "later_cash": _later_cash(world, later, fees, one_off["size_cash"]),
        "line_row": np.array(line_row, dtype=np.int64),
        "link_line": np.array([n for n, _ in link], dtype=np.int64),
        "link_column": np.array([c for _, c in link], dtype=np.int64),
        "link_capacity": capacity,
        "floor_row": floor_row,
        "floor_first": floor_first,
        "floor_last": floor_last,
        "bound_floor": np.array([f for f, _ in bound], dtype=np.int64),
        "bound_column": np.array([c for _, c in bound], dtype=np.int64),
        "bound_amount": amount,
        "future_cost": cost,
        "prepay_credit": _prepay_credit(world, months, monthly_discount),
    }


def _has(row: Supply, later: Later | None) -> bool:
    """Whether the column can be anything but zero: a row signed later has no size now."""
    return later is not None or row.signed_size is not None or row.sign_month <= 0


def _line_share(world: World, row: Supply, s: int, twin: bool) -> float:
    """Share of the row that this line carries: what a third party matches moves to the twin."""
    if row.first_refusal is None:
        return 1.0
    matched = effects.matched_fraction(world.scenarios[s], row.contract, row.first_refusal.match_fraction)
    return matched if twin else 1 - matched


def _line_available(world: World, row: Supply, s: int, twin: bool) -> Floats:
    """(M,) best availability over the line's pools; the pools' own lower one bounds their uses."""
    pools = [row.first_refusal.pool] if twin and row.first_refusal is not None else [use.pool for use in row.uses]
    return np.asarray(world.available[s, [world.pool_position(pool) for pool in pools]].max(axis=0))


def _first_stage(world: World) -> dict[str, object]:
    """Bounds and clauses of the sized rows."""
    excluded = set(world.portfolio.policy.excluded_vendors)
    rows = world.sized
    groups = sorted({row.alternatives for row in rows if row.alternatives is not None})
    unit = np.array([world.size_unit(row) for row in rows])
    signed = np.array([row.signed_size is not None for row in rows], dtype=bool)
    now = np.array([row.sign_month <= 0 for row in rows], dtype=bool)
    allowed = np.array([row.vendor not in excluded for row in rows], dtype=bool)
    sites = [site.id for site in world.sites]
    return {
        "sign_lower": signed.astype(float),
        "sign_upper": (signed | (now & allowed)).astype(float),
        "size_min": np.array([r.min_size if r.signed_size is None else r.signed_size for r in rows]) / unit,
        "size_max": np.array([r.max_size if r.signed_size is None else r.signed_size for r in rows]) / unit,
        "row_group": np.array([groups.index(r.alternatives) if r.alternatives else NONE for r in rows], dtype=np.int64),
        "row_vendor": np.array([world.vendor_position(row.vendor) for row in rows], dtype=np.int64),
        "option_share": np.array([row.option.max_fraction if row.option else 0.0 for row in rows]),
        "make_up_share": np.array([_clause(row, "make_up", "fraction") for row in rows]),
        "make_up_floors": np.array([_clause(row, "make_up", "validity_years") for row in rows], dtype=np.int64),
        "carry_share": np.array([_clause(row, "carry_forward", "fraction") for row in rows]),
        "carry_floors": np.array([_clause(row, "carry_forward", "validity_years") for row in rows], dtype=np.int64),
        "row_site": np.array([NONE if r.build is None else sites.index(r.build.site) for r in rows], dtype=np.int64),
        "row_kw": np.array([r.build.kw_per_accelerator if r.build else 0.0 for r in rows])
        * (world.accelerator_scale / 1000),
    }  # fmt: skip


def _clause(row: Supply, clause: str, number: str) -> float:
    """A number of an optional clause; 0 where the row does not carry it."""
    terms = getattr(row.commitment, clause)
    return 0.0 if terms is None else float(getattr(terms, number))


def _one_off(world: World, fees: list[Fees]) -> dict[str, Floats]:
    """What a unit of size, option or free prepayment costs once, and the money that leaves by fiscal year."""
    calendar, rows = world.calendar, len(world.sized)
    months, years = calendar.horizon.months, calendar.years
    discount = calendar.discount[calendar.period_of_month]
    money = world.money_scale
    out = {
        name: np.zeros(rows)
        for name in ("size_cost", "option_cost", "prepay_max", "prepay_cost", "equity_value", "committed_value")
    }
    out["equity_max"] = np.full(rows, np.inf)
    out |= {name: np.zeros((rows, years)) for name in ("size_cash", "option_cash", "prepay_cash", "embodied")}
    for k, row in enumerate(world.sized):
        assert row.commitment is not None
        nominal = delivery.profile(row.tranches, row.end_month, months)
        bill = nominal * fees[k].amount * row.commitment.take_or_pay_fraction * fees[k].committed
        cash = bill.copy()
        out["committed_value"][k] = (bill * discount).sum()
        if row.paid_ahead is not None:
            ahead = row.paid_ahead
            whole = delivery.whole_term_fee(row, fees[k])
            back = delivery.credits(ahead, delivery.first_delivery(row), months, None)
            cash -= ahead.fraction * whole * back
            if 0 <= ahead.pay_month < months:
                out["size_cost"][k] += ahead.fraction * whole * discount[ahead.pay_month]
                cash[ahead.pay_month] += ahead.fraction * whole
                if ahead.optional_fraction > 0:
                    out["prepay_max"][k] = ahead.optional_fraction * whole
                    out["prepay_cost"][k] = discount[ahead.pay_month]
                    free = -back / (1 - ahead.discount_fraction)
                    free[ahead.pay_month] += 1.0
                    out["prepay_cash"][k] = calendar.by_year(calendar.total(free))
        if row.build is not None:
            capex = row.build.capex_usd_per_accelerator * world.accelerator_scale / money
            when = min(row.build.capex_month, months - 1)
            out["size_cost"][k] += capex * (discount[when] - row.build.residual_fraction * discount[-1])
            cash[when] += capex
            year = calendar.year[calendar.period(when)]
            out["embodied"][k, year] = row.build.embodied_tonnes_per_accelerator * world.accelerator_scale
        if row.equity is not None:
            vested = sum(tranche.delivered(-1) for tranche in row.tranches)
            rise = np.diff(np.maximum.accumulate(np.concatenate([[vested], nominal])))
            value = row.equity.usd_per_accelerator * row.equity.realised_fraction * world.accelerator_scale / money
            present = value * (rise * discount).sum()
            most = np.inf
            if row.equity.max_usd is not None:
                most = row.equity.max_usd * row.equity.realised_fraction / money
            if present > 0:
                out["equity_value"][k], out["equity_max"][k] = present, most
            else:  # a cap on what we give would reward size, so it counts only where the size is agreed
                size = (row.signed_size or 0.0) / world.accelerator_scale
                out["size_cost"][k] += min(-present, most / size) if size > 0 else -present
        if row.option is not None:
            premium = row.option.premium_usd_per_accelerator * world.accelerator_scale / money
            when = max(0, row.sign_month)
            out["option_cost"][k] = premium * discount[when]
            out["option_cash"][k, calendar.year[calendar.period(when)]] = premium
        out["size_cash"][k] = calendar.by_year(calendar.total(cash))
    return out


def _later_cash(world: World, later: tuple[Later, ...], fees: list[Fees], size_cash: Floats) -> Floats:
    """(E, Y) money that leaves per unit of a later column, as written."""
    calendar = world.calendar
    months = calendar.horizon.months
    out = np.zeros((len(later), calendar.years))
    for e, x in enumerate(later):
        row, fee = world.sized[x.row], fees[x.row]
        assert row.commitment is not None
        rate = row.commitment.take_or_pay_fraction * fee.committed
        if x.action == SIGN:
            out[e] = size_cash[x.row]
            continue
        cash = np.zeros(months)
        if x.action == EXERCISE:
            assert row.option is not None
            tranches = (_exercised(row.option, x.month),)
            cash += delivery.profile(tranches, row.end_month, months) * fee.amount * rate
            cash[x.month] += row.option.strike_usd_per_accelerator * world.accelerator_scale / world.money_scale
        else:
            assert row.exit is not None
            gone = np.zeros(months)
            gone[x.month + row.exit.notice_months :] = 1.0
            bill = delivery.profile(row.tranches, row.end_month, months) * fee.amount * rate * gone
            cash -= bill
            cash[min(months - 1, x.month + row.exit.notice_months)] += row.exit.fee_fraction * bill.sum()
        out[e] = calendar.by_year(calendar.total(cash))
    return out


def _prepay_credit(world: World, months: int, discount: Floats) -> Floats:
    """(S, K) present value of the credits of one unit of money prepaid by choice."""
    out = np.zeros((len(world.scenarios), len(world.sized)))
    for k, row in enumerate(world.sized):
        if row.paid_ahead is None or row.paid_ahead.optional_fraction == 0:
            continue
        for s in range(len(world.scenarios)):
            default = world.default_month(s, row.vendor)
            delay = effects.delay_months(world.scenarios[s], row.contract, row.vendor)
            back = delivery.credits(row.paid_ahead, delivery.first_credit(row, delay), months, default)
            out[s, k] = (back * discount).sum() / (1 - row.paid_ahead.discount_fraction)
    return out


def _uses(world: World, line_row: list[int], fees: list[Fees], floor_row: Ints) -> dict[str, object]:
    """Uses of lines in pools, and what lies above and below the floors costs."""
    calendar, rows = world.calendar, len(world.sized)
    rate = STANDARD_HOURS * world.accelerator_scale / world.money_scale
    lines: list[int] = []
    pools: list[int] = []
    draws: list[float] = []
    costs: list[Floats] = []
    bounds: list[Floats] = []
    for n, k in enumerate(line_row):
        row = world.sized[k]
        twin = n >= rows
        places = row.uses if not twin else ()
        if twin and row.first_refusal is not None:
            places = (row.uses[0].model_copy(update={"pool": row.first_refusal.pool}),)
        best = np.array([_line_available(world, row, s, twin) for s in range(len(world.scenarios))])
        for use in places:
            pool = world.pool_position(use.pool)
            here = world.available[:, pool]  # (S, M)
            bound = np.full(here.shape, np.inf)
            if use.max_accelerators is not None:
                bound = here * use.max_accelerators / world.accelerator_scale
            elif row.unit == "usd_per_month":
                bound = np.where(here > 0, np.inf, 0.0)
            elif len(places) > 1:
                lower = world.calendar.total((here < best).astype(float)) > 0  # (S, T)
                bound = np.where(lower[:, world.calendar.period_of_month], here * _most(world, row), np.inf)
            lines.append(n)
            pools.append(pool)
            draws.append(use.draw_per_accelerator_hour * (rate if row.unit == "usd_per_month" else 1.0))
            costs.append(use.usage_usd_per_accelerator_hour * rate * calendar.duration)
            bounds.append(_mean_bound(world, bound))
    over = np.array([fee.over for fee in fees])
    short = np.array([fee.short for fee in fees])
    committed = np.array([fee.committed for fee in fees])
    uses = len(lines)
    return {
        "use_line": np.array(lines, dtype=np.int64),
        "use_pool": np.array(pools, dtype=np.int64),
        "use_draw": np.array(draws),
        "use_cost": np.array(costs).reshape(uses, calendar.periods),
        "use_max": np.array(bounds).reshape(uses, len(world.scenarios), calendar.periods).transpose(1, 0, 2),
        "over_cost": over[floor_row],
        "short_cost": short[floor_row],
        "carry_refund": committed[floor_row],
    }


def _most(world: World, row: Supply) -> float:
    """The most that a row's size, option and backstop can come to, in scaled accelerators."""
    size = row.max_size if row.signed_size is None else row.signed_size
    more = sum(clause.max_fraction for clause in (row.option, row.backstop) if clause is not None)
    return size * (1 + more) / world.accelerator_scale


def _mean_bound(world: World, bound: Floats) -> Floats:
    """(S, T) mean of a monthly bound; a period with a month that is unbounded is unbounded."""
    finite = np.where(np.isinf(bound), 0.0, bound)
    mean = world.calendar.mean(finite)
    unbounded = world.calendar.total(np.isinf(bound).astype(float)) > 0
    return np.where(unbounded, np.inf, mean)

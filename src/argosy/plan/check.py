"""Check: recount a plan's cost and every limit without the solver and without the matrices it was given.

`check` reads a `Program` and `Values` and evaluates docs/concepts/plan.md rule by rule. It shares no code with
`template`, so that an error in one of them shows. Called before any plan is published; tests call it too.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from argosy.plan.check_levers import check_levers, opened, project_cash, saved_by, saved_critical, saved_egress
from argosy.plan.program import EXERCISE, EXIT, NONE, SIGN, Floats, Ints, Program
from argosy.plan.residuals import Ledger
from argosy.plan.values import Values


@dataclass(frozen=True, slots=True)
class Recount:
    """What the recount found."""

    objective: float
    """F5, scaled."""
    scenario_cost: Floats
    """(S,) Q_s, scaled."""
    first_cost: float
    """F, scaled."""
    residual: dict[str, float]
    """Rule to its largest violation, relative to the size of the row's terms (at least 1)."""

    @property
    def worst(self) -> float:
        """Largest violation of any rule."""
        return max(self.residual.values(), default=0.0)


def check(program: Program, values: Values) -> Recount:
    """Recount objective and residuals; never raises on a bad plan, the residuals say how bad it is."""
    book = Ledger()
    _bounds(program, values, book)
    _contracts(program, values, book)
    _limits(program, values, book)
    _work(program, values, book)
    _floors(program, values, book)
    _second_limits(program, values, book)
    check_levers(program, values, book)
    first = first_cost(program, values)
    scenario = scenario_cost(program, values, book)
    return Recount(first + _risk(program, scenario), scenario, first, book.residual)


def _risk(program: Program, cost: Floats) -> float:
    """(1 - lambda) mean + lambda CVaR, with the CVaR computed from the sorted costs, not from eta."""
    mean = float(program.probability @ cost)
    return (1 - program.risk_aversion) * mean + program.risk_aversion * tail_mean(
        program.probability, cost, program.tail
    )


def tail_mean(probability: Floats, cost: Floats, tail: float) -> float:
    """Mean of the costliest 1 - tail of the futures."""
    order = np.argsort(-cost, kind="stable")
    left = 1 - tail
    taken = np.minimum(probability[order], np.maximum(0.0, left - (np.cumsum(probability[order]) - probability[order])))
    return float(taken @ cost[order] / left)


def first_cost(program: Program, values: Values) -> float:
    """F of F5."""
    x = values.first
    return float(
        program.size_cost @ x["size"] + program.option_cost @ x["option"] + program.prepay_cost @ x["prepay"]
        - x["equity"].sum() + program.port_cost @ x["port"] + program.replica_cost @ x["replica"]
        + program.site_fixed_cost @ x["build"] + program.site_cost @ x["power"] + program.borrow_cost @ x["borrow"]
        + program.levers.start_cost @ x["start"]
        + (program.gap_cost * x["gap"]).sum()
    )  # fmt: skip


def period_cost(program: Program, values: Values) -> dict[str, Floats]:
    """Parts of F4.CT: name to (S, T), undiscounted."""
    y = values.second
    shape = y["cost"].shape
    parts = {
        "egress": np.einsum("at,sat->st", program.arc_cost, y["work"])
        + np.einsum("xt,sxt->st", program.transfer_cost, y["transfer"])
        + saved_egress(program, values),
        "use": np.einsum("jt,sjt->st", program.use_cost, y["use"]),
        "open": np.einsum("lt,slt->st", program.open_cost, y["open"]),
        "unserved": np.einsum("dt,sdt->st", program.unserved_cost, y["unserved"]),
        "over_take": np.zeros(shape),
        "shortfall": np.zeros(shape),
        "carbon": np.zeros(shape),
    }
    for f, t in enumerate(program.floor_last):
        parts["over_take"][:, t] += program.over_cost[f] * y["over"][:, f]
        parts["over_take"][:, t] -= program.carry_refund[f] * y["credit"][:, f]
        parts["shortfall"][:, t] += program.short_cost[f] * y["short"][:, f]
    for year in np.flatnonzero(np.isfinite(program.carbon_max)).tolist():
        last = np.flatnonzero(program.year == year)[-1]
        parts["carbon"][:, last] += program.carbon_cost[year] * y["excess"][:, year]
    return parts


def scenario_cost(program: Program, values: Values, book: Ledger | None = None) -> Floats:
    """Q_s of F5 for every scenario."""
    total = np.sum(list(period_cost(program, values).values()), axis=0)
    if book is not None:
        book.equal("F4.CT", values.second["cost"], total)
    columns = values.capacity_columns()
    known = program.future_cost @ columns - program.prepay_credit @ values.first["prepay"]
    return np.asarray(total @ program.discount + known)


def signed(program: Program, values: Values, s: int) -> Floats:
    """(K,) size of each row in one future, later signings included."""
    size = values.first["size"].copy()
    for e, k in enumerate(program.later_row.tolist()):
        if program.later_action[e] == SIGN and program.later_member[s, e]:
            size[k] += values.first["later"][e]
    return size


def _bounds(program: Program, values: Values, book: Ledger) -> None:
    x, y = values.first, values.second
    for family in (*x.items(), *y.items()):
        if family[0] not in ("eta", "cost"):
            book.below("F3", -family[1], np.zeros(1))
    for name, upper in (
        ("sign", program.sign_upper), ("size", program.size_max), ("port", np.ones(1)), ("replica", np.ones(1)),
        ("start", np.ones(1)),
        ("build", np.ones(1)), ("power", program.site_max), ("borrow", program.borrow_max),
        ("later_sign", np.ones(1)), ("equity", np.where(program.equity_value > 0, program.equity_max, 0.0)),
    ):  # fmt: skip
        book.below("F3", x[name], upper)
    book.below("F3", -x["sign"], -program.sign_lower)
    book.below("F3", -x["build"], -program.site_committed)
    for name in ("sign", "later_sign", "port", "start", "build"):
        if name != "start" or not program.levers.divisible:
            book.equal("F3", x[name], np.round(x[name]))
    book.below("F3", x["port"][program.levers.closed_port], np.zeros(1))
    book.below("F3", y["use"], program.use_max)
    book.below("F3", y["open"], program.open_max)
    book.below("F3", y["work"], np.where(program.arc_open, np.inf, 0.0)[None])
    ends = np.repeat(program.backlog_max[:, :, None], len(program.duration), axis=2)
    ends[:, :, -1] = 0.0
    book.below("F3", y["backlog"], ends)
    banks = np.where(program.make_up_share[program.floor_row] > 0, np.inf, 0.0)[None]
    carries = np.where(program.carry_share[program.floor_row] > 0, np.inf, 0.0)[None]
    for name, live in (("made", banks), ("bank", banks), ("credit", carries), ("carry", carries)):
        book.below("F3", y[name], live)


def _contracts(program: Program, values: Values, book: Ledger) -> None:
    x = values.first
    book.below("F4.A1", x["size"], program.size_max * x["sign"])
    book.below("F4.A2", program.size_min * x["sign"], x["size"])
    sign = np.flatnonzero(program.later_action == SIGN)
    of = program.later_row[sign]
    book.below("F4.A3", x["later"][sign], program.size_max[of] * x["later_sign"])
    book.below("F4.A3", program.size_min[of] * x["later_sign"], x["later"][sign])
    for s in range(len(program.probability)):
        here = program.later_member[s] if len(program.later_row) else np.zeros(0, dtype=bool)
        later = np.where(here, x["later"], 0.0)
        for group in np.unique(program.row_group[program.row_group != NONE]):
            now = x["sign"][program.row_group == group].sum()
            waiting = x["later_sign"][here[sign] & (program.row_group[of] == group)].sum()
            book.below("F4.EX", np.array(now + waiting), np.ones(1))
        for rule, action, limit in (("F4.X1", EXERCISE, x["option"]), ("F4.X2", EXIT, x["size"])):
            taken = np.asarray(
                np.bincount(
                    program.later_row[program.later_action == action],
                    weights=later[program.later_action == action],
                    minlength=len(limit),
                ),
                dtype=float,
            )
            book.below(rule, taken, limit)
        cash = (
            program.size_cash.T @ x["size"] + program.option_cash.T @ x["option"] + program.prepay_cash.T @ x["prepay"]
            + project_cash(program, values) + program.later_cash.T @ later
            + program.port_cash.T @ x["port"] + program.replica_cash.T @ x["replica"]
            + program.site_fixed_cash.T @ x["build"] + program.site_cash.T @ x["power"] - x["borrow"]
        )  # fmt: skip
        book.below("F4.Y", cash, program.cash_limit)
    book.below("F4.H", x["option"], program.option_share * x["size"])
    book.below("F4.PP", x["prepay"], program.prepay_max * x["size"])
    book.below("F4.EQ", x["equity"], program.equity_value * x["size"])


def _limits(program: Program, values: Values, book: Ledger) -> None:
    x = values.first
    committed = program.committed_value * x["size"]
    sign = np.flatnonzero(program.later_action == SIGN)
    of = program.later_row[sign]
    chance = program.probability @ program.later_member if len(program.later_row) else np.zeros(0)
    np.add.at(committed, of, program.committed_value[of] * x["later"][sign] * chance[sign])
    by_vendor = np.bincount(program.row_vendor, weights=committed, minlength=len(program.vendor_share_max))
    limited = ~np.isnan(program.vendor_share_max)
    book.below("F4.C", by_vendor[limited].astype(float), program.vendor_share_max[limited] * committed.sum())
    remains = program.adequacy_base + np.einsum("qkt,k->qt", program.adequacy_size, x["size"])
    book.below("F4.N1", program.adequacy_required - remains, x["gap"])
    book.below("F4.Z", program.site_min * x["build"], x["power"])
    book.below("F4.Z", x["power"], program.site_max * x["build"])
    for s in range(len(program.probability)):
        built = signed(program, values, s)
        for b in range(len(program.site_max)):
            own = program.row_site == b
            book.below("F4.W1", np.array((program.row_kw[own] * built[own]).sum()), x["power"][b : b + 1])


def _by(index: Ints, values: Floats, count: int) -> Floats:
    """Sum (S, I, T) over the middle axis into `count` groups."""
    out = np.zeros((values.shape[0], count, values.shape[2]))
    for i, group in enumerate(index.tolist()):
        out[:, group] += values[:, i]
    return out


def _work(program: Program, values: Values, book: Ledger) -> None:
    x, y = values.first, values.second
    n = program.shape
    units = program.arc_yield[None, :, None] * y["work"]
    done = _by(program.arc_demand, units, n["D"]) + saved_by(program, values, "gain_demand", n["D"])
    before = np.concatenate([np.zeros((n["S"], n["D"], 1)), y["backlog"][:, :, :-1]], axis=2)
    book.equal("F4.D", done + y["unserved"] + (y["backlog"] - before) / program.duration, program.demand)

    supplied = _by(program.use_pool, y["use"], n["P"]) + _by(program.open_pool, y["open"], n["P"])
    worked = _by(program.arc_pool, y["work"], n["P"])
    book.below("F4.P", worked, program.stock + supplied)
    book.below("F4.P", supplied, worked)

    drawn = _by(program.use_line, program.use_draw[None, :, None] * y["use"], n["N"])
    column = values.capacity_columns()[program.link_column]
    there = _by(program.link_line, program.link_capacity * column[None, :, None], n["N"])
    book.below("F4.U", drawn, there)

    for i in range(n["X"]):
        moved = units[:, program.arc_transfer == i].sum(axis=1)
        moved = moved + y["saved"][:, program.levers.saving_transfer == i].sum(axis=1)
        copy = program.transfer_replica[i]
        near = 0.0 if copy == NONE else x["replica"][copy]
        away = moved - program.demand[:, program.transfer_demand[i]] * near
        book.below("F4.G1", program.transfer_gib[i] * program.duration * away, y["transfer"][:, i])
    for w in range(n["W"]):
        book.below("F4.G2", y["transfer"][:, program.transfer_limit == w].sum(axis=1), program.way_max[w])
    for o in range(n["O"]):
        ported = units[:, program.arc_port == o].sum(axis=1)
        room = program.port_capacity[:, o] * x["port"][o] + opened(program, values, o)
        book.below("F4.N", ported, room)


def _floors(program: Program, values: Values, book: Ledger) -> None:
    y = values.second
    columns = values.capacity_columns()
    row_of_use = program.line_row[program.use_line]
    for f, k in enumerate(program.floor_row.tolist()):
        span = slice(program.floor_first[f], program.floor_last[f] + 1)
        uses = row_of_use == k
        taken = np.einsum("t,j,sjt->s", program.duration[span], program.use_draw[uses], y["use"][:, uses, span])
        mine = program.bound_floor == f
        owed = program.bound_amount[:, mine] @ columns[program.bound_column[mine]]
        book.equal("F4.T", taken + y["short"][:, f] + y["credit"][:, f] - y["over"][:, f] - y["made"][:, f], owed)
    for label, share, valid, source, stock, used in (
        ("M", program.make_up_share, program.make_up_floors, "short", "bank", "made"),
        ("K", program.carry_share, program.carry_floors, "over", "carry", "credit"),
    ):
        for k in np.flatnonzero(share > 0).tolist():
            years = np.flatnonzero(program.floor_row == k)
            for i, f in enumerate(years.tolist()):
                before = y[stock][:, years[i - 1]] if i else np.zeros(len(y[stock]))
                book.below(f"F4.{label}1", y[stock][:, f] + y[used][:, f], before + share[k] * y[source][:, f])
                fresh = years[max(0, i - int(valid[k]) + 1) : i + 1]
                book.below(f"F4.{label}2", y[stock][:, f], share[k] * y[source][:, fresh].sum(axis=1))
                if label == "K":
                    book.below("F4.K3", y[used][:, f], before)


def _second_limits(program: Program, values: Values, book: Ledger) -> None:
    x, y = values.first, values.second
    row_of_use = program.line_row[program.use_line]
    for b in range(len(program.site_max)):
        uses = program.row_site[row_of_use] == b
        drawn = np.einsum("j,sjt->st", program.row_kw[row_of_use[uses]], y["use"][:, uses])
        book.below("F4.W2", drawn, program.site_energised[:, b] * x["power"][b])
    if np.isfinite(program.power_max).any():
        drawn = np.einsum("a,sat->st", program.pool_mw[program.arc_pool], y["work"])
        book.below("F4.PW", drawn, program.power_max[None])
    for year in np.flatnonzero(np.isfinite(program.carbon_max)).tolist():
        t = program.year == year
        emitted = np.einsum("at,sat->s", program.pool_carbon[program.arc_pool][:, t], y["work"][:, :, t])
        built = np.array([signed(program, values, s) for s in range(len(program.probability))])
        emitted = emitted + built @ program.embodied[:, year]
        book.below("F4.E", emitted - y["excess"][:, year], program.carbon_max[year : year + 1])
    if not np.isnan(program.critical_share_max):
        critical = program.demand_critical[program.arc_demand]
        vendor = program.pool_vendor[program.arc_pool]
        amount = program.arc_yield[None, :, None] * y["work"] * program.duration
        for year in range(int(program.year.max()) + 1):
            t = program.year == year
            per_arc = (amount[:, :, t] * critical[None, :, None]).sum(axis=2)
            per_vendor = saved_critical(program, values, t)
            for v in range(len(program.vendor_share_max)):
                mine = per_arc[:, vendor == v].sum(axis=1) + per_vendor[:, v]
                whole = per_arc.sum(axis=1) + per_vendor.sum(axis=1)
                book.below("F4.CS", mine, program.critical_share_max * whole)

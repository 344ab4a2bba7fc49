"""Template: a Program as matrices, one block for the first stage and one for the second stage of every future.

Fixed recourse makes this possible: the second stage has one matrix and one cost, and a future changes only right-hand
sides, bounds and the entries at first-stage columns. `extensive` lays the blocks side by side; a decomposition can
solve them one by one. Each rule of docs/concepts/plan.md is one step here, marked with its number.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from argosy.plan.layout import Axis, first_columns, second_columns, signatures
from argosy.plan.program import EXERCISE, EXIT, NONE, SIGN, Bools, Floats, Ints, Program
from argosy.plan.sparse import Columns, Triplets

INFINITY = np.inf


@dataclass(frozen=True, slots=True)
class Block:
    """Columns with cost and bounds, rows with bounds, and the matrix between them."""

    columns: Axis
    rows: Axis
    cost: Floats
    column_lower: Floats
    column_upper: Floats
    integer: Bools
    row_lower: Floats
    row_upper: Floats
    matrix: Columns


@dataclass(frozen=True, slots=True)
class Links:
    """Entries of the second stage's rows at first-stage columns."""

    row: Ints
    """(nonzeros,) second-stage row of each entry."""
    column: Ints
    """(nonzeros,) first-stage column, ascending."""
    values: Callable[[slice], Floats]
    """Entries of some scenarios: (scenarios, nonzeros)."""
    entries: Callable[[int], tuple[Ints, Ints, Floats]]
    """Row, column and value of the entries of one scenario that are not zero, in no order."""


@dataclass(frozen=True, slots=True)
class Template:
    """The first stage, the second stage without its random numbers, and the way to fill those in."""

    program: Program
    first: Block
    second: Block
    links: Links
    future_cost: Floats
    """(S, first-stage columns) cost that depends on the future and needs no second stage: t_s of F5."""

    def second_bounds(self, s: int) -> tuple[Floats, Floats, Floats]:
        """Row lower, row upper and column upper bounds of one scenario."""
        block, program = self.second, self.program
        lower, upper, columns = block.row_lower.copy(), block.row_upper.copy(), block.column_upper.copy()
        lower[block.rows.part("F4.D")] = upper[block.rows.part("F4.D")] = program.demand[s].ravel()
        upper[block.rows.part("F4.P")] = program.stock[s].ravel()
        columns[block.columns.part("use")] = program.use_max[s].ravel()
        columns[block.columns.part("open")] = program.open_max[s].ravel()
        backlog = np.repeat(program.backlog_max[s][:, None], len(program.duration), axis=1)
        backlog[:, -1] = 0.0
        columns[block.columns.part("backlog")] = backlog.ravel()
        return lower, upper, columns


class _Rows:
    """Rows of a block while it is written: families in order, with their bounds."""

    def __init__(self) -> None:
        self.shapes: dict[str, tuple[int, ...]] = {}
        self.lower: list[Floats] = []
        self.upper: list[Floats] = []
        self.count = 0

    def family(self, rule: str, shape: tuple[int, ...], lower: float | Floats, upper: float | Floats) -> Ints:
        """Open a family of rows and return their positions in its shape."""
        size = int(np.prod(shape))
        positions = self.count + np.arange(size, dtype=np.int64).reshape(shape)
        self.shapes[rule] = shape
        self.lower.append(np.broadcast_to(lower, shape).ravel().astype(float))
        self.upper.append(np.broadcast_to(upper, shape).ravel().astype(float))
        self.count += size
        return positions

    def axis(self) -> Axis:
        return Axis.of(self.shapes)

    def bounds(self) -> tuple[Floats, Floats]:
        return np.concatenate([np.zeros(0), *self.lower]), np.concatenate([np.zeros(0), *self.upper])


def build(program: Program) -> Template:
    """Write every rule of F4 and F5 for the program."""
    first = _first_stage(program)
    second, links = _second_stage(program, first.columns)
    future = np.zeros((program.shape["S"], first.columns.size))
    capacity = _capacity_columns(first.columns)
    future[:, capacity] = program.future_cost
    future[:, first.columns.part("prepay")] = -program.prepay_credit
    return Template(program, first, second, links, future)


def _capacity_columns(axis: Axis) -> Ints:
    """First-stage positions of the capacity columns C: sizes, then later columns."""
    return np.concatenate([axis.at("size"), axis.at("later")])


def _first_stage(program: Program) -> Block:
    n = program.shape
    axis = first_columns(program)
    at = axis.at
    e_sign = np.flatnonzero(program.later_action == SIGN)
    _, scenario_of = signatures(program)
    member = program.later_member[scenario_of]  # (signatures, E)
    rows, a = _Rows(), Triplets()

    def flat(mask: Bools) -> Ints:
        return np.flatnonzero(mask)

    r = rows.family("F4.A1", (n["K"],), -INFINITY, 0.0)
    a.add(r, at("size"), 1.0)
    a.add(r, at("sign"), -program.size_max)
    r = rows.family("F4.A2", (n["K"],), 0.0, INFINITY)
    a.add(r, at("size"), 1.0)
    a.add(r, at("sign"), -program.size_min)
    r = rows.family("F4.A3", (2, len(e_sign)), np.array([[-INFINITY], [0.0]]), np.array([[0.0], [INFINITY]]))
    for row_, bound in zip(r, (program.size_max, program.size_min), strict=True):
        a.add(row_, at("later")[e_sign], 1.0)
        a.add(row_, at("later_sign"), -bound[program.later_row[e_sign]])

    groups = np.unique(program.row_group[program.row_group != NONE])
    r = rows.family("F4.EX", (len(groups), len(scenario_of)), -INFINITY, 1.0)
    for g, group in enumerate(groups):
        a.add(r[g][:, None], at("sign")[flat(program.row_group == group)][None, :], 1.0)
        in_group = program.row_group[program.later_row[e_sign]] == group
        q, i = np.nonzero(member[:, e_sign] & in_group)
        a.add(r[g][q], at("later_sign")[i], 1.0)

    r = rows.family("F4.H", (n["K"],), -INFINITY, 0.0)
    a.add(r, at("option"), 1.0)
    a.add(r, at("size"), -program.option_share)
    for rule, action, holder in (("F4.X1", EXERCISE, "option"), ("F4.X2", EXIT, "size")):
        owners = np.unique(program.later_row[program.later_action == action])
        r = rows.family(rule, (len(owners), len(scenario_of)), -INFINITY, 0.0)
        for place, owner in enumerate(owners.tolist()):
            a.add(r[place], at(holder)[owner], -1.0)
            q, e = np.nonzero(member & (program.later_row == owner) & (program.later_action == action))
            a.add(r[place][q], at("later")[e], 1.0)

    owners = flat(program.prepay_max > 0)
    r = rows.family("F4.PP", (len(owners),), -INFINITY, 0.0)
    a.add(r, at("prepay")[owners], 1.0)
    a.add(r, at("size")[owners], -program.prepay_max[owners])
    owners = flat(program.equity_value > 0)
    r = rows.family("F4.EQ", (len(owners),), -INFINITY, 0.0)
    a.add(r, at("equity")[owners], 1.0)
    a.add(r, at("size")[owners], -program.equity_value[owners])

    years = flat(np.isfinite(program.cash_limit))
    r = rows.family("F4.Y", (len(years), len(scenario_of)), -INFINITY, program.cash_limit[years][:, None])
    for place, y in enumerate(years.tolist()):
        for name, cash in (
            ("size", program.size_cash), ("option", program.option_cash), ("prepay", program.prepay_cash),
            ("port", program.port_cash), ("replica", program.replica_cash), ("build", program.site_fixed_cash),
            ("power", program.site_cash),
        ):  # fmt: skip
            a.add(r[place][:, None], at(name)[None, :], cash[:, y][None, :])
        a.add(r[place][:, None], at("later")[None, :], member * program.later_cash[:, y])
        a.add(r[place], at("borrow")[y], -1.0)

    vendors = flat(~np.isnan(program.vendor_share_max))
    r = rows.family("F4.C", (len(vendors),), -INFINITY, 0.0)
    chance = program.probability @ program.later_member  # (E,)
    for place, v in enumerate(vendors.tolist()):
        share = (program.row_vendor == v) - program.vendor_share_max[v]  # (K,)
        a.add(r[place], at("size"), program.committed_value * share)
        of = program.later_row[e_sign]
        a.add(r[place], at("later")[e_sign], (program.committed_value * share)[of] * chance[e_sign])

    required = program.adequacy_required - program.adequacy_base  # (Q, T)
    r = rows.family("F4.N1", (n["Q"], n["T"]), required, INFINITY)
    a.add(r[:, None, :], at("size")[None, :, None], program.adequacy_size)
    a.add(r, at("gap"), 1.0)

    r = rows.family("F4.Z", (2, n["B"]), np.array([[0.0], [-INFINITY]]), np.array([[INFINITY], [0.0]]))
    for row_, bound in zip(r, (program.site_min, program.site_max), strict=True):
        a.add(row_, at("power"), 1.0)
        a.add(row_, at("build"), -bound)
    r = rows.family("F4.W1", (n["B"], len(scenario_of)), -INFINITY, 0.0)
    own = flat(program.row_site != NONE)
    a.add(r[program.row_site[own]], at("size")[own][:, None], program.row_kw[own][:, None])
    q, e = np.nonzero(member[:, e_sign] & (program.row_site[program.later_row[e_sign]] != NONE))
    builder = program.later_row[e_sign[e]]
    a.add(r[program.row_site[builder], q], at("later")[e_sign[e]], program.row_kw[builder])
    a.add(r, at("power")[:, None], -1.0)

    cost, lower, upper = np.zeros(axis.size), np.zeros(axis.size), np.full(axis.size, INFINITY)
    integer = np.zeros(axis.size, dtype=bool)
    for name, coefficients in (
        ("size", program.size_cost), ("option", program.option_cost), ("prepay", program.prepay_cost),
        ("equity", np.array(-1.0)), ("port", program.port_cost), ("replica", program.replica_cost),
        ("build", program.site_fixed_cost), ("power", program.site_cost), ("borrow", program.borrow_cost),
        ("gap", np.tile(program.gap_cost, n["Q"])), ("eta", np.array(program.risk_aversion)),
    ):  # fmt: skip
        cost[axis.part(name)] = coefficients
    for name in ("sign", "later_sign", "port", "build"):
        integer[axis.part(name)] = True
        upper[axis.part(name)] = 1.0
    lower[axis.part("sign")], upper[axis.part("sign")] = program.sign_lower, program.sign_upper
    lower[axis.part("build")] = program.site_committed
    for name, bound in (
        ("size", program.size_max), ("option", np.where(program.option_share > 0, INFINITY, 0.0)),
        ("prepay", np.where(program.prepay_max > 0, INFINITY, 0.0)),
        ("equity", np.where(program.equity_value > 0, program.equity_max, 0.0)), ("replica", np.array(1.0)),
        ("power", program.site_max), ("borrow", program.borrow_max),
    ):  # fmt: skip
        upper[axis.part(name)] = bound
    eta = axis.part("eta")
    lower[eta], upper[eta] = (-INFINITY, INFINITY) if program.risk_aversion > 0 else (0.0, 0.0)
    row_lower, row_upper = rows.bounds()
    return Block(axis, rows.axis(), cost, lower, upper, integer, row_lower, row_upper, a.columns(axis.size))


def _second_stage(program: Program, first: Axis) -> tuple[Block, Links]:
    n = program.shape
    axis = second_columns(program)
    at = axis.at
    work, use, open_, cost = at("work"), at("use"), at("open"), at("cost")
    periods = np.arange(n["T"])
    duration = program.duration
    rows, w = _Rows(), Triplets()
    links: list[tuple[Ints, Ints, Callable[[slice], Floats]]] = []
    capacity = _capacity_columns(first)
    use_row = program.line_row[program.use_line]  # (J,)
    yields = program.arc_yield[:, None]

    def link(row: Ints, column: Ints, values: Callable[[slice], Floats]) -> None:
        row, column = np.broadcast_arrays(row, column)
        links.append((row.ravel(), column.ravel(), values))

    r = rows.family("F4.D", (n["D"], n["T"]), 0.0, 0.0)
    w.add(r[program.arc_demand], work, yields)
    w.add(r, at("unserved"), 1.0)
    w.add(r, at("backlog"), 1 / duration)
    w.add(r[:, 1:], at("backlog")[:, :-1], -1 / duration[1:])

    r = rows.family("F4.P", (n["P"], n["T"]), 0.0, 0.0)
    w.add(r[program.arc_pool], work, 1.0)
    w.add(r[program.use_pool], use, -1.0)
    w.add(r[program.open_pool], open_, -1.0)

    r = rows.family("F4.U", (n["N"], n["T"]), -INFINITY, 0.0)
    w.add(r[program.use_line], use, program.use_draw[:, None])
    link(r[program.link_line], capacity[program.link_column][:, None],
         lambda s: -program.link_capacity[s].reshape(s.stop - s.start, program.link_line.size * n["T"]))  # fmt: skip

    r = rows.family("F4.T", (n["F"],), 0.0, 0.0)
    inside = (periods >= program.floor_first[:, None]) & (periods <= program.floor_last[:, None])  # (F, T)
    f, j = np.nonzero(program.floor_row[:, None] == use_row[None, :])
    pair, t = np.nonzero(inside[f])
    w.add(r[f[pair]], use[j[pair], t], program.use_draw[j[pair]] * duration[t])
    for name, sign in (("short", 1.0), ("credit", 1.0), ("over", -1.0), ("made", -1.0)):
        w.add(r, at(name), sign)
    link(r[program.bound_floor], capacity[program.bound_column], lambda s: -program.bound_amount[s])

    _banks(program, axis, rows, w)

    served = program.arc_transfer != NONE
    r = rows.family("F4.G1", (n["X"], n["T"]), 0.0, INFINITY)
    w.add(r, at("transfer"), 1.0)
    arcs = np.flatnonzero(served)
    x = program.arc_transfer[arcs]
    w.add(r[x], work[arcs], -(program.transfer_gib[x] * program.arc_yield[arcs])[:, None] * duration)
    copied = np.flatnonzero(program.transfer_replica != NONE)
    factor = program.transfer_gib[copied][:, None] * duration
    reader = program.transfer_demand[copied]
    link(
        r[copied],
        first.at("replica")[program.transfer_replica[copied]][:, None],
        lambda s: (program.demand[s][:, reader] * factor).reshape(s.stop - s.start, factor.size),
    )
    r = rows.family("F4.G2", (n["W"], n["T"]), -INFINITY, program.way_max)
    limited = np.flatnonzero(program.transfer_limit != NONE)
    w.add(r[program.transfer_limit[limited]], at("transfer")[limited], 1.0)

    r = rows.family("F4.N", (n["O"], n["T"]), -INFINITY, 0.0)
    ported = np.flatnonzero(program.arc_port != NONE)
    w.add(r[program.arc_port[ported]], work[ported], yields[ported])
    link(r, first.at("port")[:, None], lambda s: -program.port_capacity[s].reshape(s.stop - s.start, n["O"] * n["T"]))

    r = rows.family("F4.W2", (n["B"], n["T"]), -INFINITY, 0.0)
    own = np.flatnonzero(program.row_site[use_row] != NONE)
    w.add(r[program.row_site[use_row[own]]], use[own], program.row_kw[use_row[own]][:, None])
    link(r, first.at("power")[:, None], lambda s: -program.site_energised[s].reshape(s.stop - s.start, n["B"] * n["T"]))

    when = np.flatnonzero(np.isfinite(program.power_max))
    r = rows.family("F4.PW", (len(when),), -INFINITY, program.power_max[when])
    if len(when):
        w.add(r[None, :], work[:, when], program.pool_mw[program.arc_pool][:, None])

    years = np.flatnonzero(np.isfinite(program.carbon_max))
    r = rows.family("F4.E", (len(years),), -INFINITY, program.carbon_max[years])
    for i, y in enumerate(years):
        t = np.flatnonzero(program.year == y)
        w.add(r[i], work[:, t], program.pool_carbon[program.arc_pool][:, t])
        w.add(r[i], at("excess")[y], -1.0)
        link(np.full(len(capacity), r[i]), capacity, _embodied(program, int(y)))

    limited_service = not np.isnan(program.critical_share_max)
    r = rows.family("F4.CS", (n["V"] if limited_service else 0, n["Y"]), -INFINITY, 0.0)
    if limited_service:
        arcs = np.flatnonzero(program.demand_critical[program.arc_demand])
        vendor = program.pool_vendor[program.arc_pool[arcs]]
        for v in range(n["V"]):
            share = (vendor == v) - program.critical_share_max
            w.add(r[v][program.year][None, :], work[arcs], (share * program.arc_yield[arcs])[:, None] * duration)

    r = rows.family("F4.CT", (n["T"],), 0.0, 0.0)
    w.add(r, cost, 1.0)
    for name, price in (
        ("work", program.arc_cost), ("use", program.use_cost), ("open", program.open_cost),
        ("unserved", program.unserved_cost), ("transfer", program.transfer_cost),
    ):  # fmt: skip
        w.add(r[None, :], at(name), -price)
    last = r[program.floor_last]
    w.add(last, at("over"), -program.over_cost)
    w.add(last, at("short"), -program.short_cost)
    w.add(last, at("credit"), program.carry_refund)
    for y in years:
        w.add(r[np.flatnonzero(program.year == y)[-1]], at("excess")[y], -program.carbon_cost[y])

    column_cost, lower, upper = np.zeros(axis.size), np.zeros(axis.size), np.full(axis.size, INFINITY)
    column_cost[axis.part("cost")] = program.discount
    lower[axis.part("cost")] = -INFINITY
    upper[axis.part("work")] = np.where(program.arc_open, INFINITY, 0.0).ravel()
    banks = program.make_up_share[program.floor_row] > 0
    carries = program.carry_share[program.floor_row] > 0
    for name, live in (("made", banks), ("bank", banks), ("credit", carries), ("carry", carries)):
        upper[axis.part(name)] = np.where(live, INFINITY, 0.0)
    upper[axis.part("excess")] = np.where(np.isfinite(program.carbon_max), INFINITY, 0.0)
    row_lower, row_upper = rows.bounds()
    block = Block(
        axis, rows.axis(), column_cost, lower, upper, np.zeros(axis.size, dtype=bool), row_lower, row_upper,
        w.columns(axis.size),
    )  # fmt: skip
    return block, _join(links)


def _banks(program: Program, axis: Axis, rows: _Rows, w: Triplets) -> None:
    """F4.M and F4.K: what is paid and not taken may be taken later, what is taken above the floor may count later."""
    previous = np.full(len(program.floor_row), NONE)
    for f in range(1, len(previous)):
        if program.floor_row[f] == program.floor_row[f - 1]:
            previous[f] = f - 1
    age = np.arange(len(previous)) - np.array(
        [np.flatnonzero(program.floor_row == k)[0] for k in program.floor_row], dtype=np.int64
    ).reshape(-1)
    for label, share, valid, source, stock, taken in (
        ("M", program.make_up_share, program.make_up_floors, "short", "bank", "made"),
        ("K", program.carry_share, program.carry_floors, "over", "carry", "credit"),
    ):
        floors = np.flatnonzero(share[program.floor_row] > 0)
        share_f, before = share[program.floor_row[floors]], previous[floors]
        has = before != NONE
        r = rows.family(f"F4.{label}1", (len(floors),), -INFINITY, 0.0)
        w.add(r, axis.at(stock)[floors], 1.0)
        w.add(r[has], axis.at(stock)[before[has]], -1.0)
        w.add(r, axis.at(source)[floors], -share_f)
        w.add(r, axis.at(taken)[floors], 1.0)
        r = rows.family(f"F4.{label}2", (len(floors),), -INFINITY, 0.0)
        w.add(r, axis.at(stock)[floors], 1.0)
        years = valid[program.floor_row[floors]]
        for back in range(int(years.max(initial=0))):
            use = (back < years) & (back <= age[floors])
            w.add(r[use], axis.at(source)[floors[use] - back], -share_f[use])
        if label == "K":
            r = rows.family("F4.K3", (len(floors),), -INFINITY, 0.0)
            w.add(r, axis.at(taken)[floors], 1.0)
            w.add(r[has], axis.at(stock)[before[has]], -1.0)


def _embodied(program: Program, year: int) -> Callable[[slice], Floats]:
    """Tonnes of each capacity column in a year; a later signing has them in the futures of its cluster only."""
    later = np.where(program.later_action == SIGN, program.embodied[program.later_row, year], 0.0)

    def values(s: slice) -> Floats:
        size = np.broadcast_to(program.embodied[:, year], (s.stop - s.start, len(program.embodied)))
        return np.concatenate([size, program.later_member[s] * later], axis=1)

    return values


def _join(links: list[tuple[Ints, Ints, Callable[[slice], Floats]]]) -> Links:
    """All entries at first-stage columns."""
    row = np.concatenate([link[0] for link in links])
    column = np.concatenate([link[1] for link in links])
    order = np.lexsort((row, column))
    sizes = np.cumsum([0] + [len(link[0]) for link in links])

    def values(s: slice) -> Floats:
        return np.concatenate([np.asarray(link[2](s)).reshape(s.stop - s.start, -1) for link in links], axis=1)[
            :, order
        ]

    def entries(s: int) -> tuple[Ints, Ints, Floats]:
        parts = [np.asarray(link[2](slice(s, s + 1))).ravel() for link in links]
        there = [np.flatnonzero(part) for part in parts]  # later columns are zero outside their cluster
        at = np.concatenate([where + start for where, start in zip(there, sizes[:-1], strict=True)])
        return row[at], column[at], np.concatenate([part[where] for part, where in zip(parts, there, strict=True)])

    return Links(row[order], column[order], values, entries)

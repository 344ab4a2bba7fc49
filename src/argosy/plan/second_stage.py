"""Second stage: the rules of F4 on what is decided in each future, with holes for the random numbers.

Called by `template`, which fills the right-hand sides and bounds of one future (F4.D, F4.P, F3).
"""

from __future__ import annotations

import numpy as np

from argosy.plan.blocks import INFINITY, Block, Links, OfScenarios, Writer, capacity_columns
from argosy.plan.layout import Axis, second_columns
from argosy.plan.program import NONE, SIGN, Ints, Program


def second_stage(program: Program, first: Axis) -> tuple[Block, Links]:
    """The block that every future shares, and its entries at first-stage columns."""
    stage = _SecondStage(program, first)
    stage.work()
    stage.contracts()
    stage.banks("M", "short", "bank", "made")
    stage.banks("K", "over", "carry", "credit")
    stage.data()
    stage.ports_and_sites()
    stage.projects()
    stage.limits()
    stage.costs()
    stage.columns()
    return stage.writer.block(), stage.writer.links()


class _SecondStage:
    """The rules; each method writes a group of them."""

    def __init__(self, program: Program, first: Axis) -> None:
        self.program, self.first = program, first
        self.writer = Writer(program, second_columns(program))
        self.capacity = capacity_columns(first)
        self.use_row: Ints = program.line_row[program.use_line]  # (J,)
        self.carbon_years: list[int] = np.flatnonzero(np.isfinite(program.carbon_max)).tolist()

    def work(self) -> None:
        """F4.D, F4.P."""
        p, w, at = self.program, self.writer, self.writer.at
        rows = w.rows("F4.D", (w.n["D"], w.n["T"]), 0.0, 0.0)
        w.add(rows[p.arc_demand], at("work"), p.arc_yield[:, None])
        w.add(rows, at("unserved"), 1.0)
        w.add(rows, at("backlog"), 1 / p.duration)
        w.add(rows[:, 1:], at("backlog")[:, :-1], -1 / p.duration[1:])
        w.add(rows[p.levers.gain_demand[p.levers.saving_gain]], at("saved"), 1.0)
        rows = w.rows("F4.P", (w.n["P"], w.n["T"]), 0.0, 0.0)
        w.add(rows[p.arc_pool], at("work"), 1.0)
        w.add(rows[p.use_pool], at("use"), -1.0)
        w.add(rows[p.open_pool], at("open"), -1.0)

    def contracts(self) -> None:
        """F4.U, F4.T."""
        p, w, at = self.program, self.writer, self.writer.at
        rows = w.rows("F4.U", (w.n["N"], w.n["T"]), -INFINITY, 0.0)
        w.add(rows[p.use_line], at("use"), p.use_draw[:, None])
        w.link(rows[p.link_line], self.capacity[p.link_column][:, None], lambda s: -p.link_capacity[s])
        rows = w.rows("F4.T", (w.n["F"],), 0.0, 0.0)
        periods = np.arange(w.n["T"])
        inside = (periods >= p.floor_first[:, None]) & (periods <= p.floor_last[:, None])  # (F, T)
        f, j = np.nonzero(p.floor_row[:, None] == self.use_row[None, :])
        pair, t = np.nonzero(inside[f])
        w.add(rows[f[pair]], at("use")[j[pair], t], p.use_draw[j[pair]] * p.duration[t])
        for name, sign in (("short", 1.0), ("credit", 1.0), ("over", -1.0), ("made", -1.0)):
            w.add(rows, at(name), sign)
        w.link(rows[p.bound_floor], self.capacity[p.bound_column], lambda s: -p.bound_amount[s])

    def banks(self, label: str, source: str, stock: str, taken: str) -> None:
        """F4.M1, F4.M2 (paid and not taken, taken later); F4.K1 to F4.K3 (taken above the floor, counted later)."""
        p, w, at = self.program, self.writer, self.writer.at
        share, valid = (p.make_up_share, p.make_up_floors) if label == "M" else (p.carry_share, p.carry_floors)
        floors = np.flatnonzero(share[p.floor_row] > 0)
        share_f, age = share[p.floor_row[floors]], self._ages()[floors]
        has = age > 0
        rows = w.rows(f"F4.{label}1", (len(floors),), -INFINITY, 0.0)
        w.add(rows, at(stock)[floors], 1.0)
        w.add(rows[has], at(stock)[floors[has] - 1], -1.0)
        w.add(rows, at(source)[floors], -share_f)
        w.add(rows, at(taken)[floors], 1.0)
        rows = w.rows(f"F4.{label}2", (len(floors),), -INFINITY, 0.0)
        w.add(rows, at(stock)[floors], 1.0)
        years = valid[p.floor_row[floors]]
        for back in range(int(years.max(initial=0))):
            fresh = (back < years) & (back <= age)
            w.add(rows[fresh], at(source)[floors[fresh] - back], -share_f[fresh])
        if label == "K":
            rows = w.rows("F4.K3", (len(floors),), -INFINITY, 0.0)
            w.add(rows, at(taken)[floors], 1.0)
            w.add(rows[has], at(stock)[floors[has] - 1], -1.0)

    def _ages(self) -> Ints:
        """(F,) contract years before each floor; those of a row are adjacent and in order of date."""
        row = self.program.floor_row
        begins = np.flatnonzero(np.diff(row, prepend=NONE) != 0)
        return np.arange(len(row)) - np.repeat(begins, np.diff(begins, append=len(row)))

    def data(self) -> None:
        """F4.G1, F4.G2."""
        p, w, at = self.program, self.writer, self.writer.at
        rows = w.rows("F4.G1", (w.n["X"], w.n["T"]), 0.0, INFINITY)
        w.add(rows, at("transfer"), 1.0)
        arcs = np.flatnonzero(p.arc_transfer != NONE)
        x = p.arc_transfer[arcs]
        w.add(rows[x], at("work")[arcs], -(p.transfer_gib[x] * p.arc_yield[arcs])[:, None] * p.duration)
        moved = np.flatnonzero(p.levers.saving_transfer != NONE)
        x = p.levers.saving_transfer[moved]
        w.add(rows[x], at("saved")[moved], -p.transfer_gib[x][:, None] * p.duration)
        copied = np.flatnonzero(p.transfer_replica != NONE)
        factor, reader = p.transfer_gib[copied][:, None] * p.duration, p.transfer_demand[copied]
        copies = self.first.at("replica")[p.transfer_replica[copied]]
        w.link(rows[copied], copies[:, None], lambda s: p.demand[s][:, reader] * factor)
        rows = w.rows("F4.G2", (w.n["W"], w.n["T"]), -INFINITY, p.way_max)
        limited = np.flatnonzero(p.transfer_limit != NONE)
        w.add(rows[p.transfer_limit[limited]], at("transfer")[limited], 1.0)

    def ports_and_sites(self) -> None:
        """F4.N, F4.W2."""
        p, w, at = self.program, self.writer, self.writer.at
        levers = p.levers
        rows = w.rows("F4.N", (w.n["O"], w.n["T"]), -INFINITY, 0.0)
        ported = np.flatnonzero(p.arc_port != NONE)
        w.add(rows[p.arc_port[ported]], at("work")[ported], p.arc_yield[ported][:, None])
        w.link(rows, self.first.at("port")[:, None], lambda s: -p.port_capacity[s])
        if len(levers.opener_start):
            opener = self.first.at("start")[levers.opener_start][:, None]
            w.link(rows[levers.opener_port], opener, lambda s: -levers.opener_capacity[s])
        rows = w.rows("F4.W2", (w.n["B"], w.n["T"]), -INFINITY, 0.0)
        own = np.flatnonzero(p.row_site[self.use_row] != NONE)
        builder = self.use_row[own]
        w.add(rows[p.row_site[builder]], at("use")[own], p.row_kw[builder][:, None])
        w.link(rows, self.first.at("power")[:, None], lambda s: -p.site_energised[s])

    def projects(self) -> None:
        """F4.L3, F4.L4."""
        p, levers, w, at = self.program, self.program.levers, self.writer, self.writer.at
        rows = w.rows("F4.L3", (w.n["Z"], w.n["T"]), -INFINITY, 0.0)
        w.add(rows, at("saved"), 1.0)
        each = levers.factor_units * p.arc_yield[levers.factor_arc]
        w.add(rows[levers.factor_saving], at("work")[levers.factor_arc], -each[:, None])
        gain, project = levers.requirements()
        rows = w.rows("F4.L4", (len(gain), w.n["T"]), -INFINITY, 0.0)
        i, z = np.nonzero(gain[:, None] == levers.saving_gain)
        w.add(rows[i], at("saved")[z], 1.0)
        i, h = np.nonzero(project[:, None] == levers.start_project)
        if len(i):
            ready, of = levers.ready(w.n["T"])[h], gain[i]
            w.link(rows[i], self.first.at("start")[h][:, None], lambda s: -levers.gain_most[s][:, of] * ready)

    def limits(self) -> None:
        """F4.PW, F4.E, F4.CS."""
        p, w, at = self.program, self.writer, self.writer.at
        when = np.flatnonzero(np.isfinite(p.power_max))
        rows = w.rows("F4.PW", (len(when),), -INFINITY, p.power_max[when])
        if len(when):
            w.add(rows[None, :], at("work")[:, when], p.pool_mw[p.arc_pool][:, None])
        rows = w.rows("F4.E", (len(self.carbon_years),), -INFINITY, p.carbon_max[self.carbon_years])
        for row, year in zip(rows, self.carbon_years, strict=True):
            t = np.flatnonzero(p.year == year)
            w.add(row, at("work")[:, t], p.pool_carbon[p.arc_pool][:, t])
            w.add(row, at("excess")[year], -1.0)
            w.link(np.full(len(self.capacity), row), self.capacity, _embodied(p, year))
        limited = not np.isnan(p.critical_share_max)
        rows = w.rows("F4.CS", (w.n["V"] if limited else 0, w.n["Y"]), -INFINITY, 0.0)
        arcs = np.flatnonzero(p.demand_critical[p.arc_demand])
        vendor = p.pool_vendor[p.arc_pool[arcs]]
        saved = np.flatnonzero(p.demand_critical[p.levers.gain_demand[p.levers.saving_gain]])
        for v in range(len(rows)):
            share = (vendor == v) - p.critical_share_max
            w.add(rows[v][p.year][None, :], at("work")[arcs], (share * p.arc_yield[arcs])[:, None] * p.duration)
            share = (p.levers.saving_vendor[saved] == v) - p.critical_share_max
            w.add(rows[v][p.year][None, :], at("saved")[saved], share[:, None] * p.duration)

    def costs(self) -> None:
        """F4.CT. It comes last: `recourse` puts it into the objective."""
        p, w, at = self.program, self.writer, self.writer.at
        rows = w.rows("F4.CT", (w.n["T"],), 0.0, 0.0)
        w.add(rows, at("cost"), 1.0)
        for name, price in (
            ("work", p.arc_cost), ("use", p.use_cost), ("open", p.open_cost), ("unserved", p.unserved_cost),
            ("transfer", p.transfer_cost), ("saved", p.levers.saving_cost.reshape(w.n["Z"], w.n["T"])),
        ):  # fmt: skip
            w.add(rows[None, :], at(name), -price)
        last = rows[p.floor_last]
        for name, price in (("over", -p.over_cost), ("short", -p.short_cost), ("credit", p.carry_refund)):
            w.add(last, at(name), price)
        for year in self.carbon_years:
            w.add(rows[np.flatnonzero(p.year == year)[-1]], at("excess")[year], -p.carbon_cost[year])

    def columns(self) -> None:
        """Costs and bounds (F3) that no future changes."""
        p, w = self.program, self.writer
        part = w.columns.part
        w.cost[part("cost")] = p.discount
        w.lower[part("cost")] = -INFINITY
        w.upper[part("work")] = np.where(p.arc_open, INFINITY, 0.0).ravel()
        banked, carried = p.make_up_share[p.floor_row] > 0, p.carry_share[p.floor_row] > 0
        for name, live in (("made", banked), ("bank", banked), ("credit", carried), ("carry", carried)):
            w.upper[part(name)] = np.where(live, INFINITY, 0.0)
        w.upper[part("excess")] = np.where(np.isfinite(p.carbon_max), INFINITY, 0.0)


def _embodied(program: Program, year: int) -> OfScenarios:
    """Tonnes of each capacity column in a year; a later signing has them in the futures of its cluster only."""
    later = np.where(program.later_action == SIGN, program.embodied[program.later_row, year], 0.0)
    size = program.embodied[:, year]
    return lambda s: np.concatenate(
        [np.broadcast_to(size, (s.stop - s.start, len(size))), program.later_member[s] * later], axis=1
    )

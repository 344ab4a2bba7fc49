"""First stage: the rules of F4 on what is decided before the future is known, and F of F5. Called by `template`."""

from __future__ import annotations

import numpy as np

from argosy.plan.blocks import INFINITY, Block, Writer
from argosy.plan.layout import first_columns, signatures
from argosy.plan.program import EXERCISE, EXIT, NONE, SIGN, Bools, Ints, Program


def first_stage(program: Program) -> Block:
    """Columns, rules, cost and bounds of the first stage."""
    stage = _FirstStage(program)
    stage.signing()
    stage.clauses()
    stage.cash()
    stage.limits()
    stage.sites()
    stage.projects()
    stage.columns()
    return stage.writer.block()


class _FirstStage:
    """The rules; each method writes a group of them."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.writer = Writer(program, first_columns(program))
        _, scenario_of = signatures(program)
        self.member: Bools = program.later_member[scenario_of]  # (signatures, E)
        self.signings: Ints = np.flatnonzero(program.later_action == SIGN)
        self.signers: Ints = program.later_row[self.signings]

    def signing(self) -> None:
        """F4.A1, F4.A2, F4.A3, F4.EX."""
        p, w, at = self.program, self.writer, self.writer.at
        rows = w.rows("F4.A1", (w.n["K"],), -INFINITY, 0.0)
        w.add(rows, at("size"), 1.0)
        w.add(rows, at("sign"), -p.size_max)
        rows = w.rows("F4.A2", (w.n["K"],), 0.0, INFINITY)
        w.add(rows, at("size"), 1.0)
        w.add(rows, at("sign"), -p.size_min)
        both = w.rows("F4.A3", (2, len(self.signings)), [[-INFINITY], [0.0]], [[0.0], [INFINITY]])
        for rows, bound in zip(both, (p.size_max, p.size_min), strict=True):
            w.add(rows, at("later")[self.signings], 1.0)
            w.add(rows, at("later_sign"), -bound[self.signers])
        groups = np.unique(p.row_group[p.row_group != NONE])
        rows = w.rows("F4.EX", (len(groups), len(self.member)), -INFINITY, 1.0)
        for g, group in enumerate(groups.tolist()):
            w.add(rows[g][:, None], at("sign")[np.flatnonzero(p.row_group == group)][None, :], 1.0)
            q, i = np.nonzero(self.member[:, self.signings] & (p.row_group[self.signers] == group))
            w.add(rows[g][q], at("later_sign")[i], 1.0)

    def clauses(self) -> None:
        """F4.H, F4.X1, F4.X2, F4.PP, F4.EQ."""
        p, w, at = self.program, self.writer, self.writer.at
        rows = w.rows("F4.H", (w.n["K"],), -INFINITY, 0.0)
        w.add(rows, at("option"), 1.0)
        w.add(rows, at("size"), -p.option_share)
        for rule, action, holder in (("F4.X1", EXERCISE, "option"), ("F4.X2", EXIT, "size")):
            owners = np.unique(p.later_row[p.later_action == action])
            rows = w.rows(rule, (len(owners), len(self.member)), -INFINITY, 0.0)
            for i, owner in enumerate(owners.tolist()):
                w.add(rows[i], at(holder)[owner], -1.0)
                q, e = np.nonzero(self.member & (p.later_row == owner) & (p.later_action == action))
                w.add(rows[i][q], at("later")[e], 1.0)
        for rule, name, most in (("F4.PP", "prepay", p.prepay_max), ("F4.EQ", "equity", p.equity_value)):
            owners = np.flatnonzero(most > 0)
            rows = w.rows(rule, (len(owners),), -INFINITY, 0.0)
            w.add(rows, at(name)[owners], 1.0)
            w.add(rows, at("size")[owners], -most[owners])

    def cash(self) -> None:
        """F4.Y."""
        p, w, at = self.program, self.writer, self.writer.at
        years = np.flatnonzero(np.isfinite(p.cash_limit))
        rows = w.rows("F4.Y", (len(years), len(self.member)), -INFINITY, p.cash_limit[years][:, None])
        for i, y in enumerate(years.tolist()):
            for name, cash in (
                ("size", p.size_cash), ("option", p.option_cash), ("prepay", p.prepay_cash), ("port", p.port_cash),
                ("replica", p.replica_cash),
                ("start", p.levers.start_cash.reshape(w.n["H"], w.n["Y"])),
                ("build", p.site_fixed_cash), ("power", p.site_cash),
            ):  # fmt: skip
                w.add(rows[i][:, None], at(name)[None, :], cash[:, y][None, :])
            w.add(rows[i][:, None], at("later")[None, :], self.member * p.later_cash[:, y])
            w.add(rows[i], at("borrow")[y], -1.0)

    def limits(self) -> None:
        """F4.C, F4.N1."""
        p, w, at = self.program, self.writer, self.writer.at
        vendors = np.flatnonzero(~np.isnan(p.vendor_share_max))
        rows = w.rows("F4.C", (len(vendors),), -INFINITY, 0.0)
        chance = p.probability @ p.later_member  # (E,)
        for i, v in enumerate(vendors.tolist()):
            counted = p.committed_value * ((p.row_vendor == v) - p.vendor_share_max[v])  # (K,)
            w.add(rows[i], at("size"), counted)
            w.add(rows[i], at("later")[self.signings], counted[self.signers] * chance[self.signings])
        required = p.adequacy_required - p.adequacy_base
        rows = w.rows("F4.N1", (w.n["Q"], w.n["T"]), required, INFINITY)
        w.add(rows[:, None, :], at("size")[None, :, None], p.adequacy_size)
        w.add(rows, at("gap"), 1.0)

    def sites(self) -> None:
        """F4.Z, F4.W1."""
        p, w, at = self.program, self.writer, self.writer.at
        both = w.rows("F4.Z", (2, w.n["B"]), [[0.0], [-INFINITY]], [[INFINITY], [0.0]])
        for rows, bound in zip(both, (p.site_min, p.site_max), strict=True):
            w.add(rows, at("power"), 1.0)
            w.add(rows, at("build"), -bound)
        rows = w.rows("F4.W1", (w.n["B"], len(self.member)), -INFINITY, 0.0)
        own = np.flatnonzero(p.row_site != NONE)
        w.add(rows[p.row_site[own]], at("size")[own][:, None], p.row_kw[own][:, None])
        q, e = np.nonzero(self.member[:, self.signings] & (p.row_site[self.signers] != NONE))
        w.add(rows[p.row_site[self.signers[e]], q], at("later")[self.signings[e]], p.row_kw[self.signers[e]])
        w.add(rows, at("power")[:, None], -1.0)

    def projects(self) -> None:
        """F4.L1, F4.L2, F4.TM."""
        levers, w, at = self.program.levers, self.writer, self.writer.at
        rows = w.rows("F4.L1", (w.n["G"],), levers.project_least, levers.project_most)
        w.add(rows[levers.start_project], at("start"), 1.0)
        groups = np.unique(levers.project_group[levers.project_group != NONE])
        rows = w.rows("F4.L2", (len(groups),), -INFINITY, 1.0)
        for row, group in zip(rows, groups.tolist(), strict=True):
            w.add(row, at("start")[levers.project_group[levers.start_project] == group], 1.0)
        capacity = levers.team_capacity.reshape(w.n["M"], w.n["T"])
        rows = w.rows("F4.TM", capacity.shape, -INFINITY, capacity)
        w.add(rows[None], at("start")[:, None, None], levers.start_need.reshape(w.n["H"], *capacity.shape))

    def columns(self) -> None:
        """Costs (F of F5), bounds and integers (F3)."""
        p, w = self.program, self.writer
        part = w.columns.part
        for name, cost in (
            ("size", p.size_cost), ("option", p.option_cost), ("prepay", p.prepay_cost), ("equity", np.array(-1.0)),
            ("port", p.port_cost), ("start", p.levers.start_cost),
            ("replica", p.replica_cost), ("build", p.site_fixed_cost), ("power", p.site_cost),
            ("borrow", p.borrow_cost), ("gap", np.tile(p.gap_cost, w.n["Q"])), ("eta", np.array(p.risk_aversion)),
        ):  # fmt: skip
            w.cost[part(name)] = cost
        for name in ("sign", "later_sign", "port", "start", "build"):
            w.integer[part(name)] = name != "start" or not p.levers.divisible
            w.upper[part(name)] = 1.0
        w.upper[w.at("port")[p.levers.closed_port]] = 0.0
        w.lower[part("sign")], w.upper[part("sign")] = p.sign_lower, p.sign_upper
        w.lower[part("build")] = p.site_committed
        for name, bound in (
            ("size", p.size_max), ("option", np.where(p.option_share > 0, INFINITY, 0.0)),
            ("prepay", np.where(p.prepay_max > 0, INFINITY, 0.0)), ("replica", np.array(1.0)),
            ("equity", np.where(p.equity_value > 0, p.equity_max, 0.0)), ("power", p.site_max),
            ("borrow", p.borrow_max),
        ):  # fmt: skip
            w.upper[part(name)] = bound
        w.lower[part("eta")], w.upper[part("eta")] = (-INFINITY, INFINITY) if p.risk_aversion > 0 else (0.0, 0.0)
        held = np.flatnonzero(~np.isnan(p.fixed))
        w.lower[held] = w.upper[held] = p.fixed[held]

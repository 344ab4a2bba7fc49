"""The same problem written a second time, from docs/concepts/plan.md alone, in linopy's algebra.

Nothing here is shared with `argosy.plan.template`: it is the independent builder that the tests compare with, family by
family, and the peer of the planning benchmark, so every rule is one vectorised `add_constraints` over all scenarios.
Readings of the document that another reader could take otherwise are marked READING.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import linopy
import numpy as np
import pandas as pd
import scipy.sparse
import xarray as xr

from argosy.plan.program import EXERCISE, EXIT, NONE, SIGN, Program

linopy.options["semantics"] = "v1"  # strict alignment, and the only mode with sparse expressions

Array = np.ndarray[Any, Any]

FIRST = (
    "sign", "size", "option", "prepay", "equity", "later", "later_sign", "port", "start", "replica", "build", "power",
    "borrow", "gap", "eta",
)  # fmt: skip
SECOND = (
    "work", "use", "open", "unserved", "backlog", "over", "short", "made", "bank", "credit", "carry", "transfer",
    "saved", "excess", "cost", "tail",
)  # fmt: skip

OTHER_SIDE = " from below"
"""Ending of a family that holds the lower side of rows with two; linopy writes one side at a time."""


def signatures(program: Program) -> Array:
    """(G, E) the distinct memberships: futures of one row can never be told apart by a later decision."""
    member = np.asarray(program.later_member, dtype=bool)
    if member.shape[1] == 0:
        return np.zeros((1, 0), dtype=bool)
    return np.unique(member, axis=0)


def column_shapes(program: Program) -> tuple[dict[str, tuple[int, ...]], dict[str, tuple[int, ...]]]:
    """Shapes of the column blocks of F3, first stage and second stage of one scenario, in the order of F3.

    READING: within a block the last index runs fastest, and blocks follow each other (all `sign`, then all `size`).
    """
    n = program.shape
    signs = int(np.sum(program.later_action == SIGN))
    first = {
        "sign": (n["K"],), "size": (n["K"],), "option": (n["K"],), "prepay": (n["K"],), "equity": (n["K"],),
        "later": (n["E"],), "later_sign": (signs,), "port": (n["O"],),
        "start": (n["H"],), "replica": (n["R"],), "build": (n["B"],),
        "power": (n["B"],), "borrow": (n["Y"],), "gap": (n["Q"], n["T"]), "eta": (),
    }  # fmt: skip
    floors = dict.fromkeys(("over", "short", "made", "bank", "credit", "carry"), (n["F"],))
    second = {
        "work": (n["A"], n["T"]), "use": (n["J"], n["T"]), "open": (n["L"], n["T"]), "unserved": (n["D"], n["T"]),
        "backlog": (n["D"], n["T"]), **floors, "transfer": (n["X"], n["T"]),
        "saved": (n["Z"], n["T"]), "excess": (n["Y"],), "cost": (n["T"],),
    }  # fmt: skip
    if program.risk_aversion > 0:
        second["tail"] = ()
    return first, second


class _Writer:
    """Variables and rules of one program; one method per group of rules."""

    def __init__(self, program: Program, *, integer: bool, sparse: bool) -> None:
        self.p = program
        self.n = program.shape
        self.integer = integer
        self.m = linopy.Model(sparse=sparse)
        self.v: dict[str, linopy.Variable] = {}
        self.index: dict[str, pd.Index] = {}
        self.signature = signatures(program)
        self.G = len(self.signature)
        self.exercise = program.later_action == EXERCISE
        self.exit = program.later_action == EXIT
        self.sign_later = np.flatnonzero(program.later_action == SIGN)
        for letter, name in {
            "T": "period", "Y": "year", "S": "scenario", "P": "pool", "K": "row", "E": "later", "N": "line",
            "J": "use", "L": "open", "F": "floor", "D": "demand", "A": "arc", "X": "transfer", "R": "replica",
            "O": "port", "B": "site", "V": "vendor", "Q": "loss", "W": "way",
            "H": "start", "G": "project", "M": "team", "U": "gain", "Z": "saving",
        }.items():  # fmt: skip
            self.index[name] = pd.RangeIndex(self.n[letter], name=name)
        self.index["signature"] = pd.RangeIndex(self.G, name="signature")
        self.index["later_sign"] = pd.Index(self.sign_later, name="later_sign")

    # ---- small helpers

    def data(self, values: Any, *dims: str, **subset: Array) -> xr.DataArray:
        """Values with labelled dims; `subset` names the labels of a dim that does not run over its whole axis."""
        coords = [pd.Index(subset[d], name=d) if d in subset else self.index[d] for d in dims]
        shape = tuple(len(c) for c in coords)
        return xr.DataArray(np.broadcast_to(np.asarray(values, dtype=float), shape), coords=coords)

    def onehot(self, where: Array, rows: str, columns: str, weight: Any = 1.0) -> xr.DataArray:
        """(rows, columns) matrix with `weight` where row i points at column where[i]; NONE points nowhere."""
        out = np.zeros((len(self.index[rows]), len(self.index[columns])))
        there = np.flatnonzero(where != NONE)
        out[there, where[there]] = np.broadcast_to(weight, (len(where),))[there]
        return self.data(out, rows, columns)

    def variable(self, name: str, lower: Any, upper: Any, *dims: str, integer: bool = False) -> None:
        if any(len(self.index[d]) == 0 for d in dims):
            return
        bounds: dict[str, Any] = {"lower": lower, "upper": upper}
        if dims:
            bounds = {key: self.data(value, *dims) for key, value in bounds.items()}
        self.v[name] = self.m.add_variables(
            **bounds, coords=[self.index[d] for d in dims], name=name, integer=integer and self.integer
        )

    def rule(self, name: str, left: Any, sense: str, right: Any) -> None:
        self.m.add_constraints(left, sense, right, name=name)

    def gather(
        self, name: str, picked: Array, weight: Array, keys: Mapping[str, Array], **subset: Array
    ) -> linopy.LinearExpression:
        """Sum of weight[i] * variable[picked[i]] over the i that share their `keys`; absent combinations are 0.

        Keys are positions in their axis, or in `subset` of it. A weight with a second dimension runs over periods.
        """
        values_of = {key: subset.get(key, self.index[key].to_numpy()) for key in keys}
        grid = [len(values_of[key]) for key in keys]
        seen = np.zeros(grid, dtype=bool)
        seen[tuple(keys.values())] = True
        missing = np.nonzero(~seen)
        filler = len(missing[0])
        labels = {key: values_of[key][np.concatenate([keys[key], missing[i]])] for i, key in enumerate(keys)}
        pair = pd.RangeIndex(len(picked) + filler, name="pair")
        rows = xr.DataArray(np.concatenate([picked, np.zeros(filler, dtype=int)]), dims="pair", coords={"pair": pair})
        values = np.concatenate([weight, np.zeros((filler, *weight.shape[1:]))])
        factor = xr.DataArray(values, coords=[pair, self.index["period"]][: values.ndim])
        variable = self.v[name]
        terms = (1 * variable.isel({variable.dims[0]: rows})).drop_vars(variable.dims[0]) * factor
        terms = terms.assign_coords({key: ("pair", value) for key, value in labels.items()})
        return terms.groupby(list(keys)).sum()

    def previous(self, name: str, share: str, windows: Array | None = None) -> linopy.LinearExpression:
        """For floors of rows with the share: the variable one floor earlier, or its sum over the last `windows`."""
        chosen = self.floors_with(share)
        earlier = np.zeros((self.n["F"], len(chosen)))
        for column, f in enumerate(chosen):
            row = self.p.floor_row[f]
            chain = np.flatnonzero(self.p.floor_row == row)
            chain = chain[np.argsort(self.p.floor_first[chain], kind="stable")]
            at = int(np.flatnonzero(chain == f)[0])
            if windows is None:
                if at > 0:
                    earlier[chain[at - 1], column] = 1.0
            else:
                earlier[chain[max(0, at - int(windows[row]) + 1) : at + 1], column] = 1.0
        matrix = self.data(earlier, "floor", "at", at=chosen)
        return (self.v[name] @ matrix).rename({"at": "floor"})

    def floors_with(self, share: str) -> Array:
        return np.flatnonzero(getattr(self.p, share)[self.p.floor_row] > 0)

    def over_signatures(self, name: str, rows: Array) -> linopy.LinearExpression:
        """A first-stage variable of some rows, repeated for every signature."""
        chosen = self.v[name].isel(row=rows)
        return self.data(1.0, "signature", "row", row=rows) * chosen

    # ---- columns

    def columns(self) -> None:
        p, inf = self.p, np.inf
        self.variable("sign", p.sign_lower, p.sign_upper, "row", integer=True)
        self.variable("size", 0.0, p.size_max, "row")
        self.variable("option", 0.0, np.where(p.option_share > 0, inf, 0.0), "row")
        self.variable("prepay", 0.0, np.where(p.prepay_max > 0, inf, 0.0), "row")
        self.variable("equity", 0.0, np.where(p.equity_value > 0, p.equity_max, 0.0), "row")
        self.variable("later", 0.0, inf, "later")
        self.variable("later_sign", 0.0, 1.0, "later_sign", integer=True)
        self.variable("port", 0.0, 1.0 - np.isin(np.arange(self.n["O"]), p.levers.closed_port), "port", integer=True)
        self.variable("start", 0.0, 1.0, "start", integer=True)
        self.variable("replica", 0.0, 1.0, "replica")
        self.variable("build", p.site_committed, 1.0, "site", integer=True)
        self.variable("power", 0.0, p.site_max, "site")
        self.variable("borrow", 0.0, p.borrow_max, "year")
        self.variable("gap", 0.0, inf, "loss", "period")
        risk = p.risk_aversion > 0
        self.variable("eta", -inf if risk else 0.0, inf if risk else 0.0)

        self.variable("work", 0.0, np.where(p.arc_open, inf, 0.0)[None], "scenario", "arc", "period")
        self.variable("use", 0.0, p.use_max, "scenario", "use", "period")
        self.variable("open", 0.0, p.open_max, "scenario", "open", "period")
        self.variable("unserved", 0.0, inf, "scenario", "demand", "period")
        waiting = np.repeat(p.backlog_max[:, :, None], self.n["T"], axis=2)
        waiting[:, :, -1] = 0.0
        self.variable("backlog", 0.0, waiting, "scenario", "demand", "period")
        make_up = np.where(p.make_up_share[p.floor_row] > 0, inf, 0.0)[None]
        carry = np.where(p.carry_share[p.floor_row] > 0, inf, 0.0)[None]
        for name, upper in (
            ("over", inf), ("short", inf), ("made", make_up), ("bank", make_up), ("credit", carry), ("carry", carry),
        ):  # fmt: skip
            self.variable(name, 0.0, upper, "scenario", "floor")
        self.variable("transfer", 0.0, inf, "scenario", "transfer", "period")
        self.variable("saved", 0.0, inf, "scenario", "saving", "period")
        self.variable("excess", 0.0, np.where(np.isinf(p.carbon_max), 0.0, inf)[None], "scenario", "year")
        self.variable("cost", -inf, inf, "scenario", "period")
        if risk:
            self.variable("tail", 0.0, inf, "scenario")

    # ---- first stage

    def signing(self) -> None:
        p, v = self.p, self.v
        if self.n["K"] == 0:
            return
        self.rule("F4.A1", v["size"] - self.data(p.size_max, "row") * v["sign"], "<=", 0)
        self.rule("F4.A2", v["size"] - self.data(p.size_min, "row") * v["sign"], ">=", 0)
        if len(self.sign_later):
            rows = p.later_row[self.sign_later]
            both = pd.Index(["max", "min"], name="side")
            limit = xr.DataArray(
                np.stack([p.size_max[rows], -p.size_min[rows]]), coords=[both, self.index["later_sign"]]
            )
            turn = xr.DataArray(np.array([1.0, -1.0]), coords=[both])
            later = (1 * v["later"].isel(later=self.sign_later)).rename({"later": "later_sign"})
            self.rule("F4.A3", turn * later - limit * v["later_sign"], "<=", 0)
        self.exclusion()
        # READING: option and prepay rows are written for every row; where the share is 0 they repeat the bound.
        self.rule("F4.H", v["option"] - self.data(p.option_share, "row") * v["size"], "<=", 0)
        self.rule("F4.PP", v["prepay"] - self.data(p.prepay_max, "row") * v["size"], "<=", 0)
        valued = np.flatnonzero(p.equity_value > 0)
        if len(valued):
            equity, size = v["equity"].isel(row=valued), v["size"].isel(row=valued)
            self.rule("F4.EQ", equity - self.data(p.equity_value[valued], "row", row=valued) * size, "<=", 0)
        # READING: "rows with an option" are those with exercise columns; without them the row says 0 <= option.
        for name, chosen, held in (("F4.X1", self.exercise, "option"), ("F4.X2", self.exit, "size")):
            rows = np.unique(p.later_row[chosen])
            if len(rows):
                group, e = np.nonzero(self.signature & chosen[None])
                keys = {"signature": group, "row": np.searchsorted(rows, p.later_row[e])}
                taken = self.gather("later", e, np.ones(len(e)), keys, row=rows)
                self.rule(name, taken - self.over_signatures(held, rows), "<=", 0)

    def exclusion(self) -> None:
        p = self.p
        groups = np.unique(p.row_group[p.row_group != NONE])
        if not len(groups):
            return
        self.index["group"] = pd.Index(groups, name="group")
        kept = np.flatnonzero(p.row_group != NONE)
        where = np.full(self.n["K"], NONE)
        where[kept] = np.searchsorted(groups, p.row_group[kept])
        total = self.v["sign"] @ self.onehot(where, "row", "group").expand_dims(signature=self.index["signature"])
        if len(self.sign_later):
            group, i = np.nonzero(self.signature[:, self.sign_later])
            target = where[p.later_row[self.sign_later[i]]]
            real = target != NONE
            if real.any():
                keys = {"signature": group[real], "group": target[real]}
                total = total + self.gather("later_sign", i[real], np.ones(int(real.sum())), keys)
        self.rule("F4.EX", total, "<=", 1)

    def money(self) -> None:
        p, v = self.p, self.v
        years = np.flatnonzero(np.isfinite(p.cash_limit))
        if len(years):
            total: Any = None
            for name, cash, dim in (
                ("size", p.size_cash, "row"), ("option", p.option_cash, "row"), ("prepay", p.prepay_cash, "row"),
                ("port", p.port_cash, "port"), ("replica", p.replica_cash, "replica"),
                ("start", p.levers.start_cash, "start"),
                ("build", p.site_fixed_cash, "site"), ("power", p.site_cash, "site"),
            ):  # fmt: skip
                if name in v:
                    matrix = self.data(cash[:, None, years], dim, "signature", "year", year=years)
                    total = _plus(total, v[name] @ matrix)
            if "later" in v:
                group, e = np.nonzero(self.signature)
                cash = p.later_cash[e][:, years]
                i, y = np.nonzero(cash)
                if len(i):
                    keys = {"signature": group[i], "year": y}
                    total = _plus(total, self.gather("later", e[i], cash[i, y], keys, year=years))
            borrowed = self.data(1.0, "signature", "year", year=years) * v["borrow"].isel(year=years)
            self.rule("F4.Y", _plus(total, -1 * borrowed), "<=", self.data(p.cash_limit[years], "year", year=years))

        vendors = np.flatnonzero(~np.isnan(p.vendor_share_max))
        if len(vendors) and "size" in v:
            mine = (p.row_vendor[:, None] == vendors[None]).astype(float)
            factor = p.committed_value[:, None] * (mine - p.vendor_share_max[None, vendors])
            # READING: a row decided later keeps its term in `size`, which F4.A1 holds at 0, beside its later columns.
            total = v["size"] @ self.data(factor, "row", "vendor", vendor=vendors)
            if len(self.sign_later):
                chance = p.probability @ p.later_member
                later = np.where((p.later_action == SIGN)[:, None], chance[:, None] * factor[p.later_row], 0.0)
                total = total + v["later"] @ self.data(later, "later", "vendor", vendor=vendors)
            self.rule("F4.C", total, "<=", 0)

    def adequacy_and_sites(self) -> None:
        p, v = self.p, self.v
        if "gap" in v:
            need = p.adequacy_required[None] - p.adequacy_base
            left: Any = 1 * v["gap"]
            if "size" in v:
                factor = self.data(np.transpose(p.adequacy_size, (1, 0, 2)), "row", "loss", "period")
                left = v["size"] @ factor + left
            self.rule("F4.N1", left, ">=", self.data(need, "loss", "period"))
        if "build" in v:
            both = pd.Index(["max", "min"], name="side")
            limit = xr.DataArray(np.stack([p.site_max, -p.site_min]), coords=[both, self.index["site"]])
            turn = xr.DataArray(np.array([1.0, -1.0]), coords=[both])
            self.rule("F4.Z", turn * v["power"] - limit * v["build"], "<=", 0)
            if "size" in v:
                where = self.onehot(p.row_site, "row", "site", p.row_kw)
                drawn = v["size"] @ where.expand_dims(signature=self.index["signature"])
                group, e = np.nonzero(self.signature & (p.later_action == SIGN) & (p.row_site[p.later_row] >= 0))
                if len(e):
                    keys = {"site": p.row_site[p.later_row[e]], "signature": group}
                    drawn = drawn + self.gather("later", e, p.row_kw[p.later_row[e]], keys)
                power = self.data(1.0, "signature", "site") * v["power"]
                self.rule("F4.W1", drawn - power, "<=", 0)

    # ---- second stage

    def work(self) -> None:
        p, v = self.p, self.v
        shape = ("scenario", "demand", "period")
        if self.n["D"]:
            left: Any = 1 * v["unserved"]
            if "work" in v:
                left = v["work"] @ self.onehot(p.arc_demand, "arc", "demand", p.arc_yield) + left
            if "saved" in v:
                left = v["saved"] @ self.onehot(p.levers.gain_demand[p.levers.saving_gain], "saving", "demand") + left
            waiting = 1 * v["backlog"]
            change = waiting - waiting.shift(period=1).fillna(0)
            left = left + change * self.data(1 / p.duration, "period")
            self.rule("F4.D", left, "=", self.data(p.demand, *shape))
        left = None
        for name, dim, pool, sign in (
            ("work", "arc", p.arc_pool, 1.0), ("use", "use", p.use_pool, -1.0), ("open", "open", p.open_pool, -1.0),
        ):  # fmt: skip
            if name in v:
                left = _plus(left, v[name] @ self.onehot(pool, dim, "pool", sign))
        if left is not None:
            self.rule("F4.P", left, "<=", self.data(p.stock, "scenario", "pool", "period"))
            self.rule("F4.P" + OTHER_SIDE, left, ">=", self.data(np.zeros_like(p.stock), "scenario", "pool", "period"))

    def capacity(self, group: str, at: Array, column: Array, weight: Array) -> Any:
        """`sum_c weight_{s,i} column_c` by scenario and `group`; zeros of a whole future are not written."""
        total: Any = None
        K = self.n["K"]
        for name, mine, offset in (("size", column < K, 0), ("later", column >= K, K)):
            chosen = np.flatnonzero(mine)
            if not len(chosen):
                continue
            s, i = np.nonzero(weight[:, chosen].any(axis=2) if weight.ndim == 3 else weight[:, chosen])
            i = chosen[i]
            keys = {"scenario": s, group: at[i]}
            total = _plus(total, self.gather(name, column[i] - offset, weight[s, i], keys))
        return total

    def contracts(self) -> None:
        p, v = self.p, self.v
        if self.n["N"]:
            right = self.capacity("line", p.link_line, p.link_column, p.link_capacity)
            left = v["use"] @ self.onehot(p.use_line, "use", "line", p.use_draw) if "use" in v else None
            self.rule("F4.U", _plus(left, None if right is None else -1 * right), "<=", 0)
        if self.n["F"] == 0:
            return
        left = v["short"] + v["credit"] - v["over"] - v["made"]
        if "use" in v:
            t = np.arange(self.n["T"])
            inside = (p.floor_first[:, None] <= t) & (t <= p.floor_last[:, None])
            mine = p.line_row[p.use_line][:, None] == p.floor_row[None]
            amount = p.use_draw[:, None, None] * p.duration[None, :, None] * mine[:, None, :] * inside.T[None]
            left = v["use"] @ self.data(amount, "use", "period", "floor") + left
        right = self.capacity("floor", p.bound_floor, p.bound_column, p.bound_amount)
        self.rule("F4.T", _plus(left, None if right is None else -1 * right), "=", 0)

        if len(chosen := self.floors_with("make_up_share")):
            share = self.data(p.make_up_share[p.floor_row[chosen]], "floor", floor=chosen)
            bank, short, made = (v[name].isel(floor=chosen) for name in ("bank", "short", "made"))
            before = self.previous("bank", "make_up_share")
            self.rule("F4.M1", bank - before - share * short + made, "<=", 0)
            window = self.previous("short", "make_up_share", p.make_up_floors)
            self.rule("F4.M2", bank - window * share, "<=", 0)
        if len(chosen := self.floors_with("carry_share")):
            share = self.data(p.carry_share[p.floor_row[chosen]], "floor", floor=chosen)
            carry, over, credit = (v[name].isel(floor=chosen) for name in ("carry", "over", "credit"))
            before = self.previous("carry", "carry_share")
            self.rule("F4.K1", carry - before - share * over + credit, "<=", 0)
            window = self.previous("over", "carry_share", p.carry_floors)
            self.rule("F4.K2", carry - window * share, "<=", 0)
            self.rule("F4.K3", credit - before, "<=", 0)

    def data_and_ports(self) -> None:
        p, v = self.p, self.v
        if "transfer" in v:
            per_unit = self.data(p.transfer_gib[:, None] * p.duration, "transfer", "period")
            left: Any = 1 * v["transfer"]
            if "work" in v:
                left = left - (v["work"] @ self.onehot(p.arc_transfer, "arc", "transfer", p.arc_yield)) * per_unit
            if "saved" in v and (p.levers.saving_transfer != NONE).any():
                left = left - (v["saved"] @ self.onehot(p.levers.saving_transfer, "saving", "transfer")) * per_unit
            copied = np.flatnonzero(p.transfer_replica != NONE)
            if len(copied):
                s, x = (a.ravel() for a in np.meshgrid(np.arange(self.n["S"]), copied, indexing="ij"))
                factor = p.transfer_gib[x][:, None] * p.duration * p.demand[s, p.transfer_demand[x]]
                keys = {"scenario": s, "transfer": x}
                left = left + self.gather("replica", p.transfer_replica[x], factor, keys)
            self.rule("F4.G1", left, ">=", 0)
            if self.n["W"]:
                on_way = v["transfer"] @ self.onehot(p.transfer_limit, "transfer", "way")
                self.rule("F4.G2", on_way, "<=", self.data(p.way_max, "way", "period"))
        if "port" in v:
            left = -1 * (v["port"] * self.data(p.port_capacity, "scenario", "port", "period"))
            opened = p.levers.opener_start
            if len(opened):
                s, i = (a.ravel() for a in np.meshgrid(np.arange(self.n["S"]), np.arange(len(opened)), indexing="ij"))
                keys = {"scenario": s, "port": p.levers.opener_port[i]}
                left = left - self.gather("start", opened[i], p.levers.opener_capacity[s, i], keys)
            if "work" in v:
                left = v["work"] @ self.onehot(p.arc_port, "arc", "port", p.arc_yield) + left
            self.rule("F4.N", left, "<=", 0)
        if "power" in v:
            left = -1 * (v["power"] * self.data(p.site_energised, "scenario", "site", "period"))
            if "use" in v:
                row = p.line_row[p.use_line]
                left = v["use"] @ self.onehot(p.row_site[row], "use", "site", p.row_kw[row]) + left
            self.rule("F4.W2", left, "<=", 0)

    def projects(self) -> None:
        p, v, n, lev = self.p, self.v, self.n, self.p.levers
        if "start" not in v:
            return
        chosen = v["start"] @ self.onehot(lev.start_project, "start", "project")
        self.rule("F4.L1", chosen, "<=", self.data(lev.project_most, "project"))
        self.rule("F4.L1" + OTHER_SIDE, chosen, ">=", self.data(lev.project_least, "project"))
        groups = np.unique(lev.project_group[lev.project_group != NONE])
        if len(groups):
            self.index["exclusion"] = pd.Index(groups, name="exclusion")
            mine = (lev.project_group[lev.start_project][:, None] == groups).astype(float)
            self.rule("F4.L2", v["start"] @ self.data(mine, "start", "exclusion"), "<=", 1)
        if n["M"]:
            needed = v["start"] @ self.data(lev.start_need, "start", "team", "period")
            self.rule("F4.TM", needed, "<=", self.data(lev.team_capacity, "team", "period"))
        if "saved" not in v:
            return
        # READING: `factor_units` are units saved for each unit of work on the arc, so the yield comes on top.
        units = np.zeros((n["A"], n["Z"]))
        np.add.at(units, (lev.factor_arc, lev.factor_saving), lev.factor_units * p.arc_yield[lev.factor_arc])
        self.rule("F4.L3", v["saved"] - v["work"] @ self.data(units, "arc", "saving"), "<=", 0)
        pairs = [(u, g) for u in range(n["U"]) for g in range(n["G"]) if lev.gain_project[u, g]]
        self.index["pair_of"] = pd.RangeIndex(len(pairs), name="pair_of")
        of = np.array([[float(u == gain) for u, _ in pairs] for gain in lev.saving_gain])
        later = np.arange(n["T"]) >= lev.start_ready[:, None]
        factor = np.zeros((n["H"], len(pairs), n["S"], n["T"]))
        for i, (u, g) in enumerate(pairs):
            for h in range(n["H"]):
                if lev.start_project[h] == g:
                    factor[h, i] = lev.gain_most[:, u] * later[h]
        room = v["start"] @ self.data(factor, "start", "pair_of", "scenario", "period")
        self.rule("F4.L4", v["saved"] @ self.data(of, "saving", "pair_of") - room, "<=", 0)

    def limits(self) -> None:
        p, v = self.p, self.v
        if "work" not in v and self.n["K"] == 0:
            return
        year_of = p.year[:, None] == np.arange(self.n["Y"])
        # READING: a pool whose power or carbon is unknown does not count (masked), it does not make the rule fail.
        periods = np.flatnonzero(np.isfinite(p.power_max))
        if len(periods) and "work" in v:
            mw = self.data(np.nan_to_num(p.pool_mw[p.arc_pool]), "arc")
            drawn = v["work"].isel(period=periods) @ mw
            self.rule("F4.PW", drawn, "<=", self.data(p.power_max[periods], "period", period=periods))
        years = np.flatnonzero(np.isfinite(p.carbon_max))
        if len(years):
            left: Any = -1 * v["excess"].isel(year=years)
            if "work" in v:
                tonnes = np.nan_to_num(p.pool_carbon[p.arc_pool])[:, :, None] * year_of[None][:, :, years]
                left = v["work"] @ self.data(tonnes, "arc", "period", "year", year=years) + left
            if "size" in v:
                each = self.data(p.embodied[:, None][:, :, years], "row", "scenario", "year", year=years)
                left = left + v["size"] @ each
            tonnes = p.embodied[p.later_row][:, years] * (p.later_action == SIGN)[:, None]
            scenario, e, year = np.nonzero(p.later_member[:, :, None] * tonnes[None])
            if len(e):
                keys = {"scenario": scenario, "year": year}
                left = _plus(left, self.gather("later", e, tonnes[e, year], keys, year=years))
            self.rule("F4.E", left, "<=", self.data(p.carbon_max[years], "year", year=years))
        if not np.isnan(p.critical_share_max) and "work" in v:
            served = (p.demand_critical[p.arc_demand] * p.arc_yield)[:, None] * p.duration
            mine = p.pool_vendor[p.arc_pool][:, None] == np.arange(self.n["V"])
            share = (mine - p.critical_share_max)[:, None, :, None]
            factor = served[:, :, None, None] * share * year_of[None, :, None, :]
            if factor.any():
                total = v["work"] @ self.data(factor, "arc", "period", "vendor", "year")
                if "saved" in v:
                    critical = p.demand_critical[p.levers.gain_demand[p.levers.saving_gain]]
                    mine = p.levers.saving_vendor[:, None] == np.arange(self.n["V"])
                    share = (mine - p.critical_share_max)[:, None, :, None] * critical[:, None, None, None]
                    factor = p.duration[None, :, None, None] * share * year_of[None, :, None, :]
                    if factor.any():
                        total = total + v["saved"] @ self.data(factor, "saving", "period", "vendor", "year")
                self.rule("F4.CS", total, "<=", 0)

    def costs(self) -> None:
        p, v = self.p, self.v
        left: Any = 1 * v["cost"]
        for name, price, dim in (
            ("work", p.arc_cost, "arc"), ("use", p.use_cost, "use"), ("open", p.open_cost, "open"),
            ("unserved", p.unserved_cost, "demand"), ("transfer", p.transfer_cost, "transfer"),
            ("saved", p.levers.saving_cost, "saving"),
        ):  # fmt: skip
            if name in v:
                # Prices of 0 (serving at home) need no term; leaving them out is what a careful user would do.
                paid = np.flatnonzero(price.any(axis=1))
                if len(paid):
                    terms = v[name].isel({dim: paid}) * self.data(price[paid], dim, "period", **{dim: paid})
                    left = left - terms.sum(dim)
        if self.n["F"]:
            for name, each in (("over", p.over_cost), ("short", p.short_cost), ("credit", -p.carry_refund)):
                left = left - v[name] @ self.onehot(p.floor_last, "floor", "period", each)
        last = np.array([np.flatnonzero(p.year == y)[-1] for y in range(self.n["Y"])])
        above = np.where(np.isinf(p.carbon_max), 0.0, p.carbon_cost)
        left = left - v["excess"] @ self.onehot(last, "year", "period", above)
        self.rule("F4.CT", left, "=", 0)

    # ---- risk and objective

    def objective(self) -> None:
        p, v = self.p, self.v
        risk, K = p.risk_aversion, self.n["K"]
        if "tail" in v:
            left: Any = v["tail"] + v["eta"] * self.data(1.0, "scenario") - v["cost"] @ self.data(p.discount, "period")
            if "size" in v:
                left = left - v["size"] @ self.data(p.future_cost[:, :K].T, "row", "scenario")
                left = left + v["prepay"] @ self.data(p.prepay_credit.T, "row", "scenario")
            if "later" in v:
                s, e = np.nonzero(p.future_cost[:, K:])
                if len(s):
                    paid = self.gather("later", e, p.future_cost[s, K + e], {"scenario": s})
                    left = left - paid
            self.rule("F4.CV", left, ">=", 0)

        mean = (1 - risk) * p.probability @ p.future_cost
        weight = (1 - risk) * p.probability
        parts: list[tuple[str, Any, tuple[str, ...]]] = [
            ("size", p.size_cost + mean[:K], ("row",)), ("option", p.option_cost, ("row",)),
            ("prepay", p.prepay_cost - weight @ p.prepay_credit, ("row",)), ("equity", -1.0, ("row",)),
            ("later", mean[K:], ("later",)), ("port", p.port_cost, ("port",)),
            ("start", p.levers.start_cost, ("start",)),
            ("replica", p.replica_cost, ("replica",)),
            ("build", p.site_fixed_cost, ("site",)), ("power", p.site_cost, ("site",)),
            ("borrow", p.borrow_cost, ("year",)), ("gap", p.gap_cost[None], ("loss", "period")),
            ("cost", weight[:, None] * p.discount[None], ("scenario", "period")),
        ]  # fmt: skip
        if "tail" in v:
            parts.append(("tail", risk * p.probability / (1 - p.tail), ("scenario",)))
        total: Any = risk * v["eta"]
        for name, price, dims in parts:
            if name in v:
                total = total + (v[name] * self.data(price, *dims)).sum()
        self.m.add_objective(total)


def _plus(left: Any, right: Any) -> Any:
    if left is None:
        return right
    return left if right is None else left + right


def build(program: Program, *, integer: bool = True, sparse: bool = True) -> linopy.Model:
    """The extensive form of the program: rules are constraints named F4.*, columns are named as in F3."""
    writer = _Writer(program, integer=integer, sparse=sparse)
    writer.columns()
    writer.signing()
    writer.money()
    writer.adequacy_and_sites()
    writer.work()
    writer.contracts()
    writer.data_and_ports()
    writer.projects()
    writer.limits()
    writer.costs()
    writer.objective()
    return writer.m


# ---- comparison


@dataclass(frozen=True)
class Flat:
    """Any builder's problem in the column order of F3: scenario blocks follow the first stage."""

    cost: Array
    lower: Array
    upper: Array
    integer: Array
    rows: scipy.sparse.csr_array
    row_lower: Array
    row_upper: Array
    families: Mapping[str, Sequence[int] | Array]

    def relaxed(self) -> Flat:
        """The same without integrality."""
        return replace(self, integer=np.zeros_like(self.integer))

    def fixed(self, values: Array) -> Flat:
        """The same with its integer columns fixed to values."""
        lower, upper = self.lower.copy(), self.upper.copy()
        lower[self.integer] = upper[self.integer] = values
        return replace(self, lower=lower, upper=upper).relaxed()


def flatten(model: linopy.Model, program: Program) -> Flat:
    """The linopy model as arrays, its columns put in the order of F3."""
    first, second = column_shapes(program)
    scenarios = program.shape["S"]
    start: dict[str, int] = {}
    width = 0
    for name, shape in first.items():
        start[name] = width
        width += int(np.prod(shape))
    block = sum(int(np.prod(shape)) for shape in second.values())
    total = width + scenarios * block
    place = np.full(total, -1)  # position in F3 -> position in linopy's matrices
    matrices = model.matrices
    at = np.full(int(matrices.vlabels.max()) + 1, -1)
    at[matrices.vlabels] = np.arange(len(matrices.vlabels))
    offset = width
    for name, shape in {**first, **second}.items():
        size = int(np.prod(shape))
        if size == 0:
            continue
        labels = at[model.variables[name].labels.values.reshape(-1)]
        if name in first:
            place[start[name] : start[name] + size] = labels
        else:
            inside = offset + np.arange(scenarios)[:, None] * block + np.arange(size)
            place[inside.reshape(-1)] = labels
            offset += size
    assert sorted(place) == list(range(len(matrices.vlabels))), "the columns are not those of F3"
    order = matrices.A[:, place].tocsr()
    lower = np.where(matrices.sense == "<", -np.inf, matrices.b)
    upper = np.where(matrices.sense == ">", np.inf, matrices.b)
    row_at = np.full(int(matrices.clabels.max()) + 1, -1)
    row_at[matrices.clabels] = np.arange(len(matrices.clabels))
    families = {}
    for name in model.constraints:
        labels = model.constraints[name].labels.values.reshape(-1)
        families[name] = row_at[labels[labels >= 0]]
    return Flat(
        cost=matrices.c[place],
        lower=matrices.lb[place],
        upper=matrices.ub[place],
        integer=matrices.vtypes[place] != "C",
        rows=scipy.sparse.csr_array(order),
        row_lower=lower.astype(float),
        row_upper=upper.astype(float),
        families=families,
    )


def _canonical(flat: Flat, row: int) -> tuple[Array, Array, float, float]:
    """Columns, coefficients, lower and upper of a row, written with its first coefficient positive."""
    span = slice(flat.rows.indptr[row], flat.rows.indptr[row + 1])
    columns, values = flat.rows.indices[span], flat.rows.data[span]
    live = values != 0
    order = np.argsort(columns[live])
    columns, values = columns[live][order], values[live][order]
    low, high = float(flat.row_lower[row]), float(flat.row_upper[row])
    if len(values) and values[0] < 0:
        return columns, -values, -high, -low
    return columns, values, low, high


def implied(flat: Flat, row: int) -> bool:
    """Whether the bounds of the columns alone make a row hold."""
    return _implied(flat, _canonical(flat, row))


def _implied(flat: Flat, row: tuple[Array, Array, float, float]) -> bool:
    """Whether the bounds of the columns alone make the row hold, so that leaving it out changes nothing."""
    columns, values, low, high = row
    at_low = np.where(values > 0, flat.lower[columns], flat.upper[columns])
    at_high = np.where(values > 0, flat.upper[columns], flat.lower[columns])
    slack = 1e-9 * max(1.0, abs(low) if np.isfinite(low) else 0, abs(high) if np.isfinite(high) else 0)
    least, most = float(values @ at_low), float(values @ at_high)
    return (low == -np.inf or least >= low - slack) and (high == np.inf or most <= high + slack)


def _close(a: Any, b: Any, tolerance: float) -> bool:
    a, b = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    with np.errstate(invalid="ignore"):
        return bool(np.all((a == b) | (np.abs(a - b) <= tolerance * np.maximum(np.abs(a), np.abs(b)))))


def compare_family(ours: Flat, theirs: Flat, family: str, tolerance: float = 1e-9) -> list[str]:
    """Differences of one family as sets of rows; an empty list when they are equal.

    A row that only one side has is no difference when column bounds imply it (an option of a row without options).
    """
    found: list[dict[tuple[int, ...], list[tuple[Array, Array, float, float]]]] = []
    for flat in (ours, theirs):
        rows: dict[tuple[int, ...], list[tuple[Array, Array, float, float]]] = {}
        for row in (*flat.families.get(family, ()), *flat.families.get(family + OTHER_SIDE, ())):
            one = _canonical(flat, int(row))
            rows.setdefault(tuple(one[0].tolist()), []).append(one)
        found.append({key: _joined(same) for key, same in rows.items()})

    def same(a: tuple[Array, Array, float, float], b: tuple[Array, Array, float, float]) -> bool:
        return _close(a[1], b[1], tolerance) and _close(a[2:], b[2:], tolerance)

    problems = []
    for side, flat, mine, other in (
        ("only in the first", ours, found[0], found[1]), ("only in the second", theirs, found[1], found[0])
    ):  # fmt: skip
        for key, rows_of_key in mine.items():
            for one in rows_of_key:
                if not any(same(one, candidate) for candidate in other.get(key, ())) and not _implied(flat, one):
                    problems.append(f"{family} {side}: {_show(one)}; same columns there: "
                                    f"{[_show(c) for c in other.get(key, ())]}")  # fmt: skip
    return problems


def _joined(rows: list[tuple[Array, Array, float, float]]) -> list[tuple[Array, Array, float, float]]:
    """Rows with the same left side as one row with both bounds."""
    out: list[tuple[Array, Array, float, float]] = []
    for row in rows:
        twin = next((i for i, other in enumerate(out) if np.array_equal(other[1], row[1])), None)
        if twin is None:
            out.append(row)
        else:
            out[twin] = (row[0], row[1], max(out[twin][2], row[2]), min(out[twin][3], row[3]))
    return out


def _show(row: tuple[Array, Array, float, float]) -> str:
    terms = " ".join(f"{value:+.12g}*c{column}" for column, value in zip(row[0], row[1], strict=True))
    return f"{row[2]:.12g} <= {terms} <= {row[3]:.12g}"


def compare(ours: Flat, theirs: Flat, tolerance: float = 1e-9) -> list[str]:
    """All differences of two problems in the order of F3: columns, objective, and every family."""
    problems = []
    if len(ours.cost) != len(theirs.cost):
        return [f"columns: {len(ours.cost)} and {len(theirs.cost)}"]
    for name in ("cost", "lower", "upper", "integer"):
        a, b = getattr(ours, name), getattr(theirs, name)
        for column in np.flatnonzero(a != b):
            if not _close(a[column], b[column], tolerance):
                problems.append(f"{name} of column {column}: {a[column]!r} and {b[column]!r}")
    for family in sorted({name.removesuffix(OTHER_SIDE) for name in (*ours.families, *theirs.families)}):
        problems += compare_family(ours, theirs, family, tolerance)
    return problems


def column_name(program: Program, column: int) -> str:
    """Name of a column in the order of F3, for messages."""
    first, second = column_shapes(program)
    width = sum(int(np.prod(shape)) for shape in first.values())
    block = sum(int(np.prod(shape)) for shape in second.values())
    shapes, scenario = first, ""
    if column >= width:
        s, column = divmod(column - width, block)
        shapes, scenario = second, f" in scenario {s}"
    for name, shape in shapes.items():
        size = int(np.prod(shape))
        if column < size:
            return f"{name}{[int(i) for i in np.unravel_index(column, shape)] if shape else ''}{scenario}"
        column -= size
    raise IndexError(column)


def solve(flat: Flat) -> tuple[str, float, Array]:
    """Status, optimum and columns by HiGHS through SciPy, without any builder's own solve path.

    A mixed-integer optimum is recomputed with the integers fixed, so that the solver's tolerance on integrality does
    not show in the cost.
    """
    from scipy.optimize import Bounds, LinearConstraint, milp

    result = milp(
        flat.cost,
        integrality=flat.integer.astype(int),
        bounds=Bounds(flat.lower, flat.upper),
        constraints=LinearConstraint(flat.rows, flat.row_lower, flat.row_upper),
        options={"mip_rel_gap": 0.0},
    )
    status = {0: "optimal", 2: "infeasible", 3: "unbounded"}.get(result.status, str(result.message))
    if result.x is None:
        return status, float("nan"), np.zeros(0)
    if flat.integer.any():
        return solve(flat.fixed(np.round(result.x[flat.integer])))
    return status, float(result.fun), result.x

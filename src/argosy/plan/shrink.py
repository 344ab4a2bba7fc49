"""Shrink: the second stage without what no future can use, so that one solve has a third of the rows (F7.4).

Three exact steps. Columns that no future can use go. A line used in one pool only is a bound of that use instead of a
row F4.U. Pools whose arcs are alike in everything are one pool, and tiers that are then equal are one tier. Duals and
columns of the small program go back to the whole one, where rules and cuts are counted. `recourse` calls it.
"""

from __future__ import annotations

import numpy as np

from argosy.plan.program import Bools, Floats, Ints
from argosy.plan.sparse import Columns, Triplets
from argosy.plan.template import Template

GONE = -1
RANDOM = ("use", "open", "backlog")
"""Families of columns whose bound a future changes."""


class Shrunk:
    """The small program: its matrix, its bounds in each future, and the ways back to the whole one."""

    def __init__(self, template: Template) -> None:
        self.template = template
        self._without_costs()
        self.linked = self._linked()
        live = self._live()
        self._singles(live)
        pool_row, column = self._alike(live)
        self._number(live, pool_row, column)

    # ---- what stays

    def _without_costs(self) -> None:
        """Entries with F4.CT put into the objective: its dense rows would slow every solve. It comes last."""
        block, self.discount = self.template.second, self.template.program.discount
        self.height = len(block.row_lower) - len(self.discount)
        self.width = block.columns.size - len(self.discount)
        column = np.repeat(np.arange(self.width, dtype=np.int64), np.diff(block.matrix.start[: self.width + 1]))
        row, value = block.matrix.index[: len(column)].astype(np.int64), block.matrix.value[: len(column)]
        costly = row >= self.height
        self.period, self.priced, self.price = row[costly] - self.height, column[costly], -value[costly]
        weights = self.price * self.discount[self.period]
        self.whole_cost = np.bincount(self.priced, weights=weights, minlength=self.width).astype(float)
        self.row, self.column, self.value = row[~costly], column[~costly], value[~costly]

    def _linked(self) -> Bools:
        """(rows,) whether first-stage columns contribute to a row in any future."""
        links, scenarios = self.template.links, self.template.program.shape["S"]
        ever = np.zeros(len(links.row), dtype=bool)
        for s in range(scenarios):
            ever |= links.values(slice(s, s + 1))[0] != 0
        return np.bincount(links.row[ever], minlength=self.height)[: self.height] > 0

    def _live(self) -> Bools:
        """(columns,) whether any future can use a column."""
        block, p = self.template.second, self.template.program
        ever = block.column_upper[: self.width].copy()
        for name, most in (("use", p.use_max), ("open", p.open_max)):
            ever[block.columns.part(name)] = most.max(axis=0, initial=0.0).ravel()
        waiting = np.repeat(p.backlog_max.max(axis=0, initial=0.0)[:, None], len(self.discount), axis=1)
        waiting[:, -1] = 0.0
        ever[block.columns.part("backlog")] = waiting.ravel()
        return (ever > 0) | (block.column_lower[: self.width] < 0)

    def _singles(self, live: Bools) -> None:
        """Rows F4.U with one live column: `single_row` bounds `single_column`."""
        part = self.template.second.rows.part("F4.U")
        inside = (self.row >= part.start) & (self.row < part.stop)
        count = np.bincount(self.row[inside & live[self.column]], minlength=self.height)
        alone = inside & live[self.column] & (count[self.row] == 1) & (self.value > 0)
        self.single_row, self.single_column, self.single_value = self.row[alone], self.column[alone], self.value[alone]
        live[self.single_column[~self.linked[self.single_row]]] = False  # neither stock nor contract fills it, ever
        at = np.full(self.width, GONE)
        at[self.single_column] = np.arange(len(self.single_column))
        others = (at[self.column] != GONE) & ~inside
        self.single_entry, self.single_at = np.flatnonzero(others), at[self.column[others]]

    def _alike(self, live: Bools) -> tuple[Ints, Ints]:
        """The row that stands for each row and the column that stands for each column.

        Pools are alike when their arcs have the same entries outside F4.P, the same cost and the same bounds.
        """
        block, p = self.template.second, self.template.program
        pools, work = block.rows.part("F4.P"), block.columns.at("work")
        row_at = np.arange(pools.start, pools.stop).reshape(p.shape["P"], -1)
        row_for, column_for = np.arange(self.height), np.arange(self.width)
        start = np.searchsorted(self.column, np.arange(self.width + 1))
        words = [self._word(columns, start, pools) for columns in work]
        arcs_of: list[list[int]] = [[] for _ in row_at]
        for arc, pool in enumerate(p.arc_pool.tolist()):
            arcs_of[pool].append(arc)
        first: dict[tuple[bytes, ...], int] = {}
        for pool, arcs in enumerate(arcs_of):
            arcs.sort(key=words.__getitem__)
            leader = first.setdefault(tuple(words[arc] for arc in arcs), pool)
            row_for[row_at[pool]] = row_at[leader]
            column_for[work[arcs]] = work[arcs_of[leader]]
        tiers = block.columns.at("open").ravel()
        tiers = tiers[live[tiers] & (start[tiers + 1] - start[tiers] == 1)]
        same = np.array([row_for[self.row[start[tiers]]], self.value[start[tiers]], self.whole_cost[tiers]])
        _, leaders, which = np.unique(same, axis=1, return_index=True, return_inverse=True)
        column_for[tiers] = tiers[leaders][which.ravel()]
        return row_for, column_for

    def _word(self, columns: Ints, start: Ints, pools: slice) -> bytes:
        """What an arc does in all periods, outside F4.P."""
        cells = slice(start[columns[0]], start[columns[-1] + 1])
        row = self.row[cells]
        outside = (row < pools.start) | (row >= pools.stop)
        parts = (
            row[outside], (self.column[cells] - columns[0])[outside], self.value[cells][outside],
            self.whole_cost[columns], self.template.second.column_upper[columns],
        )  # fmt: skip
        return b"".join(part.tobytes() for part in parts)

    def _number(self, live: Bools, row_for: Ints, column_for: Ints) -> None:
        """Number rows and columns that stay, and write the small matrix. A row without live columns says nothing."""
        block = self.template.second
        leads = live & (column_for == np.arange(self.width))
        number = np.where(leads, np.cumsum(leads) - 1, GONE)
        self.column_of = np.where(live, number[column_for], GONE)
        """(columns,) the small column that stands for each; GONE for those that are always 0."""
        single = np.zeros(self.height, dtype=bool)
        single[self.single_row] = True
        cells = leads[self.column] & ~single[self.row]
        used = np.zeros(self.height, dtype=bool)
        used[row_for[self.row[cells]]] = True
        row_number = np.where(used, np.cumsum(used) - 1, GONE)
        self.row_of = np.where(single, GONE, row_number[row_for])
        """(rows,) the small row that stands for each; GONE for those that say nothing or are bounds."""
        self.kept_rows = np.flatnonzero(self.row_of != GONE)
        self.kept_columns = np.flatnonzero(self.column_of != GONE)
        self.rows, self.columns = int(used.sum()), int(leads.sum())
        small = Triplets()
        small.add(self.row_of[self.row[cells]], self.column_of[self.column[cells]], self.value[cells])
        self.matrix: Columns = small.columns(self.columns)
        self.cost, self.lower = self.whole_cost[leads], block.column_lower[: self.width][leads]
        self.upper = np.bincount(
            self.column_of[self.kept_columns],
            weights=block.column_upper[self.kept_columns],
            minlength=self.columns,
        )
        changing = np.union1d(np.concatenate([block.columns.at(name).ravel() for name in RANDOM]), self.single_column)
        changing = changing[self.column_of[changing] != GONE]
        self.moved, self.moved_at = np.unique(self.column_of[changing], return_inverse=True)
        self.moving = changing
        """Columns whose bound a future or a contract changes; `moved` are the small ones that stand for them."""
        self.together = np.bincount(self.column_of[self.kept_columns], minlength=self.columns)

    # ---- one future

    def shift(self, s: int, first: Floats) -> Floats:
        """(rows,) what the first-stage columns contribute to each row in future s."""
        links = self.template.links
        entries = links.values(slice(s, s + 1))[0] * first[links.column]
        return np.bincount(links.row, weights=entries, minlength=self.height).astype(float)

    def bounds(self, s: int, first: Floats) -> tuple[Floats, Floats, Floats, Bools]:
        """Row lower, row upper and upper bounds of the columns `moved` of the small program.

        The last says for each single row whether it bounds its column closer than the column's own bound does.
        """
        lower, upper, columns, closer = self._bounds(s, first)
        of = self.row_of[self.kept_rows]
        return (
            _sums(of, lower[self.kept_rows], self.rows),
            _sums(of, upper[self.kept_rows], self.rows),
            _sums(self.moved_at, columns[self.moving], len(self.moved)),
            closer,
        )

    def _bounds(self, s: int, first: Floats) -> tuple[Floats, Floats, Floats, Bools]:
        """The same of the whole program, with single rows as bounds."""
        lower, upper, columns = self.template.second_bounds(s)
        shift = self.shift(s, first)
        lower, upper, columns = lower[: self.height] - shift, upper[: self.height] - shift, columns[: self.width]
        at = self.single_column
        row = np.maximum(0.0, upper[self.single_row]) / self.single_value
        closer = row <= columns[at]
        columns[at] = np.minimum(columns[at], row)
        return lower, upper, columns, closer

    def dual(self, small: Floats, closer: Bools) -> Floats:
        """(second-stage rows,) the dual of the whole second stage: that of F4.U is what its bound is worth."""
        dual = np.zeros(self.height)
        dual[self.kept_rows] = small[self.row_of[self.kept_rows]]
        entry = self.single_entry
        paid = np.bincount(
            self.single_at, weights=self.value[entry] * dual[self.row[entry]], minlength=len(self.single_row)
        )
        worth = np.minimum(0.0, self.whole_cost[self.single_column] - paid) / self.single_value
        dual[self.single_row] = np.where(closer, worth, 0.0)
        return np.concatenate([dual, self.discount])

    def whole(self, s: int, first: Floats, small: Floats) -> Floats:
        """(second-stage columns,) the columns of the whole second stage.

        What stood together is shared out: tiers by what each has, work by what its pool supplies.
        """
        lower, upper, most, _ = self._bounds(s, first)
        block = self.template.second
        column = np.zeros(self.width)
        kept, of = self.kept_columns, self.column_of[self.kept_columns]
        column[kept] = small[of]
        many = kept[(self.together[of] > 1) & (kept >= block.columns.part("work").stop)]
        column[many] *= _shares(most[many], self.column_of[many])
        self._share_work(column, lower, upper)
        costs = np.bincount(self.period, weights=self.price * column[self.priced], minlength=len(self.discount))
        return np.concatenate([column, costs])

    def _share_work(self, column: Floats, lower: Floats, upper: Floats) -> None:
        """Split the work of pools that stood together: each takes what it supplies, and its share of what is free."""
        pools, work = self.template.second.rows.part("F4.P"), self.template.second.columns.part("work").stop
        inside = (self.row >= pools.start) & (self.row < pools.stop)
        cell = np.flatnonzero(inside & (self.column >= work))
        supply = np.bincount(
            self.row[cell], weights=-self.value[cell] * column[self.column[cell]], minlength=self.height
        )
        together = (self.column_of != GONE) & (self.together[self.column_of] > 1)
        cell = np.flatnonzero(inside & (self.column < work) & together[self.column])
        row, at = self.row[cell], self.column[cell]
        total = np.bincount(row, weights=column[at], minlength=self.height)  # of all pools together, at each of them
        shared = np.unique(row)
        of = self.row_of[shared]
        least, room = supply[shared] + lower[shared], (upper - lower)[shared]
        free = np.clip(total[shared] - np.bincount(of, weights=least)[of], 0.0, None)
        share = np.zeros(self.height)
        share[shared] = _shares(least + free * _shares(room, of), of)
        column[at] *= share[row]


def _shares(amount: Floats, group: Ints) -> Floats:
    """Each amount as a share of its group; infinite ones take all, and groups without any amount share evenly."""
    if not len(group):
        return np.zeros(0)
    endless = np.isinf(amount)
    amount = np.where(np.bincount(group, weights=endless)[group] > 0, endless.astype(float), np.maximum(amount, 0.0))
    total, count = np.bincount(group, weights=amount)[group], np.bincount(group)[group]
    return np.where(total > 0, amount / np.where(total > 0, total, 1.0), 1.0 / count)


def _sums(group: Ints, amount: Floats, groups: int) -> Floats:
    """The sum of each group."""
    return np.bincount(group, weights=amount, minlength=groups).astype(float)

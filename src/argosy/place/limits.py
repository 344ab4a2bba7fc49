"""Limits: the rows of the value layer that bind several pools or classes together, each with its name and its unit.

P1.L  sum_p draw[l, p] y[l, p] <= line[l]
P1.O  accelerators of a team <= its share of all capacity
P1.V  accelerators with a vendor <= share of all accelerators in use
P1.C  critical work done with a vendor <= share of all critical work done
P1.G  kW of the accelerators in use in the pools of a power limit <= its MW
P1.B  sum_p draw[l, p] y[l, p] + unmet[l] >= owed[l]; unmet costs what is paid for nothing
P1.Y  y of supplies with a floor in p <= accelerators in use in p: what is drawn only to meet a floor does not count
P1.H  replicas of an ask in one failure domain <= share of its replicas; some in so many domains, or none at all
P1.Q  replicas of an ask on spot <= (1 - firm fraction) of its replicas
P1.N  accelerators in use in p <= accelerators on its nodes, where they are known
P5.15 accelerators that work waiting for spot starts to use in p <= those that are paid for anyhow

What is used and what there is are kept apart, so that a decision can say how much of which is left.
"""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from argosy.model.spread import FailureDomain
from argosy.place.rows import INF, Limit, Program
from argosy.place.world import Bools, Floats, Ints, World

KW_PER_MW = 1000.0
REMEDY = {
    "P1.L": "contract more of that supply, or free it in another pool",
    "P1.O": "raise the team's share, or stop another of its asks",
    "P1.V": "use more of other vendors first, or raise max_vendor_fraction",
    "P1.C": "serve more critical work with other vendors first, or raise max_critical_service_fraction",
    "P1.G": "raise the power limit, or use silicon that needs less power for the work",
    "P1.H": "add capacity in another failure domain, or widen spread",
    "P1.Q": "add capacity that is not spot, or lower firm_fraction",
    "P1.N": "add nodes to the pool",
}


def failure_domains(world: World, over: FailureDomain) -> tuple[str, ...]:
    """(P,) the failure domain of each pool."""
    if over == "pool":
        return tuple(pool.id for pool in world.snapshot.pools)
    if over == "region":
        return tuple(pool.region for pool in world.snapshot.pools)
    return world.vendors


def apart_classes(world: World) -> dict[int, tuple[str, ...]]:
    """Classes whose replicas must run in more than one failure domain, with the domains open to them."""
    found = {}
    for c in range(len(world.count)):
        spread = world.ask(c).spread
        if spread is not None and spread.min_domains > 1:
            names = failure_domains(world, spread.over)
            found[c] = tuple(sorted({names[p] for p in np.flatnonzero(world.rate[c] > 0).tolist()}))
    return found


def extra_columns(program: Program) -> None:
    """Costs and bounds of the columns `unmet` of P1.B and the yes-or-no columns of P1.H."""
    snapshot = program.world.snapshot
    for j, floor in enumerate(snapshot.burn_downs if program.world.integral else ()):
        program.cost[program.first_unmet + j] = -floor.unmet_usd_per_unit * snapshot.window_hours
        program.upper[program.first_unmet + j] = floor.owed
    apart = slice(program.first_apart, program.first_forced)
    program.upper[apart] = 1.0
    program.integer[apart] = True


def limit_rows(program: Program) -> None:
    """All rows of this page."""
    rows = _Rows(program)
    rows.supplies()
    rows.owners()
    rows.vendors()
    rows.power()
    if program.world.integral:
        rows.floors()
    rows.apart()
    rows.firm()
    rows.nodes()
    rows.paced()


class _Rows:
    def __init__(self, program: Program) -> None:
        self.program, self.world = program, program.world
        self.snapshot = program.world.snapshot
        self.of, self.pool = program.cell
        self.every: Ints = np.arange(len(self.of))
        self.size: Floats = self.world.accelerators[self.of]
        self.spot: Bools = np.array([pool.tier == "spot" for pool in self.snapshot.pools], dtype=np.bool_)
        self.vendor = np.array([self.world.vendors[p] for p in self.pool.tolist()])

    def keep(  # noqa: PLR0917  a row is what it is
        self,
        rule: str,
        name: str,
        unit: str,
        columns: Ints,
        used: Floats,
        constant: float,
        growth: Floats | None = None,
    ) -> None:
        """used @ columns <= constant + growth @ columns; columns that count for nothing are left out."""
        growth = np.zeros(len(columns)) if growth is None else growth
        counts = (used != 0) | (growth != 0)
        columns, used, growth = columns[counts], used[counts], growth[counts]
        rows = self.program.rows
        self.program.limits.append(Limit(rule, name, unit, len(rows.low), columns, used, growth, constant))
        rows.add((rule, len(self.program.limits) - 1), columns, used - growth, -INF, constant)

    def taps(self, line: int) -> tuple[Ints, Ints]:
        """Columns y of a supply, and their pools."""
        mine = np.flatnonzero(self.program.tap[0] == line)
        return len(self.of) + mine, self.program.tap[1][mine]

    def supplies(self) -> None:
        """P1.L."""
        for i, supply in enumerate(self.snapshot.supplies):
            columns, pools = self.taps(i)
            self.keep("P1.L", supply.id, "capacity", columns, self.world.draw[i, pools], self.world.line[i])

    def owners(self) -> None:
        """P1.O."""
        least = np.where(self.world.draw > 0, self.world.draw, np.inf).min(axis=1, initial=np.inf)
        total = float(self.world.capacity.sum() + np.where(np.isfinite(least), self.world.line / least, 0.0).sum())
        owner = [self.world.ask(c).owner for c in range(len(self.world.count))]
        for name, share in sorted(self.snapshot.owner_shares.items()):
            mine = np.array([owner[c] == name for c in self.of.tolist()], dtype=np.bool_)
            self.keep("P1.O", name, "accelerators", self.every, self.size * mine, share * total)

    def vendors(self) -> None:
        """P1.V and P1.C."""
        if self.snapshot.max_vendor_fraction is not None:
            self._vendor_share("P1.V", "accelerators", self.size, self.snapshot.max_vendor_fraction)
        if self.snapshot.max_critical_vendor_fraction is not None:
            critical = np.array([self.world.ask(c).critical for c in range(len(self.world.count))], dtype=np.bool_)
            work = self.world.rate[self.of, self.pool] * critical[self.of]
            self._vendor_share("P1.C", "units per hour", work, self.snapshot.max_critical_vendor_fraction)

    def _vendor_share(self, rule: str, unit: str, amount: Floats, share: float) -> None:
        for name in sorted(set(self.vendor[amount > 0].tolist())):
            self.keep(rule, name, unit, self.every, amount * (self.vendor == name), 0.0, share * amount)

    def power(self) -> None:
        """P1.G. `world` has refused a pool of a limit without a known power."""
        kw = np.array([pool.facility_kw_per_accelerator or 0.0 for pool in self.snapshot.pools])
        for limit in self.snapshot.power_limits:
            within = np.array([pool.id in limit.pools for pool in self.snapshot.pools], dtype=np.bool_)
            used = self.size * (kw * within)[self.pool] / KW_PER_MW
            self.keep("P1.G", limit.id, "MW", self.every, used, limit.max_mw)

    def floors(self) -> None:
        """P1.B and P1.Y."""
        at = {supply.id: i for i, supply in enumerate(self.snapshot.supplies)}
        rows = self.program.rows
        drawn: dict[int, list[int]] = defaultdict(list)
        for j, floor in enumerate(self.snapshot.burn_downs):
            line = at[floor.supply]
            columns, pools = self.taps(line)
            for column, p in zip(columns.tolist(), pools.tolist(), strict=True):
                drawn[p].append(column)
            draw = self.world.draw[line, pools]
            self.program.limits.append(
                Limit("P1.B", floor.supply, "capacity", len(rows.low), columns, draw, np.zeros(len(draw)), floor.owed)
            )
            every, values = np.append(columns, self.program.first_unmet + j), np.append(draw, 1.0)
            rows.add(("P1.B", len(self.program.limits) - 1), every, values, floor.owed, INF)
        for p, taps in sorted(drawn.items()):
            mine = np.flatnonzero(self.pool == p)
            columns = np.concatenate([np.array(taps), mine])
            rows.add(("P1.Y", p), columns, np.concatenate([np.ones(len(taps)), -self.size[mine]]), -INF, 0.0)

    def apart(self) -> None:
        """P1.H."""
        at = self.program.first_apart
        for c in range(len(self.world.count)):
            spread = self.world.ask(c).spread
            if spread is None:
                continue
            names = failure_domains(self.world, spread.over)
            mine = np.flatnonzero(self.of == c)
            weigh = self.world.weigh[c, self.pool[mine]]
            unit = "replicas" if self.world.ask(c).units_per_hour is None else "units per hour"
            inside = {
                name: np.array([names[p] == name for p in self.pool[mine].tolist()]) for name in sorted(set(names))
            }
            inside = {name: there for name, there in inside.items() if there.any()}
            if spread.max_fraction < 1:
                for name, there in inside.items():
                    counted = there & self.spot[self.pool[mine]] if spread.spot_only else there
                    share = spread.max_fraction * weigh
                    self.keep("P1.H", f"{self.world.ask(c).id} in {name}", unit, mine, weigh * counted, 0.0, share)
            if c in self.program.apart:
                self._several(c, at, mine, inside, spread.min_domains)
                at += 1 + len(inside)

    def _several(self, c: int, at: int, mine: Ints, inside: dict[str, Bools], least: int) -> None:
        """Column `at` says whether it runs at all, the next ones whether a replica runs in each domain."""
        rows = self.program.rows
        most = max(1.0, float(self.world.upper[c].sum()))
        rows.add(("P1.H", c), np.append(mine, at), np.append(np.ones(len(mine)), -most), -INF, 0.0)
        for i, there in enumerate(inside.values()):
            columns = np.append(mine[there], at + 1 + i)
            rows.add(("P1.H", c), columns, np.append(np.ones(int(there.sum())), -1.0), 0.0, INF)
        columns = np.arange(at, at + 1 + len(inside))
        rows.add(("P1.H", c), columns, np.append(-float(least), np.ones(len(inside))), 0.0, INF)

    def firm(self) -> None:
        """P1.Q."""
        spot = self.spot
        for c in range(len(self.world.count)):
            ask = self.world.ask(c)
            mine = np.flatnonzero(self.of == c)
            if ask.firm_fraction > 0 and spot[self.pool[mine]].any():
                weigh = self.world.weigh[c, self.pool[mine]]
                unit = "replicas" if ask.units_per_hour is None else "units per hour"
                used = weigh * spot[self.pool[mine]]
                self.keep("P1.Q", f"{ask.id} on spot", unit, mine, used, 0.0, (1 - ask.firm_fraction) * weigh)

    def nodes(self) -> None:
        """P1.N."""
        there: dict[str, int] = defaultdict(int)
        for node in self.snapshot.nodes:
            there[node.pool] += node.accelerators
        for p, pool in enumerate(self.snapshot.pools):
            if pool.id in there:
                used = self.size * (self.pool == p)
                self.keep("P1.N", pool.id, "accelerators", self.every, used, float(there[pool.id]))

    def paced(self) -> None:
        """P5.15, where capacity that is paid for anyhow has room for some of those who wait for spot."""
        for p, most in sorted(self.world.spare.items()):
            waits = [(c, p) in self.world.hopes for c in self.of.tolist()]
            used = self.size * ((self.pool == p) & np.array(waits, dtype=np.bool_))
            self.keep("P5.15", self.snapshot.pools[p].id, "accelerators", self.every, used, most)

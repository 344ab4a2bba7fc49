"""Asks, pools and open supply as arrays: arcs, demand, data, ports, stock.

Called by `inputs`; reads `Ask` rows and never a workload's kind. All results are fields of `Program`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from argosy.model import effects
from argosy.model.ask import Ask
from argosy.model.horizon import Horizon
from argosy.model.link import Link
from argosy.model.pool import Pool
from argosy.model.reach import Reach
from argosy.model.routes import farthest, link_between
from argosy.plan.calendar import STANDARD_HOURS
from argosy.plan.program import NONE, Bools, Floats
from argosy.plan.world import World


@dataclass(frozen=True, slots=True)
class Arc:
    """A demand class in a pool."""

    ask: int
    pool: int
    units_per_accelerator: float
    family: str


def yield_of(world: World, ask: Ask, pool: Pool) -> float:
    """Units per accelerator and month of a class in a pool; 0 where it may not or cannot run there."""
    region, silicon = world.regions[pool.region], world.silicon[pool.silicon]
    rules = world.portfolio.policy.residency
    if rules.allowed and not region.within(frozenset(rules.allowed)):
        return 0.0
    if region.within(frozenset(rules.denied)) or region.within(ask.not_places):
        return 0.0
    if ask.places is not None and not region.within(ask.places):
        return 0.0
    if ask.silicon is not None and silicon.id not in ask.silicon:
        return 0.0
    if silicon.family not in ask.unported and (ask.workload, silicon.family) not in openable(world):
        return 0.0
    if ask.latency is not None:
        users = [world.regions[name] for name in ask.latency.users or (ask.home,)]
        _, far = farthest(world.portfolio.links, users, region, ask.latency.quantile)
        if far is None or far > ask.latency.max_round_trip_milliseconds:
            return 0.0
    if ask.dataset is not None and region.id != world.datasets[ask.dataset].home:
        lawful = world.datasets[ask.dataset].jurisdictions
        if lawful and not region.within(frozenset(lawful)):
            return 0.0
    ratio = ask.ratios.get(silicon.id, silicon.ratio(ask.profile))
    if ratio is None:
        return 0.0
    spot = 1.0
    if pool.tier == "spot":
        if ask.spot_goodput_fraction is None:
            return 0.0
        spot = ask.spot_goodput_fraction
    vendor = ask.vendor_goodput_fraction.get(region.vendor, 1.0)
    return ratio * vendor * pool.vendor_goodput_fraction * spot


def arcs(world: World) -> tuple[Arc, ...]:
    """All pairs of class and pool with a positive yield, by class.

    A pool that nothing supplies has a price too, but only where every figure that it takes is known. A gang runs only
    where all of it can ever fit.
    """
    found = []
    most = Reach(world.portfolio).most
    supplied = {use.pool for row in (*world.sized, *world.open) for use in row.uses}
    supplied |= {row.first_refusal.pool for row in world.sized if row.first_refusal is not None}
    supplied |= {pool.id for pool in world.pools if any(pool.existing_accelerators.values())}
    for d, ask in enumerate(world.asks):
        for p, pool in enumerate(world.pools):
            units = yield_of(world, ask, pool)
            ceiling = most[pool.id]
            if pool.id in supplied and ceiling is not None and ask.gang_accelerators > ceiling:
                continue
            if units > 0 and (pool.id in supplied or _known(world, ask, pool)):
                found.append(Arc(d, p, units, world.silicon[pool.silicon].family))
    return tuple(found)


def _known(world: World, ask: Ask, pool: Pool) -> bool:
    """Whether the egress price, power and carbon of the class in the pool are known, as far as they count."""
    region, policy = world.regions[pool.region], world.portfolio.policy
    source = ask.home if ask.dataset is None else world.datasets[ask.dataset].home
    moves = ask.data_gib_per_unit > 0 and region.id not in (source, ask.home)
    if moves and link_between(world.portfolio.links, world.regions[source], region) is None:
        return False
    if (policy.power or policy.carbon) and world.silicon[pool.silicon].facility_kw is None:
        return False
    return policy.carbon is None or (pool.carbon_g_per_kwh, region.grid_carbon_g_per_kwh) != (None, None)


def link_of(world: World, start: str, end: str) -> Link:
    """The way between two regions. A missing price is refused before a plan begins, so it is a bug here."""
    link = link_between(world.portfolio.links, world.regions[start], world.regions[end])
    assert link is not None, f"no link price from {start} to {end}"
    return link


def arrays(world: World, arcs_: tuple[Arc, ...]) -> dict[str, object]:
    """The fields of `Program` that come from asks, pools and open supply."""
    calendar = world.calendar
    scale, money = world.accelerator_scale, world.money_scale
    demand, backlog = _demand(world)
    opens = np.array([_open_periods(world, arc) for arc in arcs_], dtype=bool).reshape(len(arcs_), calendar.periods)
    return {
        "demand": demand,
        "unserved_cost": np.outer([a.unserved_usd_per_unit for a in world.asks], calendar.duration) * scale / money,
        "backlog_max": backlog,
        "demand_critical": np.array([ask.critical for ask in world.asks], dtype=bool),
        "arc_demand": np.array([arc.ask for arc in arcs_], dtype=np.int64),
        "arc_pool": np.array([arc.pool for arc in arcs_], dtype=np.int64),
        "arc_yield": np.array([arc.units_per_accelerator for arc in arcs_]),
        "arc_open": opens,
        "pool_vendor": np.array(
            [world.vendor_position(world.regions[pool.region].vendor) for pool in world.pools], dtype=np.int64
        ),
        **_ports(world, arcs_),
        **_data(world, arcs_),
        **_open(world),
    }


def _open_periods(world: World, arc: Arc) -> Bools:
    """(T,) whether the silicon exists in the period."""
    since = world.silicon[world.pools[arc.pool].silicon].available_from
    first = 0 if since is None else world.calendar.horizon.index(since)
    starts = np.arange(world.calendar.periods) * world.calendar.horizon.step_months
    return starts + world.calendar.horizon.step_months > first


def ports(world: World) -> list[tuple[str, str, float, int]]:
    """(workload, family, cost in USD, lag in months) of every port, each workload once.

    A port that only projects open has no cost of its own; its column is held at 0 (`Levers.closed_port`).
    """
    found: dict[tuple[str, str], tuple[float, int]] = {}
    for ask in world.asks:
        for port in ask.ports:
            if port.family not in ask.unported:
                found[ask.workload, port.family] = (port.cost_usd, port.lag_months)
    native = {ask.workload: ask.unported for ask in world.asks}
    for project in world.portfolio.projects:
        for opening in project.ports:
            if opening.family not in native[opening.workload]:
                found.setdefault((opening.workload, opening.family), (0.0, 0))
    return [(workload, family, *terms) for (workload, family), terms in found.items()]


def openable(world: World) -> frozenset[tuple[str, str]]:
    """(workload, family) of every port, by its own cost or by a project."""
    own = {(ask.workload, port.family) for ask in world.asks for port in ask.ports}
    return frozenset(own | {(port.workload, port.family) for p in world.portfolio.projects for port in p.ports})


def most_work(world: World) -> Floats:
    """(S, D, T) most units that a class can do in a period: what is wanted and all that may wait."""
    demand, backlog = _demand(world)
    return np.asarray(demand + backlog[:, :, None] / world.calendar.duration)


def _demand(world: World) -> tuple[Floats, Floats]:
    """(S, D, T) units wanted, reserve included, and (S, D) the most that may wait."""
    calendar = world.calendar
    wanted = np.array([ask.demand_units for ask in world.asks]).reshape(len(world.asks), calendar.horizon.months)
    reserve = np.array([1 + ask.reserve_fraction for ask in world.asks])
    factor = effects.demand_array(world.scenarios, [ask.workload for ask in world.asks], calendar.horizon)
    demand = calendar.mean(wanted / world.accelerator_scale * reserve[:, None] * factor)
    return demand, demand.mean(axis=2) * np.array([ask.max_backlog_months for ask in world.asks])


def _ports(world: World, arcs_: tuple[Arc, ...]) -> dict[str, object]:
    calendar, most = world.calendar, most_work(world)
    known = ports(world)
    at = {(workload, family): o for o, (workload, family, _, _) in enumerate(known)}
    cost = np.array([usd for _, _, usd, _ in known]) / world.money_scale
    cash = np.zeros((len(known), calendar.years))
    cash[:, 0] = cost
    capacity = np.zeros((len(world.scenarios), len(known), calendar.periods))
    starts = np.arange(calendar.periods) * calendar.horizon.step_months
    for o, (workload, _, _, lag) in enumerate(known):
        of = [d for d, ask in enumerate(world.asks) if ask.workload == workload]
        capacity[:, o] = most[:, of].sum(axis=1) * (starts >= lag)
    workloads = sorted({ask.workload for ask in world.asks})
    arc_port = [
        NONE if arc.family in world.asks[arc.ask].unported else at[world.asks[arc.ask].workload, arc.family]
        for arc in arcs_
    ]
    return {
        "port_cost": cost * calendar.discount[0],
        "port_cash": cash,
        "port_workload": np.array([workloads.index(workload) for workload, *_ in known], dtype=np.int64),
        "port_capacity": capacity,
        "arc_port": np.array(arc_port, dtype=np.int64),
    }


def replicas(world: World, arcs_: tuple[Arc, ...]) -> list[tuple[str, str]]:
    """(dataset, region) of every copy that could be kept: where work that reads it may run."""
    found = set()
    for arc in arcs_:
        ask, region = world.asks[arc.ask], world.pools[arc.pool].region
        if ask.dataset is None or ask.data_gib_per_unit == 0:
            continue
        if region not in (world.datasets[ask.dataset].home, ask.home):
            found.add((ask.dataset, region))
    return sorted(found)


def _data(world: World, arcs_: tuple[Arc, ...]) -> dict[str, object]:
    """Egress: a price on the arc, or a transfer where a replica or a limited way comes into play."""
    calendar = world.calendar
    copies = replicas(world, arcs_)
    largest = max((ask.data_gib_per_unit for ask in world.asks), default=0.0) or 1.0
    gib = largest * world.accelerator_scale
    cost = np.zeros((len(arcs_), calendar.periods))
    arc_transfer = np.full(len(arcs_), NONE)
    transfers: dict[tuple[int, str], int] = {}
    ways: dict[tuple[str, str], int] = {}
    fields: list[tuple[int, float, float, int, int]] = []
    for a, arc in enumerate(arcs_):
        ask, region = world.asks[arc.ask], world.pools[arc.pool].region
        source = ask.home if ask.dataset is None else world.datasets[ask.dataset].home
        if ask.data_gib_per_unit == 0 or region in (source, ask.home):
            continue
        link = link_of(world, source, region)
        if ask.dataset is None and link.max_gib_per_month is None:
            per_unit = ask.data_gib_per_unit * link.next_usd_per_gib() * world.accelerator_scale / world.money_scale
            cost[a] = per_unit * arc.units_per_accelerator * calendar.duration
            continue
        key = (arc.ask, region)
        if key not in transfers:
            limit = NONE
            if link.max_gib_per_month is not None:
                limit = ways.setdefault((source, region), len(ways))
            copy = NONE if ask.dataset is None else copies.index((ask.dataset, region))
            transfers[key] = len(fields)
            fields.append(
                (
                    arc.ask,
                    ask.data_gib_per_unit / largest,
                    link.next_usd_per_gib() * gib / world.money_scale,
                    copy,
                    limit,
                )
            )
        arc_transfer[a] = transfers[key]
    way_max = [link_of(world, start, end).max_gib_per_month or np.inf for start, end in ways]
    replica_cost, replica_cash = _replica_cost(world, copies)
    return {
        "arc_cost": cost,
        "arc_transfer": arc_transfer,
        "transfer_demand": np.array([f[0] for f in fields], dtype=np.int64),
        "transfer_gib": np.array([f[1] for f in fields]),
        "transfer_cost": np.outer([f[2] for f in fields], np.ones(calendar.periods)),
        "transfer_replica": np.array([f[3] for f in fields], dtype=np.int64),
        "transfer_limit": np.array([f[4] for f in fields], dtype=np.int64),
        "way_max": np.outer(way_max, np.full(calendar.periods, calendar.horizon.step_months)) / gib,
        "replica_cost": replica_cost,
        "replica_cash": replica_cash,
    }


def _replica_cost(world: World, copies: list[tuple[str, str]]) -> tuple[Floats, Floats]:
    """Present value (R,) and money by year (R, Y) of a full copy: one transfer, then storage."""
    calendar = world.calendar
    monthly = np.zeros((len(copies), calendar.horizon.months))
    for r, (name, region) in enumerate(copies):
        dataset = world.datasets[name]
        monthly[r] = dataset.size_gib * dataset.storage_usd_per_gib / world.money_scale
        monthly[r, 0] += link_of(world, dataset.home, region).cost_usd(dataset.size_gib) / world.money_scale
    per_period = calendar.total(monthly)
    return per_period @ calendar.discount, calendar.by_year(per_period)


def _open(world: World) -> dict[str, object]:
    """Open tiers, one per price level that some future reaches, and stock that is there free of charge."""
    calendar = world.calendar
    rate = STANDARD_HOURS * world.accelerator_scale / world.money_scale
    pools: list[int] = []
    costs: list[float] = []
    names: list[str] = []
    caps: list[Floats] = []
    for row in world.open:
        use = row.uses[0]
        pool = world.pool_position(use.pool)
        there = np.array(row.open_accelerators) / world.accelerator_scale * world.available[:, pool]
        party = effects.Party(row.contract, row.vendor)
        levels = effects.price_levels(world.scenarios, party, calendar.horizon)
        shares = effects.tier_array(world.scenarios, party, calendar.horizon, levels)
        for i, level in enumerate(levels):
            pools.append(pool)
            costs.append(use.usage_usd_per_accelerator_hour * float(level) * rate)
            names.append(row.id if len(levels) == 1 else f"{row.id} x{level:.3g}")
            caps.append(calendar.mean(there * shares[:, i]))
    stock = np.zeros((len(world.scenarios), len(world.pools), calendar.periods))
    for p, pool_ in enumerate(world.pools):
        if not pool_.existing_accelerators:
            continue
        count = existing(pool_, calendar.horizon)
        there = calendar.mean(count / world.accelerator_scale * world.available[:, p])
        if pool_.existing_usd_per_accelerator_hour == 0:
            stock[:, p] = there
        else:
            pools.append(p)
            costs.append(pool_.existing_usd_per_accelerator_hour * rate)
            names.append(f"{pool_.id} existing")
            caps.append(there)
    shape = (len(pools), len(world.scenarios), calendar.periods)
    return {
        "open_pool": np.array(pools, dtype=np.int64),
        "open_cost": np.outer(costs, calendar.duration),
        "open_max": np.array(caps).reshape(shape).transpose(1, 0, 2),
        "stock": stock,
        "open_names": tuple(names),
    }


def existing(pool: Pool, horizon: Horizon) -> Floats:
    """(M,) accelerators of a pool that are there outside every contract."""
    return effects.stepped(pool.existing_accelerators, horizon, before=0.0)

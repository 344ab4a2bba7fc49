"""Reach: which pools each workload may use, and what stands in the way where it may use none.

`consistency` asks for faults, `argosy check` for counts. The plan has its own arcs; both read the same records.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from argosy.model.agreement import Agreement, Capacity
from argosy.model.fault import Fault, Path
from argosy.model.load import Load
from argosy.model.open_supply import Open
from argosy.model.pool import Pool
from argosy.model.portfolio import Portfolio
from argosy.model.region import Region
from argosy.model.routes import farthest, link_between, unmeasured
from argosy.model.silicon import Silicon


@dataclass(frozen=True)
class Reach:
    """Pools by workload, for a portfolio with its catalogue filled in and every reference known."""

    portfolio: Portfolio

    @cached_property
    def regions(self) -> Mapping[str, Region]:
        """Regions by id."""
        return {region.id: region for region in self.portfolio.regions}

    @cached_property
    def silicon(self) -> Mapping[str, Silicon]:
        """Chips by id."""
        return {chip.id: chip for chip in self.portfolio.silicon}

    @cached_property
    def supplied(self) -> frozenset[str]:
        """Pools with existing accelerators or named by a contract."""
        named = {pool for contract in self.portfolio.contracts for pool in contract.pool_ids()}
        own = {pool.id for pool in self.portfolio.pools if any(pool.existing_accelerators.values())}
        return frozenset(named | own)

    @cached_property
    def unpriced(self) -> frozenset[tuple[str, str]]:
        """Homes and other regions with a pool, between which no link has a price."""
        homes = {home for workload in self.portfolio.workloads for home in self.sources(workload)}
        ends = {pool.region for pool in self.portfolio.pools}
        return frozenset(
            (home, end)
            for home in homes
            for end in ends - {home}
            if link_between(self.portfolio.links, self.regions[home], self.regions[end]) is None
        )

    def sources(self, workload: Load) -> tuple[str, ...]:
        """Regions that a workload's data leaves: its dataset's home, or its own homes."""
        known = {dataset.id: dataset.home for dataset in self.portfolio.datasets}
        return tuple(workload.homes) if workload.dataset is None else (known[workload.dataset],)

    def pools(self, workload: Load) -> tuple[Pool, ...]:
        """Pools that the workload may use, porting included."""
        # Pools that differ in their name only have one answer; a large portfolio has many of them.
        answers: dict[tuple[str, str, str, bool], bool] = {}
        usable = []
        for pool in self.portfolio.pools:
            like = (pool.silicon, pool.region, pool.tier, pool.id in self.supplied)
            if like not in answers:
                answers[like] = self.obstacle(workload, pool) is None
            if answers[like]:
                usable.append(pool)
        return tuple(usable)

    def obstacle(self, workload: Load, pool: Pool) -> str | None:
        """The first reason why the workload cannot use the pool, as a short word; None when it can."""
        chip, region = self.silicon[pool.silicon], self.regions[pool.region]
        profile = workload.profile or workload.default_profile
        if workload.silicon and chip.id not in workload.silicon:
            return f"silicon (only {', '.join(workload.silicon)} is allowed)"
        if chip.id not in workload.units_per_accelerator and chip.ratio(profile) is None:
            return f"throughput (no {profile} measurement of {chip.id}; add units_per_accelerator)"
        if chip.family not in self._families(workload):
            return f"family ({chip.family} is neither in runs_on_families nor in porting, and no project opens it)"
        return self._place(workload, pool, region)

    def _families(self, workload: Load) -> set[str]:
        """Families that it runs on today, or could run on after a port of its own or of a project."""
        opened = {port.family for p in self.portfolio.projects for port in p.ports if port.workload == workload.id}
        return {*workload.runs_on_families, *(port.family for port in workload.porting), *opened}

    def _place(self, workload: Load, pool: Pool, region: Region) -> str | None:
        for rule, whose in ((workload.residency, "its"), (self.portfolio.policy.residency, "the policy's")):
            if rule.allowed and not region.within(frozenset(rule.allowed)):
                return f"residency ({whose} rule allows only {', '.join(rule.allowed)})"
            if region.within(frozenset(rule.denied)):
                return f"residency ({whose} rule denies {region.id})"
        far = self._far(workload, region)
        if far is not None:
            return far
        if pool.tier == "spot" and workload.spot_goodput_fraction is None:
            return "spot (spot_goodput_fraction is absent, which forbids spot)"
        if pool.id not in self.supplied:
            return "supply (no contract names the pool and it has no existing accelerators)"
        return None

    def _far(self, workload: Load, region: Region) -> str | None:
        """Too far from the users of every home; a distance that nobody measured is a fault of its own."""
        rule, words = workload.latency, []
        if rule is None:
            return None
        for home in workload.homes:
            users = [self.regions[name] for name in rule.users or (home,)]
            at, far = farthest(self.portfolio.links, users, region, rule.quantile)
            if far is None or far <= rule.max_round_trip_milliseconds:
                return None
            words.append(f"{far:g} ms from users in {at.id}")
        return f"latency ({region.id} is {words[0]}; at most {rule.max_round_trip_milliseconds:g} are allowed)"

    @cached_property
    def most(self) -> Mapping[str, float | None]:
        """Accelerators that each pool can ever hold; None when nothing clear bounds it."""
        most: dict[str, float | None] = {
            pool.id: max(pool.existing_accelerators.values(), default=0.0) for pool in self.portfolio.pools
        }
        for contract in self.portfolio.contracts:
            added = self._added(contract)
            for pool in set(contract.pool_ids()):
                known = most[pool]
                most[pool] = None if known is None or added is None else known + added
        return most

    def _added(self, contract: Agreement) -> float | None:
        """The most that a contract can ever add to one of its pools."""
        if isinstance(contract, Capacity):
            size = contract.max_accelerators if contract.accelerators is None else contract.accelerators
            more = sum(clause.max_fraction for clause in (contract.expansion_option, contract.backstop) if clause)
            return (size or 0.0) * (1 + more)
        if isinstance(contract, Open) and not self.portfolio.uncertainties and not self._amounts_vary():
            growth = max(1.0, float(contract.growth_per_year_ratio ** (self.portfolio.horizon.months / 12)))
            return growth * sum(tier.accelerators for tier in contract.tiers)
        return None

    def _amounts_vary(self) -> bool:
        return any(scenario.capacity_factor for scenario in self.portfolio.scenarios.given)


def reach_faults(portfolio: Portfolio) -> list[Fault]:
    """Demand that nothing can serve, prices and measurements that are missing where they would be used."""
    reach = Reach(portfolio)
    found: list[Fault] = []
    for i, workload in enumerate(portfolio.workloads):
        found += _demand(reach, i, workload)
    found += _policies(reach)
    return found


def _demand(reach: Reach, i: int, workload: Load) -> Iterator[Fault]:
    path = ("workloads", i)
    horizon = reach.portfolio.horizon
    if not any(any(ask.demand_units) for ask in workload.asks(horizon)):
        message = f"{workload.id!r} wants nothing in any month from {horizon.start} to {horizon.end.plus(-1)}"
        yield Fault(path, "demand.none", message)
    pools = reach.pools(workload)
    if not pools:
        yield _unsellable(reach, i, workload)
        return
    bounds = [reach.most[pool.id] for pool in pools]
    known = [bound for bound in bounds if bound is not None]
    if len(known) == len(bounds) and workload.gang_accelerators > max(known):
        most = f"the largest can ever hold {max(known):g}"
        message = f"a gang of {workload.gang_accelerators} fits into no pool it may use; {most}"
        yield Fault((*path, "gang_accelerators"), "demand.gang", message)
    if workload.data_gib_per_unit > 0:
        yield from _links(reach, i, workload, pools)
    yield from _distances(reach, i, workload, pools)


def _unsellable(reach: Reach, i: int, workload: Load) -> Fault:
    """The rules in their order, and the one that takes away the last pools."""
    path = ("workloads", i)
    if not reach.portfolio.pools:
        return Fault(path, "demand.unsellable", f"{workload.id!r} has demand, but no pools are written")
    order = ("silicon", "throughput", "family", "residency", "latency", "spot", "supply")
    reasons = [reach.obstacle(workload, pool) or "" for pool in reach.portfolio.pools]
    last = max(reasons, key=lambda reason: order.index(reason.split(" ")[0]))
    word = last.split(" ")[0]
    counts = ", ".join(
        f"{count} by {name}" for name in order if (count := sum(r.split(" ")[0] == name for r in reasons))
    )
    field = {
        "silicon": "silicon",
        "family": "runs_on_families",
        "residency": "residency",
        "latency": "latency",
    }.get(word)
    where = (*path, field) if field and field in workload.model_fields_set else path
    message = f"no pool can run {workload.id!r}: of {len(reasons)} pools {counts} are left out; the last by {last}"
    if word == "residency":
        return Fault(where, "residency.unsatisfiable", message)
    return Fault(where, "demand.unsellable", message)


def _links(reach: Reach, i: int, workload: Load, pools: tuple[Pool, ...]) -> Iterator[Fault]:
    for home in reach.sources(workload):
        ends = [end for end in dict.fromkeys(pool.region for pool in pools) if (home, end) in reach.unpriced]
        if ends:
            regions = ", ".join(ends[:5]) + (f" and {len(ends) - 5} more" if len(ends) > 5 else "")
            message = f"data would move from {home} to {regions}, but no link has a price for it; add one to links"
            at: Path = ("workloads", i, "homes", home) if workload.dataset is None else ("workloads", i, "dataset")
            yield Fault(at, "link.missing", message, at_key=workload.dataset is None)


def _distances(reach: Reach, i: int, workload: Load, pools: tuple[Pool, ...]) -> Iterator[Fault]:
    """Round-trip times that its objective needs; the first that is missing."""
    rule = workload.latency
    if rule is None:
        return
    for home in workload.homes:
        users = [reach.regions[name] for name in rule.users or (home,)]
        for end in dict.fromkeys(pool.region for pool in pools):
            at, far = farthest(reach.portfolio.links, users, reach.regions[end], rule.quantile)
            if far is None:
                message = f"{unmeasured(at, reach.regions[end], rule.quantile)}; write it under links"
                yield Fault(("workloads", i, "latency"), "latency.missing", message)
                return


def _policies(reach: Reach) -> Iterator[Fault]:
    """Figures that a carbon or power limit needs, for every pool that something supplies."""
    policy = reach.portfolio.policy
    unknown: dict[str, list[int]] = {}
    for i, pool in enumerate(reach.portfolio.pools):
        region = reach.regions[pool.region]
        if pool.id not in reach.supplied:
            continue
        if policy.carbon and pool.carbon_g_per_kwh is None and region.grid_carbon_g_per_kwh is None:
            message = f"policy.carbon needs carbon_g_per_kwh here or grid_carbon_g_per_kwh of {region.id}"
            yield Fault(("pools", i), "carbon.missing", message)
        if (policy.power or policy.carbon) and reach.silicon[pool.silicon].facility_kw is None:
            unknown.setdefault(pool.silicon, []).append(i)
    rule = "policy.power" if policy.power else "policy.carbon"
    for chip, pools in unknown.items():
        message = f"{rule} needs facility_kw of silicon {chip}, used by {len(pools)} pools; write it under silicon"
        yield Fault(("pools", pools[0], "silicon"), "power.missing", message)

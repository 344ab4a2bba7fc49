"""Policy as arrays: cash, concentration, adequacy, power, carbon and own sites. Called by `inputs`."""

from __future__ import annotations

import numpy as np

from argosy.model import effects
from argosy.model.supply import Supply, Use
from argosy.plan import delivery
from argosy.plan.calendar import STANDARD_HOURS
from argosy.plan.program import Floats
from argosy.plan.work_arrays import Arc, existing
from argosy.plan.world import World


def arrays(world: World, arcs: tuple[Arc, ...]) -> dict[str, object]:
    """The fields of `Program` that come from policy and sites."""
    return {**_cash(world), **_places(world), **_sites(world), **_adequacy(world, arcs)}


def _cash(world: World) -> dict[str, object]:
    years, money = world.calendar.years, world.money_scale
    policy = world.portfolio.policy
    limit, borrow, cost = np.full(years, np.inf), np.zeros(years), np.zeros(years)
    if policy.cash is not None:
        given = policy.cash.usd_per_year
        limit = np.array([given[min(y, len(given) - 1)] for y in range(years)]) / money
        borrow = np.full(years, policy.cash.borrowing_usd_per_year / money)
        first = np.array([world.calendar.discount[world.calendar.year == y][0] for y in range(years)])
        cost = policy.cash.borrowing_rate_fraction * first
    share = np.full(len(world.vendors), np.nan)
    if policy.concentration.max_committed_fraction is not None:
        share[:] = policy.concentration.max_committed_fraction
    critical = policy.concentration.max_critical_service_fraction
    return {
        "cash_limit": limit,
        "borrow_max": borrow,
        "borrow_cost": cost,
        "vendor_share_max": share,
        "critical_share_max": np.nan if critical is None else critical,
    }


def _places(world: World) -> dict[str, object]:
    """Power and carbon of pools, and their limits."""
    calendar, policy = world.calendar, world.portfolio.policy
    kw = np.array([world.silicon[pool.silicon].facility_kw or np.nan for pool in world.pools])
    grid = np.array([_grid(world, p) for p in range(len(world.pools))])
    power, carbon = np.full(calendar.periods, np.inf), np.full(calendar.years, np.inf)
    price = np.zeros(calendar.years)
    if policy.power is not None:
        steps = policy.power.max_mw
        for t in range(calendar.periods):
            known = [m for m in steps if m <= calendar.month(t)]
            power[t] = steps[max(known)] if known else np.inf
    if policy.carbon is not None:
        carbon[:] = policy.carbon.tonnes_per_year
        price[:] = policy.carbon.excess_usd_per_tonne / world.money_scale
    tonnes = kw * grid / 1e6 * STANDARD_HOURS * world.accelerator_scale
    return {
        "pool_mw": kw / 1000 * world.accelerator_scale,
        "pool_carbon": tonnes[:, None] * calendar.duration,
        "power_max": power,
        "carbon_max": carbon,
        "carbon_cost": price,
    }


def _grid(world: World, p: int) -> float:
    pool = world.pools[p]
    own = pool.carbon_g_per_kwh
    value = own if own is not None else world.regions[pool.region].grid_carbon_g_per_kwh
    return np.nan if value is None else value


def _sites(world: World) -> dict[str, object]:
    calendar, money = world.calendar, world.money_scale
    months, years, sites = calendar.horizon.months, calendar.years, world.sites
    when = [int(np.clip(calendar.horizon.index(site.energised), 0, months - 1)) for site in sites]
    discount = np.array([calendar.discount[calendar.period(m)] for m in when])
    year = [int(calendar.year[calendar.period(m)]) for m in when]
    fixed = np.array([site.fixed_usd for site in sites]) / money
    per_mw = np.array([site.capex_usd_per_mw for site in sites]) / money
    fixed_cash, cash = np.zeros((len(sites), years)), np.zeros((len(sites), years))
    fixed_cash[np.arange(len(sites)), year] = fixed
    cash[np.arange(len(sites)), year] = per_mw
    power = np.zeros((len(world.scenarios), len(sites), calendar.periods))
    for s, scenario in enumerate(world.scenarios):
        for b, site in enumerate(sites):
            start = calendar.horizon.index(site.energised) + effects.energisation_delay_months(scenario, site.id)
            age = np.arange(months) - start
            share = np.where(age < 0, 0.0, np.minimum(1.0, (age + 1) / max(1, site.ramp_months)))
            power[s, b] = calendar.mean(share)
    return {
        "site_committed": np.array([float(site.committed) for site in sites]),
        "site_min": np.array([site.min_mw for site in sites]),
        "site_max": np.array([site.max_mw for site in sites]),
        "site_fixed_cost": fixed * discount,
        "site_cost": per_mw * discount,
        "site_fixed_cash": fixed_cash,
        "site_cash": cash,
        "site_energised": power,
    }


def losses(world: World) -> tuple[str, ...]:
    """Vendors and regions whose single loss the critical work must survive."""
    rule = world.portfolio.policy.adequacy
    if rule is None:
        return ()
    found: list[str] = []
    if "vendor" in rule.loss_of:
        found += sorted({world.regions[pool.region].vendor for pool in world.pools})
    if "region" in rule.loss_of:
        found += sorted({pool.region for pool in world.pools})
    return tuple(found)


def _adequacy(world: World, arcs: tuple[Arc, ...]) -> dict[str, object]:
    """What remains for critical work after each loss, per unit of size and from what is there anyway."""
    calendar, rule = world.calendar, world.portfolio.policy.adequacy
    lost = losses(world)
    periods, rows = calendar.periods, len(world.sized)
    base, size = np.zeros((len(lost), periods)), np.zeros((len(lost), rows, periods))
    required, gap = np.zeros(periods), np.zeros(periods)
    if rule is None:
        return {"adequacy_required": required, "adequacy_base": base, "adequacy_size": size, "gap_cost": gap}
    best = _critical_yield(world, arcs)
    survives = np.array([[not _hit(world, p, loss) for p in range(len(world.pools))] for loss in lost], dtype=bool)
    for k, row in enumerate(world.sized):
        if row.signed_size is None and row.sign_month > 0:
            continue
        level = calendar.mean(delivery.profile(row.tranches, row.end_month, calendar.horizon.months))
        for q in range(len(lost)):
            left = [use for use in row.uses if survives[q, world.pool_position(use.pool)]]
            per_size = [best[world.pool_position(use.pool)] / _draw(world, row, use) for use in left]
            size[q, k] = level * max(per_size, default=0.0)
    for p, pool in enumerate(world.pools):
        count = existing(pool, calendar.horizon)
        base += np.outer(survives[:, p], calendar.mean(count) * best[p] / world.accelerator_scale)
    for row in world.open:
        if row.guaranteed:
            p = world.pool_position(row.uses[0].pool)
            there = calendar.mean(np.array(row.open_accelerators))
            base += np.outer(survives[:, p], there * best[p] / world.accelerator_scale)
    for ask in world.asks:
        if ask.critical:
            wanted = np.array(ask.demand_units) * world.demand_factors(ask.workload)
            required += calendar.mean(world.probability @ wanted) / world.accelerator_scale
    rate = rule.gap_usd_per_unit * world.accelerator_scale / world.money_scale
    return {
        "adequacy_required": required * rule.critical_fraction,
        "adequacy_base": base,
        "adequacy_size": size,
        "gap_cost": rate * calendar.duration * calendar.discount,
    }


def _draw(world: World, row: Supply, use: Use) -> float:
    """Scaled size that one scaled accelerator takes."""
    if row.unit == "accelerators":
        return 1.0
    return use.draw_per_accelerator_hour * STANDARD_HOURS * world.accelerator_scale / world.money_scale


def _critical_yield(world: World, arcs: tuple[Arc, ...]) -> Floats:
    """(P,) units of critical work that one accelerator of each pool does at best without porting."""
    best = np.zeros(len(world.pools))
    for arc in arcs:
        ask = world.asks[arc.ask]
        if ask.critical and arc.family in ask.unported:
            best[arc.pool] = max(best[arc.pool], arc.units_per_accelerator)
    return best


def _hit(world: World, p: int, loss: str) -> bool:
    region = world.pools[p].region
    return loss in (region, world.regions[region].vendor)

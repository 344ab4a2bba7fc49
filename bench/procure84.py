"""Procure-84, the benchmark model of the planning targets, as a `Program`.

84 months, 12 vendors with two regions each and three own sites, three workload classes with three home jurisdictions,
four accelerator families, 51 contract candidates. Units: thousands of accelerators, millions of dollars, months,
thousands of tonnes. What the published description leaves open is decided here and listed in bench/README.md.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from argosy.plan.program import EXERCISE, NONE, Program

Array = np.ndarray[Any, Any]

VENDORS, OWN_POOLS, WORKLOADS, HOMES, FAMILIES = 12, 3, 3, 3, 4
VENDOR_POOLS = 2 * VENDORS
POOLS = VENDOR_POOLS + OWN_POOLS
SELF = VENDORS
TRAIN, INFER, BATCH = range(WORKLOADS)
HOPPER, BLACKWELL, TPU, TRAINIUM = range(FAMILIES)
HOURS = 0.73
"""Millions of dollars per thousand accelerators and month at one dollar per accelerator hour."""

BASE_PRICE = np.array([1.5, 3.4, 1.4, 1.0])
ON_DEMAND_PRICE = np.array([2.6, 5.5, 2.4, 1.7])
YIELD = np.array([[1.0, 2.3, 1.2, 0.8], [1.0, 3.0, 1.1, 0.7], [1.0, 2.0, 1.1, 0.9]])
PORT_COST = {TPU: np.array([60.0, 30.0, 15.0]), TRAINIUM: np.array([80.0, 40.0, 20.0])}
EGRESS = np.array([0.01, 0.03, 0.06])
UNSERVED = np.array([6.0, 14.0, 2.0])
DEMAND_BASE = np.array([60.0, 40.0, 15.0])
HOME_SHARE = np.array([0.6, 0.25, 0.15])
LEGACY, GAP_PENALTY, OPTION_MONTHS_AFTER_LEAD, BACKLOG = 20.0, 3.0, 12, 20.0
CASH_LIMIT, VENDOR_SHARE, CARBON_CAP = 14_000.0, 0.40, 12_000.0
CARBON_PRICE = 0.1
"""Millions of dollars per thousand tonnes above the cap: 100 $/t."""
MW_PER_THOUSAND = np.array([1.0, 1.6, 0.8, 0.8])
TONNES_PER_MWH = np.array([0.38, 0.25, 0.50])


def procure84(
    scenarios: int,
    *,
    months: int = 84,
    seed: int = 7,
    clusters: int | None = None,
) -> Program:
    """The benchmark with S scenarios; the first scenarios of a larger set are those of a smaller one.

    `clusters=None` exercises options per scenario (hindsight, as published); a number exercises them per cluster of
    demand at the date of exercise.
    """
    rng = np.random.Generator(np.random.PCG64(seed))
    T, S = months, scenarios
    t = np.arange(T)
    year = t // 12
    Y = int(year[-1]) + 1
    discount = 1.1 ** (-(t + 0.5) / 12)

    # ---- where: pools, contracts
    pool = np.arange(POOLS)
    own = pool >= VENDOR_POOLS
    pool_vendor = np.where(own, SELF, pool // 2)
    pool_family = np.where(own, BLACKWELL, pool % FAMILIES)
    pool_place = np.concatenate([pool[~own] % HOMES, [0, 0, 1]])
    row_pool = np.concatenate([np.repeat(pool[~own], 2), pool[own]])
    K = len(row_pool)
    second = np.concatenate([np.tile([False, True], VENDOR_POOLS), np.zeros(OWN_POOLS, dtype=bool)])
    build = own[row_pool]
    family = pool_family[row_pool]
    start, lead, ramp = np.where(second, 24, 0), np.where(second, 3, 1), np.where(second, 12, 6)
    term = np.where((row_pool + second) % 2 == 0, 48, 60)
    start[build], lead[build], ramp[build] = [0, 0, 6], [24, 30, 27], 6
    term[build] = 84 - start[build] - lead[build]
    end = np.minimum(start + lead + term, T)
    size_max, size_min = np.where(build, 120.0, 60.0), np.where(build, 10.0, 2.0)

    # ---- drawn once: price, take-or-pay, prepayment
    price = rng.uniform(0.85, 1.15, K) * BASE_PRICE[family] * HOURS * np.where(term >= 60, 0.9, 1.0)
    take = rng.choice([0.7, 0.8, 0.9, 1.0], K)
    prepaid = rng.choice([0.0, 0.0, 0.1, 0.25], K) * 12 * price

    # ---- drawn scenario by scenario: delays, outages, demand, on-demand, spot
    delay = np.zeros((S, K), dtype=int)
    up = np.ones((S, VENDORS + 1, T))
    demand = np.zeros((S, WORKLOADS, HOMES, T))
    on_demand, spot = np.zeros((S, POOLS, T)), np.zeros((S, POOLS, T))
    season = np.ones((WORKLOADS, T))
    season[INFER] += 0.1 * np.sin(2 * np.pi * t / 12)
    for s in range(S):
        delay[s] = np.where(build, rng.choice([0, 3, 6, 12], K), rng.choice([0, 0, 0, 3, 6, 12], K))
        for _ in range(int(rng.poisson(2))):
            vendor, quarter = int(rng.integers(VENDORS)), int(rng.integers(-(-T // 3)))
            left = rng.uniform(0.3, 0.8)
            up[s, vendor, 3 * quarter : 3 * quarter + 3] = np.minimum(
                up[s, vendor, 3 * quarter : 3 * quarter + 3], left
            )
        growth = np.log(1.03) * t * np.exp(1.2 * 0.1 * rng.standard_normal(WORKLOADS))[:, None]
        path = np.exp(growth + np.cumsum(0.035 * rng.standard_normal((WORKLOADS, T)), axis=1))
        demand[s] = (DEMAND_BASE[:, None] * path * season)[:, None, :] * HOME_SHARE[:, None]
        on_demand[s] = 12 * np.exp(0.02 * t) * rng.uniform(0.3, 1.0, (POOLS, T)) * ~own[:, None]
        spot[s] = np.abs(rng.normal(4.0, 3.0, (POOLS, T))) * ~own[:, None]
    probability = np.full(S, 1 / S)

    # ---- capacity: sizes in each future, options on the nominal calendar (fixed recourse)
    def share(begin: Array) -> Array:
        """(..., K, T) linear ramp from `begin`, 0 after the contract's end."""
        ramped = np.clip((t - begin[..., None] + 1) / ramp[:, None], 0.0, 1.0)
        return np.where(t < end[:, None], ramped, 0.0)

    nominal = share(start + lead)
    available = share(start + lead + delay) * up[:, pool_vendor[row_pool]]
    optional = np.flatnonzero(~second & ~build)
    after_lead = share(start + lead + OPTION_MONTHS_AFTER_LEAD)[optional]
    exercise_at = np.minimum((start + lead + OPTION_MONTHS_AFTER_LEAD)[optional], T - 1)
    cluster, count = _clusters(demand, clusters, int(exercise_at[0]))
    E = len(optional) * count
    later_row = np.repeat(optional, count)
    later_member = np.tile(cluster[:, None] == np.arange(count), (1, len(optional)))
    option_capacity = np.repeat(after_lead, count, axis=0)

    # ---- floors: take-or-pay per fiscal year, for every contract in every year, as published
    F = K * Y
    floor_row, floor_year = np.repeat(np.arange(K), Y), np.tile(np.arange(Y), K)
    per_year = (year[:, None] == np.arange(Y)).astype(float)
    owed = (take[:, None] * (available @ per_year)).reshape(S, F)
    owed_later = np.repeat(take[optional, None] * (after_lead @ per_year), count, axis=0)
    later_floor = (later_row[:, None] * Y + np.arange(Y)).ravel()
    bound_amount = np.concatenate([owed, np.repeat(later_member, Y, axis=1) * owed_later.ravel()], axis=1)
    link_capacity = np.concatenate([available, later_member[:, :, None] * option_capacity], axis=1)

    # ---- work
    residency = _residency(pool_place)
    arc_w, arc_h, arc_pool = np.nonzero(residency)
    arc_family = pool_family[arc_pool]
    arc_yield = YIELD[arc_w, arc_family]
    away = pool_place[arc_pool] != arc_h
    D, A = WORKLOADS * HOMES, len(arc_w)
    ported = arc_family >= TPU
    ports = [(w, a) for w in range(WORKLOADS) for a in (TPU, TRAINIUM)]
    backlog = np.where(np.repeat(np.arange(WORKLOADS), HOMES) == BATCH, BACKLOG, 0.0)
    wanted = demand.reshape(S, D, T)
    by_workload = demand.sum(axis=2)
    by_workload[:, BATCH] += BACKLOG * HOMES
    tier_price = HOURS * np.concatenate([ON_DEMAND_PRICE[pool_family], ON_DEMAND_PRICE[pool_family] / 2])

    # ---- money as written, by year
    first_month = np.minimum(start, T - 1)
    starts_inside = start < T
    living = (t >= start[:, None] + lead[:, None]) & (t < end[:, None])
    credits = (living * discount).sum(axis=1) / np.maximum(living.sum(axis=1), 1)
    financing = np.where(starts_inside, prepaid * (discount[first_month] - credits), 0.0)
    minimum_bill = (take * price)[:, None] * nominal
    size_cash = minimum_bill @ per_year
    size_cash += (prepaid * starts_inside)[:, None] * (year[first_month][:, None] == np.arange(Y))
    exercise_fee = 0.5 * price[later_row] * discount[np.repeat(exercise_at, count)]
    future_cost = np.concatenate([np.zeros((S, K)), later_member * exercise_fee], axis=1)

    inference = nominal * YIELD[INFER, family][:, None]
    survives = _survives(pool_vendor[row_pool])
    zeros_ky, flat = np.zeros((K, Y)), np.zeros
    return Program(
        duration=np.ones(T), discount=discount, year=year, probability=probability, risk_aversion=0.3, tail=0.9,
        sign_lower=flat(K), sign_upper=np.ones(K), size_min=size_min, size_max=size_max,
        row_group=np.full(K, NONE), row_vendor=pool_vendor[row_pool], size_cost=financing,
        option_share=np.where(np.isin(np.arange(K), optional), 0.5, 0.0),
        option_cost=np.where(np.isin(np.arange(K), optional), 0.2 * price * discount[first_month], 0.0),
        prepay_max=flat(K), prepay_cost=flat(K), equity_value=flat(K), equity_max=np.full(K, np.inf),
        committed_value=minimum_bill @ discount, size_cash=size_cash, option_cash=zeros_ky, prepay_cash=zeros_ky,
        later_row=later_row, later_action=np.full(E, EXERCISE), later_period=np.repeat(exercise_at, count),
        later_member=later_member, later_cash=flat((E, Y)),
        port_cost=np.array([PORT_COST[a][w] for w, a in ports]), port_cash=flat((len(ports), Y)),
        port_workload=np.array([w for w, _ in ports]), replica_cost=flat(0), replica_cash=flat((0, Y)),
        site_committed=flat(0), site_min=flat(0), site_max=flat(0), site_fixed_cost=flat(0), site_cost=flat(0),
        site_fixed_cash=flat((0, Y)), site_cash=flat((0, Y)), row_site=np.full(K, NONE), row_kw=flat(K),
        cash_limit=np.full(Y, CASH_LIMIT), borrow_max=flat(Y), borrow_cost=flat(Y),
        vendor_share_max=np.full(VENDORS + 1, VENDOR_SHARE),
        adequacy_required=0.6 * probability @ demand[:, INFER].sum(axis=1),
        adequacy_base=np.full((VENDORS, T), LEGACY * YIELD[INFER, pool_family[0]]),
        adequacy_size=survives[:, :, None] * inference, gap_cost=GAP_PENALTY * discount,
        line_row=np.arange(K), link_line=np.concatenate([np.arange(K), later_row]), link_column=np.arange(K + E),
        link_capacity=link_capacity, floor_row=floor_row, floor_first=12 * floor_year,
        floor_last=np.minimum(12 * floor_year + 11, T - 1),
        bound_floor=np.concatenate([np.arange(F), later_floor]),
        bound_column=np.concatenate([floor_row, np.repeat(K + np.arange(E), Y)]), bound_amount=bound_amount,
        future_cost=future_cost, prepay_credit=flat((S, K)),
        port_capacity=by_workload[:, [w for w, _ in ports]], site_energised=flat((S, 0, T)), embodied=zeros_ky,
        use_line=np.arange(K), use_pool=row_pool, use_draw=np.ones(K), use_cost=np.repeat(price[:, None], T, axis=1),
        use_max=np.full((S, K, T), np.inf), over_cost=flat(F), short_cost=np.repeat(price, Y),
        make_up_share=flat(K), make_up_floors=np.zeros(K, dtype=int), carry_share=flat(K),
        carry_floors=np.zeros(K, dtype=int), carry_refund=flat(F),
        open_pool=np.tile(pool, 2), open_cost=np.repeat(tier_price[:, None], T, axis=1),
        open_max=np.concatenate([on_demand, spot], axis=1),
        stock=np.where((pool == 0)[None, :, None], LEGACY, 0.0) * np.ones((S, 1, T)),
        demand=wanted, unserved_cost=np.repeat(np.repeat(UNSERVED, HOMES)[:, None], T, axis=1),
        backlog_max=np.tile(backlog, (S, 1)), arc_demand=arc_w * HOMES + arc_h, arc_pool=arc_pool, arc_yield=arc_yield,
        arc_cost=np.repeat((away * EGRESS[arc_w] * arc_yield)[:, None], T, axis=1),
        arc_open=np.ones((A, T), dtype=bool),
        arc_port=np.where(ported, arc_w * 2 + arc_family - TPU, NONE), arc_transfer=np.full(A, NONE),
        transfer_demand=np.zeros(0, dtype=int), transfer_gib=flat(0), transfer_cost=flat((0, T)),
        transfer_replica=np.zeros(0, dtype=int), transfer_limit=np.zeros(0, dtype=int), way_max=flat((0, T)),
        pool_vendor=pool_vendor, pool_mw=MW_PER_THOUSAND[pool_family],
        pool_carbon=np.repeat((MW_PER_THOUSAND[pool_family] * HOURS * TONNES_PER_MWH[pool_place])[:, None], T, axis=1),
        power_max=np.full(T, np.inf), carbon_max=np.full(Y, CARBON_CAP), carbon_cost=np.full(Y, CARBON_PRICE),
        demand_critical=np.repeat(np.arange(WORKLOADS) == INFER, HOMES), critical_share_max=float("nan"),
        accelerator_scale=1e3, money_scale=1e6,
    )  # fmt: skip


def _residency(pool_place: Array) -> Array:
    """(W, H, P) where work of a home may run: 173 arcs.

    Inference stays in its home jurisdiction. Training and batch work go anywhere, except that the data of the second
    home may not enter the third jurisdiction.
    """
    home = np.arange(HOMES)
    allowed = np.ones((WORKLOADS, HOMES, len(pool_place)), dtype=bool)
    allowed[:, 1] = pool_place != 2
    allowed[INFER] = pool_place[None, :] == home[:, None]
    return allowed


def _survives(row_vendor: Array) -> Array:
    """(Q, K) whether a contract survives the loss of each outside vendor; own sites always do."""
    return (row_vendor[None, :] != np.arange(VENDORS)[:, None]).astype(float)


def _clusters(demand: Array, clusters: int | None, month: int) -> tuple[Array, int]:
    """(S,) information cluster of each scenario: itself, or its rank group by demand seen up to the month."""
    scenarios = len(demand)
    if clusters is None:
        return np.arange(scenarios), scenarios
    seen = demand[:, :, :, : max(1, month)].sum(axis=(1, 2, 3))
    count = min(clusters, scenarios)
    rank = np.argsort(np.argsort(seen, kind="stable"), kind="stable")
    return rank * count // scenarios, count

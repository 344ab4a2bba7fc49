"""Small random programs, sane enough to have an optimum and odd enough to exercise every rule and every optional thing.

A program made here can be solved: unserved work and the adequacy gap are soft, limits leave room for what is signed
already, and a shortfall invented together with an over-take always costs more than the credit it would earn.
"""

from __future__ import annotations

import itertools
from typing import Any, NamedTuple

import numpy as np

from argosy.plan.levers import Levers, no_levers
from argosy.plan.program import EXERCISE, EXIT, NONE, SIGN, Program

Array = np.ndarray[Any, Any]


def random_program(
    seed: int,
    *,
    periods: int | None = None,
    scenarios: int | None = None,
    rows: int | None = None,
    pools: int | None = None,
    vendors: int | None = None,
    classes: int | None = None,
) -> Program:
    """A program from a seed. Sizes left out are drawn."""
    rng = np.random.Generator(np.random.PCG64(seed))

    def size(given: int | None, low: int, high: int) -> int:
        return int(rng.integers(low, high + 1)) if given is None else given

    def some(share: float) -> bool:
        return bool(rng.random() < share)

    T = size(periods, 2, 8)
    S = size(scenarios, 1, 5)
    K = size(rows, 1, 6)
    P = size(pools, 1, 5)
    V = size(vendors, 1, 3)
    D = size(classes, 1, 4)
    Y = int(rng.integers(1, min(T, 3) + 1))
    B = int(rng.integers(0, 3))
    R = int(rng.integers(0, 3))
    W = int(rng.integers(0, 3))
    O = int(rng.integers(0, 3))  # noqa: E741 - the letter of F1
    Q = int(rng.integers(0, 3))

    duration = rng.uniform(0.9, 1.1, T) * rng.choice([1.0, 1.0, 3.0], T)
    middle = np.cumsum(duration) - duration / 2
    year = np.sort(np.concatenate([np.arange(Y), rng.integers(0, Y, T - Y)]))
    probability = rng.dirichlet(np.full(S, 3.0))

    # ---- rows
    signed = rng.random(K) < 0.15
    size_max = rng.uniform(5.0, 40.0, K)
    size_min = np.where(rng.random(K) < 0.6, rng.uniform(0.1, 0.5, K) * size_max, 0.0)
    row_vendor = rng.integers(0, V, K)
    row_site = np.full(K, NONE)
    if B:
        own = rng.random(K) < 0.4
        row_site[own] = rng.integers(0, B, int(own.sum()))
    row_kw = np.where(row_site != NONE, rng.uniform(0.5, 2.0, K), 0.0)
    decided_later = (rng.random(K) < 0.25) & ~signed
    group = rng.integers(0, max(1, K // 2 + 1), K)
    row_group = np.where((rng.random(K) < 0.5) & ~signed, group, np.arange(K) + 100)
    row_group = np.where(rng.random(K) < 0.2, NONE, row_group)
    price = rng.uniform(0.5, 1.5, K)
    option_share = np.where(rng.random(K) < 0.5, rng.uniform(0.2, 1.0, K), 0.0)
    prepay_max = np.where(rng.random(K) < 0.4, rng.uniform(0.5, 2.0, K), 0.0)
    equity_value = np.where(rng.random(K) < 0.3, rng.uniform(0.01, 0.05, K), 0.0)
    equity_max = np.where(rng.random(K) < 0.5, rng.uniform(0.1, 0.6, K), np.inf)

    # ---- later columns: one date after the other, the clusters of a later date refine the earlier ones
    later: list[tuple[int, int, int, Array]] = []
    dates = np.sort(rng.choice(np.arange(1, T), size=min(T - 1, int(rng.integers(1, 3))), replace=False))
    label = np.zeros(S, dtype=int)
    for date in dates:
        label = label * 3 + rng.integers(0, 2, S)
        members = [label == c for c in np.unique(label)]
        for k in range(K):
            actions = []
            if option_share[k] > 0 and some(0.7):
                actions.append(EXERCISE)
            if not decided_later[k] and some(0.25):
                actions.append(EXIT)
            if decided_later[k]:
                actions.append(SIGN)
            later += [(k, action, int(date), member) for action in actions for member in members]
    sure = {k for k, action, _, _ in later if action == SIGN}
    later_row = np.array([x[0] for x in later], dtype=int)
    later_action = np.array([x[1] for x in later], dtype=int)
    later_period = np.array([x[2] for x in later], dtype=int)
    E = len(later)
    later_member = np.array([x[3] for x in later], dtype=bool).reshape(E, S).T.copy()
    sign_upper = np.array([0.0 if k in sure else 1.0 for k in range(K)])

    # ---- lines, uses and capacity
    matched = [k for k in range(K) if some(0.3)]
    line_row = np.array([*range(K), *matched], dtype=int)
    N = len(line_row)
    use: list[tuple[int, int]] = []
    for n in range(N):
        spread = int(rng.integers(1, min(P, 3) + 1))
        use += [(n, int(p)) for p in rng.choice(P, size=spread, replace=False)]
    use_line, use_pool = np.array([u[0] for u in use]), np.array([u[1] for u in use])
    J = len(use)
    spend = rng.random(K) < 0.4
    use_draw = np.where(spend[line_row[use_line]], rng.uniform(0.5, 2.0, J), 1.0)

    first = rng.integers(0, T, K)
    delay = rng.integers(0, 2, (S, K))
    ramp = rng.uniform(0.3, 1.0, (K, 1))
    t = np.arange(T)
    nominal = np.clip((t - first[:, None] + 1) * ramp, 0.0, 1.0)
    actual = np.clip((t - first[:, None] - delay[:, :, None] + 1) * ramp, 0.0, 1.0)
    actual *= np.where(rng.random((S, K, T)) < 0.15, rng.uniform(0.2, 0.9, (S, K, T)), 1.0)
    match = np.zeros((S, K))
    for k in matched:
        match[:, k] = np.where(rng.random(S) < 0.5, rng.uniform(0.2, 1.0, S), 0.0)

    def of_column(c: int) -> Array:
        """(S, T) capacity of a capacity column before matching."""
        if c < K:
            return actual[:, c]
        k, action, date, member = later[c - K]
        after = (t >= date).astype(float)
        factor = -1.0 if action == EXIT else 1.0
        return factor * actual[:, k] * after * member[:, None]

    columns = [(c, c if c < K else int(later_row[c - K])) for c in range(K + E)]
    link: list[tuple[int, int, Array]] = []
    for n, k in enumerate(line_row):
        share = match[:, k] if n >= K else 1.0 - match[:, k]
        link += [(n, c, of_column(c) * share[:, None]) for c, of in columns if of == k]
    link_capacity = np.stack([x[2] for x in link], axis=1)

    floors: list[tuple[int, int, int]] = []
    for k in range(K):
        start = int(rng.integers(0, T))
        while start < T and len(floors) < 40:
            end = min(T - 1, start + int(rng.integers(0, 3)))
            floors.append((k, start, end))
            start = end + 1
    floor_row, floor_first, floor_last = (np.array([f[i] for f in floors]) for i in range(3))
    F = len(floors)
    take = rng.uniform(0.5, 1.0, K)
    bound: list[tuple[int, int, Array]] = []
    for f, (k, low, high) in enumerate(floors):
        inside = (t >= low) & (t <= high)
        for c, of in columns:
            if of == k and some(0.95):
                bound.append((f, c, take[k] * (of_column(c) * duration * inside).sum(axis=1)))
    bound_amount = np.stack([x[2] for x in bound], axis=1) if bound else np.zeros((S, 0))
    make_up_share = np.where(rng.random(K) < 0.4, rng.uniform(0.3, 1.0, K), 0.0)
    carry_share = np.where(rng.random(K) < 0.4, rng.uniform(0.3, 1.0, K), 0.0)
    over_cost = rng.uniform(0.2, 0.6, F)
    short_cost = rng.uniform(0.1, 0.4, F)

    # ---- work
    pool_vendor = rng.integers(0, V, P)
    arc = [(d, p) for d in range(D) for p in range(P) if some(0.7)] or [(0, 0)]
    arc_demand, arc_pool = np.array([a[0] for a in arc]), np.array([a[1] for a in arc])
    A = len(arc)
    arc_yield = rng.uniform(0.5, 3.0, A)
    demand = rng.uniform(5.0, 30.0, (S, D, T))
    arc_port = np.where((rng.random(A) < 0.3) & (O > 0), rng.integers(0, max(O, 1), A), NONE)
    transfer: list[int] = []
    arc_transfer = np.full(A, NONE)
    for d in range(D):
        for _ in range(int(rng.integers(0, 3))):
            mine = np.flatnonzero((arc_demand == d) & (arc_transfer == NONE))
            if len(mine):
                arc_transfer[rng.choice(mine, size=int(rng.integers(1, len(mine) + 1)), replace=False)] = len(transfer)
                transfer.append(d)
    X = len(transfer)
    L = int(rng.integers(1, 2 * P + 1))
    open_pool = rng.integers(0, P, L)
    backlog = np.where(rng.random(D) < 0.5, rng.uniform(1.0, 10.0, (S, D)), 0.0)

    # ---- money: limits leave room for what is signed already
    size_cash = rng.uniform(0.0, 2.0, (K, Y))
    site_max = rng.uniform(20.0, 60.0, B)
    site_min = rng.uniform(0.0, 5.0, B)
    site_committed = (rng.random(B) < 0.3).astype(float)
    site_fixed_cash = rng.uniform(0.0, 5.0, (B, Y))
    site_cash = rng.uniform(0.0, 0.5, (B, Y))
    must = np.where(signed, size_min, 0.0)
    for b in range(B):  # what is signed at a site needs the site, with enough power
        need = float((row_kw * must)[row_site == b].sum())
        if need > 0:
            site_max[b] = max(site_max[b], 2.0 * need)
    power_needed = np.array([
        max(site_min[b] if site_committed[b] or (must[row_site == b] > 0).any() else 0.0,
            float((row_kw * must)[row_site == b].sum())) for b in range(B)
    ])  # fmt: skip
    opened = np.maximum(site_committed, power_needed > 0)
    bound_cash = must @ size_cash + opened @ site_fixed_cash + power_needed @ site_cash
    cash_limit = np.where(rng.random(Y) < 0.7, bound_cash + rng.uniform(5.0, 80.0, Y), np.inf)
    exits = later_action == EXIT
    later_cash = rng.uniform(0.0, 1.0, (E, Y)) * np.where(exits, -0.5, 1.0)[:, None]
    share_max = np.where(rng.random(V) < 0.5, rng.uniform(0.4, 0.9, V), np.nan)
    share_max[np.isin(np.arange(V), row_vendor[signed])] = np.nan

    limited_power, limited_carbon = some(0.5), rng.random(Y) < 0.5
    pool_mw = rng.uniform(0.5, 1.5, P)
    pool_carbon = rng.uniform(0.1, 1.0, (P, T))
    if not limited_power and some(0.5):
        pool_mw[rng.integers(0, P)] = np.nan
    if not limited_carbon.any() and some(0.5):
        pool_carbon[rng.integers(0, P)] = np.nan

    discount = 1.08 ** (-middle / 12)
    chance = np.where(later_member, 1.0, 0.0)
    strike = np.where(exits, 0.05, 0.3) * rng.uniform(0.5, 1.5, E)
    future_cost = np.concatenate([rng.uniform(0.2, 1.0, (S, K)) * price * T / 4, chance * strike], axis=1)
    jitter = rng.uniform(0.9, 1.1, (S, K))
    arcs = Arcs(arc_demand, arc_pool, arc_yield, arc_transfer, pool_vendor)
    return Program(
        levers=random_levers(seed, demand + backlog[:, :, None] / duration, arcs, years=Y, ports=O),
        duration=duration, discount=discount, year=year, probability=probability,
        risk_aversion=0.0 if some(0.3) else float(rng.uniform(0.1, 0.6)), tail=float(rng.uniform(0.5, 0.9)),
        sign_lower=np.where(signed, 1.0, 0.0), sign_upper=sign_upper, size_min=size_min, size_max=size_max,
        row_group=row_group, row_vendor=row_vendor, size_cost=rng.uniform(-0.2, 0.5, K), option_share=option_share,
        option_cost=rng.uniform(0.01, 0.2, K), prepay_max=prepay_max, prepay_cost=np.full(K, 1.0),
        equity_value=equity_value, equity_max=equity_max, committed_value=price * take * T,
        size_cash=size_cash, option_cash=rng.uniform(0.0, 0.3, (K, Y)), prepay_cash=rng.uniform(-0.3, 1.0, (K, Y)),
        later_row=later_row, later_action=later_action, later_period=later_period, later_member=later_member,
        later_cash=later_cash,
        port_cost=rng.uniform(1.0, 8.0, O), port_cash=rng.uniform(0.0, 3.0, (O, Y)),
        port_workload=rng.integers(0, D, O), replica_cost=rng.uniform(0.5, 4.0, R),
        replica_cash=rng.uniform(0.0, 1.0, (R, Y)),
        site_committed=site_committed, site_min=site_min, site_max=site_max,
        site_fixed_cost=rng.uniform(1.0, 5.0, B), site_cost=rng.uniform(0.05, 0.4, B),
        site_fixed_cash=site_fixed_cash, site_cash=site_cash, row_site=row_site, row_kw=row_kw,
        cash_limit=cash_limit, borrow_max=np.where(rng.random(Y) < 0.5, rng.uniform(1.0, 20.0, Y), 0.0),
        borrow_cost=rng.uniform(0.02, 0.1, Y), vendor_share_max=share_max,
        adequacy_required=rng.uniform(2.0, 12.0, T), adequacy_base=rng.uniform(0.0, 4.0, (Q, T)),
        adequacy_size=rng.uniform(0.0, 1.0, (Q, K, T)) * nominal * (rng.random((Q, K, 1)) < 0.7),
        gap_cost=rng.uniform(0.3, 2.0, T),
        line_row=line_row, link_line=np.array([x[0] for x in link]), link_column=np.array([x[1] for x in link]),
        link_capacity=link_capacity, floor_row=floor_row, floor_first=floor_first, floor_last=floor_last,
        bound_floor=np.array([x[0] for x in bound], dtype=int), bound_column=np.array([x[1] for x in bound], dtype=int),
        bound_amount=bound_amount, future_cost=future_cost,
        prepay_credit=jitter * rng.uniform(0.9, 1.05, K),
        port_capacity=rng.uniform(5.0, 60.0, (S, O, T)), site_energised=rng.uniform(0.5, 1.0, (S, B, T)),
        embodied=rng.uniform(0.0, 0.5, (K, Y)),
        use_line=use_line, use_pool=use_pool, use_draw=use_draw, use_cost=rng.uniform(0.0, 0.5, (J, T)) * duration,
        use_max=np.where(rng.random((S, J, T)) < 0.2, rng.uniform(1.0, 10.0, (S, J, T)), np.inf),
        over_cost=over_cost, short_cost=short_cost, make_up_share=make_up_share,
        make_up_floors=rng.integers(1, 4, K), carry_share=carry_share, carry_floors=rng.integers(1, 4, K),
        carry_refund=rng.uniform(0.0, 0.8, F) * min(over_cost.min(), short_cost.min()),
        open_pool=open_pool, open_cost=rng.uniform(0.8, 3.0, (L, T)) * duration,
        open_max=rng.uniform(0.0, 15.0, (S, L, T)),
        stock=rng.uniform(0.0, 3.0, (S, P, T)) * (rng.random(P) < 0.5)[:, None],
        demand=demand, unserved_cost=rng.uniform(3.0, 9.0, (D, T)) * duration, backlog_max=backlog,
        arc_demand=arc_demand, arc_pool=arc_pool, arc_yield=arc_yield,
        arc_cost=rng.uniform(0.0, 0.2, (A, T)) * (rng.random((A, 1)) < 0.5), arc_open=rng.random((A, T)) < 0.85,
        arc_port=arc_port, arc_transfer=arc_transfer,
        transfer_demand=np.array(transfer, dtype=int), transfer_gib=rng.uniform(0.2, 2.0, X),
        transfer_cost=rng.uniform(0.01, 0.3, (X, T)),
        transfer_replica=np.where((rng.random(X) < 0.6) & (R > 0), rng.integers(0, max(R, 1), X), NONE),
        transfer_limit=np.where((rng.random(X) < 0.6) & (W > 0), rng.integers(0, max(W, 1), X), NONE),
        way_max=rng.uniform(1.0, 20.0, (W, T)),
        pool_vendor=pool_vendor, pool_mw=pool_mw, pool_carbon=pool_carbon,
        power_max=np.where(limited_power & (rng.random(T) < 0.6), rng.uniform(5.0, 40.0, T), np.inf),
        carbon_max=np.where(limited_carbon, rng.uniform(2.0, 30.0, Y), np.inf),
        carbon_cost=rng.uniform(0.05, 0.5, Y), demand_critical=rng.random(D) < 0.6,
        critical_share_max=float(rng.uniform(0.4, 0.8)) if some(0.5) else float("nan"),
    )  # fmt: skip


class Arcs(NamedTuple):
    """What gains need to know about arcs."""

    demand: Array
    pool: Array
    yields: Array
    transfer: Array
    vendor: Array


def random_levers(seed: int, most: Array, arcs: Arcs, *, years: int, ports: int) -> Levers:
    """Projects of a random program from draws of their own; every third seed has none.

    `most` (S, D, T) is the most work that a class can do. Shares are drawn by project, class and pool.
    """
    rng = np.random.Generator(np.random.PCG64(10_000_000 + seed))
    G, M = int(rng.integers(1, 4)), int(rng.integers(0, 3))
    if seed % 3 == 2:
        return no_levers()
    S, D, T = most.shape
    start_project = np.repeat(np.arange(G), rng.integers(1, 3, G))
    H = len(start_project)
    ready = rng.integers(0, T, H)
    cost = rng.uniform(0.5, 30.0, H)
    need = rng.uniform(0.0, 4.0, (H, M, T)) * (np.arange(T) < np.maximum(ready, 1)[:, None, None])
    group = rng.choice([NONE, 5], G)
    running = (rng.random(G) < 0.2) & ((group == NONE) | (np.arange(G) == 0))
    must = [int(np.flatnonzero(start_project == g)[0]) for g in np.flatnonzero(running)]
    gain = np.where(rng.random((G, D)) < 0.7, rng.uniform(0.1, 0.6, (G, D)), 0.0)
    share = gain[:, :, None] * np.where(rng.random((G, 1, int(arcs.pool.max()) + 1)) < 0.8, 1.0, 0.4)
    demand, members, limit, savings, factors = [], [], [], [], []
    for d in range(D):
        mine = np.flatnonzero(arcs.demand == d)
        for picked in (p for size in range(1, G + 1) for p in itertools.combinations(range(G), size)):
            if not len(mine) or not all(gain[g, d] > 0 for g in picked) or sum(group[list(picked)] == 5) > 1:
                continue
            g_of = np.array([share[list(picked), d, arcs.pool[a]] for a in mine])  # (arcs, picked)
            for key in dict.fromkeys((int(arcs.transfer[a]), int(arcs.vendor[arcs.pool[a]])) for a in mine):
                inside = [i for i, a in enumerate(mine)
                          if (int(arcs.transfer[a]), int(arcs.vendor[arcs.pool[a]])) == key]  # fmt: skip
                factors += [(len(savings), int(mine[i]), float(np.prod(g_of[i] / (1 - g_of[i])))) for i in inside]
                savings.append((len(demand), *key))
            demand.append(d)
            members.append(np.isin(np.arange(G), picked))
            limit.append(most[:, d] * g_of.prod(axis=1).max())
    openers = [(h, o) for h in range(H) for o in range(ports) if rng.random() < 0.3]
    Z, U = len(savings), len(demand)
    later = np.arange(T) >= ready[:, None]
    return Levers(
        start_project=start_project, start_ready=ready, start_cost=cost,
        start_cash=np.outer(cost, rng.dirichlet(np.ones(years))) * 0.2, start_need=need,
        project_least=running.astype(float), project_most=np.ones(G), project_group=group,
        team_capacity=need[must].sum(axis=0) + rng.uniform(0.0, 4.0, (M, T)),
        gain_demand=np.array(demand, dtype=int), gain_project=np.array(members, dtype=bool).reshape(U, G),
        gain_most=np.array(limit).reshape(U, S, T).transpose(1, 0, 2),
        saving_gain=np.array([x[0] for x in savings], dtype=int),
        saving_transfer=np.array([x[1] for x in savings], dtype=int),
        saving_vendor=np.array([x[2] for x in savings], dtype=int),
        saving_cost=rng.uniform(0.0, 0.1, (Z, T)) * (rng.random((Z, 1)) < 0.5),
        factor_saving=np.array([x[0] for x in factors], dtype=int),
        factor_arc=np.array([x[1] for x in factors], dtype=int),
        factor_units=np.array([x[2] for x in factors]),
        closed_port=np.flatnonzero(rng.random(ports) < 0.3),
        opener_start=np.array([h for h, _ in openers], dtype=int),
        opener_port=np.array([o for _, o in openers], dtype=int),
        opener_capacity=rng.uniform(5.0, 60.0, (S, len(openers), T)) * later[[h for h, _ in openers]],
    )  # fmt: skip


def tiny_program(seed: int, most: int = 4) -> Program:
    """A program with at least one and at most `most` binary columns that are free, for enumeration."""
    for attempt in range(1000):
        program = random_program(
            1_000_000 + 1000 * seed + attempt, periods=4, scenarios=2, rows=2 + seed % 2, pools=2, vendors=2, classes=2
        )
        free = int((program.sign_lower < program.sign_upper).sum() + (program.later_action == SIGN).sum())
        free += (
            len(program.port_cost)
            - len(program.levers.closed_port)
            + len(program.levers.start_project)
            + int((program.site_committed < 1).sum())
        )
        if 1 <= free <= most:
            return program
    raise AssertionError("no such program; change the sizes")


def families_everywhere() -> tuple[str, ...]:
    """Every rule of F4 and F5: each must occur in at least one of the random programs."""
    return (
        "F4.A1", "F4.A2", "F4.A3", "F4.EX", "F4.H", "F4.X1", "F4.X2", "F4.PP", "F4.EQ", "F4.Y", "F4.C", "F4.N1", "F4.Z",
        "F4.W1", "F4.D", "F4.P", "F4.U", "F4.T", "F4.M1", "F4.M2", "F4.K1", "F4.K2", "F4.K3", "F4.G1", "F4.G2", "F4.N",
        "F4.W2", "F4.PW", "F4.E", "F4.CS", "F4.CT", "F4.CV", "F4.L1", "F4.L2", "F4.L3", "F4.L4", "F4.TM",
    )  # fmt: skip

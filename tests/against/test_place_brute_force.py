"""The value layer against brute force: on tiny worlds every way to place the asks is tried."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from argosy.model.region import Region
from argosy.model.snapshot import BurnDown, PlaceAsk, PoolState, PowerLimit, Snapshot, SupplyState
from argosy.model.spread import Spread
from argosy.place import place
from argosy.place.world import reduce

REGIONS = (Region(id="a/us", vendor="a", jurisdiction="US"), Region(id="b/de", vendor="b", jurisdiction="DE"))


@st.composite
def worlds(draw) -> Snapshot:
    pools = tuple(
        PoolState(
            id=f"p{i}",
            region=REGIONS[i % 2].id,
            silicon=draw(st.sampled_from(["h100", "a100"])),
            family="cuda",
            own_accelerators=draw(st.integers(0, 6)),
            usd_per_accelerator_hour=draw(st.integers(0, 5)),
        )
        for i in range(draw(st.integers(1, 3)))
    )
    asks = tuple(
        PlaceAsk(
            id=f"j{i}",
            accelerators=draw(st.integers(1, 3)),
            speed={"h100": 1.0, "a100": 0.5},
            families=("cuda",),
            usd_per_unit=draw(st.integers(1, 8)),
            remaining_units=draw(st.sampled_from([None, 10.0])),
            restart_hours=draw(st.sampled_from([0.0, 1.0])),
        )
        for i in range(draw(st.integers(1, 5)))
    )
    return Snapshot(price_source="contracts", regions=REGIONS, pools=pools, asks=asks)


def best(snapshot: Snapshot) -> float:
    """The highest value of any placement, ask by ask."""
    world = reduce(snapshot, "value")
    of = {i: c for c, members in enumerate(world.members) for i in members}
    top = 0.0
    for choice in itertools.product(range(-1, len(snapshot.pools)), repeat=len(snapshot.asks)):
        used = [0.0] * len(snapshot.pools)
        value = 0.0
        for i, p in enumerate(choice):
            if p >= 0:
                used[p] += snapshot.asks[i].accelerators
                value += world.gain[of[i], p]
        if all(u <= pool.own_accelerators for u, pool in zip(used, snapshot.pools, strict=True)):
            top = max(top, value)
    return top


@settings(max_examples=60, deadline=None)
@given(snapshot=worlds())
def test_value_is_the_best_of_all_placements(snapshot: Snapshot) -> None:
    done = place(snapshot)
    assert abs(done.objective_value - best(snapshot)) <= 1e-6 * max(1.0, best(snapshot))


@st.composite
def limited(draw) -> Snapshot:
    """Two pools with power, a floor and a critical share; one service that must be spread."""
    kw = draw(st.sampled_from([1.0, 2.0]))
    pools = tuple(
        PoolState(
            id=f"p{i}",
            region=REGIONS[i].id,
            silicon="h100",
            family="cuda",
            own_accelerators=draw(st.integers(0, 6)) if i else 0,
            usd_per_accelerator_hour=draw(st.integers(1, 5)),
            facility_kw_per_accelerator=kw,
        )
        for i in range(2)
    )
    asks = [
        PlaceAsk(
            id=f"j{i}",
            accelerators=draw(st.integers(1, 3)),
            speed={"h100": 1.0},
            families=("cuda",),
            usd_per_unit=draw(st.integers(1, 8)),
            critical=draw(st.booleans()),
        )
        for i in range(draw(st.integers(1, 3)))
    ]
    spread = Spread(max_fraction=draw(st.sampled_from([0.5, 0.7, 1.0])), min_domains=draw(st.sampled_from([1, 2])))
    service = {"id": "s", "count": draw(st.integers(1, 3)), "accelerators": draw(st.integers(1, 2)), "spread": spread}
    asks.append(PlaceAsk(**service, speed={"h100": 1.0}, families=("cuda",), usd_per_unit=draw(st.integers(1, 8))))
    return Snapshot(
        price_source="contracts",
        regions=REGIONS,
        pools=pools,
        asks=tuple(asks),
        supplies=(SupplyState(id="l", capacity=draw(st.integers(0, 6)), draw={"p0": 1.0}),),
        burn_downs=(
            BurnDown(
                supply="l", owed=draw(st.integers(0, 4)), unmet_usd_per_unit=draw(st.sampled_from([0.0, 1.0, 3.0]))
            ),
        ),
        power_limits=(PowerLimit(id="g", pools=("p0", "p1"), max_mw=draw(st.sampled_from([0.004, 0.008, 1.0]))),),
        max_critical_vendor_fraction=draw(st.sampled_from([None, 0.5])),
        max_vendor_fraction=draw(st.sampled_from([None, 0.6])),
    )


def best_limited(snapshot: Snapshot) -> float:
    """The highest value of any placement, replica by replica, every rule written out once more."""
    rows = [ask for ask in snapshot.asks for _ in range(int(ask.count))]
    top = -np.inf
    for choice in itertools.product((None, 0, 1), repeat=len(rows)):
        used, critical, service, value = [0.0, 0.0], [0.0, 0.0], [0, 0], 0.0
        for ask, p in zip(rows, choice, strict=True):
            if p is None:
                continue
            used[p] += ask.accelerators
            critical[p] += ask.accelerators * ask.critical
            service[p] += ask.id == "s"
            value += 24 * ask.accelerators * (ask.usd_per_unit - snapshot.pools[p].usd_per_accelerator_hour)
        spread, floor = snapshot.asks[-1].spread, snapshot.burn_downs[0]
        assert spread is not None
        kw = snapshot.pools[0].facility_kw_per_accelerator
        allowed = used[0] <= snapshot.supplies[0].capacity and used[1] <= snapshot.pools[1].own_accelerators
        allowed &= sum(used) * kw / 1000 <= snapshot.power_limits[0].max_mw + 1e-12
        for share, amounts in (
            (snapshot.max_vendor_fraction, used),
            (snapshot.max_critical_vendor_fraction, critical),
            (spread.max_fraction, service),
        ):
            allowed &= share is None or max(amounts) <= share * sum(amounts) + 1e-9
        allowed &= not sum(service) or sum(n > 0 for n in service) >= spread.min_domains
        if allowed:
            top = max(top, value - 24 * floor.unmet_usd_per_unit * max(0.0, floor.owed - used[0]))
    return top


@settings(max_examples=120, deadline=None)
@given(snapshot=limited())
def test_limits_leave_the_best_that_they_allow(snapshot: Snapshot) -> None:
    """P1.B, P1.C, P1.G, P1.H and P1.V together."""
    known = best_limited(snapshot)
    assert abs(place(snapshot).objective_value - known) <= 1e-6 * max(1.0, abs(known))


@st.composite
def busy(draw) -> Snapshot:
    """One or two pools with asks that run, may be stopped or not, and cost a restart; newcomers that may preempt."""
    pools = tuple(
        PoolState(
            id=f"p{i}",
            region=REGIONS[0].id,
            silicon="h100",
            family="cuda",
            own_accelerators=4,
            usd_per_accelerator_hour=draw(st.integers(0, 3)),
        )
        for i in range(draw(st.integers(1, 2)))
    )
    room = {pool.id: 4.0 for pool in pools}
    asks = []
    for i in range(draw(st.integers(1, 4))):
        size, at = draw(st.integers(1, 3)), draw(st.sampled_from([None, *room]))
        at = at if at is not None and room[at] >= size else None
        if at is not None:
            room[at] -= size
        asks.append(
            PlaceAsk(
                id=f"j{i}",
                accelerators=size,
                speed={"h100": 1.0},
                families=("cuda",),
                usd_per_unit=draw(st.integers(1, 8)),
                running_in=at,
                preemptible=draw(st.booleans()),
                restart_hours=draw(st.sampled_from([0.0, 1.0, 4.0])),
            )
        )
    return Snapshot(price_source="contracts", regions=REGIONS, pools=pools, asks=tuple(asks))


def best_busy(snapshot: Snapshot) -> float:
    """Every way to place the asks, with P1.E, P1.S and the price of every move (P3.1) and stop (P3.3) written out."""
    top, price = -np.inf, {pool.id: pool.usd_per_accelerator_hour for pool in snapshot.pools}
    for choice in itertools.product([None, *price], repeat=len(snapshot.asks)):
        used, left, came = dict.fromkeys(price, 0.0), dict.fromkeys(price, 0.0), dict.fromkeys(price, 0.0)
        value, allowed = 0.0, True
        for ask, at in zip(snapshot.asks, choice, strict=True):
            size, wait = ask.accelerators, ask.restart_hours
            if ask.running_in is not None and at != ask.running_in:
                allowed &= ask.preemptible
            if at is None:
                if ask.running_in is not None:
                    left[ask.running_in] += size
                    value -= 1.25 * wait * size * max(ask.usd_per_unit, price[ask.running_in])
                continue
            used[at] += size
            if at == ask.running_in:
                value += 24 * size * (ask.usd_per_unit - price[at])
                continue
            value += (24 - wait) * size * (ask.usd_per_unit - price[at]) - price[at] * size * wait
            if ask.running_in is None:
                came[at] += size
            else:
                value -= (0.25 * wait + 0.001 * 24) * size * ask.usd_per_unit
        if allowed and all(used[p] <= 4 and left[p] <= came[p] + 1e-9 for p in price):
            top = max(top, value)
    return top


@settings(max_examples=100, deadline=None)
@given(snapshot=busy())
def test_P3_3_stops_and_moves_are_the_best_of_all(snapshot: Snapshot) -> None:
    known = best_busy(snapshot)
    assert abs(place(snapshot).objective_value - known) <= 1e-6 * max(1.0, abs(known))

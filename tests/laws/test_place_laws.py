"""Laws of the value layer on random worlds."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from argosy.model.load import Residency
from argosy.model.region import Region
from argosy.model.snapshot import BurnDown, PlaceAsk, PoolState, PowerLimit, Snapshot, SupplyState
from argosy.place import place

REGIONS = (
    Region(id="a/us", vendor="a", jurisdiction="US"),
    Region(id="b/de", vendor="b", jurisdiction="DE", zones=("EU",)),
)


@st.composite
def worlds(draw) -> Snapshot:
    pools = tuple(
        PoolState(
            id=f"p{i}",
            region=REGIONS[i % 2].id,
            silicon=draw(st.sampled_from(["h100", "a100"])),
            family="cuda",
            own_accelerators=draw(st.integers(0, 24)),
            usd_per_accelerator_hour=draw(st.integers(0, 5)),
        )
        for i in range(draw(st.integers(1, 3)))
    )
    room = {pool.id: pool.own_accelerators for pool in pools}
    asks = []
    for i in range(draw(st.integers(1, 8))):
        size = draw(st.integers(1, 8))
        at = draw(st.sampled_from([None, *room]))
        if at is not None and room[at] < size:
            at = None
        if at is not None:
            room[at] -= size
        asks.append(
            PlaceAsk(
                id=f"j{i}",
                accelerators=size,
                speed={"h100": 1.0, "a100": 0.5},
                families=("cuda",),
                usd_per_unit=draw(st.integers(1, 12)),
                running_in=at,
                preemptible=draw(st.booleans()),
                restart_hours=draw(st.sampled_from([0.0, 2.0])),
                residency=draw(st.sampled_from([Residency(), Residency(allowed=("EU",))]))
                if at is None
                else Residency(),
            )
        )
    return Snapshot(price_source="contracts", regions=REGIONS, pools=pools, asks=tuple(asks))


def after(snapshot: Snapshot) -> Snapshot:
    """The world once the placement is carried out: the placed run, the stopped ask again and may stop nobody."""
    done = place(snapshot)
    at = {row.ask: row.pool for row in done.assignments}
    stopped = {row.ask for row in done.evictions}
    asks = tuple(
        ask.model_copy(update={"running_in": at.get(ask.id), "may_preempt": ask.may_preempt and ask.id not in stopped})
        for ask in snapshot.asks
        if ask.id in at or ask.id in stopped
    )
    return snapshot.model_copy(update={"asks": asks})


@settings(max_examples=150, deadline=None)
@given(snapshot=worlds())
def test_a_stopped_ask_that_asks_again_stops_nobody(snapshot: Snapshot) -> None:
    """P1.E, the law against preemption loops."""
    second = after(snapshot)
    if second.asks:
        assert not place(second).evictions


@st.composite
def full_worlds(draw) -> Snapshot:
    """Pools that are full of work that may be stopped, and newcomers that each want one pool."""
    count = draw(st.integers(2, 3))
    pools = tuple(
        PoolState(
            id=f"p{i}",
            region=REGIONS[0].id,
            silicon="h100",
            family="cuda",
            own_accelerators=8.0,
            usd_per_accelerator_hour=1.0,
        )
        for i in range(count)
    )
    common = {"accelerators": 8.0, "speed": {"h100": 1.0}, "families": ("cuda",)}
    runs = [
        PlaceAsk.model_validate(
            {"id": f"r{i}", "running_in": f"p{i}", "usd_per_unit": float(draw(st.integers(2, 9))), **common}
        )
        for i in range(count)
    ]
    new = [
        PlaceAsk.model_validate(
            {
                "id": f"n{i}",
                "usd_per_unit": float(draw(st.integers(2, 12))),
                "allowed_pools": (f"p{draw(st.integers(0, count - 1))}",),
                **common,
            }
        )
        for i in range(draw(st.integers(1, 2)))
    ]
    return Snapshot(price_source="contracts", regions=REGIONS, pools=pools, asks=(*runs, *new))


@settings(max_examples=60, deadline=None)
@given(snapshot=full_worlds())
def test_who_was_stopped_does_not_stop_the_next_one_in_a_full_fleet(snapshot: Snapshot) -> None:
    """P1.E: each of those that run would gain by taking the place of a lesser one, and may not once it was stopped."""
    second = after(snapshot)
    assert not place(second).evictions


@settings(max_examples=60, deadline=None)
@given(snapshot=worlds(), factor=st.sampled_from([0.01, 7.0]))
def test_money_is_scale_free(snapshot: Snapshot, factor: float) -> None:
    """All prices and values times a factor: the value times the factor."""
    scaled = snapshot.model_copy(
        update={
            "pools": tuple(
                p.model_copy(update={"usd_per_accelerator_hour": p.usd_per_accelerator_hour * factor})
                for p in snapshot.pools
            ),
            "asks": tuple(a.model_copy(update={"usd_per_unit": a.usd_per_unit * factor}) for a in snapshot.asks),
        }
    )
    one, other = place(snapshot).objective_value, place(scaled).objective_value
    assert abs(one * factor - other) <= 1e-5 * max(1.0, abs(other))


def waits(snapshot: Snapshot) -> Snapshot:
    """The same with nothing running."""
    return snapshot.model_copy(update={"asks": tuple(a.model_copy(update={"running_in": None}) for a in snapshot.asks)})


@settings(max_examples=80, deadline=None)
@given(snapshot=worlds(), which=st.integers(0, 2), more=st.sampled_from([1, 4, 99]))
def test_a_higher_price_never_brings_more_use_or_more_value(snapshot: Snapshot, which: int, more: int) -> None:
    """Monotone: raise any pool's price where nothing runs yet, a little or out of reach."""
    snapshot, p = waits(snapshot), which % len(snapshot.pools)
    pool = snapshot.pools[p]
    dearer = pool.model_copy(update={"usd_per_accelerator_hour": pool.usd_per_accelerator_hour + more})
    before = place(snapshot)
    now = place(snapshot.model_copy(update={"pools": (*snapshot.pools[:p], dearer, *snapshot.pools[p + 1 :])}))
    assert now.objective_value <= before.objective_value + 1e-6
    assert now.pools[p].used_accelerators <= before.pools[p].used_accelerators + 1e-6


@settings(max_examples=60, deadline=None)
@given(snapshot=worlds(), more=st.integers(1, 16))
def test_more_accelerators_or_asks_never_bring_less_value(snapshot: Snapshot, more: int) -> None:
    """Monotone: what is there may be left alone."""
    snapshot = waits(snapshot)
    pool = snapshot.pools[0]
    wider = pool.model_copy(update={"own_accelerators": pool.own_accelerators + more})
    value = place(snapshot).objective_value
    assert place(snapshot.model_copy(update={"pools": (wider, *snapshot.pools[1:])})).objective_value >= value - 1e-6
    assert place(snapshot.model_copy(update={"asks": snapshot.asks[1:]})).objective_value <= value + 1e-6


@settings(max_examples=80, deadline=None)
@given(
    snapshot=worlds(),
    objective=st.sampled_from(["value", "cost"]),
    count=st.integers(1, 3),
    above=st.sampled_from([0.0, 2.0, 50.0]),
)
def test_conservation(snapshot: Snapshot, objective: str, count: int, above: float) -> None:
    """Every ask runs or waits, every one that was stopped is told, and pools add up; counted from the answer alone."""
    asks = tuple(a if a.running_in else a.model_copy(update={"count": float(count)}) for a in snapshot.asks)
    first = snapshot.pools[0].id
    line = SupplyState(
        id="line", capacity=6.0, draw={first: 0.5}, above_usd_per_accelerator_hour={first: above} if above else {}
    )
    done = place(snapshot.model_copy(update={"asks": asks, "supplies": (line,)}), objective=objective)
    for ask in asks:
        runs = sum(row.count for row in done.assignments if row.ask == ask.id)
        left = sum(row.count for row in done.unplaced if row.ask == ask.id)
        stopped = sum(row.count for row in done.evictions if row.ask == ask.id)
        assert runs + left == pytest.approx(ask.count)
        assert stopped == pytest.approx(left if ask.running_in else 0.0)
        assert all(row.excuses for row in done.unplaced if row.ask == ask.id)
    for pool, use in zip(snapshot.pools, done.pools, strict=True):
        here = sum(row.accelerators for row in done.assignments if row.pool == pool.id)
        drawn = sum(row.accelerators for row in done.draws if row.pool == pool.id)
        assert use.used_accelerators == pytest.approx(here)
        assert here <= pool.own_accelerators + drawn + 1e-6
    assert sum(row.accelerators * 0.5 for row in done.draws) <= line.capacity + 1e-6


@settings(max_examples=60, deadline=None)
@given(snapshot=worlds())
def test_residency_holds_and_the_same_world_gives_the_same_placement(snapshot: Snapshot) -> None:
    done = place(snapshot)
    european = {ask.id for ask in snapshot.asks if ask.residency.allowed}
    regions = {pool.id: pool.region for pool in snapshot.pools}
    assert all(regions[row.pool] == "b/de" for row in done.assignments if row.ask in european)
    assert place(snapshot) == done


@settings(max_examples=40, deadline=None)
@given(snapshot=worlds(), objective=st.sampled_from(["max_min", "least_attained_service", "cost"]))
def test_every_objective_survives_its_recount(snapshot: Snapshot, objective: str) -> None:
    assert place(snapshot, objective=objective).worst_residual <= 1e-6


@pytest.mark.slow
@settings(max_examples=1500, deadline=None)
@given(snapshot=worlds())
def test_no_preemption_loop_in_thousands_of_worlds(snapshot: Snapshot) -> None:
    """P1.E: carried out, a world without news stops nobody any more."""
    second = after(snapshot)
    if second.asks:
        assert not place(second).evictions


@settings(max_examples=60, deadline=None)
@given(snapshot=worlds(), price=st.sampled_from([0.5, 2.0, 9.0]))
def test_less_power_or_a_smaller_share_never_brings_more_value(snapshot: Snapshot, price: float) -> None:
    """P1.G, P1.V, P1.B: a tighter limit or dearer missed floor never leaves more value."""
    waiting = tuple(ask.model_copy(update={"running_in": None}) for ask in snapshot.asks)
    pools = tuple(pool.model_copy(update={"facility_kw_per_accelerator": 1.0}) for pool in snapshot.pools)
    names = tuple(pool.id for pool in pools)
    values = []
    for mw, share in ((1.0, None), (0.02, None), (0.02, 0.7), (0.008, 0.6)):
        limits = (PowerLimit(id="hall", pools=names, max_mw=mw),)
        tight = {"asks": waiting, "pools": pools, "power_limits": limits, "max_vendor_fraction": share}
        values.append(place(snapshot.model_copy(update=tight)).objective_value)
    assert all(later <= earlier + 1e-6 * max(1.0, earlier) for earlier, later in pairwise(values))
    line = (SupplyState(id="line", capacity=8.0, draw={names[0]: 1.0}),)
    owed = [
        place(
            snapshot.model_copy(
                update={
                    "asks": waiting,
                    "supplies": line,
                    "burn_downs": (BurnDown(supply="line", owed=4.0, unmet_usd_per_unit=unmet),),
                }
            )
        ).objective_value
        for unmet in (0.0, price)
    ]
    assert owed[1] <= owed[0] + 1e-6 * max(1.0, abs(owed[0]))


@settings(max_examples=100, deadline=None)
@given(snapshot=worlds(), mw=st.sampled_from([0.0, 0.004, 0.012]), share=st.sampled_from([None, 0.5, 0.8]))
def test_a_limit_may_fall_below_what_runs(snapshot: Snapshot, mw: float, share: float | None) -> None:
    """P1.G and P1.V on running work, even if it may not be stopped: there is always an answer that keeps the limit."""
    pools = tuple(pool.model_copy(update={"facility_kw_per_accelerator": 1.0}) for pool in snapshot.pools)
    limit = PowerLimit(id="hall", pools=tuple(pool.id for pool in pools), max_mw=mw)
    tight = {"pools": pools, "power_limits": (limit,), "max_vendor_fraction": share}
    done = place(snapshot.model_copy(update=tight))
    assert sum(row.used_accelerators for row in done.pools) <= 1000 * mw + 1e-6
    assert done.worst_residual <= 1e-6

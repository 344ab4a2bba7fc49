"""The value layer against brute force: on tiny worlds every way to place the asks is tried."""

from __future__ import annotations

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from argosy.model.region import Region
from argosy.model.snapshot import PlaceAsk, PoolState, Snapshot
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

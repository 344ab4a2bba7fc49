"""Laws of value and packing layer together, on random pools with nodes, running asks and gangs."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from argosy.model.region import Region
from argosy.model.snapshot import NodeState, PlaceAsk, PoolState, Snapshot
from argosy.place import place
from argosy.place.seats import MOST_SOLVES, shape

REGIONS = (
    Region(id="a/us", vendor="a", jurisdiction="US"),
    Region(id="b/de", vendor="b", jurisdiction="DE", zones=("EU",)),
)


@st.composite
def worlds(draw) -> Snapshot:
    pools, nodes, asks, free = [], [], [], {}
    for i in range(draw(st.integers(1, 2))):
        devices = draw(st.sampled_from([2, 4]))
        mine = [
            NodeState(
                id=f"p{i}n{k}", pool=f"p{i}", accelerators=devices, domain=draw(st.sampled_from([None, "a", "b"]))
            )
            for k in range(draw(st.integers(1, 4)))
        ]
        nodes += mine
        free |= {node.id: devices for node in mine}
        pools.append(
            PoolState(
                id=f"p{i}",
                region=REGIONS[i].id,
                silicon="h100",
                family="cuda",
                own_accelerators=devices * len(mine),
                usd_per_accelerator_hour=draw(st.integers(0, 3)),
            )
        )
    for j in range(draw(st.integers(1, 8))):
        size = draw(st.sampled_from([0.5, 1.0, 2.0, 3.0, 4.0, 6.0]))
        ask = PlaceAsk(
            id=f"j{j}",
            accelerators=size,
            one_domain=draw(st.booleans()),
            speed={"h100": 1.0},
            families=("cuda",),
            usd_per_unit=draw(st.integers(1, 9)),
            preemptible=draw(st.booleans()),
        )
        at = draw(st.sampled_from([None, *nodes]))
        form = None if at is None else shape(ask, at.accelerators)
        # Running asks of one part, on a node that has room; shares take a device each, so that any two fit.
        if at is not None and form is not None and form.parts == 1 and free[at.id] >= max(1, form.devices):
            free[at.id] -= max(1, form.devices)
            ask = ask.model_copy(update={"running_in": at.pool, "running_on": (at.id,)})
        asks.append(ask)
    return Snapshot(price_source="contracts", regions=REGIONS, pools=tuple(pools), nodes=tuple(nodes), asks=tuple(asks))


@settings(max_examples=200, deadline=None)
@given(snapshot=worlds())
def test_all_that_is_placed_has_seats_and_the_recount_agrees(snapshot: Snapshot) -> None:
    """Conservation, P2.6 to P2.8: `place` recounts inside; the loop ends; the same world gives the same seats."""
    done = place(snapshot)
    assert all(row.seats for row in done.assignments)
    assert done.solves <= MOST_SOLVES + 1
    assert place(snapshot) == done


@settings(max_examples=150, deadline=None)
@given(snapshot=worlds())
def test_a_stopped_ask_that_asks_again_stops_nobody(snapshot: Snapshot) -> None:
    """P1.E with seats: carried out, what was stopped asks again and nothing is stopped for it."""
    done = place(snapshot)
    at = {row.ask: row for row in done.assignments}
    stopped = {row.ask for row in done.evictions}
    asks = []
    for ask in snapshot.asks:
        if ask.id in at:
            on = tuple(seat.node for seat in at[ask.id].seats)
            asks.append(ask.model_copy(update={"running_in": at[ask.id].pool, "running_on": on}))
        elif ask.id in stopped:
            asks.append(ask.model_copy(update={"running_in": None, "running_on": (), "may_preempt": False}))
    if asks:
        second = place(snapshot.model_copy(update={"asks": tuple(asks)}))
        assert not second.evictions

"""The packing layer under the value layer: rules P2.6 to P2.8."""

from __future__ import annotations

import pytest
from tests.unit.test_place_value import DE, ask, pool, where, world

from argosy.errors import BadInput
from argosy.model.snapshot import NodeState
from argosy.place import place
from argosy.place.check import check
from argosy.place.explain import explanation
from argosy.place.seats import shape


def rack(
    pool_id: str, nodes: int, devices: int = 8, domain: str | None = None, first: int = 0
) -> tuple[NodeState, ...]:
    return tuple(
        NodeState(id=f"{pool_id}-{first + i}", pool=pool_id, accelerators=devices, domain=domain) for i in range(nodes)
    )


def seats(placement, name: str) -> list[str]:
    return [seat.node for row in placement.assignments if row.ask == name for seat in row.seats]


def test_P2_6_an_ask_takes_the_fewest_equal_parts() -> None:
    assert (shape(ask("j", accelerators=12.0), 8).parts, shape(ask("j", accelerators=12.0), 8).devices) == (2, 6)
    assert (shape(ask("j", accelerators=72.0), 4).parts, shape(ask("j", accelerators=7.0), 4).parts) == (18, 7)
    share = shape(ask("j", accelerators=0.25), 8)
    assert (share.parts, share.devices, share.milli) == (1, 1, 250)


def test_every_ask_gets_its_nodes() -> None:
    pools = (pool("p", own_accelerators=16.0),)
    done = place(
        world(ask("j"), ask("k", accelerators=4.0), ask("l", accelerators=0.5), pools=pools, nodes=rack("p", 2))
    )
    assert len(seats(done, "j")) == 1
    assert seats(done, "k") == seats(done, "l") != seats(done, "j")
    assert "On p-" in "\n".join(explanation(done, "j"))
    assert place(world(*done_asks(), pools=pools, nodes=rack("p", 2))) == place(
        world(*done_asks(), pools=pools, nodes=rack("p", 2))
    )


def done_asks():
    return tuple(ask(f"j{i}", accelerators=float(1 + i % 4)) for i in range(6))


def test_P2_8_a_fragmented_pool_gives_the_ask_to_the_next_one() -> None:
    """Two asks of 5 run on two nodes of 8: six accelerators are free, but no 4 on one node."""
    pools = (pool("p", own_accelerators=16.0), pool("q", DE, usd_per_accelerator_hour=3.0))
    running = tuple(ask(f"r{i}", accelerators=5.0, running_in="p", running_on=(f"p-{i}",)) for i in range(2))
    done = place(world(*running, ask("new", accelerators=4.0), pools=pools, nodes=rack("p", 2)))
    assert where(done)["new"] == "q"
    assert done.solves == 2
    alone = place(world(*running, ask("new", accelerators=4.0), pools=pools[:1], nodes=rack("p", 2)))
    excuse = alone.unplaced[0].excuses[0]
    assert excuse.rule == "fragmented"
    assert excuse.limit == "p: fragmented: largest free node 3, asked 4; 6 free in all"
    assert [seats(alone, f"r{i}") for i in range(2)] == [["p-0"], ["p-1"]]


def test_P2_8_a_domain_that_is_too_small_is_an_excuse() -> None:
    """Three racks of 72: one holds a gang of 48, so the largest free domain for another 64 is a whole one."""
    nodes = tuple(n for r in range(2) for n in rack("p", 18, 4, f"rack-{r}", 18 * r))
    pools = (pool("p", own_accelerators=144.0),)
    first = ask(
        "first", accelerators=48.0, one_domain=True, running_in="p", running_on=tuple(f"p-{i}" for i in range(12))
    )
    gangs = tuple(ask(f"g{i}", accelerators=32.0, one_domain=True) for i in range(3))
    done = place(world(first, *gangs, pools=pools, nodes=nodes))
    assert sorted(where(done)) == ["first", "g0", "g1"]
    excuse = done.unplaced[0].excuses[0]
    assert excuse.limit == "p: fragmented: largest free domain 24, asked 32"
    for name in ("g0", "g1"):
        assert all(int(node[2:]) >= 18 for node in seats(done, name))
    free = place(world(first, *(g.model_copy(update={"one_domain": False}) for g in gangs), pools=pools, nodes=nodes))
    assert not free.unplaced


def test_nothing_is_stopped_for_an_ask_that_then_finds_no_seat() -> None:
    """Two asks of 1 run on two nodes of 2; a gang of 3 in one domain would gain more, but no node could hold it."""
    base = {"accelerators": 1.0, "running_in": "p", "usd_per_unit": 3.0}
    low = tuple(ask(f"l{i}", running_on=(f"p-{i}",), **base) for i in range(2))
    kept = low[1].model_copy(update={"preemptible": False})
    wants = ask("wants", accelerators=3.0, one_domain=True, usd_per_unit=90.0)
    done = place(world(low[0], kept, wants, pools=(pool("p", own_accelerators=4.0),), nodes=rack("p", 2, 2)))
    assert (sorted(where(done)), done.evictions) == (["l0", "l1"], ())


def test_cpu_and_memory_of_nodes_bind() -> None:
    nodes = (NodeState(id="n0", pool="p", accelerators=8, cpu_milli=8000, memory_mib=64_000),)
    asks = tuple(ask(f"j{i}", accelerators=1.0, cpu_milli=3000, memory_mib=1000) for i in range(4))
    assert len(place(world(*asks, pools=(pool("p"),), nodes=nodes)).assignments) == 2


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"running_in": "p"}, "runs in p, whose nodes are known, but not on which"),
        ({"running_in": "p", "running_on": ("nowhere",)}, "node 'nowhere' is not known"),
        ({"running_in": "p", "running_on": ("p-0", "p-1")}, "cannot run on p-0, p-1: 1 parts of 8"),
        ({"accelerators": 1.5}, "1.5 accelerators are neither whole ones nor a share of one"),
    ],
)
def test_what_cannot_be_is_bad_input(more: dict[str, object], message: str) -> None:
    with pytest.raises(BadInput, match=message):
        place(world(ask("j", **more), pools=(pool("p"),), nodes=rack("p", 2)))


def test_the_recount_sees_oversold_nodes_and_split_gangs() -> None:
    nodes = (*rack("p", 1, 4, "a"), *rack("p", 1, 4, "b", 1))
    gang = ask("j", accelerators=8.0)
    snapshot = world(gang, pools=(pool("p"),), nodes=nodes)
    done = place(snapshot)
    strict = world(gang.model_copy(update={"one_domain": True}), pools=(pool("p"),), nodes=nodes)
    assert check(strict, done)["domain"] == 1.0
    row = done.assignments[0]
    same = tuple(seat.model_copy(update={"node": "p-0"}) for seat in row.seats)
    assert (
        check(snapshot, done.model_copy(update={"assignments": (row.model_copy(update={"seats": same}),)}))["nodes"] > 0
    )


def test_P2_8_the_gap_counts_what_better_seats_could_bring() -> None:
    """Three asks of 5 fit on two nodes of 8 in sum and not in seats: the decision does not call itself optimal."""
    nodes = tuple(NodeState(id=f"n{i}", pool="p", accelerators=8) for i in range(2))
    asks = [ask(f"j{i}", accelerators=5.0) for i in range(3)]
    seen = world(*asks, pools=(pool("p", own_accelerators=16.0),), nodes=nodes)
    done = place(seen)
    assert sum(row.count for row in done.assignments) == 2
    assert (done.status, done.gap_fraction) == ("feasible", pytest.approx(1 / 3))
    alone = place(seen.model_copy(update={"asks": tuple(asks[:2])}))
    assert (alone.status, alone.gap_fraction) == ("optimal", 0.0)

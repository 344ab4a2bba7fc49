"""What a decision says of itself is true: runner-ups, excuses, and remedies that are followed (P1.R, P1.X, P1.X1)."""

from __future__ import annotations

from functools import partial

import pytest

from argosy.model.dataset import Dataset
from argosy.model.link import Link
from argosy.model.load import Residency
from argosy.model.placement import Placement
from argosy.model.region import Region
from argosy.model.snapshot import NodeState, PlaceAsk, PoolState, PowerLimit, Snapshot, SupplyState
from argosy.model.spread import Spread
from argosy.place import place
from argosy.place.explain import explanation
from argosy.place.remedy import Tried, tried, words

US = Region(id="a/us", vendor="a", jurisdiction="US")
DE = Region(id="b/de", vendor="b", jurisdiction="DE", zones=("EU",))


def pool(name: str, region: Region, own: float, price: float, **more: object) -> PoolState:
    return PoolState(
        id=name,
        region=region.id,
        silicon="h100",
        family="cuda",
        own_accelerators=own,
        usd_per_accelerator_hour=price,
        **more,  # type: ignore[arg-type]
    )


def ask(name: str, size: float, value: float, **more: object) -> PlaceAsk:
    return PlaceAsk(
        id=name,
        accelerators=size,
        speed={"h100": 1.0},
        families=("cuda",),
        usd_per_unit=value,
        **more,  # type: ignore[arg-type]
    )


def world(pools: tuple[PoolState, ...], asks: tuple[PlaceAsk, ...], **more: object) -> Snapshot:
    return Snapshot(price_source="contracts", regions=(US, DE), pools=pools, asks=asks, **more)  # type: ignore[arg-type]


def follow(snapshot: Snapshot, name: str) -> tuple[Placement, tuple[Tried, ...]]:
    done = place(snapshot)
    return done, tried(snapshot, done, name, partial(place))


@pytest.mark.parametrize("copied", [False, True])
def test_p1r_the_loss_in_the_runner_up_is_what_the_whole_decision_would_lose(copied: bool) -> None:
    """Where nothing is scarce: forbid the pool that was taken, decide again, compare. A first reader pays the copy."""
    link = Link(start="a/us", end="b/de", usd_per_gib=0.05, p50_gbit_per_second=50)
    reader = ask("r", 4, 5, datasets=("d",))
    asks = (reader, ask("other", 1, 9, datasets=("d",), allowed_pools=("de",))) if copied else (reader,)
    more = {"datasets": (Dataset(id="d", home="a/us", size_gib=1000),), "links": (link,)}
    snapshot = world((pool("us", US, 8, 3), pool("de", DE, 16, 2.9)), asks, **more)
    done = place(snapshot)
    row = next(row for row in done.assignments if row.ask == "r")
    forced = snapshot.model_copy(
        update={"asks": tuple(a.model_copy(update={"allowed_pools": (row.runner_up,)}) for a in asks[:1]) + asks[1:]}
    )
    lost = (done.objective_value - place(forced).objective_value) / snapshot.window_hours
    assert row.runner_up_loss_usd_per_hour == pytest.approx(lost, rel=1e-6)
    assert (copied, "a copy of its data" in str(row.why_not)) in ((False, True), (True, False))


def test_p1z_accelerators_that_others_would_take_first() -> None:
    """Four more are short, but another ask that waits is worth more: eight it is."""
    asks = (ask("runs", 4, 9), ask("first", 4, 8), ask("last", 4, 5))
    done, found = follow(world((pool("p", US, 4, 1),), asks), "last")
    assert {row.ask for row in done.unplaced} == {"first", "last"}
    assert "add 4 accelerators there" in done.unplaced[1].excuses[0].remedy
    assert (found[0].change, found[0].runs, found[0].pool) == (
        "with 8 more accelerators in p, the first of which go to others,",
        True,
        "p",
    )
    # Its own value: above that of what runs there.
    assert (found[1].rule, found[1].runs) == ("price", True)
    assert 9 < float(found[1].change.split(" ")[2]) < 9.2


def test_p1x_less_than_the_value_that_is_named_never_outbids() -> None:
    """The prices of scarcity give the least it would take; P1.X1 finds what it takes."""
    asks = (ask("a", 4, 9), ask("b", 4, 7), ask("c", 4, 5))
    snapshot = world((pool("p", US, 4, 1), pool("q", DE, 2, 1)), asks)
    done, found = follow(snapshot, "c")
    assert "or raise its value" in next(e for e in done.unplaced[-1].excuses if e.limit.startswith("p:")).remedy
    needed = float(next(row.change for row in found if row.rule == "price").split(" ")[2])
    assert 9 < needed < 9.1
    for value, waits in ((needed, False), (8.95, True)):
        changed = (*asks[:2], asks[2].model_copy(update={"usd_per_unit": value}))
        left = {row.ask for row in place(snapshot.model_copy(update={"asks": changed})).unplaced}
        assert ("c" in left) is waits


def test_p1x_a_gang_larger_than_a_dear_pool_is_told_both() -> None:
    done, found = follow(world((pool("p", US, 4, 9),), (ask("g", 6, 5),)), "g")
    excuse = done.unplaced[0].excuses[0]
    assert (
        excuse.limit
        == "p: an accelerator-hour is worth 5.00 USD to it and costs 9.00, and 6 are wanted where there are 4"
    )
    assert excuse.remedy == "raise its value and add 2 accelerators there"
    assert found == ()  # No value makes the pool larger, so none is tried.


def test_p1r_no_runner_up_is_too_small_for_the_gang() -> None:
    done = place(world((pool("p", US, 8, 1), pool("q", US, 4, 1)), (ask("g", 8, 5), ask("s", 2, 5))))
    told = {row.ask: row.runner_up for row in done.assignments}
    assert told["g"] is None
    assert "No other pool could run it" in " ".join(explanation(done, "g"))


def test_a_stop_names_who_comes_instead() -> None:
    old = ask("old", 4, 2, running_in="p")
    done = place(world((pool("p", US, 4, 1),), (old, ask("new", 4, 9))))
    assert [row.reason for row in done.evictions] == ["its accelerators do more for new"]


def test_a_missed_deadline_says_by_how_much() -> None:
    late = ask("late", 4, 5, remaining_units=120.0, deadline_hours=24.0)
    done = place(world((pool("p", US, 4, 1),), (late,)))
    assert done.unplaced[0].excuses[0].limit == "p: done after 30 hours, 6 too late"


def test_p1z_masks_and_limits_are_lifted_one_by_one() -> None:
    bound = world(
        (pool("p", US, 8, 1, facility_kw_per_accelerator=1000.0), pool("q", DE, 8, 1, cordoned=True)),
        (ask("m", 4, 5, residency=Residency(allowed=("EU",))),),
        power_limits=(PowerLimit(id="hall", pools=("p",), max_mw=1.0),),
    )
    _, found = follow(bound, "m")
    told = {row.rule: (row.runs, row.pool) for row in found}
    # Without residency the hall still has too little power for it; nothing but the cordon helps.
    assert told == {"cordon": (True, "q"), "residency": (False, None)}
    assert "hall has 1 of MW left and 4 are wanted" in next(words(row) for row in found if row.rule == "residency")
    _, found = follow(bound.model_copy(update={"asks": (ask("m", 4, 5),)}), "m")
    assert ("P1.G", True, "p") in {(row.rule, row.runs, row.pool) for row in found}


def test_p1z_a_shared_supply_and_a_deadline() -> None:
    line = SupplyState(id="line", capacity=4.0, draw={"p": 1.0, "q": 1.0})
    asks = (ask("one", 4, 9, allowed_pools=("p",)), ask("two", 4, 5, allowed_pools=("q",)))
    done, found = follow(world((pool("p", US, 0, 1), pool("q", US, 0, 1)), asks, supplies=(line,)), "two")
    assert done.unplaced[0].excuses[0].rule == "P1.L"
    assert (found[0].change, found[0].runs) == ("with 4 more of line", True)
    late = ask("late", 4, 5, remaining_units=400.0, deadline_hours=20.0)
    _, found = follow(world((pool("p", US, 8, 1),), (late,)), "late")
    assert [(row.rule, row.runs) for row in found] == [("deadline", True)]


def test_p1h_too_few_failure_domains_come_before_every_pool() -> None:
    apart = ask("s", 1, 9, count=4, spread=Spread(over="vendor", max_fraction=1.0, min_domains=3))
    done, found = follow(world((pool("p", US, 8, 1), pool("q", DE, 1, 1)), (apart,)), "s")
    assert [e.limit for e in done.unplaced[0].excuses] == [
        "replicas must run in 3 vendors or none at all, 2 are open to it: a, b"
    ]
    assert [(row.rule, row.runs) for row in found] == [("P1.H", True)]


def test_p1z_an_ask_that_runs_has_nothing_to_try() -> None:
    assert follow(world((pool("p", US, 8, 1),), (ask("r", 4, 5),)), "r")[1] == ()


def test_p1x1_accelerators_are_added_with_their_nodes() -> None:
    """P1.N: in a pool whose nodes are known, accelerators without a node would help nobody."""
    nodes = (NodeState(id="n", pool="p", accelerators=4),)
    _, found = follow(world((pool("p", US, 4, 1),), (ask("g", 6, 5),), nodes=nodes), "g")
    assert (found[0].change, found[0].runs, found[0].pool) == ("with 2 more accelerators in p", True, "p")

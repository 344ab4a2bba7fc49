"""P1.U and P1.3: how near to their users asks must run, and which throughput counts for data."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support import worlds_plan as w
from tests.unit.test_place_value import CORPUS, DE, LINK, US, ask, pool, where, world

from argosy.errors import BadInput
from argosy.model.consistency import faults
from argosy.model.latency import Latency
from argosy.model.link import Link
from argosy.model.region import Region
from argosy.model.snapshot import Snapshot
from argosy.model.snapshot_ask import AskLine
from argosy.place import place
from argosy.place.check import check
from argosy.place.explain import explanation
from argosy.place.inputs import snapshot
from argosy.simulate.first_fit import first_fit
from argosy.units import Month

FAR = Link(start="a/us", end="b/de", usd_per_gib=0.1, round_trip_milliseconds=90.0, p90_round_trip_milliseconds=120.0)
CHEAP_FAR = (pool("us", usd_per_accelerator_hour=3.0), pool("de", DE, usd_per_accelerator_hour=1.0))


def near(most: float, **more) -> Latency:
    return Latency(max_round_trip_milliseconds=most, **more)


def test_P1_U_a_pool_beyond_the_limit_is_masked_and_says_how_far_it_is() -> None:
    one = world(ask("chat", home="a/us", latency=near(50.0)), pools=CHEAP_FAR, links=(FAR,))
    done = place(one)
    assert where(done) == {"chat": "us"}
    row = done.assignments[0]
    assert (row.round_trip_milliseconds, row.max_round_trip_milliseconds) == (0.0, 50.0)
    assert "users are 0 ms away (there and back); at most 50" in "\n".join(explanation(done, "chat"))
    alone = place(world(ask("chat", home="a/us", latency=near(50.0)), pools=CHEAP_FAR[1:], links=(FAR,)))
    excuse = alone.unplaced[0].excuses[0]
    assert (excuse.rule, excuse.short, excuse.unit) == ("latency", 40.0, "milliseconds")
    assert excuse.limit == "de: b/de is 90 ms there and back (p50) from users in a/us, at most 50 are allowed"
    assert excuse.remedy == "add capacity within 50 ms of a/us, or allow 90"


def test_P1_U_what_is_within_the_limit_goes_where_it_is_cheaper() -> None:
    done = place(world(ask("chat", home="a/us", latency=near(90.0)), pools=CHEAP_FAR, links=(FAR,)))
    assert (where(done), done.assignments[0].round_trip_milliseconds) == ({"chat": "de"}, 90.0)
    careful = near(100.0, quantile="p90")
    assert where(place(world(ask("chat", home="a/us", latency=careful), pools=CHEAP_FAR, links=(FAR,)))) == {
        "chat": "us"
    }


def test_P1_U_all_users_must_be_near_enough() -> None:
    both = near(50.0, users=("a/us", "b/de"))
    done = place(world(ask("chat", latency=both), pools=CHEAP_FAR, links=(FAR,)))
    assert not done.assignments
    assert {row.rule for row in done.unplaced[0].excuses} == {"latency"}


def test_P1_U_a_distance_that_nobody_measured_is_an_error_that_names_the_link() -> None:
    """LINK has a price and no round-trip time, FAR has one of the median only."""
    rule = ask("chat", home="a/us", latency=near(50.0))
    with pytest.raises(BadInput, match="no link between a/us and b/de says its round_trip_milliseconds"):
        place(world(rule, pools=CHEAP_FAR, links=(LINK,)))
    median = FAR.model_copy(update={"p90_round_trip_milliseconds": None})
    strict = ask("chat", home="a/us", latency=near(50.0, quantile="p90"))
    with pytest.raises(BadInput, match="says its p90_round_trip_milliseconds"):
        place(world(strict, pools=CHEAP_FAR, links=(median,)))
    with pytest.raises(BadInput, match="neither users nor home"):
        place(world(ask("chat", latency=near(50.0)), pools=CHEAP_FAR, links=(FAR,)))
    with pytest.raises(BadInput, match="'nowhere' is not known"):
        place(world(ask("chat", latency=near(50.0, users=("nowhere",))), pools=CHEAP_FAR, links=(FAR,)))


def test_P1_U_the_other_direction_counts_and_a_link_without_a_time_is_passed_over() -> None:
    back = Link(start="b/de", end="a/us", usd_per_gib=0.1, round_trip_milliseconds=30.0)
    done = place(world(ask("chat", home="a/us", latency=near(50.0)), pools=CHEAP_FAR, links=(LINK, back)))
    assert done.assignments[0].round_trip_milliseconds == 30.0


def test_P1_U_the_recount_sees_a_pool_that_is_too_far_and_a_distance_told_wrongly() -> None:
    loose = world(ask("chat", home="a/us", latency=near(90.0)), pools=CHEAP_FAR, links=(FAR,))
    tight = world(ask("chat", home="a/us", latency=near(50.0)), pools=CHEAP_FAR, links=(FAR,))
    done = place(loose)
    assert check(tight, done)["P1.U"] == 1.0
    wrong = done.assignments[0].model_copy(update={"round_trip_milliseconds": 5.0})
    assert check(loose, done.model_copy(update={"assignments": (wrong,)}))["P1.U"] == 1.0


def test_P1_U_first_fit_keeps_it_too() -> None:
    seen = world(ask("chat", home="a/us", latency=near(50.0)), pools=CHEAP_FAR, links=(FAR,))
    assert where(first_fit(seen)) == {"chat": "us"}


def test_P1_U_what_runs_too_far_away_is_stopped_or_moved() -> None:
    """A tighter objective on running work: it moves, and with nowhere to go it is stopped with the reason."""
    runs = ask("chat", home="a/us", latency=near(50.0), running_in="de")
    assert where(place(world(runs, pools=CHEAP_FAR, links=(FAR,)))) == {"chat": "us"}
    stopped = place(world(runs, pools=CHEAP_FAR[1:], links=(FAR,)))
    assert "latency: b/de is 90 ms" in stopped.evictions[0].reason


@pytest.mark.parametrize(("quantile", "factor"), [("p50", 1.0), ("p10", 2.0)])
def test_P1_3_the_throughput_that_counts_is_chosen(quantile: str, factor: float) -> None:
    seen = world(
        ask("j", datasets=("corpus",)), pools=(pool("de", DE, usd_per_accelerator_hour=1.0),), datasets=(CORPUS,),
        links=(LINK,), throughput_quantile=quantile,
    )  # fmt: skip
    done = place(seen)
    median = 1000 * 2**30 * 8 / 8e9 / 3600
    assert done.transfers[0].hours == pytest.approx(factor * median)
    assert done.assignments[0].start_after_hours == pytest.approx(factor * median)
    early = done.assignments[0].model_copy(update={"start_after_hours": 0.0})
    assert check(seen, done.model_copy(update={"assignments": (early,)}))["P1.3"] > 0.1
    bare = Link(start="a", end="b", usd_per_gib=0.1, p50_gbit_per_second=8.0)
    unknown = place(seen.model_copy(update={"links": (bare,)}))
    assert bool(unknown.unplaced) == (quantile == "p10")


CITIES = tuple(Region(id=f"{v}/{r}", vendor=v, jurisdiction="US") for v, r in (("a", "x"), ("a", "y"), ("b", "z")))


@st.composite
def worlds(draw) -> Snapshot:
    links = tuple(
        Link(
            start=one.id, end=two.id, usd_per_gib=0.1, round_trip_milliseconds=draw(st.sampled_from([5.0, 20.0, 60.0]))
        )
        for one, two in itertools.combinations(CITIES, 2)
    )
    pools = tuple(
        pool(
            f"p{i}", region, usd_per_accelerator_hour=draw(st.integers(0, 5)), own_accelerators=draw(st.integers(0, 3))
        )
        for i, region in enumerate(CITIES)
    )
    asks = tuple(
        ask(
            f"j{i}",
            accelerators=1.0,
            usd_per_unit=draw(st.integers(1, 8)),
            latency=near(
                draw(st.sampled_from([4.0, 10.0, 30.0])),
                users=tuple(draw(st.lists(st.sampled_from([r.id for r in CITIES]), min_size=1, unique=True))),
            ),
        )
        for i in range(draw(st.integers(1, 4)))
    )
    return Snapshot(price_source="contracts", regions=CITIES, pools=pools, asks=asks, links=links)


def best(seen: Snapshot) -> float:
    """Every ask in every pool, distances looked up in the list of links."""
    far = {frozenset((link.start, link.end)): link.round_trip_milliseconds for link in seen.links}
    top = 0.0
    for choice in itertools.product((None, 0, 1, 2), repeat=len(seen.asks)):
        used, value, right = [0, 0, 0], 0.0, True
        for row, p in zip(seen.asks, choice, strict=True):
            if p is None:
                continue
            used[p] += 1
            value += 24 * (row.usd_per_unit - seen.pools[p].usd_per_accelerator_hour)
            for user in row.latency.users:
                there = 0.0 if user == CITIES[p].id else far[frozenset((user, CITIES[p].id))]
                right &= there <= row.latency.max_round_trip_milliseconds
        if right and all(u <= p.own_accelerators for u, p in zip(used, seen.pools, strict=True)):
            top = max(top, value)
    return top


@settings(max_examples=60, deadline=None)
@given(seen=worlds())
def test_P1_U_leaves_the_best_that_it_allows(seen: Snapshot) -> None:
    known = best(seen)
    assert place(seen).objective_value == pytest.approx(known, abs=1e-6)


RULE = {"max_round_trip_milliseconds": 40.0}
MEASURED = [
    {"start": "acme/west", "end": "acme/east", "usd_per_gib": 0.02, "round_trip_milliseconds": 60.0},
    {"start": "acme/west", "end": "birch/rhein", "usd_per_gib": 0.02, "round_trip_milliseconds": 140.0},
]


def test_P1_U_plan_and_place_keep_what_the_workload_says() -> None:
    """List prices of 1 USD far away and 4 USD at home: with the objective both stay at home."""
    contracts = [w.on_demand(4.0, "a"), w.on_demand(1.0, "e")]
    free = w.world(contracts, [w.work(10.0, unserved=1e4)], links=MEASURED)
    bound = w.world(contracts, [w.work(10.0, unserved=1e4, latency=RULE)], links=MEASURED)
    used = {row.pool: row.used_accelerators for row in place(snapshot(bound, Month.parse("2026-01"))).pools}
    assert used == {"a": pytest.approx(10.0), "e": 0.0}
    assert w.planned(bound).objective_usd > w.planned(free).objective_usd
    line = AskLine(id="own", workload="job", accelerators=4.0, latency=near(100.0, users=("acme/west",)))
    (own,) = snapshot(bound, Month.parse("2026-01"), lines=(line,)).asks
    assert own.latency == line.latency
    inherited = line.model_copy(update={"latency": None})
    assert snapshot(bound, Month.parse("2026-01"), lines=(inherited,)).asks[0].latency == near(40.0)
    wrong = line.model_copy(update={"latency": near(5.0, users=("nowhere",))})
    with pytest.raises(BadInput, match="'nowhere' is no region"):
        snapshot(bound, Month.parse("2026-01"), lines=(wrong,))


@pytest.mark.parametrize(
    ("latency", "links", "code"),
    [
        (RULE, [], "latency.missing"),
        ({**RULE, "quantile": "p90"}, MEASURED, "latency.missing"),
        ({**RULE, "users": ["acme/nowhere"]}, MEASURED, "reference.unknown"),
        ({**RULE, "users": ["birch/rhein"]}, MEASURED, "demand.unsellable"),
    ],
)
def test_P1_U_a_portfolio_that_cannot_keep_it_is_told_at_once(latency, links, code: str) -> None:
    contracts = [w.on_demand(4.0, "a"), w.on_demand(1.0, "e")]
    more = [{"start": "acme/east", "end": "birch/rhein", "usd_per_gib": 0.02, "round_trip_milliseconds": 150.0}]
    seen = w.world(
        contracts, [w.work(10.0, latency=latency)], links=[*links, *more] if links else links, consistent=False
    )
    assert code in {fault.code for fault in faults(seen)}


def test_users_at_home_are_at_no_distance() -> None:
    assert US.id != DE.id
    done = place(world(ask("chat", home="b/de", latency=near(0.001)), pools=CHEAP_FAR, links=(FAR,)))
    assert done.assignments[0].round_trip_milliseconds == 0.0

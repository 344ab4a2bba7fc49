"""The value layer: prices, data, residency, moves, excuses, on worlds that can be seen through."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from argosy.errors import BadInput
from argosy.model.dataset import Dataset
from argosy.model.link import Link, PriceTier
from argosy.model.load import Residency
from argosy.model.region import Region
from argosy.model.snapshot import PlaceAsk, PoolState, Snapshot, SupplyState
from argosy.place import place
from argosy.place.check import check
from argosy.place.explain import explanation

US = Region(id="a/us", vendor="a", jurisdiction="US")
DE = Region(id="b/de", vendor="b", jurisdiction="DE", zones=("EU",))


def pool(name: str, region: Region = US, **more) -> PoolState:
    base = {"silicon": "h100", "family": "cuda", "own_accelerators": 8.0, "usd_per_accelerator_hour": 2.0}
    return PoolState(id=name, region=region.id, **{**base, **more})


def ask(name: str, **more) -> PlaceAsk:
    base = {"accelerators": 8.0, "speed": {"h100": 1.0}, "families": ("cuda",), "usd_per_unit": 4.0}
    return PlaceAsk(id=name, **{**base, **more})


def world(*asks: PlaceAsk, pools: tuple[PoolState, ...], **more) -> Snapshot:
    return Snapshot(**{"price_source": "contracts", "regions": (US, DE), "pools": pools, "asks": asks, **more})


def where(placement) -> dict[str, str]:
    return {row.ask: row.pool for row in placement.assignments}


def test_the_cheaper_pool_wins_and_the_runner_up_is_told() -> None:
    done = place(world(ask("j"), pools=(pool("dear", usd_per_accelerator_hour=3.0), pool("cheap"))))
    row = done.assignments[0]
    assert (row.pool, row.runner_up, row.runner_up_loss_usd_per_hour) == ("cheap", "dear", pytest.approx(8.0))
    assert "8.00 USD per hour more" in (row.why_not or "")


def test_work_worth_less_than_the_internal_price_waits_and_says_so() -> None:
    done = place(world(ask("j", usd_per_unit=1.0), pools=(pool("p"),)))
    assert not done.assignments
    excuse = done.unplaced[0].excuses[0]
    assert (excuse.rule, excuse.short) == ("price", pytest.approx(1.0))


def test_a_gang_is_placed_whole_or_not_at_all() -> None:
    done = place(world(ask("j", accelerators=12.0), pools=(pool("p"), pool("q"))))
    assert not done.assignments
    assert done.unplaced[0].excuses[0].limit == "p: insufficient unused accelerators, 12 wanted and 8 of 8 free"
    assert done.unplaced[0].excuses[0].short == 4.0


def test_a_gang_for_one_domain_needs_one_that_is_large_enough() -> None:
    pools = (pool("p", own_accelerators=64.0, domain_accelerators=8),)
    assert not place(world(ask("j", accelerators=16.0, one_domain=True), pools=pools)).assignments
    assert place(world(ask("j", accelerators=16.0), pools=pools)).assignments


def test_scarcity_is_the_gain_of_the_best_that_waits() -> None:
    """P1.P: one full pool of 8; the loser would have gained (5 - 2) USD for each accelerator-hour."""
    done = place(world(ask("j", usd_per_unit=6.0), ask("k", usd_per_unit=5.0), pools=(pool("p"),)))
    assert where(done) == {"j": "p"}
    assert done.pools[0].scarcity_usd_per_accelerator_hour == pytest.approx(3.0)


def test_supply_shared_by_pools_is_not_used_twice() -> None:
    pools = (pool("p", own_accelerators=0.0), pool("q", own_accelerators=0.0))
    supplies = (SupplyState(id="s", capacity=8.0, draw={"p": 1.0, "q": 1.0}),)
    done = place(world(ask("j"), ask("k", usd_per_unit=5.0), pools=pools, supplies=supplies))
    assert list(where(done)) == ["k"]
    assert sum(row.accelerators for row in done.draws) == 8.0


@pytest.mark.parametrize("rule", [Residency(allowed=("EU",)), Residency(denied=("US",))])
def test_residency_is_a_hard_mask(rule: Residency) -> None:
    done = place(world(ask("j", residency=rule), pools=(pool("us", usd_per_accelerator_hour=0.0), pool("de", DE))))
    assert where(done) == {"j": "de"}
    only_us = place(world(ask("j", residency=rule), pools=(pool("us"),)))
    assert only_us.unplaced[0].excuses[0].rule == "residency"


LINK = Link(start="a", end="b", usd_per_gib=0.1, p10_gbit_per_second=4.0, p50_gbit_per_second=8.0)
CORPUS = Dataset(id="corpus", home="a/us", size_gib=1000.0)


def test_a_copy_is_charged_once_shared_and_ordered_before_the_start() -> None:
    asks = tuple(ask(f"j{i}", accelerators=4.0, datasets=("corpus",)) for i in range(2))
    done = place(world(*asks, pools=(pool("de", DE, usd_per_accelerator_hour=1.0),), datasets=(CORPUS,), links=(LINK,)))
    (copy,) = done.transfers
    assert (copy.usd, copy.readers) == (pytest.approx(100.0), ("j0", "j1"))
    assert copy.hours == pytest.approx(1000 * 2**30 * 8 / 8e9 / 3600)
    assert copy.slow_hours == pytest.approx(2 * copy.hours)
    assert all(row.start_after_hours == pytest.approx(copy.hours) for row in done.assignments)
    value = 2 * (24 - copy.hours) * 4 * (4 - 1) - 100.0
    assert done.objective_value == pytest.approx(value)
    unknown = LINK.model_copy(update={"p10_gbit_per_second": None})
    pools = (pool("de", DE, usd_per_accelerator_hour=1.0),)
    done = place(world(*asks, pools=pools, datasets=(CORPUS,), links=(unknown,)))
    assert done.transfers[0].slow_hours is None  # Nobody measured it; it is not the median.


TIERED = LINK.model_copy(
    update={
        "moved_gib_per_month": 300.0,
        "tiers": (
            PriceTier(above_gib_per_month=500.0, usd_per_gib=0.05),
            PriceTier(above_gib_per_month=1200.0, usd_per_gib=0.01),
        ),
    }
)


def test_p1_5_a_copy_costs_what_its_gib_cost_across_tiers() -> None:
    """From 300 to 1,300 GiB: 200 at 0.1, 700 at 0.05, 100 at 0.01; what flows costs 0.1, as the next GiB does."""
    usd = 200 * 0.1 + 700 * 0.05 + 100 * 0.01
    pools = (pool("de", DE, usd_per_accelerator_hour=1.0),)
    done = place(world(ask("j", datasets=("corpus",)), pools=pools, datasets=(CORPUS,), links=(TIERED,)))
    assert done.transfers[0].usd == pytest.approx(usd)
    waits = ask("j", checkpoint_in="a/us", checkpoint_gib=1000.0)
    one, none = (
        place(world(row, pools=pools, links=(TIERED,))).objective_value
        for row in (waits, waits.model_copy(update={"checkpoint_gib": 0.0}))
    )
    hours = 1000 * 2**30 * 8 / 8e9 / 3600
    assert none - one == pytest.approx(usd + hours * 8 * (4 - 1))
    flows = ask("j", home="a/us", data_gib_per_unit=2.0)
    value = place(world(flows, pools=pools, links=(TIERED,))).objective_value
    assert value == pytest.approx(24 * 8 * (4 - 1 - 2 * 0.1))
    full = TIERED.model_copy(update={"moved_gib_per_month": 1200.0})
    value = place(world(flows, pools=pools, links=(full,))).objective_value
    assert value == pytest.approx(24 * 8 * (4 - 1 - 2 * 0.01)), "a tier begins at its volume"


def test_p1_5_tiers_must_rise() -> None:
    rows = [{"above_gib_per_month": gib, "usd_per_gib": 0.1} for gib in (500.0, 500.0)]
    with pytest.raises(ValidationError, match="each tier must begin above the one before it"):
        Link.model_validate({"start": "a", "end": "b", "usd_per_gib": 0.1, "tiers": tuple(rows)})


def test_a_copy_that_one_cannot_pay_two_can() -> None:
    """Shared once: 24 h of one ask gain less than the way costs, those of two gain more."""
    dear = LINK.model_copy(update={"usd_per_gib": 0.4})
    place_of = {"pools": (pool("de", DE, usd_per_accelerator_hour=1.0),), "datasets": (CORPUS,), "links": (dear,)}
    one = place(world(ask("j0", accelerators=4.0, datasets=("corpus",)), **place_of))
    two = place(world(*(ask(f"j{i}", accelerators=4.0, datasets=("corpus",)) for i in range(2)), **place_of))
    assert (len(one.assignments), len(two.assignments)) == (0, 2)


def test_a_missing_link_is_an_error_that_names_it() -> None:
    with pytest.raises(BadInput, match="dataset corpus would move from a/us to b/de, but no link has a price"):
        place(world(ask("j", datasets=("corpus",)), pools=(pool("de", DE),), datasets=(CORPUS,)))
    bare = Link(start="a", end="b", usd_per_gib=0.1)
    done = place(world(ask("j", datasets=("corpus",)), pools=(pool("de", DE),), datasets=(CORPUS,), links=(bare,)))
    assert done.unplaced[0].excuses[0].rule == "link"
    with pytest.raises(BadInput, match="checkpoint of j would move from a/us to b/de"):
        place(world(ask("j", running_in="us", checkpoint_gib=5.0), pools=(pool("us"), pool("de", DE))))


def test_data_that_may_not_leave_keeps_its_readers_at_home() -> None:
    home = CORPUS.model_copy(update={"jurisdictions": ("US",)})
    pools = (pool("us", usd_per_accelerator_hour=3.0), pool("de", DE, usd_per_accelerator_hour=0.0))
    done = place(world(ask("j", datasets=("corpus",)), pools=pools, datasets=(home,), links=(LINK,)))
    assert where(done) == {"j": "us"}


def test_a_move_must_gain_more_than_it_costs() -> None:
    """24 h at 1 USD less for 8 accelerators gain 192 USD; the move loses restart_hours x 8 x 4 USD of work and more."""
    pools = (pool("here", usd_per_accelerator_hour=3.0), pool("there"))
    moved = place(world(ask("j", running_in="here", restart_hours=1.0), pools=pools))
    stays = place(world(ask("j", running_in="here", restart_hours=5.0), pools=pools))
    assert (where(moved), moved.assignments[0].change) == ({"j": "there"}, "migrate")
    assert (where(stays), stays.assignments[0].change) == ({"j": "here"}, "stay")


def test_hysteresis_asks_for_more_than_break_even() -> None:
    pools = (pool("here", usd_per_accelerator_hour=3.0), pool("there"))
    running = ask("j", running_in="here", restart_hours=3.4)
    assert where(place(world(running, pools=pools, hysteresis_fraction=0.0))) == {"j": "there"}
    assert where(place(world(running, pools=pools, hysteresis_fraction=1.0))) == {"j": "here"}


def test_a_better_ask_stops_a_preemptible_one_but_no_other() -> None:
    low = ask("low", running_in="p", usd_per_unit=3.0)
    high = ask("high", usd_per_unit=9.0)
    done = place(world(low, high, pools=(pool("p"),)))
    assert (where(done), done.evictions[0].ask) == ({"high": "p"}, "low")
    fixed = low.model_copy(update={"preemptible": False})
    assert where(place(world(fixed, high, pools=(pool("p"),)))) == {"low": "p"}
    again = high.model_copy(update={"may_preempt": False})
    assert where(place(world(low, again, pools=(pool("p"),)))) == {"low": "p"}


def test_P3_3_a_stop_must_gain_more_than_the_restart_that_it_makes_necessary() -> None:
    """24 h at 0.1 USD more for 8 accelerators gain 19.2 USD; a restart of 1 h loses 8 x 3 USD, a quarter more with
    hysteresis. The recount sees a stop that was not paid for."""
    high, low = ask("high", usd_per_unit=3.1), ask("low", running_in="p", usd_per_unit=3.0)
    free = place(world(low, high, pools=(pool("p"),)))
    dear = place(world(low.model_copy(update={"restart_hours": 1.0}), high, pools=(pool("p"),)))
    assert (where(free), where(dear)) == ({"high": "p"}, {"low": "p"})
    better = high.model_copy(update={"usd_per_unit": 4.0})
    seen = world(low.model_copy(update={"restart_hours": 1.0}), better, pools=(pool("p"),))
    done = place(seen)
    assert where(done) == {"high": "p"}
    assert done.objective_value == pytest.approx(24 * 8 * (4 - 2) - 8 * 3 * 1.25)
    unpaid = done.model_copy(update={"objective_value": 24 * 8 * (4 - 2.0)})
    assert check(seen, unpaid)["money"] > 1e-2


def test_nothing_new_starts_in_a_cordoned_pool_and_what_runs_may_stay() -> None:
    pools = (pool("p", cordoned=True, own_accelerators=16.0),)
    done = place(world(ask("old", running_in="p"), ask("new"), pools=pools))
    assert where(done) == {"old": "p"}
    assert done.unplaced[0].excuses[0].rule == "cordon"


def test_a_pool_that_shrank_by_less_than_a_gang_stops_a_whole_one_p3_2() -> None:
    running = (ask("a", running_in="p", usd_per_unit=9.0), ask("b", running_in="p"))
    done = place(world(*running, pools=(pool("p", own_accelerators=12.0),)))
    assert (where(done), done.forced) == ({"a": "p"}, True)


def test_a_deadline_that_spot_would_miss_rules_it_out() -> None:
    pools = (pool("spot", tier="spot", usd_per_accelerator_hour=0.5), pool("firm"))
    late = ask("j", spot_goodput_fraction=0.5, remaining_units=80.0, deadline_hours=12.0)
    assert where(place(world(late, pools=pools))) == {"j": "firm"}
    assert where(place(world(late.model_copy(update={"deadline_hours": 24.0}), pools=pools))) == {"j": "spot"}


def test_teams_and_vendors_have_their_share_at_most() -> None:
    pools = (pool("us"), pool("de", DE))
    mine = tuple(ask(f"j{i}", owner="red", accelerators=4.0) for i in range(4))
    assert len(place(world(*mine, pools=pools, owner_shares={"red": 0.5})).assignments) == 2
    spread = place(world(*mine, pools=pools, max_vendor_fraction=0.5))
    assert {row.pool: row.used_accelerators for row in spread.pools} == {"us": 8.0, "de": 8.0}


def test_cost_places_all_it_can_at_the_lowest_price() -> None:
    pools = (pool("dear", usd_per_accelerator_hour=9.0), pool("cheap"))
    done = place(world(ask("j"), ask("k"), pools=pools), objective="cost")
    assert len(done.assignments) == 2
    assert done.objective_value == pytest.approx(24 * 8 * (9 + 2))


def test_max_min_gives_equal_asks_equal_progress() -> None:
    done = place(world(*(ask(f"j{i}") for i in range(3)), pools=(pool("p"),)), objective="max_min")
    assert done.objective_value == pytest.approx(1 / 3)
    assert [row.count for row in done.assignments] == pytest.approx([1.0]) or sum(
        r.count for r in done.assignments
    ) == 1.0


def test_makespan_and_finish_time_fairness_need_remaining_work() -> None:
    snapshot = world(ask("j"), pools=(pool("p"),))
    for objective in ("makespan", "finish_time_fairness"):
        with pytest.raises(BadInput, match="needs remaining_units"):
            place(snapshot, objective=objective)
    two = world(*(ask(f"j{i}", remaining_units=80.0) for i in range(2)), pools=(pool("p"),))
    assert place(two, objective="makespan").objective_value == pytest.approx(20.0)
    assert place(two, objective="finish_time_fairness").objective_value == pytest.approx(2.0, rel=1e-4)


def test_identical_asks_are_one_class() -> None:
    done = place(world(*(ask(f"j{i}") for i in range(50)), pools=(pool("p", own_accelerators=80.0),)))
    assert (done.classes, len(done.assignments), len(done.unplaced)) == (1, 10, 40)


def test_explanation_says_why_there_and_why_not() -> None:
    pools = (pool("dear", usd_per_accelerator_hour=3.0), pool("cheap"))
    done = place(world(ask("j"), ask("k", usd_per_unit=2.5), pools=pools))
    text = "\n".join(explanation(done, "j") + explanation(done, "k"))
    assert "j: 1 starts in cheap." in text
    assert "Not dear" in text
    assert "k: 1 waits." in text
    assert "To unblock: " in text


def test_what_may_use_no_other_pool_is_told_so_last() -> None:
    """The pool that it may use is full; that comes before the pools that it may not use."""
    full = pool("full", own_accelerators=1.0)
    made = place(world(ask("a", accelerators=8, allowed_pools=("full",)), pools=(full, pool("other"))))
    assert [excuse.rule for excuse in made.unplaced[0].excuses] == ["P1.P", "pool"]

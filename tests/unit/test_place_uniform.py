"""P5.15 to P5.17: waiting for spot, by hand, with other asks, and as laws."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.test_place_value import ask, pool, where, world

from argosy.model.placement import Placement
from argosy.model.snapshot import OBJECTIVES, Objective, PlaceAsk, PoolState, Snapshot, SupplyState
from argosy.place import place
from argosy.place.check import check
from argosy.place.explain import explanation
from argosy.place.remedy import tried, words
from argosy.place.uniform import keep_pace
from argosy.place.waiting import keep_deadlines
from argosy.place.world import reduce

AWAY = pool("spot", tier="spot", own_accelerators=0.0, usd_per_accelerator_hour=0.5)
SPOT = pool("spot", tier="spot", own_accelerators=8.0, usd_per_accelerator_hour=0.5)
FIRM = pool("firm", own_accelerators=64.0, as_used_fraction=1.0, usd_per_accelerator_hour=2.0)
WORK = ask(
    "j", accelerators=8.0, usd_per_unit=60.0, spot_goodput_fraction=0.9, restart_hours=1.0,
    attained_units=80.0, remaining_units=80.0, elapsed_hours=10.0, deadline_hours=21.0,
)  # fmt: skip
"""Half of twenty hours is done, and 10 of 30 hours (less one in reserve) are over: five ahead, nine of slack."""


def work(**change: Any) -> PlaceAsk:
    return WORK.model_copy(update=change)


def test_ahead_of_the_line_it_waits_and_says_until_when_p5_15() -> None:
    seen = world(work(), pools=(AWAY, FIRM))
    done = place(seen)
    assert not done.assignments
    excuse = done.unplaced[0].excuses[0]
    assert excuse.rule == "wait"
    assert excuse.limit == (
        "firm: paid for only as used, and its deadline lets it wait for spot in spot: 50 % of its work is done, "
        "33.3 % of its time is over, and 9 hours of slack are left"
    )
    # Ahead by half of 30 hours less 10; the slack, less a start there and back, would do for 8 hours.
    assert (excuse.short, excuse.unit) == (pytest.approx(5.0), "hours until it starts on demand at the latest")
    assert excuse.remedy == "free or add accelerators in spot; it starts on demand in 5 hours at the latest"
    told = [words(row) for row in tried(seen, done, "j", place)]
    assert told[0] == "Tried: 5.25 hours later, with nothing done until then, it runs in firm."
    assert told[1].startswith("Tried: with 8 more accelerators in spot it runs in spot")
    assert any("wait: firm: paid for only as used" in line for line in explanation(done, "j"))


@pytest.mark.parametrize(
    ("change", "there"),
    [
        ({"elapsed_hours": 20.1}, "firm"),  # behind the line
        ({"elapsed_hours": 19.9}, None),
        ({"attained_units": 80.0, "deadline_hours": 12.9}, "firm"),  # no slack for a start there and one back
        ({"attained_units": 80.0, "deadline_hours": 13.1}, None),
        ({"preemptible": False}, "firm"),
        ({"spot_goodput_fraction": None}, "firm"),
        ({"remaining_units": None}, "firm"),
        ({"deadline_hours": None}, "firm"),
    ],
)
def test_when_it_waits_p5_15(change: dict[str, Any], there: str | None) -> None:
    done = place(world(work(**change), pools=(AWAY, FIRM)))
    assert where(done) == ({} if there is None else {"j": there})


@pytest.mark.parametrize(
    ("pools", "there"),
    [
        ((AWAY, FIRM.model_copy(update={"as_used_fraction": 0.0})), {"j": "firm"}),  # paid for anyhow
        ((AWAY, FIRM.model_copy(update={"as_used_fraction": 0.9})), {}),  # 6.4 of 64 are
        ((AWAY, FIRM.model_copy(update={"as_used_fraction": 0.8})), {"j": "firm"}),  # 12.8 are
        ((AWAY.model_copy(update={"usd_per_accelerator_hour": 1.9}), FIRM), {"j": "firm"}),  # 1.9 / 0.9 is dearer
        ((AWAY.model_copy(update={"may_hold_accelerators": 7.0}), FIRM), {"j": "firm"}),  # will never hold it
        ((AWAY.model_copy(update={"cordoned": True}), FIRM), {"j": "firm"}),
        ((FIRM,), {"j": "firm"}),
        ((SPOT, FIRM), {"j": "spot"}),
    ],
)
def test_what_may_be_hoped_for_and_what_is_open_to_all_p5_15(pools: tuple[PoolState, ...], there: dict) -> None:
    assert where(place(world(work(), pools=pools))) == there


def test_behind_the_line_it_still_takes_spot_where_there_is_some_however_much_it_is_worth_p5_16() -> None:
    behind = work(elapsed_hours=21.0, usd_per_unit=4000.0)
    assert where(place(world(behind, pools=(SPOT, FIRM)))) == {"j": "spot"}
    assert where(place(world(behind, pools=(AWAY, FIRM)))) == {"j": "firm"}


def test_two_changeovers_ahead_it_goes_back_however_much_it_is_worth_p5_16() -> None:
    def runs(elapsed: float, **more: Any) -> Placement:
        return place(world(work(elapsed_hours=elapsed, running_in="firm", **more), pools=(SPOT, FIRM)))

    # (elapsed + 20) / 2 - elapsed is 2 at 16 hours.
    assert where(runs(15.9, usd_per_unit=4000.0)) == {"j": "spot"}
    late = runs(16.1)
    assert where(late) == {"j": "firm"}
    assert late.assignments[0].off_spot == (
        "spot: it runs on capacity that is paid for only as used and goes back to spot once it is two changeovers "
        "(2 hours) ahead of the line to its deadline; it is 1.95 hours ahead"
    )
    assert runs(15.9).assignments[0].off_spot is None


def test_what_runs_on_spot_stays_there_p5_3() -> None:
    for elapsed in (0.0, 10.0, 25.0):
        row = work(elapsed_hours=elapsed, running_in="spot", usd_per_unit=4000.0)
        assert where(place(world(row, pools=(SPOT, FIRM)))) == {"j": "spot"}


def test_a_start_under_way_and_work_not_saved_count_against_the_slack_p5_14() -> None:
    tight = work(deadline_hours=12.5, running_in="spot")  # half an hour beyond a start and the reserve
    assert where(place(world(tight, pools=(SPOT, FIRM)))) == {"j": "spot"}
    for more in ({"starting_hours": 0.6}, {"unsaved_units": 8 * 0.6}):
        assert where(place(world(tight.model_copy(update=more), pools=(SPOT, FIRM)))) == {"j": "firm"}


def test_who_waits_uses_no_more_than_what_is_paid_for_p5_15() -> None:
    """24 of 64 are paid for, 8 of them in use and not to be stopped: of three asks that wait two start there."""
    firm = FIRM.model_copy(update={"as_used_fraction": 1 - 24 / 64})
    old = ask("old", running_in="firm", preemptible=False)
    rows = [work(id=f"j{i}", usd_per_unit=60.0 + i) for i in range(3)]
    done = place(world(old, *rows, pools=(AWAY, firm)))
    assert where(done) == {"old": "firm", "j2": "firm", "j1": "firm"}
    assert done.unplaced[0].excuses[0].rule == "wait"
    (limit,) = [row for row in done.limits if row.rule == "P5.15"]
    assert (limit.limit, limit.used, limit.most, limit.unit) == ("firm", 16.0, 16.0, "accelerators")
    # What is behind is not held to it.
    rows[0] = work(id="j0", elapsed_hours=25.0)
    assert len(where(place(world(old, *rows, pools=(AWAY, firm))))) == 4


def test_supplies_say_what_is_paid_for_p5_15() -> None:
    firm = FIRM.model_copy(update={"own_accelerators": 0.0, "as_used_fraction": 0.0})
    reserved = SupplyState(id="reserved", capacity=16.0, draw={"firm": 2.0})
    extra = SupplyState(
        id="extra", capacity=64.0, draw={"firm": 1.0}, as_used_fraction=1.0,
        above_usd_per_accelerator_hour={"firm": 3.0},
    )  # fmt: skip
    assert where(place(world(work(), pools=(AWAY, firm), supplies=(extra,)))) == {}
    assert where(place(world(work(), pools=(AWAY, firm), supplies=(reserved, extra)))) == {"j": "firm"}
    # Spot at 4.50 for 0.9 of an hour is as dear as on demand at 2 + 3.
    dear = AWAY.model_copy(update={"usd_per_accelerator_hour": 4.4})
    assert where(place(world(work(), pools=(dear, firm), supplies=(extra,)))) == {}
    dear = AWAY.model_copy(update={"usd_per_accelerator_hour": 4.6})
    assert where(place(world(work(), pools=(dear, firm), supplies=(extra,)))) == {"j": "firm"}


def test_who_is_safe_on_spot_is_stopped_for_nobody_who_is_safe_there_p5_17() -> None:
    """The newcomer has more work within the window, and would have to wait."""
    runs = work(id="runs", running_in="spot", remaining_units=16.0, attained_units=144.0)
    new = work(id="new", remaining_units=96.0, attained_units=64.0, deadline_hours=41.0)
    assert where(place(world(runs, new, pools=(SPOT, FIRM)))) == {"runs": "spot"}
    other = ask("other", accelerators=8.0, usd_per_unit=500.0, spot_goodput_fraction=0.9, speed={"h100": 1.0})
    only = FIRM.model_copy(update={"own_accelerators": 8.0})
    full = ask("full", running_in="firm", preemptible=False)
    assert where(place(world(runs, other, full, pools=(SPOT, only))))["other"] == "spot"


def test_the_recount_finds_what_should_wait_what_should_not_and_gains_that_are_not_counted() -> None:
    waits, hurries = world(work(), pools=(AWAY, FIRM)), world(work(elapsed_hours=25.0), pools=(AWAY, FIRM))
    assert check(waits, place(hurries))["P5.15"] > 0, "it starts on demand ahead of the line"
    assert check(hurries, place(waits))["P5.15"] > 0, "it says that it waits behind the line"
    back = world(work(elapsed_hours=15.0, running_in="firm"), pools=(SPOT, FIRM))
    early = world(work(elapsed_hours=17.0, running_in="firm"), pools=(SPOT, FIRM))
    assert check(early, place(back))["P5.15"] > 0, "it goes back too early"
    found = place(back)
    assert check(back, found.model_copy(update={"objective_value": found.objective_value + 50}))["money"] > 1e-6
    firm = FIRM.model_copy(update={"as_used_fraction": 1 - 16 / 64})
    two, three = (world(*(work(id=f"j{i}") for i in range(n)), pools=(AWAY, firm)) for n in (2, 3))
    made = place(two)
    extra = made.assignments[0].model_copy(update={"ask": "j2"})
    assert check(three, made.model_copy(update={"assignments": (*made.assignments, extra)}))["P5.15"] > 0


hours = st.integers(0, 8).map(lambda n: n / 4)


@st.composite
def asks(draw: st.DrawFn, name: str) -> PlaceAsk:
    running = draw(st.sampled_from([None, None, "spot", "firm"]))
    return ask(
        name,
        accelerators=float(draw(st.sampled_from([1, 2, 4, 8]))),
        usd_per_unit=float(draw(st.sampled_from([3.0, 60.0]))),
        spot_goodput_fraction=draw(st.sampled_from([None, 0.5, 0.9, 1.0])),
        attained_units=float(draw(st.integers(0, 100))),
        remaining_units=float(draw(st.integers(1, 100))),
        elapsed_hours=draw(hours),
        deadline_hours=draw(st.none() | st.integers(1, 120).map(lambda n: n / 2)),
        restart_hours=draw(hours),
        starting_hours=0.0 if running is None else draw(hours),
        running_in=running,
        preemptible=running is not None or draw(st.booleans()),
        may_preempt=draw(st.booleans()),
    )


@st.composite
def worlds(draw: st.DrawFn, asked: int = 4) -> Snapshot:
    pools = (
        pool("spot", tier="spot", own_accelerators=float(draw(st.integers(0, 16))), usd_per_accelerator_hour=0.5,
             may_hold_accelerators=draw(st.sampled_from([None, 0.0, 8.0]))),
        pool("firm", own_accelerators=float(draw(st.integers(0, 24))), usd_per_accelerator_hour=2.0,
             as_used_fraction=draw(st.sampled_from([0.0, 0.4, 1.0]))),
    )  # fmt: skip
    rows = (draw(asks(f"a{i}")) for i in range(asked))
    supplies = (
        SupplyState(
            id="s", capacity=float(draw(st.integers(0, 16))), draw={"firm": 1.0},
            as_used_fraction=draw(st.sampled_from([0.0, 1.0])), above_usd_per_accelerator_hour={"firm": 1.0},
        ),
    )  # fmt: skip
    return world(*rows, pools=pools, supplies=supplies, look_hours=draw(st.sampled_from([0.05, 0.25, 2.0])))


def rows_of(done: Placement) -> list[tuple[str, str, float]]:
    return [(row.ask, row.pool, row.count) for row in done.assignments]


@settings(deadline=None, max_examples=150)
@given(worlds(), st.sampled_from(["value", "cost"]))
def test_what_waits_is_ahead_of_its_line_and_decisions_repeat(seen: Snapshot, objective: Objective) -> None:
    """Every decision survives its recount; who waits has done its share of the work, counted here a third time."""
    done = place(seen, objective=objective)
    assert rows_of(place(seen, objective=objective)) == rows_of(done)
    asked = {row.id: row for row in seen.asks}
    for row in done.unplaced:
        if any(excuse.rule == "wait" for excuse in row.excuses):
            one = asked[row.ask]
            assert one.deadline_hours is not None
            assert one.remaining_units is not None
            end = one.elapsed_hours + one.deadline_hours - max(one.restart_hours, seen.look_hours)
            assert one.attained_units * end >= one.elapsed_hours * (one.attained_units + one.remaining_units) - 1e-6


@settings(deadline=None, max_examples=100)
@given(worlds(1), st.integers(1, 40))
def test_more_slack_and_more_done_never_end_waiting_p5_15(seen: Snapshot, more: int) -> None:
    """Monotone: an ask that waits goes on waiting with more of its work done, and with a later deadline."""
    done = place(seen)
    if not any(excuse.rule == "wait" for row in done.unplaced for excuse in row.excuses):
        return
    (one,) = seen.asks
    assert one.deadline_hours is not None
    for change in ({"attained_units": one.attained_units + more}, {"deadline_hours": one.deadline_hours + more}):
        again = place(seen.model_copy(update={"asks": (one.model_copy(update=change),)}))
        assert not again.assignments


@settings(deadline=None, max_examples=60)
@given(worlds(), st.sampled_from(OBJECTIVES))
def test_where_all_is_paid_for_and_for_shares_of_time_nothing_changes(seen: Snapshot, objective: Objective) -> None:
    if objective in ("value", "cost"):
        pools = tuple(row.model_copy(update={"as_used_fraction": 0.0}) for row in seen.pools)
        supplies = tuple(row.model_copy(update={"as_used_fraction": 0.0}) for row in seen.supplies)
        seen = seen.model_copy(update={"pools": pools, "supplies": supplies})
    reduced = keep_deadlines(reduce(seen, objective))
    assert keep_pace(reduced) is reduced


def test_snapshots_of_before_are_read_and_nobody_waits() -> None:
    new = world(work(), pools=(AWAY, FIRM)).model_dump(mode="json")
    for row in new["pools"]:
        del row["as_used_fraction"], row["may_hold_accelerators"]
    del new["look_hours"]
    for row in new["asks"]:
        del row["starting_hours"], row["unsaved_units"]
    old = Snapshot.model_validate_json(json.dumps(new))
    assert where(place(old)) == {"j": "firm"}

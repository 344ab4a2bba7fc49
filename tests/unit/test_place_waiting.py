"""P5.14: the safety net of work with a deadline, by hand and as laws."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.test_place_value import DE, ask, pool, where, world

from argosy.model.link import Link
from argosy.model.placement import Placement
from argosy.model.snapshot import OBJECTIVES, Objective, PlaceAsk, PoolState
from argosy.place import place
from argosy.place.check import check
from argosy.place.explain import explanation
from argosy.place.waiting import keep_deadlines
from argosy.place.world import reduce

SPOT = pool("spot", tier="spot", usd_per_accelerator_hour=0.5)
FIRM = pool("firm", usd_per_accelerator_hour=2.0)
WORK = ask("j", accelerators=8.0, spot_goodput_fraction=0.9, remaining_units=80.0, restart_hours=1.0)
"""Ten hours on the firm pool."""


def due(hours: float, **change: object) -> PlaceAsk:
    return WORK.model_copy(update={"deadline_hours": hours, **change})


@pytest.mark.parametrize(
    ("hours", "running", "there"),
    [
        # A start on spot, one on the firm pool, and a changeover that is left: 10 + 3.
        (12.9, None, "firm"),
        (13.1, None, "spot"),
        # What runs on spot already needs no start there.
        (11.9, "spot", "firm"),
        (12.1, "spot", "spot"),
        # What runs on the firm pool would have to start twice.
        (12.9, "firm", "firm"),
        (60.0, "firm", "spot"),
    ],
)
def test_spot_is_masked_while_less_than_a_changeover_would_be_left_p5_14(
    hours: float, running: str | None, there: str
) -> None:
    done = place(world(due(hours, running_in=running), pools=(SPOT, FIRM)))
    assert where(done) == {"j": there}
    assert (done.assignments[0].off_spot is None) == (there == "spot")


def test_explain_tells_slack_and_changeover_of_what_is_kept_off_spot() -> None:
    done = place(world(due(12.5), pools=(SPOT, FIRM)))
    assert (
        "  Its deadline keeps it off spot. spot: driven off from there, it would have 0.5 hours of slack left in firm, "
        "less than a changeover of 1."
    ) in explanation(done, "j")


def test_what_waits_is_told_by_how_much_the_deadline_is_too_near() -> None:
    other = ask("dear", accelerators=8.0, usd_per_unit=90.0)
    firm = pool("firm", own_accelerators=8.0, usd_per_accelerator_hour=2.0)
    done = place(world(due(12.5), other, pools=(SPOT, firm)))
    assert where(done) == {"dear": "firm"}
    excuse = next(row for row in done.unplaced[0].excuses if row.rule == "deadline")
    assert (excuse.short, excuse.unit) == (pytest.approx(0.5), "hours")
    assert excuse.limit.startswith("spot: ")
    assert excuse.remedy == "free accelerators in firm, where it must run now, or move the deadline by 0.5 hours"


@pytest.mark.parametrize(
    "firm",
    [
        pool("firm", own_accelerators=4.0, usd_per_accelerator_hour=2.0),
        pool("firm", cordoned=True, usd_per_accelerator_hour=2.0),
        pool("firm", usd_per_accelerator_hour=99.0),
    ],
    ids=["too small", "cordoned", "dearer than it is worth"],
)
def test_nothing_is_masked_where_no_firm_pool_would_take_it(firm: PoolState) -> None:
    assert where(place(world(due(12.5), pools=(SPOT, firm)))) == {"j": "spot"}


def test_a_firm_pool_full_of_what_cannot_be_stopped_is_no_way_out() -> None:
    firm = pool("firm", own_accelerators=8.0, usd_per_accelerator_hour=2.0)
    full = ask("old", accelerators=8.0, running_in="firm", preemptible=False)
    assert where(place(world(full, due(12.5), pools=(SPOT, firm))))["j"] == "spot"
    # What runs elsewhere stops nobody (P1.E).
    full = full.model_copy(update={"preemptible": True})
    assert where(place(world(full, due(11.9, running_in="spot"), pools=(SPOT, firm))))["j"] == "spot"


def test_the_way_back_of_a_checkpoint_counts() -> None:
    link = Link(start="b/de", end="a/us", usd_per_gib=0.0, p50_gbit_per_second=1.0)
    far = pool("spot", DE, tier="spot", usd_per_accelerator_hour=0.5)
    gib = 3600 / 8.589934592 * 2  # two hours at one gigabit per second
    near = due(12.5, running_in="spot", checkpoint_gib=gib)
    assert where(place(world(near, pools=(far, FIRM), links=(link,)))) != {"j": "firm"}, "firm is too late already"
    assert where(place(world(due(13.9, running_in="spot", checkpoint_gib=gib), pools=(far, FIRM), links=(link,)))) == {
        "j": "firm"
    }
    assert where(place(world(due(14.1, running_in="spot", checkpoint_gib=gib), pools=(far, FIRM), links=(link,)))) == {
        "j": "spot"
    }


def test_the_recount_finds_spot_that_should_be_masked_and_words_that_are_not_true() -> None:
    seen, loose = world(due(12.5), pools=(SPOT, FIRM)), world(due(40.0), pools=(SPOT, FIRM))
    on_spot = place(loose)
    assert check(seen, on_spot)["P5.14"] > 0.1
    wrong = on_spot.assignments[0].model_copy(update={"off_spot": "spot: never"})
    assert check(loose, on_spot.model_copy(update={"assignments": (wrong,)}))["P5.14"] > 0


hours = st.integers(0, 12).map(lambda n: n / 4)


@st.composite
def asks(draw: st.DrawFn, name: str) -> PlaceAsk:
    running = draw(st.sampled_from([None, "spot", "firm"]))
    return ask(
        name,
        accelerators=float(draw(st.sampled_from([1, 2, 4, 8]))),
        usd_per_unit=float(draw(st.sampled_from([1.0, 3.0, 6.0]))),
        spot_goodput_fraction=draw(st.sampled_from([None, 0.5, 0.9])),
        remaining_units=float(draw(st.integers(1, 200))),
        deadline_hours=draw(st.none() | st.integers(1, 120).map(lambda n: n / 2)),
        restart_hours=draw(hours),
        running_in=running,
        preemptible=running is not None or draw(st.booleans()),
        may_preempt=draw(st.booleans()),
    )


@st.composite
def fleets(draw: st.DrawFn) -> tuple[PoolState, ...]:
    return (
        pool("spot", tier="spot", own_accelerators=float(draw(st.integers(8, 64))), usd_per_accelerator_hour=0.5),
        pool("firm", own_accelerators=float(draw(st.integers(0, 64))), usd_per_accelerator_hour=2.0),
        pool("other", tier="spot", own_accelerators=float(draw(st.integers(0, 16))), usd_per_accelerator_hour=0.6),
    )


def rows(done: Placement) -> list[tuple[str, str, float]]:
    return [(row.ask, row.pool, row.count) for row in done.assignments]


@settings(deadline=None, max_examples=150)
@given(asks("j"), fleets())
def test_what_runs_on_spot_can_be_driven_off_at_once_and_still_be_done_in_time(
    work: PlaceAsk, pools: tuple[PoolState, ...]
) -> None:
    """Also: the mask takes no firm pool from anybody, and the same snapshot gives the same placement."""
    seen = world(work, pools=pools)
    done = place(seen)
    assert rows(place(seen)) == rows(done)
    for row in done.unplaced:
        assert not any(
            e.rule == "deadline" and "driven off" in e.limit and e.limit.startswith("firm") for e in row.excuses
        )
    on_spot = [row for row in done.assignments if row.pool != "firm"]
    if not on_spot or work.deadline_hours is None or not work.preemptible:
        return
    alone = tuple(row if row.tier != "spot" else row.model_copy(update={"own_accelerators": 0.0}) for row in pools)
    if where(place(world(work.model_copy(update={"running_in": None}), pools=alone))) != {"j": "firm"}:
        return  # no firm pool would have taken it
    later = work.deadline_hours - on_spot[0].start_after_hours
    gone = work.model_copy(update={"running_in": None, "deadline_hours": later})
    assert where(place(world(gone, pools=alone))) == {"j": "firm"}


@settings(deadline=None, max_examples=60)
@given(st.tuples(asks("a"), asks("b"), asks("c")), fleets(), st.sampled_from(["value", "cost"]))
def test_several_asks_survive_the_recount(
    work: tuple[PlaceAsk, ...], pools: tuple[PoolState, ...], objective: Objective
) -> None:
    place(world(*work, pools=pools), objective=objective)


@settings(deadline=None, max_examples=60)
@given(st.tuples(asks("a"), asks("b"), asks("c")), fleets(), st.sampled_from(OBJECTIVES))
def test_without_deadlines_and_for_shares_of_time_nothing_changes(
    work: tuple[PlaceAsk, ...], pools: tuple[PoolState, ...], objective: Objective
) -> None:
    whole = objective in ("value", "cost")
    rows = (row.model_copy(update={"deadline_hours": None}) for row in work) if whole else work
    seen = reduce(world(*rows, pools=pools), objective)
    assert keep_deadlines(seen) is seen


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_late_work_that_may_not_be_stopped_stays(objective: Objective) -> None:
    late = ask("j", remaining_units=80.0, deadline_hours=5.0, running_in="firm", preemptible=False)
    done = place(world(late, pools=(pool("firm"),)), objective=objective)
    assert [(row.pool, row.change) for row in done.assignments] == [("firm", "stay")]

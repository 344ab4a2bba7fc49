"""Deadlines on spot: the rules P5.1 to P5.9, and that no deadline is missed."""

from __future__ import annotations

import functools
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from argosy.clock import rng
from argosy.errors import BadInput
from argosy.model.fleet import Availability, frame
from argosy.place import outlook as outlook_module
from argosy.place.deadlines import EXPECTED, GREEDY, NO_ADVICE, UNIFORM, next_place, run
from argosy.place.outlook import IDLE, ON_DEMAND, SHAPE, SPELL_HOURS, SPOT, outlook
from argosy.simulate.hindsight import optimum
from argosy.simulate.spot import POLICIES as POLICY_NAMES
from argosy.simulate.spot import gap_closed_fraction, replay
from argosy.simulate.spot_page import _short, spot_page

POLICIES = (GREEDY, UNIFORM, EXPECTED)


@pytest.mark.parametrize("policy", POLICIES)
def test_rules_that_all_policies_share(policy: int) -> None:
    def at(place: int, spot: bool, elapsed: float, done: float, *, pending: float = 0.0, advice: int = SPOT) -> int:
        return next_place(policy, place, spot, elapsed, done, 10.0, 20.0, 0.2, pending, 0.1, advice)

    assert at(ON_DEMAND, True, 5.0, 10.0) == IDLE  # P5.1
    assert at(IDLE, True, 9.75, 0.0) == ON_DEMAND  # P5.2: slack 0.25 is below two changeovers
    assert at(IDLE, False, 9.75, 0.0, advice=IDLE) == ON_DEMAND
    assert at(SPOT, True, 9.75, 0.0) == SPOT  # P5.2: and enough to stay
    assert at(SPOT, True, 9.75, 0.0, pending=0.1) == ON_DEMAND
    assert at(SPOT, True, 1.0, 1.0) == SPOT  # P5.3
    assert at(IDLE, True, 1.0, 0.0) == SPOT


def test_uniform_progress_stays_on_demand_until_spot_is_there_and_it_is_ahead() -> None:
    def at(place: int, spot: bool, done: float) -> int:
        return next_place(UNIFORM, place, spot, 4.0, done, 10.0, 20.0, 0.2, 0.0, 0.1, NO_ADVICE)

    assert at(IDLE, False, 2.1) == IDLE  # P5.4: the line is at 2.0
    assert at(IDLE, False, 1.9) == ON_DEMAND
    assert at(ON_DEMAND, True, 2.1) == ON_DEMAND  # two changeovers ahead is 2.2
    assert at(ON_DEMAND, True, 2.3) == SPOT
    assert at(ON_DEMAND, False, 2.3) == ON_DEMAND


@settings(max_examples=100, deadline=None)
@given(
    spot=st.lists(st.booleans(), min_size=40, max_size=200),
    step=st.sampled_from((0.05, 0.1, 0.3)),
    slack=st.floats(1.0, 4.0),
    changeover=st.sampled_from((0.0, 0.02, 0.2, 0.5)),
    policy=st.sampled_from(POLICIES),
)
def test_no_deadline_that_on_demand_could_meet_is_missed(spot, step, slack, changeover, policy) -> None:
    deadline = len(spot) * step
    work = (deadline - changeover) / slack
    found = run(policy, np.array(spot), step, work, deadline, changeover, 0.3)
    assert found.met
    assert 0.3 * work - 1e-9 <= found.cost <= deadline + 1e-9
    assert found.spot_hours + found.on_demand_hours == pytest.approx(work)


def test_all_spot_costs_the_spot_price_and_none_costs_on_demand() -> None:
    for policy in POLICIES:
        found = run(policy, np.ones(300, dtype=np.bool_), 0.1, 10.0, 20.0, 0.0, 0.3)
        assert (round(found.cost, 6), found.met, found.taken, found.changes) == (3.0, True, 0, 1)
        found = run(policy, np.zeros(300, dtype=np.bool_), 0.1, 10.0, 20.0, 0.2, 0.3)
        assert found.met
        assert found.cost == pytest.approx(10.0 + 0.2 * found.changes)


def brute_force(spot: list[bool], step: int, work: int, changeover: int, price: float) -> float:
    """Least cost over every sequence of places, counted second by second; an answer that shares no code."""
    least = float("inf")
    for places in itertools.product((IDLE, SPOT, ON_DEMAND), repeat=len(spot)):
        before, pending, done, cost = IDLE, 0, 0, 0.0
        for place, there in zip(places, spot, strict=True):
            if place == SPOT and not there:
                cost = float("inf")
            if place not in (before, IDLE):
                pending = changeover
            before = place
            for _ in range(step if place != IDLE else 0):
                if done < work:
                    cost += price if place == SPOT else 1.0
                    if pending:
                        pending -= 1
                    else:
                        done += 1
        if done >= work:
            least = min(least, cost)
    return least


@settings(max_examples=60, deadline=None)
@given(
    spot=st.lists(st.booleans(), min_size=5, max_size=7),
    step=st.integers(1, 4),
    share=st.floats(0.2, 1.0),
    changeover=st.integers(0, 6),
    price=st.sampled_from((0.1, 0.3, 0.9)),
)
def test_optimum_p5_9_equals_every_sequence_tried(spot, step, share, changeover, price) -> None:
    work = max(1, int(share * len(spot) * step))
    arguments = {"step_seconds": step, "work_seconds": work, "changeover_seconds": changeover, "price": price}
    found = optimum(np.array(spot), deadline_seconds=len(spot) * step, **arguments)
    expected = brute_force(spot, step, work, changeover, price)
    if expected == float("inf"):
        assert found == expected
    else:
        assert found is not None
        assert found * 3600 == pytest.approx(expected)


def test_optimum_is_no_dearer_than_any_policy_and_no_cheaper_than_without_changeovers() -> None:
    draw = rng(3, "test", "spells")
    for _ in range(20):
        spot = spells(draw, 240, 0.25)
        least = optimum(
            spot, step_seconds=900, work_seconds=144_000, deadline_seconds=216_000, changeover_seconds=720, price=0.3
        )
        assert least is not None
        assert least <= min(run(policy, spot, 0.25, 40.0, 60.0, 0.2, 0.3).cost for policy in POLICIES) + 1e-9
        free = min(40.0, spot.sum() * 0.25)
        assert least >= 0.3 * free + 40 - free - 1e-9


def test_an_optimum_that_is_too_large_is_absent_and_not_zero() -> None:
    spot = np.ones(100_000, dtype=np.bool_)
    arguments = {"step_seconds": 7, "work_seconds": 3600, "changeover_seconds": 720, "price": 0.3}
    assert optimum(spot, deadline_seconds=700_000, **arguments) is None


def spells(draw: np.random.Generator, steps: int, step: float) -> np.ndarray:
    """Spot capacity by the law P5.6, from a spell that begins to be there or not."""
    out: list[bool] = []
    there = bool(draw.integers(2))
    while len(out) < steps:
        hours = SPELL_HOURS * (draw.random() ** (-1 / SHAPE[int(there)]) - 1)
        out += [there] * max(1, min(steps, round(hours / step)))
        there = not there
    return np.array(out[:steps])


def test_expected_cost_is_the_cheapest_policy_where_its_law_holds() -> None:
    draw = rng(0, "test", "law")
    worlds = [spells(draw, 360, 1 / 6) for _ in range(300)]
    cost = {p: np.mean([run(p, world, 1 / 6, 48.0, 60.0, 0.2, 0.3).cost for world in worlds]) for p in POLICIES}
    assert cost[EXPECTED] < min(cost[GREEDY], cost[UNIFORM]) - 0.5


def test_work_longer_than_the_outlook_is_cheapest_by_expected_cost_too() -> None:
    draw = rng(1, "test", "law")
    worlds = [spells(draw, 3000, 0.2) for _ in range(60)]
    cost = {p: np.mean([run(p, world, 0.2, 300.0, 600.0, 0.2, 0.3).cost for world in worlds]) for p in POLICIES}
    assert cost[EXPECTED] < min(cost[GREEDY], cost[UNIFORM]) - 3


def test_outlook_p5_8_takes_what_is_cheapest_in_a_world_of_one_age() -> None:
    # Three cells of work, two of slack, a changeover of one: written out as a recursion over what may happen.
    away, there, price = 0.3, 0.4, 0.25
    found = np.zeros((7, 4, 4), dtype=np.int8)
    outlook_module._solve(found, np.array([away]), np.array([there]), np.zeros(1), 1.0, 1.0, price)

    @functools.cache
    def best(time: int, slack: int, place: int, spot: bool) -> tuple[float, frozenset[int]]:
        if time <= slack:
            return 0.0, frozenset()
        chance = 1 - there if spot else away

        def after(slack: int, place: int) -> float:
            lost = best(time - 1, slack, IDLE if place == SPOT else place, False)[0]
            return chance * best(time - 1, slack, place, True)[0] + (1 - chance) * lost

        options = {}
        if place == SPOT:
            return price + after(slack, SPOT), frozenset({SPOT})
        if slack >= 1:
            options[IDLE] = after(slack - 1, IDLE)
        for other, pays in ((ON_DEMAND, 1.0), (SPOT, price)):
            change = int(other != place)
            # With no slack left for a further changeover only on demand is safe.
            if (other == SPOT and (not spot or slack < 2)) or slack < change:
                continue
            certain = other == ON_DEMAND and change == slack
            options[other] = time - slack + change if certain else pays + after(slack - change, other)
        least = min(options.values(), default=1e9)
        return least, frozenset(o for o, cost in options.items() if cost <= least + 1e-9)

    checked = 0
    for time in range(3, 7):
        for slack in range(2, min(time, 4)):
            for state, (place, spot) in enumerate(itertools.product((IDLE, ON_DEMAND), (False, True))):
                assert found[time, slack, state] in best(time, slack, place, spot)[1]
                checked += 1
    assert checked > 20


def test_outlook_pays_sooner_the_less_slack_is_left_and_the_same_again() -> None:
    view = outlook(48.0, 60.0, 0.2, 0.3)
    middle, ages = len(view.factors) // 2, len(view.edges_hours)
    j = round(30 / view.cell_hours)
    waits = view.decisions[middle, middle, j, :, :ages] == IDLE
    hours = np.where(waits.any(axis=0), waits.argmax(axis=0), waits.shape[0]) * view.cell_hours
    assert hours[0] < 12  # a fresh outage is waited for
    assert hours[0] <= hours[-1]  # an old one needs more slack
    outlook.cache_clear()
    assert np.array_equal(view.decisions, outlook(48.0, 60.0, 0.2, 0.3).decisions)


def test_replay_of_a_series_repeats_and_what_cannot_be_is_refused() -> None:
    rows = frame(
        Availability,
        {
            "series": ["s"] * 500,
            "at_seconds": [360.0 * i for i in range(500)],
            "accelerators": [float(i % 50 < 30) for i in range(500)],
        },
    )
    arguments = {"work_hours": 6.0, "changeover_hours": 0.1, "spot_price_ratio": 0.3, "starts": 20, "seed": 1}
    one, two = (replay(rows, deadline_hours=10.0, **arguments) for _ in range(2))
    assert one == two
    assert sum(one[0].missed.values()) == 0
    assert one[0].optimum_fraction is not None
    assert one[0].bound_fraction <= one[0].optimum_fraction <= min(one[0].cost_fraction.values()) + 1e-9
    assert gap_closed_fraction(one, "greedy") == 0
    assert gap_closed_fraction(one, "expected_cost") <= 1
    with pytest.raises(BadInput, match="longer than the deadline of 1000 hours"):
        replay(rows, deadline_hours=1000.0, **arguments)
    with pytest.raises(BadInput, match="do not fit into 6 hours"):
        replay(rows, deadline_hours=6.0, **arguments)


def test_no_start_is_drawn_whose_time_has_a_gap() -> None:
    hours = [0.1 * i for i in range(300)] + [1000 + 0.1 * i for i in range(90)]
    rows = frame(
        Availability,
        {
            "series": ["s"] * len(hours),
            "at_seconds": [3600 * hour for hour in hours],
            # Spot is there on this side of the gap only, so that a start across it would show.
            "accelerators": [1.0] * 300 + [0.0] * 90,
        },
    )
    arguments = {"work_hours": 6.0, "changeover_hours": 0.1, "spot_price_ratio": 0.3, "starts": 50, "seed": 1}
    assert replay(rows, deadline_hours=10.0, **arguments)[0].available_fraction == 1.0
    with pytest.raises(BadInput, match="without a gap"):
        replay(rows, deadline_hours=31.0, **arguments)


def test_page_shows_what_each_policy_pays_for_and_shortens_names_only_while_they_differ() -> None:
    rows = frame(
        Availability,
        {
            "series": ["kind/nodes/campaign/zone-a/chip"] * 300 + ["kind/nodes/campaign/zone-b/chip"] * 300,
            "at_seconds": [360.0 * i for i in range(300)] * 2,
            "accelerators": [float(i % 50 < 30) for i in range(600)],
        },
    )
    arguments = {"work_hours": 6.0, "changeover_hours": 0.1, "spot_price_ratio": 0.3, "starts": 5, "seed": 1}
    found = replay(rows, deadline_hours=10.0, **arguments)
    page = spot_page(found, 6.0, 10.0, 1)
    for words in ("Cost by policy", "changeovers", "optimum", "kind/nodes/campaign/zone-b/chip"):
        assert words in page
    for policy in POLICY_NAMES:
        parts = found[0].spot_cost_fraction(policy) + found[0].on_demand_cost_fraction(policy)
        assert 0 < parts <= found[0].cost_fraction[policy] + 1e-9
    assert _short(["a/" + "x" * 40 + "/1", "a/" + "x" * 40 + "/2"]) == ["1", "2"]
    assert _short(["a/b", "c/b"]) == ["a/b", "c/b"]

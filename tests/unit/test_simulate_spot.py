"""Deadlines on spot: the rules P5.1 to P5.5, and that no deadline is missed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from argosy.errors import BadInput
from argosy.model.fleet import Availability, frame
from argosy.place.deadlines import EXPECTED, GREEDY, IDLE, ON_DEMAND, SPOT, UNIFORM, next_place, run
from argosy.simulate.spot import replay

POLICIES = (GREEDY, UNIFORM, EXPECTED)


@pytest.mark.parametrize("policy", POLICIES)
def test_rules_that_all_policies_share(policy: int) -> None:
    state = {"work": 10.0, "deadline": 20.0, "changeover": 0.2, "pending": 0.0, "step": 0.1}

    def at(place: int, spot: bool, elapsed: float, done: float) -> int:
        s = state
        return next_place(
            policy, place, spot, elapsed, done, s["work"], s["deadline"], s["changeover"], s["pending"], s["step"], 1.0
        )

    assert at(ON_DEMAND, True, 5.0, 10.0) == IDLE  # P5.1
    assert at(IDLE, True, 9.75, 0.0) == ON_DEMAND  # P5.2
    assert at(SPOT, True, 1.0, 1.0) == SPOT  # P5.3
    assert at(IDLE, True, 1.0, 0.0) == SPOT


@settings(max_examples=300, deadline=None)
@given(
    spot=st.lists(st.booleans(), min_size=40, max_size=200),
    work=st.floats(1.0, 15.0),
    slack=st.floats(1.05, 4.0),
    changeover=st.floats(0.0, 0.5),
    policy=st.sampled_from(POLICIES),
)
def test_no_deadline_that_on_demand_could_meet_is_missed(spot, work, slack, changeover, policy) -> None:
    step = 0.1
    deadline = min(len(spot) * step, work * slack + changeover + 2 * step)
    work = min(work, deadline - changeover - 2 * step)
    cost, met, _ = run(policy, np.array(spot), step, work, deadline, changeover, 0.3)
    assert met
    assert 0.3 * work - 1e-9 <= cost <= deadline + 1e-9


def test_all_spot_costs_the_spot_price_and_none_costs_on_demand() -> None:
    for policy in POLICIES:
        cost, met, taken = run(policy, np.ones(300, dtype=np.bool_), 0.1, 10.0, 20.0, 0.0, 0.3)
        assert (round(cost, 6), met, taken) == (3.0, True, 0)
        cost, met, _ = run(policy, np.zeros(300, dtype=np.bool_), 0.1, 10.0, 20.0, 0.2, 0.3)
        assert met
        assert cost == pytest.approx(10.2, abs=3.1)


def test_replay_of_a_series_repeats_and_a_short_series_is_refused() -> None:
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
    assert one[0].bound_fraction <= min(one[0].cost_fraction.values()) + 1e-9
    with pytest.raises(BadInput, match="no series is longer"):
        replay(rows, deadline_hours=1000.0, **arguments)

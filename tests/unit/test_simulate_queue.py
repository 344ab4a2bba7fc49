"""Queues of asks on chips of different speed: rounds, shares, completion, and pairs that share a chip."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from argosy.errors import BadInput
from argosy.model.fleet import SharedThroughput, Throughput, TraceAsk, frame
from argosy.place.check_rounds import least_makespan
from argosy.place.rounds import NOWHERE, by_class, by_completion, by_share, pair_up, run_the_rest
from argosy.place.sharing import fair_sharing
from argosy.simulate.page import queue_page
from argosy.simulate.queue import QUEUE_OBJECTIVES, Queue
from argosy.simulate.shares import agnostic_shares, fair_shares

SPEEDS = frame(
    Throughput,
    {
        "work": ["a", "a", "b", "b", "a"],
        "accelerators": [1, 1, 1, 1, 2],
        "silicon": ["fast", "slow", "fast", "slow", "fast"],
        "steps_per_second": [4.0, 1.0, 2.0, 1.0, 8.0],
    },
)


def asks(*rows: tuple[str, float, float, int]) -> pl.DataFrame:
    """Rows of (work, hours on the slow chip, arrival in hours, accelerators)."""
    return frame(
        TraceAsk,
        {
            "id": [f"a{i}" for i in range(len(rows))],
            "arrival_seconds": [3600 * row[2] for row in rows],
            "work": [row[0] for row in rows],
            "steps": [3600 * row[1] for row in rows],
            "accelerators": [row[3] for row in rows],
            "share_milli": [1000] * len(rows),
            "silicon": [""] * len(rows),
            "members": [1] * len(rows),
        },
    )


def run(capacity, rows, objective, **more):
    return Queue(capacity, rows, SPEEDS, objective=objective, **more).run()


@pytest.mark.parametrize("objective", [name for name in QUEUE_OBJECTIVES if name != "agnostic"])
def test_one_ask_takes_its_time_on_the_fastest_chip(objective: str) -> None:
    done = run({"fast": 1, "slow": 1}, asks(("a", 4.0, 0.0, 1)), objective)
    assert done.average_completion_hours == pytest.approx(1.0, abs=0.02)
    assert done.makespan_hours == pytest.approx(1.0, abs=0.02)


@pytest.mark.parametrize("objective", QUEUE_OBJECTIVES)
def test_every_objective_ends_everything_and_repeats(objective: str) -> None:
    rows = asks(*[("a" if i % 2 else "b", 1.0 + i % 3, 0.3 * i, 1) for i in range(12)], ("a", 4.0, 1.0, 2))
    first, second = (run({"fast": 2, "slow": 2}, rows, objective) for _ in range(2))
    assert not np.isnan(first.end_hours).any()
    assert (first.end_hours > first.arrival_hours).all()
    assert np.array_equal(first.end_hours, second.end_hours)
    assert max(sum(used) for _, used, _ in first.used) <= 4


def test_the_chip_goes_to_whom_it_speeds_up_most() -> None:
    """a is four times as fast on the fast chip, b twice: a gets it, although b was first."""
    done = run({"fast": 1, "slow": 1}, asks(("b", 4.0, 0.0, 1), ("a", 4.0, 0.0, 1)), "max_min")
    assert done.makespan_hours < 4.0
    assert done.end_hours[1] < done.end_hours[0]


def test_completion_runs_the_shortest_first() -> None:
    rows = asks(("a", 40.0, 0.0, 1), ("a", 4.0, 0.1, 1))
    short = run({"fast": 1}, rows, "completion")
    fifo = run({"fast": 1}, rows, "first_come")
    assert short.average_completion_hours < fifo.average_completion_hours
    assert short.makespan_hours == pytest.approx(fifo.makespan_hours, abs=0.11)


def test_a_gang_runs_whole() -> None:
    done = run({"fast": 2}, asks(("a", 8.0, 0.0, 2), ("a", 4.0, 0.0, 1)), "completion")
    assert all(used[0] in (0, 1, 2) for _, used, _ in done.used)
    assert not np.isnan(done.end_hours).any()


def test_two_share_a_chip_where_that_does_more() -> None:
    shared = frame(
        SharedThroughput,
        {"silicon": ["fast"], "work": ["a"], "beside": ["a"], "accelerators": [1], "steps_per_second": [3.6]},
    )
    rows = asks(("a", 8.0, 0.0, 1), ("a", 8.0, 0.0, 1))
    alone = run({"fast": 1}, rows, "completion")
    paired = run({"fast": 1}, rows, "completion", shared=shared)
    assert paired.average_completion_hours < alone.average_completion_hours
    assert paired.makespan_hours == pytest.approx(2 * 4 / 3.6, abs=0.11)


def test_work_that_was_never_measured_is_left_out_and_counted() -> None:
    rows = asks(("a", 4.0, 0.0, 1), ("b", 4.0, 0.0, 2))
    done = run({"fast": 2}, rows, "completion")
    assert done.left_out == {"b on 2": 1}
    assert len(done.end_hours) == 1
    with pytest.raises(BadInput, match="no chip of the fleet has a measured speed"):
        run({"fast": 2}, asks(("c", 1.0, 0.0, 1)), "completion")


def test_shares_become_rounds_in_proportion() -> None:
    share = np.array([[0.75], [0.25]])
    received = np.zeros((2, 1))
    runs = np.zeros(2)
    for age in range(1, 101):
        chosen = by_share(share, received / age, np.ones(2, dtype=np.int64), np.ones(1, dtype=np.int64))
        received[chosen == 0] += 1
        runs += chosen == 0
    assert runs.tolist() == pytest.approx([75, 25], abs=1)


def test_prices_keep_every_chip_busy() -> None:
    """Nine asks, three of each chip: all run although all would like the fastest best."""
    hours = np.tile([1.0, 2.0, 4.0], (9, 1))
    chosen = by_completion(hours, np.ones(9, dtype=np.int64), np.full(3, 3), np.zeros(3))
    assert np.bincount(chosen).tolist() == [3, 3, 3]


def test_pairs_are_made_only_where_they_gain() -> None:
    alone = np.array([[1.0], [1.0], [1.0]])
    slow = np.full((3, 3, 1), 0.4)
    chosen, host = pair_up(np.array([0, NOWHERE, NOWHERE]), alone, slow, np.ones(3, dtype=np.int64))
    assert (host == NOWHERE).all()
    good = np.full((3, 3, 1), 0.8)
    chosen, host = pair_up(np.array([0, NOWHERE, NOWHERE]), alone, good, np.ones(3, dtype=np.int64))
    assert (host != NOWHERE).sum() == 1
    assert (chosen == 0).sum() == 2


def test_idle_accelerators_run_who_has_no_share_yet() -> None:
    """With shares that stand for a day the second ask takes the chip that the first leaves idle, and then that too."""
    rows = asks(("b", 4.0, 0.0, 1), ("b", 4.0, 0.05, 1))
    done = run({"fast": 1, "slow": 1}, rows, "max_min", hold_seconds=86_400.0)
    assert done.decisions == 1
    assert done.start_hours[1] == pytest.approx(0.1)
    assert done.end_hours[1] == pytest.approx(2.0 + (4.0 - 1.9) / 2, abs=0.11)


@pytest.mark.parametrize("objective", ["max_min", "agnostic", "makespan"])
def test_shares_that_stand_longer_are_decided_less_often(objective: str) -> None:
    rows = asks(*[("a" if i % 2 else "b", 1.0 + i % 3, 0.2 * i, 1) for i in range(20)])
    often, seldom = (run({"fast": 2, "slow": 2}, rows, objective, hold_seconds=h) for h in (0.0, 3600.0))
    assert 0 < seldom.decisions < often.decisions
    assert not np.isnan(seldom.end_hours).any()


def test_max_min_counts_accelerators() -> None:
    """A gang of two beside two single asks on two chips: a third of the accelerators each, so the gang runs a third."""
    kind, rate = np.array([0, 0, 1]), np.array([[1.0], [1.0]])
    shares = fair_shares(kind, np.arange(3), rate, None, np.array([1, 2]), np.array([2]), None)
    time = {shares.size[c]: amount for (c, _, _), amount in zip(shares.item.tolist(), shares.target, strict=True)}
    assert time == pytest.approx({1: 4 / 3, 2: 1 / 3})


def test_the_baseline_knows_no_speeds() -> None:
    """Four single asks and a gang of four on six chips: as many accelerators each, on chips as they come."""
    kind, rate = np.array([0, 0, 0, 0, 1]), np.array([[9.0, 1.0], [9.0, 1.0]])
    shares = agnostic_shares(kind, rate, np.array([1, 4]), np.array([4, 2]))
    used = np.zeros((2, 2))
    for (c, _, p), amount in zip(shares.item.tolist(), shares.target, strict=True):
        used[c, p] += amount * shares.size[c]
    assert used == pytest.approx(np.array([[8 / 3, 4 / 3], [4 / 3, 2 / 3]]))


def test_seats_follow_what_is_owed() -> None:
    """Two classes with shares of 1.5 and 0.5 of two chips: three rounds of four, and one; within a class in turn."""
    item, size, capacity = np.array([[0, NOWHERE, 0], [1, NOWHERE, 0]]), np.ones(2, dtype=np.int64), np.array([2])
    owed, got, last = np.zeros(2), np.zeros(4), np.full(4, -1.0)
    for now in range(40):
        owed += (1.5, 0.5)
        order = np.argsort(last, kind="stable")
        chosen, _, seats = by_class(item, owed, np.array([0, 0, 0, 1]), order, size, capacity, np.zeros(2, np.bool_))
        owed -= seats
        last[chosen == 0] = now
        got += chosen == 0
        assert (chosen == 0).sum() <= 2
    assert got.tolist() == pytest.approx([20, 20, 20, 20], abs=1)


def test_who_needs_all_of_its_time_is_seated_first() -> None:
    item, one = np.array([[0, NOWHERE, 0], [1, NOWHERE, 0]]), np.ones(2, dtype=np.int64)
    class_of, order = np.array([0, 1]), np.arange(2)
    chosen, _, seats = by_class(
        item, np.array([2.0, 1.0]), class_of, order, one, np.array([1]), np.array([False, True])
    )
    assert chosen.tolist() == [NOWHERE, 0]
    assert seats.tolist() == [0, 1]


def test_a_pair_takes_two_asks_and_one_seat() -> None:
    item, one = np.array([[0, 0, 0], [0, 1, 0]]), np.ones(2, dtype=np.int64)
    owed, class_of, none = np.array([1.0, 1.0]), np.array([0, 0, 0, 1]), np.zeros(2, dtype=np.bool_)
    chosen, host, seats = by_class(item, owed, class_of, np.arange(4), one, np.array([2]), none)
    assert seats.tolist() == [1, 1]
    assert (chosen == 0).all()
    assert host.tolist() == [NOWHERE, 0, NOWHERE, 2]


def test_who_waits_takes_what_is_idle_and_nothing_else_moves() -> None:
    chosen = np.array([0, NOWHERE, NOWHERE])
    rate = np.array([[1.0, 1.0], [1.0, 0.0], [4.0, 1.0]])
    alone = np.full(3, NOWHERE)
    assert run_the_rest(chosen, alone, rate, np.ones(3, dtype=np.int64), np.array([1, 1])).tolist() == [0, NOWHERE, 1]


def test_gangs_of_one_size_share() -> None:
    alone, good = np.ones((3, 1)), np.full((3, 3, 1), 0.8)
    chosen, host = pair_up(np.array([0, NOWHERE, NOWHERE]), alone, good, np.array([2, 1, 2]))
    assert chosen.tolist() == [0, NOWHERE, 0]
    assert host.tolist() == [NOWHERE, NOWHERE, 0]


@pytest.mark.parametrize("objective", ["max_min", "makespan"])
def test_sharing_does_more_in_the_same_time(objective: str) -> None:
    shared = frame(
        SharedThroughput,
        {"silicon": ["fast"], "work": ["a"], "beside": ["a"], "accelerators": [1], "steps_per_second": [3.6]},
    )
    rows = asks(*[("a", 8.0, 0.0, 1)] * 4)
    paired = run({"fast": 1}, rows, objective, shared=shared)
    assert paired.makespan_hours == pytest.approx(2 * 2 * 4 / 3.6 / 2 * 2, rel=0.06)
    assert paired.makespan_hours < run({"fast": 1}, rows, objective).makespan_hours
    assert paired.least_makespan_hours is None


@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.floats(0.1, 9), st.floats(0, 3), st.just(1)), min_size=1, max_size=9),
    st.integers(1, 3),
    st.integers(1, 3),
    st.sampled_from(QUEUE_OBJECTIVES),
)
@settings(max_examples=60, deadline=None)
def test_nothing_ends_before_the_bound(rows, fast: int, slow: int, objective: str) -> None:
    done = run({"fast": fast, "slow": slow}, asks(*sorted(rows, key=lambda row: row[2])), objective)
    assert done.least_makespan_hours is not None
    assert done.makespan_hours >= done.least_makespan_hours - 1e-9


@given(st.integers(0, 10_000), st.integers(1, 8), st.integers(1, 3))
@settings(max_examples=60, deadline=None)
def test_the_bound_lies_below_the_program_and_near_it(seed: int, count: int, chips: int) -> None:
    """The program that may cut asks in pieces (P1.K by P6.3) is a bound that a solver proves; ours needs none."""
    draw = np.random.default_rng(seed)
    hours, size = draw.uniform(0.5, 9, (count, chips)), draw.integers(1, 3, count)
    capacity = draw.integers(2, 5, chips)
    equal = (capacity / hours).sum(axis=1) / capacity.sum()
    program = (
        1
        / fair_sharing(np.arange(count), 1 / hours, np.zeros((count, count, chips)), size, capacity, weight=1 / equal).t
    )
    found = least_makespan(np.zeros(count), hours, size, capacity)
    assert 0.5 * program <= found <= program * (1 + 1e-6)


def test_the_page_shows_the_bound_what_was_in_use_and_what_was_left_out() -> None:
    done = run({"fast": 2, "slow": 1}, asks(("a", 4.0, 0.0, 1), ("b", 4.0, 0.0, 2)), "makespan")
    page = queue_page(done, np.array([2, 1]))
    assert "no order ends before" in page
    assert f"{done.used_fraction:.1%}" in page
    assert "1 asks were left out" in page
    assert "no order ends before" not in queue_page(replace(done, least_makespan_hours=None), np.array([2, 1]))

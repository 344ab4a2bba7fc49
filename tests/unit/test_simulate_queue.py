"""Queues of asks on chips of different speed: rounds, shares, completion, and pairs that share a chip."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from argosy.errors import BadInput
from argosy.model.fleet import SharedThroughput, Throughput, TraceAsk, frame
from argosy.place.rounds import NOWHERE, by_completion, by_share, pair_up
from argosy.simulate.invented import MULTIPLE, poisson_asks
from argosy.simulate.queue import QUEUE_OBJECTIVES, Queue

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


@pytest.mark.parametrize("objective", QUEUE_OBJECTIVES)
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
        {"silicon": ["fast"], "work": ["a"], "beside": ["a"], "steps_per_second": [3.6]},
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


def test_invented_arrivals_repeat_by_seed_and_come_at_their_rate() -> None:
    speeds = frame(
        Throughput,
        {
            "work": ["a"] * 4,
            "accelerators": [1, 2, 4, 8],
            "silicon": ["fast"] * 4,
            "steps_per_second": [1.0, 2.0, 4.0, 8.0],
        },
    )
    one, two = (
        poisson_asks(speeds, reference="fast", count=2000, per_hour=5.0, sizes=MULTIPLE, seed=3) for _ in range(2)
    )
    assert one.equals(two)
    assert 2000 / (one["arrival_seconds"].max() / 3600) == pytest.approx(5.0, rel=0.1)
    assert one["accelerators"].value_counts().filter(accelerators=1)["count"].item() / 2000 == pytest.approx(
        0.7, abs=0.04
    )

"""Space sharing: rules P6.1 to P6.4 on worlds that can be seen through, and against the program without classes."""

from __future__ import annotations

import linopy
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from argosy.errors import CheckFailed
from argosy.place import sharing
from argosy.place.longest import longest_sharing
from argosy.place.sharing import equal_speed, fair_sharing

ONE = np.ones(1, dtype=np.int64)


def test_two_that_slow_each_other_by_a_quarter_share_an_accelerator() -> None:
    """One chip, two asks of one kind: alone each has half of the time; together each runs at 0.75."""
    done = fair_sharing(np.zeros(2, dtype=np.int64), np.array([[2.0]]), np.array([[[1.5]]]), ONE, ONE)
    assert done.t == pytest.approx(0.75)
    assert done.pair.tolist() == [[0, 0, 0]]
    assert done.per_ask().sum() == pytest.approx(2.0)


def test_a_pair_that_is_no_better_than_turns_is_not_in_the_program() -> None:
    done = fair_sharing(np.zeros(2, dtype=np.int64), np.array([[2.0]]), np.array([[[1.0]]]), ONE, ONE)
    assert (done.t, len(done.pair), done.columns) == (pytest.approx(0.5), 0, 2)


def test_an_ask_does_not_share_with_itself() -> None:
    done = fair_sharing(np.zeros(1, dtype=np.int64), np.array([[2.0]]), np.array([[[1.9]]]), ONE, ONE)
    assert (done.t, len(done.pair)) == (pytest.approx(1.0), 0)


def test_gangs_do_not_share_with_single_asks() -> None:
    rate, beside = np.array([[1.0], [1.0]]), np.full((2, 2, 1), 0.9)
    done = fair_sharing(np.array([0, 1]), rate, beside, np.array([1, 2]), np.array([2]))
    assert len(done.pair) == 0
    assert done.t == pytest.approx(2 / 3)


def test_weights_are_kept_apart() -> None:
    kind, rate = np.zeros(2, dtype=np.int64), np.array([[1.0]])
    done = fair_sharing(kind, rate, np.zeros((1, 1, 1)), ONE, ONE, weight=np.array([1.0, 3.0]))
    assert done.per_ask().ravel() == pytest.approx([0.25, 0.75])


def test_work_that_can_run_nowhere_holds_nobody_back() -> None:
    done = fair_sharing(np.array([0, 1]), np.array([[1.0], [0.0]]), np.zeros((2, 2, 1)), np.array([1, 1]), ONE)
    assert done.t == pytest.approx(1.0)


def test_shares_that_do_not_recount_are_not_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sharing, "worst", lambda *_: 0.5)
    with pytest.raises(CheckFailed, match=r"P6\.3 is violated by 0\.5"):
        fair_sharing(np.zeros(2, dtype=np.int64), np.array([[2.0]]), np.zeros((1, 1, 1)), ONE, ONE)


@st.composite
def worlds(draw):
    kinds, chips = draw(st.integers(1, 3)), draw(st.integers(1, 2))
    seed = np.random.default_rng(draw(st.integers(0, 10_000)))
    rate = np.round(seed.uniform(0.5, 4.0, (kinds, chips)), 2) * (seed.random((kinds, chips)) > 0.2)
    beside = rate[:, None, :] * np.round(seed.uniform(0.2, 1.0, (kinds, kinds, chips)), 2)
    kind = seed.integers(0, kinds, draw(st.integers(1, 7)))
    return kind, rate, beside, np.ones(kinds, dtype=np.int64), seed.integers(1, 4, chips)


@settings(max_examples=40, deadline=None)
@given(world=worlds())
def test_P6_1_classes_are_exact_and_P6_4_reaches_the_same(world) -> None:
    """The program over asks one by one, over classes, and by column generation have the same t."""
    kind, rate, beside, size, capacity = world
    classes = fair_sharing(kind, rate, beside, size, capacity)
    single = (np.arange(len(kind)), rate[kind], beside[np.ix_(kind, kind)], size[kind], capacity)
    one_by_one = fair_sharing(*single)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sharing, "FULL_CLASSES", 0)
        generated = fair_sharing(*single)
    assert one_by_one.t == pytest.approx(classes.t, rel=1e-7)
    assert generated.t == pytest.approx(classes.t, rel=1e-6)
    assert generated.gap <= 1e-6


def test_against_a_program_written_with_linopy() -> None:
    """Every ordered pair of asks and every chip, nothing left out."""
    seed = np.random.default_rng(3)
    rate = seed.uniform(0.5, 4.0, (3, 2))
    beside = rate[:, None, :] * seed.uniform(0.3, 1.0, (3, 3, 2))
    kind, capacity = np.array([0, 0, 1, 2, 2]), np.array([2, 1])
    model, asks, chips = linopy.Model(), range(5), range(2)
    t = model.add_variables(lower=0, name="t")
    x = {(i, p): model.add_variables(lower=0, name=f"x{i},{p}") for i in asks for p in chips}
    y = {
        (i, j, p): model.add_variables(lower=0, name=f"y{i},{j},{p}")
        for i in asks
        for j in range(i + 1, 5)
        for p in chips
    }
    for i in asks:
        mine = [(key, key[1] if key[0] == i else key[0]) for key in y if i in key[:2]]
        model.add_constraints(sum(x[i, p] for p in chips) + sum(y[key] for key, _ in mine) <= 1)
        equal = float((rate[kind[i]] * capacity).sum() / capacity.sum())
        done = sum(rate[kind[i], p] * x[i, p] for p in chips)
        done = done + sum(float(beside[kind[i], kind[j], key[2]]) * y[key] for key, j in mine)
        model.add_constraints(done - equal * t >= 0)
    for p in chips:
        used = sum(x[i, p] for i in asks) + sum(y[key] for key in y if key[2] == p)
        model.add_constraints(used <= int(capacity[p]))
    model.add_objective(1 * t, sense="max")
    model.solve(solver_name="highs", io_api="direct", output_flag=False)
    ours = fair_sharing(kind, rate, beside, np.ones(3, dtype=np.int64), capacity)
    assert ours.t == pytest.approx(float(model.objective.value), rel=1e-7)


def test_the_rest_goes_to_who_makes_the_most_of_it() -> None:
    """One ask can use only the slow chip; fairness leaves the fast one idle, and the other ask takes it all (P6.6)."""
    rate = np.array([[0.0, 1.0], [4.0, 1.0]])
    none, kind = np.zeros((2, 2, 2)), np.array([0, 1])
    fair = fair_sharing(kind, rate, none, np.ones(2, dtype=np.int64), np.ones(2, dtype=np.int64))
    full = fair_sharing(kind, rate, none, np.ones(2, dtype=np.int64), np.ones(2, dtype=np.int64), rest=True)
    assert full.t == pytest.approx(fair.t)
    assert full.per_ask() == pytest.approx(np.array([[0.0, 1.0], [1.0, 0.0]]), abs=1e-6)


def test_an_ask_too_long_for_the_mix_of_its_class_is_a_class_of_its_own() -> None:
    """P6.7: two fast chips and many slow ones; the long ask needs a fast one all the time, the short ones need none."""
    kind, left, apart = np.zeros(21, dtype=np.int64), np.array([40.0] + [1.0] * 20), np.zeros(21, dtype=np.bool_)
    rate, none = np.array([[4.0, 1.0]]), np.zeros((1, 1, 2))
    done = longest_sharing(kind, left, rate, none, ONE, np.array([1, 2]), apart)
    assert done.t == pytest.approx(1 / 10)
    assert np.flatnonzero(apart).tolist() == [0]
    assert done.count.tolist() == [20, 1]


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 100_000))
def test_P6_7_few_classes_give_the_makespan_of_asks_one_by_one(seed: int) -> None:
    """Also when the asks that were set apart before are no longer those that need it."""
    chance = np.random.default_rng(seed)
    kinds, chips, asks = chance.integers(1, 5), chance.integers(1, 4), int(chance.integers(1, 16))
    size, capacity = chance.choice([1, 1, 2], kinds), chance.integers(2, 6, chips)
    rate = chance.uniform(0.5, 4.0, (kinds, chips))
    rate[:, 1:] *= chance.random((kinds, chips - 1)) > 0.2
    beside = rate[:, None, :] * chance.uniform(0.2, 1.0, (kinds, kinds, chips))
    kind, left = chance.integers(0, kinds, asks), chance.lognormal(0.0, 1.5, asks)
    apart = chance.random(asks) < 0.1
    done = longest_sharing(kind, left, rate, beside, size, capacity, apart)
    weight = left / equal_speed(rate, size, capacity)[kind]
    alone = fair_sharing(np.arange(asks), rate[kind], beside[np.ix_(kind, kind)], size[kind], capacity, weight=weight)
    assert done.t == pytest.approx(alone.t, rel=1e-6)

"""Fronts, near-optimal sizes, values and selected futures against hand arithmetic, grids and whole plans."""

from __future__ import annotations

import threading
from random import Random
from typing import Any

import numpy as np
import pytest
from tests.support.worlds_plan import YEAR, given, on_demand, planned, sized, work, world

from argosy.clock import SystemClock
from argosy.model.answer import Front
from argosy.model.decision import Plan
from argosy.model.futures import futures
from argosy.model.portfolio import Portfolio
from argosy.plan import main, solve
from argosy.plan.inputs import inputs
from argosy.plan.main import Questions
from argosy.plan.selected import distances, forward, selected
from argosy.plan.template import build
from argosy.plan.unseen import Scorer

ALL = Questions(fronts=True, ranges=True, values="all")
GAP = 1e-5


def asked(portfolio: Portfolio, questions: Questions = ALL, **options: Any) -> Plan:
    plan = solve(portfolio, futures(portfolio), questions=questions, **({"gap": GAP} | options))
    assert isinstance(plan, Plan)
    return plan


def front(plan: Plan, measure: str) -> Front:
    return next(f for f in plan.front if f.measure == measure)


SWING = given(
    {"probability": 0.3, "demand_factor": {"all": {"2026-01": 0.4}}},
    {"probability": 0.5, "demand_factor": {"all": {"2026-01": 1.0}}},
    {"probability": 0.2, "demand_factor": {"all": {"2026-01": 1.8}}},
)
RISK = {"risk": {"aversion_fraction": 0.3, "tail_fraction": 0.8}}


def uncertain() -> Portfolio:
    """A contract at 2.5 and open capacity at 4 up to 60 accelerators; beyond it work stays undone."""
    return world(
        [on_demand(4.0, amount=60.0), sized(2.5, max_accelerators=200.0)], [work(100, unserved=6000.0)],
        scenarios=SWING, policy=RISK,
    )  # fmt: skip


def grid(portfolio: Portfolio, sizes: np.typing.NDArray[np.float64]) -> np.typing.NDArray[np.float64]:
    """(sizes, 3) expected cost, tail and objective of the contract at each size, every future solved."""
    told = inputs(portfolio, futures(portfolio))
    template = build(told.program)
    scorer, columns, program = Scorer(template), template.first.columns, told.program
    out = []
    for size in sizes:
        first = np.zeros(columns.size)
        first[columns.part("size")] = size / program.accelerator_scale
        first[columns.part("sign")] = 1.0
        cost = scorer.outcome(first).cost * program.money_scale
        order = np.argsort(-cost)
        before = np.cumsum(program.probability[order]) - program.probability[order]
        weight = np.clip(1 - program.tail - before, 0, program.probability[order]) / (1 - program.tail)
        mean, tail = float(program.probability @ cost), float(weight @ cost[order])
        out.append((mean, tail, (1 - program.risk_aversion) * mean + program.risk_aversion * tail))
    return np.array(out)


def test_q10_1_the_front_of_the_tail_against_a_grid() -> None:
    portfolio = uncertain()
    sizes = np.linspace(0, 200, 201)
    known = grid(portfolio, sizes)
    points = front(asked(portfolio), "tail").points
    assert len(points) == 20
    for point in points:
        best = known[known[:, 1] <= point.limit * (1 + 1e-9), 0].min(initial=np.inf)
        assert point.low_usd <= best * (1 + 1e-9)
        assert point.low_usd <= point.high_usd
        assert point.tail_usd <= point.limit * (1 + 1e-6)
        assert point.high_usd <= best * (1 + 5e-3)
        assert point.high_usd - point.low_usd <= 5e-3 * point.high_usd
    highs = [point.high_usd for point in points]
    assert highs == sorted(highs, reverse=True)
    assert points[-1].high_usd == pytest.approx(known[:, 0].min(), rel=1e-3)


def test_q10_2_the_front_of_carbon_by_hand() -> None:
    """Dirty capacity at 2 USD and 400 g, clean at 3 USD and 0 g: each tonne less costs the same."""
    chips = [on_demand(2.0, "a"), on_demand(3.0, "c")]
    plan = asked(world(chips, [work(100)], scenarios=given({}, {"demand_factor": {"all": {"2026-01": 0.5}}})))
    found = front(plan, "carbon")
    dirty = 75 * YEAR * 0.4 / 1000  # tonnes in the mean of 100 and 50 accelerators of 1 kW
    assert found.points[-1].limit == pytest.approx(dirty, rel=1e-6)
    for point in found.points:
        cost = 75 * YEAR * 2.0 + (1 - point.limit / dirty) * 75 * YEAR * 1.0
        if point.limit > 0.99 * dirty or point.limit < 0.01 * dirty:
            continue
        assert point.low_usd <= cost * (1 + 1e-6)
        assert point.high_usd == pytest.approx(cost, rel=1e-3)


def test_q10_2_unknown_carbon_is_named_and_never_zero() -> None:
    portfolio = world([on_demand(4.0, "b"), sized(2.0, pool="b")], [work(100)])
    regions = tuple(r.model_copy(update={"grid_carbon_g_per_kwh": None}) for r in portfolio.regions)
    found = front(asked(portfolio.model_copy(update={"regions": regions})), "carbon")
    assert found.points == ()
    assert found.note is not None
    assert "not known for" in found.note


def test_q10_3_the_front_of_the_largest_vendor_by_hand() -> None:
    """Deals at 2.0 and 2.5 USD, open capacity at 10: 100 accelerators are split so that no share is above the limit."""
    deals = [on_demand(10.0), sized(2.0, max_accelerators=100.0), sized(2.5, id="other", pool="b")]
    found = front(asked(world(deals, [work(100)])), "largest_vendor")
    assert found.points[0].limit == pytest.approx(0.5)
    assert found.points[-1].limit == pytest.approx(1.0)
    for point in found.points:
        mine = 100 * 2.5 * point.limit / (2.0 * (1 - point.limit) + 2.5 * point.limit)  # 2 x = s (2 x + 2.5 (100 - x))
        cost = (2.0 * mine + 2.5 * (100 - mine)) * YEAR
        assert point.low_usd == pytest.approx(cost, rel=1e-5)
        assert point.high_usd == pytest.approx(cost, rel=1e-5)
        assert point.largest_vendor_fraction == pytest.approx(point.limit, rel=1e-4)


def test_q11_ranges_against_a_grid() -> None:
    portfolio = uncertain()
    sizes = np.linspace(0, 200, 401)
    objective = grid(portfolio, sizes)[:, 2]
    plan = asked(portfolio)
    found = next(n for n in plan.near_optimal if n.contract == "deal")
    assert found.unit == "accelerators"
    for one in found.ranges:
        inside = sizes[objective <= plan.bound_usd * (1 + one.more_cost_fraction)]
        assert one.outer_low <= inside.min() + 1e-3
        assert one.outer_high >= inside.max() - 1e-3
        assert one.inner_low is not None
        assert one.inner_high is not None
        assert one.outer_low <= one.inner_low <= found.size <= one.inner_high <= one.outer_high
        assert one.inner_low >= inside.min() - 1.0
        assert one.inner_high <= inside.max() + 1.0
        assert one.outer_low == pytest.approx(inside.min(), abs=4.0)
        assert one.outer_high == pytest.approx(inside.max(), abs=4.0)
    assert found.ranges[0].outer_low >= found.ranges[1].outer_low - 1e-6


@pytest.mark.parametrize("seed", range(4))
def test_q12_values_against_whole_plans(seed: int) -> None:
    draw = Random(seed)
    scenarios = given(*({"demand_factor": {"all": {"2026-05": draw.uniform(0.3, 2)}}} for _ in range(3)))
    policy = {"risk": {"aversion_fraction": draw.choice([0.0, 0.4]), "tail_fraction": 0.6}}

    def built(deal: float, other: float) -> Portfolio:
        rows = [
            on_demand(3.5, amount=50.0),
            sized(2.0, min_accelerators=min(deal, 10.0), max_accelerators=deal),
            sized(2.6, id="other", pool="b", max_accelerators=other),
        ]
        return world(rows, [work(draw_demand, unserved=6000.0)], scenarios=scenarios, policy=policy)

    draw_demand = draw.uniform(60, 120)
    plan = asked(built(80.0, 40.0))
    whole = planned(built(80.0, 40.0)).objective_usd
    for worth, without in zip(plan.values, (built(0.0, 40.0), built(80.0, 0.0)), strict=True):
        exact = planned(without).objective_usd - whole
        room = 1e-4 * whole
        assert worth.low_usd is not None
        assert worth.high_usd is not None
        assert worth.low_usd - 1e-3 <= exact <= worth.high_usd + 1e-3
        assert worth.high_usd - worth.low_usd <= 20 * room


def test_q12_a_signed_contract_may_be_worth_less_than_nothing() -> None:
    plan = asked(world([on_demand(4.0), sized(6.0, 100.0)], [work(100)]))
    assert plan.values[0].low_usd == pytest.approx(-200 * YEAR, rel=1e-4)
    assert plan.values[0].high_usd == pytest.approx(-200 * YEAR, rel=1e-4)


def test_the_decomposition_answers_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = asked(uncertain())
    monkeypatch.setattr(main, "EXTENSIVE_COLUMNS", 0)
    parts = asked(uncertain())
    for one, two in zip(whole.front, parts.front, strict=True):
        for a, b in zip(one.points, two.points, strict=True):
            assert a.low_usd <= b.high_usd * (1 + 1e-6) or abs(a.limit - b.limit) > 1e-3 * abs(a.limit)
    for one, two in zip(whole.values, parts.values, strict=True):
        assert one.low_usd <= two.high_usd + 1.0  # type: ignore[operator]
        assert two.low_usd <= one.high_usd + 1.0  # type: ignore[operator]


def test_what_was_not_asked_for_is_said() -> None:
    plan = asked(uncertain(), Questions())
    assert plan.front == ()
    assert plan.near_optimal == ()
    assert plan.values == ()
    assert set(plan.not_computed) == {"front", "near_optimal", "values"}
    assert "--fronts" in plan.not_computed["front"]


def test_a_stop_leaves_the_plan_and_says_so() -> None:
    stop = threading.Event()

    def progress(step: str, best: float | None, bound: float | None) -> None:
        if step.startswith("near-optimal"):
            stop.set()

    portfolio = uncertain()
    plan = solve(portfolio, futures(portfolio), questions=ALL, progress=progress, stop=stop)
    assert isinstance(plan, Plan)
    assert plan.values == ()
    assert set(plan.not_computed) == {"front", "near_optimal", "values"}


def test_questions_keep_the_time_limit_and_say_so() -> None:
    """Time runs out while the values are looked for: the ranges are there, the rest says what was missing."""

    class Clock(SystemClock):
        late = False

        def monotonic_seconds(self) -> float:
            return 1e6 if self.late else 0.0

    clock, portfolio = Clock(), uncertain()

    def progress(step: str, best: float | None, bound: float | None) -> None:
        clock.late = clock.late or step.startswith("without ")

    plan = solve(portfolio, futures(portfolio), questions=ALL, progress=progress, clock=clock)
    assert isinstance(plan, Plan)
    assert plan.near_optimal
    assert (plan.values, plan.front) == ((), ())
    assert {"front", "values"} <= set(plan.not_computed)
    assert all("--time-limit" in plan.not_computed[name] for name in ("front", "values"))


# --- Futures with weights


def halved(portfolio: Portfolio) -> Portfolio:
    """The same futures with one of them split into two of unequal weight."""
    own = portfolio.scenarios.given
    one = own[1]
    split = (
        one.model_copy(update={"probability": one.probability * 0.2}),
        one.model_copy(update={"id": "twin", "probability": one.probability * 0.8}),
    )
    changed = portfolio.scenarios.model_copy(update={"given": (own[0], *split, *own[2:])})
    return portfolio.model_copy(update={"scenarios": changed})


def test_weights_count_everywhere() -> None:
    """A future that is split into two with its weight shared changes no answer."""
    one, two = asked(uncertain()), asked(halved(uncertain()))
    assert two.objective_usd == pytest.approx(one.objective_usd, rel=2 * GAP)
    assert two.expected_usd == pytest.approx(one.expected_usd, rel=1e-3)
    assert [d.size for d in two.decisions] == pytest.approx([d.size for d in one.decisions], rel=1e-2)
    for a, b in zip(one.front, two.front, strict=True):
        assert len(a.points) == len(b.points)
        for p, q in zip(a.points, b.points, strict=True):
            assert q.high_usd == pytest.approx(p.high_usd, rel=6e-3)


def test_s17_forward_selection_against_every_choice() -> None:
    """Each step takes the best next future, and every future's weight goes to its nearest."""
    rng = np.random.default_rng(5)
    place = rng.normal(size=(9, 2))
    distance = np.abs(place[:, None] - place[None]).sum(axis=2)
    probability = rng.dirichlet(np.ones(9))
    taken: list[int] = []
    for _ in range(4):
        costs = {
            s: sum(p * min(distance[i, j] for j in [*taken, s]) for i, p in enumerate(probability))
            for s in range(9) if s not in taken
        }  # fmt: skip
        taken.append(min(costs, key=lambda s: costs[s]))
    found, weight = forward(distance, probability, 4)
    assert found.tolist() == sorted(taken)
    assert weight.sum() == pytest.approx(1.0)
    for s, w in zip(found.tolist(), weight, strict=True):
        mine = [i for i in range(9) if min(found.tolist(), key=lambda j: distance[i, j]) == s]
        assert w == pytest.approx(probability[mine].sum())


def test_s16_selected_futures_keep_their_weight_and_order() -> None:
    portfolio = halved(uncertain())
    every = futures(portfolio)
    told = distances(inputs(portfolio, every).program)
    assert np.allclose(told, told.T)
    assert told[1, 2] == 0  # the twins
    few = selected(portfolio, every, 3)
    assert [s.id for s in few] == ["s0", "s1", "s2"]
    assert [s.probability for s in few] == pytest.approx([0.3, 0.5, 0.2])
    assert selected(portfolio, every, 4) == every
    plan = solve(portfolio, few, gap=GAP)
    assert isinstance(plan, Plan)
    assert plan.objective_usd == pytest.approx(planned(uncertain()).objective_usd, rel=2 * GAP)

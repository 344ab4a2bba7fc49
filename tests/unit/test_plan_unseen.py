"""Plans on unseen futures: a world done by hand, the laws of the scores, the rule that forecasts nothing."""

from __future__ import annotations

import io
import random
import threading
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console
from tests.support import worlds_plan as w
from typer.testing import CliRunner

from argosy.cli.main import app
from argosy.cli.tables import plan_tables
from argosy.model.decision import Plan
from argosy.model.futures import futures
from argosy.model.scenario import Scenario
from argosy.plan import solve
from argosy.plan.baselines import allowed, only
from argosy.plan.clusters import clusters, rule, seen
from argosy.plan.inputs import inputs
from argosy.plan.no_forecast import sizes
from argosy.plan.program import mean_program
from argosy.plan.risk import measure
from argosy.plan.unseen import Scorer, classified, program_of, quantile, standard_error
from argosy.plan.world import World
from argosy.report import html
from argosy.report.format import usd
from argosy.report.unseen_sections import compared

Json = dict[str, Any]
YEAR = w.YEAR
GROWTH: Json = {"kind": "demand_growth", "trend_per_year_ratio": 0.5, "walk_per_month_ratio": 0.1}


def deal_world(**more: Any) -> Any:
    """Ten units of work, doubled or none with equal chance; a year at 2 USD, or on demand at 3 USD."""
    scenarios = w.given(
        {"demand_factor": {"all": {"2026-01": 2.0}}}, {"demand_factor": {"all": {"2026-01": 0.0}}}, clusters=1
    )
    return w.world(
        [w.on_demand(3.0), w.sized(2.0)], [w.work(10.0)], scenarios=more.pop("scenarios", scenarios), **more
    )  # fmt: skip


def drawn_world(**more: Any) -> Any:
    """Growth that is drawn, an option, an exit and a later signing, so that later decisions are worth something."""
    option = {"max_fraction": 1.0, "premium_usd_per_accelerator": 10, "first_exercise": "2026-04"}
    contracts = [
        w.on_demand(4.0), w.on_demand(4.5, "b"), w.on_demand(5.0, "c"),
        w.sized(2.0, expansion_option=option, max_accelerators=8.0, min_accelerators=1.0),
        w.sized(1.9, pool="b", id="exit", exit={"earliest": "2026-05", "notice_months": 1, "fee_fraction": 0.2}),
    ]  # fmt: skip
    scenarios = {"count": 6, "seed": 4, "information_clusters": 2} | more.pop("scenarios", {})
    risk = {"risk": {"aversion_fraction": 0.3, "tail_fraction": 0.8}}
    return w.world(
        contracts, [w.work({"2026-01": 4.0, "2026-06": 9.0})], uncertainties=[GROWTH], scenarios=scenarios,
        policy=more.pop("policy", risk), **more,
    )  # fmt: skip


@cache
def drawn_plan() -> Plan:
    return planned(drawn_world(), 40)


def planned(portfolio: Any, unseen: int) -> Plan:
    plan = solve(portfolio, futures(portfolio), gap=0.0, seed=portfolio.scenarios.seed, unseen=unseen)
    assert isinstance(plan, Plan), plan
    return plan


def test_values_of_information_by_hand() -> None:
    """The deal is for ten or more: worth its fee in one future of two, so at 2 of 3 USD it is not signed.

    Nothing signed: half the futures buy 20 at 3, which is 30 on average. Knowing the future, 20 are signed at 2 in one
    future and none in the other, 20 on average. The mean future asks for 10, which cost 20 whatever happens; 10 more
    are bought at 3 in one future of two: 20 + 15 = 35.
    """
    plan = planned(deal_world(), 0)
    assert plan.evpi_usd is None
    plan = planned(deal_world(), 5)
    assert plan.objective_usd == pytest.approx(30 * YEAR)
    assert plan.evpi_usd == pytest.approx((30 - 20) * YEAR)
    assert plan.vss_usd == pytest.approx((35 - 30) * YEAR)
    assert plan.hindsight_usd == plan.objective_usd
    assert plan.out_of_sample is None  # nothing is drawn
    assert plan.regret == ()


def test_values_of_information_by_brute_force() -> None:
    """Every size on a grid, at every price of the deal: the same values as from the program."""
    for fee in (1.2, 1.5, 1.9, 2.6):
        scenarios = w.given(
            {"probability": 0.2, "demand_factor": {"all": {"2026-01": 3.0}}},
            {"probability": 0.5, "demand_factor": {"all": {"2026-01": 1.0}}},
            {"probability": 0.3, "demand_factor": {"all": {"2026-01": 0.5}}},
            clusters=1,
        )
        plan = planned(w.world([w.on_demand(3.0), w.sized(fee)], [w.work(10.0)], scenarios=scenarios), 5)
        demand, p = np.array([30.0, 10.0, 5.0]), np.array([0.2, 0.5, 0.3])
        grid = np.arange(0.0, 40.5, 0.5)
        cost = fee * grid[:, None] + 3.0 * np.maximum(0.0, demand - grid[:, None])  # (sizes, futures)
        best = (cost @ p).min()
        assert plan.objective_usd == pytest.approx(best * YEAR)
        assert plan.evpi_usd == pytest.approx((best - cost.min(axis=0) @ p) * YEAR, abs=1e-3)
        mean = demand @ p
        there = fee * mean + 3.0 * (p @ np.maximum(0.0, demand - mean))
        assert plan.vss_usd == pytest.approx((there - best) * YEAR, abs=1e-3)


def test_scores_in_sample_are_the_objective() -> None:
    """The machinery for unseen futures, given the plan's own, repeats the plan's own costs."""
    solved = w.Solved(drawn_world())
    scorer = Scorer.of(solved.inputs, solved.inputs.world.scenarios)
    outcome = scorer.outcome(solved.solution.first)
    assert measure(scorer.program, outcome.cost) == pytest.approx(solved.solution.objective, rel=1e-9)
    assert outcome.cost == pytest.approx(solved.recount.first_cost + solved.recount.scenario_cost, rel=1e-6)
    assert scorer.objective(solved.solution.first) == pytest.approx(solved.solution.objective, rel=1e-9)


def test_own_futures_fall_into_their_own_clusters() -> None:
    solved = w.Solved(drawn_world(scenarios={"count": 9, "information_clusters": 4}))
    world = solved.inputs.world
    assert classified(solved.inputs, world) == solved.inputs.later
    again = program_of(solved.inputs, world.scenarios)
    for name in ("later_member", "link_capacity", "bound_amount", "future_cost", "demand", "open_max"):
        assert np.array_equal(getattr(again, name), getattr(solved.program, name)), name


@pytest.mark.parametrize("seed", range(5))
def test_clusters_part_any_futures_by_what_was_seen(seed: int) -> None:
    """Each future, seen or not, is in one cluster; more demand seen never means a lower cluster."""
    rng = random.Random(seed)
    portfolio = drawn_world(scenarios={"count": rng.randint(1, 12), "seed": seed})
    portfolio = portfolio.model_copy(
        update={"scenarios": portfolio.scenarios.model_copy(update={"information_clusters": rng.randint(1, 5)})}
    )
    world = World.of(portfolio, futures(portfolio))
    other = World.of(portfolio, futures(portfolio, count=50, stream="unseen"))
    for month in (0, 1, 5, 11):
        cut = rule(world, month)
        member = np.array(clusters(world, month))
        assert (member.sum(axis=0) == 1).all()
        assert np.array_equal(member.argmax(axis=0), cut.cluster(world))
        label = cut.cluster(other)
        assert set(label.tolist()) <= set(range(len(member)))
        assert (np.diff(label[np.argsort(seen(other, month), kind="stable")]) >= 0).all()


def test_unseen_future_takes_its_clusters_decision() -> None:
    """By April 9 units were seen in one future and 27 in the other; 17.9 belong to the first and 18.1 to the second."""
    low, high = ({"demand_factor": {"all": {"2026-01": f}}} for f in (1.0, 3.0))
    exit_ = {"earliest": "2026-04", "notice_months": 1, "fee_fraction": 0.0}
    portfolio = w.world(
        [w.on_demand(4.0), w.sized(2.0, exit=exit_)], [w.work(3.0)], scenarios=w.given(low, high, clusters=2)
    )
    told = inputs(portfolio, futures(portfolio))
    months = {x.month for x in told.later}
    assert len(told.later) == 2 * len(months)
    month = min(months)
    middle = 6.0 * month
    assert rule(told.world, month).cuts == pytest.approx([middle])
    near = [(middle - 0.1) / (3.0 * month), (middle + 0.1) / (3.0 * month)]
    others = tuple(
        Scenario(id=f"u{i}", probability=0.5, demand_factor={"all": {portfolio.horizon.start: f}})
        for i, f in enumerate(near)
    )
    member = program_of(told, others).later_member
    first = [e for e, x in enumerate(told.later) if x.month == month]
    assert member[:, first].tolist() == [[True, False], [False, True]]


def test_information_is_never_worth_less_than_nothing() -> None:
    plan = drawn_plan()
    assert plan.later
    assert plan.evpi_usd is not None
    assert plan.vss_usd is not None
    assert plan.hindsight_usd is not None
    assert plan.evpi_usd >= 0
    assert plan.vss_usd >= -1e-6 * plan.objective_usd
    assert plan.objective_usd - plan.evpi_usd <= plan.hindsight_usd * (1 + 1e-7)
    assert plan.hindsight_usd <= plan.objective_usd


def test_scores_add_up() -> None:
    plan = drawn_plan()
    out = plan.out_of_sample
    assert out is not None
    assert out.drawn == len(out.scenarios) == 40
    assert sum(out.probability) == pytest.approx(1.0)
    assert not set(out.scenarios) & {s.scenario for s in plan.scenarios}
    assert {s.plan for s in out.baselines} | set(out.left_out) == {
        "mean_value", "on_demand", "single_vendor", "no_forecast"
    }  # fmt: skip
    p = np.array(out.probability)
    for s in (out.plan, *out.baselines):
        cost = np.array(s.costs_usd)
        assert s.expected_usd == pytest.approx(p @ cost)
        assert sum(s.components_usd.values()) == pytest.approx(s.expected_usd)
        assert s.worst_usd == cost.max() == cost[out.scenarios.index(s.worst_scenario)]
        assert s.tail_usd == pytest.approx(np.sort(cost)[-8:].mean())  # the costliest fifth of forty
        assert s.objective_usd == pytest.approx(0.7 * s.expected_usd + 0.3 * s.tail_usd)
        assert s.standard_error_usd == pytest.approx(cost.std(ddof=1) / np.sqrt(40))
        assert list(s.quantiles_usd.values()) == sorted(s.quantiles_usd.values())
        assert 0 <= s.unserved_fraction <= 1
    assert out.plan.in_sample_usd == pytest.approx(plan.objective_usd, rel=1e-7)
    # There is no limit on vendor shares here, so every baseline is a plan that the plan could have been.
    assert all(s.in_sample_usd >= plan.objective_usd * (1 - 1e-7) for s in out.baselines)


def test_regret_is_against_the_best_in_each_future() -> None:
    plan = drawn_plan()
    out = plan.out_of_sample
    assert out is not None
    scores = (out.plan, *out.baselines)
    cost = np.array([s.costs_usd for s in scores])
    above = cost - cost.min(axis=0)
    assert [row.plan for row in plan.regret] == [s.plan for s in scores]
    for row, mine in zip(plan.regret, above, strict=True):
        assert row.expected_usd == pytest.approx(mine.mean(), abs=1e-3)
        assert row.worst_usd == pytest.approx(mine.max(), abs=1e-3)
        assert row.expected_usd <= row.worst_usd
        assert sum(row.components_usd.values()) == pytest.approx(row.expected_usd, abs=1e-3)
    assert sum(row.best_fraction for row in plan.regret) >= 1 - 1e-9


def test_scoring_changes_nothing_and_repeats() -> None:
    plain, scored = planned(drawn_world(), 0), drawn_plan()
    empty = dict.fromkeys(("out_of_sample", "evpi_usd", "vss_usd", "hindsight_usd")) | {"regret": ()}
    assert scored.model_copy(update=empty) == plain
    assert planned(drawn_world(), 40).model_dump_json() == scored.model_dump_json()


def test_more_futures_keep_the_first_ones() -> None:
    """Future k does not depend on how many are drawn, and neither does what a plan costs in it."""
    more = planned(drawn_world(), 50).out_of_sample
    few = drawn_plan().out_of_sample
    assert more is not None
    assert few is not None
    assert more.plan.costs_usd[:40] == pytest.approx(few.plan.costs_usd)


def test_given_futures_keep_their_weight() -> None:
    portfolio = drawn_world(
        scenarios={"given": [{"id": "halves", "probability": 0.4, "demand_factor": {"all": {"2026-02": 0.5}}}]}
    )
    out = planned(portfolio, 20).out_of_sample
    assert out is not None
    assert (out.scenarios[0], out.probability[0], out.drawn) == ("halves", 0.4, 20)
    drawn = np.array(out.plan.costs_usd[1:])
    assert out.plan.standard_error_usd == pytest.approx(0.6 * drawn.std(ddof=1) / np.sqrt(20))


def test_quantiles_and_errors_by_hand() -> None:
    p, cost = np.array([0.5, 0.2, 0.2, 0.1]), np.array([4.0, 1.0, 3.0, 9.0])
    assert [quantile(p, cost, q) for q in (0.05, 0.2, 0.4, 0.5, 0.9, 0.95)] == [1.0, 1.0, 3.0, 4.0, 4.0, 9.0]
    assert standard_error(p, cost, 4) == 0.0
    assert standard_error(p, cost, 2) == pytest.approx(0.3 * np.sqrt(18.0) / np.sqrt(2))


def test_no_forecast_reserves_what_today_would_have_paid_for() -> None:
    """Today 10 units on demand at 3; a year at 2 pays and is signed for all 10, growth or not; at 3.5 it does not."""
    for fee, size in ((2.0, 10.0), (2.9, 10.0), (3.5, 0.0)):
        told = w.Solved(w.world([w.on_demand(3.0), w.sized(fee)], [w.work({"2026-01": 10.0, "2026-03": 50.0})])).inputs
        assert sizes(told, mean_program(told.program)) * told.program.accelerator_scale == pytest.approx([size])
    signed = w.world([w.on_demand(3.0), w.sized(1.0, 4.0, id="old"), w.sized(2.0)], [w.work(10.0)])
    told = w.Solved(signed).inputs
    assert sizes(told, mean_program(told.program)) * told.program.accelerator_scale == pytest.approx([0.0, 6.0])


def test_no_forecast_counts_usage_in_the_break_even() -> None:
    """A commitment to 60 % at 2.5 costs 1.5 for certain and 2.5 for what is used; today's use is full."""
    deal = w.sized(2.5, kind="take_or_pay", take_or_pay_fraction=0.6)
    told = w.Solved(w.world([w.on_demand(3.0), deal], [w.work(10.0)])).inputs
    assert sizes(told, mean_program(told.program)) * told.program.accelerator_scale == pytest.approx([10.0])


def test_restricted_programs() -> None:
    solved = w.Solved(drawn_world())
    nothing = allowed(solved.program, np.zeros(2, dtype=bool))
    assert (nothing.size_max == 0).all()
    assert (nothing.sign_upper == 0).all()
    assert allowed(solved.program, np.ones(2, dtype=bool)).size_max == pytest.approx(solved.program.size_max)
    one = only(solved.program, 3)
    assert one.shape == {**solved.program.shape, "S": 1}
    assert np.array_equal(one.demand[0], solved.program.demand[3])
    assert replace(one).probability.tolist() == [1.0]


def test_ctrl_c_after_the_plan_keeps_the_plan() -> None:
    """A stop that comes while the baselines are made ends the scoring, and the plan is the plan."""
    stop = threading.Event()
    steps = []

    def progress(step: str, best_usd: float | None, bound_usd: float | None) -> None:
        steps.append(step)
        if step == "baselines":
            stop.set()

    portfolio = drawn_world()
    plan = solve(portfolio, futures(portfolio), gap=0.0, seed=4, unseen=40, progress=progress, stop=stop)
    assert isinstance(plan, Plan)
    assert plan.out_of_sample is None
    assert plan.objective_usd == drawn_plan().objective_usd
    assert "unseen futures, plan" not in steps


def test_readers_see_the_scores() -> None:
    """The page and the terminal show the plan first, then the baselines from the best."""
    plan = drawn_plan()
    out = plan.out_of_sample
    assert out is not None
    assert plan.vss_usd is not None
    order = compared(out)
    assert order[0] is out.plan
    assert [s.objective_usd for s in order[1:]] == sorted(s.objective_usd for s in out.baselines)
    page = html(plan)
    assert "Cost over 40 unseen futures" in page
    assert "Regret: cost above the best of these plans" in page
    assert usd(plan.vss_usd) in page
    text = io.StringIO()
    plan_tables(plan, Console(file=text, width=100))
    assert "On 40 unseen futures" in text.getvalue()
    assert usd(plan.vss_usd) in text.getvalue()
    worse = out.model_copy(update={"left_out": {"on_demand": "it keeps no limit"}})
    assert "Not compared: nothing new signed: it keeps no limit." in html(
        plan.model_copy(update={"out_of_sample": worse})
    )


def test_command_scores_only_when_asked() -> None:
    example = Path(__file__).parents[2] / "examples" / "startup" / "portfolio.yaml"
    plain = CliRunner().invoke(app, ["plan", str(example), "--unseen", "0"])
    assert plain.exit_code == 0
    assert "unseen future" not in plain.output
    scored = CliRunner().invoke(app, ["plan", str(example), "--unseen", "10"])
    assert scored.exit_code == 0
    assert "On 10 unseen futures" in scored.output

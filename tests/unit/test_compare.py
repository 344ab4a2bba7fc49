"""Strategies and stresses: what they edit, what bad files say, and comparisons known by hand."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import typer
from tests.support.worlds_plan import YEAR, given, hours, on_demand, planned, sized, work, world
from typer.testing import CliRunner

from argosy.cli.compare import compare as command
from argosy.cli.compare import comparison_document
from argosy.cli.questions_reference import reference_text
from argosy.errors import BadInput
from argosy.files.dump import dump
from argosy.files.edits import bundled, strategy, stress, stressed
from argosy.market.catalogue import bundled as catalogue
from argosy.model.futures import futures
from argosy.model.portfolio import Portfolio
from argosy.model.question import Comparison, StrategyScore
from argosy.model.strategy import Strategy, Stress, Who
from argosy.plan.compare import compare
from argosy.settings import Settings

Json = dict[str, Any]


def plan_of(*edits: Json) -> Strategy:
    body = {"argosy": 1, "id": "mine", "title": "Mine", "edits": list(edits)}
    return Strategy.model_validate_json(json.dumps(body))


def stress_of(*edits: Json) -> Stress:
    body = {"argosy": 1, "id": "bad-day", "title": "A bad day", "edits": list(edits)}
    return Stress.model_validate_json(json.dumps(body))


def two_vendors(**more: Any) -> Portfolio:
    """Demand 100; Acme asks 2 for up to 60, Birch 3 for up to 100, on demand costs 5. 40 of Birch are signed."""
    return world(
        [
            on_demand(5.0),
            sized(2.0, id="acme-deal", max_accelerators=60.0),
            sized(3.0, id="birch-deal", pool="b", max_accelerators=100.0),
            sized(1.0, 10.0, id="old", pool="c"),
        ],
        [work(100)],
        **more,
    )


def scores(portfolio: Portfolio, *strategies: Strategy, stresses: tuple[Stress, ...] = ()) -> tuple[StrategyScore, ...]:
    return answer(portfolio, *strategies, stresses=stresses).strategies


def answer(portfolio: Portfolio, *strategies: Strategy, stresses: tuple[Stress, ...] = ()) -> Comparison:
    return compare(portfolio, futures(portfolio), strategies, stresses, gap=0.0)


def near(amount: float) -> Any:
    return pytest.approx(amount, rel=1e-6, abs=1e-3)


AS_IT_IS = plan_of()


def test_q7_each_edit_by_hand() -> None:
    """10 are signed at 1; 90 more are wanted."""
    costs = {
        "all": (AS_IT_IS, 10 + 60 * 2 + 30 * 3),
        "keep birch": (plan_of({"edit": "keep_vendors", "who": {"vendors": ["birch"]}}), 10 + 90 * 3),
        "not birch": (plan_of({"edit": "exclude_vendors", "who": {"vendors": ["birch"]}}), 10 + 60 * 2 + 30 * 5),
        "largest": (plan_of({"edit": "keep_vendors", "who": {"largest": 1, "by": "candidates"}}), 10 + 90 * 3),
        "no reservations": (plan_of({"edit": "drop_kinds", "kinds": ["reservation"]}), 10 + 90 * 5),
        "only leases": (plan_of({"edit": "keep_kinds", "kinds": ["lease"]}), 10 + 90 * 5),
        "half": (plan_of({"edit": "scale_sizes", "factor_ratio": 0.5}), 10 + 30 * 2 + 50 * 3 + 10 * 5),
    }
    found = scores(two_vendors(), *(one for one, _ in costs.values()))
    for score, (name, (_, usd)) in zip(found, costs.items(), strict=True):
        assert score.expected_usd == near(usd * YEAR), name
        assert score.upper_usd == near(usd * YEAR), name
        assert score.served_fraction == near(1.0), name
        assert score.mean_regret_usd == near((usd - 220) * YEAR), name
    assert found[0].signed == ("acme-deal", "birch-deal")
    assert found[0].peak_cash_usd == near(220 * YEAR)
    assert (found[4].largest_vendor, found[4].largest_vendor_fraction) == ("cedar", near(1.0))


def test_q7_a_limit_that_cannot_hold_is_an_answer() -> None:
    found = scores(two_vendors(), plan_of({"edit": "limit_vendor_share", "max_committed_fraction": 0.2}), AS_IT_IS)
    assert [s.status for s in found] == ["infeasible", "optimal"]
    assert found[0].expected_usd is None
    assert found[1].max_regret_usd == 0


def test_q7_first_refusal_is_granted_to_others_only() -> None:
    edit = {"edit": "grant_first_refusal", "holder": {"vendors": ["birch"]}, "match_fraction": 0.5}
    portfolio = two_vendors()
    changed = {c.id: c for c in plan_of(edit).of(portfolio).contracts}
    assert changed["acme-deal"].right_of_first_refusal.pool == "b"  # type: ignore[attr-defined]
    assert changed["birch-deal"].right_of_first_refusal is None  # type: ignore[attr-defined]
    assert changed["old"].right_of_first_refusal is None  # type: ignore[attr-defined]
    free, bound = scores(portfolio, AS_IT_IS, plan_of(edit))
    assert free.expected_usd is not None
    assert bound.expected_usd is not None
    assert bound.expected_usd >= free.expected_usd - 1e-3


def test_who_is_largest() -> None:
    portfolio = two_vendors()
    assert Who(largest=1, by="signed").of(portfolio) == ("cedar",)
    assert Who(largest=2, by="candidates").of(portfolio) == ("birch", "acme")
    assert Who(largest=9).of(portfolio) == ("birch", "acme", "cedar")
    assert Who(vendors=("acme",), largest=1).of(portfolio) == ("acme", "birch")


def test_q8_regret_by_future_against_brute_force() -> None:
    scenarios = given({"probability": 0.5}, {"probability": 0.5, "demand_factor": {"all": {"2026-01": 0.2}}})
    portfolio = two_vendors(scenarios=scenarios)
    small = plan_of({"edit": "scale_sizes", "factor_ratio": 0.1})
    one, two = scores(portfolio, AS_IT_IS, small)
    plans = [planned(portfolio), planned(small.of(portfolio))]
    costs = [[s.cost_present_value_usd for s in p.scenarios] for p in plans]
    for score, cost in zip((one, two), costs, strict=True):
        wanted = [c - min(costs[0][s], costs[1][s]) for s, c in enumerate(cost)]
        assert list(score.regret_usd.values()) == [near(w) for w in wanted]
        assert score.mean_regret_usd == near(sum(wanted) / 2)
        assert score.max_regret_usd == near(max(wanted))


def test_q9_stress_meets_contracts_that_are_signed_already() -> None:
    half = stress_of({"edit": "scale_demand", "factor_ratio": 0.5, "after_months": 6})
    dear = stress_of({"edit": "scale_open_prices", "factor_ratio": 2.0})
    gone = stress_of({"edit": "default_vendor", "who": {"largest": 1, "by": "signed"}, "after_months": 6})
    late = stress_of({"edit": "delay_vendor", "who": {"vendors": ["acme", "birch"]}, "late_months": 1})
    portfolio = world([on_demand(5.0, pool="b"), sized(2.0, max_accelerators=60.0)], [work(100)])
    (score,) = scores(portfolio, AS_IT_IS, stresses=(half, dear, gone, late))
    base = (60 * 2 + 40 * 5) * YEAR
    assert score.expected_usd == near(base)
    late_half = hours(7, 12)
    by_hand = (
        base - late_half * 40 * 5 ,  # the contract is paid all the same
        base + 40 * 5 * YEAR,
        base + late_half * 60 * (5 - 2),  # the plan's own largest vendor stops, and its bill with it
        base + hours(1) * 60 * (5 - 2),
    )  # fmt: skip
    for found, usd in zip(score.stresses, by_hand, strict=True):
        assert found.expected_usd == near(usd), found.stress
        assert found.more_usd == near(usd - base)
        assert found.tail_usd == near(usd)
        assert found.served_fraction == near(1.0)


def test_stress_keeps_what_a_future_says_already() -> None:
    scenario = {"demand_factor": {"all": {"2026-02": 2.0, "2026-09": 4.0}}, "delivery_delay_months": {"acme": 2},
                "default_month": {"acme": "2026-03"}, "price_factor": {"list-a": {"2026-05": 3.0}}}  # fmt: skip
    portfolio = two_vendors(scenarios=given(scenario))
    who = {"vendors": ["acme"]}
    (found,) = stress_of(
        {"edit": "scale_demand", "factor_ratio": 0.5, "after_months": 4},
        {"edit": "delay_vendor", "who": who, "late_months": 9},
        {"edit": "default_vendor", "who": who, "after_months": 6},
        {"edit": "scale_open_prices", "factor_ratio": 2.0},
    ).of(portfolio, futures(portfolio))
    assert {str(m): f for m, f in found.demand_factor["all"].items()} == {
        "2026-02": 2.0,
        "2026-05": 1.0,
        "2026-09": 2.0,
    }
    assert found.delivery_delay_months == {"acme": 11}
    assert str(found.default_month["acme"]) == "2026-03"
    assert {str(m): f for m, f in found.price_factor["list-a"].items()} == {"2026-01": 2.0, "2026-05": 6.0}


# --- Files


@pytest.mark.parametrize("name", bundled("strategies"))
def test_bundled_strategies_load_and_apply(name: str) -> None:
    portfolio = two_vendors()
    found = strategy(name, portfolio, Settings())
    assert found.id == name
    assert len(found.of(portfolio).contracts) == len(portfolio.contracts)


@pytest.mark.parametrize("name", bundled("stresses"))
def test_bundled_stresses_load_and_apply(name: str) -> None:
    portfolio = two_vendors()
    found = stress(name, portfolio, Settings())
    assert found.id == name
    assert found.of(portfolio, futures(portfolio)) != futures(portfolio)
    assert stressed([name], portfolio, futures(portfolio), Settings()) == found.of(portfolio, futures(portfolio))
    assert stressed([], portfolio, futures(portfolio), Settings()) == futures(portfolio)


def test_what_the_task_names_is_bundled() -> None:
    assert {"one-cloud-with-first-refusal", "two-main-clouds", "one-deep-partner", "agnostic-small-commitments"} <= set(
        bundled("strategies")
    )
    assert bundled("stresses") == ("demand-halves", "price-doubles", "vendor-defaults", "vendor-slips-9-months")
    assert (files("argosy.files") / "strategies" / "own-build.yaml").is_file()


HEAD = "argosy: 1\nid: mine\ntitle: Mine\nedits:\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", ":1:1: yaml.top_level"),
        ("[1]", ":1:1: yaml.top_level"),
        ("argosy: 1\nid: x\ntitle: X\n", ":1:1: field.missing edits"),
        (HEAD + "  - edit: sell_everything\n", ":5:5: field.value edits[0]"),
        (HEAD + "  - edit: scale_sizes\n    factor: 2\n", ":6:5: field.unknown edits[0].factor"),
        (HEAD + "  - edit: scale_sizes\n    factor_ratio: -1\n", ":6:19: field.range edits[0].factor_ratio"),
        (HEAD + "  - edit: scale_sizes\n    factor_ratio: half\n", ":6:19: field.type edits[0].factor_ratio"),
        (HEAD + "  - edit: keep_vendors\n    who: {}\n", ":6:10: field.value edits[0].who"),
        (HEAD + "  - edit: keep_vendors\n    who: {vendors: [acne]}\n", ":6:21: reference.unknown"),
        (HEAD + "  - edit: drop_kinds\n    kinds: [reservations]\n", ":6:13: reference.unknown edits[0].kinds[0]"),
        (HEAD + "  - {edit: scale_sizes\n", "yaml."),
    ],
)
def test_bad_files_say_where(text: str, said: str, tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(text, "utf-8")
    with pytest.raises(BadInput) as caught:
        strategy(str(file), two_vendors(), Settings())
    assert said in str(caught.value), str(caught.value)


def test_an_unknown_name_is_answered_with_those_that_exist() -> None:
    with pytest.raises(BadInput, match="own-build"):
        strategy("own-biuld", two_vendors(), Settings())


def test_the_reference_page_is_up_to_date() -> None:
    page = Path(__file__).resolve().parents[2] / "docs" / "reference" / "questions.md"
    assert page.read_text("utf-8") == reference_text()


# --- What people see


APP = typer.Typer()
APP.command()(command)


def test_the_command(tmp_path: Path) -> None:
    file = tmp_path / "world.yaml"
    portfolio = two_vendors()
    file.write_text(dump(portfolio), "utf-8")
    words = [str(file), "as-written", "one-deep-partner", "--stress", "demand-halves", "--gap", "0"]
    shown = CliRunner().invoke(APP, [*words, "--report", str(tmp_path / "c.html")])
    assert shown.exit_code == 0, shown.output
    assert "One deep partner" in shown.output
    assert "Under stress" in shown.output
    assert max(len(line) for line in shown.output.replace(str(tmp_path), "").splitlines()) <= 100
    page = (tmp_path / "c.html").read_text("utf-8")
    assert "http" not in page.replace("http://www.w3.org", "")
    assert "expected cost" in page
    told = json.loads(CliRunner().invoke(APP, [*words, "--json"]).output)
    full = portfolio.with_catalogue(catalogue())
    chosen = [strategy(name, full, Settings()) for name in words[1:3]]
    tests = [stress("demand-halves", full, Settings())]
    assert told == comparison_document(compare(full, futures(full), chosen, tests, gap=0.0))


def test_the_command_says_what_is_wrong(tmp_path: Path) -> None:
    file = tmp_path / "world.yaml"
    file.write_text(dump(two_vendors()), "utf-8")
    done = CliRunner().invoke(APP, [str(file), "nothing"])
    assert done.exit_code == 2
    assert "bundled are" in done.output


def test_limits_can_be_dropped_and_cash_scaled() -> None:
    """What N-1 costs is the difference; with too little cash there is no plan."""
    policy = {"cash": {"usd_per_year": [2_000_000.0]}, "adequacy": {"critical_fraction": 0.5, "gap_usd_per_unit": 1e5}}
    deals = [on_demand(9.0), sized(2.0, 100.0), sized(3.0, id="spare", pool="b")]
    portfolio = world(deals, [work(100, critical=True)], policy=policy)
    free = strategy("without-n-1", portfolio, Settings())
    poor = strategy("half-the-cash", portfolio, Settings())
    kept, dropped, none = scores(portfolio, AS_IT_IS, free, poor)
    assert kept.upper_usd is not None
    assert dropped.upper_usd is not None
    assert kept.signed == ("spare",)
    assert dropped.signed == ()
    assert kept.upper_usd > dropped.upper_usd
    assert none.status == "infeasible"

"""What a contract is worth, and when to walk away: worlds whose answers are known by hand, and brute force."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import pytest
import typer
from tests.support.worlds_plan import YEAR, decision, given, hours, on_demand, planned, sized, work, world
from typer.testing import CliRunner

from argosy.cli.price import price as command
from argosy.cli.price import price_document
from argosy.errors import BadInput
from argosy.files.dump import dump
from argosy.market.catalogue import bundled
from argosy.model.futures import futures
from argosy.model.portfolio import Portfolio
from argosy.model.question import ClauseValue, ContractValue, PriceAnswer
from argosy.plan import resolve
from argosy.plan.questions import price, walk_aways
from argosy.report.questions_page import price_html

Json = dict[str, Any]


def asked(portfolio: Portfolio, contract: str = "deal", **options: Any) -> PriceAnswer:
    return price(portfolio, futures(portfolio), contract, **({"gap": 0.0, "curve": 0} | options))


def value(portfolio: Portfolio, contract: str = "deal", **options: Any) -> ContractValue:
    answer = asked(portfolio, contract, **options)
    assert answer.worst_residual < 1e-8
    return answer.values[0]


def low_high(row: ContractValue | ClauseValue) -> tuple[float, float]:
    assert row.low_usd is not None
    assert row.high_usd is not None
    return row.low_usd, row.high_usd


def walk(row: ContractValue) -> tuple[float, float]:
    low, high = row.walk_away_low_usd_per_accelerator_hour, row.walk_away_high_usd_per_accelerator_hour
    assert low is not None
    assert high is not None
    return low, high


def near(amount: float) -> Any:
    return pytest.approx(amount, rel=1e-6, abs=1e-3)


def test_q2_a_reservation_is_worth_what_it_saves() -> None:
    found = value(world([on_demand(4.0), sized(2.0)], [work(100)]))
    assert low_high(found) == (near(2 * 100 * YEAR), near(2 * 100 * YEAR))
    assert found.size == near(100)


def test_q4_walk_away_is_the_price_of_the_next_best() -> None:
    assert walk(value(world([on_demand(4.0), sized(2.0)], [work(100)]))) == (near(4.0), near(4.0))


def test_q4_walk_away_is_the_next_price_times_utilisation() -> None:
    half = work({"2026-01": 0.0, "2026-07": 100.0})
    found = value(world([on_demand(4.0), sized(1.0)], [half]))
    assert walk(found) == (near(4.0 * hours(7, 12) / YEAR),) * 2


def test_q4_walk_away_falls_with_the_chance_of_need() -> None:
    scenarios = given({"probability": 0.25, "demand_factor": {"all": {"2026-01": 0.0}}}, {"probability": 0.75})
    found = value(world([on_demand(4.0), sized(1.0)], [work(100)], scenarios=scenarios))
    assert walk(found) == (near(3.0), near(3.0))
    assert low_high(found) == (near(200 * YEAR), near(200 * YEAR))


def test_q4_at_a_fee_far_above() -> None:
    """Nothing is signed and the value is 0, but the fee at which it would be is still found."""
    found = value(world([on_demand(4.0), sized(60.0)], [work(100)]))
    assert low_high(found) == (0.0, near(0.0))
    assert found.size == 0
    assert walk(found) == (near(4.0), near(4.0))


def test_q4_a_contract_that_is_never_used_is_worth_nothing() -> None:
    """Its fee for use alone is above the price on demand."""
    found = value(world([on_demand(4.0), sized(1.0, usage_usd_per_accelerator_hour=5.0)], [work(100)]))
    assert low_high(found) == (0.0, near(0.0))
    assert walk(found) == (0.0, near(0.0))


def test_q4_the_smallest_size_must_pay_as_a_whole() -> None:
    found = value(world([on_demand(4.0), sized(1.0, min_accelerators=200.0)], [work(100)]))
    assert walk(found) == (near(2.0), near(2.0))


def test_q4_volume_tiers_become_one_fee() -> None:
    tiers = [{"from_accelerators": 50.0, "usd_per_accelerator_hour": 1.0}]
    found = value(world([on_demand(4.0), sized(2.0, volume_tiers=tiers)], [work(100)]))
    assert low_high(found) == (near(300 * YEAR), near(300 * YEAR))
    assert walk(found) == (near(4.0), near(4.0))


def test_a_signed_contract_may_be_worth_less_than_nothing() -> None:
    found = value(world([on_demand(4.0), sized(6.0, 100.0)], [work(100)]))
    assert found.status == "signed"
    assert low_high(found) == (near(-200 * YEAR), near(-200 * YEAR))
    assert walk(found) == (near(4.0), near(4.0))
    tiers = [{"from_accelerators": 50.0, "usd_per_accelerator_hour": 1.0}]
    tiered = value(world([on_demand(4.0), sized(6.0, 100.0, volume_tiers=tiers)], [work(100)]))
    assert tiered.fee_usd_per_accelerator_hour == 1.0
    assert low_high(tiered) == (near(300 * YEAR), near(300 * YEAR))


def test_open_capacity_and_a_right_that_we_hold() -> None:
    held = on_demand(1.0, amount=50.0, id="bid", kind="first_refusal")
    found = value(world([on_demand(4.0), held], [work(100)]), "bid")
    assert low_high(found) == (near(150 * YEAR), near(150 * YEAR))
    assert found.walk_away_low_usd_per_accelerator_hour is None
    assert found.note is not None
    assert [(c.clause, low_high(c)) for c in found.clauses] == [("first_refusal", low_high(found))]


def test_q4_1_a_later_signing_is_asked_about_as_if_it_were_signed_now() -> None:
    later = sized(2.0, signing="2026-03", start="2026-04", term_months=9)
    found = value(world([on_demand(4.0), later], [work(100)]))
    assert low_high(found) == (near(200 * hours(4, 12)),) * 2
    assert found.size == near(100)
    assert walk(found) == (near(4.0), near(4.0))
    assert found.note is not None
    assert "signing it now" in found.note


def test_q4_a_spend_commitment_has_a_factor_on_its_prices() -> None:
    """The same money buys less at higher prices; at twice the contracted price it is no better than the list."""
    spend = {
        "id": "deal", "kind": "spend_commitment", "vendor": "acme", "start": "2026-01", "term_months": 12,
        "max_usd_per_month": 100_000.0, "prices": [{"pool": "a", "usd_per_accelerator_hour": 2.0}],
        "max_over_take_fraction": 0.0,
    }  # fmt: skip
    found = value(world([on_demand(4.0), spend], [work(100)]), gap=1e-6)
    assert found.unit == "price_ratio"
    assert found.fee == 1.0
    assert found.walk_away_low == pytest.approx(2.0, rel=0.02)
    assert found.walk_away_high == pytest.approx(2.0, rel=0.02)
    assert found.fee_usd_per_accelerator_hour is None


def test_q4_own_hardware_has_a_price_of_its_own() -> None:
    """It saves 4 USD an hour for a year and costs nothing else."""
    site = {"id": "hall", "region": "self/home", "max_mw": 10.0, "energised": "2026-01", "capex_usd_per_mw": 0.0}
    build = {
        "id": "deal", "kind": "own_build", "vendor": "self", "pools": ["own"], "site": "hall", "start": "2026-01",
        "term_months": 12, "max_accelerators": 80.0, "capex_usd_per_accelerator": 20_000.0, "kw_per_accelerator": 1.0,
    }  # fmt: skip
    found = value(world([on_demand(4.0), build], [work(100)], sites=[site]), gap=1e-6)
    assert found.unit == "usd_per_accelerator"
    assert low_high(found)[0] == pytest.approx(80 * (4.0 * YEAR - 20_000), rel=1e-4)
    assert found.walk_away_low == pytest.approx(4.0 * YEAR, rel=0.02)
    assert found.walk_away_high == pytest.approx(4.0 * YEAR, rel=0.02)


def test_the_same_fees_for_several_contracts_at_once() -> None:
    portfolio = world([on_demand(4.0), sized(2.0), sized(3.0, id="other", pool="b")], [work(100)])
    fees = walk_aways(portfolio, futures(portfolio), ("deal", "other", "list-a"), gap=0.0)
    assert set(fees) == {"deal", "other"}
    assert (fees["deal"].low, fees["deal"].high) == (near(3.0), near(3.0))


GROWTH = given(
    {"probability": 0.5, "demand_factor": {"all": {"2026-04": 1.0}}},
    {"probability": 0.5, "demand_factor": {"all": {"2026-04": 2.0}}},
)
OPTION = {
    "max_fraction": 1.0, "premium_usd_per_accelerator": 100.0, "first_exercise": "2026-07",
}  # fmt: skip


def rich(**clauses: Any) -> Portfolio:
    deal = sized(2.0, kind="take_or_pay", take_or_pay_fraction=1.0, max_accelerators=100.0, **clauses)
    return world([on_demand(4.0, amount=60.0), deal], [work(100, unserved=5000.0)], scenarios=GROWTH)


@pytest.mark.parametrize(
    ("clause", "terms"),
    [
        ("expansion_option", OPTION),
        ("exit", {"earliest": "2026-06", "notice_months": 1, "fee_fraction": 0.1}),
        ("make_up", {"fraction": 0.5}),
        ("carry_forward", {"fraction": 0.5}),
    ],
)
def test_q5_rights_against_brute_force(clause: str, terms: Json) -> None:
    portfolio = rich(**{clause: terms})
    found = next(c for c in value(portfolio).clauses if c.clause == clause)
    bare = planned(rich()).objective_usd - planned(portfolio).objective_usd
    assert low_high(found) == (near(bare), near(bare))
    assert bare >= -1e-6
    if clause == "expansion_option":
        # Known from July: in the future with twice the demand 60 overflow at 4 and 40 stay undone.
        assert bare > 0


def test_q5_a_granted_right_of_first_refusal_costs_the_buyer() -> None:
    """Matched capacity comes from a place where the work may not run: half of what is paid is lost."""
    right = {"holder": "birch", "pool": "b", "match_fraction": 0.5}
    job = work(100, residency={"denied": ["DE"]})
    elsewhere = work(1, id="other", home="birch/rhein", unserved=1.0)
    contracts = [on_demand(3.0), sized(2.0, right_of_first_refusal=right)]
    found = value(world(contracts, [job, elsewhere]))
    granted = next(c for c in found.clauses if c.clause == "right_of_first_refusal")
    assert granted.state == "in_force"
    low, high = low_high(granted)
    assert low <= high <= 0
    assert high == pytest.approx(-100 * YEAR, rel=2e-3)
    contracts[1] = sized(2.0, right_of_first_refusal=right | {"lapses": "2025-12"})
    lapsed = next(c for c in value(world(contracts, [job, elsewhere])).clauses if c.clause == granted.clause)
    assert lapsed.state == "lapsed"
    assert low_high(lapsed) == (near(low), near(high))


def test_q5_a_clause_that_changes_nothing_is_worth_exactly_nothing() -> None:
    deal = sized(2.0, expansion_option=OPTION | {"first_exercise": "2030-01"})
    found = value(world([on_demand(4.0), deal], [work(1)], consistent=False))
    assert low_high(found.clauses[0]) == (0.0, 0.0)


def test_q6_value_and_size_fall_with_the_fee() -> None:
    steps = work({"2026-01": 20.0, "2026-04": 60.0, "2026-09": 100.0})
    points = value(world([on_demand(4.0), sized(2.5)], [steps]), curve=12).curve
    assert 8 <= len(points) <= 13
    fees = [p.fee_usd_per_accelerator_hour for p in points]
    assert fees == sorted(set(fees))
    assert 2.5 in fees
    for one, two in pairwise(points):
        assert two.size <= one.size + 1e-6
        assert two.high_usd is not None
        assert one.high_usd is not None
        assert two.high_usd <= one.high_usd + 1e-3
    assert points[0].size == near(100)
    assert points[-1].size == near(0)
    by_hand = {p.fee_usd_per_accelerator_hour: p for p in points}[2.5]
    # Up to 60 it is used from April (9 of 12 months, worth 3 USD an hour); the last 40 only four months, worth 1.34.
    assert by_hand.size == near(60)


@pytest.mark.parametrize("gap", [0.02, 0.1])
def test_intervals_hold_whatever_the_gap(gap: float) -> None:
    portfolio = rich(expansion_option=OPTION)
    exact, rough = value(portfolio), value(portfolio, gap=gap)
    assert low_high(rough)[0] - 1e-3 <= low_high(exact)[0] <= low_high(rough)[1] + 1e-3
    low, high = rough.walk_away_low_usd_per_accelerator_hour, rough.walk_away_high_usd_per_accelerator_hour
    assert low is None or low <= walk(exact)[1] + 1e-6
    assert high is None or high >= walk(exact)[0] - 1e-6
    for one, two in zip(exact.clauses, rough.clauses, strict=True):
        assert low_high(two)[0] - 1e-3 <= low_high(one)[0] <= low_high(two)[1] + 1e-3


def test_the_decomposition_gives_the_same_and_its_duals_serve_again(monkeypatch: pytest.MonkeyPatch) -> None:
    portfolio = rich(expansion_option=OPTION, make_up={"fraction": 0.5})
    exact = value(portfolio)
    monkeypatch.setattr(resolve, "EXTENSIVE_COLUMNS", 0)
    other = value(portfolio, gap=1e-6)
    assert low_high(other) == pytest.approx(low_high(exact), rel=1e-4, abs=20.0)
    assert walk(other) == pytest.approx(walk(exact), rel=1e-3)
    for one, two in zip(exact.clauses, other.clauses, strict=True):
        assert low_high(two) == pytest.approx(low_high(one), rel=1e-4, abs=20.0)


def test_the_fee_at_the_end_decides() -> None:
    """Just below the walk-away fee the plan signs by itself, just above it does not."""
    fee = walk(value(rich()))
    for asked_fee, signs in ((fee[0] * 0.999, True), (fee[1] * 1.001, False)):
        deal = sized(asked_fee, kind="take_or_pay", take_or_pay_fraction=1.0, max_accelerators=100.0)
        plan = planned(world([on_demand(4.0, amount=60.0), deal], [work(100, unserved=5000.0)], scenarios=GROWTH))
        assert (next(d.size for d in plan.decisions if d.contract == "deal") > 1e-6) is signs


def test_an_unknown_contract_is_named() -> None:
    with pytest.raises(BadInput, match="contracts are list-a, deal"):
        asked(world([on_demand(4.0), sized(2.0)], [work(1)]), "dael")


# --- What people see


APP = typer.Typer()
APP.command()(command)


def test_the_command(tmp_path: Path) -> None:
    file = tmp_path / "world.yaml"
    portfolio = rich(expansion_option=OPTION)
    file.write_text(dump(portfolio), "utf-8")
    words = [str(file), "--contract", "deal", "--gap", "0", "--curve", "3"]
    shown = CliRunner().invoke(APP, [*words, "--report", str(tmp_path / "deal.html")])
    assert shown.exit_code == 0, shown.output
    assert "Walk away at a fee of" in shown.output
    assert "option to expand" in shown.output
    assert max(len(line) for line in shown.output.replace(str(tmp_path), "").splitlines()) <= 100
    page = (tmp_path / "deal.html").read_text("utf-8")
    assert "walk away" in page
    assert "http" not in page.replace("http://www.w3.org", "")
    told = json.loads(CliRunner().invoke(APP, [*words, "--json"]).output)
    answer = asked(portfolio.with_catalogue(bundled()), curve=3, seed=0)
    assert told == price_document(answer)
    assert told["format"] == "argosy.price/1"
    assert told["values"][0]["walk_away_low"] == walk(answer.values[0])[0]
    assert price_html(answer) == page


def test_the_command_says_what_is_wrong(tmp_path: Path) -> None:
    file = tmp_path / "world.yaml"
    file.write_text(dump(rich()), "utf-8")
    done = CliRunner().invoke(APP, [str(file), "--contract", "nothing"])
    assert done.exit_code == 2
    assert "contracts are list-a, deal" in done.output


# --- Random small worlds against whole plans


@pytest.mark.parametrize("seed", range(8))
def test_random_worlds_against_brute_force(seed: int) -> None:
    """Values are differences of two whole plans; the walk-away fee is where those two cost the same."""
    draw = Random(seed)
    months = sorted(draw.sample(range(2, 12), 2))
    job = work(
        {"2026-01": draw.uniform(20, 80)} | {f"2026-{m:02d}": draw.uniform(0, 120) for m in months}, unserved=6000.0
    )
    scenarios = given(*({"demand_factor": {"all": {"2026-05": draw.uniform(0.3, 2)}}} for _ in range(3)))
    risk = {"risk": {"aversion_fraction": draw.choice([0.0, 0.4]), "tail_fraction": 0.6}}

    def built(fee: float, most: float = 120.0) -> Portfolio:
        deal = sized(
            fee,
            kind="take_or_pay",
            take_or_pay_fraction=0.8,
            max_accelerators=most,
            over_take_usd_per_accelerator_hour=1.0,
        )
        other = sized(2.6, id="other", pool="b", max_accelerators=40.0)
        return world([on_demand(3.5, amount=50.0), deal, other], [job], scenarios=scenarios, policy=risk)

    found = value(built(2.0))
    bare = planned(built(2.0, 0.0)).objective_usd
    assert low_high(found) == (near(bare - planned(built(2.0)).objective_usd),) * 2
    low, high = walk(found)
    assert high - low <= 0.02 * high
    assert planned(built(low * 0.99)).objective_usd < bare
    # Above it nothing of 1 % of the largest size or more is signed.
    assert decision(planned(built(high * 1.001))).size <= 1.2 + 1e-6

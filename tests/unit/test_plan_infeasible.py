"""Where no plan keeps all limits: the right limits are named, and each relaxation named is exactly enough."""

from __future__ import annotations

import pytest
from tests.support import worlds_plan as w

from argosy.model.decision import Excuse, Infeasible
from argosy.model.futures import futures
from argosy.plan import solve

YEAR = w.YEAR
JOB = [w.work(10.0)]


def feasible(*args: object, **more: object) -> bool:
    portfolio = w.world(*args, **more)
    return not isinstance(solve(portfolio, futures(portfolio)), Infeasible)


def by_rule(answer: Infeasible) -> dict[str, Excuse]:
    assert len({(e.rule, e.subject) for e in answer.excuses}) == len(answer.excuses)
    return {e.rule: e for e in answer.excuses}


def test_signed_bills_above_the_cash_limit() -> None:
    """10 signed at 2 USD cost 175,200 a year; 100,000 may leave: 75,200 short, or 75,200 / 17,520 = 4.2922 too many."""

    def world(size: float, cash: float) -> tuple[tuple[object, ...], dict[str, object]]:
        return ([w.sized(2.0, size), w.on_demand(3.0)], JOB), {"policy": {"cash": {"usd_per_year": [cash]}}}

    args, more = world(10.0, 100_000.0)
    named = by_rule(w.refused(w.world(*args, **more)))
    assert set(named) == {"F4.Y", "F4.A2"}
    assert "2026-01" in named["F4.Y"].limit
    assert "100,000" in named["F4.Y"].limit
    cash, size = named["F4.Y"].short, named["F4.A2"].short
    assert cash == pytest.approx(75_200)
    assert size == pytest.approx(75_200 / 17_520)
    assert (named["F4.A2"].subject, named["F4.A2"].unit) == ("deal", "accelerators")
    for enough in (1.0001, 0.9999):
        args, more = world(10.0, 100_000 + 75_200 * enough)
        assert feasible(*args, **more) is (enough > 1)
        args, more = world(10.0 - size * enough, 100_000.0)
        assert feasible(*args, **more) is (enough > 1)


def test_only_the_year_that_is_short_is_named() -> None:
    deal = w.sized(2.0, 10.0, term_months=24)
    policy = {"cash": {"usd_per_year": [200_000.0, 170_000.0]}}
    named = w.refused(w.world([deal], JOB, months=24, policy=policy)).excuses
    cash = [e for e in named if e.rule == "F4.Y"]
    assert [e.subject for e in cash] == ["policy.cash year 2"]
    assert cash[0].short == pytest.approx(5_200)


def test_borrowing_counts_before_a_cash_limit_is_short() -> None:
    cash = {"usd_per_year": [100_000.0], "borrowing_usd_per_year": 70_000.0}
    named = by_rule(w.refused(w.world([w.sized(2.0, 10.0)], JOB, policy={"cash": cash})))
    assert named["F4.Y"].short == pytest.approx(5_200)


def test_one_signed_vendor_above_its_share() -> None:
    """Acme has 10 at 2 (175,200), Birch 10 at 1 (87,600): two thirds with Acme, at most 60 %."""

    def world(share: float, acme: float = 10.0, birch: float = 10.0) -> tuple[tuple[object, ...], dict[str, object]]:
        signed = [w.sized(2.0, acme), w.sized(1.0, birch, "b", id="other")]
        return (signed, JOB), {"policy": {"concentration": {"max_committed_fraction": share}}}

    args, more = world(0.6)
    answer = w.refused(w.world(*args, **more))
    named = {(e.rule, e.subject): e for e in answer.excuses}
    assert set(named) == {
        ("F4.C", "policy.concentration.max_committed_fraction"), ("F4.A2", "deal"),
    }  # fmt: skip
    share = named["F4.C", "policy.concentration.max_committed_fraction"]
    assert share.short is not None
    assert share.unit == "fraction"
    assert share.short == pytest.approx(2 / 3 - 0.6)
    # Acme's 2 x may be 60 % of 2 x + 10: x = 7.5.
    assert named["F4.A2", "deal"].short == pytest.approx(2.5)
    for enough in (1.0001, 0.9999):
        args, more = world(0.6 + share.short * enough)
        assert feasible(*args, **more) is (enough > 1)
        args, more = world(0.6, acme=10 - 2.5 * enough)
        assert feasible(*args, **more) is (enough > 1)


def test_a_candidate_may_dilute_a_share_that_signed_contracts_alone_would_break() -> None:
    """Acme alone is signed: 100 %. Birch may be signed beside it, so 60 % can be kept, at a price."""
    rival = w.sized(2.0, pool="b", id="rival", max_accelerators=20.0)
    policy = {"concentration": {"max_committed_fraction": 0.6}}
    plan = w.planned(w.world([w.sized(2.0, 10.0), rival], JOB, policy=policy))
    assert w.decision(plan, "rival").size == pytest.approx(10 * 2 / 3)


def test_the_share_of_a_single_vendor_can_only_be_all() -> None:
    """One vendor, one limit for all of them: the only relaxation of the share is 100 %."""
    policy = {"concentration": {"max_committed_fraction": 0.6}}
    named = by_rule(w.refused(w.world([w.sized(2.0, 10.0)], JOB, policy=policy)))
    assert named["F4.C"].short == pytest.approx(0.4)
    assert named["F4.A2"].short == pytest.approx(10.0)


SITE = {
    "id": "home", "region": "self/home", "max_mw": 0.02, "min_mw": 0.01, "capex_usd_per_mw": 1e7, "fixed_usd": 5e4,
    "energised": "2026-03", "committed": True,
}  # fmt: skip


def test_a_committed_site_above_the_cash_limit() -> None:
    """50,000 and 0.01 MW at 10 million: 150,000. 90,000 may leave: 60,000 short, or 0.006 MW too large."""
    named = by_rule(
        w.refused(w.world([w.on_demand(1.0)], JOB, sites=[SITE], policy={"cash": {"usd_per_year": [90_000.0]}}))
    )
    assert set(named) == {"F4.Y", "F4.Z"}
    assert named["F4.Y"].short == pytest.approx(60_000)
    assert (named["F4.Z"].subject, named["F4.Z"].unit) == ("home", "MW")
    assert named["F4.Z"].short == pytest.approx(0.006)
    for enough in (1.0001, 0.9999):
        cash = {"cash": {"usd_per_year": [90_000 + 60_000 * enough]}}
        assert feasible([w.on_demand(1.0)], JOB, sites=[SITE], policy=cash) is (enough > 1)
        smaller = SITE | {"min_mw": 0.01 - 0.006 * enough}
        cash = {"cash": {"usd_per_year": [90_000.0]}}
        assert feasible([w.on_demand(1.0)], JOB, sites=[smaller], policy=cash) is (enough > 1)


def test_a_signed_build_needs_more_power_than_its_site_has() -> None:
    """30 of 1 kW at a site of 0.02 MW: 10 too many, or 0.01 MW too few."""
    build = {
        "id": "deal", "kind": "own_build", "vendor": "self", "pools": ["own"], "site": "home", "start": "2026-03",
        "term_months": 12, "status": "signed", "accelerators": 30.0, "capex_usd_per_accelerator": 1.0,
        "kw_per_accelerator": 1.0,
    }  # fmt: skip
    named = by_rule(w.refused(w.world([build], JOB, sites=[SITE])))
    assert set(named) == {"F4.Z", "F4.A2"}
    assert named["F4.A2"].short == pytest.approx(10)
    assert named["F4.Z"].short == pytest.approx(0.01)
    assert feasible([build], JOB, sites=[SITE | {"max_mw": 0.03001}])
    assert not feasible([build], JOB, sites=[SITE | {"max_mw": 0.02999}])


def test_signed_contracts_that_exclude_each_other() -> None:
    both = [w.sized(2.0, 5.0, alternatives="one"), w.sized(1.0, 5.0, id="other", alternatives="one")]
    answer = w.refused(w.world(both, JOB, consistent=False))
    assert {e.rule for e in answer.excuses} >= {"F4.EX"}
    exclusive = next(e for e in answer.excuses if e.rule == "F4.EX")
    assert exclusive.subject == "one"
    assert exclusive.short == pytest.approx(1)


def test_two_quarrels_at_once_are_each_told() -> None:
    """Cash and power fall short independently: one irreducible set is named, and no single relaxation is promised."""
    build = {
        "id": "build", "kind": "own_build", "vendor": "self", "pools": ["own"], "site": "home", "start": "2026-03",
        "term_months": 12, "status": "signed", "accelerators": 30.0, "capex_usd_per_accelerator": 1.0,
        "kw_per_accelerator": 1.0,
    }  # fmt: skip
    site = SITE | {"capex_usd_per_mw": 0.0, "fixed_usd": 0.0}
    world = w.world([w.sized(2.0, 10.0), build], JOB, sites=[site], policy={"cash": {"usd_per_year": [1_000.0]}})
    answer = w.refused(world)
    rules = {e.rule for e in answer.excuses}
    assert rules in ({"F4.Y", "F4.A2"}, {"F4.Z", "F4.A2"})
    assert all(e.short is None for e in answer.excuses)
    assert all("not enough" in e.remedy for e in answer.excuses)

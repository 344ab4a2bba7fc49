"""The recount: it accepts every solution and finds every rule broken in a corrupted one."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from tests.support import worlds_plan as w

from argosy.plan.check import Recount, check
from argosy.plan.values import Values

RULES = (
    "F3", "F4.A1", "F4.A2", "F4.A3", "F4.EX", "F4.H", "F4.X1", "F4.X2", "F4.PP", "F4.EQ", "F4.Y", "F4.C", "F4.N1",
    "F4.Z", "F4.W1", "F4.D", "F4.P", "F4.U", "F4.T", "F4.M1", "F4.M2", "F4.K1", "F4.K2", "F4.K3", "F4.G1", "F4.G2",
    "F4.N", "F4.W2", "F4.PW", "F4.E", "F4.CS", "F4.CT", "F4.L1", "F4.L2", "F4.L3", "F4.L4",
    "F4.TM",
)  # fmt: skip


@cache
def everything() -> Any:
    """One small world with every rule in it: three years in quarters, two futures."""
    deal = w.sized(
        2.0, id="deal", min_accelerators=2.0, max_accelerators=30.0, term_months=36, kind="take_or_pay",
        take_or_pay_fraction=0.6, over_take_usd_per_accelerator_hour=2.2,
        prepayment={"fraction": 0.1, "optional_fraction": 0.2, "discount_fraction": 0.2},
        make_up={"fraction": 0.5}, equity={"usd_per_accelerator": 50.0, "max_usd": 500.0},
        expansion_option={"max_fraction": 0.5, "premium_usd_per_accelerator": 10.0, "first_exercise": "2026-10"},
        exit={"earliest": "2027-04", "notice_months": 3, "fee_fraction": 0.1},
    )  # fmt: skip
    carry = w.sized(
        1.5, 4.0, "b", id="carry", term_months=36, kind="take_or_pay", take_or_pay_fraction=0.5,
        carry_forward={"fraction": 0.5}, shortfall={"usd_per_accelerator_hour": 0.1},
    )  # fmt: skip
    later = w.sized(
        1.2, pool="e", id="later", start="2027-01", signing="2026-10", term_months=24, min_accelerators=2.0,
        max_accelerators=8.0, alternatives="one",
    )  # fmt: skip
    rival = w.sized(2.6, pool="c", id="rival", term_months=36, alternatives="one", max_accelerators=20.0)
    build = {
        "id": "build", "kind": "own_build", "vendor": "self", "pools": ["own"], "site": "home", "start": "2026-01",
        "term_months": 36, "max_accelerators": 6.0, "capex_usd_per_accelerator": 8_000.0, "kw_per_accelerator": 1.0,
        "running_usd_per_accelerator_hour": 0.2, "embodied_tonnes_per_accelerator": 0.5,
    }  # fmt: skip
    site = {
        "id": "home", "region": "self/home", "max_mw": 0.005, "min_mw": 0.001, "capex_usd_per_mw": 1e5,
        "energised": "2026-07",
    }  # fmt: skip
    jobs = [
        w.work({"2026-01": 12.0, "2026-10": 14.0, "2027-06": 25.0}, critical=True, unserved=9_000.0,
               data_gib_per_unit=100.0, dataset="corpus", porting=[{"family": "tpu", "cost_usd": 500.0}]),
        w.work(3.0, id="wait", kind="batch", max_backlog_months=2.0, unserved=3_000.0),
    ]  # fmt: skip
    link = {"start": "internet", "end": "internet", "usd_per_gib": 0.05}
    policy = {
        "discount_rate_fraction": 0.05,
        "risk": {"aversion_fraction": 0.3, "tail_fraction": 0.6},
        "cash": {"usd_per_year": [900_000.0], "borrowing_usd_per_year": 1_000.0},
        "concentration": {"max_committed_fraction": 0.95, "max_critical_service_fraction": 0.9},
        "adequacy": {"critical_fraction": 0.3, "gap_usd_per_unit": 50.0},
        "carbon": {"tonnes_per_year": 50.0, "excess_usd_per_tonne": 100.0},
        "power": {"max_mw": {"2026-01": 0.04}},
    }
    tight = {"start": "acme/west", "end": "cedar/hill", "usd_per_gib": 0.05, "max_gib_per_month": 400.0}
    offers = [deal, carry, later, rival, build]
    offers += [w.on_demand(4.0, pool, amount=9.0) for pool in ("a", "b", "c", "tpu")]
    portfolio = w.world(
        offers, jobs, months=36, step=3, sites=[site], policy=policy, links=[tight, link],
        datasets=[{"id": "corpus", "home": "acme/west", "size_gib": 500.0}],
        projects=[
            {"id": "leaner", "start": "2026-01", "duration_months": 3, "cost_usd": 900.0, "team_months": {"ml": 6.0},
             "latest_start": "2026-07", "alternatives": "model",
             "gains": [{"workload": "job", "saved_fraction": 0.1}, {"workload": "wait", "saved_fraction": 0.2}]},
            {"id": "kernels", "start": "2026-01", "duration_months": 3, "cost_usd": 500.0, "team_months": {"ml": 3.0},
             "gains": [{"workload": "job", "saved_fraction": 0.05}]},
            {"id": "other", "start": "2026-01", "duration_months": 6, "cost_usd": 9e6, "alternatives": "model",
             "gains": [{"workload": "job", "saved_fraction": 0.3}]},
        ],
        teams=[{"id": "ml", "people": {"2026-01": 3.0}}],
        scenarios=w.given({}, {"demand_factor": {"all": {"2026-07": 1.3}}}),
    )  # fmt: skip
    return w.Solved(portfolio, gap=1e-3)


def corrupted(values: Values, stage: str, family: str, change: Any) -> Values:
    families = dict(getattr(values, stage))
    families[family] = change(families[family])
    return replace(values, **{stage: families})


def first_of_many(value: Any) -> Any:
    """The first arc, use, tier, floor or row of each future changed alone."""
    changed = value.copy()
    changed[(slice(None), slice(0, 1)) if value.ndim > 1 else slice(0, 1)] += 50.0
    return changed


CHANGES = {
    "more": lambda v: v + 5.0,
    "much more": lambda v: v + 5_000.0,
    "less": lambda v: v - 0.5,
    "none": lambda v: v * 0.0,
    "half": lambda v: v * 0.5,
    "all": lambda v: v * 0.0 + 1.0,
    "one": first_of_many,
}


@cache
def mutations() -> list[tuple[str, str, Recount]]:
    solved = everything()
    out = []
    for stage in ("first", "second"):
        for family in getattr(solved.values, stage):
            for name, change in CHANGES.items():
                broken = check(solved.program, corrupted(solved.values, stage, family, change))
                out.append((family, name, broken))
    return out


def test_the_recount_agrees_with_the_solver_in_a_world_of_all_rules() -> None:
    solved = everything()
    assert set(RULES) == set(solved.recount.residual)
    assert solved.recount.worst < 1e-8
    assert solved.recount.objective == pytest.approx(solved.solution.objective, rel=1e-9)


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_is_found_broken_by_some_corruption(rule: str) -> None:
    assert max(recount.residual[rule] for _, _, recount in mutations()) > 1e-2


def test_every_family_is_watched() -> None:
    """Whatever is changed breaks a rule or moves the cost; only eta is free, for the tail is recounted without it."""
    solved = everything()
    for family in (*solved.values.first, *solved.values.second):
        of = [r for name, _, r in mutations() if name == family]
        noticed = [r.worst > 1e-3 or abs(r.objective - solved.recount.objective) > 1e-6 for r in of]
        if family == "eta":
            assert not any(noticed)
        else:
            assert all(noticed[:2]), family


@pytest.mark.parametrize("stage", ["first", "second"])
def test_what_is_not_a_number_is_never_kept(stage: str) -> None:
    solved = everything()
    for family, value in getattr(solved.values, stage).items():
        if family == "eta" or value.size == 0:
            continue
        with np.errstate(invalid="ignore"):
            recount = check(solved.program, corrupted(solved.values, stage, family, lambda v: v * np.nan))
        assert recount.worst == np.inf, family

"""Tiny portfolios for tests of planning, written as records, and short ways to plan and read them.

All stand in 2026 (8,760 hours, no leap day) from January unless told otherwise, with a discount rate of 0, one unit of
work per accelerator and month, and nothing from the catalogue, so that a test can do its arithmetic in the open.
"""

from __future__ import annotations

import calendar
import json
import threading
from typing import Any

from argosy.model.consistency import faults
from argosy.model.decision import ContractDecision, Infeasible, Plan
from argosy.model.futures import futures
from argosy.model.portfolio import Portfolio
from argosy.plan import solve
from argosy.plan.check import Recount, check
from argosy.plan.extensive import tile
from argosy.plan.inputs import Inputs, inputs
from argosy.plan.solve import Solution
from argosy.plan.solve import solve as optimise
from argosy.plan.template import Template, build
from argosy.plan.values import Values

Json = dict[str, Any]

PROFILES = ("pretraining", "finetuning", "interactive_inference", "batch_inference", "agents")
SOURCE = {"url": "https://example.org/measured", "date": "2026-01-01"}
YEAR = 8760
WIDE = {"max_accelerators": 1000.0}


def hours(first: int, last: int | None = None, *, year: int = 2026) -> int:
    """Hours of the months `first` to `last` (both included, counted from 1; 13 is January of the next year)."""
    total = 0
    for month in range(first, (first if last is None else last) + 1):
        y, m = divmod(month - 1, 12)
        total += calendar.monthrange(year + y, m + 1)[1] * 24
    return total


def chip(chip_id: str, ratio: float = 1.0, family: str = "cuda", **more: Any) -> Json:
    """A type of silicon that does `ratio` units of every kind of work."""
    return {
        "id": chip_id, "name": chip_id, "maker": "anybody", "family": family, "facility_kw": 1.0,
        "throughput": [{"profile": profile, "ratio": ratio, "source": SOURCE} for profile in PROFILES],
    } | more  # fmt: skip


VENDORS = [
    {"id": "acme", "name": "Acme", "jurisdiction": "US"},
    {"id": "birch", "name": "Birch", "jurisdiction": "DE"},
    {"id": "cedar", "name": "Cedar", "jurisdiction": "US"},
    {"id": "self", "name": "Ourselves", "jurisdiction": "US"},
]
REGIONS = [
    {"id": "acme/west", "vendor": "acme", "jurisdiction": "US", "grid_carbon_g_per_kwh": 400.0},
    {"id": "acme/east", "vendor": "acme", "jurisdiction": "US", "grid_carbon_g_per_kwh": 100.0},
    {"id": "birch/rhein", "vendor": "birch", "jurisdiction": "DE", "zones": ["EU"], "grid_carbon_g_per_kwh": 200.0},
    {"id": "cedar/hill", "vendor": "cedar", "jurisdiction": "US", "grid_carbon_g_per_kwh": 0.0},
    {"id": "self/home", "vendor": "self", "jurisdiction": "US", "grid_carbon_g_per_kwh": 50.0},
]
SILICON = [chip("h"), chip("fast", 2.0), chip("t", 1.0, "tpu")]
POOLS = [
    {"id": "a", "region": "acme/west", "silicon": "h"},
    {"id": "a-spot", "region": "acme/west", "silicon": "h", "tier": "spot"},
    {"id": "e", "region": "acme/east", "silicon": "h"},
    {"id": "b", "region": "birch/rhein", "silicon": "h"},
    {"id": "c", "region": "cedar/hill", "silicon": "h"},
    {"id": "tpu", "region": "cedar/hill", "silicon": "t"},
    {"id": "own", "region": "self/home", "silicon": "h"},
]
VENDOR_OF = {"a": "acme", "a-spot": "acme", "e": "acme", "b": "birch", "c": "cedar", "tpu": "cedar", "own": "self"}


def world(
    contracts: list[Json],
    workloads: list[Json],
    *,
    months: int = 12,
    step: int = 1,
    consistent: bool = True,
    **more: Any,
) -> Portfolio:
    """A portfolio; `policy`, `scenarios`, `sites`, `datasets`, `links` and other sections come in `more`."""
    document = {
        "argosy": 1, "name": "tiny", "horizon": {"start": "2026-01", "months": months, "step_months": step},
        "vendors": VENDORS, "regions": REGIONS, "silicon": SILICON, "pools": POOLS, "contracts": contracts,
        "workloads": workloads,
    } | more  # fmt: skip
    document["policy"] = {"discount_rate_fraction": 0.0} | more.get("policy", {})
    portfolio = Portfolio.model_validate_json(json.dumps(document))
    if consistent:
        found = faults(portfolio)
        assert not found, found
    return portfolio


def work(
    demand: float | dict[str, float],
    *,
    kind: str = "service",
    home: str = "acme/west",
    unserved: float = 1e6,
    **more: Any,
) -> Json:
    """A workload: the same amount in all months, or month of change to amount."""
    points = demand if isinstance(demand, dict) else {"2026-01": float(demand)}
    return {
        "id": "job", "kind": kind, "homes": {home: 1.0}, "unserved_usd_per_unit": unserved,
        "h100_accelerators": {"points": points},
    } | more  # fmt: skip


def on_demand(usd: float, pool: str = "a", amount: float = 1000.0, **more: Any) -> Json:
    """Uncommitted capacity at one price."""
    return {
        "id": f"list-{pool}", "kind": "on_demand", "vendor": VENDOR_OF[pool], "pool": pool,
        "tiers": [{"accelerators": amount, "usd_per_accelerator_hour": usd}],
    } | more  # fmt: skip


def sized(usd: float, size: float | None = None, pool: str = "a", *, kind: str = "reservation", **more: Any) -> Json:
    """A contract for capacity over 2026: signed when it has a size, else a candidate."""
    terms: Json = {"status": "signed", "accelerators": float(size)} if size is not None else dict(WIDE)
    return {
        "id": "deal", "kind": kind, "vendor": VENDOR_OF[pool], "pools": [pool], "start": "2026-01", "term_months": 12,
        "usd_per_accelerator_hour": usd,
    } | terms | more  # fmt: skip


def given(*scenarios: Json, clusters: int = 3) -> Json:
    """Scenarios by hand; those without a probability are equally likely."""
    share = 1 / len(scenarios)
    return {
        "given": [{"id": f"s{i}", "probability": share} | scenario for i, scenario in enumerate(scenarios)],
        "information_clusters": clusters,
    }


def planned(portfolio: Portfolio, **options: Any) -> Plan:
    """The plan, solved to the end, with the identities that every plan keeps."""
    plan = solve(portfolio, futures(portfolio), **({"gap": 0.0} | options))
    assert isinstance(plan, Plan), plan
    audit(plan)
    return plan


def refused(portfolio: Portfolio) -> Infeasible:
    """The answer where no plan keeps all limits."""
    answer = solve(portfolio, futures(portfolio))
    assert isinstance(answer, Infeasible)
    return answer


def close(left: float, right: float, relative: float = 1e-7) -> bool:
    """Whether two numbers agree, also near zero."""
    return abs(left - right) <= relative * max(1.0, abs(left), abs(right))


def audit(plan: Plan) -> None:
    """What a reader can recompute from the record alone."""
    assert plan.certificate.worst_residual < 1e-8
    assert plan.bound_usd <= plan.objective_usd * (1 + 1e-9) + 1e-6
    expected = sum(s.probability * s.cost_present_value_usd for s in plan.scenarios)
    assert close(expected, plan.expected_usd)
    for s in plan.scenarios:
        assert close(sum(s.components_present_value_usd.values()), s.cost_present_value_usd)
    assert close(sum(s.weight_fraction for s in plan.scenarios), 1.0)
    weighted = sum(s.weight_fraction * s.cost_present_value_usd for s in plan.scenarios)
    assert close(weighted, plan.objective_usd, 1e-6)
    risk = plan.risk_aversion_fraction
    assert close((1 - risk) * plan.expected_usd + risk * plan.tail_usd, plan.objective_usd, 1e-6)
    total: dict[tuple[str, str], float] = {}
    for term in plan.price_terms:
        key = term.pool, str(term.month)
        total[key] = total.get(key, 0.0) + term.weight_fraction * term.usd_per_accelerator_hour
    step = plan.step_months
    for price in plan.prices:
        month = plan.start.plus((price.month - plan.start) // step * step)
        assert close(total.get((price.pool, str(month)), 0.0), price.usd_per_accelerator_hour)
    for row in plan.work:
        assert row.demand_low_units - 1e-6 <= row.demand_units <= row.demand_high_units + 1e-6
    for row in plan.capacity:
        assert row.used_accelerators <= row.committed_accelerators + row.open_accelerators + 1e-6
    if plan.vendor_shares:
        assert close(sum(v.fraction for v in plan.vendor_shares), 1.0)
    for cash in plan.cash:
        if cash.limit_usd is not None and not plan.later:
            assert spent(plan, cash.start.year) <= cash.limit_usd * (1 + 1e-7) + 1e-3


def spent(plan: Plan, year: int = 2026) -> float:
    """The left side of F4.Y in USD, from the record."""
    cash = next(row for row in plan.cash if row.start.year == year)
    return (
        cash.prepayment_usd + cash.capex_usd + cash.minimum_bill_usd + cash.one_off_usd
        - cash.credit_usd - cash.borrowed_usd
    )  # fmt: skip


def decision(plan: Plan, contract: str = "deal") -> ContractDecision:
    """What the plan says about one contract."""
    return next(row for row in plan.decisions if row.contract == contract)


def price(plan: Plan, month: str, pool: str = "a") -> float:
    """The internal price of one pool and month."""
    return next(p.usd_per_accelerator_hour for p in plan.prices if p.pool == pool and str(p.month) == month)


def component(plan: Plan, name: str, scenario: int = 0) -> float:
    """One component of one scenario's cost."""
    return plan.scenarios[scenario].components_present_value_usd[name]


class Solved:
    """A solution in scaled units, for tests that look below the plan."""

    def __init__(self, portfolio: Portfolio, *, gap: float = 0.0) -> None:
        from argosy.clock import SystemClock
        from argosy.settings import Settings

        self.inputs: Inputs = inputs(portfolio, futures(portfolio))
        self.program = self.inputs.program
        self.template: Template = build(self.program)
        self.matrix = tile(self.template)
        found = optimise(
            self.template,
            gap=gap,
            settings=Settings(),
            clock=SystemClock(),
            progress=lambda *_: None,
            stop=threading.Event(),
        )
        assert found is not None
        self.solution: Solution = found
        self.values = Values.of(self.program, found.first, found.second)
        self.recount: Recount = check(self.program, self.values)

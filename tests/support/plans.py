"""Invented plans for tests of what shows them: small, large, empty, hostile. Deterministic, and consistent where shown.

They keep the identities that a real plan keeps (prices are the sums of their terms, shares sum to 1, expected cost is
the weighted cost of the scenarios), so that tests can recompute what a page says.
"""

from __future__ import annotations

import math
import random
from typing import Any

from argosy.model.answer import ContractWorth, Front, FrontPoint, NearOptimal, SizeRange
from argosy.model.decision import (
    AdequacyMonth,
    BaselineScore,
    CashYear,
    Certificate,
    CommitmentYear,
    ContractDecision,
    Dispatch,
    Excuse,
    FeeMargin,
    FootprintYear,
    Infeasible,
    LaterDecision,
    OutOfSample,
    Plan,
    PoolMonth,
    PortDecision,
    Price,
    PriceTerm,
    ProjectDecision,
    ProjectGain,
    RegretRow,
    ReplicaDecision,
    SavedMonth,
    ScenarioCost,
    SiteDecision,
    TeamMonth,
    VendorShare,
    WorkMonth,
)
from argosy.units import Month

START = Month(2026, 1)
HOSTILE = "<script>alert(\"x\")</script> & 'q' [bold red]markup[/] \x1b[31m \u202eevil {{ 7*7 }} </svg></title>"
LONG = "Strategic multi-region expansion capacity agreement with staged delivery and options, " * 12
_VENDORS = ("alder", "birch", "cedar", "dogwood", "elm", "fir", "ginkgo", "hazel")
_CHIPS = ("h100", "gb200", "tpu-v6e", "trainium2", "mi355x")
_REGIONS = ("us-east", "us-west", "eu-north", "me-central", "ap-south")
_KINDS = ("take_or_pay", "reservation", "provisioned", "spend_commitment", "own_build", "lease")
_WORK = ("pretraining", "post-training", "chat-service", "batch-inference", "coding-agents")


def small(**changes: Any) -> Plan:
    """A startup: 36 months, 4 pools, 3 futures, 5 contracts."""
    return invented(months=36, step=1, pools=4, scenarios=3, contracts=5, works=2, size=24, scale=4.0, **changes)


def large(**changes: Any) -> Plan:
    """A frontier lab at its largest: 84 months by month, 40 pools, 60 contracts, 32 futures."""
    return invented(
        months=84, step=1, pools=40, scenarios=32, contracts=60, works=5, size=160_000, scale=1.0, **changes
    )


def frontier(**changes: Any) -> Plan:
    """A frontier lab: 84 months in quarters, 27 pools, 20 contracts, 8 futures."""
    return invented(months=84, step=3, pools=27, scenarios=8, contracts=20, works=4, size=300_000, scale=1.0, **changes)


def bare() -> Plan:
    """A plan in which nothing is signed and every optional section is empty."""
    empty = (
        "decisions", "later", "ports", "replicas", "sites", "capacity", "work", "dispatch", "prices", "price_terms",
        "cash", "commitments", "vendor_shares", "adequacy", "footprint", "excuses", "scenarios",
        "fee_margins", "projects", "teams", "savings", "values", "near_optimal", "front",
    )  # fmt: skip
    nothing = ("out_of_sample", "evpi_usd", "vss_usd", "hindsight_usd")
    return small().model_copy(
        update=dict.fromkeys((*empty, "regret"), ()) | dict.fromkeys(nothing) | {"not_computed": {}}
    )


def hostile() -> Plan:
    """Names that try to leave their place: markup, control characters, wrong direction, two thousand letters."""
    plan = small()
    decisions = [d.model_copy(update={"name": HOSTILE if i % 2 else LONG}) for i, d in enumerate(plan.decisions)]
    scenarios = [s.model_copy(update={"name": LONG if i % 2 else HOSTILE}) for i, s in enumerate(plan.scenarios)]
    terms = [t.model_copy(update={"set_by": HOSTILE}) for t in plan.price_terms]
    excuses = [e.model_copy(update={"limit": HOSTILE, "remedy": LONG}) for e in plan.excuses]
    return plan.model_copy(
        update={
            "title": HOSTILE, "portfolio": "x" * 100, "decisions": tuple(decisions), "scenarios": tuple(scenarios),
            "price_terms": tuple(terms), "excuses": tuple(excuses), "out_of_sample": _unseen(1e9, HOSTILE, 0.9)[0],
        }
    )  # fmt: skip


def infeasible(name: str = "cash limit of fiscal year 2026 (USD 2 billion)") -> Infeasible:
    """Two limits that cannot hold together."""
    return Infeasible(
        portfolio="frontier-lab",
        data_hash="ab" * 32,
        excuses=(
            Excuse(subject="policy.cash", rule="F4.Y", limit=name, short=1.25e9, unit="usd",
                   remedy="raise usd_per_year of 2026 to 3.25 billion USD"),
            Excuse(subject="pretraining", rule="F4.D", limit="pretraining must be served in full", short=4200.0,
                   unit="units", remedy="allow 4,200 units to go unserved, or give them a price"),
        ),
    )  # fmt: skip


def invented(
    *, months: int, step: int, pools: int, scenarios: int, contracts: int, works: int, size: float, scale: float,
    **changes: Any,
) -> Plan:  # fmt: skip
    """A plan of the given sizes; `size` is a typical pool in accelerators, `scale` scales prices."""
    chance = random.Random(f"{months}-{pools}-{contracts}")
    dates = [START.plus(m) for m in range(0, months, step)]
    pool_ids = [
        f"{_VENDORS[i % 8]}-{_REGIONS[i % 5]}-{_CHIPS[i // 8 % 5]}" + ("-spot" if i % 9 == 8 else "")
        for i in range(pools)
    ]
    names = ["As written", "Demand halves", "Vendor slips nine months", "Price war", "Region lost"]
    futures = [f"s{i:03d}" for i in range(scenarios)]
    weights = [1 / (i + 2) for i in range(scenarios)]
    probability = [w / sum(weights) for w in weights]
    tail = [p * (0.7 if i else 1) for i, p in enumerate(probability)]
    tail[-1] += 1 - sum(tail)

    capacity, prices, terms, dispatch, work = [], [], [], [], []
    for i, pool in enumerate(pool_ids):
        top = size * (0.3 + 1.7 * chance.random()) * (0.15 if i % 3 else 1)
        begin = chance.randrange(0, months // 2)
        for date in dates:
            t = date - START
            grown = top * min(1.0, max(0.0, (t - begin) / 12))
            free = top * 0.1 * (1 + math.sin(t / 5 + i)) if i % 4 == 1 else 0.0
            capacity.append(
                PoolMonth(pool=pool, month=date, committed_accelerators=grown, committed_low_accelerators=grown * 0.8,
                          committed_high_accelerators=grown * 1.05, open_accelerators=free,
                          used_accelerators=(grown + free) * (0.72 + 0.2 * math.sin(t / 9 + i)))
            )  # fmt: skip
            parts = []
            for s, future in enumerate(futures):
                usd = max(
                    0.0, scale * (1.8 + math.sin(i) + 0.9 * math.sin(t / 11 + i)) * (0.4 + 0.4 * s / scenarios * 3)
                )
                if (t + i) % 17 == 0 and s == 0:
                    usd = 0.0
                by = "unused take-or-pay floor, USD 0.00" if usd == 0 else f"on demand in {pool}, USD {usd:.2f}"
                parts.append((future, tail[s], usd, by))
            price = sum(w * u for _, w, u, _ in parts)
            prices.append(Price(pool=pool, month=date, usd_per_accelerator_hour=price))
            if t % 12 == 0 and i < 6:
                terms += [
                    PriceTerm(
                        pool=pool, month=date, scenario=f, weight_fraction=w, usd_per_accelerator_hour=u, set_by=by
                    )
                    for f, w, u, by in parts
                ]
            if grown > 0:
                dispatch.append(
                    Dispatch(workload=_WORK[i % works], home="eu" if i % 5 == 2 else "us", pool=pool, month=date,
                             accelerators=grown * 0.7)
                )  # fmt: skip
    for w in range(works):
        for date in dates:
            t = date - START
            mean = size * (2 - 0.3 * w) * 1.012**t * (1 + 0.06 * math.sin(t / 2) * (w % 2))
            lost = mean * 0.02 * max(0.0, math.sin(t / 13 + w) - 0.3) if w % 2 == 0 else 0.0
            work.append(
                WorkMonth(workload=_WORK[w], month=date, demand_units=mean, demand_low_units=mean * (1 - t / 200),
                          demand_high_units=mean * (1 + t / 150), served_units=mean - lost, unserved_units=lost,
                          unserved_high_units=lost * 5, backlog_units=0.0)
            )  # fmt: skip

    decisions = _decisions(chance, contracts, months=months, size=size, scale=scale, pools=pool_ids)
    signed = [d for d in decisions if d.signed]
    base = sum(d.committed_present_value_usd for d in signed) or 1.0
    costs = [base * (1.0 + 0.25 * s / scenarios + (0.3 if s == scenarios - 1 else 0)) for s in range(scenarios)]
    rows = tuple(
        ScenarioCost(
            scenario=f,
            name=names[s] if s < len(names) else None,
            probability=probability[s],
            weight_fraction=tail[s],
            cost_present_value_usd=c,
            components_present_value_usd={
                "committed_fees": base * 0.95, "on_demand": (c - base) * 0.4 + base * 0.08,
                "unserved": (c - base) * 0.6,
                "residual_value": -base * 0.03,
            },
        )
        for s, (f, c) in enumerate(zip(futures, costs, strict=True))
    )  # fmt: skip
    objective = sum(w * c for w, c in zip(tail, costs, strict=True))
    expected = sum(p * c for p, c in zip(probability, costs, strict=True))
    years = [START.plus(m) for m in range(0, months, 12)]
    by_vendor: dict[str, float] = {}
    for d in signed:
        by_vendor[d.vendor] = by_vendor.get(d.vendor, 0.0) + d.committed_present_value_usd
    bound = objective * (1 - 6e-5)
    fields: dict[str, Any] = {
        "status": "optimal", "portfolio": "frontier-lab" if size > 1000 else "startup",
        "title": "Frontier lab, many clouds" if size > 1000 else "Start-up with one model", "start": START,
        "months": months, "step_months": step, "objective_usd": objective, "bound_usd": bound,
        "gap_fraction": (objective - bound) / objective,
        "certificate": Certificate(
            lower_usd=bound, upper_usd=objective, gap_fraction=(objective - bound) / objective, worst_residual=3.1e-10,
            recounted_usd=objective * (1 + 2e-13), data_hash="3f" * 32,
            versions={"argosy": "0.1.0", "highspy": "1.14.0"},
        ),
        "risk_aversion_fraction": 0.3, "tail_fraction": 0.9, "discount_rate_fraction": 0.1, "expected_usd": expected,
        "tail_usd": costs[-1], "seed": 7, "scenarios": rows, "decisions": decisions,
        "later": tuple(
            LaterDecision(contract=d.contract, action=("exercise", "exit", "sign")[i % 3], month=START.plus(18 + 6 * i),
                          scenarios=tuple(futures[i % 2 :: 2]), probability=sum(probability[i % 2 :: 2]),
                          size=d.size * 0.4, unit=d.unit)
            for i, d in enumerate(signed[:4])
        ),
        "ports": (
            PortDecision(workload=_WORK[0], family="tpu", ported=True, cost_usd=scale * size * 200),
            PortDecision(workload=_WORK[1], family="trainium", ported=False, cost_usd=scale * size * 300),
        ),
        "projects": tuple(
            ProjectDecision(
                project=project, name=name, done=i < 2, reason=("given", "chosen", "not_chosen")[min(i, 2)],
                start=START.plus(6 * i) if i < 2 else None, ready=START.plus(6 * i + 9) if i < 2 else None,
                cost_usd=scale * size * 40 * (i + 1), team_months={"ml": 30.0 + i, "kernels": 12.0},
                gains=(ProjectGain(workload=_WORK[i % works], saved_fraction=0.15 + 0.1 * i),),
                ports=(PortDecision(workload=_WORK[0], family="tpu", ported=i < 2, cost_usd=1e6),) if i == 1 else (),
                margin_usd=None if i < 2 else scale * size * 12,
            )
            for i, (project, name) in enumerate(
                (("distil-chat", "Distilled students"), ("tpu-port", None), ("fp4", "Four-bit weights"))
            )
        ),
        "teams": tuple(
            TeamMonth(team=skill, month=d, people=people, needed_people=people * (0.9 if d - START < 18 else 0.0),
                      usd_per_team_month=4_000.0 * (d - START < 6))
            for skill, people in (("kernels", 4.0), ("ml", 12.0)) for d in dates
        ),
        "savings": tuple(
            SavedMonth(workload=_WORK[w % works], month=d, saved_units=size * 0.1 * (d - START >= 9),
                       saved_high_units=size * 0.15 * (d - START >= 9))
            for w in range(min(works, 2)) for d in dates
        ),
        "replicas": (
            ReplicaDecision(dataset="crawl-2026", region="eu-north", fraction=0.25, gib=4.1e6, usd_per_month=82_000.0),
        ),
        "sites": (SiteDecision(site="homestead", built=size > 1000, mw=size / 1000, capex_usd=size * 30_000.0),),
        "capacity": tuple(capacity), "work": tuple(work), "dispatch": tuple(dispatch), "prices": tuple(prices),
        "price_terms": tuple(terms),
        "cash": tuple(
            CashYear(start=y, prepayment_usd=base * (0.12 if i == 0 else 0.01), capex_usd=base * 0.05 * (i < 3),
                     minimum_bill_usd=base * (0.04 + 0.03 * i), credit_usd=base * 0.015 * (0 < i < 3),
                     one_off_usd=base * 0.004 * (i == 0), borrowed_usd=base * 0.01 * (i == 0),
                     limit_usd=base * (0.212 + 0.02 * i))
            for i, y in enumerate(years)
        ),
        "commitments": _commitments(signed, months),
        "vendor_shares": tuple(
            VendorShare(vendor=v, committed_present_value_usd=c, fraction=c / base, limit_fraction=0.4)
            for v, c in sorted(by_vendor.items(), key=lambda kv: -kv[1])
        ),
        "adequacy": tuple(
            AdequacyMonth(month=d, lost=_VENDORS[(d - START) // 12 % 3],
                          required_units=size * 1.4 * 1.012 ** (d - START),
                          remaining_units=size * (1.3 + (d - START) / 30),
                          gap_units=max(0.0, size * (1.4 * 1.012 ** (d - START) - 1.3 - (d - START) / 30)))
            for d in dates
        ),
        "footprint": tuple(
            FootprintYear(start=y, carbon_tonnes=size * (1 + i) * 2.2, carbon_limit_tonnes=size * 16.0,
                          peak_mw=size * (1 + i) * 0.0016, limit_mw=None)
            for i, y in enumerate(years)
        ),
        "excuses": tuple(
            Excuse(subject=d.contract, rule="F4.X", limit="its fee is above its value to the plan",
                   short=0.11 + 0.37 * i, unit="usd_per_accelerator_hour",
                   remedy=f"cut the fee by {0.11 + 0.37 * i:.2f} USD per accelerator-hour")
            for i, d in enumerate(d for d in decisions if not d.signed)
        ),
        "fee_margins": tuple(
            FeeMargin(contract=d.contract, fee_usd_per_accelerator_hour=2.5,
                      worth_usd_per_accelerator_hour=2.5 + 0.4 * (i % 3) if d.signed else 2.1)
            for i, d in enumerate(decisions) if d.unit == "accelerators"
        ),
    }  # fmt: skip
    fields["out_of_sample"], fields["regret"] = _unseen(expected, "plans for the mean future alone", 0.9)
    fields |= _answers(decisions, expected, base)
    fields |= {"evpi_usd": expected * 0.05, "vss_usd": expected * 0.11, "hindsight_usd": objective * 0.98}
    return Plan(**(fields | changes))


def _answers(decisions: tuple[ContractDecision, ...], expected: float, base: float) -> dict[str, Any]:
    """Values, near-optimal sizes and fronts; one front has no meaning, and one thing was not computed."""
    values = tuple(
        ContractWorth(
            contract=d.contract, low_usd=None if i == 5 else 0.01 * base * (i % 4 - 1),
            high_usd=None if i in (2, 5) else 0.012 * base * (i % 4), walk_away_low=3.1 if i == 0 else None,
            walk_away_high=3.3 if i == 0 else None, unit="usd_per_accelerator_hour" if i == 0 else None,
        )
        for i, d in enumerate(decisions)
    )  # fmt: skip
    near = tuple(
        NearOptimal(contract=d.contract, unit=d.unit, size=d.size, ranges=tuple(
            SizeRange(more_cost_fraction=share, outer_low=d.size * (1 - 20 * share), inner_low=d.size * (1 - 9 * share),
                      inner_high=d.size * (1 + 4 * share) if i % 3 else None, outer_high=d.size * (1 + 8 * share))
            for share in (0.01, 0.03)))
        for i, d in enumerate(decisions) if d.reason != "given"
    )  # fmt: skip

    def front(measure: Any, unit: Any, low: float, high: float) -> Front:
        points = tuple(
            FrontPoint(limit=low + (high - low) * i / 9, low_usd=expected * (1.2 - 0.02 * i),
                       high_usd=expected * (1.21 - 0.021 * i), tail_usd=expected * 1.5, carbon_tonnes=1e5,
                       largest_vendor="aws", largest_vendor_fraction=0.4, signed=("aws-h100-00",))
            for i in range(10)
        )  # fmt: skip
        return Front(measure=measure, unit=unit, points=points)

    return {
        "values": values, "near_optimal": near,
        "front": (front("tail", "usd", expected * 1.3, expected * 1.6), front("largest_vendor", "fraction", 0.3, 0.6),
                  Front(measure="carbon", unit="tonnes", points=(), note="grid carbon is not known for oci-b200")),
        "not_computed": {"values.walk_away": "`--walk-away` of `argosy plan`"},
    }  # fmt: skip


def _unseen(expected: float, rule: str, tail: float) -> tuple[OutOfSample, tuple[RegretRow, ...]]:
    """Scores of two plans on forty futures, equally likely: the plan, and one that costs more where it matters."""
    count = 40
    costs = {
        "plan": [expected * (0.7 + 0.02 * i) for i in range(count)],
        "mean_value": [expected * (0.65 + 0.0004 * i * i) for i in range(count)],
    }
    ids = tuple(f"unseen-{i:04d}" for i in range(count))

    def score(plan: str) -> BaselineScore:
        cost = costs[plan]
        mean = sum(cost) / count
        rest = math.sqrt(sum((c - mean) ** 2 for c in cost) / (count - 1) / count)
        worst = sum(sorted(cost)[round(tail * count) :]) / (count * (1 - tail))
        return BaselineScore(
            plan=plan, rule="this plan" if plan == "plan" else rule, in_sample_usd=expected,
            objective_usd=0.7 * mean + 0.3 * worst, expected_usd=mean, standard_error_usd=rest, tail_usd=worst,
            quantiles_usd={f"{q:g}": sorted(cost)[round(q * (count - 1))] for q in (0.05, 0.25, 0.5, 0.75, 0.95)},
            components_usd={"commitments": 0.8 * mean, "unserved": 0.2 * mean}, unserved_fraction=0.013,
            worst_scenario=ids[-1], worst_usd=max(cost), costs_usd=tuple(cost),
        )  # fmt: skip

    least = [min(both) for both in zip(*costs.values(), strict=True)]
    rows = []
    for plan, cost in costs.items():
        above = [c - low for c, low in zip(cost, least, strict=True)]
        mean = sum(above) / count
        rows.append(
            RegretRow(
                plan=plan, expected_usd=mean, high_usd=sorted(above)[37], worst_usd=max(above),
                worst_scenario=ids[above.index(max(above))], best_fraction=above.count(0.0) / count,
                components_usd={"commitments": 1.5 * mean, "unserved": -0.5 * mean},
            )
        )  # fmt: skip
    out = OutOfSample(
        seed=7, scenarios=ids, probability=(1 / count,) * count, drawn=count, plan=score("plan"),
        baselines=(score("mean_value"),), left_out={"no_forecast": "what the rule reserves does not keep all limits"},
    )  # fmt: skip
    return out, tuple(rows)


def _decisions(
    chance: random.Random, count: int, *, months: int, size: float, scale: float, pools: list[str]
) -> tuple[ContractDecision, ...]:
    rows = []
    for i in range(count):
        signed = i % 4 != 3
        kind = _KINDS[i % len(_KINDS)]
        spend = kind == "spend_commitment"
        amount = size * scale * 400 if spend else size * (0.2 + chance.random())
        start = START.plus(3 * (i % 9))
        term = min(60, months) - 12 * (i % 2)
        bill = amount * term * (1 if spend else 1500 * scale) * (0.8 if signed else 0)
        rows.append(
            ContractDecision(
                contract=f"{_VENDORS[i * 5 % 8]}-{_CHIPS[i % 5]}-{i:02d}",
                name=f"{_VENDORS[i * 5 % 8].title()} {_CHIPS[i % 5].upper()} capacity" if i % 3 else None,
                vendor=_VENDORS[i * 5 % 8] if kind != "own_build" else "self", kind=kind,
                pools=tuple(pools[i % len(pools) : i % len(pools) + 2]), signed=signed,
                reason="given" if i < 2 else "chosen" if signed else "not_chosen", size=amount if signed else 0.0,
                max_size=amount * 2, unit="usd_per_month" if spend else "accelerators", start=start,
                end=start.plus(term), option_size=amount * 0.5 if i % 5 == 0 and signed else 0.0, committed_usd=bill,
                committed_present_value_usd=bill * 0.75,
            )
        )  # fmt: skip
    return tuple(rows)


def _commitments(signed: list[ContractDecision], months: int) -> tuple[CommitmentYear, ...]:
    rows = []
    for i, d in enumerate(signed):
        assert d.start is not None
        assert d.end is not None
        years = (d.end - d.start) // 12
        for y in range(years):
            if d.start.plus(12 * y) - START >= months:
                continue
            spend = d.unit == "usd_per_month"
            committed = d.size * (12 if spend else 8760) * (0.5 if y == 0 else 1.0)
            used = committed * (0.62 + 0.11 * ((i + y) % 5))
            rows.append(
                CommitmentYear(contract=d.contract, start=d.start.plus(12 * y),
                               unit="usd" if spend else "accelerator_hours",
                               committed=committed, used=used, shortfall=max(0.0, committed - used),
                               over_take=max(0.0, used - committed), made_up=0.0, credited=0.0,
                               fee_usd=d.committed_usd / years)
            )  # fmt: skip
    return tuple(rows)

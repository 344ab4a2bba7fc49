"""The stable JSON document of a plan: what `argosy plan --json` writes, its JSON Schema and its reference page.

`cli` writes `plan_document`; docs/reference holds `schema_text` and `reference_text`, and a test says when they are
old. The document is the plan's own numbers, unrounded. Fields may be added under the same `format`; none changes its
meaning.
"""

from __future__ import annotations

import json
from typing import Any, Final, Literal

from pydantic import TypeAdapter

from argosy.cli.schema_words import type_words
from argosy.model.decision import Infeasible, Plan
from argosy.record import Record
from argosy.report import require_certificate
from argosy.units import Month

FORMAT: Final = "argosy.plan/1"


class Unserved(Record):
    """Work that is not done in one month. Months in which all is served in every future are left out."""

    workload: str
    """Workload."""
    month: Month
    """Month, or the first month of a planning step."""
    units: float
    """Mean over the futures, work units per month."""
    high_units: float
    """Most in any future, work units per month."""


class PlanDocument(Plan):
    """A plan: what to sign, what it costs, what every accelerator-hour is worth, and how good the answer is."""

    format: Literal["argosy.plan/1"] = FORMAT
    """Name and version of this document."""
    unserved: tuple[Unserved, ...]
    """Work that is not done, only where it is above 0."""


class InfeasibleDocument(Infeasible):
    """No plan keeps all limits; each excuse names one that cannot hold with the others, and its smallest relaxation."""

    format: Literal["argosy.plan/1"] = FORMAT
    """Name and version of this document."""


def plan_document(plan: Plan | Infeasible) -> dict[str, Any]:
    """The document as plain data, ready for JSON. CheckFailed when a plan's certificate is not sound."""
    if isinstance(plan, Infeasible):
        return {"format": FORMAT, **plan.model_dump(mode="json")}
    require_certificate(plan)
    unserved = [
        Unserved(workload=w.workload, month=w.month, units=w.unserved_units, high_units=w.unserved_high_units)
        for w in plan.work
        if w.unserved_units > 0 or w.unserved_high_units > 0
    ]
    return {
        "format": FORMAT,
        **plan.model_dump(mode="json"),
        "unserved": [row.model_dump(mode="json") for row in unserved],
    }


def schema() -> dict[str, Any]:
    """The JSON Schema of both documents, told apart by `status`."""
    both: TypeAdapter[PlanDocument | InfeasibleDocument] = TypeAdapter(PlanDocument | InfeasibleDocument)
    made = both.json_schema(mode="serialization")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "https://argosy.example/plan.schema.json",
        "title": "Argosy plan",
        **made,
    }


def schema_text() -> str:
    """The file docs/reference/plan.schema.json."""
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"


def reference_text() -> str:
    """The file docs/reference/plan-json.md: every field of the documents and of the records in them."""
    definitions = schema()["$defs"]
    parts = [_INTRODUCTION]
    for model in (PlanDocument, InfeasibleDocument):
        parts.append(_record(model.__name__, definitions[model.__name__]))
    rest = sorted(set(definitions) - {"PlanDocument", "InfeasibleDocument"})
    parts += [_record(name, definitions[name]) for name in rest]
    return "\n".join(parts)


def fields_without_meaning() -> list[str]:
    """Fields that the reference page does not explain, for the test that wants none."""
    return [
        f"{name}.{field}"
        for name, definition in schema()["$defs"].items()
        for field, about in definition.get("properties", {}).items()
        if not _meaning(name, field, about)
    ]


def _record(name: str, definition: dict[str, Any]) -> str:
    lines = [
        f"## {name}",
        "",
        " ".join(definition.get("description", "").split()),
        "",
        "| field | type | meaning |",
        "|---|---|---|",
    ]
    for field, about in definition.get("properties", {}).items():
        lines.append(
            f"| `{field}` | {type_words(about, linked=True)} | {' '.join(_meaning(name, field, about).split())} |"
        )
    return "\n".join([*lines, ""])


def _meaning(name: str, field: str, about: dict[str, Any]) -> str:
    """A field's meaning: of this record here, by its own docstring, or of every field of its name; empty is a gap."""
    own = about.get("description", "")
    written = "" if about.get("pattern") else own
    return _MEANINGS.get(f"{name}.{field}") or written or _MEANINGS.get(field) or own


# Fields whose record leaves them to their name and unit.
_MEANINGS = {
    "fee_margins": "Price of each contract beside what one more accelerator-hour of it is worth (F8.4).",
    "fee_usd_per_accelerator_hour": "Committed fee as written.",
    "worth_usd_per_accelerator_hour": "Fee at which one more unit of its size would neither gain nor lose.",
    "status": "What kind of answer this is.",
    "portfolio": "Name of the portfolio that was planned.",
    "title": "Title of the portfolio, for people.",
    "start": "First month.",
    "end": "First month after the term.",
    "months": "Length of the horizon.",
    "step_months": "Months in one planning step; rows by month stand for a whole step.",
    "month": "Month, or the first month of a planning step.",
    "objective_usd": "Value of the objective, present value: the upper bound.",
    "bound_usd": "No plan has a lower objective than this.",
    "gap_fraction": "(upper bound − lower bound) / upper bound.",
    "certificate": "Bounds, residual, recount, data hash and versions.",
    "risk_aversion_fraction": "Weight of the tail in the objective.",
    "tail_fraction": "Quantile from which the tail begins.",
    "discount_rate_fraction": "Yearly discount rate.",
    "seed": "Seed of the drawn futures.",
    "scenarios": "What each future costs.",
    "decisions": "What is decided about each contract now.",
    "later": "Decisions that wait for information.",
    "ports": "Workloads made to run on other silicon.",
    "projects": "One-off work that makes workloads cheaper to run, or opens other silicon to them.",
    "teams": "People by skill and month.",
    "savings": "Work that projects save, by workload and month.",
    "project": "Project, by its id.",
    "done": "Whether it is done.",
    "gains": "What it saves, by workload.",
    "team": "Skill, by the id of its team.",
    "ProjectDecision.start": "First month of work; null when it is not done.",
    "ProjectDecision.ports": "Silicon families that it opens to workloads; the cost is that of the project.",
    "ProjectDecision.reason": "given: runs already; chosen and not_chosen: decided now.",
    "ProjectDecision.cost_usd": "One-off cost as written.",
    "replicas": "Copies of data in other regions.",
    "sites": "Own sites.",
    "capacity": "Capacity and use by pool and month.",
    "work": "Demand and service by workload and month.",
    "dispatch": "Which workload uses which pool, by month. Rows of 0 may be left out.",
    "prices": "Internal price by pool and month.",
    "price_terms": "The parts of which internal prices are sums.",
    "cash": "Money that leaves in each fiscal year.",
    "commitments": "Floors by contract and contract year.",
    "vendor_shares": "Dependence on each vendor.",
    "adequacy": "What remains after the worst single loss.",
    "footprint": "Emissions and power by fiscal year.",
    "excuses": "What was not done, and the smallest change that would alter it.",
    "regret": "How much more each plan costs than the best of them, over unseen futures.",
    "lower_usd": "Lower bound of the objective.",
    "upper_usd": "Upper bound of the objective.",
    "versions": "Versions of the programs that made the plan.",
    "data_hash": "SHA-256 of the portfolio and scenarios.",
    "contract": "Contract, by its id.",
    "vendor": "Vendor, by its id.",
    "kind": "Kind of contract, the word written in the portfolio.",
    "pools": "Pools in which the contract may be used.",
    "signed": "Whether it is signed.",
    "reason": "given: signed before the plan; chosen and not_chosen: decided now; later: in some futures.",
    "max_size": "Largest size that is offered.",
    "unit": "Unit of the sizes or amounts in the row.",
    "option_size": "Size of the expansion option that is bought.",
    "committed_present_value_usd": "Minimum bill, present value.",
    "action": "What is done.",
    "probability": "Probability.",
    "scenario": "Future, by its id.",
    "name": "Name for people; null when there is none.",
    "cost_present_value_usd": "Cost, present value.",
    "components_present_value_usd": "The parts of the cost, present value; they sum to it.",
    "workload": "Workload, by its id.",
    "family": "Silicon family.",
    "pool": "Pool, by its id.",
    "home": "Home of the data that the work uses.",
    "lost": "Vendor or region whose loss is the worst.",
    "usd_per_accelerator_hour": "USD of that month for one accelerator-hour.",
    "accelerators": "Mean accelerators in use.",
    "limit_usd": "Limit; null when none is set.",
    "limit_fraction": "Limit; null when none is set.",
    "limit_mw": "Limit; null when none is set.",
    "carbon_limit_tonnes": "Limit; null when none is set.",
    "fraction": "Share, 0 to 1.",
    "ReplicaDecision.fraction": "Share of the data set that is copied.",
    "VendorShare.fraction": "Share of all commitments, present value.",
    "PlanDocument.start": "First month of the plan.",
    "CashYear.start": "First month of the fiscal year.",
    "FootprintYear.start": "First month of the fiscal year.",
    "CommitmentYear.start": "First month of the contract year.",
    "ContractDecision.start": "First month of the term; null when there is none.",
    "ContractDecision.end": "First month after the term; null when there is none.",
    "LaterDecision.month": "Month in which it is decided.",
    "LaterDecision.probability": "Probability of the futures together.",
    "CommitmentYear.unit": "accelerator_hours or usd.",
    "required_units": "Work units that critical work requires.",
    "remaining_units": "Work units that remain after the loss.",
    "gap_units": "Required less remaining, 0 when enough remains.",
    "prepayment_usd": "Prepayments.",
    "capex_usd": "Capital for own sites.",
    "SiteDecision.capex_usd": "Capital of the site.",
    "minimum_bill_usd": "Minimum bills.",
    "credit_usd": "Credits against them, a positive number.",
    "borrowed_usd": "Borrowed above the limit.",
    "committed": "Floor.",
    "used": "Use, mean of the futures.",
    "shortfall": "Floor that is not used, mean of the futures.",
    "over_take": "Use above the floor, mean of the futures.",
    "made_up": "Taken above the floor free of charge, banked in earlier years, mean of the futures.",
    "credited": "Counted towards the floor from over-take of earlier years, mean of the futures.",
    "fee_usd": "Fees of the year.",
    "carbon_tonnes": "Emissions.",
    "peak_mw": "Highest power.",
    "size": "Size, in `unit`.",
    "committed_low_accelerators": "Least in any future.",
    "committed_high_accelerators": "Most in any future.",
    "ported": "Whether it is ported.",
    "cost_usd": "Cost of porting.",
    "weight_fraction": "Weight of the future in the objective.",
    "dataset": "Data set, by its id.",
    "region": "Region, by its id.",
    "gib": "Size of the copy.",
    "usd_per_month": "Cost of keeping it.",
    "site": "Site, by its id.",
    "built": "Whether it is built.",
    "mw": "Power that is built.",
    "demand_units": "Demand, mean of the futures, work units per month.",
    "demand_low_units": "Least in any future.",
    "demand_high_units": "Most in any future.",
    "served_units": "Served, mean of the futures.",
    "unserved_units": "Not served, mean of the futures.",
    "unserved_high_units": "Most in any future.",
    "backlog_units": "Waiting at the end of the month, mean of the futures.",
}

_INTRODUCTION = """\
# The JSON document of a plan

`argosy plan PORTFOLIO --json` writes one of two documents, told apart by `status`: a plan (`optimal` or `feasible`) or
an answer that no plan is possible (`infeasible`, exit code 1). Numbers are not rounded; the unit of each is the last
word of its name; fractions are 0 to 1; months are written `2026-01`. Money is in USD of the month it is paid in unless
the name says `present_value`. The same data, seed and versions give the same document, byte for byte.

Validate with [`plan.schema.json`](plan.schema.json). Fields may be added; none is removed or changes its meaning while
`format` is `argosy.plan/1`. This page is made from the records; do not edit it.
"""

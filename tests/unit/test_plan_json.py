"""The JSON document of a plan: valid by its published schema, documented field by field, and the plan's own numbers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from tests.support import plans

from argosy.cli import plan_json
from argosy.cli.plan_json import plan_document
from argosy.errors import CheckFailed

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "docs" / "reference"
RENEW = (
    "out of date; renew with: python -c 'from pathlib import Path; from argosy.cli import plan_json as p;"
    ' Path("docs/reference/plan.schema.json").write_text(p.schema_text());'
    ' Path("docs/reference/plan-json.md").write_text(p.reference_text())\''
)


ALL = {
    "small": plans.small,
    "frontier": plans.frontier,
    "bare": plans.bare,
    "hostile": plans.hostile,
    "infeasible": plans.infeasible,
}


@pytest.fixture(scope="module")
def validator() -> jsonschema.protocols.Validator:
    schema = json.loads((REFERENCE / "plan.schema.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


@pytest.mark.parametrize("name", ALL)
def test_documents_are_valid(validator: Any, name: str) -> None:
    document = plan_document(ALL[name]())
    text = json.dumps(document, allow_nan=False)
    validator.validate(json.loads(text))
    assert json.dumps(plan_document(ALL[name]()), allow_nan=False) == text


def test_schema_refuses_what_is_not_a_document(validator: Any) -> None:
    document = plan_document(plans.small())
    assert not validator.is_valid({**document, "surprise": 1})
    assert not validator.is_valid({k: v for k, v in document.items() if k != "certificate"})
    assert not validator.is_valid({**document, "format": "argosy.plan/2"})


def test_schema_and_reference_are_up_to_date() -> None:
    assert (REFERENCE / "plan.schema.json").read_text(encoding="utf-8") == plan_json.schema_text(), RENEW
    assert (REFERENCE / "plan-json.md").read_text(encoding="utf-8") == plan_json.reference_text(), RENEW


def test_every_field_is_explained() -> None:
    assert plan_json.fields_without_meaning() == []
    page = plan_json.reference_text()
    for definition in plan_json.schema()["$defs"].values():
        for field in definition["properties"]:
            assert f"`{field}`" in page


def test_document_holds_the_plans_numbers() -> None:
    plan = plans.frontier()
    document = plan_document(plan)
    assert document["objective_usd"] == plan.objective_usd
    assert document["gap_fraction"] == plan.gap_fraction
    assert len(document["decisions"]) == len(plan.decisions)
    assert {"contract", "signed", "size", "unit", "start"} <= set(document["decisions"][0])
    assert set(document["prices"][0]) == {"pool", "month", "usd_per_accelerator_hour"}
    assert document["prices"][0]["month"] == "2026-01"


def test_unserved_lists_only_what_is_not_served() -> None:
    plan = plans.frontier()
    rows = plan_document(plan)["unserved"]
    missing = [w for w in plan.work if w.unserved_units > 0 or w.unserved_high_units > 0]
    assert 0 < len(rows) == len(missing) < len(plan.work)
    first = missing[0]
    assert rows[0] == {
        "workload": first.workload, "month": str(first.month), "units": first.unserved_units,
        "high_units": first.unserved_high_units,
    }  # fmt: skip


def test_prices_are_sums_of_their_terms() -> None:
    document = plan_document(plans.small())
    price = {(p["pool"], p["month"]): p["usd_per_accelerator_hour"] for p in document["prices"]}
    sums: dict[tuple[str, str], float] = {}
    for t in document["price_terms"]:
        key = (t["pool"], t["month"])
        sums[key] = sums.get(key, 0.0) + t["weight_fraction"] * t["usd_per_accelerator_hour"]
    assert sums
    assert all(price[key] == pytest.approx(value, rel=1e-9) for key, value in sums.items())


def test_uncertified_plan_has_no_document() -> None:
    plan = plans.small()
    with pytest.raises(CheckFailed):
        plan_document(plan.model_copy(update={"gap_fraction": float("nan")}))

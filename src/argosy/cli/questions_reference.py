"""The page docs/reference/questions.md, made from the records, and a test says when it is old."""

from __future__ import annotations

from pydantic import BaseModel

from argosy.cli.schema_words import type_words
from argosy.model.question import (
    ClauseValue,
    Comparison,
    ContractValue,
    CurvePoint,
    PlanCost,
    PriceAnswer,
    ProjectValue,
    StrategyScore,
    StressScore,
)
from argosy.model.strategy import (
    DefaultVendor,
    DelayVendor,
    DropKinds,
    DropLimits,
    ExcludeVendors,
    GrantFirstRefusal,
    KeepKinds,
    KeepVendors,
    LimitVendorShare,
    ScaleCash,
    ScaleDemand,
    ScaleOpenPrices,
    ScaleSizes,
    Strategy,
    Stress,
    Who,
)

_INTRODUCTION = """\
# The questions: documents and files

`argosy price --json` and `argosy compare --json` write the documents of this page, `argosy.price/1` and
`argosy.compare/1`. Numbers are not rounded; the unit of each is the last word of its name; fractions are 0 to 1. Money
is present value unless the field says otherwise. `null` means that there is no number, never 0. The same data, seed,
options and versions give the same document, byte for byte. Fields may be added; none is removed or changes its meaning
while `format` stays.

This page is made from the records; do not edit it.
"""
_FILES = """\
## Strategies and stresses

A file holds one strategy (edits to what may be signed) or one stress (edits to the futures). Vendors are meant by name
or by a rule. [Compare strategies](../how-to/compare-strategies.md) has examples.
"""
_PRICE: tuple[type[BaseModel], ...] = (PriceAnswer, ContractValue, PlanCost, CurvePoint, ClauseValue, ProjectValue)
_COMPARE: tuple[type[BaseModel], ...] = (Comparison, StrategyScore, StressScore)
_EDITS: tuple[type[BaseModel], ...] = (
    Strategy, Stress, Who, KeepVendors, ExcludeVendors, KeepKinds, DropKinds, GrantFirstRefusal, ScaleSizes,
    LimitVendorShare, DropLimits, ScaleCash, ScaleDemand, DelayVendor, DefaultVendor, ScaleOpenPrices,
)  # fmt: skip
_MEANINGS = {
    "portfolio": "Name of the portfolio.",
    "title": "Name for people.",
    "seed": "Seed of the drawn futures.",
    "versions": "Versions of the programs that made the answer.",
    "contract": "Contract, by its id.",
    "project": "Project, by its id.",
    "name": "Name for people; of a plan: `with` or `without` the contract.",
    "vendor": "Vendor, by its id.",
    "status": "What kind of contract, or of answer, it is.",
    "clause": "Which clause.",
    "strategy": "Strategy, by its id.",
    "stress": "Stress, by its id.",
    "edit": "Which edit.",
    "who": "Vendors meant.",
    "holder": "Vendor that may match.",
    "kinds": "Kinds of contract, as in portfolios.",
}


def reference_text() -> str:
    """The whole page."""
    parts = [_INTRODUCTION, *map(_record, _PRICE), *map(_record, _COMPARE), _FILES, *map(_record, _EDITS)]
    return "\n".join(parts)


def _record(record: type[BaseModel]) -> str:
    made = record.model_json_schema()
    definition = made["$defs"][record.__name__] if "$ref" in made else made
    lines = [f"### {record.__name__}", "", " ".join((record.__doc__ or "").split()), ""]
    lines += ["| field | type | meaning |", "|---|---|---|"]
    for field, about in definition["properties"].items():
        meaning = about.get("description") or _MEANINGS.get(field, "")
        assert meaning, f"{record.__name__}.{field} has no meaning"
        lines.append(f"| `{field}` | {type_words(about)} | {' '.join(meaning.split())} |")
    return "\n".join([*lines, ""])

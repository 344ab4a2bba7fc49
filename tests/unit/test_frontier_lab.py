"""The example `frontier-lab`: it loads, its own records come to the public totals, and every figure has a mark."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from argosy.files.load import load
from argosy.market.catalogue import bundled
from argosy.model.portfolio import Portfolio
from argosy.model.reach import Reach
from argosy.model.supply import Supply
from argosy.settings import Settings

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "examples" / "frontier-lab"
PAGE = ROOT / "docs" / "examples" / "frontier-lab.md"
BILLION = 1e9

MARKS = re.compile(r"\b(public|derived|assumption):")
ADDRESS = re.compile(r"https?://[^\s\",;)}]+")
NUMBER = re.compile(r"^(?!argosy:)[^#\n]*(:\s+-?\d|\[\s*-?\d|-\s+\d)", re.MULTILINE)


@cache
def lab() -> Portfolio:
    """The example with the bundled catalogue; loading refuses unknown references."""
    catalogue = bundled()
    return load(FOLDER, Settings(), catalogue=catalogue).with_catalogue(catalogue)


def minimum_bill_usd(contract_id: str) -> float:
    """What the record makes payable in any case over its whole term, also outside the plan, in USD.

    Of a candidate it is the bill of its largest size. Delivery is as written, hours are those of the calendar.
    """
    portfolio = lab()
    contract = next(c for c in portfolio.contracts if c.id == contract_id)
    row = contract.supply(portfolio.horizon)[-1]
    terms = row.commitment
    assert terms is not None
    size = row.max_size if row.signed_size is None else row.signed_size
    return size * terms.take_or_pay_fraction * terms.committed_usd * _delivered(portfolio, row)


def _delivered(portfolio: Portfolio, row: Supply) -> float:
    """Full hours of one accelerator, or full months of one USD, from the first tranche to the end of the term."""
    total = 0.0
    for month in range(min(t.month for t in row.tranches), row.end_month):
        share = sum(tranche.delivered(month) for tranche in row.tranches)
        total += share * (portfolio.horizon.start.plus(month).hours if row.unit == "accelerators" else 1)
    return total


def blocks() -> Iterator[tuple[str, str]]:
    """Every stretch of a file between blank lines, with a name to report it by."""
    for file in sorted(FOLDER.glob("*.yaml")):
        line = 1
        for block in file.read_text(encoding="utf-8").split("\n\n"):
            yield f"{file.name}:{line}", block
            line += block.count("\n") + 2


def test_loads_with_every_reference_known() -> None:
    portfolio = lab()
    assert portfolio.name == "frontier-lab"
    assert (str(portfolio.horizon.start), portfolio.horizon.months, portfolio.horizon.step_months) == ("2026-01", 84, 3)
    assert portfolio.scenarios.count == 8


@pytest.mark.parametrize(
    ("contracts", "billion"),
    [
        (("azure-250",), 250),
        (("oracle-300-texas", "oracle-300-midwest"), 300),
        (("coreweave-22",), 22.4),
        (("aws-38",), 38),
        (("aws-trainium-100",), 100),
        (("iren-gb300",), 9.7),
        (("nebius-vr200",), 12),
        (("spacex-memphis",), 45),
    ],
)
def test_minimum_bills_come_to_the_public_totals(contracts: tuple[str, ...], billion: float) -> None:
    assert sum(minimum_bill_usd(c) for c in contracts) / BILLION == pytest.approx(billion, rel=0.02)


def test_known_commitments_come_to_about_610_billion() -> None:
    portfolio = lab()
    signed = [c.id for c in portfolio.contracts if getattr(c, "status", None) == "signed"]
    assert signed == ["azure-250", "oracle-300-texas", "oracle-300-midwest", "coreweave-22"]
    assert sum(minimum_bill_usd(c) for c in [*signed, "aws-38"]) / BILLION == pytest.approx(610, rel=0.01)


def test_existing_capacity_comes_to_the_public_power() -> None:
    portfolio = lab()
    silicon = {chip.id: chip for chip in portfolio.silicon}
    start, kw = portfolio.horizon.start, 0.0
    for pool in portfolio.pools:
        facility_kw = silicon[pool.silicon].facility_kw
        assert facility_kw is not None
        kw += pool.existing_accelerators.get(start, 0.0) * facility_kw
    for contract in portfolio.contracts:
        for row in contract.supply(portfolio.horizon):
            if row.unit == "accelerators" and row.signed_size is not None:
                share = sum(tranche.delivered(0) for tranche in row.tranches)
                chip = silicon[next(p for p in portfolio.pools if p.id == row.uses[0].pool).silicon]
                assert chip.facility_kw is not None
                kw += row.signed_size * share * chip.facility_kw
    assert kw / 1e6 == pytest.approx(1.9, rel=0.05)


def test_oracle_accelerators_come_to_the_public_power() -> None:
    portfolio = lab()
    oracle = [c for c in portfolio.contracts if c.id.startswith("oracle-300-")]
    chip = next(s for s in portfolio.silicon if s.id == "vr200")
    assert chip.facility_kw is not None
    size = sum(row.signed_size or 0.0 for c in oracle for row in c.supply(portfolio.horizon))
    assert size * chip.facility_kw / 1e6 == pytest.approx(4.5)


def test_lapsed_right_of_first_refusal_has_no_effect() -> None:
    portfolio = lab()
    contract = next(c for c in portfolio.contracts if c.id == "aws-38")
    assert all(row.first_refusal is None for row in contract.supply(portfolio.horizon))


def test_work_of_the_eu_stays_in_the_eu() -> None:
    portfolio = lab()
    reach = Reach(portfolio)
    regions = {region.id: region for region in portfolio.regions}
    for workload in portfolio.workloads:
        pools = reach.pools(workload)
        assert pools, workload.id
        if "EU" in workload.residency.allowed:
            assert all("EU" in regions[pool.region].zones for pool in pools)


def test_every_block_with_figures_says_where_they_come_from() -> None:
    silent = [
        name for name, block in blocks() if NUMBER.search(block) and not MARKS.search(block) and "http" not in block
    ]
    assert silent == []


def test_public_figures_have_an_address_and_a_date() -> None:
    missing = [
        name
        for name, block in blocks()
        if re.search(r"\bpublic:", block) and not (ADDRESS.search(block) and re.search(r"\b20\d\d\b", block))
    ]
    assert missing == []


def test_candidates_without_a_source_state_an_assumption() -> None:
    text = (FOLDER / "contracts-candidates.yaml").read_text(encoding="utf-8")
    for item in re.split(r"\n(?=  - id: )", text)[1:]:
        assert "source:" in item or "assumption:" in item, item.splitlines()[0]


def test_the_page_lists_every_address() -> None:
    page = PAGE.read_text(encoding="utf-8")
    found = {a.rstrip(".") for _, block in blocks() for a in ADDRESS.findall(block)}
    assert sorted(a for a in found if a not in page) == []


def test_projects_load_with_the_rest_and_say_where_their_figures_come_from(tmp_path: Path) -> None:
    projects = FOLDER / "projects" / "projects.yaml"
    for file in (*FOLDER.glob("*.yaml"), projects):
        (tmp_path / file.name).write_text(file.read_text(encoding="utf-8"), encoding="utf-8")
    portfolio = load(tmp_path, Settings(), catalogue=bundled())
    assert len(portfolio.projects) == 5
    assert len(portfolio.teams) == 2
    assert not lab().projects
    text = projects.read_text(encoding="utf-8")
    items = [item for part in text.split("\n\n") for item in re.split(r"\n(?=  - id: )", part)]
    silent = [item for item in items if NUMBER.search(item) and not MARKS.search(item) and "people:" not in item]
    assert silent == []
    assert [item for item in items if "public:" in item and not ADDRESS.search(item)] == []
    page = PAGE.read_text(encoding="utf-8")
    assert [a for a in ADDRESS.findall(text) if a not in page] == []

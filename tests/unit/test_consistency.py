"""Every rule over records as a whole: one change to a portfolio in order, one fault, at the line to correct."""

from __future__ import annotations

from pathlib import Path

import pytest

from argosy.errors import BadInput
from argosy.files import load
from argosy.model.catalogue import Catalogue
from argosy.model.consistency import faults
from argosy.model.link import Link
from argosy.model.reach import Reach
from argosy.model.region import Region
from argosy.model.routes import link_between
from argosy.settings import Settings

BASE = (Path(__file__).parents[1] / "golden" / "portfolio.yaml").read_text(encoding="utf-8")

BIG = "    right_of_first_refusal: {holder: zenith, pool: zenith-tpu}\n"
MONEY = "    max_usd_per_month: 1e6\n"
LIST = "    tiers: [{accelerators: 100, usd_per_accelerator_hour: 4}]\n"
CHAT = "    runs_on_families: [cuda]\n"
POLICY = "  residency: {denied: [CN]}\n"
SLOW = "      delivery_delay_months: {big: 6}\n"
BIG_TERM = "    start: 2026-04\n    term_months: 24\n"

# The first text is replaced by the second, or the second comes after it when it starts with a plus.
REFERENCES = [
    ("- {id: acme/north, vendor: acme,", "- {id: acme/north, vendor: §acm,", "reference.unknown"),
    ("{start: acme, end", "{start: §nowhere, end", "reference.unknown"),
    ("{start: acme, end", "{start: §same_vendor, end", "reference.unknown"),
    ("{id: own-h100, region: own/hall", "{id: own-h100, region: §own/hal", "reference.unknown"),
    ("region: own/hall, silicon: h100", "region: own/hall, silicon: §h1000", "reference.unknown"),
    ("{id: hall, region: own/hall,", "{id: hall, region: §own/hell,", "reference.unknown"),
    ("{id: corpus, home: acme/north", "{id: corpus, home: §acme/moon", "reference.unknown"),
    ("vendor: acme\n    pools", "vendor: §acne\n    pools", "reference.unknown"),
    ("pools: [acme-h100]", "pools: [acme-h100, §zenith-h100]", "reference.unknown"),
    ("{pool: zenith-tpu, usd", "{pool: §zenith-gpu, usd", "reference.unknown"),
    ("pool: acme-spot\n", "pool: §acme-sport\n", "reference.unknown"),
    ("site: hall", "site: §mall", "reference.unknown"),
    ("{holder: zenith, pool: zenith-tpu}", "{holder: §nobody, pool: zenith-tpu}", "reference.unknown"),
    ("{holder: zenith, pool: zenith-tpu}", "{holder: zenith, pool: §zenith-gpu}", "reference.unknown"),
    ("homes: {acme/north: 1}", "homes: {§acme/nort: 1}", "reference.unknown"),
    ("dataset: corpus", "dataset: §corpse", "reference.unknown"),
    ("{family: tpu, cost_usd", "{family: §tpx, cost_usd", "reference.unknown"),
    (CHAT, "    runs_on_families: [cuda, §rocm]\n", "reference.unknown"),
    (CHAT, "+    silicon: [h100, §h200]\n", "reference.unknown"),
    (CHAT, "+    units_per_accelerator: {§h200: 2}\n", "reference.unknown"),
    (CHAT, "+    vendor_goodput_fraction: {acme: 0.9, §acne: 0.9}\n", "reference.unknown"),
    (CHAT, "+    residency: {allowed: [§Germany]}\n", "reference.unknown"),
    (CHAT, "+    residency: {denied: [§UK]}\n", "reference.unknown"),
    ("{denied: [CN]}", "{denied: [§EAA]}", "reference.unknown"),
    (POLICY, "+  excluded_vendors: [§zeniths]\n", "reference.unknown"),
    ("workloads: [chat]}", "workloads: [chat, §chit]}", "reference.unknown"),
    (SLOW, "      delivery_delay_months: {§bigg: 6}\n", "reference.unknown"),
    (SLOW, "+      demand_factor: {all: {2026-01: 1}, §chit: {2026-01: 2}}\n", "reference.unknown"),
    (SLOW, "+      price_factor: {§lists: {2026-01: 2}}\n", "reference.unknown"),
    (SLOW, "+      capacity_factor: {§lists: {2026-01: 2}}\n", "reference.unknown"),
    (SLOW, "+      energisation_delay_months: {§mall: 2}\n", "reference.unknown"),
    (SLOW, "+      matched_fraction: {§bigg: 1}\n", "reference.unknown"),
    (SLOW, "+      unsold_fraction: {§bigg: 1}\n", "reference.unknown"),
    (SLOW, "+      default_month: {§acne: 2026-02}\n", "reference.unknown"),
    (
        SLOW,
        "+      outages: [{place: §moon, start: 2026-02, months: 1, available_fraction: 0}]\n",
        "reference.unknown",
    ),
    (SLOW, "      delivery_delay_months: {§list: 6}\n", "reference.mismatch"),
    (SLOW, "+      price_factor: {§big: {2026-01: 2}}\n", "reference.mismatch"),
    (SLOW, "+      capacity_factor: {§big: {2026-01: 2}}\n", "reference.mismatch"),
    (SLOW, "+      matched_fraction: {§money: 1}\n", "reference.mismatch"),
    (SLOW, "+      unsold_fraction: {§money: 1}\n", "reference.mismatch"),
    ("pools: [acme-h100]", "pools: [acme-h100, §zenith-tpu]", "reference.mismatch"),
    ("{pool: zenith-tpu, usd", "{pool: §acme-h100, usd", "reference.mismatch"),
    ("    pool: acme-h100\n", "    pool: §own-h100\n", "reference.mismatch"),
    ("{holder: zenith, pool: zenith-tpu}", "{holder: zenith, pool: §own-h100}", "reference.mismatch"),
    ("{holder: zenith, pool: zenith-tpu}", "{holder: §acme, pool: acme-h100}", "reference.mismatch"),
    ("{id: hall, region: own/hall", "{id: hall, region: acme/north", "reference.mismatch"),
    ("pools: [acme-h100]", "pools: [acme-h100, §acme-h100]", "reference.duplicate"),
    ("[{family: tpu, cost_usd: 1e6}]", "[{family: §cuda, cost_usd: 1e6}]", "reference.duplicate"),
    ("  - id: list\n", "  - id: §big\n", "id.duplicate"),
    ("- {id: zenith, name", "- {id: §acme, name", "id.duplicate"),
    ("- {id: acme-spot, region", "- {id: §acme-h100, region", "id.duplicate"),
    ("  - id: tpu\n", "  - id: §h100\n", "id.duplicate"),
    ("  - id: chat\n", "  - id: §train\n", "id.duplicate"),
    ("  - id: chat\n", "  - id: §all\n", "id.reserved"),
    (
        "  given:\n",
        "+    - {id: slow, probability: 0.1}\n",
        "id.duplicate",
    ),
]
DATES = [
    (BIG_TERM, "    start: §2024-01\n    term_months: 24\n", "date.past"),
    (BIG_TERM, "    start: §2025-12\n    term_months: 24\n", "date.past"),
    (BIG_TERM, "    start: §2029-01\n    term_months: 24\n", "date.beyond"),
    (BIG_TERM, "+    signing: §2026-05\n", "date.order"),
    (BIG_TERM, "+    signing: §2025-12\n", "date.past"),
    (BIG_TERM, "+    exit: {earliest: §2026-03}\n", "date.order"),
    (BIG_TERM, "+    exit: {earliest: §2028-02, notice_months: 2}\n", "date.order"),
    (BIG, "+    expansion_option: {max_fraction: 1, first_exercise: §2026-03}\n", "date.order"),
    (BIG, "+    expansion_option: {max_fraction: 1, first_exercise: §2028-04}\n", "date.order"),
    (
        BIG,
        "+    expansion_option: {max_fraction: 1, first_exercise: 2027-01, last_exercise: §2026-12}\n",
        "date.order",
    ),
    (BIG, "+    expansion_option: {max_fraction: 1, first_exercise: 2027-01, exercise_dates: §3}\n", "date.order"),
    (BIG, "+    tranches: [{start: §2026-02, fraction: 1}]\n", "date.order"),
    (LIST, "+    start: §2029-01\n", "date.beyond"),
    (SLOW, "+      default_month: {acme: §2029-01}\n", "date.beyond"),
    (
        SLOW,
        "+      outages: [{place: acme, start: §2029-01, months: 1, available_fraction: 0}]\n",
        "date.beyond",
    ),
    (SLOW, "+      outages: [{place: acme, start: §2025-11, months: 2, available_fraction: 0}]\n", "date.past"),
    ("    family: cuda\n    facility_kw: 1.4\n", "+    available_from: 2028-06\n", "date.order"),
]
AMOUNTS = [
    (BIG, "+    prepayment: {fraction: §0.6, optional_fraction: 0.5}\n", "field.value"),
    (BIG, "+    prepayment: {fraction: 0.6, credit_months: §25}\n", "field.value"),
    (BIG, "+    volume_tiers: [{from_accelerators: §2000, usd_per_accelerator_hour: 2}]\n", "field.value"),
    (
        BIG,
        "+    volume_tiers:\n      - {from_accelerators: 10, usd_per_accelerator_hour: 2}\n"
        "      - {from_accelerators: §10, usd_per_accelerator_hour: 1}\n",
        "field.value",
    ),
    ("max_accelerators: 1_000\n", "max_accelerators: §1_000\n    min_accelerators: 2_000\n", "field.value"),
    (MONEY, "+    min_usd_per_month: §2e6\n", "field.value"),
    ("max_mw: 10,", "max_mw: 10, min_mw: §20,", "field.value"),
    (POLICY, "+  cash: {usd_per_year: §[]}\n", "field.length"),
    (
        POLICY,
        "+  adequacy: {critical_fraction: 1, gap_usd_per_unit: 1, loss_of: §[]}\n",
        "field.length",
    ),
    ("    - id: slow\n      probability: 0.25", "    §- id: slow\n      probability: 1", "scenario.probability"),
    ("  count: 4\n  given:\n    -", "  given:\n    §-", "scenario.probability"),
    ("  - {kind: demand_growth, workloads: [chat]}", "  []", "scenario.nothing_to_draw"),
    (LIST, "+    §prepayment: {fraction: 0.1}\n", "clause.idle"),
    (MONEY, "+    §equity: {usd_per_accelerator: 1}\n", "clause.idle"),
    ("pool: acme-spot\n", "pool: §acme-h100\n", "pool.tier"),
    ("    pool: acme-h100\n", "    pool: §acme-spot\n", "pool.tier"),
    ("pools: [acme-h100]", "pools: [§acme-spot]", "pool.tier"),
]
REACH = [
    (CHAT, "+    residency: §{allowed: [zenith]}\n", "residency.unsatisfiable"),
    (CHAT, "+    residency: §{denied: [US]}\n", "residency.unsatisfiable"),
    (CHAT, "+    residency: {allowed: [US], denied: [§US]}\n", "residency.unsatisfiable"),
    ("size_gib: 1e6", "size_gib: 1e6, jurisdictions: [EU]", "residency.unsatisfiable"),
    (CHAT, "    runs_on_families: §[cpu]\n", "demand.unsellable"),
    (CHAT, "+    silicon: §[cpu]\n", "demand.unsellable"),
    (CHAT, "+    profile: agents\n", "demand.unsellable"),
    (CHAT, "+    silicon: [h100]\n    residency: §{allowed: [zenith/south]}\n", "residency.unsatisfiable"),
    ("points: {2026-01: 100}", "points: {2029-01: 100}", "demand.none"),
    (CHAT, "+    gang_accelerators: §100_000\n    residency: {allowed: [own]}\n", "demand.gang"),
    ("  - {start: acme, end: internet, usd_per_gib: 0.08}\n", "", "link.missing"),
    ("US, grid_carbon_g_per_kwh: 100}", "US}", "carbon.missing"),
    ("family: tpu\n    facility_kw: 0.5\n", "family: tpu\n", "power.missing"),
]
# Where no mark stands in the change, the fault is at this text of the base.
PLACES = {
    ("reference.mismatch", "{id: hall"): "own-h100]\n    start",
    ("id.duplicate", "  given:\n"): "slow\n",
    ("date.order", "    family"): "acme-h100]\n    start",
    ("scenario.nothing_to_draw", "  - {kind"): "4\n  given",
    ("residency.unsatisfiable", "size_gib"): "acme/north, size",
    ("demand.unsellable", CHAT[:8]): "id: chat",
    ("demand.none", "points: "): "id: chat",
    ("link.missing", "  - {star"): "corpus\n",
    ("carbon.missing", "US, grid"): "{id: own-h100",
    ("power.missing", "family: "): "tpu}\n  - {id: own",
}


def problems(tmp_path: Path, text: str) -> list[tuple[int, int, str]]:
    path = tmp_path / "p.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(BadInput) as caught:
        load(path, Settings(), catalogue=Catalogue())
    return [(p.line, p.column, p.code) for p in caught.value.problems]


@pytest.mark.parametrize(("old", "new", "code"), REFERENCES + DATES + AMOUNTS + REACH)
def test_rule(tmp_path: Path, old: str, new: str, code: str) -> None:
    assert BASE.count(old) == 1, BASE.count(old)
    text = BASE.replace(old, old + new[1:] if new.startswith("+") else new)
    if "§" not in text:
        place = next(place for (c, start), place in PLACES.items() if c == code and old.startswith(start))
        assert text.count(place) == 1
        text = text.replace(place, "§" + place)
    before, after = text.split("§")
    found = problems(tmp_path, before + after)
    line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
    assert (line, column, code) in found
    # An id that was changed is unknown to what refers to it.
    assert {c for _, _, c in found} <= {code, *(["reference.unknown"] if code.startswith("id.") else [])}


def test_signed_contracts_may_have_started_long_ago(tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    text = BASE.replace(BIG_TERM, "    start: 2020-01\n    term_months: 100\n    status: signed\n")
    path.write_text(text.replace("max_accelerators: 1_000", "accelerators: 1_000"), encoding="utf-8")
    assert load(path, Settings(), catalogue=Catalogue()).contracts[0].id == "big"


def test_of_alternatives_one_is_signed(tmp_path: Path) -> None:
    change = f"{BIG_TERM}    status: signed\n    alternatives: one\n"
    text = BASE.replace(BIG_TERM, change).replace("max_accelerators: 1_000", "accelerators: 1_000")
    text = text.replace(MONEY, "    usd_per_month: 1\n    status: signed\n    alternatives: one\n")
    assert [code for _, _, code in problems(tmp_path, text)] == ["contract.exclusive"]


def test_a_word_that_is_a_contract_and_a_vendor_is_ambiguous(tmp_path: Path) -> None:
    text = BASE.replace("  - id: big\n", "  - id: acme\n").replace("{big: 6}", "{acme: 6}")
    assert [code for _, _, code in problems(tmp_path, text)] == ["reference.ambiguous"]


def test_several_faults_at_once(tmp_path: Path) -> None:
    text = BASE.replace("site: hall", "site: mall").replace("dataset: corpus", "dataset: corpse")
    text = text.replace("probability: 0.25", "probability: 1")
    assert [code for _, _, code in problems(tmp_path, text)] == [
        "reference.unknown",
        "reference.unknown",
        "scenario.probability",
    ]


def test_nothing_is_wrong_with_the_base() -> None:
    path = Path(__file__).parents[1] / "golden" / "portfolio.yaml"
    portfolio = load(path, Settings(), catalogue=Catalogue())
    assert faults(portfolio) == []
    reach = Reach(portfolio)
    pools = {w.id: [pool.id for pool in reach.pools(w)] for w in portfolio.workloads}
    assert pools == {"train": ["acme-h100", "acme-spot", "zenith-tpu", "own-h100"], "chat": ["acme-h100", "own-h100"]}
    assert reach.most == {"acme-h100": None, "acme-spot": None, "zenith-tpu": None, "own-h100": 500.0}


NORTH, EAST = (Region(id=f"a/{name}", vendor="a", jurisdiction="US") for name in ("north", "east"))
SOUTH = Region(id="b/south", vendor="b", jurisdiction="US")
EXACTNESS = [
    ("a/north", "a/east"),
    ("a/north", "a"),
    ("a/north", "same_vendor"),
    ("a", "a/east"),
    ("a", "a"),
    ("a", "same_vendor"),
    ("a/north", "internet"),
    ("a", "internet"),
    ("internet", "a/east"),
    ("internet", "a"),
    ("internet", "internet"),
]


@pytest.mark.parametrize("rank", range(len(EXACTNESS)))
def test_the_most_exact_link_wins(rank: int) -> None:
    links = [Link(start=a, end=b, usd_per_gib=1.0) for a, b in reversed(EXACTNESS[rank:])]
    found = link_between(links, NORTH, EAST)
    assert found is not None
    assert (found.start, found.end) == EXACTNESS[rank]


def test_of_equal_links_the_first_wins_and_none_is_none() -> None:
    dear, cheap = (Link(start="a", end="b", usd_per_gib=price) for price in (2.0, 1.0))
    assert link_between([dear, cheap], NORTH, SOUTH) is dear
    assert link_between([Link(start="a", end="same_vendor", usd_per_gib=0.0)], NORTH, SOUTH) is None
    assert link_between([dear], SOUTH, NORTH) is None

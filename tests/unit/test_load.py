"""Every kind of bad file is told at its file, line, column and code; `§` marks the place that must be named."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from argosy import kinds
from argosy.errors import BadInput, OutsideError, Problem
from argosy.files import load
from argosy.files.example import example
from argosy.market.catalogue import bundled
from argosy.model.catalogue import Catalogue
from argosy.model.portfolio import Portfolio
from argosy.settings import Settings

GOLDEN = Path(__file__).parents[1] / "golden"
BASE = (GOLDEN / "portfolio.yaml").read_text(encoding="utf-8")
EXAMPLES = Path(__file__).parents[2] / "examples"


def read(path: Path, **limits: int) -> Portfolio:
    return load(path, Settings(**limits), catalogue=Catalogue())


def problems_of(path: Path, **limits: int) -> tuple[Problem, ...]:
    with pytest.raises(BadInput) as caught:
        read(path, **limits)
    assert all("\n" not in str(problem) for problem in caught.value.problems)
    return caught.value.problems


def marked(text: str) -> tuple[str, list[tuple[int, int]]]:
    """The text without its marks, and the line and column of each."""
    places, clean = [], ""
    for part in text.split("§"):
        clean += part
        places.append((clean.count("\n") + 1, len(clean) - clean.rfind("\n")))
    return clean, places[:-1]


def changed(old: str, new: str) -> str:
    assert BASE.count(old) == 1, f"{old!r} is there {BASE.count(old)} times"
    return BASE.replace(old, new)


def check(tmp_path: Path, text: str, *codes: str, **limits: int) -> tuple[Problem, ...]:
    """The problems of the text are exactly these codes at the marked places, in order."""
    clean, places = marked(text)
    path = tmp_path / "p.yaml"
    path.write_text(clean, encoding="utf-8")
    found = problems_of(path, **limits)
    assert [(p.line, p.column, p.code) for p in found] == [
        (*place, code) for place, code in zip(places, codes, strict=True)
    ], "\n".join(map(str, found))
    assert {p.file for p in found} == {str(path)}
    return found


def test_the_base_loads(tmp_path: Path) -> None:
    portfolio = read(GOLDEN / "portfolio.yaml")
    assert portfolio.name == "small"
    assert portfolio.contracts[0].id == "big"
    assert len(portfolio.vendors) == 3


def test_the_example_loads_with_the_bundled_catalogue(tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text(example(), encoding="utf-8")
    assert load(tmp_path / "p.yaml", Settings(), catalogue=bundled()).name == "example"


SYNTAX = [
    ("argosy: 1\nname: [a\n§", "yaml.syntax"),
    ("argosy: 1\n§\tname: x\n", "yaml.syntax"),
    ("argosy: 1\ntitle: a§: b\n", "yaml.syntax"),
    ("argosy: 1\nname: §@x\n", "yaml.syntax"),
    ("argosy: 1\nname: x\n§---\nname: y\n", "yaml.documents"),
    ("§- argosy: 1\n", "yaml.top_level"),
    ("§just text\n", "yaml.top_level"),
    ("argosy: 1\n? §[a]\n: 1\n", "yaml.key"),
    ("argosy: §*nowhere\n", "yaml.alias_unknown"),
    ("argosy: &a [1, §*a]\n", "yaml.alias_loop"),
    ("argosy: " + "[" * 63 + "§" + "[" * 200, "yaml.too_deep"),
    ("argosy: 1\nname: a§\x07\n", "file.encoding"),
]


@pytest.mark.parametrize(("text", "code"), SYNTAX)
def test_what_is_no_portfolio_yaml(tmp_path: Path, text: str, code: str) -> None:
    check(tmp_path, text, code)


FIELDS = [
    # old, new, codes in the order of the marks
    ("name: small", "name: small\n§name: other", ["yaml.duplicate_key"]),
    ("    vendor: zenith\n    prices", "    vendor: zenith\n    §vendor: acme\n    prices", ["yaml.duplicate_key"]),
    ("max_mw: 10,", "max_mw: §.nan,", ["yaml.not_finite"]),
    ("max_mw: 10,", "max_mw: §.inf,", ["yaml.not_finite"]),
    ("max_mw: 10,", "max_mw: §1e999,", ["yaml.not_finite"]),
    ("max_mw: 10,", f"max_mw: §{'9' * 50},", ["yaml.number"]),
    ("max_mw: 10,", "max_mw: §!!float 10,", ["yaml.tag"]),
    ("policy:\n", "policy:\n  §<<: {}\n", ["yaml.merge_key"]),
    ("name: small", "name: §Small Portfolio", ["field.value"]),
    ("name: small", "name: §17", ["field.type"]),
    ("argosy: 1", "argosy: §2", ["field.value"]),
    ("start: 2026-01, months: 36", "start: §2026, months: 36", ["field.type"]),
    ("start: 2026-01, months: 36", "start: §2026-13, months: 36", ["field.date"]),
    ("start: 2026-01, months: 36", "start: §2026-01-01, months: 36", ["field.date"]),
    ("start: 2026-01, months: 36", "start: §{a: 1}, months: 36", ["field.type"]),
    ("months: 36, step_months: 3", "months: §35, step_months: 3", ["field.value"]),
    ("months: 36, step_months: 3", "months: 36, step_months: §5", ["field.value"]),
    ("horizon: {start: 2026-01, months: 36", "horizon: §{months: 36", ["field.missing"]),
    ("policy:\n", "policy:\n  §carbn: 3\n", ["field.unknown"]),
    ("max_mw: 10,", "max_mw: §ten,", ["field.type"]),
    ("max_mw: 10,", "max_mw: §true,", ["field.type"]),
    ("max_mw: 10,", "max_mw: §'10',", ["field.type"]),
    ("max_mw: 10,", "max_mw: §-10,", ["field.range"]),
    ("max_mw: 10,", "max_mw: §[10],", ["field.type"]),
    ("    max_accelerators: 1_000", "    max_accelerators:§", ["field.value"]),
    ("usd_per_accelerator_hour: 2.5", "usd_per_accelerator_hour: §20_000", ["field.range"]),
    ("take_or_pay_fraction: 0.8", "take_or_pay_fraction: §80", ["field.range"]),
    ("kind: take_or_pay", "kind: §take_and_pay", ["kind.unknown"]),
    ("    kind: take_or_pay\n", "", ["field.missing"]),
    ("kind: take_or_pay", "kind: §[a]", ["kind.unknown"]),
    ("kind: take_or_pay", "kind: §{a: b}", ["kind.unknown"]),
    ("kind: take_or_pay", "kind:§", ["kind.unknown"]),
    ("{family: tpu, cost_usd: 1e6}", "§tpu", ["field.type"]),
    (
        "policy:\n  carbon: {tonnes_per_year: 100_000, excess_usd_per_tonne: 50}\n  residency: {denied: [CN]}",
        "policy:§",
        ["field.type"],
    ),
    ("{kind: demand_growth, workloads: [chat]}", "§chat", ["field.type"]),
    ("{kind: demand_growth, workloads: [chat]}", "{kind: demand_growth, workloads: §chat}", ["field.type"]),
    ("count: 4", "count: §100_000", ["field.range"]),
    ("kind: demand_growth", "kind: §demand_grwth", ["kind.unknown"]),
    ("term_months: 24\n    max_accelerators", "term_months: §24.0\n    max_accelerators", ["field.type"]),
    ("tiers: [{accelerators: 100, usd_per_accelerator_hour: 4}]", "tiers: §[]", ["field.length"]),
    ("tiers: [{accelerators: 100, usd_per_accelerator_hour: 4}]", "tiers: §4", ["field.type"]),
    ("homes: {acme/north: 1}", "homes: {§Acme North: 1}", ["field.key"]),
    ("points: {2026-01: 100}", "points: {§2026: 100}", ["field.date"]),
    ("points: {2026-01: 100}", "points: {2026-01: §many}", ["field.type"]),
    ("    homes: {acme/north: 0.5, zenith/south: 0.5}", "    homes: §{acme/north: 0.5}", ["field.value"]),
]


@pytest.mark.parametrize(("old", "new", "codes"), FIELDS)
def test_bad_fields(tmp_path: Path, old: str, new: str, codes: list[str]) -> None:
    text = changed(old, new)
    if "§" not in new:
        text = text.replace("  - id: big", "  - §id: big")
    check(tmp_path, text, *codes)


def test_every_problem_at_once(tmp_path: Path) -> None:
    text = (
        BASE.replace("name: small", "name: §Small")
        .replace("max_mw: 10,", "max_mw: §ten,")
        .replace("usd_per_accelerator_hour: 2.5", "§usd_per_hour: 2.5")
        .replace("kind: spot", "kind: §sport")
        .replace("points: {2026-01: 100}", "points: {§2026-99: 100}")
        .replace("- id: big", "- §id: big")
    )
    codes = ("field.value", "field.type", "field.missing", "field.unknown", "kind.unknown", "field.date")
    found = check(tmp_path, text, *codes)
    assert [p.field for p in found] == [
        "name",
        "sites[0].max_mw",
        "contracts[0].usd_per_accelerator_hour",
        "contracts[0].usd_per_hour",
        "contracts[3].kind",
        "workloads[1].h100_accelerators.points.2026-99",
    ]


def test_missing_top_fields(tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    path.write_text("# nothing much\ntitle: x\n", encoding="utf-8")
    assert [(p.line, p.column, p.code, p.field) for p in problems_of(path)] == [
        (2, 1, "field.missing", "argosy"),
        (2, 1, "field.missing", "horizon"),
        (2, 1, "field.missing", "name"),
    ]


def test_problem_of_yaml_is_not_told_twice_and_hides_no_other(tmp_path: Path) -> None:
    text = BASE.replace("max_mw: 10,", "max_mw: §.nan,").replace("probability: 0.25", "probability: §25")
    check(tmp_path, text, "yaml.not_finite", "field.range")


def test_place_in_an_alias_is_the_anchor(tmp_path: Path) -> None:
    text = BASE.replace("date: 2026-01-01}", "date: §soon}")
    clean, [place] = marked(text)
    path = tmp_path / "p.yaml"
    path.write_text(clean, encoding="utf-8")
    assert {(p.line, p.column) for p in problems_of(path)} == {place}


def test_alias_bomb_stops_with_one_message(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 20)]
    path = tmp_path / "p.yaml"
    path.write_text("\n".join(lines), encoding="utf-8")
    [problem] = problems_of(path)
    assert (problem.code, problem.line) == ("yaml.alias_bomb", 7)


def test_nodes_count_over_all_files(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("a: [1, 1, 1, 1]", encoding="utf-8")
    (tmp_path / "b.yaml").write_text("b: [1, 1, 1, 1]", encoding="utf-8")
    [problem] = problems_of(tmp_path, max_yaml_nodes=10)
    assert (problem.file, problem.line, problem.code) == (str(tmp_path / "b.yaml"), 1, "yaml.alias_bomb")


def test_too_large_is_told_before_reading(tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    with open(path, "wb") as file:
        file.truncate(50 * 2**20)
    [problem] = problems_of(path)
    assert (problem.code, problem.line, problem.column) == ("file.too_large", 0, 0)
    (tmp_path / "q.yaml").write_text(BASE, encoding="utf-8")
    [problem] = problems_of(tmp_path)
    assert (problem.file, problem.code) == (str(path), "file.too_large")


@pytest.mark.parametrize(
    ("data", "line", "column"),
    [(b"name: caf\xe9\n", 1, 10), (b"a: 1\r\nb: \xc3\xa9\xff", 2, 5), (b"\xff\xfea\x00", 1, 1)],
)
def test_bytes_that_are_not_utf8(tmp_path: Path, data: bytes, line: int, column: int) -> None:
    path = tmp_path / "p.yaml"
    path.write_bytes(data)
    [problem] = problems_of(path)
    assert (problem.line, problem.column, problem.code) == (line, column, "file.encoding")


def test_byte_order_mark_is_skipped(tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + BASE.replace("argosy: 1", "argosy: 7").encode())
    [problem] = problems_of(path)
    assert (problem.line, problem.column) == (1, 9)


@pytest.mark.parametrize("text", ["", "   \n\n", "# only a comment\n", "---\n", "null\n"])
def test_empty_file(tmp_path: Path, text: str) -> None:
    path = tmp_path / "p.yaml"
    path.write_text(text, encoding="utf-8")
    [problem] = problems_of(path)
    assert (problem.line, problem.column, problem.code) == (0, 0, "file.empty")


def test_path_that_does_not_exist(tmp_path: Path) -> None:
    [problem] = problems_of(tmp_path / "nothing")
    assert (problem.file, problem.code) == (str(tmp_path / "nothing"), "file.missing")


def test_what_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    [problem] = problems_of(tmp_path / "pipe")
    assert problem.code == "file.missing"


def test_folder_without_yaml(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("x", encoding="utf-8")
    (tmp_path / "sub.yaml").mkdir()
    (tmp_path / ".hidden.yaml").write_text("x", encoding="utf-8")
    [problem] = problems_of(tmp_path)
    assert (problem.file, problem.code) == (str(tmp_path), "file.none")


def test_disk_that_refuses(tmp_path: Path) -> None:
    with pytest.raises(OutsideError, match="cannot read"):
        read(tmp_path / ("x" * 5000))


def split(folder: Path) -> None:
    """The base as three files: world, contracts and the rest; a fourth adds another contract and a pool."""
    world, rest = BASE.split("contracts:\n")
    contracts, rest = rest.split("workloads:\n")
    (folder / "a.yaml").write_text(world, encoding="utf-8")
    (folder / "b.yml").write_text("contracts:\n" + contracts, encoding="utf-8")
    (folder / "c.yaml").write_text("workloads:\n" + rest, encoding="utf-8")


def test_a_folder_is_the_same_world(tmp_path: Path) -> None:
    split(tmp_path)
    (tmp_path / "d.yaml").write_text("# nothing yet\n", encoding="utf-8")
    assert read(tmp_path) == read(GOLDEN / "portfolio.yaml")


def test_lists_of_a_folder_join_in_the_order_of_names(tmp_path: Path) -> None:
    split(tmp_path)
    more = "contracts:\n- {id: list2, kind: on_demand, vendor: acme, pool: acme-h100, tiers: [{accelerators: 1, "
    (tmp_path / "bb.yaml").write_text(more + "usd_per_accelerator_hour: 1}]}\n", encoding="utf-8")
    assert [c.id for c in read(tmp_path).contracts] == ["big", "money", "list", "spare", "build", "list2"]
    (tmp_path / "bc.yaml").write_text(more + "usd_per_accelerator_hour: x}]}\n", encoding="utf-8")
    [problem] = problems_of(tmp_path)
    assert (problem.file, problem.line, problem.code) == (str(tmp_path / "bc.yaml"), 2, "field.type")
    assert problem.column == len(more.splitlines()[1]) + len("usd_per_accelerator_hour: ") + 1


def test_other_keys_stand_in_one_file(tmp_path: Path) -> None:
    split(tmp_path)
    (tmp_path / "z.yaml").write_text("sites: {}\nname: other\n", encoding="utf-8")
    found = problems_of(tmp_path)
    assert [(p.file, p.line, p.column, p.code) for p in found] == [
        (str(tmp_path / "z.yaml"), 1, 8, "field.type"),
        (str(tmp_path / "z.yaml"), 2, 1, "file.duplicate_key"),
    ]


def test_unknown_key_in_a_folder_is_in_its_own_file(tmp_path: Path) -> None:
    split(tmp_path)
    (tmp_path / "z.yaml").write_text("\nworkload: []\n", encoding="utf-8")
    [problem] = problems_of(tmp_path)
    assert (problem.file, problem.line, problem.column, problem.code) == (
        str(tmp_path / "z.yaml"),
        2,
        1,
        "field.unknown",
    )
    assert "did you mean 'workloads'" in problem.message


def test_a_broken_file_does_not_make_others_look_wrong(tmp_path: Path) -> None:
    split(tmp_path)
    (tmp_path / "a.yaml").write_text("argosy: [", encoding="utf-8")
    (tmp_path / "y.yaml").write_bytes(b"\xff")
    (tmp_path / "z.yaml").write_text("", encoding="utf-8")
    assert [p.code for p in problems_of(tmp_path)] == ["yaml.syntax", "file.encoding", "file.empty"]


def test_missing_in_a_folder_belongs_to_the_folder(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("argosy: 1\nname: x\n", encoding="utf-8")
    [problem] = problems_of(tmp_path)
    assert (problem.file, problem.line, problem.code, problem.field) == (str(tmp_path), 0, "field.missing", "horizon")


def test_faults_of_the_catalogue_have_no_line(tmp_path: Path) -> None:
    good = read(GOLDEN / "portfolio.yaml")
    vendor = good.vendors[0].model_copy(update={"id": "twin"})
    with pytest.raises(BadInput) as caught:
        load(GOLDEN / "portfolio.yaml", Settings(), catalogue=Catalogue(vendors=(vendor, vendor)))
    [problem] = caught.value.problems
    assert (problem.line, problem.code, problem.field) == (0, "id.duplicate", "catalogue.vendors[4].id")


@pytest.mark.parametrize("name", sorted(p.stem for p in (GOLDEN / "load").glob("*.yaml")))
def test_messages_stay_as_they_are(name: str) -> None:
    """Golden messages; set ARGOSY_WRITE_GOLDEN=1 to write them anew, then read the difference."""
    source, golden = GOLDEN / "load" / f"{name}.yaml", GOLDEN / "load" / f"{name}.txt"
    told = "".join(f"{str(p).removeprefix(str(source.parent) + '/')}\n" for p in problems_of(source))
    if os.environ.get("ARGOSY_WRITE_GOLDEN"):
        golden.write_text(told, encoding="utf-8")
    assert told == golden.read_text(encoding="utf-8")


@pytest.mark.parametrize("path", sorted(p.parent for p in EXAMPLES.glob("*/portfolio.yaml")), ids=lambda p: p.name)
def test_examples_load(path: Path) -> None:
    assert load(path, Settings(), catalogue=bundled())


PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "files.md").read_text(encoding="utf-8")
WHOLE, *_ = re.findall(r"```yaml portfolio\n(.*?)```", PAGE, re.DOTALL)
SECTIONS = re.findall(r"```yaml section\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize("section", ["# none\n", *SECTIONS], ids=lambda text: " ".join(text.split()[:5]))
def test_the_page_of_files_shows_what_loads(tmp_path: Path, section: str) -> None:
    (tmp_path / "a.yaml").write_text(WHOLE, encoding="utf-8")
    (tmp_path / "b.yaml").write_text(section, encoding="utf-8")
    assert load(tmp_path, Settings(), catalogue=bundled()).name == "small"


def test_the_page_of_files_shows_every_kind() -> None:
    for kind in (*kinds.load("argosy.model.contract", "Contract"), *kinds.load("argosy.model.workload", "Workload")):
        assert f"    kind: {kind}\n" in PAGE


def test_the_page_of_files_explains_every_code() -> None:
    source = Path(__file__).parents[2] / "src" / "argosy"
    texts = [p.read_text(encoding="utf-8") for p in (source / "files").glob("*.py")]
    texts += [p.read_text(encoding="utf-8") for p in (source / "model" / "consistency").glob("*.py")]
    texts += [(source / name).read_text(encoding="utf-8") for name in ("model/reach.py", "cli/init.py")]
    families = "yaml|file|field|kind|reference|id|demand|residency|date|scenario|clause|pool|contract|link|carbon|power"
    families += "|project"
    used = {code for text in texts for code in re.findall(rf'"((?:{families})\.[a-z_0-9]+)"', text)}
    explained = re.findall(r"^\| `([a-z]+\.[a-z_0-9]+)` \|", PAGE, re.MULTILINE)
    assert sorted(used) == sorted(explained)

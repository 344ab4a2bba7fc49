"""`argosy check`, `init` and `schema`: what is printed where, and the exit codes."""

from __future__ import annotations

import json
import os
from pathlib import Path

import jsonschema
import pytest
import typer
from typer.testing import CliRunner, Result

from argosy.cli.check import check
from argosy.cli.init import init, write_new
from argosy.cli.problems import reported
from argosy.cli.schema import schema as schema_command
from argosy.errors import SolverError
from argosy.files import schema
from argosy.files.example import example
from argosy.files.yaml_tree import read

ROOT = Path(__file__).parents[2]
BASE = (ROOT / "tests" / "golden" / "portfolio.yaml").read_text(encoding="utf-8")
PUBLISHED = ROOT / "docs" / "reference" / "portfolio.schema.json"

app = typer.Typer()
app.command()(check)
app.command()(init)
app.command("schema")(schema_command)


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(a) for a in arguments])


def test_a_portfolio_in_order(tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    path.write_text(BASE, encoding="utf-8")
    result = run("check", path)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.splitlines() == [
        "small: in order",
        "  horizon    2026-01 to 2028-12, 36 months in steps of 3",
        "  contracts  5 (1 on_demand, 1 own_build, 1 spend_commitment, 1 spot, 1 take_or_pay)",
        "  pools      4, sites 1, datasets 1",
        "  scenarios  1 given, 4 drawn from 1 uncertainties",
        "  workloads  2",
        "    train  training, 4 of 4 pools",
        "    chat   service, 2 of 4 pools",
    ]


def test_a_portfolio_in_order_as_json(tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    path.write_text(BASE, encoding="utf-8")
    answer = json.loads(run("check", path, "--json").stdout)
    assert answer["status"] == "ok"
    assert answer["horizon"] == {"start": "2026-01", "last": "2028-12", "months": 36, "step_months": 3}
    assert answer["workloads"][1] == {"id": "chat", "kind": "service", "pools": ["acme-h100", "own-h100"]}
    assert answer["notes"] == []


def test_notes_say_what_is_perhaps_not_meant(tmp_path: Path) -> None:
    text = BASE.replace("  count: 4\n", "").replace("probability: 0.25", "probability: 1")
    text = text.replace("    dataset: corpus\n", "").replace("    spot_goodput_fraction: 0.7\n", "")
    text = text.replace("policy:\n", "policy:\n  adequacy: {critical_fraction: 1, gap_usd_per_unit: 1}\n")
    text = text.replace("sites:\n", "  - {id: idle, region: acme/north, silicon: h100}\nsites:\n")
    path = tmp_path / "p.yaml"
    path.write_text(text, encoding="utf-8")
    result = run("check", path)
    assert result.exit_code == 0
    assert [line for line in result.stdout.splitlines() if line.startswith("note: ")] == [
        "note: no contract names the pools idle, and they have no existing accelerators",
        "note: no workload can use the pools acme-spot",
        "note: policy.adequacy protects critical workloads, but none is marked critical",
        "note: uncertainties are written, but scenarios.count is 0: nothing is drawn from them",
        "note: no workload reads the datasets corpus",
    ]


def test_a_price_per_instance_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    path.write_text(example().replace("usd_per_accelerator_hour: 2.10}", "usd_per_accelerator_hour: 63.3}"), "utf-8")
    result = run("check", path)
    assert result.exit_code == 0
    [note] = [line for line in result.stdout.splitlines() if line.startswith("note: ")]
    assert note.startswith("note: contract aws-spot asks 63.3 USD per accelerator-hour; the highest public price is ")


def test_problems_are_lines_on_stderr(tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    path.write_text(BASE.replace("max_mw: 10,", "max_mw: x,").replace("count: 4", "count: -1"), encoding="utf-8")
    result = run("check", path)
    assert (result.exit_code, result.stdout) == (2, "")
    first, second, last = result.stderr.splitlines()
    assert first == f"{path}:38:42: field.type sites[0].max_mw: the text 'x' is not a number from 0"
    assert second.startswith(f"{path}:103:10: field.range scenarios.count: the number -1 is out of range")
    assert last.startswith("2 problems; correct them and run `argosy check` again")


def test_problems_as_json(tmp_path: Path) -> None:
    result = run("check", tmp_path / "nothing.yaml", "--json")
    assert (result.exit_code, result.stderr) == (2, "")
    answer = json.loads(result.stdout)
    assert answer["status"] == "bad_input"
    assert answer["problems"] == [
        {
            "file": str(tmp_path / "nothing.yaml"),
            "line": 0,
            "column": 0,
            "code": "file.missing",
            "field": "",
            "message": "there is no such file or folder; `argosy init` writes an example",
        }
    ]


def test_failures_outside_have_their_own_exit_code(tmp_path: Path) -> None:
    result = run("check", tmp_path / ("x" * 5000))
    assert result.exit_code == 3
    assert result.stderr.startswith("argosy: outside.failed: cannot read")
    answer = json.loads(run("check", tmp_path / ("x" * 5000), "--json").stdout)
    assert (answer["status"], answer["code"]) == ("outside_failure", "outside.failed")


@pytest.mark.parametrize(
    ("error", "code"), [(OSError("disk full"), "outside.failed"), (SolverError("no"), "solver.failed")]
)
def test_expected_failures_end_a_command(error: Exception, code: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as caught, reported(False):
        raise error
    assert caught.value.exit_code == 3
    assert capsys.readouterr().err.startswith(f"argosy: {code}: ")


def test_bugs_pass_through() -> None:
    with pytest.raises(ZeroDivisionError), reported(False):
        raise ZeroDivisionError


def test_init_writes_what_check_accepts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = run("init")
    assert (result.exit_code, result.stdout) == (0, "wrote portfolio.yaml; next: argosy check portfolio.yaml\n")
    assert Path("portfolio.yaml").read_text(encoding="utf-8") == example()
    result = run("check", "portfolio.yaml")
    assert (result.exit_code, result.stderr) == (0, "")
    assert os.listdir() == ["portfolio.yaml"]


def test_init_overwrites_only_when_forced(tmp_path: Path) -> None:
    path = tmp_path / "portfolio.yaml"
    path.write_text("mine", encoding="utf-8")
    for target in (path, tmp_path):
        result = run("init", target)
        assert result.exit_code == 2
        assert result.stderr.splitlines() == [
            f"{path}:0:0: file.exists: the file is there already",
            "1 problem; give another path, or --force to overwrite",
        ]
        assert path.read_text(encoding="utf-8") == "mine"
    assert run("init", path, "--force").exit_code == 0
    assert path.read_text(encoding="utf-8") == example()
    assert os.listdir(tmp_path) == ["portfolio.yaml"]


def test_init_makes_folders_and_fails_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run("init", tmp_path / "new" / "p.yaml").exit_code == 0

    def refuse(_: int) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(OSError, match="disk full"):
        write_new(tmp_path / "new" / "q.yaml", "text", overwrite=True)
    assert os.listdir(tmp_path / "new") == ["p.yaml"]


def test_the_published_schema_is_up_to_date() -> None:
    """When it is not: argosy schema > docs/reference/portfolio.schema.json."""
    assert run("schema").stdout == PUBLISHED.read_text(encoding="utf-8")


def test_the_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(schema())
    assert {"ContractLease", "WorkloadService", "UncertaintyDemandGrowth", "Path"} <= set(schema()["$defs"])
    assert not [name for name in schema()["$defs"] if "__" in name]
    for name in ("ContractTakeOrPay", "Pool", "Policy"):
        for field, node in schema()["$defs"][name]["properties"].items():
            assert "description" in node or "const" in node, f"{name}.{field}"


def as_json(text: str) -> object:
    tree = read("p", text, max_nodes=10**6)
    assert tree.top is not None
    return json.loads(json.dumps(tree.top.value))


def folder_as_json(folder: Path) -> object:
    whole: dict[str, object] = {}
    for path in sorted(folder.glob("*.yaml")):
        part = as_json(path.read_text(encoding="utf-8"))
        assert isinstance(part, dict)
        for key, value in part.items():
            known = whole.get(key)
            whole[key] = [*known, *value] if isinstance(known, list) else value
    return whole


EXAMPLES = sorted(p.parent for p in (ROOT / "examples").glob("*/portfolio.yaml"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: p.name)
def test_examples_follow_the_schema(path: Path) -> None:
    jsonschema.Draft202012Validator(schema()).validate(folder_as_json(path))


@pytest.mark.parametrize("text", [BASE, example()], ids=["base", "init"])
def test_portfolios_in_order_follow_the_schema(text: str) -> None:
    jsonschema.Draft202012Validator(schema()).validate(as_json(text))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("kind: spot", "kind: sport"),
        ("max_mw: 10,", "max_mw: x,"),
        ("points: {2026-01: 100}", "points: {2026: 100}"),
        ("policy:\n", "policy:\n  unknown: 1\n"),
    ],
)
def test_the_schema_refuses_what_load_refuses(old: str, new: str) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(schema()).validate(as_json(BASE.replace(old, new)))

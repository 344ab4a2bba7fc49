"""`argosy plan`: what its options for questions, selected futures and stress do, as users see it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import typer
from tests.support.worlds_plan import on_demand, sized, work, world
from typer.testing import CliRunner

from argosy.cli.plan import plan as command
from argosy.files.dump import dump

Json = dict[str, Any]
APP = typer.Typer()
APP.command()(command)
WORTH = {"contract", "low_usd", "high_usd", "walk_away_low", "walk_away_high", "unit"}


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One contract, open capacity, and demand that nobody knows."""
    path = tmp_path_factory.mktemp("plan") / "world.yaml"
    portfolio = world(
        [on_demand(4.0, amount=60.0), sized(2.5, max_accelerators=200.0)], [work(100, unserved=6000.0)], step=3,
        uncertainties=[{"kind": "demand_growth", "trend_per_year_ratio": 0.5}], scenarios={"count": 12, "seed": 3},
    )  # fmt: skip
    path.write_text(dump(portfolio), "utf-8")
    return path


def asked(file: Path, *options: str) -> Json:
    done = CliRunner().invoke(APP, [str(file), "--json", *options])
    assert done.exit_code == 0, done.output
    answer: Json = json.loads(done.output)
    return answer


def test_selected_futures_stand_for_all_and_are_always_scored(file: Path) -> None:
    told = asked(file, "--select", "4", "--unseen", "20", "--no-ranges", "--values", "none")
    assert told["selected_from"] == 12
    assert len(told["scenarios"]) == 4
    assert len({s["probability"] for s in told["scenarios"]}) > 1
    assert sum(s["probability"] for s in told["scenarios"]) == pytest.approx(1.0)
    assert told["out_of_sample"]["plan"]["tail_usd"] > 0
    refused = CliRunner().invoke(APP, [str(file), "--select", "4", "--unseen", "0"])
    assert refused.exit_code == 2
    assert "drop --unseen 0" in refused.output
    assert asked(file, "--unseen", "0", "--no-ranges", "--values", "none")["selected_from"] is None


def test_questions_are_answered_or_said_to_be_missing(file: Path) -> None:
    told = asked(file, "--unseen", "10")
    assert [set(worth) for worth in told["values"]] == [WORTH]
    assert told["values"][0]["low_usd"] <= told["values"][0]["high_usd"]
    assert told["values"][0]["walk_away_low"] is None
    assert [n["contract"] for n in told["near_optimal"]] == ["deal"]
    assert told["front"] == []
    assert set(told["not_computed"]) == {"front", "values.signed", "values.walk_away"}
    names = {score["plan"] for score in told["out_of_sample"]["baselines"]}
    assert names & {"near_optimal_least", "near_optimal_other"}
    whole = asked(file, "--unseen", "0", "--fronts", "--values", "all", "--walk-away", "--no-ranges")
    assert [f["measure"] for f in whole["front"]] == ["tail", "carbon", "largest_vendor"]
    worth = whole["values"][0]
    assert worth["unit"] == "usd_per_accelerator_hour"
    assert 2.5 < worth["walk_away_low"] <= worth["walk_away_high"]
    assert set(whole["not_computed"]) == {"near_optimal"}


def test_a_stressed_plan_is_scored_under_the_stress(file: Path, tmp_path: Path) -> None:
    half = tmp_path / "half.yaml"
    half.write_text("argosy: 1\nid: half\ntitle: Half\nedits: [{edit: scale_demand, factor_ratio: 0.5}]\n", "utf-8")
    quick = ("--unseen", "10", "--no-ranges", "--values", "none")
    plain, under = asked(file, *quick), asked(file, *quick, "--stress", str(half))
    assert under["out_of_sample"]["drawn"] == 10
    assert under["out_of_sample"]["plan"]["expected_usd"] < plain["out_of_sample"]["plan"]["expected_usd"]


def test_tables_and_report_show_the_answers(file: Path, tmp_path: Path) -> None:
    page = tmp_path / "plan.html"
    done = CliRunner().invoke(APP, [str(file), "--unseen", "0", "--fronts", "--report", str(page)])
    assert done.exit_code == 0, done.output
    assert "What contracts are worth" in done.output
    assert "not computed: values.walk_away" in done.output
    assert max(len(line) for line in done.output.replace(str(page), "").splitlines()) <= 100
    text = page.read_text("utf-8")
    for heading in ("What contracts are worth", "Near-optimal sizes", "What less risk, carbon or dependence costs"):
        assert heading in text

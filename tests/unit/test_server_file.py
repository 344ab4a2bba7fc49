"""The server file: prices of a plan, data and ways for it, who copies; every mistake at its line and column."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.support.control import REGIONS, Stage, task

from argosy.cli.explain_job import lines
from argosy.cli.server_file import read_server_file
from argosy.control.world import ControlWorld
from argosy.errors import BadInput, Problem
from argosy.model.copy import Copy
from argosy.run.copier import CommandCopier, FolderCopier

ROOT = Path(__file__).resolve().parents[2]
WHOLE = """
plan: plan.json
regions:
  - {id: alpha/east, vendor: alpha, jurisdiction: US}
  - {id: beta/west, vendor: beta, jurisdiction: DE}
datasets:
  - {id: corpus, home: alpha/east, size_gib: 20}
links:
  - {start: alpha, end: beta, usd_per_gib: 0.1, p50_gbit_per_second: 8}
data:
  replicas: {corpus: [beta/west]}
  folders: {alpha/east: /data/east, beta/west: /data/west}
"""
PLAN = {
    "format": "argosy.plan/1",
    "status": "optimal",
    "prices": [
        {"pool": "east", "month": "2026-01", "usd_per_accelerator_hour": 9.0},
        {"pool": "east", "month": "2026-02", "usd_per_accelerator_hour": 1.0},
    ],
    "decisions": [],
}


def world(folder: Path, text: str, plan: Any = PLAN) -> ControlWorld:
    (folder / "server.yaml").write_text(text)
    (folder / "plan.json").write_text(plan if isinstance(plan, str) else json.dumps(plan))
    return read_server_file(folder / "server.yaml").world()


def refused(folder: Path, text: str, plan: Any = PLAN) -> list[Problem]:
    with pytest.raises(BadInput) as caught:
        world(folder, text, plan)
    return list(caught.value.problems)


def test_a_whole_file(tmp_path: Path) -> None:
    found = world(tmp_path, WHOLE)
    assert found.price_source == "plan"
    assert found.has_data(("corpus",), "beta/west")
    carried = found.carried("alpha/east", "beta/west", 20.0)
    assert not isinstance(carried, str)
    assert carried.usd == pytest.approx(2.0)
    assert isinstance(found.carried("beta/west", "alpha/east", 1.0), str)
    file = read_server_file(tmp_path / "server.yaml")
    assert isinstance(file.copier(), FolderCopier)
    assert isinstance(
        read_server_file(written(tmp_path, WHOLE + "  command: rclone copy {source} {target}\n")).copier(),
        CommandCopier,
    )
    assert read_server_file(written(tmp_path, "rules: {}\n")).copier() is None


def written(folder: Path, text: str) -> Path:
    (folder / "other.yaml").write_text(text)
    return folder / "other.yaml"


def test_the_plans_prices_are_those_of_the_month(tmp_path: Path) -> None:
    found = world(tmp_path, WHOLE)
    assert found.at(datetime(2026, 1, 31, 23, tzinfo=UTC)).prices == {"east": 9.0}
    assert found.at(datetime(2026, 2, 1, tzinfo=UTC)).prices == {"east": 1.0}
    later = found.at(datetime(2027, 1, 1, tzinfo=UTC))
    assert later.prices == {}
    assert "2027-01; it has none for east" in later.price_note(["east"])


@pytest.mark.parametrize(
    ("text", "line", "column", "code"),
    [
        (WHOLE.replace("corpus: [beta/west]", "corpse: [beta/west]"), 11, 14, "reference.unknown"),
        (WHOLE.replace("[beta/west]", "[alpha/east, beta/wset]"), 11, 35, "reference.unknown"),
        (WHOLE.replace("home: alpha/east", "home: alpha/esat"), 7, 24, "reference.unknown"),
        (WHOLE.replace("beta/west: /data", "beta/wst: /data"), 12, 37, "reference.unknown"),
        (WHOLE.replace("/data/west", "data/west"), 12, 48, "field.value"),
        (WHOLE + "  command: cp {sauce} {target}\n", 13, 12, "field.value"),
        (WHOLE.replace("usd_per_gib: 0.1", "usd_per_gib: -1"), 9, 44, "field.value"),
        (WHOLE.replace("usd_per_gib", "usd_per_gb"), 9, 31, "field.unknown"),
        (WHOLE.replace("plan.json", "no.json"), 2, 7, "path.missing"),
        ("portfolio: nowhere\n", 1, 12, "path.missing"),
        (WHOLE + "datum: 1\n", 13, 1, "field.unknown"),
    ],
)
def test_every_mistake_has_its_place(tmp_path: Path, text: str, line: int, column: int, code: str) -> None:
    problems = refused(tmp_path, text)
    assert (line, column, code) in [(p.line, p.column, p.code) for p in problems], problems


def test_a_plan_that_is_none_is_refused_where_it_is_named(tmp_path: Path) -> None:
    (problem,) = refused(tmp_path, WHOLE, {"format": "argosy.plan/1", "status": "infeasible"})
    assert (Path(problem.file).name, problem.line, problem.column, problem.code) == ("server.yaml", 2, 7, "plan.format")
    (problem,) = refused(tmp_path, WHOLE, '{"format":\n  nothing}')
    assert (Path(problem.file).name, problem.line, problem.column) == ("plan.json", 2, 3)


def test_a_plan_of_another_portfolio_is_refused_where_it_is_named(tmp_path: Path) -> None:
    text = f"plan: plan.json\nportfolio: {ROOT / 'examples' / 'startup'}\n"
    (problem,) = refused(tmp_path, text, {**PLAN, "portfolio": "scale-up"})
    assert (Path(problem.file).name, problem.line, problem.column) == ("server.yaml", 1, 7)
    assert problem.code == "plan.portfolio"
    assert "a plan of 'scale-up', and `portfolio` names 'startup'" in problem.message
    assert world(tmp_path, text, {**PLAN, "portfolio": "startup"}).price_source == "plan"


def test_the_plans_prices_decide_and_are_told() -> None:
    prices = {("east", "2026-01"): 9.0}
    stage = Stage(
        world=ControlWorld(regions=REGIONS, plan_prices=prices, price_source="plan", plan_name="plan.json")
    )  # fmt: skip
    (job,) = stage.submit(task())
    stage.looks(3)
    assert stage.pools(job) == ["west"]
    (decision,) = stage.store.decisions()
    told = {row["pool"]: row["usd_per_accelerator_hour"] for row in decision.placement["pools"]}
    assert told == {"east": 9.0, "west": 3.0}
    assert decision.placement["price_note"] == (
        "internal prices are those of plan.json for 2026-01; it has none for west, where the engine's price holds"
    )
    assert decision.placement["price_source"] == "plan"


def test_explain_tells_prices_checkpoints_and_copies() -> None:
    stage = Stage()
    (job,) = stage.submit(task())
    stage.looks(10)
    (run,) = stage.store.runs(job.id)
    more = {"resume_from": "/c/j/1", "resume_region": "alpha/east", "resume_gib": 2.0, "resume_usd": 0.5}
    run = run.model_copy(update=more | {"resume_hours": 0.25, "moving_to": "west"})
    copy = Copy(
        id="corpus@beta/west", dataset="corpus", from_region="alpha/east", to_region="beta/west", gib=20.0, usd=2.0,
        hours=0.1, status="DONE", charged_usd=2.0, ordered_at=stage.clock.now(), finished_at=stage.clock.now(),
    )  # fmt: skip
    waits = copy.model_copy(update={"status": "ORDERED", "failures": 2, "message": "the line broke", "attempts": 2})
    found = {
        "job": dict(stage.job(job)) | {"run": run.id, "region": "alpha/east", "vendor": "alpha", "pool": "east"},
        "runs": [dict(run)],
        "placed": [],
        "unplaced": [],
        "events": [],
        "price_note": "internal prices are those of plan.json for 2026-01",
        "prices": [{"pool": "east", "usd_per_accelerator_hour": 9.0}],
        "copies": [dict(copy), dict(waits)],
    }
    said = "\n".join(lines(found))
    assert "goes on from /c/j/1 in alpha/east (2 GiB); carried for 0.5 USD in 0.25 h by the link" in said
    assert "asked to leave for west" in said
    assert "charged 2.00 USD once" in said
    assert "ordered, attempt 2, failed 2 times: the line broke" in said
    assert "prices in USD an accelerator-hour: east 9; internal prices are those of plan.json for 2026-01" in said

"""Teams and projects in files: they load, come back as they were, and every fault stands at its line and column."""

from __future__ import annotations

from pathlib import Path

import pytest

from argosy.errors import BadInput
from argosy.files import load
from argosy.files.dump import dump
from argosy.model.catalogue import Catalogue
from argosy.model.reach import Reach
from argosy.settings import Settings

PORTFOLIO = (Path(__file__).parents[1] / "golden" / "portfolio.yaml").read_text(encoding="utf-8")
PROJECTS = """teams:
  - {id: ml, name: Model people, people: {2026-01: 4}}
  - {id: kernels, people: {2026-01: 2, 2026-07: 3}}
projects:
  - id: distil
    start: 2026-01
    latest_start: 2026-07
    duration_months: 3
    cost_usd: 1e6
    team_months: {ml: 6, kernels: 1.5}
    alternatives: model
    gains:
      - {workload: chat, saved_fraction: 0.3}
      - {workload: train, saved_fraction: 0.1, silicon: [h100]}
      - {workload: train, saved_fraction: 0.2, silicon: [tpu]}
  - id: port
    status: running
    start: 2025-06
    duration_months: 9
    cost_usd: 2e6
    ports: [{workload: chat, family: tpu}]
"""
BASE = PORTFOLIO + PROJECTS

# The first text is replaced by the second, in which § marks the place that the problem names.
FAULTS = [
    ("  - {id: kernels,", "  - {id: §ml,", "id.duplicate"),
    ("  - id: port\n", "  - id: §distil\n", "id.duplicate"),
    ("people: {2026-01: 4}", "people: {2026-01: 4, 2040-01: §5}", "date.beyond"),
    ("people: {2026-01: 4}", "people: {2026-01: §-4}", "field.range"),
    ("people: {2026-01: 4}", "people: §{}", "field.length"),
    ("    team_months: {ml: 6,", "    team_months: {§mll: 6,", "reference.unknown"),
    ("{workload: chat, saved", "{workload: §chit, saved", "reference.unknown"),
    ("silicon: [tpu]", "silicon: [§tpx]", "reference.unknown"),
    ("silicon: [tpu]", "silicon: [tpu, §tpu]", "reference.duplicate"),
    (
        "{workload: train, saved_fraction: 0.2, silicon: [tpu]}",
        "{workload: §train, saved_fraction: 0.2}",
        "reference.duplicate",
    ),
    ("saved_fraction: 0.3", "saved_fraction: §30", "field.range"),
    ("saved_fraction: 0.3", "saved_fraction: §1", "field.range"),
    ("saved_fraction: 0.3", "saved_fraction: §0", "field.range"),
    ("saved_fraction: 0.3", "saved_fraction: .nan", "yaml.not_finite"),
    ("    duration_months: 3\n", "    duration_months: §0\n", "field.range"),
    ("    cost_usd: 1e6\n    team", "    cost_usd: §-1\n    team", "field.range"),
    ("    start: 2026-01\n    latest", "    start: §2025-12\n    latest", "date.past"),
    ("latest_start: 2026-07", "latest_start: §2025-12", "date.order"),
    ("    start: 2025-06\n", "    start: 2025-06\n    latest_start: §2026-06\n", "field.value"),
    (
        "    start: 2026-01\n    latest_start: 2026-07\n    duration_months: 3",
        "    start: §2026-01\n    latest_start: 2026-07\n    duration_months: 120",
        "project.late",
    ),
    ("    ports: [{workload: chat, family: tpu}]\n", "", "project.idle"),
    ("ports: [{workload: chat,", "ports: [{workload: §chit,", "reference.unknown"),
    ("family: tpu}]\n", "family: §tpx}]\n", "reference.unknown"),
    ("ports: [{workload: chat, family: tpu}]", "ports: [{workload: chat, family: §cuda}]", "reference.duplicate"),
    ("family: tpu}]\n", "family: tpu}, {workload: chat, family: §tpu}]\n", "reference.duplicate"),
    ("    alternatives: model\n", "    §alternative: model\n", "field.unknown"),
]


def problems(folder: Path, text: str) -> list[tuple[int, int, str]]:
    path = folder / "p.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(BadInput) as caught:
        load(path, Settings(), catalogue=Catalogue())
    return [(p.line, p.column, p.code) for p in caught.value.problems]


def test_they_load_and_come_back(tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    path.write_text(BASE, encoding="utf-8")
    portfolio = load(path, Settings(), catalogue=Catalogue())
    distil, port = portfolio.projects
    assert (distil.status, distil.start_step_months, len(distil.gains)) == ("candidate", 3, 3)
    assert str(port.start) == "2025-06"
    assert [team.id for team in portfolio.teams] == ["ml", "kernels"]
    again = tmp_path / "again.yaml"
    again.write_text(dump(portfolio), encoding="utf-8")
    assert load(again, Settings(), catalogue=Catalogue()) == portfolio


def test_a_project_brings_pools_into_reach(tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    fast = "    runs_on_families: [cuda]\n"
    path.write_text(BASE.replace(fast, f"{fast}    units_per_accelerator: {{tpu: 1}}\n"), encoding="utf-8")
    portfolio = load(path, Settings(), catalogue=Catalogue())
    reach = Reach(portfolio)
    pools = {w.id: [pool.id for pool in reach.pools(w)] for w in portfolio.workloads}
    assert "zenith-tpu" in pools["chat"]


@pytest.mark.parametrize(("old", "new", "code"), FAULTS)
def test_every_fault_stands_at_its_place(tmp_path: Path, old: str, new: str, code: str) -> None:
    assert BASE.count(old) == 1
    marked = BASE.replace(old, new)
    found = problems(tmp_path, marked.replace("§", ""))
    assert code in {c for _, _, c in found}
    # A name that was changed may be missing elsewhere.
    assert {c for _, _, c in found} <= {code, "reference.unknown"}
    if "§" in marked:
        before = marked[: marked.index("§")]
        line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
        assert (line, column, code) in found


def test_too_many_projects_for_one_workload(tmp_path: Path) -> None:
    one = "  - {{id: more-{0}, start: 2026-01, duration_months: 1, cost_usd: 1, gains: [{{workload: chat, saved_fraction: 0.1}}]}}\n"  # noqa: E501
    many = BASE + "".join(one.format(i) for i in range(4))
    (found,) = problems(tmp_path, many)
    assert found[2] == "project.many"
    assert found[0] == many.count("\n")
    apart = many.replace("duration_months: 1, cost_usd", "alternatives: small, duration_months: 1, cost_usd")
    path = tmp_path / "apart.yaml"
    path.write_text(apart, encoding="utf-8")
    assert len(load(path, Settings(), catalogue=Catalogue()).projects) == 6

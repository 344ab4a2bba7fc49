"""The table of nodes that `argosy place --nodes` reads, and the command with it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from argosy.cli.main import app
from argosy.errors import BadInput
from argosy.files.nodes import nodes

ROOT = Path(__file__).resolve().parents[2]
FLEET = ROOT / "examples" / "small-fleet"


def test_columns_may_stand_in_any_order_and_some_may_be_absent(tmp_path: Path) -> None:
    path = tmp_path / "n.csv"
    path.write_text("accelerators,pool,id,domain\n8,p,n0,rack\n4,p,n1,\n")
    first, second = nodes(str(path))
    assert (first.id, first.accelerators, first.domain, first.cpu_milli) == ("n0", 8, "rack", None)
    assert second.domain is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id,pool\nn,p\n", "no column 'accelerators'"),
        ("id,pool,accelerators\nn,p,eight\n", "'eight' is not a finite whole number"),
        ("id,pool,accelerators\nn,p,8\nn,p,8\n", "stands here twice"),
        ("id,pool,accelerators\nn,p,-1\n", "0 to 1,024"),
        ("id,pool,accelerators,cpu_milli\nn,p,8,-5\n", "0 to 1,000,000,000,000"),
        ("id,pool,accelerators\nNode A,p,8\n", "lower-case"),
        ("", "empty"),
    ],
)
def test_a_damaged_table_is_one_error(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "n.csv"
    path.write_text(text)
    with pytest.raises(BadInput, match=message):
        nodes(str(path))


def test_the_command_names_the_nodes_of_every_ask() -> None:
    command = ["place", str(ROOT / "examples" / "startup"), "--jobs", str(FLEET / "asks.yaml")]
    done = CliRunner().invoke(app, [*command, "--nodes", str(FLEET / "pool-nodes.csv"), "--json"])
    answer = json.loads(done.stdout)
    seats = {row["ask"]: [seat["node"] for seat in row["seats"]] for row in answer["assignments"]}
    assert seats["release-candidate"] == ["spot-0"]
    assert len(seats["adapter"]) == 3
    assert {row["rule"] for row in answer["limits"]} >= {"P1.L", "P1.N"}

"""The page about run and the code speak of the same rules."""

from __future__ import annotations

import re
from pathlib import Path

from argosy.model.job import RUN_STATUSES
from argosy.run.ladder import WEIGHTS

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "concepts" / "run.md").read_text("utf-8")
RULES = {f"R{number}" for number in range(1, 16)}
RULE = re.compile(r"\bR\d+\b")


def test_every_rule_stands_on_the_page_in_the_code_and_in_a_test() -> None:
    def spoken(*folders: str) -> set[str]:
        texts = (path.read_text("utf-8") for folder in folders for path in (ROOT / folder).rglob("*.py"))
        return {rule for text in texts for rule in RULE.findall(text)}

    assert set(RULE.findall(PAGE)) == RULES
    assert spoken("src/argosy/store", "src/argosy/run", "src/argosy/control", "src/argosy/model") >= RULES


def test_the_table_of_penalties_is_that_of_the_code() -> None:
    table = PAGE.partition("| what happened |")[2].partition("\n\n")[0].splitlines()[2:]
    rows = [line.split("|")[2:6] for line in table]
    told = [[float(cell) if cell.strip() else 0.0 for cell in row] for row in rows]
    rungs = ("node", "pool", "region", "vendor")
    assert told == [[weights.get(rung, 0.0) for rung in rungs] for weights in WEIGHTS.values()]


def test_every_state_stands_on_the_page() -> None:
    assert [status for status in RUN_STATUSES if status.capitalize() not in PAGE] == []

"""The page on simulation and the code number the same rules."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "concepts" / "simulate.md"


def test_every_rule_of_the_simulation_is_on_the_page_and_in_the_code() -> None:
    """A rule begins a line of a module's docstring with its number, and a paragraph of the page in bold."""
    modules = [*(ROOT / "src/argosy/simulate").glob("*.py"), ROOT / "src/argosy/control/keeper.py"]
    rule = re.compile(r"^([MCW]\d+) {2,3}\S", re.MULTILINE)
    code = {number for path in modules for number in rule.findall(path.read_text("utf-8"))}
    page = set(re.findall(r"\*\*([MCW]\d+)\*\*", PAGE.read_text("utf-8")))
    assert code == page
    assert len([rule for rule in page if rule[0] == "M"]) == 16

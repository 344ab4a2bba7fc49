"""Terminal tables: every line within 100 columns, plain when not a terminal, nothing lost that decides."""

from __future__ import annotations

import io

import pytest
from rich.cells import cell_len
from rich.console import Console
from tests.support import plans

from argosy.cli.tables import infeasible_tables, plan_tables
from argosy.errors import CheckFailed
from argosy.model.decision import Plan

ALL = {
    "small": plans.small,
    "frontier": plans.frontier,
    "large": plans.large,
    "bare": plans.bare,
    "hostile": plans.hostile,
}


def printed(plan: Plan, width: int = 100) -> str:
    out = io.StringIO()
    plan_tables(plan, Console(file=out, width=width))
    return out.getvalue()


@pytest.mark.parametrize("width", [80, 100, 240])
@pytest.mark.parametrize("name", ALL)
def test_lines_fit(name: str, width: int) -> None:
    text = printed(ALL[name](), width)
    assert max(cell_len(line) for line in text.splitlines()) <= min(100, width)
    assert "\x1b" not in text
    assert "Gap" in text


def test_names_are_not_markup() -> None:
    assert "[bold red]markup[/]" in printed(plans.hostile()).replace("\n", " ")


def test_tables_say_what_decides() -> None:
    plan = plans.frontier()
    text = printed(plan)
    for title in (
        "Decisions",
        "Later decisions",
        "Projects",
        "People",
        "Cash by fiscal year",
        "Internal prices",
        "Unserved work",
        "What was not done",
    ):
        assert title in text
    for decision in plan.decisions:
        assert decision.contract[:12] in text
    assert plan.certificate.data_hash in text


@pytest.mark.parametrize("width", [80, 100])
def test_numbers_are_never_cut(width: int) -> None:
    plan = plans.frontier()
    wide = tuple(
        d.model_copy(
            update={"contract": f"{d.contract}-{'x' * 60}", "vendor": "a-vendor-with-a-long-name", "size": 4.39e9}
        )
        for d in plan.decisions
    )
    text = printed(plan.model_copy(update={"decisions": wide}), width)
    total = sum(d.committed_usd for d in plan.decisions if d.signed)
    assert f" {total / 1e9:,.1f}\n" in text
    assert "billion/mo" in text


def test_all_served_is_said() -> None:
    plan = plans.small()
    work = tuple(w.model_copy(update={"unserved_units": 0.0, "unserved_high_units": 0.0}) for w in plan.work)
    assert "All work of every workload is served in every future." in printed(plan.model_copy(update={"work": work}))


def test_uncertified_plan_is_not_shown() -> None:
    plan = plans.small()
    out = io.StringIO()
    broken = plan.model_copy(update={"certificate": plan.certificate.model_copy(update={"gap_fraction": float("nan")})})
    with pytest.raises(CheckFailed):
        plan_tables(broken, Console(file=out, width=100))
    assert out.getvalue() == ""


def test_infeasible_shows_each_relaxation() -> None:
    out = io.StringIO()
    infeasible_tables(plans.infeasible(), Console(file=out, width=100))
    text = out.getvalue()
    assert "USD 1.25 billion" in text
    assert "raise usd_per_year" in text
    assert max(cell_len(line) for line in text.splitlines()) <= 100
    infeasible_tables(plans.infeasible().model_copy(update={"excuses": ()}), Console(file=out, width=100))


def test_colour_only_on_a_terminal() -> None:
    out = io.StringIO()
    plan_tables(plans.small(), Console(file=out, width=100, force_terminal=True, color_system="standard"))
    assert "\x1b[" in out.getvalue()

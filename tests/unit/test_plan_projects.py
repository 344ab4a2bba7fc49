"""Projects, gains, ports and people in worlds small enough to plan by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.support import worlds_plan as w
from typer.testing import CliRunner

from argosy.cli.main import app
from argosy.errors import BadInput
from argosy.files.dump import dump
from argosy.model.decision import Plan, ProjectDecision
from argosy.model.futures import futures
from argosy.model.portfolio import Portfolio
from argosy.model.question import ProjectValue
from argosy.plan.project_value import price_project

YEAR = w.YEAR


def usd(value: float) -> object:
    """Equal to half a cent."""
    return pytest.approx(value, rel=1e-9, abs=0.005)


def project(saved: float | None = 0.25, project_id: str = "leaner", **changes: Any) -> dict[str, Any]:
    """Three months of work from January for 1,000 USD that save a quarter of the accelerators."""
    gains = [] if saved is None else [{"workload": "job", "saved_fraction": saved}]
    return {"id": project_id, "start": "2026-01", "duration_months": 3, "cost_usd": 1_000.0, "gains": gains} | changes


def planned(projects: list[dict[str, Any]], usd_per_hour: float = 1.0, units: float = 4.0, **more: Any) -> Plan:
    """4 units of work on demand at 1 USD an hour, with projects."""
    return w.planned(w.world([w.on_demand(usd_per_hour)], [w.work(units)], projects=projects, **more))


def of(plan: Plan, project_id: str = "leaner") -> ProjectDecision:
    return next(p for p in plan.projects if p.project == project_id)


def team(people: float | dict[str, float], skill: str = "ml") -> dict[str, Any]:
    return {"id": skill, "people": people if isinstance(people, dict) else {"2026-01": people}}


def test_a_project_saves_from_the_month_after_its_work() -> None:
    """4 accelerators until March, then 3: 4 * 2,160 + 3 * 6,600 hours, and 1,000 USD."""
    plan = planned([project()])
    assert plan.objective_usd == usd(4 * w.hours(1, 3) + 3 * w.hours(4, 12) + 1_000)
    found = of(plan)
    assert (found.done, found.reason, str(found.start), str(found.ready)) == (True, "chosen", "2026-01", "2026-04")
    assert w.component(plan, "one_off") == usd(1_000)
    assert plan.cash[0].one_off_usd == usd(1_000)
    assert [round(row.saved_units, 9) for row in plan.savings] == [0.0] * 3 + [1.0] * 9
    assert all(row.served_units == pytest.approx(4.0) for row in plan.work)
    assert not plan.excuses


def test_a_project_that_costs_more_than_it_saves_is_not_done_and_says_by_how_much() -> None:
    """It saves one accelerator for 6,600 hours: 6,600 USD. Where it saves more, more is saved in proportion."""
    plan = planned([project(cost_usd=10_000.0)])
    assert plan.objective_usd == usd(4 * YEAR)
    assert of(plan).margin_usd == usd(3_400)
    (excuse,) = plan.excuses
    assert (excuse.subject, excuse.rule, excuse.unit) == ("leaner", "F8.6", "usd")
    assert excuse.short == usd(3_400)
    assert "cost at least 3,400 USD less, or save at least 0.379" in excuse.remedy
    assert of(planned([project(cost_usd=10_000.0 - 3_401.0)])).done
    assert not of(planned([project(0.378, cost_usd=10_000.0)])).done
    assert of(planned([project(0.379, cost_usd=10_000.0)])).done


def test_two_projects_multiply() -> None:
    """A quarter and a half of the rest: 4 units need 4 * 0.75 * 0.5 = 1.5 accelerators."""
    plan = planned([project(), project(0.5, "faster")])
    assert plan.objective_usd == usd(4 * w.hours(1, 3) + 1.5 * w.hours(4, 12) + 2_000)


def test_three_projects_multiply_each_from_its_own_month() -> None:
    projects = [project(0.2, "one"), project(0.5, "two", start="2026-04"), project(0.1, "three", start="2026-07")]
    plan = planned(projects, usd_per_hour=3.0)
    hours = 4 * w.hours(1, 3) + 3.2 * w.hours(4, 6) + 1.6 * w.hours(7, 9) + 1.44 * w.hours(10, 12)
    assert plan.objective_usd == usd(3 * hours + 3_000)


def test_of_alternatives_the_best_is_done() -> None:
    both = [project(alternatives="model"), project(0.5, "faster", alternatives="model")]
    plan = planned(both)
    assert plan.objective_usd == usd(4 * w.hours(1, 3) + 2 * w.hours(4, 12) + 1_000)
    (excuse,) = plan.excuses
    assert (excuse.subject, excuse.rule) == ("leaner", "F4.L2")
    assert "faster" in excuse.limit


def test_a_gain_on_some_silicon_draws_work_there() -> None:
    """New kernels halve the work on TPU: 4 units there need 2 at 1.5 USD, where cuda needs 4 at 1 USD."""
    kernels = {"workload": "job", "saved_fraction": 0.5, "silicon": ["t"]}
    offers = [w.on_demand(1.0), w.on_demand(1.5, "tpu")]
    job = w.work(4.0, runs_on_families=["cuda", "tpu"])
    plan = w.planned(w.world(offers, [job], projects=[project(None, gains=[kernels], cost_usd=500.0)]))
    assert plan.objective_usd == usd(4 * w.hours(1, 3) + 3 * w.hours(4, 12) + 500)
    assert {row.pool for row in plan.dispatch if str(row.month) == "2026-05"} == {"tpu"}


def test_gains_by_silicon_meet_a_gain_on_all() -> None:
    """On TPU 0.75 * 0.5 of the accelerators are left, at 1.5 USD; elsewhere 0.75 at 1 USD."""
    kernels = project(None, "kernels", gains=[{"workload": "job", "saved_fraction": 0.5, "silicon": ["t"]}])
    offers = [w.on_demand(1.0), w.on_demand(1.5, "tpu")]
    job = w.work(4.0, runs_on_families=["cuda", "tpu"])
    plan = w.planned(w.world(offers, [job], projects=[project(), kernels]))
    assert plan.objective_usd == usd(4 * w.hours(1, 3) + 4 * 0.375 * 1.5 * w.hours(4, 12) + 2_000)


def test_a_project_opens_a_family() -> None:
    """TPU at 0.5 USD instead of cuda at 1 USD, from April."""
    offers = [w.on_demand(1.0), w.on_demand(0.5, "tpu")]
    port = project(None, ports=[{"workload": "job", "family": "tpu"}])
    plan = w.planned(w.world(offers, [w.work(4.0)], projects=[port]))
    assert plan.objective_usd == usd(4 * w.hours(1, 3) + 2 * w.hours(4, 12) + 1_000)
    (opened,) = plan.ports
    assert (opened.workload, opened.family, opened.ported, opened.cost_usd) == ("job", "tpu", True, 0.0)
    dear = w.planned(w.world(offers, [w.work(4.0)], projects=[port | {"cost_usd": 20_000.0}]))
    assert dear.objective_usd == usd(4 * YEAR)
    assert not dear.ports[0].ported
    assert of(dear).margin_usd == usd(20_000 - 2 * w.hours(4, 12))


def test_the_plan_chooses_when_people_are_free() -> None:
    """Both need two people for three months; with two people the second begins in April."""
    later = {"latest_start": "2026-10", "start_step_months": 3, "team_months": {"ml": 6.0}}
    projects = [project(0.5, "big", **later), project(0.25, "small", **later)]
    plan = planned(projects, teams=[team(2.0)])
    hours = 4 * w.hours(1, 3) + 2 * w.hours(4, 6) + 1.5 * w.hours(7, 12)
    assert plan.objective_usd == usd(hours + 2_000)
    assert [str(of(plan, name).start) for name in ("big", "small")] == ["2026-01", "2026-04"]
    assert [row.needed_people for row in plan.teams] == pytest.approx([2.0] * 6 + [0.0] * 6)
    free = planned(projects, teams=[team(4.0)])
    assert free.objective_usd == usd(4 * w.hours(1, 3) + 1.5 * w.hours(4, 12) + 2_000)


def test_people_who_are_not_there_are_the_excuse() -> None:
    plan = planned([project(team_months={"ml": 6.0})], teams=[team(1.5)])
    assert not of(plan).done
    assert of(plan).margin_usd == usd(1_000 - 6_600)
    (excuse,) = plan.excuses
    assert (excuse.rule, excuse.unit) == ("F4.TM", "team_months")
    assert excuse.short == pytest.approx(0.5)
    assert "ml in 2026-01" in excuse.limit


def test_a_person_is_worth_what_a_part_of_the_project_saves() -> None:
    """F8.5: 6 team-months save 6,600 - 1,000 USD, in proportion; only January is short of people."""
    plan = planned([project(team_months={"ml": 6.0})], teams=[team({"2026-01": 1.5, "2026-02": 8.0})])
    price = [row.usd_per_team_month for row in plan.teams]
    assert price[0] == pytest.approx(5_600 / 2)
    assert price[1:] == pytest.approx([0.0] * 11)


def test_a_running_project_is_done_whatever_it_saves() -> None:
    """Half of its work lies before the plan: half of the cost, and people until February."""
    running = project(0.001, status="running", start="2025-11", duration_months=4, team_months={"ml": 4.0})
    plan = planned([running], teams=[team(1.0)])
    assert plan.objective_usd == usd(500 + 4 * w.hours(1, 2) + 4 * 0.999 * w.hours(3, 12))
    assert (of(plan).reason, str(of(plan).start)) == ("given", "2025-11")
    assert [row.needed_people for row in plan.teams] == pytest.approx([1.0] * 2 + [0.0] * 10)


def test_running_projects_without_people_are_infeasible() -> None:
    running = project(status="running", team_months={"ml": 6.0})
    answer = w.refused(w.world([w.on_demand(1.0)], [w.work(4.0)], projects=[running], teams=[team(1.5)]))
    rules = {excuse.rule for excuse in answer.excuses}
    assert "F4.TM" in rules
    excuse = next(e for e in answer.excuses if e.rule == "F4.TM")
    assert excuse.subject == "ml"
    assert excuse.short == pytest.approx(0.5)
    assert "2026-01" in excuse.limit


def test_a_project_saves_accelerators_and_not_data() -> None:
    """4 units away from home move 4 * 100 GiB a month, with and without the project."""
    links = [{"start": "acme/west", "end": "birch/rhein", "usd_per_gib": 0.1}]
    job = w.work(4.0, data_gib_per_unit=100.0)
    plan = w.planned(w.world([w.on_demand(1.0, "b")], [job], projects=[project()], links=links))
    egress = 4 * 100 * 0.1 * YEAR / 730
    assert w.component(plan, "egress") == usd(egress)
    assert plan.objective_usd == usd(4 * w.hours(1, 3) + 3 * w.hours(4, 12) + 1_000 + egress)
    kept = [{"id": "corpus", "home": "acme/west", "size_gib": 5e6, "storage_usd_per_gib": 1.0}]
    job = w.work(4.0, data_gib_per_unit=100.0, dataset="corpus")
    world = w.world([w.on_demand(1.0, "b")], [job], projects=[project()], links=links, datasets=kept)
    assert w.component(w.planned(world), "egress") == usd(egress)


def test_work_that_is_not_done_costs_its_price_by_the_unit() -> None:
    """2 accelerators do 2 units, with the project 2 / 0.75; the rest stays undone at 4,000 USD per unit and month."""
    world = w.world([w.on_demand(1.0, amount=2.0)], [w.work(4.0, unserved=4_000.0)], projects=[project()])
    plan = w.planned(world)
    undone = 4_000 / 730 * (2 * w.hours(1, 3) + (4 - 2 / 0.75) * w.hours(4, 12))
    assert w.component(plan, "unserved") == usd(undone)
    assert plan.objective_usd == usd(2 * YEAR + undone + 1_000)


def test_a_quarter_counts_only_when_it_is_whole() -> None:
    """Four months of work end in April; in quarters it counts from July."""
    plan = planned([project(duration_months=4)], step=3)
    assert plan.objective_usd == usd(4 * w.hours(1, 6) + 3 * w.hours(7, 12) + 1_000)
    assert str(of(plan).ready) == "2026-07"


def test_cash_limits_projects() -> None:
    policy = {"cash": {"usd_per_year": [900.0]}}
    plan = planned([project()], policy=policy)
    assert not of(plan).done
    assert plan.objective_usd == usd(4 * YEAR)


def test_later_start_pays_when_money_costs() -> None:
    """Work only wanted from July: the project starts in April, not in January, because later money counts less."""
    job = w.work({"2026-01": 0.0, "2026-07": 4.0})
    choice = project(latest_start="2026-07", start_step_months=1)
    policy = {"discount_rate_fraction": 0.2}
    plan = w.planned(w.world([w.on_demand(1.0)], [job], projects=[choice], policy=policy))
    assert str(of(plan).start) == "2026-04"


def test_a_project_serves_every_future_or_none() -> None:
    """It is decided now: in the quiet future it saves little and is paid all the same."""
    futures = w.given({}, {"demand_factor": {"all": {"2026-01": 0.0}}})
    world = w.world([w.on_demand(1.0)], [w.work(4.0)], projects=[project(cost_usd=3_000.0)], scenarios=futures)
    plan = w.planned(world)
    assert of(plan).done
    assert plan.objective_usd == usd(3_000 + 0.5 * (4 * w.hours(1, 3) + 3 * w.hours(4, 12)))
    row = next(r for r in plan.savings if str(r.month) == "2026-05")
    assert (row.saved_units, row.saved_high_units) == pytest.approx((0.5, 1.0))
    dear = w.planned(
        w.world([w.on_demand(1.0)], [w.work(4.0)], projects=[project(cost_usd=3_400.0)], scenarios=futures)
    )
    assert of(dear).margin_usd == usd(3_400 - 3_300)


def worth(world: Portfolio, project_id: str = "leaner") -> ProjectValue:
    return price_project(world, futures(world), project_id, gap=0.0).projects[0]


@pytest.mark.parametrize("cost", [1_000.0, 10_000.0])
def test_qp1_qp2_a_project_is_worth_what_it_saves_less_its_cost(cost: float) -> None:
    """It saves 6,600 USD, whatever it costs."""
    found = worth(w.world([w.on_demand(1.0)], [w.work(4.0)], projects=[project(cost_usd=cost)]))
    assert (found.low_usd, found.high_usd) == (usd(6_600 - cost), usd(6_600 - cost))
    assert (found.break_even_low_usd, found.break_even_high_usd) == (usd(6_600), usd(6_600))


def test_qp1_counts_what_its_people_would_do_elsewhere() -> None:
    """One team for one project: without `big` the people do `small`."""
    both = [project(0.5, "big", team_months={"ml": 6.0}), project(0.25, "small", team_months={"ml": 6.0})]
    found = worth(w.world([w.on_demand(1.0)], [w.work(4.0)], projects=both, teams=[team(2.0)]), "big")
    assert found.low_usd == usd(6_600)


def test_qp1_without_people_there_is_no_plan_with_it() -> None:
    world = w.world([w.on_demand(1.0)], [w.work(4.0)], projects=[project(team_months={"ml": 9.0})], teams=[team(1.0)])
    found = worth(world)
    assert (found.low_usd, found.high_usd, found.break_even_low_usd) == (None, None, None)
    assert found.costs[0].upper_usd is None
    assert found.note is not None
    with pytest.raises(BadInput):
        price_project(world, futures(world), "nobody")


def test_qp2_is_the_cost_at_which_the_plan_changes_its_mind() -> None:
    cash = {"discount_rate_fraction": 0.1}
    world = w.world([w.on_demand(1.0)], [w.work(4.0)], projects=[project()], policy=cash)
    found = worth(world)
    assert found.break_even_low_usd is not None
    for factor, done in ((0.999, True), (1.001, False)):
        changed = project(cost_usd=found.break_even_low_usd * factor)
        again = w.planned(w.world([w.on_demand(1.0)], [w.work(4.0)], projects=[changed], policy=cash))
        assert of(again).done == done


def test_the_command_prices_a_project(tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    path.write_text(dump(w.world([w.on_demand(1.0)], [w.work(4.0)], projects=[project()])), encoding="utf-8")
    page = tmp_path / "p.html"
    run = CliRunner().invoke(app, ["price", str(path), "--project", "leaner", "--report", str(page)])
    assert run.exit_code == 0, run.output
    assert "leaner is worth USD 5,600" in run.output
    assert "pays up to a cost of USD 6,600" in run.output
    assert "leaner" in page.read_text(encoding="utf-8")
    for wrong in ([], ["--project", "x"], ["--project", "leaner", "--contract", "list-a"]):
        assert CliRunner().invoke(app, ["price", str(path), *wrong]).exit_code == 2

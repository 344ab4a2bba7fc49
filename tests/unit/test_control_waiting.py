"""P5.15 and R15 in the control loop, on invented engines: work with a deadline waits for spot and goes back to it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.support.control import Stage, task
from tests.unit.test_control_moves import SAVES, Moving

from argosy.control.resumes import kept_hours
from argosy.model.job import Job, Run
from argosy.model.task import Choice
from argosy.run.rules import RunRules
from argosy.simulate.engine import BEGIN, Site

SPOT = Site("spot", "alpha", "alpha/east", "h100", 1, 8, 32, 1.0, spot=True)
FIRM = Site("firm", "alpha", "alpha/east", "h100", 4, 8, 32, 4.0, paid=False)
EITHER = (Choice(silicon="h100", accelerators=8, spot=True), Choice(silicon="h100", accelerators=8))
HOUR = 3600.0


def stage(*sites: Site) -> Moving:
    return Moving(sites=sites or (SPOT, FIRM), rules=RunRules())


def due(on: Stage, hours: float, work_hours: float | None, **given: Any) -> Job:
    """A job that must be done so many hours after the world began."""
    rules = {"deadline": BEGIN + timedelta(hours=hours), "work_hours": work_hours, "checkpoint": SAVES}
    placement = rules | given.pop("placement", {})
    (job,) = on.submit(task("due", seconds=(work_hours or 1) * HOUR, choices=EITHER, placement=placement, **given))
    return job


def fill(on: Stage, seconds: float) -> Job:
    """Work that holds all of the spot pool."""
    (job,) = on.submit(task("filler", seconds=seconds, choice={"spot": True}, placement={"value_usd_per_hour": 90.0}))
    on.until(job, "RUNNING")
    return job


@pytest.mark.parametrize("ordered", [False, True])
def test_work_with_a_deadline_waits_for_spot_and_says_until_when_p5_15(ordered: bool) -> None:
    on = stage()
    fill(on, 20 * HOUR)
    job = due(on, 40.0, 10.0, ordered=ordered)
    on.looks(3)
    assert (on.job(job).status, on.job(job).reason, on.pools(job)) == ("PENDING", "WaitingForSpot", [])
    assert on.job(job).message == "ahead of its deadline; starts on demand at 2026-01-01 00:00 UTC at the latest"
    # Nothing is done by the next look that counts, so that it is behind the line (P5.4).
    on.looks(3, 60.0)
    assert on.pools(job) == ["firm"]


@pytest.mark.parametrize(
    ("why", "given", "sites"),
    [
        ("nobody knows how long it works", {"work_hours": None}, ()),
        ("no slack", {"hours": 10.6}, ()),
        ("it cannot go on", {"placement": {"checkpoint": None}}, ()),
        ("paid for anyhow", {}, (SPOT, replace(FIRM, paid=None))),
        ("spot is dearer", {}, (replace(SPOT, usd_per_hour=5.0), FIRM)),
    ],
)
def test_otherwise_it_starts_on_demand_at_once(why: str, given: dict[str, Any], sites: tuple[Site, ...]) -> None:
    on = stage(*sites)
    fill(on, 20 * HOUR)
    job = due(on, **({"hours": 40.0, "work_hours": 10.0} | given))
    on.looks(3)
    assert on.pools(job) == ["firm"], why


def test_it_goes_back_to_spot_once_it_is_two_changeovers_ahead_and_is_in_time_r15() -> None:
    on = stage()
    fill(on, 2 * HOUR)
    job = due(on, 20.0, 10.0)
    on.looks(10, 60.0)
    assert on.pools(job) == ["firm"]
    ahead = None
    for _ in range(400):
        on.look(120.0)
        if len(on.pools(job)) > 1:
            ahead = (on.clock.now() - BEGIN).total_seconds() / HOUR
            break
    assert on.pools(job) == ["firm", "spot"]
    assert ahead is not None
    # Two changeovers of a quarter of an hour, on a line of 10 h in 20 h less the reserve: half an hour ahead of it.
    assert 1.0 < ahead < 3.0
    done = on.until(job, "SUCCEEDED", seconds=300.0)
    assert done.finished_at is not None
    assert done.finished_at < BEGIN + timedelta(hours=20)
    assert on.pools(job) == ["firm", "spot"], "on spot it stays"
    assert on.store.recount().problems == ()


def test_when_spot_is_taken_away_it_goes_on_where_the_line_says() -> None:
    on = stage()
    job = due(on, 20.0, 10.0)
    on.looks(3)
    assert on.pools(job) == ["spot"]
    on.looks(60, 120.0)
    engine = on.engines["alpha"]
    engine.faults.sold_out.append(("spot", on.clock.now(), on.clock.now() + timedelta(hours=30)))
    engine._preempt(engine.bodies[on.store.runs(job.id)[0].id])
    on.looks(10, 30.0)
    assert "firm" not in on.pools(job), "two hours of work in two hours are ahead of ten in twenty"
    done = on.until(job, "SUCCEEDED", seconds=120.0, most=900)
    assert done.finished_at is not None
    assert done.finished_at < BEGIN + timedelta(hours=20)
    assert on.pools(job)[-1] == "firm"
    began = next(run.created_at for run in on.store.runs(job.id) if run.pool == "firm")
    # 10 h in 19.75 h: the 2 h are reached by the line after almost 4 h.
    assert timedelta(hours=3) < began - BEGIN < timedelta(hours=4.5)


def test_ten_thousand_jobs_alike_are_one_ask_and_one_class() -> None:
    on = stage()
    fill(on, 20 * HOUR)
    rules = {"deadline": BEGIN + timedelta(hours=40), "work_hours": 10.0, "checkpoint": SAVES}
    alike = task("due", seconds=HOUR, choices=EITHER, placement=rules)
    on.submit(*[alike] * 500)
    look = on.look()
    assert look.outcome.waiting == 500
    assert set(look.outcome.reasons.values()) == {
        ("WaitingForSpot", "ahead of its deadline; starts on demand at 2026-01-01 00:00 UTC at the latest")
    }
    assert len(look.outcome.reasons) == 1


def test_work_kept_is_what_lies_in_checkpoints_r15() -> None:
    at = datetime(2026, 1, 1, tzinfo=UTC)

    def run(epoch: int, begin: float, end: float, *, on: bool) -> Run:
        return Run.model_construct(
            epoch=epoch, started_at=at + timedelta(hours=begin), finished_at=at + timedelta(hours=end),
            resume_region="alpha/east" if on else None,
        )  # fmt: skip

    runs = [run(1, 0.0, 3.0, on=False), run(2, 4.0, 6.0, on=True)]
    assert kept_hours(runs, {2: at + timedelta(hours=5.5)}, 1800.0) == pytest.approx(2.5 + 1.5)
    assert kept_hours(runs, {2: at + timedelta(hours=5.5)}, None) == pytest.approx(1.5)
    assert kept_hours([runs[0], run(2, 4.0, 6.0, on=False)], {}, 1800.0) == pytest.approx(1.5), "it began anew"

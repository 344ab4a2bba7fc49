"""Moves, checkpoints and copies in the control loop, on invented engines: what is decided, charged and never done."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from tests.support.control import EAST, REGIONS, WEST, Stage, task

from argosy.clock import rng
from argosy.control.loop import LEAD, Control
from argosy.control.service import Service
from argosy.control.world import ControlWorld
from argosy.model.dataset import Dataset
from argosy.model.job import Job
from argosy.model.link import Link
from argosy.model.load import Residency
from argosy.model.task import Checkpoint
from argosy.run.rules import RunRules
from argosy.simulate.copying import CopyFaults, InventedCopier, InventedDisk
from argosy.store import tables as t
from argosy.store.rows import LATER_RUN_COLUMNS

LINKS = (
    Link(start="alpha/east", end="beta/west", usd_per_gib=0.1, p50_gbit_per_second=8.0),
    Link(start="beta/west", end="alpha/east", usd_per_gib=0.1, p50_gbit_per_second=8.0),
)
SAVES = Checkpoint(prefix="/invented", gib=30.0, every_seconds=60.0)


class Moving(Stage):
    """A stage with links, checkpoints that are found, and a copier."""

    def __init__(self, *, links: tuple[Link, ...] = LINKS, datasets: tuple[Dataset, ...] = (), **given: Any) -> None:
        self.copier: InventedCopier | None = None
        self.disk: InventedDisk | None = None
        super().__init__(world=ControlWorld(regions=REGIONS, links=links, datasets=datasets), **given)
        self.copier = InventedCopier(self.clock, lambda: 0.5)
        self.disk = InventedDisk(list(self.engines.values()), lambda: 0.5)
        self.control = self.replica("one")

    def replica(self, owner: str, control: type[Control] = Control) -> Control:
        find = None if self.disk is None else self.disk.find
        return control(
            self.store, self.engines, owner=owner, clock=self.clock, rules=self.rules, world=self.world,
            copier=self.copier, find=find,
        )  # fmt: skip

    def price(self, vendor: str, pool: str, usd_per_hour: float) -> None:
        sites = self.engines[vendor].sites
        sites[pool] = replace(sites[pool], usd_per_hour=usd_per_hour)


def running(stage: Stage, **rules: Any) -> Job:
    (job,) = stage.submit(task(seconds=40_000, placement={"checkpoint": SAVES} | rules))
    stage.looks(12)
    assert (stage.job(job).status, stage.pools(job)) == ("RUNNING", ["east"])
    return job


def test_r14_work_moves_to_a_pool_that_became_cheaper_and_goes_on_there() -> None:
    """With the rules as they are by default: 8 accelerators, 2.00 against 0.50 USD, 30 GiB to carry for 3 USD."""
    stage = Moving(rules=RunRules())
    job = running(stage)
    stage.looks(20, 60.0)
    assert stage.pools(job) == ["east"], "dearer places are no reason"
    stage.price("beta", "west", 0.5)
    stage.looks(30, 30.0)
    first, second = stage.store.runs(job.id)
    assert (first.pool, first.status, first.reason, first.moving_to) == ("east", "PREEMPTED", "Moved", "west")
    assert (second.pool, second.status) == ("west", "RUNNING")
    assert (second.resume_region, second.resume_gib, second.resume_usd) == ("alpha/east", 30.0, pytest.approx(3.0))
    assert second.resume_hours == pytest.approx(30 * 2**30 * 8 / 8e9 / 3600)
    (save,) = [save for save in stage.engines["alpha"].saves if save.path == second.resume_from]
    assert save == max(stage.engines["alpha"].saves, key=lambda s: s.done_seconds), "it saved before it left"
    stage.looks(40, 60.0)
    assert stage.pools(job) == ["east", "west"], "it stays there"
    assert stage.store.recount().problems == ()
    assert [engine.fences.get(job.id) for engine in stage.engines.values()] == [2, 2]


@pytest.mark.parametrize(
    ("why", "given", "links"),
    [
        ("no checkpoint, and not idempotent", {"checkpoint": None}, LINKS),
        ("no price of the way", {}, ()),
        ("residency", {"residency": Residency(allowed=("US",))}, LINKS),
        ("carrying it costs more than the price saves", {"checkpoint": SAVES.model_copy(update={"gib": 1e5})}, LINKS),
    ],
)
def test_r14_work_stays_where_it_may_not_or_need_not_move(why: str, given: dict[str, Any], links: Any) -> None:
    stage = Moving(links=links)
    job = running(stage, **given)
    stage.price("beta", "west", 0.5)
    stage.looks(30, 60.0)
    assert stage.pools(job) == ["east"], why
    assert stage.job(job).status == "RUNNING"


def test_r14_a_move_whose_target_vanished_resumes_at_the_best_place() -> None:
    stage = Moving(rules=RunRules(move_after_seconds=10.0))
    job = running(stage)
    stage.price("beta", "west", 0.5)
    stage.looks(8, 5.0)
    west, now = stage.engines["beta"], stage.clock.now()
    west.faults.dark.append(("beta/west", now, now + timedelta(days=1)))
    west.darken("beta/west")
    stage.looks(40, 5.0)
    runs = stage.store.runs(job.id)
    assert runs[0].moving_to == "west"
    assert (runs[-1].pool, runs[-1].status) == ("east", "RUNNING")
    assert runs[-1].resume_from is not None


def test_r14_room_for_what_moves_is_kept() -> None:
    """While the run leaves, its place in the west is promised; what is new waits for the east."""
    stage = Moving(
        sites=[replace(EAST, machines=1), replace(WEST, machines=1)], rules=RunRules(move_after_seconds=10.0)
    )
    job = running(stage)
    stage.price("beta", "west", 0.5)
    stage.until(job, "RUNNING")
    for _ in range(60):
        stage.look(1.0)
        if any(run.status == "TERMINATING" for run in stage.store.runs(job.id)):
            break
    (new,) = stage.submit(task("new", seconds=40_000))
    stage.looks(40)
    assert stage.pools(job) == ["east", "west"]
    assert stage.pools(new) == ["east"]


def test_r12_the_way_of_a_checkpoint_is_part_of_the_choice() -> None:
    """The west costs less an hour, but not as much less as it costs to bring 30 TiB there."""
    sites = [replace(EAST, usd_per_hour=2.2), replace(EAST, pool="other", machines=1), replace(WEST, usd_per_hour=2.1)]
    for gib, then in ((30.0, "west"), (30_000.0, "east")):
        stage = Moving(sites=sites)
        checkpoint = SAVES.model_copy(update={"gib": gib})
        rules = {"checkpoint": checkpoint, "value_usd_per_hour": 100.0}
        (job,) = stage.submit(task(seconds=40_000, placement=rules, max_usd_per_hour=17.7))
        stage.looks(100, 1.0)
        assert stage.pools(job) == ["other"]
        stage.store.cordon("other")
        engine = stage.engines["alpha"]
        engine._preempt(engine.bodies[f"{job.id}-1"])
        stage.looks(20, 1.0)
        assert stage.pools(job) == ["other", then]
        (_, run) = stage.store.runs(job.id)
        assert run.resume_usd == pytest.approx(0.0 if then == "east" else 3.0)


def test_r12_work_without_a_stated_worth_recovers_elsewhere_and_stops_nobody() -> None:
    stage = Moving(sites=[replace(EAST, machines=1), replace(WEST, machines=1)])
    job = running(stage)
    (other,) = stage.submit(task("other", seconds=40_000, placement={"checkpoint": SAVES}))
    stage.looks(60, 2.0)
    assert stage.pools(other) == ["west"]
    engine, now = stage.engines["alpha"], stage.clock.now()
    engine.faults.sold_out.append(("east", now, now + timedelta(days=1)))
    engine._preempt(engine.bodies[f"{job.id}-1"])
    stage.looks(60, 5.0)
    assert stage.job(other).status == "RUNNING"
    stage.store.request_cancel([other.id])
    stage.looks(60, 5.0)
    assert stage.pools(job)[-1] == "west"


def test_checkpoints_that_cannot_be_read_hold_up_their_own_job_only() -> None:
    stage = Moving()
    job = running(stage)
    assert stage.disk is not None
    stage.disk.fails = 1.0
    engine = stage.engines["alpha"]
    engine._preempt(engine.bodies[f"{job.id}-1"])
    (plain,) = stage.submit(task("plain"))
    stage.looks(10)
    assert stage.job(plain).status == "RUNNING"
    assert len(stage.store.runs(job.id)) == 1
    assert "the disk of checkpoints does not answer" in stage.job(job).message
    stage.disk.fails = 0.0
    stage.looks(10)
    assert len(stage.store.runs(job.id)) == 2


# --- Copies

CORPUS = Dataset(id="corpus", home="alpha/east", size_gib=20.0)


def reader(stage: Stage, **given: Any) -> Job:
    rules = {"data": ("corpus",), "value_usd_per_hour": 100.0} | given
    return stage.submit(task(placement=rules, choice={"vendor": "beta"}))[0]


@pytest.mark.parametrize("faults", [{}, {"lost_answer": 0.6}, {"forgotten": 0.6}, {"lost_call": 0.6}])
def test_r13_a_copy_is_charged_once_whatever_is_lost(faults: dict[str, float]) -> None:
    stage = Moving(datasets=(CORPUS,))
    assert stage.copier is not None
    stage.copier.chance = rng(1, "copies").random
    stage.copier.faults = CopyFaults(**faults)
    jobs = [reader(stage), reader(stage)]
    for job in jobs:
        assert stage.until(job, "SUCCEEDED", seconds=3.0).status == "SUCCEEDED"
    (copy,) = stage.store.copies().values()
    assert (copy.status, copy.charged_usd) == ("DONE", pytest.approx(2.0))
    events = stage.store.events()
    assert [event.kind for event in events].count("Copied") == 1
    there = next(event.number for event in events if event.kind == "Copied")
    assert all(event.number > there for event in events if event.kind == "Placed")
    assert stage.store.recount().problems == ()


def test_r13_a_copy_that_fails_waits_longer_each_time() -> None:
    stage = Moving(datasets=(CORPUS,))
    assert stage.copier is not None
    stage.copier.faults = CopyFaults(failed=1.0)
    job = reader(stage)
    stage.looks(200, 2.0)
    (copy,) = stage.store.copies().values()
    assert (copy.status == "DONE", copy.failures > 2, copy.charged_usd) == (False, True, None)
    assert "the line broke" in stage.job(job).message
    stage.copier.calm()
    assert stage.until(job, "SUCCEEDED", seconds=5.0)


def test_r13_work_without_a_stated_worth_waits_where_its_data_lies() -> None:
    stage = Moving(sites=[replace(EAST, machines=1), WEST], datasets=(CORPUS,))
    (busy,) = stage.submit(task("busy", seconds=300))
    stage.looks(10)
    (job,) = stage.submit(task("cheap", placement={"data": ("corpus",)}))
    stage.looks(20)
    assert stage.store.copies() == {}
    assert stage.job(job).status == "PENDING"
    stage.until(job, "SUCCEEDED", seconds=5.0)
    assert stage.pools(job) == ["east"]
    assert stage.job(busy).status == "SUCCEEDED"


def test_r13_data_is_not_copied_to_where_it_may_not_lie() -> None:
    stage = Moving(datasets=(CORPUS.model_copy(update={"jurisdictions": ("US",)}),))
    job = reader(stage)
    stage.looks(30)
    assert (stage.store.copies(), stage.job(job).status) == ({}, "PENDING")


def test_without_a_copier_the_job_says_so() -> None:
    stage = Moving(datasets=(CORPUS,))
    stage.copier = None
    stage.control = stage.replica("one")
    job = reader(stage)
    stage.looks(3)
    assert stage.job(job).reason == "WaitingForData"
    assert "nobody is told to copy" in stage.job(job).message


# --- A look that takes longer than the lease


class Slow(Control):
    """Its placement takes three leases; `heart` is what goes on beside it."""

    heart: Any = staticmethod(lambda: None)

    def _place(self, now, done):  # type: ignore[no-untyped-def]
        for _ in range(9):
            self.clock.forward(self.rules.lease_seconds / 3)  # type: ignore[attr-defined]
            self.heart()
        super()._place(now, done)


def slow_look(*, beats: bool) -> tuple[Stage, Job, Control, Any]:
    stage = Stage()
    (job,) = stage.submit(task(seconds=40_000))
    slow = stage.replica("slow", Slow)
    other = stage.replica("other")
    assert isinstance(slow, Slow)
    service = Service(slow)
    service.threads.shutdown()
    slow.spread = stage.control.spread

    def heart() -> None:
        if beats:
            answers = iter([False, True])
            service.beat_until(lambda seconds: next(answers))
        other.lead = stage.store.lease(LEAD, "other", stage.rules.lease_seconds, other.lead) or other.lead

    slow.heart = heart
    return stage, job, slow, service


def test_a_look_that_takes_longer_than_its_lease_keeps_the_lead() -> None:
    stage, job, slow, service = slow_look(beats=True)
    assert slow.look().outcome.placed == 1
    assert service.health.beats == 9
    assert stage.pools(job) == ["east"]


def test_without_a_heartbeat_it_would_lose_the_lead() -> None:
    _, _, slow, _ = slow_look(beats=False)
    with pytest.raises(Exception, match="is no longer held"):
        slow.look()


def test_a_look_that_never_ends_lets_its_leases_go() -> None:
    stage = Stage(rules=RunRules(longest_look_seconds=50.0))
    control = stage.control
    assert not control.beat(), "between looks the next one takes them itself"
    control.looking_since = stage.clock.monotonic_seconds()
    assert control.beat()
    stage.clock.forward(51.0)
    assert not control.beat()


def test_a_heartbeat_takes_nothing() -> None:
    stage = Stage()
    stage.look()
    lead = stage.control.lead
    assert lead is not None
    assert stage.store.prolong(lead, "one", ["alpha"], 10.0)
    stage.clock.forward(1000.0)
    assert not stage.store.prolong(lead, "one", ["alpha"], 10.0), "what ran out is not held again"
    newer = stage.store.lease(LEAD, "one", 10.0)
    assert newer is not None
    assert newer.epoch == lead.epoch + 1
    assert not stage.store.prolong(lead, "one", ["alpha"], 10.0), "nor what one of the same name took anew"


def test_stops_for_others_need_a_task_that_may_go_on() -> None:
    """Work that is not tried again after an interruption would fail by our own doing."""
    stage = Moving()
    (job,) = stage.submit(
        task(
            seconds=40_000,
            placement={"checkpoint": SAVES},
            recovery={"on_events": ("no-capacity",)},
        )
    )
    stage.looks(12)
    stage.price("beta", "west", 0.1)
    stage.looks(30, 60.0)
    assert (stage.pools(job), stage.job(job).status) == (["east"], "RUNNING")


def test_runs_of_earlier_versions_fold_without_what_they_did_not_know() -> None:
    """Their events lack the columns that came later; the migration left these empty."""
    stage = Stage()
    (job,) = stage.submit(task(seconds=20))
    stage.until(job, "SUCCEEDED")
    with stage.store.engine.begin() as connection:
        for number, body in connection.execute(sa.select(t.events.c.number, t.events.c.body)).all():
            run = {name: value for name, value in body.get("run", {}).items() if name not in LATER_RUN_COLUMNS}
            older = body | ({"run": run} if "run" in body else {})
            connection.execute(sa.update(t.events).where(t.events.c.number == number).values(body=older))
    assert stage.store.recount().problems == ()

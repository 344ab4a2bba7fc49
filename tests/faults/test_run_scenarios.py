"""Three failures that users of other systems report most, each shown on a careless loop and shown absent in ours."""

from __future__ import annotations

from datetime import timedelta

import pytest
from tests.support.control import EAST, REGIONS, WEST, Stage, task

from argosy.control import loop
from argosy.control.loop import Control
from argosy.model.job import Job
from argosy.run.decide import Case, Sight, Verdict
from argosy.run.driver import Observation
from argosy.simulate.promises import Broken, Promises


def stage_with(control: type[Control]) -> Stage:
    stage = Stage([EAST, WEST])
    stage.control = stage.replica("one", control)
    return stage


def live(stage: Stage, job: Job, seconds: float) -> None:
    """Let time pass, with every promise checked after every look."""
    promises = Promises(stage.store, list(stage.engines.values()), stage.rules, REGIONS)
    for _ in range(int(seconds / 2)):
        promises.before(stage.control)
        stage.look(2.0)
        promises.check()
        if stage.job(job).status in ("SUCCEEDED", "FAILED", "CANCELLED"):
            break


def running(stage: Stage, seconds: float = 60, **rules: object) -> Job:
    (job,) = stage.submit(task(seconds=seconds, placement={"unreachable_grace_seconds": 30.0, **rules}))
    stage.looks(10)
    assert stage.job(job).status == "RUNNING"
    assert stage.pools(job) == ["east"]
    return job


# --- Failover stays in the failed region


class NoMemory(Control):
    """Forgets where work failed."""

    def _place(self, now, done):  # type: ignore[no-untyped-def]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(loop, "avoided", lambda *_: frozenset())
            super()._place(now, done)


def a_region_sells_out(control: type[Control]) -> tuple[Stage, Job]:
    stage = stage_with(control)
    job = running(stage)
    east, now = stage.engines["alpha"], stage.clock.now()
    east.faults.sold_out.append(("east", now, now + timedelta(days=1)))
    east.darken("alpha/east")
    live(stage, job, 200)
    return stage, job


def test_failover_leaves_the_region_that_failed() -> None:
    stage, job = a_region_sells_out(Control)
    assert stage.job(job).status == "SUCCEEDED"
    assert stage.pools(job)[-1] == "west"
    assert stage.pools(job).count("east") <= 2, "once more where it is cheapest, and never again while it is sold out"


def test_failover_that_stays_in_the_failed_region_is_caught() -> None:
    with pytest.raises(Broken, match=r"I7: .* went back to east while west had room"):
        a_region_sells_out(NoMemory)


# --- Finished work runs again after a partition


class NoRecord(Control):
    """Believes what it sees: out of sight and past the grace time is gone, and what is gone runs again."""

    def _fenced(self, case: Case, verdict: Verdict) -> Verdict | None:
        return verdict


def a_partition_while_it_finishes(control: type[Control]) -> tuple[Stage, Job]:
    stage = stage_with(control)
    job = running(stage)
    east, now = stage.engines["alpha"], stage.clock.now()
    east.faults.unreachable.append((now, now + timedelta(seconds=120)))
    live(stage, job, 400)
    return stage, job


def test_finished_work_does_not_run_again_after_a_partition() -> None:
    stage, job = a_partition_while_it_finishes(Control)
    assert stage.job(job).status == "SUCCEEDED"
    assert stage.pools(job) == ["east"]
    assert [commit.run for engine in stage.engines.values() for commit in engine.ledger] == [f"{job.id}-1"]


def test_finished_work_that_runs_again_is_caught() -> None:
    with pytest.raises(Broken, match=r"I1: .* was finished by .*-1, and has run 2"):
        a_partition_while_it_finishes(NoRecord)


# --- Unreachable is treated as dead


def hasty(case: Case, sight: Sight) -> Verdict:
    """What is not seen is dead."""
    gone = Observation(run=case.run.id, seen="ended", node_failed=True, message="did not answer")
    return JUDGE(case, sight if sight.observation is not None else Sight(gone))


JUDGE = loop.judge


class Hasty(NoRecord):
    def _watch(self, runs, now, done):  # type: ignore[no-untyped-def]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(loop, "judge", hasty)
            super()._watch(runs, now, done)


def heartbeats_are_lost(control: type[Control]) -> tuple[Stage, Job]:
    stage = stage_with(control)
    job = running(stage, seconds=100)
    east, now = stage.engines["alpha"], stage.clock.now()
    east.faults.unreachable.append((now, now + timedelta(seconds=20)))
    live(stage, job, 400)
    return stage, job


def test_what_is_unreachable_is_not_dead() -> None:
    stage, job = heartbeats_are_lost(Control)
    assert stage.job(job).status == "SUCCEEDED"
    assert stage.pools(job) == ["east"], "it ran on, and nothing was started beside it"
    assert [event.kind for event in stage.store.events(job=job.id)].count("Unreachable") == 1


def test_unreachable_that_is_treated_as_dead_is_caught() -> None:
    with pytest.raises(Broken, match="I1"):
        heartbeats_are_lost(Hasty)

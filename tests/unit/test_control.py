"""The control loop on engines that do what they are told: where work goes, when it moves, and who waits for whom."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from tests.support.control import EAST, REGIONS, RULES, WEST, Stage, task

from argosy.control.service import Service
from argosy.control.world import ControlWorld
from argosy.errors import StartRefused
from argosy.model.dataset import Dataset
from argosy.model.load import Residency
from argosy.model.region import Region
from argosy.model.task import Checkpoint, Choice, Recovery

ONE = [replace(EAST, machines=1)]
TWO = [replace(EAST, machines=1), replace(WEST, machines=1)]
STOPPABLE = {"checkpoint": Checkpoint(prefix="s3://b/c")}


def test_work_goes_to_the_cheapest_place_and_ends() -> None:
    stage = Stage()
    (job,) = stage.submit(task())
    assert stage.until(job, "SUCCEEDED").exit_code == 0
    assert stage.pools(job) == ["east"]
    assert stage.store.recount().problems == ()


def test_what_finds_no_room_waits_and_is_told_what_is_missing() -> None:
    stage = Stage(TWO)
    jobs = stage.submit(*[task(f"n{i}") for i in range(3)])
    stage.looks(5)
    waiting = [stage.job(job) for job in jobs if stage.job(job).status == "PENDING"]
    assert [job.reason for job in waiting] == ["InsufficientCapacity"]
    assert stage.until(waiting[0], "SUCCEEDED").status == "SUCCEEDED"


def test_spot_capacity_is_used_by_work_that_asks_for_it() -> None:
    stage = Stage([replace(EAST, spot=True)])
    (job,) = stage.submit(task(choice={"spot": True}))
    assert stage.until(job, "SUCCEEDED").status == "SUCCEEDED"


def test_any_of_takes_the_cheapest_and_ordered_the_first() -> None:
    choices = (Choice(silicon="h100", accelerators=8, region="beta/west"), Choice(silicon="h100", accelerators=8))
    stage = Stage()
    any_of, ordered = stage.submit(task("any", choices=choices), task("ordered", choices=choices, ordered=True))
    stage.looks(2)
    assert (stage.pools(any_of), stage.pools(ordered)) == (["east"], ["west"])


def test_a_price_limit_keeps_out_of_dear_places() -> None:
    stage = Stage([WEST])
    (job,) = stage.submit(task(max_usd_per_hour=20.0))
    stage.looks(3)
    assert (stage.job(job).status, stage.job(job).reason) == ("PENDING", "NoMatchingPool")
    assert "has 1 x 8 h100 at a known price of up to 20 USD an hour; there is west" in stage.job(job).message


def test_the_price_of_the_plan_goes_before_the_engines() -> None:
    stage = Stage(world=ControlWorld(regions=REGIONS, prices={"east": 9.0}))
    (job,) = stage.submit(task())
    stage.looks(2)
    assert stage.pools(job) == ["west"]


def test_dearer_work_goes_first() -> None:
    stage = Stage(ONE)
    cheap, dear = stage.submit(
        task("cheap", placement={"value_usd_per_hour": 20}), task("dear", placement={"value_usd_per_hour": 90})
    )
    stage.looks(2)
    assert [stage.job(job).status for job in (cheap, dear)] == ["PENDING", "STARTING"]


def test_priority_decides_among_equals() -> None:
    stage = Stage(ONE)
    low, high = stage.submit(task("low"), task("high", priority=10))
    stage.looks(2)
    assert [stage.job(job).status for job in (low, high)] == ["PENDING", "STARTING"]


def test_one_run_is_stopped_for_dearer_work_and_never_a_second() -> None:
    """Stopping takes time; meanwhile each look sees that the room is on its way."""
    stage = Stage([replace(EAST, machines=2)])
    cheap = stage.submit(*[task(f"c{i}", seconds=4000, placement=STOPPABLE) for i in range(2)])
    stage.looks(12)
    (dear,) = stage.submit(task("dear", seconds=400, placement={"value_usd_per_hour": 500}))
    stage.looks(60)
    assert stage.job(dear).status == "RUNNING"
    assert sorted(stage.job(job).status for job in cheap) == ["RECOVERING", "RUNNING"]
    stage.looks(60)
    assert sum(len(stage.store.runs(job.id)) for job in cheap) == 2, "what was stopped must not stop others"
    assert stage.until(dear, "SUCCEEDED", seconds=20)
    stage.looks(20)
    assert all(stage.job(job).status == "RUNNING" for job in cheap)


def test_room_in_sum_is_no_room_and_the_next_place_is_taken() -> None:
    """Two machines with two free each hold no four; the dearer place does, and it must not wait for the cheaper."""
    stage = Stage([EAST, WEST])
    stage.submit(*[task(f"six{i}", accelerators=6, seconds=4000, choice={"vendor": "alpha"}) for i in range(2)])
    stage.looks(12)
    (four,) = stage.submit(task("four", accelerators=4))
    stage.looks(3)
    assert stage.pools(four) == ["west"]


def test_work_without_a_checkpoint_is_not_stopped() -> None:
    stage = Stage(ONE)
    (cheap,) = stage.submit(task("cheap", seconds=4000))
    stage.looks(12)
    (dear,) = stage.submit(task("dear", placement={"value_usd_per_hour": 500}))
    stage.looks(30)
    assert (stage.job(cheap).status, stage.job(dear).status) == ("RUNNING", "PENDING")


def test_a_drained_place_is_left_and_a_cordoned_one_is_not() -> None:
    stage = Stage()
    (job,) = stage.submit(task(seconds=4000))
    stage.looks(12)
    stage.store.cordon("alpha")
    stage.looks(5)
    assert stage.pools(job) == ["east"]
    stage.store.cordon("alpha", drain=True)
    stage.looks(60)
    assert stage.pools(job) == ["east", "west"]
    assert stage.store.runs(job.id)[0].status == "PREEMPTED"


def test_a_drained_machine_is_not_used_again() -> None:
    stage = Stage([EAST])
    (job,) = stage.submit(task(seconds=4000))
    stage.looks(12)
    (run,) = stage.store.runs(job.id)
    stage.store.cordon(run.nodes[0], drain=True)
    stage.looks(80)
    runs = stage.store.runs(job.id)
    assert len(runs) == 2
    assert runs[1].nodes
    assert runs[1].nodes != run.nodes


@pytest.mark.parametrize("looks", [0, 1, 2, 12])
def test_a_job_can_be_cancelled_at_any_time(looks: int) -> None:
    stage = Stage()
    (job,) = stage.submit(task(seconds=4000))
    stage.looks(looks)
    stage.store.request_cancel([job.id])
    ended = stage.until(job, "CANCELLED", seconds=5)
    assert ended.reason == "Cancelled"
    stage.looks(60, 5)
    assert [run for engine in stage.engines.values() for run in engine.billed()] == []
    assert stage.store.recount().problems == ()


def test_work_that_takes_too_long_is_stopped() -> None:
    stage = Stage()
    (job,) = stage.submit(task(seconds=4000, max_duration_seconds=50.0))
    ended = stage.until(job, "FAILED", seconds=5)
    assert (ended.reason, ended.message) == ("MaxDuration", "ran for more than 50 seconds")


@pytest.mark.parametrize(("restarts", "runs"), [(0, 1), (2, 3)])
def test_own_errors_are_retried_as_often_as_the_task_wants(restarts: int, runs: int) -> None:
    stage = Stage(work=lambda order: (5.0, 3))
    (job,) = stage.submit(task(recovery=Recovery(max_restarts_on_errors=restarts)))
    ended = stage.until(job, "FAILED")
    assert (ended.exit_code, len(stage.store.runs(job.id))) == (3, runs)


def test_attempts_wait_longer_each_time() -> None:
    stage = Stage(work=lambda order: (0.1, 3), rules=RULES.model_copy(update={"most_backoff_seconds": 100.0}))
    (job,) = stage.submit(task(recovery=Recovery(max_restarts_on_errors=4)))
    stage.until(job, "FAILED", seconds=0.5)
    made = [run.created_at for run in stage.store.runs(job.id)]
    waits = [(b - a).total_seconds() for a, b in pairwise(made)]
    assert waits == sorted(waits)
    assert waits[-1] > 2 * waits[0]


def test_a_gang_gets_all_its_machines_or_none() -> None:
    stage = Stage([EAST])
    small, gang = stage.submit(task("small", seconds=30), task("gang", nodes=2))
    stage.looks(12)
    assert sorted(stage.job(job).status for job in (small, gang)) == ["PENDING", "RUNNING"]
    stage.until(gang, "SUCCEEDED")
    (run,) = stage.store.runs(gang.id)
    assert len(set(run.nodes)) == 2


def test_one_machine_of_a_gang_is_replaced_while_the_others_go_on() -> None:
    stage = Stage([replace(EAST, machines=3)])
    (job,) = stage.submit(task(nodes=2, seconds=400, placement={"keep_healthy_nodes": True}))
    stage.looks(12)
    (before,) = stage.store.runs(job.id)
    engine = stage.engines["alpha"]
    engine._lose(engine.bodies[before.id], 1)
    stage.looks(10)
    (after,) = stage.store.runs(job.id)
    assert (after.status, after.nodes[0]) == ("RUNNING", before.nodes[0])
    assert after.nodes[1] not in before.nodes


def test_a_gang_moves_whole_where_a_machine_cannot_be_replaced() -> None:
    stage = Stage()
    (job,) = stage.submit(task(nodes=2, seconds=400, placement={"keep_healthy_nodes": True}))
    stage.looks(12)
    engine = stage.engines["alpha"]
    engine._lose(engine.bodies[f"{job.id}-1"], 1)
    stage.looks(60)
    assert stage.pools(job) == ["east", "west"]


def test_a_place_that_failed_is_avoided_while_another_has_room() -> None:
    stage = Stage()
    stage.store.apply([], owner="one", lease_seconds=1, fence=None)
    (job,) = stage.submit(task(seconds=4000))
    stage.looks(12)
    engine = stage.engines["alpha"]
    begin = stage.clock.now()
    engine.faults.sold_out.append(("east", begin, begin.replace(year=2027)))
    engine._preempt(engine.bodies[f"{job.id}-1"])
    stage.looks(40)
    assert stage.pools(job)[-1] == "west"


def test_a_place_that_failed_is_used_when_there_is_no_other() -> None:
    stage = Stage([EAST])
    (job,) = stage.submit(task(seconds=100))
    stage.looks(12)
    engine = stage.engines["alpha"]
    for _ in range(3):
        engine._preempt(engine.bodies[stage.store.runs(job.id)[-1].id])
        stage.looks(20)
    assert stage.until(job, "SUCCEEDED").status == "SUCCEEDED"


def test_the_only_machine_is_used_again_after_it_failed() -> None:
    """R9 for machines: a penalty makes a machine the last choice, never no choice."""
    stage = Stage(ONE, rules=RULES.model_copy(update={"penalty_half_life_seconds": 1e6}))
    (job,) = stage.submit(task(seconds=50))
    stage.looks(12)
    engine = stage.engines["alpha"]
    engine._lose(engine.bodies[f"{job.id}-1"])
    engine.broken.clear()
    assert stage.until(job, "SUCCEEDED").status == "SUCCEEDED"
    assert len(stage.store.runs(job.id)) == 2


@pytest.mark.parametrize("rule", [Residency(allowed=("US",)), Residency(denied=("DE",))], ids=["allowed", "denied"])
@pytest.mark.parametrize("whose", ["task", "world"])
def test_an_unknown_region_is_no_place_for_ruled_work(rule: Residency, whose: str) -> None:
    """Nobody knows where it is, so nobody knows that it is not where it must not be."""
    world = ControlWorld(residency=rule if whose == "world" else Residency())
    stage = Stage(world=world)
    (job,) = stage.submit(task(placement={"residency": rule} if whose == "task" else {}))
    stage.looks(5)
    assert stage.job(job).status == "PENDING"
    assert stage.pools(job) == []


def test_residency_holds_when_the_allowed_place_is_full() -> None:
    stage = Stage(TWO)
    jobs = stage.submit(*[task(f"n{i}", placement={"residency": Residency(allowed=("DE",))}) for i in range(3)])
    stage.until(jobs[-1], "SUCCEEDED", seconds=5)
    assert {pool for job in jobs for pool in stage.pools(job)} == {"west"}


def test_data_that_nobody_knows_holds_up_its_own_job_only() -> None:
    stage = Stage()
    lost, plain = stage.submit(task("lost", placement={"data": ("nowhere",)}), task("plain"))
    stage.looks(4)
    assert stage.job(lost).status == "PENDING"
    assert stage.job(lost).reason == "DataUnknown"
    assert stage.job(plain).status != "PENDING"


def test_data_without_a_way_holds_up_its_own_job_only() -> None:
    regions = REGIONS | {"gamma/x": Region(id="gamma/x", vendor="gamma", jurisdiction="US")}
    world = ControlWorld(regions=regions, datasets=(Dataset(id="d", home="gamma/x", size_gib=10),))
    stage = Stage(world=world)
    lost, plain = stage.submit(task("lost", placement={"data": ("d",)}), task("plain"))
    stage.looks(4)
    assert stage.job(lost).status == "PENDING"
    assert stage.job(lost).message
    assert stage.job(plain).status != "PENDING"


def test_data_draws_its_job_to_where_it_lies() -> None:
    world = ControlWorld(regions=REGIONS, datasets=(Dataset(id="d", home="beta/west", size_gib=1e6),))
    stage = Stage(world=world)
    (job,) = stage.submit(task(placement={"data": ("d",)}))
    stage.looks(4)
    assert stage.pools(job) == ["west"]


def test_a_deadline_does_not_stop_the_loop() -> None:
    stage = Stage()
    late, plain = stage.submit(task("late", placement={"deadline": stage.clock.now()}), task("plain"))
    stage.looks(4)
    assert stage.job(plain).status != "PENDING"
    assert stage.until(late, "SUCCEEDED", seconds=5)


def test_waiting_longer_than_the_task_wants_ends_it() -> None:
    stage = Stage()
    (job,) = stage.submit(task(choice={"region": "nowhere"}, recovery=Recovery(max_wait_seconds=30)))
    ended = stage.until(job, "FAILED")
    assert ended.reason == "MaxWait"


def test_ten_thousand_alike_jobs_are_one_ask() -> None:
    stage = Stage([replace(EAST, machines=4)])
    stage.submit(*[task("same", accelerators=1)] * 10_000)
    look = stage.look()
    assert look.outcome.placed == 32
    assert look.outcome.waiting == 10_000 - 32


def test_a_run_of_an_engine_that_is_gone_does_not_stop_the_loop() -> None:
    stage = Stage()
    (job,) = stage.submit(task(seconds=4000))
    stage.looks(12)
    del stage.engines["alpha"]
    stage.control = stage.replica("one")
    stage.looks(3)
    assert stage.job(job).status == "RUNNING"


def test_an_engine_that_queues_its_work_anew_is_taken_at_its_word() -> None:
    stage = Stage()
    (job,) = stage.submit(task(seconds=100))
    stage.looks(12)
    stage.engines["alpha"].bodies[f"{job.id}-1"].state = "queued"
    stage.looks(40)
    assert len(stage.store.runs(job.id)) == 2
    assert stage.store.recount().problems == ()


def test_a_refused_start_that_is_heard_later_can_do_nothing() -> None:
    """A replica stood still before it asked for the start; another was refused the same and placed the job anew."""
    stage = Stage()
    east = stage.engines["alpha"]
    begin = stage.clock.now()
    east.faults.sold_out.append(("east", begin, begin.replace(year=2027)))
    (job,) = stage.submit(task(seconds=50))
    orders = []
    start = east.start
    east.start = lambda order: (orders.append(order), start(order))[1]  # type: ignore[method-assign]
    stage.looks(12)
    assert stage.pools(job) == ["east", "west"]
    east.calm()
    with pytest.raises(StartRefused, match="past epoch"):
        start(orders[0])
    stage.until(job, "SUCCEEDED", seconds=5)
    assert [commit.run for engine in stage.engines.values() for commit in engine.ledger] == [f"{job.id}-2"]


def test_a_replica_that_stood_still_stops_nothing() -> None:
    """What it wants to stop it saw long ago; its change is discarded, and so is its stop."""
    stage = Stage(TWO)
    (job,) = stage.submit(task(seconds=400))
    stage.looks(12)
    old, new = stage.control, stage.replica("two")
    stage.store.cordon("alpha", drain=True)
    engine = stage.engines["alpha"]
    observe = engine.observe

    def stands_still(runs):  # type: ignore[no-untyped-def]
        seen = observe(runs)
        engine.observe = observe  # type: ignore[method-assign]
        stage.store.uncordon("alpha")
        stage.look(30, new)
        stage.store.cordon("alpha", drain=True)
        return seen

    engine.observe = stands_still  # type: ignore[method-assign]
    stage.look(1, old)
    stage.store.uncordon("alpha")
    for _ in range(100):
        stage.look(5, new)
    assert stage.job(job).status == "SUCCEEDED"
    assert len(stage.store.runs(job.id)) == 1


def test_a_service_outlives_a_decision_that_cannot_be_made() -> None:
    stage = Stage()
    lost, plain = stage.submit(task("lost", placement={"data": ("nowhere",)}), task("plain"))
    service = Service(stage.control)
    service._once()
    service._once()
    service.threads.shutdown()
    assert service.health.broken == ""
    assert stage.job(plain).status != "PENDING"
    assert stage.job(lost).status == "PENDING"

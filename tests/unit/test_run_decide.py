"""What follows from what was seen of a run: every branch as a row of a table, and the laws over all of them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.stores import BEGIN

from argosy.model.job import JOB_ENDS, JOB_STATUSES, RUN_ACTIVE, RUN_ENDS, ExitRecord, Job, Run
from argosy.model.task import PlacementRules, Recovery, Task
from argosy.run.decide import Case, Sight, Verdict, judge, leave, refused, started
from argosy.run.driver import NodeSeen, Observation
from argosy.run.ladder import WEIGHTS, Failure, after_failure, avoided, node_location, weight
from argosy.run.rules import RunRules
from argosy.store.change import illegal, stamped

RULES = RunRules(record_grace_seconds=20, start_seconds=900)
ENDED_BY_ENGINE = ("ended", "absent")


def case(status: str = "RUNNING", *, cancel: bool = False, ago: float = 1000.0, **given: Any) -> Case:
    now = BEGIN + timedelta(seconds=ago)
    run: dict[str, Any] = {"status": status, "nodes": ("n0", "n1") if status == "RUNNING" else ()}
    run |= {"started_at": BEGIN if status in ("RUNNING", "UNREACHABLE", "TERMINATING") else None}
    run |= given.pop("run", {})
    if "since" in given:
        run["unreachable_since"] = now - timedelta(seconds=given.pop("since"))
    status_of_job = given.pop("job", "RUNNING")
    job = Job(
        id="j", project="p", name="n", task_hash="h", epoch=1, run="j-1", cancel=cancel, created_at=BEGIN,
        changed_at=BEGIN, status="CANCELLING" if cancel else status_of_job, errors=given.pop("errors", 0),
    )  # fmt: skip
    made = Run(
        id="j-1", job="j", epoch=1, driver="d", pool="a", vendor="v", region="v/r", token="t", lease_owner="o",
        lease_expires_at=now, created_at=BEGIN, **run,
    )  # fmt: skip
    task = Task(
        name="n",
        recovery=Recovery(**given.pop("recovery", {})),
        max_duration_seconds=given.pop("longest", None),
        placement=PlacementRules(**given),
    )
    return Case(job, made, task, {}, now, RULES)


def record(code: int = 0, *, epoch: int = 1, superseded: bool = False) -> ExitRecord:
    return ExitRecord(job="j", run="j-1", epoch=epoch, exit_code=code, finished_at=BEGIN, superseded=superseded)


def seen(state: str, *, lost: tuple[int, ...] = (), **given: Any) -> Observation:
    nodes = tuple(NodeSeen(rank=r, node=f"n{r}", state="lost" if r in lost else "running") for r in range(2))
    return Observation(run="j-1", seen=state, nodes=nodes if state == "running" else (), **given)  # type: ignore[arg-type]


NO_ANSWER = Sight(None, None, "timed out")
AWAITED = {"reason": "RecordAwaited"}
KEEP = {"keep_healthy_nodes": True}
TABLE: dict[str, tuple[Case, Sight, tuple[str | None, str | None, str | None, bool, bool]]] = {
    # what: case, sight, (run's status, job's status, reason, fence, stop); None: unchanged
    "success": (case(), Sight(seen("ended"), record()), ("SUCCEEDED", "SUCCEEDED", "Completed", False, False)),
    "success while leaving": (
        case("TERMINATING"),
        Sight(seen("ended"), record()),
        ("SUCCEEDED", "SUCCEEDED", "Completed", False, False),
    ),
    "success though cancelled": (
        case(cancel=True),
        Sight(None, record()),
        ("SUCCEEDED", "SUCCEEDED", "Completed", False, False),
    ),
    "success though preempted": (
        case(),
        Sight(seen("ended", preempted=True), record()),
        ("SUCCEEDED", "SUCCEEDED", "Completed", False, False),
    ),
    "own error": (case(), Sight(seen("ended"), record(3)), ("FAILED", "FAILED", "ExitCode", False, False)),
    "over its time limit": (
        case(),
        Sight(seen("ended", ended_by="time-limit"), record(143)),
        ("FAILED", "FAILED", "TimeLimit", False, False),
    ),
    "over its time limit, restarts left": (
        case(recovery={"max_restarts_on_errors": 1}),
        Sight(seen("ended", ended_by="time-limit"), record(143)),
        ("FAILED", "RECOVERING", "TimeLimit", True, False),
    ),
    "done at its time limit": (
        case(),
        Sight(seen("ended", ended_by="time-limit"), record()),
        ("SUCCEEDED", "SUCCEEDED", "Completed", False, False),
    ),
    "out of memory, its record may come": (
        case(),
        Sight(seen("ended", ended_by="out-of-memory", exit_code=137)),
        (None, None, "RecordAwaited", False, False),
    ),
    "out of memory": (
        case(run=AWAITED, since=30),
        Sight(seen("ended", ended_by="out-of-memory", exit_code=137)),
        ("FAILED", "FAILED", "OutOfMemory", False, False),
    ),
    "cancelled by an operator of the engine": (
        case(),
        Sight(seen("ended", ended_by="operator"), record(143)),
        ("CANCELLED", "CANCELLED", "CancelledOnEngine", False, False),
    ),
    "cancelled by an operator, without a record": (
        case(run=AWAITED, since=30),
        Sight(seen("ended", ended_by="operator")),
        ("CANCELLED", "CANCELLED", "CancelledOnEngine", False, False),
    ),
    "own error, restarts left": (
        case(recovery={"max_restarts_on_errors": 1}),
        Sight(seen("ended"), record(3)),
        ("FAILED", "RECOVERING", "ExitCode", True, False),
    ),
    "own error, no restarts left": (
        case(errors=1, recovery={"max_restarts_on_errors": 1}),
        Sight(seen("ended"), record(3)),
        ("FAILED", "FAILED", "ExitCode", False, False),
    ),
    "own error, excused": (
        case(errors=9, recovery={"exit_codes": (3,)}),
        Sight(seen("ended"), record(3)),
        ("FAILED", "RECOVERING", "ExitCode", True, False),
    ),
    "own error, the task restarts on errors": (
        case(errors=50, recovery={"on_events": ("error",)}),
        Sight(seen("ended"), record(3)),
        ("FAILED", "RECOVERING", "ExitCode", True, False),
    ),
    "failed because it was preempted": (
        case(),
        Sight(seen("ended", preempted=True), record(137)),
        ("PREEMPTED", "RECOVERING", "Preempted", True, False),
    ),
    "record of another epoch": (
        case(),
        Sight(seen("running"), record(0, epoch=7)),
        (None, None, None, False, False),
    ),
    "superseded record": (
        case(),
        Sight(seen("ended"), record(0, superseded=True)),
        (None, None, "RecordAwaited", False, False),
    ),
    "out of sight": (case(), NO_ANSWER, ("UNREACHABLE", None, "EngineUnreachable", False, False)),
    "out of sight within the grace time": (case("UNREACHABLE", since=10), NO_ANSWER, (None,) * 3 + (False, False)),
    "out of sight for too long": (
        case("UNREACHABLE", since=301),
        NO_ANSWER,
        ("EXPIRED", "RECOVERING", "Unreachable", True, False),
    ),
    "out of sight for too long, waits": (
        case("UNREACHABLE", since=9000, on_unreachable="wait"),
        NO_ANSWER,
        (None, None, None, False, False),
    ),
    "out of sight for too long, two copies do no harm": (
        case("UNREACHABLE", since=301, on_unreachable="replace-now", idempotent=True),
        NO_ANSWER,
        ("EXPIRED", "RECOVERING", "Unreachable", False, False),
    ),
    "out of sight for too long, hasty but not idempotent": (
        case("UNREACHABLE", since=301, on_unreachable="replace-now"),
        NO_ANSWER,
        ("EXPIRED", "RECOVERING", "Unreachable", True, False),
    ),
    "out of sight, cancelled": (
        case("UNREACHABLE", cancel=True, since=301),
        NO_ANSWER,
        ("EXPIRED", "CANCELLED", "Unreachable", True, False),
    ),
    "leaving, out of sight": (case("TERMINATING"), NO_ANSWER, (None, None, None, False, False)),
    "leaving, seen again": (
        case("TERMINATING", since=100),
        Sight(seen("running")),
        (None, None, None, False, True),
    ),
    "leaving": (case("TERMINATING"), Sight(seen("running")), (None, None, None, False, True)),
    "left, cancelled": (
        case("TERMINATING", cancel=True),
        Sight(seen("absent")),
        ("CANCELLED", "CANCELLED", "Cancelled", False, False),
    ),
    "left, too long": (
        case("TERMINATING", run={"reason": "MaxDuration"}),
        Sight(seen("ended"), record(143)),
        ("FAILED", "FAILED", "MaxDuration", False, False),
    ),
    "left, never started": (
        case("TERMINATING", run={"reason": "NotStarted", "started_at": None}),
        Sight(seen("absent")),
        ("RETURNED", "RECOVERING", "NotStarted", True, False),
    ),
    "left, for dearer work": (
        case("TERMINATING", run={"reason": "Preempted"}),
        Sight(seen("ended"), record(143)),
        ("PREEMPTED", "RECOVERING", "Preempted", True, False),
    ),
    "left, a machine failed": (
        case("TERMINATING", run={"reason": "NodeFailed", "message": "lost n1", "nodes": ("n0", "n1")}),
        Sight(seen("absent")),
        ("EXPIRED", "RECOVERING", "NodeFailed", True, False),
    ),
    "cancelled": (case(cancel=True), Sight(seen("running")), ("TERMINATING", None, "Cancelled", False, True)),
    "never began and is not known": (
        case("PROVISIONING"),
        Sight(seen("absent")),
        ("EXPIRED", "RECOVERING", "Vanished", True, False),
    ),
    "began and is not known any more": (case(), Sight(seen("absent")), (None, None, "RecordAwaited", False, False)),
    "not known any more for long": (
        case(run=AWAITED, since=21),
        Sight(seen("absent")),
        ("EXPIRED", "RECOVERING", "Vanished", True, False),
    ),
    "ended, no record yet": (case(), Sight(seen("ended")), (None, None, "RecordAwaited", False, False)),
    "ended, no record yet, was out of sight": (
        case("UNREACHABLE", since=200),
        Sight(seen("ended")),
        (None, None, "RecordAwaited", False, False),
    ),
    "ended, no record, waiting": (case(run=AWAITED, since=5), Sight(seen("ended")), (None,) * 3 + (False, False)),
    "ended, no record": (
        case(run=AWAITED, since=21),
        Sight(seen("ended")),
        ("EXPIRED", "RECOVERING", "NoRecord", True, False),
    ),
    "preempted": (
        case(),
        Sight(seen("ended", preempted=True)),
        ("PREEMPTED", "RECOVERING", "Preempted", True, False),
    ),
    "preempted, and the task does not want another": (
        case(recovery={"on_events": ()}),
        Sight(seen("ended", preempted=True)),
        ("PREEMPTED", "FAILED", "Preempted", True, False),
    ),
    "machine failed": (
        case(),
        Sight(seen("ended", node_failed=True)),
        ("EXPIRED", "RECOVERING", "NodeFailed", True, False),
    ),
    "queued": (
        case("PROVISIONING", ago=9),
        Sight(seen("queued", message="x")),
        ("PROVISIONING", None, "Queued", False, False),
    ),
    "queued as before": (case("PROVISIONING", ago=9), Sight(seen("queued")), (None, None, None, False, False)),
    "queued for too long": (
        case("PROVISIONING", ago=901),
        Sight(seen("queued")),
        ("TERMINATING", None, "NotStarted", False, True),
    ),
    "queued again after it ran": (case(), Sight(seen("queued")), ("TERMINATING", None, "Preempted", False, True)),
    "runs": (
        case("PROVISIONING", job="STARTING"),
        Sight(seen("running")),
        ("RUNNING", "RUNNING", "Running", False, False),
    ),
    "runs as before": (case(), Sight(seen("running")), (None, None, None, False, False)),
    "runs, seen again": (
        case("UNREACHABLE", since=50),
        Sight(seen("running")),
        ("RUNNING", "RUNNING", "Running", False, False),
    ),
    "runs for too long": (
        case(longest=999.0),
        Sight(seen("running")),
        ("TERMINATING", None, "MaxDuration", False, True),
    ),
    "one of a gang lost": (
        case(),
        Sight(seen("running", lost=(1,))),
        ("TERMINATING", None, "NodeFailed", False, True),
    ),
    "all of a gang lost": (
        case(**KEEP),
        Sight(seen("running", lost=(0, 1))),
        ("TERMINATING", None, "NodeFailed", False, True),
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", TABLE)
def test_each_branch(what: str) -> None:
    here, sight, (run, job, reason, fence, stop) = TABLE[what]
    verdict = judge(here, sight)
    fields = verdict.change.run_fields if verdict.change else {}
    ends = verdict.change.job_fields if verdict.change else {}
    assert (fields.get("status"), ends.get("status"), fields.get("reason")) == (run, job, reason)
    assert (verdict.fence, verdict.stop) == (fence, stop)


def test_one_machine_is_replaced_where_the_task_allows_it() -> None:
    assert judge(case(**KEEP), Sight(seen("running", lost=(1,)))) == Verdict(replace_rank=1)


def test_who_is_blamed() -> None:
    """A lost machine alone; all of a run's machines when none is named; the region when the engine is mute."""
    lost = case("TERMINATING", run={"reason": "NodeFailed", "message": "lost n1", "nodes": ("n0", "n1")})
    change = judge(lost, Sight(seen("absent"))).change
    assert change is not None
    assert dict(change.penalties) == {"node:a/n1": 1.0, "pool:a": 0.1}
    mute = judge(case("UNREACHABLE", since=301), NO_ANSWER).change
    assert mute is not None
    assert dict(mute.penalties) == {"pool:a": 1.0, "region:v/r": 1.0, "vendor:v": 0.1}


def test_words_of_a_run_on_its_way_out_are_kept_while_it_is_out_of_sight() -> None:
    change = judge(case("TERMINATING", run={"message": "lost n1"}), NO_ANSWER).change
    assert change is not None
    assert "message" not in change.run_fields


@pytest.mark.parametrize(
    ("reason", "retryable", "cancel", "events", "status", "job", "fence"),
    [
        ("NoCapacity", True, False, None, "RETURNED", "RECOVERING", True),
        ("NoCapacity", True, False, (), "RETURNED", "FAILED", True),
        ("NoCapacity", True, True, None, "RETURNED", "CANCELLED", False),
        ("TooLarge", False, False, None, "RETURNED", "RECOVERING", True),
        ("TooLarge", False, False, (), "RETURNED", "FAILED", False),
        ("Superseded", False, False, None, "RETURNED", "RECOVERING", True),
        ("Superseded", False, True, None, "RETURNED", "CANCELLED", False),
    ],
)
def test_refusals(  # noqa: PLR0917
    reason: str, retryable: bool, cancel: bool, events: tuple[str, ...] | None, status: str, job: str, fence: bool
) -> None:
    rule = {} if events is None else {"recovery": {"on_events": events}}
    verdict = refused(case("LEASED", cancel=cancel, job="STARTING", **rule), reason, "no", retryable=retryable)
    assert verdict.change is not None
    assert (verdict.change.run_fields["status"], verdict.change.job_fields["status"]) == (status, job)
    assert verdict.fence == fence


def test_starting_and_leaving() -> None:
    assert started(case("RUNNING")) == Verdict()
    change = started(case("LEASED")).change
    assert change is not None
    assert change.run_fields["status"] == "PROVISIONING"
    assert leave(case("TERMINATING"), "Drained", "x") == Verdict(stop=True)


@pytest.mark.parametrize("tries", [1, 10, 1025, 1_000_000])
def test_waits_between_attempts_have_an_end(tries: int) -> None:
    rule = {"recovery": {"on_events": ("error",)}}
    change = judge(case(errors=tries - 1, **rule), Sight(seen("ended"), record(3))).change
    assert change is not None
    wait = (change.job_fields["not_before"] - case().now).total_seconds()
    assert wait == min(2.0 * 2.0 ** min(tries - 1, 60), 300.0)


# --- Laws

REASONS = ["Running", "RecordAwaited", "Preempted", "NodeFailed", "MaxDuration", "NotStarted"]
CASES = st.builds(
    case,
    st.sampled_from(sorted(RUN_ACTIVE - {"LEASED"})),
    cancel=st.booleans(),
    ago=st.sampled_from([1.0, 100.0, 901.0, 10_000.0]),
    since=st.sampled_from([0.0, 19.0, 21.0, 301.0]),
    run=st.fixed_dictionaries(
        {
            "reason": st.sampled_from(
                ["Running", "RecordAwaited", "Preempted", "NodeFailed", "MaxDuration", "NotStarted"]
            )
        },
        optional={"started_at": st.sampled_from([None, BEGIN]), "nodes": st.sampled_from([(), ("n0",), ("n0", "n1")])},
    ),
    job=st.sampled_from(["STARTING", "RUNNING", "RECOVERING"]),
    errors=st.integers(0, 3),
    longest=st.sampled_from([None, 50.0]),
    recovery=st.fixed_dictionaries(
        {},
        optional={
            "max_restarts_on_errors": st.integers(0, 2),
            "on_events": st.sampled_from([(), ("interruption",), ("no-capacity",), ("error",)]),
            "max_wait_seconds": st.just(30.0),
            "eager_next_region": st.booleans(),
        },
    ),
    on_unreachable=st.sampled_from(["wait", "fence-then-replace", "replace-now"]),
    idempotent=st.booleans(),
    keep_healthy_nodes=st.booleans(),
)
SIGHTS = st.builds(
    Sight,
    st.none()
    | st.builds(
        seen,
        st.sampled_from(["queued", "running", "ended", "absent"]),
        lost=st.sampled_from([(), (0,), (1,), (0, 1)]),
        preempted=st.booleans(),
        node_failed=st.booleans(),
        exit_code=st.sampled_from([None, 0, 1]),
        ended_by=st.sampled_from([None, "time-limit", "out-of-memory", "operator"]),
    ),
    st.none()
    | st.builds(record, st.sampled_from([0, 1, 143]), epoch=st.sampled_from([1, 2]), superseded=st.booleans()),
)


def after(here: Case, verdict: Verdict) -> tuple[Job, Run]:
    assert verdict.change is not None
    job = here.job.model_copy(update=stamped(verdict.change.job_fields, here.now, here.job))
    return job, here.run.model_copy(update=dict(verdict.change.run_fields))


@given(CASES, SIGHTS)
def test_only_steps_that_exist_are_taken(here: Case, sight: Sight) -> None:
    """R1, R2: whatever is seen in whatever state."""
    verdict = judge(here, sight)
    if verdict.change is not None:
        job, run = after(here, verdict)
        assert illegal(here.job, job, here.run, run) is None
        if job.status in JOB_ENDS:
            assert run.status in RUN_ENDS
            assert verdict.change.drop_secrets
        if run.status in RUN_ENDS:
            assert job.run is None
            assert job.status in JOB_ENDS or job.status == "RECOVERING"


@given(CASES, SIGHTS)
def test_a_record_of_success_always_wins(here: Case, sight: Sight) -> None:
    """R5."""
    if (
        sight.record is not None
        and (sight.record.exit_code, sight.record.epoch) == (0, 1)
        and not sight.record.superseded
    ):
        job, run = after(here, judge(here, sight))
        assert (job.status, run.status) == ("SUCCEEDED", "SUCCEEDED")


@given(CASES, SIGHTS)
def test_success_needs_a_record(here: Case, sight: Sight) -> None:
    change = judge(here, sight).change
    if change is not None and change.job_fields.get("status") == "SUCCEEDED":
        assert sight.record is not None
        assert sight.record.exit_code == 0


@given(CASES, SIGHTS)
def test_unreachable_is_not_dead(here: Case, sight: Sight) -> None:
    """R6: out of sight, nothing ends before the grace time, and never by the word `wait` alone."""
    if sight.observation is not None or sight.record is not None:
        return
    change = judge(here, sight).change
    if change is None or change.run_fields.get("status") not in RUN_ENDS:
        return
    rules = here.task.placement
    assert here.run.unreachable_since is not None
    assert (here.now - here.run.unreachable_since).total_seconds() >= rules.unreachable_grace_seconds
    assert rules.on_unreachable != "wait" or here.job.cancel


@given(CASES, SIGHTS)
def test_a_fence_comes_before_any_further_run(here: Case, sight: Sight) -> None:
    """R7: unless its task says that two copies do no harm."""
    verdict = judge(here, sight)
    if verdict.change is not None and verdict.change.job_fields.get("status") == "RECOVERING":
        rules = here.task.placement
        assert verdict.fence or (rules.idempotent and rules.on_unreachable == "replace-now")


@given(CASES, SIGHTS)
def test_what_was_cancelled_never_gets_another_run(here: Case, sight: Sight) -> None:
    change = judge(here, sight).change
    if here.job.cancel and change is not None:
        assert change.job_fields.get("status") in (None, *JOB_ENDS)


# --- Ladder


@given(st.floats(0, 10), st.floats(0, 1e6), st.floats(0, 1e6))
def test_penalties_halve_in_each_half_life(start: float, age: float, more: float) -> None:
    """R8."""
    then = {"pool:a": (start, BEGIN)}
    rules = RunRules(penalty_half_life_seconds=60)
    now = weight(then, "pool:a", BEGIN + timedelta(seconds=age), rules)
    assert now == pytest.approx(start * 0.5 ** (age / 60), rel=1e-6, abs=1e-12)
    assert weight(then, "pool:a", BEGIN + timedelta(seconds=age + more), rules) <= now
    assert weight(then, "pool:a", BEGIN - timedelta(seconds=age), rules) == start
    assert weight(then, "pool:b", BEGIN, rules) == 0.0


@pytest.mark.parametrize("failure", WEIGHTS)
def test_failures_add_up_on_their_rungs(failure: Failure) -> None:
    """R8, R9."""
    here, then = case(), {"pool:a": (1.0, BEGIN)}
    rules = RunRules(penalty_half_life_seconds=1000)
    found = after_failure(failure, here.run, ("n0",), then, now=here.now, rules=rules)
    assert found["pool:a"] == pytest.approx(0.5 + WEIGHTS[failure]["pool"])
    names = {"node": node_location("a", "n0"), "pool": "pool:a", "region": "region:v/r", "vendor": "vendor:v"}
    assert set(found) == {names[rung] for rung in WEIGHTS[failure]}


def test_a_place_is_avoided_until_its_penalty_is_small() -> None:
    """R9."""
    rules = RunRules(penalty_half_life_seconds=60, avoid_fraction=0.25)
    penalties = {"pool:a": (1.0, BEGIN), "pool:b": (0.2, BEGIN)}
    assert avoided(penalties, BEGIN, rules) == {"pool:a"}
    assert avoided(penalties, BEGIN + timedelta(seconds=120), rules) == {"pool:a"}
    assert avoided(penalties, BEGIN + timedelta(seconds=121), rules) == frozenset()


def test_the_table_covers_every_state() -> None:
    assert {here.run.status for here, _, _ in TABLE.values()} == RUN_ACTIVE - {"LEASED"}
    assert set(JOB_STATUSES) >= JOB_ENDS

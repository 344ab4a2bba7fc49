"""Decide: what follows for one run from what was seen of it. Pure: nothing here touches an engine or the store.

R5  The exit record goes before everything: a run whose record says 0 is done, whatever the engine says of it now.
R6  Not seen is not ended. A run is given up only when the engine says that it is gone, when a fence keeps it from
    committing anything, or when its task says that two copies do no harm.
R7  Before a job gets another run, every older epoch is fenced, whatever ended the last one.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from argosy.model.job import ExitRecord, Job, Run
from argosy.model.task import Task
from argosy.run.driver import Observation
from argosy.run.ladder import Failure, Penalties, after_failure
from argosy.run.rules import RunRules
from argosy.store import Change


@dataclass(frozen=True, slots=True)
class Sight:
    """What could be seen of a run."""

    observation: Observation | None
    """The engine's answer; None when it could not be asked."""
    record: ExitRecord | None = None
    """Its exit record; None when there is none, or it could not be asked for."""
    message: str = ""
    """Why the engine could not be asked."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is to be done, in this order: fence, change, then stop or replace."""

    fence: bool = False
    """Whether older epochs must be fenced first; the change waits until that worked."""
    change: Change | None = None
    """What becomes of job and run."""
    stop: bool = False
    """Whether the engine is asked to stop the run, now and at each look until it is gone."""
    replace_rank: int | None = None
    """Rank whose machine is to be replaced while the others go on."""


@dataclass(frozen=True, slots=True)
class Case:
    """One run with all that a verdict depends on."""

    job: Job
    run: Run
    task: Task
    penalties: Penalties
    now: datetime
    rules: RunRules

    def change(
        self, kind: str, run_fields: dict[str, Any], job_fields: dict[str, Any] | None = None, **more: Any
    ) -> Change:
        """A change of this run and its job."""
        return Change(
            kind, self.job.id, self.job.version, job_fields or {}, self.run.id, self.run.token, run_fields, **more
        )

    def weigh(self, failure: Failure, nodes: tuple[str, ...] = ()) -> dict[str, float]:
        """Penalties after a failure of this run."""
        return after_failure(failure, self.run, nodes, self.penalties, now=self.now, rules=self.rules)


def judge(case: Case, sight: Sight) -> Verdict:
    """What follows from a sight of a run that the engine was asked to start."""
    record = sight.record
    if record is not None and record.epoch == case.run.epoch and not record.superseded:
        return _recorded(case, record, sight.observation)
    seen = sight.observation
    if seen is None:
        return _unseen(case, sight.message)
    if case.run.status == "TERMINATING":
        return _leaving(case, seen)
    if case.job.cancel:
        return _leave(case, "Cancelled", "its end was asked for")
    if seen.seen == "absent":
        # What began may have ended and been forgotten; what never began has no record to wait for.
        wait = None if case.run.started_at is None else _await_record(case)
        return wait or _gone(case, seen, "Vanished", "the engine does not know it any more")
    if seen.seen == "ended":
        return _ended(case, seen)
    return _running(case, seen) if seen.seen == "running" else _queued(case, seen)


def refused(case: Case, reason: str, message: str, *, retryable: bool) -> Verdict:
    """The engine would not start it."""
    run_fields = {"status": "RETURNED", "reason": reason, "message": message}
    if reason == "Superseded" and not case.job.cancel:  # it was fenced, and whoever fenced it did not come further
        return Verdict(fence=True, change=_again(case, "Returned", run_fields, reason, {}))
    if case.job.cancel:
        return Verdict(
            change=case.change("Returned", run_fields, _end("CANCELLED", "Cancelled", None), drop_secrets=True)
        )
    if not retryable and "no-capacity" not in case.task.recovery.on_events:
        job_fields = _end("FAILED", reason, None) | {"message": message}
        return Verdict(change=case.change("Returned", run_fields, job_fields, drop_secrets=True))
    # Fenced although it was refused: a replica that stood still may yet ask for the same start, and be heard.
    return Verdict(fence=True, change=_again(case, "Returned", run_fields, reason, case.weigh("capacity")))


def started(case: Case) -> Verdict:
    """The engine took the order."""
    if case.run.status != "LEASED":
        return Verdict()
    return Verdict(change=case.change("Started", {"status": "PROVISIONING", "reason": "Started", "message": ""}))


def leave(case: Case, reason: str, message: str) -> Verdict:
    """Stop a run so that its job can be placed anew: for another's sake, or because its place is drained."""
    return _leave(case, reason, message)


def _recorded(case: Case, record: ExitRecord, seen: Observation | None) -> Verdict:
    """R5."""
    base: dict[str, Any] = {"exit_code": record.exit_code, "manifest_hash": record.manifest_hash}
    if record.exit_code == 0:
        run_fields = base | {"status": "SUCCEEDED", "reason": "Completed", "message": ""}
        job_fields = _end("SUCCEEDED", "Completed", 0)
        return Verdict(change=case.change("Succeeded", run_fields, job_fields, drop_secrets=True))
    if case.run.status == "TERMINATING" or case.job.cancel:
        return _left(case, base)
    if seen is not None and (seen.preempted or seen.node_failed):
        return _interrupted(case, seen, base)
    if seen is not None and seen.ended_by is not None:
        return _ended_by(case, seen, base)
    return _failed(case, record.exit_code, base, "ExitCode", f"exit code {record.exit_code}")


def _ended_by(case: Case, seen: Observation, base: dict[str, Any]) -> Verdict:
    """The engine ended it for what it did, or somebody did so through the engine: no place is to blame."""
    if seen.ended_by == "operator":  # what a person ended is not begun again behind their back
        fields = base | {"status": "CANCELLED", "reason": "CancelledOnEngine", "message": seen.message}
        end = _end("CANCELLED", "CancelledOnEngine", base.get("exit_code")) | {"message": seen.message}
        return Verdict(change=case.change("Cancelled", fields, end, drop_secrets=True))
    reason = "TimeLimit" if seen.ended_by == "time-limit" else "OutOfMemory"
    return _failed(case, base.get("exit_code"), base, reason, seen.message or reason)


def _failed(case: Case, code: int | None, base: dict[str, Any], reason: str, message: str) -> Verdict:
    """It ended by its own fault."""
    rule = case.task.recovery
    run_fields = base | {"status": "FAILED", "reason": reason, "message": message}
    excused = code in rule.exit_codes
    errors = case.job.errors + (0 if excused else 1)
    allowed = (
        rule.max_restarts_on_errors if "error" not in rule.on_events else max(rule.max_restarts_on_errors, 1_000_000)
    )
    if excused or errors <= allowed:
        change = _again(case, "Failed", run_fields, "RestartAfterError", {}, more={"errors": errors}, tries=errors)
        return Verdict(fence=True, change=change)
    job_fields = _end("FAILED", reason, code) | {"message": message, "errors": errors}
    return Verdict(change=case.change("Failed", run_fields, job_fields, drop_secrets=True))


def _interrupted(case: Case, seen: Observation, base: dict[str, Any]) -> Verdict:
    """Its place failed under it."""
    lost = tuple(node.node for node in seen.nodes if node.state == "lost")
    if seen.preempted:
        failure: Failure = "preempted_eager" if case.task.recovery.eager_next_region else "preempted"
        fields = base | {"status": "PREEMPTED", "reason": "Preempted", "message": seen.message}
        change = _again(case, "Preempted", fields, "Preempted", case.weigh(failure))
    else:
        message = f"lost {', '.join(lost)}" if lost else seen.message or "lost a machine"
        fields = base | {"status": "EXPIRED", "reason": "NodeFailed", "message": message}
        change = _again(case, "NodeFailed", fields, "NodeFailed", case.weigh("node", lost or case.run.nodes))
    return Verdict(fence=True, change=change)


def _unseen(case: Case, message: str) -> Verdict:
    """R6."""
    run, placement = case.run, case.task.placement
    since = run.unreachable_since
    if run.status not in ("UNREACHABLE", "TERMINATING"):
        fields = {"status": "UNREACHABLE", "reason": "EngineUnreachable", "message": message}
        return Verdict(change=case.change("Unreachable", fields | {"unreachable_since": case.now}))
    if since is None:
        return Verdict(change=case.change("Unreachable", {"unreachable_since": case.now}, note={"error": message}))
    if case.now - since < timedelta(seconds=placement.unreachable_grace_seconds):
        return Verdict()
    if placement.on_unreachable == "wait" and not case.job.cancel:
        return Verdict()
    fence = not (placement.on_unreachable == "replace-now" and placement.idempotent)
    fields = {"status": "EXPIRED", "reason": "Unreachable", "message": "out of sight for longer than the grace time"}
    if case.job.cancel:
        end = _end("CANCELLED", "CancelledUnconfirmed", None) | {
            "message": "its engine was out of sight; nothing confirms its end"
        }
        return Verdict(fence=fence, change=case.change("Expired", fields, end, drop_secrets=True))
    change = _again(case, "Expired", fields, "Unreachable", case.weigh("unreachable"))
    return Verdict(fence=fence, change=change)


def _leave(case: Case, reason: str, message: str) -> Verdict:
    if case.run.status == "TERMINATING":
        return Verdict(stop=True)
    fields = {"status": "TERMINATING", "reason": reason, "message": message}
    return Verdict(change=case.change("Stopping", fields), stop=True)


def _leaving(case: Case, seen: Observation) -> Verdict:
    """It was asked to stop."""
    if seen.seen in ("ended", "absent"):
        return _left(case, {"exit_code": seen.exit_code})
    if case.run.unreachable_since is not None:  # the grace time counts from the last time that it was seen
        return Verdict(change=case.change("SeenAgain", {"unreachable_since": None}), stop=True)
    return Verdict(stop=True)


def _left(case: Case, base: dict[str, Any]) -> Verdict:
    """It stopped because it was asked to."""
    run, reason = case.run, case.run.reason if case.run.status == "TERMINATING" else "Cancelled"
    if case.job.cancel:
        fields = base | {"status": "CANCELLED", "reason": "Cancelled", "message": ""}
        end = _end("CANCELLED", "Cancelled", base.get("exit_code"))
        return Verdict(change=case.change("Cancelled", fields, end, drop_secrets=True))
    if reason == "MaxDuration":
        fields = base | {"status": "FAILED", "reason": reason, "message": run.message}
        end = _end("FAILED", reason, base.get("exit_code")) | {"message": run.message}
        return Verdict(change=case.change("Failed", fields, end, drop_secrets=True))
    if reason == "NotStarted":
        fields = base | {"status": "RETURNED", "reason": reason, "message": run.message}
        return Verdict(fence=True, change=_again(case, "Returned", fields, reason, case.weigh("capacity")))
    status = "PREEMPTED" if reason in ("Preempted", "Drained", "Moved") else "EXPIRED"
    fields = base | {"status": status, "reason": reason, "message": run.message}
    weights = case.weigh("node", _blamed(run)) if reason == "NodeFailed" else {}
    return Verdict(fence=True, change=_again(case, reason, fields, reason, weights))


def _ended(case: Case, seen: Observation) -> Verdict:
    """The engine says that it ended, and there is no record (yet)."""
    if seen.preempted or seen.node_failed:
        return _interrupted(case, seen, {"exit_code": seen.exit_code})
    if seen.ended_by is not None:  # a record may be on its way, and what it says goes first
        return _await_record(case) or _ended_by(case, seen, {"exit_code": seen.exit_code})
    return _await_record(case) or _gone(case, seen, "NoRecord", seen.message or "it ended without an exit record")


def _await_record(case: Case) -> Verdict | None:
    """Wait for a record that may be on its way: disks may be late. None once the time for that is over.

    The wait begins when the end is first seen; time out of sight before that does not count.
    """
    since = case.run.unreachable_since
    if since is None or case.run.reason != "RecordAwaited":
        fields = {"reason": "RecordAwaited", "message": "ended; waiting for its exit record"}
        return Verdict(change=case.change("RecordAwaited", fields | {"unreachable_since": case.now}))
    if case.now - since < timedelta(seconds=case.rules.record_grace_seconds):
        return Verdict()
    return None


def _gone(case: Case, seen: Observation, reason: str, message: str) -> Verdict:
    """The engine confirms that it is gone, and nothing says how it ended: an explicit unknown."""
    fields = {"status": "EXPIRED", "reason": reason, "message": message, "exit_code": seen.exit_code}
    weights = case.weigh("vanished", case.run.nodes)
    return Verdict(fence=True, change=_again(case, "Expired", fields, reason, weights))


def _queued(case: Case, seen: Observation) -> Verdict:
    run = case.run
    if run.started_at is not None:  # an engine that queues work anew would run it beside what it did before
        return _leave(case, "Preempted", seen.message or "the engine took it away and queued it again")
    if case.now - run.created_at > timedelta(seconds=case.rules.start_seconds):
        return _leave(case, "NotStarted", f"queued for more than {case.rules.start_seconds:g} seconds")
    if run.status == "PROVISIONING" and run.message == seen.message and run.unreachable_since is None:
        return Verdict()
    fields = {"status": "PROVISIONING", "reason": "Queued", "message": seen.message, "unreachable_since": None}
    return Verdict(change=case.change("Queued", fields))


def _running(case: Case, seen: Observation) -> Verdict:
    run = case.run
    lost = [node for node in seen.nodes if node.state == "lost"]
    if lost:
        if case.task.placement.keep_healthy_nodes and len(lost) < len(seen.nodes):
            return Verdict(replace_rank=lost[0].rank)
        names = ", ".join(node.node for node in lost)
        return _leave(case, "NodeFailed", f"lost {names}")
    longest = case.task.max_duration_seconds
    if longest is not None and run.started_at and case.now - run.started_at > timedelta(seconds=longest):
        return _leave(case, "MaxDuration", f"ran for more than {longest:g} seconds")
    nodes = tuple(node.node for node in seen.nodes)
    if run.status == "RUNNING" and run.nodes == nodes and run.unreachable_since is None:
        return Verdict()
    fields: dict[str, Any] = {"status": "RUNNING", "reason": "Running", "message": "", "unreachable_since": None}
    fields |= {"nodes": nodes, "started_at": run.started_at or case.now}
    job_fields = {"status": "RUNNING", "reason": "Running", "message": ""}
    return Verdict(change=case.change("Running", fields, job_fields))


def _end(status: str, reason: str, code: int | None) -> dict[str, Any]:
    return {"status": status, "reason": reason, "message": "", "exit_code": code, "run": None, "not_before": None}


def _again(
    case: Case,
    kind: str,
    run_fields: dict[str, Any],
    reason: str,
    penalties: dict[str, float],
    *,
    more: dict[str, Any] | None = None,
    tries: int = 0,
) -> Change:
    """The run ended and the job gets another, or, where its task does not want that, ends too."""
    message = str(run_fields["message"])
    rule = case.task.recovery
    event = "no-capacity" if run_fields["status"] == "RETURNED" else "interruption"
    waited = (case.now - case.job.created_at).total_seconds()
    over = rule.max_wait_seconds is not None and case.run.started_at is None and waited > rule.max_wait_seconds
    if (event not in rule.on_events and not tries) or over:
        why = f"{message}; no further attempt: " + (
            "waited too long" if over else f"the task does not retry on {event}"
        )
        end = _end("FAILED", reason, run_fields.get("exit_code")) | {"message": why}
        return case.change(kind, run_fields, end | (more or {}), penalties=penalties, drop_secrets=True)
    tries = tries or (0 if case.run.started_at is not None else case.run.epoch)
    wait = case.rules.backoff_seconds(tries)
    fields = {
        "status": "RECOVERING",
        "reason": reason,
        "message": message,
        "run": None,
        "not_before": case.now + timedelta(seconds=wait) if wait else None,
    }
    return case.change(kind, run_fields, fields | (more or {}), penalties=penalties)


def _blamed(run: Run) -> tuple[str, ...]:
    """Machines that the message of a run on its way out speaks of; all of them when it names none."""
    named = tuple(node for node in run.nodes if node in run.message.removeprefix("lost ").split(", "))
    return named or run.nodes

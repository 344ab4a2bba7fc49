"""Copies: orders of data carried out as steps that survive a crash between any two of them (R13).

ORDERED -> COPYING -> DONE, or back to ORDERED with a wait that doubles. Each step is one guarded change under the
lead; only then is the copier told. What a copier has forgotten is begun again; what it finished is charged once, with
the step to DONE, which is made once because it names the version of the copy that it was decided on.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from argosy.control.world import ControlWorld
from argosy.errors import OutsideError
from argosy.model.copy import Copy, copy_id
from argosy.model.placement import Transfer
from argosy.model.snapshot import Replica
from argosy.run.copier import Copier, Progress
from argosy.run.rules import RunRules
from argosy.store import AnyStore, CopyChange, Lease

FAILING = 3
"""Failures in a row after which another way is looked for while the copy rests."""


def order(store: AnyStore, step: Transfer, world: ControlWorld, *, decision: str, now: datetime, fence: Lease) -> bool:
    """Order a copy, unless it was ordered. False when the data may not lie there or somebody else was first."""
    if not world.data_may_lie(step.dataset, step.to_region):
        return False
    copy = Copy(
        id=copy_id(step.dataset, step.to_region),
        dataset=step.dataset,
        from_region=step.from_region,
        to_region=step.to_region,
        gib=step.gib,
        usd=step.usd,
        hours=step.hours,
        readers=step.readers,
        decision=decision,
        ordered_at=now,
    )
    return store.change_copies([CopyChange("CopyOrdered", copy, 0)], fence=fence)[0]


def carry_out(
    store: AnyStore, copier: Copier, copies: Mapping[str, Copy], *, rules: RunRules, now: datetime, fence: Lease
) -> int:
    """One step for every copy that is not done; how many changed. OutsideError of a copier leaves its copy as it is."""
    changed = 0
    for copy in copies.values():
        if copy.status == "DONE":
            continue
        try:
            change, begin = _next(copy, copier, rules, now)
            if change is None:
                continue
            (done,) = store.change_copies([change], fence=fence)
            changed += done
            if done and begin:
                copier.begin(change.copy)
        except OutsideError as error:
            if str(error) != copy.message:
                told = copy.model_copy(update={"message": str(error)})
                changed += sum(store.change_copies([CopyChange("CopyWaits", told, copy.version)], fence=fence))
    return changed


def _next(copy: Copy, copier: Copier, rules: RunRules, now: datetime) -> tuple[CopyChange | None, bool]:
    """The next step of a copy, and whether the copier is to begin after it."""

    def step(kind: str, **fields: Any) -> CopyChange:
        return CopyChange(kind, copy.model_copy(update=fields), copy.version)

    if copy.status == "ORDERED" and copy.not_before is not None and copy.not_before > now:
        return None, False
    progress: Progress = copier.look(copy)
    if progress.state == "done":  # also where an attempt was given up and came through after all
        fields = {"charged_usd": copy.usd, "checksum": progress.checksum, "message": "", "failures": 0}
        return step("Copied", status="DONE", finished_at=now, not_before=None, **fields), False
    if progress.state == "copying":
        return None, False
    if progress.state == "failed" and copy.status == "COPYING":
        failures = copy.failures + 1
        later = now + timedelta(seconds=rules.backoff_seconds(failures))
        return step(
            "CopyFailed", status="ORDERED", failures=failures, message=progress.message, not_before=later
        ), False
    soon = timedelta(seconds=rules.backoff_seconds(copy.attempts))
    if copy.status == "COPYING" and copy.started_at is not None and now < copy.started_at + soon:
        return None, False  # forgotten so soon: perhaps it did not hear of it yet, perhaps it forgets everything
    begun: dict[str, Any] = {"attempts": copy.attempts + 1, "started_at": now, "not_before": None}
    return step("CopyStarted", status="COPYING", **begun), True


def at_hand(world: ControlWorld, copies: Mapping[str, Copy]) -> tuple[Replica, ...]:
    """Replicas that were written down, and those that were copied since."""
    done = [Replica(dataset=c.dataset, region=c.to_region) for c in copies.values() if c.status == "DONE"]
    known = {(replica.dataset, replica.region) for replica in world.replicas}
    return (*world.replicas, *(row for row in done if (row.dataset, row.region) not in known))


def words(copy: Copy, now: datetime) -> str:
    """How far a copy is, for people."""
    way = f"{copy.dataset} is being copied from {copy.from_region} to {copy.to_region}"
    amount = f"{copy.gib:g} GiB, {copy.usd:,.2f} USD, {copy.hours:.3g} h by the link"
    last = f"; attempt {copy.attempts}" if copy.attempts > 1 else ""
    failed = f"; failed {copy.failures} times: {copy.message}" if copy.failures else ""
    failed = failed or (f"; {copy.message}" if copy.message else "")
    later = f"; again at {copy.not_before.isoformat()}" if copy.not_before is not None and copy.not_before > now else ""
    return f"{way} ({amount}{last}{failed}{later})"

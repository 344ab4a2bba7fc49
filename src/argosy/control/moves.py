"""Moves: where work that runs could go, so that `place` may ask whether it should (R14).

A run may move once it has run for a while, where it can go on from a checkpoint, to places that its task accepts, that
are not avoided, have room on machines, hold its data, and have a priced way for its checkpoint. Whether it pays is for
change control in `place` to say (P3.1).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from argosy.control.asks import WayOut, can_go_on, is_paced, rungs_of
from argosy.control.fleet import Fleet, need_of
from argosy.control.resumes import Find
from argosy.control.world import ControlWorld
from argosy.errors import OutsideError
from argosy.model.job import Job, Run
from argosy.model.task import Task
from argosy.run.ladder import locations
from argosy.run.rules import RunRules


def ways_out(
    running: Mapping[str, tuple[Task, Run, Job]],
    *,
    fleet: Fleet,
    world: ControlWorld,
    avoid: frozenset[str],
    find: Find,
    rules: RunRules,
    now: datetime,
) -> dict[str, WayOut]:
    """Of those runs that may move now, where to and with how much. Whose checkpoints cannot be read stays."""
    found = {}
    for name, (task, run, job) in running.items():
        ran = 0.0 if run.started_at is None else (now - run.started_at).total_seconds()
        if run.status != "RUNNING" or ran < rules.move_after_seconds or job.cancel or not can_go_on(task):
            continue
        pools = _others(task, run, fleet, world, avoid)
        if not pools:
            continue
        gib, saved_at = 0.0, None
        checkpoint = task.placement.checkpoint
        if checkpoint is not None:
            gib = checkpoint.gib
            try:
                newest = find(task, job.id, run.epoch, ())
            except OutsideError:
                continue
            if newest is not None:
                gib, saved_at = newest.gib, newest.at if newest.epoch == run.epoch else run.started_at
        pools = [pool for pool in pools if _carriable(world, run.region, fleet.pools[pool].pool.region, gib)]
        if pools:
            found[name] = WayOut(tuple(pools), gib, saved_at)
    return found


def _others(task: Task, run: Run, fleet: Fleet, world: ControlWorld, avoid: frozenset[str]) -> list[str]:
    """Pools other than its own that would do for as many accelerators, and have room on machines.

    Of ordered choices none that comes after its own: placed anew it would go back to the earlier one, again and again.
    The choices of work that has a pace to keep (P5.15) are not ordered.
    """
    ordered = task.ordered and not is_paced(task)
    need = need_of(task, task.choices[run.choice])
    found = []
    for rung in rungs_of(task, fleet, avoid, frozenset(world.regions), world):
        if abs(rung.amount - need.amount) > 1e-9:
            continue
        for name in rung.pools:
            pool = fleet.pools[name]
            bad = avoid & set(locations(name, pool.pool.vendor, pool.pool.region).values())
            closed = pool.cordoned or bad or name == run.pool or rung.needs[name] != need
            closed = closed or (ordered and rung.choice[name] > run.choice)
            if not closed and world.has_data(task.placement.data, pool.pool.region) and pool.fits(need):
                found.append(name)
    return found


def _carriable(world: ControlWorld, start: str, end: str, gib: float) -> bool:
    """Whether the checkpoint has a way there; one of unknown size stays within its region."""
    return start == end or (gib > 0 and not isinstance(world.carried(start, end, gib), str))

"""Asks: jobs as `place` sees them.

Jobs that differ in nothing that placement looks at are one ask with a count, so ten thousand alike cost as much as
one. A job that accepts several sets of resources, or whose better places carry penalties, goes down a list of rungs:
what finds no room on one rung is asked for again on the next, with what is left.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from argosy.control.fleet import CORES, Fleet, Need, need_of
from argosy.control.pace import LEAST_HOURS, amounts
from argosy.control.resumes import Resume
from argosy.control.world import ControlWorld
from argosy.model.job import Run
from argosy.model.routes import Carried
from argosy.model.snapshot import PlaceAsk, Snapshot
from argosy.model.task import Task
from argosy.run.driver import EnginePool
from argosy.run.ladder import locations

FAMILY = "any"
WINDOW_HOURS: float = Snapshot.model_fields["window_hours"].default
WORTH_MARGIN = 1e-3
"""By how much work that does not say its worth is worth more than the dearest accelerator-hour it may use."""
START_MARGIN_HOURS = 0.05
"""What P3.1 asks of a move beside its start, in hours of a window, and the least that work is reckoned to take."""


@dataclass(frozen=True, slots=True)
class Rung:
    """One way in which a job may be placed."""

    pools: tuple[str, ...]
    amount: float
    choice: Mapping[str, int]
    """Pool to the position of the choice that allows it."""
    needs: Mapping[str, Need]
    """Pool to what each node takes there."""


@dataclass(frozen=True, slots=True)
class WayOut:
    """Where work that runs could move."""

    pools: tuple[str, ...]
    """Pools that have room for it now, other than its own."""
    gib: float
    """Size of what it would carry."""
    saved_at: datetime | None
    """When its newest checkpoint was complete; None: there is none."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far work with a deadline is (R15)."""

    kept_hours: float
    """Work that need not be done again."""
    elapsed_hours: float
    """Time since it was submitted."""
    changeover_hours: float
    """What a start may take."""


def is_paced(task: Task) -> bool:
    """Whether P5.15 can decide for a task: how long it works and until when is known, and it may use spot or not."""
    rules = task.placement
    known = rules.deadline is not None and rules.work_hours is not None and can_go_on(task)
    return known and len({choice.spot for choice in task.choices}) > 1


def rungs_of(
    task: Task, fleet: Fleet, avoid: frozenset[str], places: frozenset[str], world: ControlWorld
) -> tuple[Rung, ...]:
    """R9: rungs from the best: not avoided before avoided, then the task's own order, then cheaper pools first.

    `places` are regions whose jurisdiction is known; work under a residency rule, its own or the one for all work,
    goes nowhere else. Work that reads data goes where the data lies or a way for it has a price. Of work that has a
    pace to keep (P5.15) the order of its choices does not count, as what decides is how far it is; and spot that is
    avoided comes after all else: a refusal speaks against the region, and spot that keeps refusing is no spot.
    """
    ruled = any(rule.allowed or rule.denied for rule in (task.placement.residency, world.residency))
    paced = is_paced(task)
    ordered = task.ordered and not paced
    found: list[tuple[int, int, float, list[str], Mapping[str, tuple[int, Need]]]] = []
    grouped: dict[tuple[int, int, float], dict[str, tuple[int, Need]]] = {}
    for position, choice in enumerate(task.choices):
        need = need_of(task, choice)
        for name in fleet.candidates(choice, need):
            engine = fleet.pools[name].pool
            if ruled and engine.region not in places:
                continue
            if not world.data_can_be_in(task.placement.data, engine.region):
                continue
            if task.max_usd_per_hour is not None:
                hourly = engine.usd_per_hour
                if hourly is None or hourly * need.amount > task.max_usd_per_hour + 1e-9:
                    continue
            bad = int(bool(avoid & set(locations(engine.id, engine.vendor, engine.region).values())))
            bad += int(bad and paced and engine.spot)
            key = (bad, position if ordered else 0, need.amount)
            grouped.setdefault(key, {}).setdefault(name, (position, need))
    for (bad, order, amount), members in grouped.items():
        found.append((bad, order, amount, sorted(members), members))

    def price(item: tuple[int, int, float, list[str], Mapping[str, tuple[int, Need]]]) -> float:
        return min((fleet.pools[name].pool.usd_per_hour or 0.0) * item[2] for name in item[3])

    found.sort(key=lambda item: (item[0], item[1], price(item), item[3]))
    return tuple(
        Rung(
            pools=tuple(names),
            amount=amount,
            choice={name: members[name][0] for name in names},
            needs={name: members[name][1] for name in names},
        )
        for _, _, amount, names, members in found
    )


def waiting_ask(
    name: str,
    task: Task,
    rung: Rung,
    pools: Sequence[str],
    count: int,
    *,
    fleet: Fleet,
    now: datetime,
    may_preempt: bool,
    resume: Resume | None = None,
    world: ControlWorld | None = None,
    progress: Progress | None = None,
    away: Sequence[str] = (),
) -> PlaceAsk:
    """The ask for waiting jobs of one shape in those pools of one rung.

    With `progress` it keeps its pace (P5.15); `away` are pools of the snapshot that stand for spot which it may only
    hope for.

    Work pays for carrying its checkpoint and for copying its data. Where it does not say its worth, it is worth what
    its dearest place takes, or it could go nowhere; for that it stops nobody.
    """
    extra = {pool: _carrying(task, fleet.pools[pool].pool, rung.amount, resume, world) for pool in pools}
    dearest = max((_useful_price(task, fleet, pool) + extra[pool] for pool in pools), default=0.0)
    common = _common(task, fleet, pools, now)
    if progress is not None:
        common |= _paced(task, rung.amount, progress, common["deadline_hours"])
        common["spot_goodput_fraction"] = task.spot_goodput_fraction
        dearest *= _with_starts(task, progress)
    return PlaceAsk(
        id=name,
        count=count,
        accelerators=rung.amount,
        allowed_pools=(*pools, *away),
        usd_per_unit=worth(task, rung.amount, dearest),
        may_preempt=may_preempt and task.placement.value_usd_per_hour is not None,
        checkpoint_in=resume.region if resume is not None and resume.gib else None,
        checkpoint_gib=0.0 if resume is None else resume.gib or 0.0,
        **common,
    )


def _paced(task: Task, amount: float, progress: Progress, due_hours: float) -> dict[str, Any]:
    """R15: work and time of P5.15; without a deadline what is late, so that it runs all the same."""
    work = task.placement.work_hours
    assert work is not None
    left = max(work - progress.kept_hours, LEAST_HOURS)
    found = amounts(left, min(progress.kept_hours, work - LEAST_HOURS), due_hours, progress.elapsed_hours, amount)
    if found["remaining_units"] / amount + progress.changeover_hours > found["deadline_hours"]:
        return {"deadline_hours": None, "restart_hours": progress.changeover_hours}
    return {**found, "restart_hours": progress.changeover_hours}


def _with_starts(task: Task, progress: Progress) -> float:
    """By how much work that does not say its worth is worth more than its place: so that starts and moves pay."""
    work = task.placement.work_hours
    assert work is not None
    hours = min(max(work - progress.kept_hours, LEAST_HOURS), WINDOW_HOURS - progress.changeover_hours)
    return 1.0 + 2.0 * (progress.changeover_hours + START_MARGIN_HOURS) / max(hours, START_MARGIN_HOURS)


def _carrying(task: Task, pool: EnginePool, amount: float, resume: Resume | None, world: ControlWorld | None) -> float:
    """Price of bringing checkpoint and data to a pool, spread over the useful accelerator-hours of a window."""
    if world is None:
        return 0.0
    ways = [] if resume is None else [resume.carried(world, pool.region)]
    ways += [world.copied(name, pool.region) for name in task.placement.data]
    known = [way for way in ways if isinstance(way, Carried)]
    hours = max((way.hours for way in known), default=0.0)
    if hours >= WINDOW_HOURS:
        return 0.0
    goodput = max(task.spot_goodput_fraction, 1e-3) if pool.spot else 1.0
    return sum(way.usd for way in known) / (amount * goodput * (WINDOW_HOURS - hours))


def running_ask(
    name: str,
    task: Task,
    run: Run,
    need: Need,
    *,
    fleet: Fleet,
    now: datetime,
    way_out: WayOut | None = None,
    progress: Progress | None = None,
) -> PlaceAsk:
    """The ask for work that runs. It may be stopped for dearer work where it can go on from a checkpoint.

    With a way out it may also move. What is lost then is counted from its newest checkpoint where that was looked at,
    otherwise from what the task says. `progress` is that at its start; a restart then takes a changeover more.
    """
    rules = task.placement
    # The instant of the start is the one that a look had; another replica may be a little behind it.
    since = 0.0 if run.started_at is None else max(0.0, (now - run.started_at).total_seconds() / 3600)
    step = None if rules.checkpoint is None else rules.checkpoint.every_seconds
    lost = since if step is None else min(since, step / 3600)
    pools: tuple[str, ...] = (run.pool,)
    gib = 0.0
    if way_out is not None:
        pools, gib = (run.pool, *way_out.pools), way_out.gib
        lost = since if way_out.saved_at is None else min(since, (now - way_out.saved_at).total_seconds() / 3600)
    common = {**_common(task, fleet, pools, now), "restart_hours": round(max(0.0, lost), 2)}
    price = _useful_price(task, fleet, run.pool)
    if progress is not None and run.status == "RUNNING":
        here = replace(progress, kept_hours=progress.kept_hours + since)
        common |= _paced(task, need.amount, here, common["deadline_hours"])
        common["restart_hours"] += round(max(0.0, lost), 2)
        price = max(_useful_price(task, fleet, pool) for pool in pools) * _with_starts(task, here)
    return PlaceAsk(
        id=name,
        accelerators=need.amount,
        allowed_pools=pools,
        running_in=run.pool,
        preemptible=can_go_on(task) and run.status == "RUNNING",
        usd_per_unit=worth(task, need.amount, price),
        checkpoint_gib=gib,
        **common,
    )


def can_go_on(task: Task) -> bool:
    """Whether it may be stopped for a reason of ours: it goes on from a checkpoint, and gets another run."""
    rules = task.placement
    return (rules.checkpoint is not None or rules.idempotent) and "interruption" in task.recovery.on_events


def worth(task: Task, amount: float, dearest: float) -> float:
    """Worth of one accelerator-hour (core-hour) of a task: what it says, or a little more than its place costs."""
    said = task.placement.value_usd_per_hour
    if said is not None:
        return float(said) / amount
    return float((dearest + WORTH_MARGIN) * (1.0 + 1e-4 * task.priority))


def _useful_price(task: Task, fleet: Fleet, name: str) -> float:
    """What a useful accelerator-hour costs in a pool: on spot, time is paid for that is lost again."""
    pool = fleet.pools[name].pool
    return (pool.usd_per_hour or 0.0) / (max(task.spot_goodput_fraction, 1e-3) if pool.spot else 1.0)


def _common(task: Task, fleet: Fleet, pools: Sequence[str], now: datetime) -> dict[str, Any]:
    rules = task.placement
    spot = any(fleet.pools[name].pool.spot for name in pools)
    return {
        "speed": {fleet.pools[name].silicon: 1.0 for name in pools} or {CORES: 1.0},
        "families": (FAMILY,),
        "spot_goodput_fraction": task.spot_goodput_fraction if spot else None,
        "residency": rules.residency,
        "datasets": rules.data,
        "deadline_hours": _hours_to(rules.deadline, now),
    }


def _hours_to(deadline: datetime | None, now: datetime) -> float | None:
    if deadline is None:
        return None
    return max((deadline - now).total_seconds() / 3600, 1e-6)

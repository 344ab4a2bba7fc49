"""Waiting: how long work with a deadline may go on hoping for spot, before the program is built.

P5.14  Safety net of `place`. For each spot pool: what is left until the deadline when the work starts there, is driven
       off at once and then does all that remains on the firm pool that is best for it. Where that is less than the
       reserve, one changeover (a restart) and one look at least, the spot pool is masked. A firm pool counts if the
       work could run there now: nothing forbids it, it would be in time, it is worth its price, and there is room
       beside what cannot be stopped for it. Where no firm pool counts nothing is masked: to keep off spot would help
       nobody.
It holds for work with an end and a deadline that may be stopped, under objectives that place work whole. Pure: the
same world gives the same masks. `uniform` says when such work waits for spot.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from argosy.model.routes import GBIT_PER_GIB, link_between
from argosy.model.snapshot import PlaceAsk
from argosy.place.pace import may_hope, reserve_hours
from argosy.place.world import NONE, Bools, Floats, Slack, World

SMALL = 1e-9
LEAST_GAIN_USD = 1e-6


def keep_deadlines(world: World) -> World:
    """P5.14: the world without the spot pools that would put a deadline at risk."""
    if not world.integral:
        return world
    classes = [c for c in range(len(world.count)) if may_hope(world.ask(c))]
    spot = spot_pools(world)
    if not classes or not spot.any() or spot.all():
        return world
    held: dict[tuple[int, int], Slack] = {}
    busy = busy_accelerators(world)
    for c in classes:
        firm = np.flatnonzero(~spot & counting(world, c, busy)).tolist()
        for p in np.flatnonzero(spot & (world.rate[c] > 0)).tolist() if firm else []:
            most, _ = slack(world, c, p, firm)
            if most.hours < most.needed_hours - SMALL:
                held[c, p] = most
    return masked(world, {at: f"deadline: {slack_words(row)}" for at, row in held.items()}, held=held)


def spot_pools(world: World) -> Bools:
    """(P,) whether a pool is spot."""
    return np.array([pool.tier == "spot" for pool in world.snapshot.pools], dtype=np.bool_)


def busy_accelerators(world: World) -> tuple[Floats, Floats]:
    """(P,) accelerators of what runs and may not be stopped, and of all that runs; work that flows gives way."""
    fixed, runs = np.zeros(len(world.capacity)), np.zeros(len(world.capacity))
    for c in np.flatnonzero(world.running != NONE).tolist():
        if world.ask(c).units_per_hour is None:
            size = float(world.count[c] * world.accelerators[c])
            runs[world.running[c]] += size
            fixed[world.running[c]] += size if world.fixed[c] else 0.0
    return fixed, runs


def in_the_way(world: World, c: int, busy: tuple[Floats, Floats]) -> Floats:
    """(P,) accelerators that one ask of the class must leave alone; only a newcomer stops others (P1.E)."""
    return busy[0 if world.running[c] == NONE and world.ask(c).may_preempt else 1]


def counting(world: World, c: int, busy: tuple[Floats, Floats]) -> Bools:
    """(P,) pools where one ask of the class could run now and would gain."""
    room = world.accelerators[c] <= world.most - in_the_way(world, c, busy) + SMALL
    room |= np.arange(len(room)) == world.running[c]
    worth = world.gain[c] > LEAST_GAIN_USD if world.objective == "value" else True
    return np.asarray(world.fits[c] & room & worth)


def slack(world: World, c: int, p: int, firm: list[int]) -> tuple[Slack, int]:
    """What is left when the work starts in spot pool p and then needs the best of the firm pools, and which that is."""
    found = [(_slack(world, c, p, f), f) for f in firm]
    return max(found, key=lambda row: row[0].hours)


def _slack(world: World, c: int, p: int, f: int) -> Slack:
    ask, pools = world.ask(c), world.snapshot.pools
    assert ask.deadline_hours is not None
    assert ask.remaining_units is not None
    back = _carry_hours(world, ask, pools[p].region, pools[f].region)
    hours = -np.inf
    if back is not None:
        rate = float(world.rate[c, f])
        start = max(float(world.delay[c, f]), back + ask.restart_hours)
        hours = ask.deadline_hours - float(world.delay[c, p]) - start - ask.remaining_units / rate
        if world.running[c] == p:
            hours -= ask.starting_hours + ask.unsaved_units / rate
    reserve = reserve_hours(ask, world.snapshot.look_hours)
    return Slack(hours, reserve, "look" if reserve > ask.restart_hours else "changeover", pools[f].id)


def _carry_hours(world: World, ask: PlaceAsk, start: str, end: str) -> float | None:
    """Hours to bring the checkpoint back; None where no link says it, which makes the pool no way out."""
    if start == end or ask.checkpoint_gib == 0:
        return 0.0
    regions = {region.id: region for region in world.snapshot.regions}
    link = link_between(world.snapshot.links, regions[start], regions[end])
    if link is None:
        return None
    careful = world.snapshot.throughput_quantile == "p10"
    speed = link.p10_gbit_per_second if careful else link.p50_gbit_per_second
    return None if speed is None else ask.checkpoint_gib * GBIT_PER_GIB / speed / 3600


def masked(world: World, cells: Mapping[tuple[int, int], str], **more: Any) -> World:
    """The world without those cells, which have their obstacles in words, and with other fields replaced."""
    if not cells and not any(more.values()):
        return world
    names = ("rate", "delay", "gain", "move", "hourly", "once")
    arrays = {name: getattr(world, name).copy() for name in names}
    obstacle, needs = [list(row) for row in world.obstacle], [list(row) for row in world.needs]
    for (c, p), words in cells.items():
        for array in arrays.values():
            array[c, p] = 0.0
        obstacle[c][p], needs[c][p] = words, ()
    gangs = np.array([world.ask(c).units_per_hour is None for c in range(len(world.count))], dtype=np.bool_)
    return replace(
        world,
        **arrays,
        weigh=np.where(gangs[:, None], 1.0, arrays["rate"]),
        obstacle=tuple(tuple(row) for row in obstacle),
        needs=tuple(tuple(row) for row in needs),
        **more,
    )


def slack_words(row: Slack) -> str:
    """Slack and reserve in words that follow on a pool's name."""
    if row.rule == "P5.15":
        return (
            f"it runs on capacity that is paid for only as used and goes back to spot once it is two changeovers "
            f"({row.needed_hours:.4g} hours) ahead of the line to its deadline; it is {row.hours:.4g} hours ahead"
        )
    if not np.isfinite(row.hours):
        return "from there nobody knows how long its checkpoint takes to a pool that is not spot"
    return (
        f"driven off from there, it would have {row.hours:.4g} hours of slack left in {row.firm}, "
        f"less than a {row.needed_for} of {row.needed_hours:.4g}"
    )

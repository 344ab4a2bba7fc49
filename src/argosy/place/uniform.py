"""Uniform progress: when work with a deadline waits for spot, and when it runs on demand. Before the program is built.

P5.15  Of "Can't Be Late" (NSDI'24), as P5.2 to P5.4 have it, for the deadline less the reserve of P5.14. Work that may
       hope for a spot pool, and is at or ahead of the straight line from its start to its deadline, is not started on
       firm capacity that is paid for only when used. Behind the line it is. What runs on such capacity goes back to
       spot once it is two changeovers ahead; what runs on spot stays there. Capacity that is paid for anyhow is open
       to all. A spot pool may be hoped for while it is not masked, an hour of work costs less there than on demand, it
       may come to hold the work, and slack is left of its start or a look, whichever is longer, and of a start on the
       firm pool.
P5.16  While that holds the deadline is safe, and an hour sooner or later is worth nothing: on spot as much work is
       counted as would be done within the window on the firm pool, and a move there costs the accelerators of its
       start (times 1 + hysteresis) and a thousandth of the window's, not the worth of the work.
P5.17  Who is safe on spot so stops nobody there who is safe as well: among such work an hour on spot is worth the same.
It holds for the asks that P5.14 speaks of. Pure: the same world gives the same masks.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np

from argosy.place.pace import CHANGEOVERS_AHEAD, ahead_hours, may_hope, pace, shares
from argosy.place.waiting import (
    SMALL,
    busy_accelerators,
    counting,
    in_the_way,
    masked,
    slack,
    slack_words,
    spot_pools,
)
from argosy.place.world import LEAST_MOVE_FRACTION, NONE, Bools, Floats, Hope, Slack, World


def keep_pace(world: World) -> World:
    """P5.15 and P5.16: the world in which work with a deadline waits for spot as long as it is ahead of its line."""
    if not world.integral:
        return world
    spot = spot_pools(world)
    if not spot.any() or not (world.paid < world.most - SMALL)[~spot].any():
        return world
    found = _Found(world, spot, busy_accelerators(world))
    for c in range(len(world.count)):
        if may_hope(world.ask(c)):
            found.decide(c)
    cells = {at: f"deadline: {slack_words(row)}" for at, row in found.held.items()}
    cells |= {at: "wait: for spot" for at in found.hopes if at not in found.limited}
    spare = {p: max(0.0, float(world.paid[p] - found.busy[0][p])) for _, p in found.limited}
    eased = _eased(world, found.safe)
    return masked(
        eased, cells, held={**world.held, **found.held}, hopes=found.hopes, spare=spare, safe=frozenset(found.safe)
    )


@dataclass(slots=True)
class _Found:
    """What the rule says of one world, class by class."""

    world: World
    spot: Bools
    busy: tuple[Floats, Floats]
    held: dict[tuple[int, int], Slack] = dataclasses.field(default_factory=dict)
    hopes: dict[tuple[int, int], Hope] = dataclasses.field(default_factory=dict)
    limited: set[tuple[int, int]] = dataclasses.field(default_factory=set)
    """Cells of `hopes` where paid capacity has room."""
    safe: dict[tuple[int, int], int] = dataclasses.field(default_factory=dict)
    """(class, spot pool) of P5.16 to the firm pool that the deadline relies on."""

    def decide(self, c: int) -> None:
        """One class."""
        world, ask = self.world, self.world.ask(c)
        firm = np.flatnonzero(~self.spot & counting(world, c, self.busy)).tolist()
        free = world.paid - in_the_way(world, c, self.busy)
        here = int(world.running[c])
        if here != NONE and not self.spot[here]:
            free[here] = world.paid[here] - self.busy[0][here]
        costly = [f for f in firm if world.paid[f] < world.most[f] - SMALL]
        if not costly:
            return
        ahead = ahead_hours(ask, world.snapshot.look_hours)
        stands = pace(ask, world.snapshot.look_hours)
        on_demand = here in costly and bool(world.accelerators[c] > free[here] + SMALL)
        on_spot = here != NONE and self.spot[here] and self.busy[1][here] <= world.most[here] + SMALL
        left: dict[int, tuple[float, float]] = {}
        for p in np.flatnonzero(self.spot & (world.rate[c] > 0)).tolist():
            most, f = slack(world, c, p, firm)
            spare = most.hours - most.needed_hours + float(world.delay[c, p])
            margin = spare - max(float(world.delay[c, p]), world.snapshot.look_hours)
            if on_spot and here == p:
                margin = spare
            if not self._may_serve(c, p, costly):
                continue
            if margin < -SMALL:
                look = most.hours - max(0.0, world.snapshot.look_hours - float(world.delay[c, p]))
                self.held[c, p] = most._replace(hours=look)
            elif on_demand and not stands.well_ahead:
                self.held[c, p] = most._replace(
                    hours=ahead, needed_hours=CHANGEOVERS_AHEAD * ask.restart_hours, rule="P5.15"
                )
            else:
                left[p] = spare, margin
                self.safe[c, p] = f
        if not left or on_demand or not stands.ahead:
            return
        done, line = shares(ask, world.snapshot.look_hours)
        stays = on_spot and here in left
        hope = Hope(
            done,
            line,
            max(spare for spare, _ in left.values()),
            max(0.0, min(ahead, max(margin for _, margin in left.values()))),
            (world.snapshot.pools[here].id,) if stays else tuple(world.snapshot.pools[p].id for p in left),
            stays,
        )
        paid_only = world.paid >= world.most - SMALL
        for f in np.flatnonzero(~self.spot & (world.rate[c] > 0) & ~paid_only).tolist():
            if f != here:
                self.hopes[c, f] = hope
                if world.accelerators[c] <= free[f] + SMALL:
                    self.limited.add((c, f))

    def _may_serve(self, c: int, p: int, costly: list[int]) -> bool:
        """Whether spot pool p may come to hold the work, and an hour of it costs less there than on demand."""
        world, most = self.world, self.world.snapshot.pools[p].may_hold_accelerators
        if most is not None and world.accelerators[c] > max(most, float(world.most[p])) + SMALL:
            return False
        price = [pool.usd_per_accelerator_hour for pool in world.snapshot.pools]
        return any(
            price[p] / world.rate[c, p] < (price[f] + _above(world, f)) / world.rate[c, f] - SMALL for f in costly
        )


def _above(world: World, p: int) -> float:
    """USD per accelerator-hour that the cheapest capacity paid for only as used costs above the pool's price."""
    rows = [
        float(world.above[i, p])
        for i, supply in enumerate(world.snapshot.supplies)
        if world.draw[i, p] > 0 and supply.as_used_fraction > 0
    ]
    return 0.0 if world.snapshot.pools[p].as_used_fraction > 0 else min(rows, default=0.0)


def _eased(world: World, safe: dict[tuple[int, int], int]) -> World:
    """P5.16: gains and costs of moves on spot, for work whose deadline is safe."""
    if not safe:
        return world
    gain, move, window = world.gain.copy(), world.move.copy(), world.snapshot.window_hours
    for (c, p), f in safe.items():
        ask = world.ask(c)
        assert ask.remaining_units is not None
        units = min(max(0.0, window - float(world.delay[c, f])) * float(world.rate[c, f]), ask.remaining_units)
        if move[c, p] > 0:
            price = world.snapshot.pools[p].usd_per_accelerator_hour * world.accelerators[c]
            least = LEAST_MOVE_FRACTION * window * price
            move[c, p] = world.once[c, p] * world.snapshot.hysteresis_fraction + least
        gain[c, p] = units / world.rate[c, p] * world.hourly[c, p] - world.once[c, p] - move[c, p]
    return dataclasses.replace(world, gain=gain, move=move)

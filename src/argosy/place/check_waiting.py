"""Recount of P5.14: no spot for work whose deadline leaves less than the reserve after being driven off there.

From the records alone. Called by `check_uniform`; shares nothing with `waiting`.
"""

from __future__ import annotations

from argosy.model.placement import Placement
from argosy.model.snapshot import PlaceAsk, PoolState, Snapshot
from argosy.place.check_limits import may_run, rate
from argosy.place.check_money import worth
from argosy.place.check_seats import seatable
from argosy.place.check_ways import begin_hours, hours_of

WHOLE = ("value", "cost")
TINY = 1e-9
LEAST_GAIN_USD = 1e-6


class Pools:
    """Sums over the records of a snapshot, by pool."""

    def __init__(self, snapshot: Snapshot, placement: Placement) -> None:
        self.snapshot, self.objective = snapshot, placement.objective
        self.regions = {region.id: region for region in snapshot.regions}
        self.most = {pool.id: pool.own_accelerators for pool in snapshot.pools}
        """Most that a pool could hold with all of every supply that it may draw on."""
        self.paid = {pool.id: pool.own_accelerators * (1 - pool.as_used_fraction) for pool in snapshot.pools}
        """What of that is paid for whether used or not."""
        for supply in snapshot.supplies:
            for name, draw in ((name, draw) for name, draw in supply.draw.items() if name in self.most):
                self.most[name] += supply.capacity / draw
                self.paid[name] += supply.capacity / draw * (1 - supply.as_used_fraction)
        self.runs, self.stuck = dict.fromkeys(self.most, 0.0), dict.fromkeys(self.most, 0.0)
        """What runs in a pool, and what of it may not be stopped."""
        for row in snapshot.asks:
            if row.running_in is not None and row.units_per_hour is None:
                self.runs[row.running_in] += row.count * row.accelerators
                self.stuck[row.running_in] += 0.0 if row.preemptible else row.count * row.accelerators

    def begins(self, ask: PlaceAsk) -> dict[str, float]:
        """Pools where an ask may run and would be done by its deadline, to the hours until useful work there."""
        found = {}
        for pool in self.snapshot.pools:
            if not may_run(self.snapshot, ask, pool, self.regions[pool.region]):
                continue
            if pool.cordoned and ask.running_in != pool.id:
                continue
            begin, speed = begin_hours(self.snapshot, ask, pool, self.regions), rate(ask, pool, self.regions)
            if begin is None or speed <= 0:
                continue
            if begin + (ask.remaining_units or 0.0) / speed <= (ask.deadline_hours or 0.0) + TINY:
                found[pool.id] = begin
        return found

    def ways_out(self, ask: PlaceAsk, begins: dict[str, float]) -> tuple[PoolState, ...]:
        """Firm pools that the deadline of an ask may rely on; empty where P5.14 does not speak of it."""
        if ask.units_per_hour is not None or ask.remaining_units is None or not ask.preemptible:
            return ()
        if ask.deadline_hours is None or ask.spot_goodput_fraction is None or self.objective not in WHOLE:
            return ()
        pools = [pool for pool in self.snapshot.pools if pool.tier != "spot" and pool.id in begins]
        return tuple(pool for pool in pools if self._way_out(ask, pool, begins[pool.id]))

    def left_hours(self, ask: PlaceAsk, spot: PoolState, firm: PoolState, begins: dict[str, float]) -> float | None:
        """Hours left after a start on spot, a start on a firm pool and the work; None where no way back is known."""
        assert ask.deadline_hours is not None
        there, work = begins[spot.id], ask.remaining_units or 0.0
        carry: float | None = 0.0
        if spot.region != firm.region and ask.checkpoint_gib > 0:
            ends = self.regions[spot.region], self.regions[firm.region]
            carry = hours_of(self.snapshot, *ends, ask.checkpoint_gib)
        if carry is None:
            return None
        if ask.running_in == spot.id:
            there += ask.starting_hours
            work += ask.unsaved_units
        start = max(begins[firm.id], carry + ask.restart_hours)
        return ask.deadline_hours - there - start - work / rate(ask, firm, self.regions)

    def _way_out(self, ask: PlaceAsk, pool: PoolState, begin: float) -> bool:
        """Whether there is room for one ask beside what it cannot stop, and whether it would gain there."""
        most = self.most[pool.id]
        if ask.accelerators > most + TINY:
            return False
        nodes = [node for node in self.snapshot.nodes if node.pool == pool.id]
        if nodes and not seatable(ask, nodes):
            return False
        stops = ask.running_in is None and ask.may_preempt
        beside = most - (self.stuck if stops else self.runs)[pool.id]
        if ask.running_in != pool.id and ask.accelerators > beside + TINY:
            return False
        if self.objective != "value":
            return True
        gain, _, move = worth(self.snapshot, ask, pool, self.regions, begin)
        return gain - move > LEAST_GAIN_USD

"""Keeper: what control knows of runs, from leases it granted and messages it got. Observer, hands and book of the tick.

C1  Adopt before create: an order carries the tag of its lease, and what an engine lists under that tag is that run.
C2  A lease is granted before its run is ordered, and fences off all earlier ones: only one run of an ask can commit.
C3  The exit record is read first: finished work never runs again, whatever messages say.
C4  Of two messages on one run the one with the higher sequence number counts, in whatever order they come.
C5  Unreachable is not dead: a run that is not heard of keeps its lease until the grace has passed; then it is fenced
    off and the ask asks again.
C6  Sweep: a run that an engine lists and that holds no current lease is stopped, at every round, until it is gone.
C7  A pool that refused a start takes nothing new for a while; the same for a vendor that does not answer.
C8  Work with a deadline that may use spot keeps its deadline however far it is; its hours are rounded by `pace`.
All that is kept between rounds in memory may be lost at any time: it is learned again from the store and the engines.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from argosy.clock import Clock
from argosy.control.pace import LEAST_HOURS, Amounts, amounts
from argosy.control.protocols import (
    ALIVE,
    Engine,
    Halt,
    Lease,
    Level,
    Market,
    Mover,
    Order,
    Reason,
    Refused,
    Sighting,
    Store,
    Want,
)
from argosy.control.tick import Decide, Step, Tick, tick
from argosy.errors import OutsideError
from argosy.model.placement import Assignment, Eviction, Placement, Transfer
from argosy.model.snapshot import PlaceAsk, PoolState, Snapshot
from argosy.settings import Settings

FLOW_TAG = "level"
ROUND_HOURS = 0.25


@dataclass(frozen=True, slots=True)
class Grace:
    """How patient control is, in hours."""

    unreachable_hours: float = 2.0
    """C5: how long a run may be unheard of."""
    refused_hours: float = 1.0
    """C7: how long a pool rests after a refusal."""


@dataclass(slots=True)
class _Memory:
    """What is lost in a crash."""

    newest: dict[str, Sighting] = field(default_factory=dict)
    heard_hours: dict[str, float] = field(default_factory=dict)
    rests_until_hours: dict[str, float] = field(default_factory=dict)
    silent: set[str] = field(default_factory=set)
    """Vendors that did not answer in this round."""


class Keeper:
    """Rounds over a store, engines and a market. One at a time; a second one is kept out by the store's grants."""

    def __init__(
        self,
        store: Store,
        engines: Sequence[Engine],
        market: Market,
        mover: Mover,
        *,
        clock: Clock,
        decide: Decide,
        grace: Grace | None = None,
        exact: bool = False,
    ) -> None:
        """`exact`: snapshots say of every ask what it has got and since when, as `control.turns` wants it."""
        self.store, self.market, self.mover, self.clock, self.decide = store, market, mover, clock, decide
        self.engines = {engine.vendor: engine for engine in engines}
        self.grace, self.exact = grace or Grace(), exact
        self.memory = _Memory()
        self.vendor_of: dict[str, str] = {}
        self._pools: tuple[PoolState, ...] = ()

    def round(self, settings: Settings | None = None) -> Tick:
        """Listen, settle what ended, sweep, then one tick."""
        self.listen()
        self.settle()
        self.sweep()
        return tick(self, self, self, flows=self, clock=self.clock, settings=settings, decide=self.decide)

    # Observe

    def listen(self) -> None:
        """Take messages in and ask every engine for what it runs."""
        now, memory = self._hours(), self.memory
        memory.silent.clear()
        self._listed: dict[str, dict[str, Sighting]] = {}
        for vendor, engine in self.engines.items():
            for message in engine.receive():
                self._hear(message, now)
            try:
                listed = engine.list_by_tag()
            except OutsideError:
                memory.silent.add(vendor)
                continue
            for message in listed:
                self._hear(message, now)
            self._listed[vendor] = {message.run: message for message in listed}
        self._learn_pools()

    def _learn_pools(self) -> None:
        frame = self.market.frame()
        vendors = {region.id: region.vendor for region in frame.regions}
        self._pools, self._supplies = self.market.capacity()
        self.vendor_of = {pool.id: vendors[pool.region] for pool in self._pools}
        self.region_of = {pool.id: pool.region for pool in self._pools}
        self.pool_of = {pool.id: pool for pool in self._pools}
        self._frame = frame

    def _hear(self, message: Sighting, now: float) -> None:
        """C4."""
        known = self.memory.newest.get(message.run)
        if known is None or message.sequence > known.sequence:
            self.memory.newest[message.run] = message
        if message.state in ALIVE:
            self.memory.heard_hours[message.run] = now

    def settle(self) -> None:
        """End the leases of runs that have ended, vanished or been silent too long; C3, C5."""
        now = self._hours()
        for ask, lease in list(self.store.leases().items()):
            reason = self._fate(ask, lease, now)
            if reason is not None:
                self._release(ask, lease.epoch, reason)
        # An exit record without a lease: control was stopped between fencing and settling.
        current = {lease.run for lease in self.store.leases().values()}
        for table in (self.memory.newest, self.memory.heard_hours):
            for run in [run for run in table if run not in current]:
                del table[run]

    def _fate(self, ask: str, lease: Lease, now: float) -> Reason | None:
        """Why a lease ends now; None when it goes on."""
        if self.store.finished(ask) is not None:
            return "done"
        seen = self.memory.newest.get(lease.run)
        if seen is not None and seen.state not in ALIVE:
            return "preempted" if seen.state == "preempted" else "lost"
        vendor = self.vendor_of.get(lease.pool)
        listed = None if vendor is None else self._listed.get(vendor)
        if listed is not None:
            if lease.run in listed:
                return None
            # The engine answered and does not know it. It never started, or is gone and its message was lost.
            return "lost" if seen is not None else "returned"
        heard = max(self.memory.heard_hours.get(lease.run, lease.granted_hours), lease.granted_hours)
        return "unreachable" if now - heard > self.grace.unreachable_hours else None

    def _release(self, ask: str, epoch: int, reason: Reason) -> None:
        self.store.release(ask, epoch, reason)

    def sweep(self) -> None:
        """C6."""
        current = {lease.run for lease in self.store.leases().values()}
        for vendor, listed in self._listed.items():
            for run in listed:
                if run not in current:
                    try:
                        self.engines[vendor].stop(run)
                    except OutsideError:
                        self.memory.silent.add(vendor)

    def snapshot(self) -> Snapshot:
        """The world as control knows it. C7: what rests or is silent is cordoned."""
        now, memory = self._hours(), self.memory
        resting = {pool for pool, until in memory.rests_until_hours.items() if until > now}
        pools = tuple(
            pool.model_copy(update={"cordoned": True})
            if pool.id in resting or self.vendor_of[pool.id] in memory.silent
            else pool
            for pool in self._pools
        )
        known = {pool.id for pool in pools}
        here = {supply.id for supply in self._supplies}
        asks = [self._ask(name, now, known) for name in self.store.wants()]
        return self._frame.model_copy(
            update={
                "pools": pools,
                "supplies": self._supplies,
                # A floor whose capacity is gone for now binds nobody now.
                "burn_downs": tuple(row for row in self._frame.burn_downs if row.supply in here),
                "asks": (*self.market.flows(), *asks),
                "replicas": tuple(self.store.replicas()),
            }
        )

    def _ask(self, name: str, now: float, pools: set[str]) -> PlaceAsk:
        """An ask as it is now. Hours left are rounded up to quarters and then to powers of two, so that asks that
        are nearly alike stay one class (P1.1); beyond the window they make no difference and are left out."""
        want, lease = self.store.wants()[name], self.store.leases().get(name)
        ask = want.ask
        left = self._left(name, lease)
        hours = ROUND_HOURS * 2.0 ** math.ceil(
            math.log2(max(left / ask.accelerators, ROUND_HOURS) / ROUND_HOURS) - 1e-9
        )
        running = lease.pool if lease is not None and lease.pool in pools else None
        if self.exact:
            # P4.10: rounds look at no deadline.
            total = ask.remaining_units or left
            facts = {"remaining_units": left, "attained_units": total - left, "elapsed_hours": now - want.arrived_hours}
            return ask.model_copy(update={**facts, "deadline_hours": None, "running_in": running})
        if want.due_hours is not None and ask.preemptible and ask.spot_goodput_fraction is not None:
            paced = self._paced(want, left, now, running=running is not None)
            if paced is not None:
                changes = {**paced, **self._at_risk(want, lease, now), "running_in": running}
                return ask.model_copy(update={**changes, "may_preempt": not self.store.stopped(name)})
        deadline = None if want.due_hours is None else want.due_hours - now
        if deadline is not None:
            fastest = max(ask.speed.values())
            slack = deadline - hours / fastest - ask.restart_hours
            # Late work has no deadline any more; far ones do not bind within the window.
            deadline = None if slack < 0 or slack > self._frame.window_hours else deadline
        endless = deadline is None and hours > 2 * self._frame.window_hours * max(1.0, *ask.speed.values())
        return ask.model_copy(
            update={
                "remaining_units": None if endless else hours * ask.accelerators,
                "deadline_hours": None if deadline is None else ROUND_HOURS * math.floor(deadline / ROUND_HOURS),
                "running_in": running,
                "may_preempt": not self.store.stopped(name),
            }
        )

    @staticmethod
    def _paced(want: Want, left: float, now: float, *, running: bool) -> Amounts | None:
        """C8: amounts of work and time of an ask that has a pace to keep; None when it is late."""
        ask, total = want.ask, want.ask.remaining_units
        assert want.due_hours is not None
        assert total is not None
        size, due = ask.accelerators, want.due_hours - now
        if due <= LEAST_HOURS:
            return None
        found = amounts(left / size, (total - left) / size, due, now - want.arrived_hours, size)
        start = 0.0 if running else ask.restart_hours
        need = found["remaining_units"] / size / max(ask.speed.values()) + start
        return found if found["deadline_hours"] >= need else None

    def _at_risk(self, want: Want, lease: Lease | None, now: float) -> dict[str, float]:
        """What being driven off spot would cost beyond a restart: the start under way, and work that is not saved."""
        pool = None if lease is None else self.pool_of.get(lease.pool)
        if lease is None or pool is None or pool.tier != "spot":
            return {}
        starting = lease.granted_hours + want.ask.restart_hours - now
        unsaved = want.unsaved_hours * want.ask.accelerators * want.ask.speed[pool.silicon]
        return {"starting_hours": math.ceil(max(0.0, starting) * 100) / 100, "unsaved_units": unsaved}

    def _left(self, name: str, lease: Lease | None) -> float:
        """Work that remains, by the newest that was saved or heard."""
        total = self.store.wants()[name].ask.remaining_units
        assert total is not None, "an ask that arrives has an amount of work"
        done = self.store.saved(name).units
        if lease is not None and lease.run in self.memory.newest:
            done = max(done, self.memory.newest[lease.run].units)
        return max(total - done, 1e-6 * total)

    def levels(self) -> Mapping[tuple[str, str], float]:
        """What serves flows, from every engine that answers; the others are left as they are."""
        found: dict[tuple[str, str], float] = {}
        for vendor, engine in self.engines.items():
            if vendor in self.memory.silent:
                continue
            try:
                found.update(engine.levels())
            except OutsideError:
                self.memory.silent.add(vendor)
        return found

    # Carry out

    def stop(self, step: Eviction) -> None:
        """Stop a run for others; it asks again and stops nobody."""
        lease = self.store.leases().get(step.ask)
        if lease is None or lease.pool != step.pool:
            return
        self.engines[self.vendor_of[lease.pool]].stop(lease.run)
        self._release(step.ask, lease.epoch, "evicted")

    def halt(self, step: Halt) -> None:
        """Stop a run that moves; its work is saved before it ends."""
        lease = self.store.leases().get(step.ask)
        if lease is None or lease.pool != step.pool:
            return
        self.engines[self.vendor_of[lease.pool]].stop(lease.run)
        self._release(step.ask, lease.epoch, "moved")

    def copy(self, step: Transfer) -> None:
        """Order a copy and keep that it is on its way."""
        self.mover.copy(step)
        self.store.copied(step)

    def start(self, step: Assignment) -> None:
        """Start an ask under a new lease. C2."""
        want = self.store.wants().get(step.ask)
        if want is None or step.ask in self.store.leases():
            return
        if self.store.finished(step.ask) is not None:
            return
        new = Lease(step.ask, self.store.epoch(step.ask) + 1, step.pool, want.ask.accelerators, self._hours())
        if not self.store.grant(new):
            return
        order = Order(new, want.ask, self._left(step.ask, None), step.start_after_hours)
        try:
            self.engines[self.vendor_of[step.pool]].start(order)
        except Refused:
            self._rest(step.pool)
            self._release(step.ask, new.epoch, "refused")
            raise

    def serve(self, step: Level) -> None:
        """Set the accelerators of a flow."""
        try:
            self.engines[self.vendor_of[step.pool]].level(step)
        except Refused:
            self._rest(step.pool)
            raise

    def _rest(self, pool: str) -> None:
        self.memory.rests_until_hours[pool] = self._hours() + self.grace.refused_hours

    # Book

    def decided(self, decision: str, placement: Placement) -> None:
        """Keep a decision."""
        self.store.decided(decision, placement)

    def done(self, decision: str, number: int, step: Step) -> None:
        """Keep a step."""
        self.store.done(decision, number, _words(step))

    def _hours(self) -> float:
        return self.clock.monotonic_seconds() / 3600


def _words(step: Step) -> str:
    if isinstance(step, Eviction):
        return f"stop {step.ask} in {step.pool}"
    if isinstance(step, Halt):
        return f"halt {step.ask} in {step.pool}"
    if isinstance(step, Transfer):
        return f"copy {step.dataset} to {step.to_region}"
    if isinstance(step, Level):
        return f"{FLOW_TAG} {step.ask} in {step.pool} {step.accelerators:.6g}"
    return f"{step.change} {step.ask} in {step.pool}"

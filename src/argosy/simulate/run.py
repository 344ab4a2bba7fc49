"""Run: a portfolio under a virtual clock, with `control` deciding as it would live.

The loop takes the next thing that happens (an ask arrives, a run ends, capacity changes, an hour passes), lets the
invented vendors act on it, and lets control make a round: at every hour, and soon after anything that control would
want to react to, but never more often than every quarter of an hour. All chance comes from the seed; the same
arguments give the same log, hash and figures, bit for bit.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import polars as pl

from argosy.clock import rng
from argosy.control.keeper import Grace, Keeper
from argosy.control.protocols import Lease
from argosy.control.tick import Tick
from argosy.control.turns import FAIR, Turns
from argosy.errors import BadInput, Problem
from argosy.model.futures import EXPECTED, TOLERANCE, futures
from argosy.model.placement import Placement
from argosy.model.portfolio import Portfolio
from argosy.model.scenario import Scenario
from argosy.model.snapshot import Objective, PlaceAsk, PoolState, Snapshot, SupplyState
from argosy.place import place
from argosy.place.inputs import PlanRecord
from argosy.settings import Settings
from argosy.simulate.arrivals import Work, work
from argosy.simulate.capacity import Capacity, Span
from argosy.simulate.first_fit import first_fit
from argosy.simulate.meter import Meter
from argosy.simulate.mishaps import Crash, Faults
from argosy.simulate.records import MemoryStore
from argosy.simulate.vendors import Calm, Channel, Copies, Counts, Ground, InventedVendor
from argosy.simulate.watch import Watch
from argosy.simulate.ways import check_ways
from argosy.units import Month

WHOLE: tuple[Objective, ...] = ("value", "cost")
FIRST_FIT = "first_fit"
"""Decide without `place`, by M13, to compare with."""
OBJECTIVES: tuple[str, ...] = (*WHOLE, *FAIR, FIRST_FIT)
DRAIN_DAYS = 60
"""After faults have stopped every ask must end within so many days."""
Progress = Callable[[float, int, int], None]
"""Hours simulated, asks ended, events so far."""


def unwatched(hours: float, ended: int, events: int) -> None:
    """Progress that nobody watches."""


@dataclass(frozen=True, slots=True)
class Setup:
    """What is simulated and how."""

    portfolio: Portfolio
    """Consistent, with the catalogue filled in."""
    days: float = 30.0
    seed: int = 0
    objective: str = "value"
    load: float = 1.0
    month: Month | None = None
    """First month; None is that of the horizon."""
    plan: PlanRecord | None = None
    future: str | None = None
    """Id of a future; None draws one with the seed."""
    asks: pl.DataFrame | None = None
    """Recorded asks that replace the invented ones of one workload."""
    asks_as: str | None = None
    """That workload; None is the first that arrives as asks."""
    curve: pl.DataFrame | None = None
    """Recorded rates that replace the daily curve of work that flows."""
    spot: pl.DataFrame | None = None
    """Recorded spot capacity."""
    wait_for_spot: bool = True
    """Whether work with a deadline waits for spot while it is ahead of its line (P5.15)."""
    faults: bool = False
    round_hours: float = 1.0
    """Control makes a round at least this often."""
    least_gap_hours: float = 0.25
    """And never more often than this."""
    gap_fraction: float = 1e-3
    """How far from the best a decision may be."""


@dataclass(slots=True)
class Day:
    """Counts of one day."""

    arrived: int = 0
    ended: int = 0
    migrations: int = 0
    evictions: int = 0
    preemptions: int = 0
    copies: int = 0


@dataclass(slots=True)
class Record:
    """What the loop notes beside the meter."""

    days: list[Day]
    excuse_hours: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    """Rule to hours that asks waited under it."""
    short_unit_hours: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    """Rule to work that flows and was not placed."""
    rounds: int = 0
    decisions: int = 0
    steps: int = 0
    failed_steps: int = 0
    crashes: int = 0
    events: int = 0
    worst_residual: float = 0.0


class VirtualClock:
    """`argosy.clock.Clock` that the loop moves; faults may skew what it says of the day, never its monotonic hours."""

    def __init__(self, start: datetime) -> None:
        self.start, self.hours = start, 0.0
        self.skew_seconds: Callable[[float], float] = lambda hours: 0.0

    def now(self) -> datetime:
        """The instant, with skew."""
        return self.start + timedelta(hours=self.hours, seconds=self.skew_seconds(self.hours))

    def monotonic_seconds(self) -> float:
        """Seconds since the start."""
        return self.hours * 3600


def check_objective(objective: str) -> None:
    """BadInput when a portfolio cannot be decided by it."""
    if objective not in OBJECTIVES:
        message = f"{objective!r} is none of {', '.join(OBJECTIVES)}"
        raise BadInput([Problem("--objective", 0, 0, "simulate.objective", "", message)])


class Simulation:
    """One run of a portfolio. Made, run once, read."""

    def __init__(self, setup: Setup, settings: Settings | None = None) -> None:
        """BadInput when the portfolio cannot be simulated as asked."""
        self.setup, self.settings = setup, settings or Settings()
        portfolio = setup.portfolio
        check_objective(setup.objective)
        start = setup.month or portfolio.horizon.start
        at = portfolio.horizon.index(start)
        if not 0 <= at < portfolio.horizon.months:
            message = f"{start} is outside the horizon, {portfolio.horizon.start} to {portfolio.horizon.end.plus(-1)}"
            raise BadInput([Problem("--month", 0, 0, "simulate.month", "", message)])
        self.span = Span.of(start, max(1, round(setup.days * 24)), portfolio.horizon.months - at)
        self.scenario = _future(setup)
        seed = setup.seed
        self.capacity = Capacity(
            portfolio,
            self.scenario,
            self.span,
            plan=setup.plan,
            seed=seed,
            spot=setup.spot,
            look_hours=setup.round_hours,
            as_used=setup.wait_for_spot,
        )
        check_ways(portfolio, self.capacity.pools)
        self.work: Work = work(
            portfolio,
            self.scenario,
            self.span,
            plan=setup.plan,
            seed=seed,
            load=setup.load,
            recorded=setup.asks,
            recorded_as=setup.asks_as,
            curve=setup.curve,
        )
        self.clock = VirtualClock(datetime(start.year, start.month, 1, tzinfo=UTC))
        self.store = MemoryStore()
        self.counts = Counts()
        self.last_hours = self.span.hours + (DRAIN_DAYS * 24 if setup.faults else 0)
        flows = {flow.asks[0].id: flow.units_per_hour for flow in self.work.flows}
        self.meter = Meter(self.capacity.pools, flows, self.last_hours)
        self.record = Record([Day() for _ in range(-(-self.last_hours // 24))])
        self.ground = Ground(
            clock=self.clock,
            store=self.store,
            meter=self.meter,
            counts=self.counts,
            regions={region.id: region for region in portfolio.regions},
            links=portfolio.links,
            checkpoint_every_hours=lambda ask: self.work.checkpoint_every_hours[self.work.workload_of[ask]],
            ready_hours={},
            schedule=self._ends_at,
        )
        vendors = sorted({self.capacity.vendor_of[pool] for pool in self.capacity.pools})
        self.faults = Faults(seed, self.span.hours, vendors, self.capacity, self.clock) if setup.faults else None
        self.vendors: dict[str, InventedVendor] = {}
        for vendor in vendors:
            channel: Channel = Calm() if self.faults is None else self.faults.channel(vendor)
            self.vendors[vendor] = InventedVendor(vendor, self.ground, channel)
        self.copies = Copies(self.ground, lambda way: float(rng(seed, "simulate", "copy", way).normal()))
        self.store.before_release = self._flush
        if self.faults is not None:
            self.store.after_write = self.faults.crash
        self.watch = Watch(self) if setup.faults else None
        self.turns: list[Turns] = []
        """One for each life of control, under a fair objective."""
        self.keeper = self._keeper()
        self._heap: list[tuple[float, int, str, str, str]] = []
        self._pushed = 0
        self._next_round = -1.0
        self._last_round = -1.0
        self._remembered: dict[str, Placement] = {}
        self._shortage: list[tuple[str, float, bool]] = []
        self._migrated = self._evicted = 0

    # Market, as control sees it

    def frame(self) -> Snapshot:
        """What does not change within a month."""
        return self.capacity.frames[self.span.index(self.clock.hours)]

    def prices(self) -> tuple[tuple[PoolState, ...], tuple[SupplyState, ...]]:
        """Pools and supplies now, as vendors say."""
        return self.capacity.at(min(self.clock.hours, self.span.hours - 1e-6))

    def demand(self) -> tuple[PlaceAsk, ...]:
        """Flows that want something in this hour."""
        m, h = self.span.index(self.clock.hours), int(self.clock.hours + 1e-9)
        found = []
        for flow in self.work.flows:
            wanted = float(flow.units_per_hour[h]) if h < self.span.hours else 0.0
            if wanted > 0:
                found.append(flow.asks[m].model_copy(update={"units_per_hour": wanted}))
        return tuple(found)

    # The loop

    def run(self, progress: Progress = unwatched) -> Simulation:
        """Simulate to the end."""
        self._begin()
        while self._heap:
            at, _, what, vendor, subject = heapq.heappop(self._heap)
            if at > self.last_hours or (self.setup.faults and at > self.span.hours and self._all_ended()):
                break
            self.clock.hours = max(self.clock.hours, at)
            self.record.events += 1
            self._happens(what, vendor, subject)
            if self.watch is not None:
                self.watch.step()
            if self.record.events % 512 == 0:
                progress(self.clock.hours, len(self.store.ended), self.record.events)
        self.clock.hours = max(self.clock.hours, float(self.span.hours))
        for ask, pool in sorted(self.ground.levels):
            self.ground.set_level(ask, pool, self.ground.levels[ask, pool])
        self.meter.close(self.clock.hours)
        for made in self.vendors.values():
            for run in made.runs.values():
                if self.clock.hours > run.ready_hours:
                    self.counts.first_hours.setdefault(run.order.ask.id, run.ready_hours)
        if self.watch is not None:
            self.watch.end()
        return self

    def _begin(self) -> None:
        for h in range(self.span.hours):
            self._push(float(h), "hour")
        if self.setup.faults:
            for h in range(self.span.hours, self.last_hours):
                self._push(float(h), "hour")
        for at in self.capacity.changes_hours():
            self._push(at, "capacity")
        if self.work.wants:
            self._push(self.work.wants[0].arrived_hours, "arrive", "", "0")
        if self.faults is not None:
            for at, what, vendor, subject in self.faults.events():
                self._push(at, what, vendor, subject)
        self._stand()

    def _push(self, at: float, what: str, vendor: str = "", subject: str = "") -> None:
        self._pushed += 1
        heapq.heappush(self._heap, (at, self._pushed, what, vendor, subject))

    def _ends_at(self, at: float, vendor: str, run: str) -> None:
        if at <= self.last_hours:
            self._push(at, "end", vendor, run)

    def _happens(self, what: str, vendor: str, subject: str) -> None:
        now = self.clock.hours
        if what == "round":
            if now >= self._next_round - 1e-9 and self._next_round >= 0:
                self._next_round = -1.0
                self._round()
        elif what == "hour":
            self._want_round(now)
        elif what == "arrive":
            self._arrive(int(subject))
        elif what == "end":
            if self.vendors[vendor].ends(subject):
                self._day().ended += 1
                self._want_round(now)
        elif what == "capacity":
            self._stand()
        elif what == "beat":
            for made in self.vendors.values():
                self.record.events += made.beat()
        elif what == "take":
            runs = sorted(self.vendors[vendor].runs)
            if runs:
                self.vendors[vendor].take(runs[int(subject) % len(runs)])
                self._want_round(now)

    def _arrive(self, first: int) -> None:
        """All asks that arrive at this instant, and when the next one does."""
        wants, now, i = self.work.wants, self.clock.hours, first
        while i < len(wants) and wants[i].arrived_hours <= now:
            i += 1
        self.store.submit(wants[first:i])
        self._day().arrived += i - first
        if i < len(wants):
            self._push(wants[i].arrived_hours, "arrive", "", str(i))
        self._want_round(now)

    def _stand(self) -> None:
        """Capacity has changed: what no longer stands is taken away."""
        now = min(self.clock.hours, self.span.hours - 1e-6)
        pools, _ = self.capacity.at(now)
        # A pool that is gone from the contracts is still known to those who ran there.
        self.ground.pools.update({pool.id: pool for pool in pools})
        most = self.capacity.most(now)
        for pool in self.capacity.pools:
            share = 1.0 if self.faults is None else self.faults.standing(pool, self.clock.hours)
            self.ground.most[pool] = most.get(pool, 0.0) * share
        m = self.span.index(now)
        self.ground.flow_asks = {flow.asks[m].id: flow.asks[m] for flow in self.work.flows}
        for pool in self.capacity.pools:
            if self.vendors[self.capacity.vendor_of[pool]].shrink(pool):
                self._want_round(self.clock.hours)

    def _want_round(self, at: float) -> None:
        due = max(at, self._last_round + self.setup.least_gap_hours) if self._last_round >= 0 else at
        if self._next_round < 0 or due < self._next_round:
            self._next_round = due
            self._push(due, "round")

    def _round(self) -> None:
        """One round of control."""
        now = self.clock.hours
        self._count_shortage(now)
        self._last_round = now
        self.record.rounds += 1
        try:
            done = self.keeper.round(self.settings)
        except Crash:
            # All that control had in memory is gone; the store and the vendors are as they were.
            self.record.crashes += 1
            self.keeper = self._keeper()
            self._last_round = -1.0
            self._want_round(now + 0.05)
            return
        self._note(done)

    def _note(self, done: Tick) -> None:
        record, day = self.record, self._day()
        record.steps += done.steps
        record.failed_steps += len(done.failed)
        record.worst_residual = max(record.worst_residual, done.placement.worst_residual)
        failed = {id(step) for step, _ in done.failed}
        day.evictions += sum(id(row) not in failed for row in done.placement.evictions)
        day.migrations += sum(row.change == "migrate" and id(row) not in failed for row in done.placement.assignments)
        day.copies += sum(id(row) not in failed for row in done.placement.transfers)
        flows = self.meter.flows
        self._shortage = []
        for row in done.placement.unplaced:
            rule = row.excuses[0].rule if row.excuses else "no pool"
            if row.ask in flows:
                wanted = float(self.meter.wanted_units[flows[row.ask], min(int(self.clock.hours), self.last_hours - 1)])
                self._shortage.append((rule, row.count * wanted, True))
            else:
                self._shortage.append((rule, row.count, False))

    def _count_shortage(self, now: float) -> None:
        """What waited since the last round, by the rule that stood nearest in its way."""
        for rule, amount, flows in self._shortage:
            table = self.record.short_unit_hours if flows else self.record.excuse_hours
            table[rule] += amount * (now - self._last_round)

    def _keeper(self) -> Keeper:
        market = _Market(self.prices, self.demand, self.frame)
        fair = next((word for word in FAIR if word == self.setup.objective), None)
        if fair is not None:
            gap = self.setup.gap_fraction
            self.turns.append(Turns(fair, lambda: self.clock.hours, self.settings, gap=gap))
        return Keeper(
            self.store,
            tuple(self.vendors.values()),
            market,
            self.copies,
            clock=self.clock,
            decide=self._decide,
            grace=Grace(),
            exact=fair is not None,
        )

    def _decide(self, snapshot: Snapshot) -> Placement:
        """`place`, remembering the last decisions: the same world gives the same placement."""
        if self.setup.objective == FIRST_FIT:
            self.record.decisions += 1
            return first_fit(snapshot)
        if self.turns:
            self.record.decisions += 1
            return self.turns[-1].decide(snapshot)
        key = snapshot.model_dump_json()
        if key not in self._remembered:
            if len(self._remembered) > 64:
                self._remembered.clear()
            self.record.decisions += 1
            objective: Objective = next(word for word in WHOLE if word == self.setup.objective)
            self._remembered[key] = place(
                snapshot, objective=objective, gap=self.setup.gap_fraction, settings=self.settings
            )
        return self._remembered[key]

    def _flush(self, lease: Lease) -> None:
        made = self.vendors.get(self.capacity.vendor_of[lease.pool])
        if made is not None:
            made.flush(lease.run)

    def progress_units(self, ask: str) -> float:
        """Work done for an ask so far: by its run, or what was saved."""
        lease = self.store.leases().get(ask)
        saved = self.store.saved(ask).units
        if lease is None:
            return saved
        run = self.vendors[self.capacity.vendor_of[lease.pool]].runs.get(lease.run)
        return saved if run is None else max(saved, run.units(self.clock.hours))

    def ended_leases(self) -> dict[str, int]:
        """Reasons for which leases ended, over all crashes of control."""
        return dict(self.store.reasons)

    def _day(self) -> Day:
        return self.record.days[min(int(self.clock.hours // 24), len(self.record.days) - 1)]

    def _all_ended(self) -> bool:
        return not self.store.wants() and not any(made.runs for made in self.vendors.values())


@dataclass(frozen=True, slots=True)
class _Market:
    """`control.protocols.Market` over the simulation's own world."""

    capacity: Callable[[], tuple[tuple[PoolState, ...], tuple[SupplyState, ...]]]
    flows: Callable[[], tuple[PlaceAsk, ...]]
    frame: Callable[[], Snapshot]


def _future(setup: Setup) -> Scenario:
    """The future that is simulated: the one named, or one drawn by its weight with the seed."""
    given = sum(scenario.probability for scenario in setup.portfolio.scenarios.given)
    # Given futures with all the weight leave none to draw.
    every = futures(setup.portfolio, seed=setup.seed, count=int(given < 1 - TOLERANCE), stream="simulate")
    if setup.future is not None:
        if setup.future == EXPECTED:
            return Scenario(id=EXPECTED, probability=1.0)
        found = next((s for s in every if s.id == setup.future), None)
        if found is None:
            message = f"{setup.future!r} is none of {', '.join([EXPECTED, *(s.id for s in every)])}"
            raise BadInput([Problem("--future", 0, 0, "simulate.future", "", message)])
        return found
    chance = float(rng(setup.seed, "simulate", "future").random())
    reached = 0.0
    for scenario in every:
        reached += scenario.probability
        if chance < reached:
            return scenario
    return every[-1]

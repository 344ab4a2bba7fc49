"""Vendors: invented engines that start, stop and list runs, take accelerators away, and can fail like real ones.

M7  A run is billed from its start to its end. It does useful work once its data is there, its checkpoint has come and
    the restart is over, at the measured speed of the chip times the goodput of pool and vendor. On spot the written
    goodput is not used: what is lost there is lost because accelerators are really taken away.
M8  When less stands than is used, the newest runs are taken away first, then flows shrink. Work since the last
    checkpoint is lost; a run that is stopped in order saves all of it.
Workers write results themselves (`control.protocols.Results`), so that a superseded one changes nothing. `faults` says
which calls fail and which messages are lost; without faults it never does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from argosy.clock import Clock
from argosy.control.protocols import Level, Order, Refused, Sighting, State
from argosy.model.link import Link
from argosy.model.placement import Transfer
from argosy.model.region import Region
from argosy.model.routes import GBIT_PER_GIB, link_between
from argosy.model.snapshot import PlaceAsk, PoolState
from argosy.simulate.meter import Meter
from argosy.simulate.records import MemoryStore

SMALL = 1e-6


class Channel(Protocol):
    """What goes wrong between control and one vendor."""

    def call(self, what: str, subject: str, effect: Callable[[], None]) -> None:
        """Make a call: perhaps without its effect, perhaps without an answer (OutsideError either way)."""

    def listed(self, now: Sequence[Sighting]) -> Sequence[Sighting]:
        """What a listing shows; OutsideError when there is no answer."""

    def deliveries_hours(self, now: float) -> tuple[float, ...]:
        """When copies of a message sent now arrive; none when it is lost."""

    def has_room(self, pool: str) -> bool:
        """False while a pool has run out."""


class Calm:
    """A channel on which nothing goes wrong."""

    def call(self, what: str, subject: str, effect: Callable[[], None]) -> None:
        """Take effect."""
        effect()

    def listed(self, now: Sequence[Sighting]) -> Sequence[Sighting]:
        """All of it."""
        return now

    def deliveries_hours(self, now: float) -> tuple[float, ...]:
        """At once."""
        return (now,)

    def has_room(self, pool: str) -> bool:
        """Always."""
        return True


@dataclass(slots=True)
class Run:
    """One attempt, as the vendor knows it."""

    order: Order
    region: str
    began_hours: float
    ready_hours: float
    units_per_hour: float
    base_units: float
    total_units: float
    sequence: int = 0

    def units(self, now: float) -> float:
        """Work done by now, with what was carried over."""
        return min(self.total_units, self.base_units + self.units_per_hour * max(0.0, now - self.ready_hours))

    def saved_units(self, now: float, every: float) -> float:
        """Work in the newest checkpoint."""
        whole = int(max(0.0, now - self.ready_hours) / every + 1e-9) * every
        return min(self.total_units, self.base_units + self.units_per_hour * whole)

    @property
    def end_hours(self) -> float:
        """When it ends if nothing happens."""
        return self.ready_hours + (self.total_units - self.base_units) / self.units_per_hour


@dataclass(slots=True)
class Counts:
    """What happened to work, over all vendors."""

    started: int = 0
    preempted: int = 0
    refused: int = 0
    fenced: int = 0
    """Runs that ended without being allowed to commit."""
    messages: int = 0
    """Sightings that reached control, by message or in a listing."""
    lost_units: float = 0.0
    waiting_accelerator_hours: float = 0.0
    """Billed before the first useful work of a run: data on its way, checkpoint, restart."""
    billed_accelerator_hours: float = 0.0
    first_hours: dict[str, float] = field(default_factory=dict)
    """Ask to its first useful work."""
    done_hours: dict[str, float] = field(default_factory=dict)
    committed: dict[str, int] = field(default_factory=dict)
    """Ask to the runs that committed its result; more than one is a violation."""
    preempted_hours: list[float] = field(default_factory=list)


@dataclass(slots=True)
class Ground:
    """What all vendors share."""

    clock: Clock
    store: MemoryStore
    meter: Meter
    counts: Counts
    regions: Mapping[str, Region]
    links: Sequence[Link]
    checkpoint_every_hours: Callable[[str], float]
    ready_hours: dict[tuple[str, str], float]
    """(dataset, region) to when a copy is there; homes are absent."""
    schedule: Callable[[float, str, str], None]
    """Ask for a call of `ends` at an hour, for a vendor and a run."""
    pools: dict[str, PoolState] = field(default_factory=dict)
    most: dict[str, float] = field(default_factory=dict)
    flow_asks: dict[str, PlaceAsk] = field(default_factory=dict)
    levels: dict[tuple[str, str], float] = field(default_factory=dict)
    """(ask, pool) to accelerators that serve it."""
    flow_accelerator_hours: float = 0.0
    """Billed for flows so far, counted level by level."""
    since_hours: dict[tuple[str, str], float] = field(default_factory=dict)

    @property
    def now(self) -> float:
        """Hours since the start."""
        return self.clock.monotonic_seconds() / 3600

    def way(self, start: str, end: str) -> Link | None:
        """The link between two regions."""
        return link_between(self.links, self.regions[start], self.regions[end])

    def speed(self, ask: PlaceAsk, pool: str) -> float:
        """M7: units per hour of one ask (of one accelerator where work flows) in a pool."""
        state = self.pools[pool]
        own = ask.vendor_goodput_fraction.get(self.regions[state.region].vendor, 1.0)
        return ask.speed[state.silicon] * ask.accelerators * state.goodput_fraction * own

    def set_level(self, ask: str, pool: str, accelerators: float) -> None:
        """So many accelerators of a pool serve a flow from now on."""
        before = self.levels.get((ask, pool), 0.0)
        self.flow_accelerator_hours += before * (self.now - self.since_hours.get((ask, pool), self.now))
        self.since_hours[ask, pool] = self.now
        self.meter.use(pool, accelerators - before, self.now)
        if accelerators > SMALL:
            self.levels[ask, pool] = accelerators
        else:
            self.levels.pop((ask, pool), None)
        template = self.flow_asks[ask]
        rate = egress = 0.0
        for (name, where), count in self.levels.items():
            if name != ask:
                continue
            units = count * self.speed(template, where)
            rate += units
            region = self.pools[where].region
            start = template.data_home or template.home
            if template.data_gib_per_unit > 0 and start is not None and region not in (start, template.home):
                link = self.way(start, region)
                egress += 0.0 if link is None else units * template.data_gib_per_unit * link.next_usd_per_gib()
        self.meter.serve(ask, rate, egress, self.now)


class InventedVendor:
    """`control.protocols.Engine` for all pools of one vendor."""

    def __init__(self, vendor: str, ground: Ground, channel: Channel) -> None:
        self.vendor, self.ground, self.channel = vendor, ground, channel
        self.runs: dict[str, Run] = {}
        self._post: list[tuple[float, int, Sighting]] = []
        self._sent = 0

    # Engine

    def start(self, order: Order) -> None:
        """M7. Refused when there is no room."""
        self.channel.call("start", order.lease.run, lambda: self._start(order))

    def _start(self, order: Order) -> None:
        run, ground, pool = order.lease.run, self.ground, order.lease.pool
        if run in self.runs:
            return
        if not self.channel.has_room(pool) or self._free(pool) + SMALL < order.lease.accelerators:
            ground.counts.refused += 1
            raise Refused(f"{pool} has no room for {order.lease.accelerators:g} accelerators")
        now, ask = ground.now, order.ask
        region = ground.pools[pool].region
        total = ask.remaining_units
        assert total is not None
        base, carry = self._carry(order, region)
        data = max((ground.ready_hours.get((name, region), 0.0) for name in ask.datasets), default=0.0)
        ready = max(now + ask.restart_hours + carry, data)
        made = Run(order, region, now, ready, ground.speed(ask, pool), min(base, total), total)
        self.runs[run] = made
        ground.counts.started += 1
        ground.meter.use(pool, order.lease.accelerators, now)
        ground.schedule(made.end_hours, self.vendor, run)

    def stop(self, run: str) -> None:
        """Save and end."""
        self.channel.call("stop", run, lambda: self._stop(run))

    def _stop(self, run: str) -> None:
        if run in self.runs:
            self._save(self.runs[run], self.runs[run].units(self.ground.now))
            self._end(run, "stopped")

    def level(self, step: Level) -> None:
        """Serve a flow with so many accelerators."""
        self.channel.call("level", step.ask, lambda: self._level(step))

    def _level(self, step: Level) -> None:
        more = step.accelerators - self.ground.levels.get((step.ask, step.pool), 0.0)
        if more > SMALL and (not self.channel.has_room(step.pool) or self._free(step.pool) + SMALL < more):
            self.ground.counts.refused += 1
            raise Refused(f"{step.pool} has no room for {more:g} more accelerators")
        self.ground.set_level(step.ask, step.pool, step.accelerators)

    def list_by_tag(self) -> Sequence[Sighting]:
        """All runs that are billed."""
        now = self.ground.now
        listed = self.channel.listed([self._sight(run, "running", now) for run in self.runs.values()])
        self.ground.counts.messages += len(listed)
        return listed

    def levels(self) -> Mapping[tuple[str, str], float]:
        """What serves flows."""
        pools = self.ground.pools
        return {
            key: count
            for key, count in self.ground.levels.items()
            if key[1] in pools and self.ground.regions[pools[key[1]].region].vendor == self.vendor
        }

    def receive(self) -> Sequence[Sighting]:
        """Messages that have arrived, in the order of their arrival."""
        now = self.ground.now
        here = sorted(letter for letter in self._post if letter[0] <= now)
        if here:
            self._post = [letter for letter in self._post if letter[0] > now]
            self.ground.counts.messages += len(here)
        return [message for _, _, message in here]

    # The world

    def beat(self) -> int:
        """Every run says that it lives; how many did."""
        now = self.ground.now
        for run in self.runs.values():
            self._send(self._sight(run, "running", now))
        return len(self.runs)

    def ends(self, run: str) -> bool:
        """A run reaches its end: it writes its exit record and leaves. False when it is gone or not yet due."""
        made, ground = self.runs.get(run), self.ground
        if made is None or made.end_hours > ground.now + 1e-9:
            return False
        ask = made.order.ask.id
        if ground.store.finish(ask, made.order.lease.epoch, made.total_units, made.region):
            ground.counts.done_hours[ask] = ground.now
            ground.counts.committed[ask] = ground.counts.committed.get(ask, 0) + 1
        else:
            ground.counts.fenced += 1
        self._end(run, "done")
        return True

    def shrink(self, pool: str) -> int:
        """M8: take away what no longer stands; how many runs went."""
        taken = 0
        over = self.ground.meter.in_use(pool) - self.ground.most.get(pool, 0.0)
        if over <= SMALL:
            return 0
        mine = [(run.began_hours, name) for name, run in self.runs.items() if run.order.lease.pool == pool]
        for _, name in sorted(mine, reverse=True):
            if over <= SMALL:
                break
            over -= self.runs[name].order.lease.accelerators
            self.take(name)
            taken += 1
        for ask, where in sorted(key for key in self.ground.levels if key[1] == pool):
            if over > SMALL:
                less = min(over, self.ground.levels[ask, where])
                over -= less
                self.ground.set_level(ask, where, self.ground.levels[ask, where] - less)
        return taken

    def take(self, run: str) -> None:
        """Preempt one run."""
        made, ground = self.runs[run], self.ground
        self._save(made, made.saved_units(ground.now, ground.checkpoint_every_hours(made.order.ask.id)))
        ground.counts.preempted += 1
        ground.counts.preempted_hours.append(ground.now)
        self._end(run, "preempted")

    def flush(self, run: str) -> None:
        """Checkpoints that were due up to now, written before the run is fenced off."""
        made = self.runs.get(run)
        if made is not None:
            every = self.ground.checkpoint_every_hours(made.order.ask.id)
            self._save(made, made.saved_units(self.ground.now, every))

    # Parts

    def _free(self, pool: str) -> float:
        return self.ground.most.get(pool, 0.0) - self.ground.meter.in_use(pool)

    def _carry(self, order: Order, region: str) -> tuple[float, float]:
        """Work that is carried over, and hours until the checkpoint is there; without a way it is left behind."""
        saved = self.ground.store.saved(order.ask.id)
        if saved.region is None or saved.region == region:
            return saved.units, 0.0
        link = self.ground.way(saved.region, region)
        if link is None or link.p50_gbit_per_second is None:
            if order.ask.checkpoint_gib > 0:
                self.ground.counts.lost_units += saved.units
                return 0.0, 0.0
            return saved.units, 0.0
        self.ground.meter.pay(link.cost_usd(order.ask.checkpoint_gib), self.ground.now)
        return saved.units, order.ask.checkpoint_gib * GBIT_PER_GIB / link.p50_gbit_per_second / 3600

    def _save(self, run: Run, units: float) -> None:
        if units > run.base_units:
            self.ground.store.save(run.order.ask.id, run.order.lease.epoch, units, run.region)

    def _end(self, run: str, state: State) -> None:
        made, ground = self.runs.pop(run), self.ground
        now, ask, count = ground.now, made.order.ask, made.order.lease.accelerators
        ground.meter.use(made.order.lease.pool, -count, now)
        ground.counts.billed_accelerator_hours += count * (now - made.began_hours)
        ground.counts.waiting_accelerator_hours += count * max(0.0, min(now, made.ready_hours) - made.began_hours)
        if now > made.ready_hours:
            ground.counts.first_hours.setdefault(ask.id, made.ready_hours)
        worked = made.units(now) - made.base_units
        kept = max(0.0, ground.store.saved(ask.id).units - made.base_units)
        ground.counts.lost_units += max(0.0, worked - kept)
        if ask.home not in (None, made.region) and ask.data_gib_per_unit > 0 and not ask.datasets and ask.home:
            link = ground.way(ask.home, made.region)
            if link is not None:
                ground.meter.pay(worked * ask.data_gib_per_unit * link.next_usd_per_gib(), now)
        self._send(self._sight(made, state, now))

    def _sight(self, run: Run, state: State, now: float) -> Sighting:
        run.sequence += 1
        lease = run.order.lease
        if state == "running" and now < run.ready_hours:
            state = "provisioning"
        return Sighting(lease.ask, lease.epoch, lease.pool, state, run.sequence, run.units(now))

    def _send(self, message: Sighting) -> None:
        for at in self.channel.deliveries_hours(self.ground.now):
            self._sent += 1
            self._post.append((at, self._sent, message))


@dataclass(slots=True)
class Copies:
    """`control.protocols.Mover`: copies take time between the median and the slow tenth, drawn for each way."""

    ground: Ground
    chance: Callable[[str], float]
    """Standard normal number for a way."""
    ordered: int = 0
    usd: float = 0.0

    def copy(self, step: Transfer) -> None:
        """Order a copy, once."""
        key = (step.dataset, step.to_region)
        if key in self.ground.ready_hours:
            return
        # hours is the median; slow_hours is passed by 9 of 10: 1.2816 standard deviations of a lognormal.
        # Where nobody measured that, it is the median.
        ratio = max(1.0, step.slow_hours / step.hours) if step.slow_hours is not None and step.hours > 0 else 1.0
        hours = step.hours * round(ratio ** (self.chance(f"{step.dataset}/{step.to_region}") / 1.2816), 6)
        self.ground.ready_hours[key] = self.ground.now + hours
        self.ground.meter.pay(step.usd, self.ground.now)
        self.ordered += 1
        self.usd += step.usd

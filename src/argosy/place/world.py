"""World: a snapshot reduced to classes and arrays. The index made here is the only bridge between ids and positions.

P1.1  Asks that differ in nothing but their name are one class with a multiplicity. They are interchangeable and the
      program is symmetric in them, so this is exact.
P1.2  rate[c, p] = speed of the chip x accelerators x goodput of pool and vendor x (spot goodput on spot), units/hour.
P1.3  delay[c, p] = time for data that must come first; restart is added where the ask does not run already.
P3.1  move[c, p] = hysteresis x (checkpoint + work lost by the move), and at least a thousandth of the window's work; it
      is taken off the gain of every pool but the one where the ask runs.
P1.U  A pool that is farther from the users than an ask allows is masked.
P3.3  stop[c] = (1 + hysteresis) x the restart that a running ask needs once it has been stopped, at the worth of its
      work; it is taken off what a placement is worth that stops it.
P1.4  gain[c, p] = value of the work within the window - price of the accelerators - egress - checkpoint, USD.
"""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from operator import itemgetter
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from argosy.errors import BadInput, Problem
from argosy.model.link import Link
from argosy.model.region import Region
from argosy.model.routes import GBIT_PER_GIB, farthest, link_between, unmeasured
from argosy.model.snapshot import NodeState, Objective, PlaceAsk, Snapshot
from argosy.place.pace import may_hope, pace
from argosy.place.shape import could_hold

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

LEAST_MOVE_FRACTION = 1e-3
NONE = -1
_UNHASHED = {"speed", "vendor_goodput_fraction", "residency", "latency"}
"""Fields of an ask that are taken apart to be compared."""
_FAIR: tuple[Objective, ...] = ("max_min", "least_attained_service", "finish_time_fairness", "makespan")


@dataclass(frozen=True, slots=True)
class Way:
    """A copy that could be ordered."""

    dataset: int
    """Position of the dataset."""
    region: str
    """Where to."""
    start: str
    """Where from: the cheapest replica, the faster of equally cheap ones."""
    usd: float
    hours: float
    slow_hours: float | None
    """At the throughput that 9 of 10 measurements pass; None where nobody measured that."""


class Slack(NamedTuple):
    """Why work with a deadline is kept off a spot pool."""

    hours: float
    """P5.14: what the deadline leaves when work starts there and is driven off at once; minus infinity where no way
    from there to a firm pool is known. P5.15: by how much it is ahead of the line."""
    needed_hours: float
    """How much it would have to be."""
    needed_for: Literal["changeover", "look"]
    """What that much is kept for: the longer of both."""
    firm: str
    """The firm pool that leaves most."""
    rule: Literal["P5.14", "P5.15"] = "P5.14"


class Hope(NamedTuple):
    """P5.15: why work with a deadline is not started on capacity that is paid for only when used."""

    done_fraction: float
    """Share of the work that is done."""
    line_fraction: float
    """Share of the time until the deadline that is over."""
    slack_hours: float
    """What the deadline leaves beside the work and its start on that capacity."""
    latest_hours: float
    """Hours until it is behind the line or has too little slack, when nothing gets done before."""
    spots: tuple[str, ...]
    """Spot pools that it waits for, or the one that it stays in."""
    stays: bool
    """Whether it runs on spot already (P5.3)."""


@dataclass(frozen=True)
class World:
    """Arrays over classes C, pools P, supplies L and ways W."""

    snapshot: Snapshot
    objective: Objective
    members: tuple[tuple[int, ...], ...]
    """Positions of the asks of each class."""
    count: Floats
    """(C,) asks in the class."""
    want: Floats
    """(C,) asks, or work per hour where a class wants that."""
    weigh: Floats
    """(C, P) what one placed ask counts towards `want`: 1, or its work per hour."""
    accelerators: Floats
    """(C,) accelerators of one ask."""
    rate: Floats
    """(C, P) P1.2; 0 where it may not run."""
    obstacle: tuple[tuple[str | None, ...], ...]
    """(C, P) rule and words of what forbids the pool; None where nothing does."""
    delay: Floats
    """(C, P) P1.3, hours until useful work."""
    gain: Floats
    """(C, P) P1.4."""
    move: Floats
    """(C, P) part of the gain that a move costs, USD; 0 for a stay."""
    hourly: Floats
    """(C, P) value of the work less egress and accelerators, USD for each hour of useful work."""
    once: Floats
    """(C, P) accelerators during the start and the way of the checkpoint, USD."""
    stop: Floats
    """(C,) P3.3, what stopping one running ask costs, USD; 0 for what waits."""
    running: Ints
    """(C,) pool where the class runs; NONE when it waits."""
    fixed: Bools
    """(C,) whether it runs and may not be stopped."""
    capacity: Floats
    """(P,) accelerators outside every supply."""
    line: Floats
    """(L,) capacity of each supply."""
    draw: Floats
    """(L, P) what one accelerator takes; 0 where the supply may not be used."""
    above: Floats
    """(L, P) USD per accelerator-hour above the pool's internal price."""
    ways: tuple[Way, ...]
    needs: tuple[tuple[tuple[int, ...], ...], ...]
    """(C, P) ways that must be ordered for the class to run in the pool."""
    held: Mapping[tuple[int, int], Slack] = dataclasses.field(default_factory=dict)
    """(class, spot pool) masked by P5.14 or P5.15."""
    hopes: Mapping[tuple[int, int], Hope] = dataclasses.field(default_factory=dict)
    """(class, firm pool) masked by P5.15, or held to the pool's paid capacity where that has room."""
    safe: frozenset[tuple[int, int]] = frozenset()
    """(class, spot pool) open to the class by P5.15, so that its deadline is safe (P5.16)."""
    spare: Mapping[int, float] = dataclasses.field(default_factory=dict)
    """Pool to the paid accelerators that the classes of `hopes` may use there in all."""

    @property
    def integral(self) -> bool:
        """Whether asks are placed whole. Fair objectives give shares of time instead, which rounds realise."""
        return self.objective not in _FAIR

    @cached_property
    def vendors(self) -> tuple[str, ...]:
        """(P,) vendor of each pool."""
        of = {region.id: region.vendor for region in self.snapshot.regions}
        return tuple(of[pool.region] for pool in self.snapshot.pools)

    @cached_property
    def most(self) -> Floats:
        """(P,) most accelerators that each pool could hold if it had all of every supply it may draw on."""
        with np.errstate(divide="ignore", invalid="ignore"):
            each = np.where(self.draw > 0, self.line[:, None] / np.where(self.draw > 0, self.draw, 1.0), 0.0)
        return np.asarray(self.capacity + each.sum(axis=0))

    @cached_property
    def paid(self) -> Floats:
        """(P,) accelerators that are paid for whether used or not, with all of every supply a pool may draw on."""
        own = np.array([pool.own_accelerators * (1 - pool.as_used_fraction) for pool in self.snapshot.pools])
        kept = np.array([1 - supply.as_used_fraction for supply in self.snapshot.supplies])
        with np.errstate(divide="ignore", invalid="ignore"):
            each = np.where(self.draw > 0, self.line[:, None] / np.where(self.draw > 0, self.draw, 1.0), 0.0)
        return np.asarray(own + (each * kept[:, None]).sum(axis=0))

    @cached_property
    def upper(self) -> Floats:
        """(C, P) most that could be placed: no more than is wanted, nor more whole gangs than the pool could hold."""
        upper = np.divide(self.want[:, None], self.weigh, out=np.zeros_like(self.rate), where=self.rate > 0)
        if self.integral:
            gangs = np.array([self.ask(c).units_per_hour is None for c in range(len(self.count))], dtype=np.bool_)
            room = np.floor(self.most[None, :] / self.accelerators[:, None] + 1e-9)
            upper = np.where(gangs[:, None], np.minimum(upper, room), upper)
            return np.asarray(upper)
        # Shares of time: a gang that no pool could hold at any time has no share of that pool.
        return np.asarray(np.where(self.fits, upper, 0.0))

    @cached_property
    def fits(self) -> Bools:
        """(C, P) whether one whole ask could ever run in the pool; work that flows is cut as small as need be."""
        flows = np.array([self.ask(c).units_per_hour is not None for c in range(len(self.count))], dtype=np.bool_)
        room = self.accelerators[:, None] <= self.most[None, :] + 1e-9
        fits = np.asarray((self.rate > 0) & (flows[:, None] | room))
        nodes: dict[str, list[NodeState]] = defaultdict(list)
        for node in self.snapshot.nodes:
            nodes[node.pool].append(node)
        for p, pool in enumerate(self.snapshot.pools):
            for c in np.flatnonzero(fits[:, p] & ~flows).tolist() if pool.id in nodes else []:
                fits[c, p] = could_hold(self.ask(c), nodes[pool.id])
        return fits

    def ask(self, c: int) -> PlaceAsk:
        """An ask that stands for its class."""
        return self.snapshot.asks[self.members[c][0]]


def reduce(snapshot: Snapshot, objective: Objective) -> World:
    """The world of a snapshot. BadInput names every link that has no price."""
    return _Reduction(snapshot, objective).world()


class _Cells(NamedTuple):
    """(C, P) arrays that are filled cell by cell."""

    rate: Floats
    delay: Floats
    gain: Floats
    move: Floats
    hourly: Floats
    once: Floats


class _Reduction:
    def __init__(self, snapshot: Snapshot, objective: Objective) -> None:
        self.snapshot, self.objective = snapshot, objective
        self.regions: Mapping[str, Region] = {region.id: region for region in snapshot.regions}
        self.datasets = {dataset.id: i for i, dataset in enumerate(snapshot.datasets)}
        self.at: dict[str, set[str]] = defaultdict(set)
        for dataset in snapshot.datasets:
            self.at[dataset.id].add(dataset.home)
        for replica in snapshot.replicas:
            self.at[replica.dataset].add(replica.region)
        self.problems: dict[str, Problem] = {}
        self.link_of: dict[tuple[str, str], Link | None] = {}
        self.ways: list[Way] = []
        self.way_of: dict[tuple[str, str], int | str] = {}
        self.distance: dict[tuple[tuple[str | None, ...], str, str], tuple[Region, float | None]] = {}
        self.pool_at = {pool.id: p for p, pool in enumerate(snapshot.pools)}
        self._check_references()

    def world(self) -> World:
        snapshot = self.snapshot
        members = self._classes()
        shape = (len(members), len(snapshot.pools))
        cells = _Cells(*(np.zeros(shape) for _ in range(6)))
        obstacle: list[tuple[str | None, ...]] = []
        needs: list[tuple[tuple[int, ...], ...]] = []
        for c, rows in enumerate(members):
            ask = snapshot.asks[rows[0]]
            reasons: list[str | None] = []
            ways: list[tuple[int, ...]] = []
            for p in range(shape[1]):
                reason, wanted = self._cell(ask, p, cells, (c, p))
                reasons.append(reason)
                ways.append(wanted)
            obstacle.append(tuple(reasons))
            needs.append(tuple(ways))
        if self.problems:
            raise BadInput(list(self.problems.values()))
        first = [snapshot.asks[rows[0]] for rows in members]
        count = np.array([sum(snapshot.asks[i].count for i in rows) for rows in members], dtype=float)
        flows = np.array([ask.units_per_hour is not None for ask in first], dtype=np.bool_)
        flow = np.array([1.0 if ask.units_per_hour is None else ask.units_per_hour for ask in first])
        draw, above = (np.zeros((len(snapshot.supplies), shape[1])) for _ in range(2))
        for i, supply in enumerate(snapshot.supplies):
            for pool, takes in supply.draw.items():
                draw[i, self.pool_at[pool]] = takes
                above[i, self.pool_at[pool]] = supply.above_usd_per_accelerator_hour.get(pool, 0.0)
        return World(
            snapshot=snapshot,
            objective=self.objective,
            members=tuple(tuple(rows) for rows in members),
            count=count,
            want=count * flow,
            weigh=np.where(flows[:, None], cells.rate, 1.0),
            accelerators=np.array([ask.accelerators for ask in first], dtype=float),
            **cells._asdict(),
            obstacle=tuple(obstacle),
            stop=np.array([self._stop(ask) for ask in first], dtype=float),
            running=np.array(
                [NONE if a.running_in is None else self.pool_at[a.running_in] for a in first], dtype=np.int64
            ),
            fixed=np.array([a.running_in is not None and not a.preemptible for a in first], dtype=np.bool_),
            capacity=np.array([pool.own_accelerators for pool in snapshot.pools], dtype=float),
            line=np.array([supply.capacity for supply in snapshot.supplies], dtype=float),
            draw=draw,
            above=above,
            ways=tuple(self.ways),
            needs=tuple(needs),
        )

    def _check_references(self) -> None:
        for i, ask in enumerate(self.snapshot.asks):
            wants = ask.datasets or ask.latency is not None
            if ask.running_in is None and ask.home is None and ask.checkpoint_in is None and not wants:
                continue
            for field, word, known in (
                ("running_in", ask.running_in, self.pool_at),
                ("checkpoint_in", ask.checkpoint_in, self.regions),
                ("home", ask.home, self.regions),
                ("data_home", ask.data_home, self.regions),
                *(("datasets", name, self.datasets) for name in ask.datasets),
                *(("latency", name, self.regions) for name in (ask.latency.users if ask.latency else ())),
            ):
                if word is not None and word not in known:
                    self._problem("place.reference", f"asks.{i}.{field}", f"{ask.id}: {word!r} is not known")
            if ask.latency is not None and not ask.latency.users and ask.home is None:
                message = f"{ask.id} must run near its users, but neither users nor home say where they are"
                self._problem("place.reference", f"asks.{i}.latency", message)
        for pool in self.snapshot.pools:
            if pool.region not in self.regions:
                self._problem("place.reference", f"pools.{pool.id}", f"region {pool.region!r} is not known")
        self._check_limits()
        if self.problems:
            raise BadInput(list(self.problems.values()))

    def _check_limits(self) -> None:
        snapshot = self.snapshot
        lines = {supply.id for supply in snapshot.supplies}
        for floor in snapshot.burn_downs:
            if floor.supply not in lines:
                self._problem("place.reference", "burn_downs", f"supply {floor.supply!r} is not known")
        for limit in snapshot.power_limits:
            for name in limit.pools:
                if name not in self.pool_at:
                    self._problem("place.reference", f"power_limits.{limit.id}", f"pool {name!r} is not known")
                elif snapshot.pools[self.pool_at[name]].facility_kw_per_accelerator is None:
                    message = f"power limit {limit.id} needs the facility power of one accelerator of pool {name}"
                    self._problem("power.missing", f"pools.{name}.facility_kw_per_accelerator", message)
        packed = {node.pool for node in snapshot.nodes}
        names = {node.id for node in snapshot.nodes}
        for name in sorted(packed - set(self.pool_at)):
            self._problem("place.reference", "nodes", f"pool {name!r} is not known")
        for i, ask in enumerate(snapshot.asks):
            if not packed and not ask.running_on:
                continue
            for name in ask.running_on:
                if name not in names:
                    self._problem("place.reference", f"asks.{i}.running_on", f"{ask.id}: node {name!r} is not known")
            if ask.running_in in packed and ask.units_per_hour is None and not ask.running_on:
                message = f"{ask.id} runs in {ask.running_in}, whose nodes are known, but not on which of them"
                self._problem("place.running_on", f"asks.{i}.running_on", message)
            if packed and ask.accelerators > 1 and ask.accelerators % 1:
                message = f"{ask.id}: {ask.accelerators:g} accelerators are neither whole ones nor a share of one"
                self._problem("place.share", f"asks.{i}.accelerators", message)

    def _problem(self, code: str, field: str, message: str) -> None:
        self.problems.setdefault(message, Problem("snapshot", 0, 0, code, field, message))

    def _classes(self) -> list[list[int]]:
        """P1.1. What an objective does not look at does not tell asks apart."""
        left_out = {"id", "count"}
        if self.objective not in _FAIR:
            left_out |= {"weight", "attained_units", "elapsed_hours"}
        if not self.snapshot.pairs or self.objective not in _FAIR:
            left_out.add("kind")
        if not self.snapshot.owner_shares:
            left_out.add("owner")
        if self.snapshot.max_critical_vendor_fraction is None:
            left_out.add("critical")
        kept = itemgetter(*[name for name in PlaceAsk.model_fields if name not in left_out | _UNHASHED])
        found: dict[tuple[object, ...], list[int]] = {}
        for i, ask in enumerate(self.snapshot.asks):
            # Straight from the record's cells: with tens of thousands of asks this is what a tick costs.
            key = (
                kept(ask.__dict__),
                frozenset(ask.speed.items()),
                frozenset(ask.vendor_goodput_fraction.items()) if ask.vendor_goodput_fraction else None,
                ask.residency.allowed,
                ask.residency.denied,
            )
            if may_hope(ask):
                key = (*key, pace(ask, self.snapshot.look_hours))  # type: ignore[assignment]
            if ask.latency is not None:
                rule = ask.latency
                key = (*key, (rule.max_round_trip_milliseconds, rule.quantile, rule.users))  # type: ignore[assignment]
            if ask.spread is not None or ask.firm_fraction > 0:
                # P1.H and P1.Q speak of the replicas of one ask.
                key = (*key, ask.id)  # type: ignore[assignment]
            found.setdefault(key, []).append(i)
        return list(found.values())

    def _cell(self, ask: PlaceAsk, p: int, out: _Cells, at: tuple[int, int]) -> tuple[str | None, tuple[int, ...]]:
        """Fill one (class, pool); the obstacle and the ways that are needed."""
        snapshot, pool = self.snapshot, self.snapshot.pools[p]
        region = self.regions[pool.region]
        obstacle = self._obstacle(ask, p, region)
        if obstacle is not None:
            return obstacle, ()
        rate = ask.speed[pool.silicon] * ask.accelerators * pool.goodput_fraction
        rate *= ask.vendor_goodput_fraction.get(region.vendor, 1.0)
        if pool.tier == "spot":
            assert ask.spot_goodput_fraction is not None
            rate *= ask.spot_goodput_fraction
        if rate <= 0:
            return "goodput: no useful work is done there", ()
        ways: list[int] = []
        wait = 0.0
        for name in ask.datasets:
            if region.id in self.at[name]:
                continue
            way = self._way(name, region)
            if isinstance(way, str):
                return way, ()
            ways.append(way)
            wait = max(wait, self.ways[way].hours)
        stays = ask.running_in == pool.id
        carried = self._carry(ask, region)
        if isinstance(carried, str):
            return carried, ()
        carry_usd, carry_hours = carried
        begin = wait if stays else max(wait, carry_hours) + ask.restart_hours
        if self._late(ask, rate, begin) and not (stays and not ask.preemptible):
            assert ask.deadline_hours is not None
            end = begin + (ask.remaining_units or 0.0) / rate
            return f"deadline: done after {end:.4g} hours, {end - ask.deadline_hours:.2g} too late", ()
        egress = self._egress(ask, region)
        hours = max(0.0, snapshot.window_hours - begin)
        busy = hours if ask.remaining_units is None else min(hours, ask.remaining_units / rate)
        lost = 0.0 if stays else max(0.0, min(begin, snapshot.window_hours)) * rate * ask.usd_per_unit
        moves = not stays and ask.running_in is not None
        out.rate[at] = rate
        out.delay[at] = begin
        price = pool.usd_per_accelerator_hour * ask.accelerators
        out.hourly[at] = rate * (ask.usd_per_unit - egress) - price
        out.once[at] = price * (0.0 if stays else ask.restart_hours) + carry_usd
        if moves:
            # P3.1: a move that costs nothing must still gain something, or equals would swap places for ever.
            least = LEAST_MOVE_FRACTION * snapshot.window_hours * rate * ask.usd_per_unit
            out.move[at] = (carry_usd + lost) * snapshot.hysteresis_fraction + least
        paid = price * (busy + (0.0 if stays else ask.restart_hours))
        out.gain[at] = busy * rate * (ask.usd_per_unit - egress) - paid - carry_usd
        out.gain[at] -= out.move[at]
        return None, tuple(ways)

    def _stop(self, ask: PlaceAsk) -> float:
        """P3.3: the work of the restart that a stop makes necessary, and what hysteresis asks for on top."""
        if ask.running_in is None or ask.units_per_hour is not None or ask.restart_hours == 0:
            return 0.0
        pool = self.snapshot.pools[self.pool_at[ask.running_in]]
        again = min(ask.restart_hours, self.snapshot.window_hours) * ask.accelerators
        worth = max(ask.speed.get(pool.silicon, 0.0) * ask.usd_per_unit, pool.usd_per_accelerator_hour)
        return again * worth * (1 + self.snapshot.hysteresis_fraction)

    def _late(self, ask: PlaceAsk, rate: float, begin: float) -> bool:
        if ask.deadline_hours is None or ask.remaining_units is None:
            return False
        return begin + ask.remaining_units / rate > ask.deadline_hours + 1e-9

    def _obstacle(self, ask: PlaceAsk, p: int, region: Region) -> str | None:
        pool = self.snapshot.pools[p]
        if ask.allowed_pools is not None and pool.id not in ask.allowed_pools:
            return "pool: not among those that it may use"
        if pool.silicon not in ask.speed:
            return f"silicon: no measurement of {pool.silicon} for this work"
        if pool.family not in ask.families:
            return f"family: {pool.family} is not among {', '.join(ask.families)}"
        for rule, whose in ((ask.residency, "its"), (self.snapshot.residency, "the policy's")):
            if rule.allowed and not region.within(frozenset(rule.allowed)):
                return f"residency: {whose} rule allows only {', '.join(rule.allowed)}"
            if region.within(frozenset(rule.denied)):
                return f"residency: {whose} rule denies {region.id}"
        if ask.data_jurisdictions and not region.within(frozenset(ask.data_jurisdictions)):
            return f"residency: the data that it reads may come to {', '.join(ask.data_jurisdictions)} only"
        if pool.tier == "spot" and ask.spot_goodput_fraction is None:
            return "spot: it may not run on spot capacity"
        if pool.cordoned and ask.running_in != pool.id:
            return "cordon: nothing new may start there"
        if ask.one_domain and pool.domain_accelerators is not None and ask.accelerators > pool.domain_accelerators:
            most = pool.domain_accelerators
            return f"domain: the largest free one has {most} accelerators, the gang {ask.accelerators:g}"
        return None if ask.latency is None else self._far(ask, region)

    def _far(self, ask: PlaceAsk, region: Region) -> str | None:
        """P1.U. Whether the pool is too far from the users; an unmeasured distance is a problem that names the link."""
        assert ask.latency is not None
        rule = ask.latency
        key = (rule.users or (ask.home,), region.id, rule.quantile)
        if key not in self.distance:
            users = [self.regions[str(name)] for name in key[0]]
            self.distance[key] = farthest(self.snapshot.links, users, region, rule.quantile)
        at, far = self.distance[key]
        if far is None:
            message = f"{ask.id} must be near its users, but {unmeasured(at, region, rule.quantile)}"
            self._problem("latency.missing", "links", message)
            return "latency: nobody measured how far it is"
        if far <= rule.max_round_trip_milliseconds:
            return None
        return (
            f"latency: {region.id} is {far:g} ms there and back ({rule.quantile}) from users in {at.id}, "
            f"at most {rule.max_round_trip_milliseconds:g} are allowed"
        )

    def _link(self, start: str, end: str, why: str) -> Link | None:
        key = (start, end)
        if key not in self.link_of:
            self.link_of[key] = link_between(self.snapshot.links, self.regions[start], self.regions[end])
        link = self.link_of[key]
        if link is None:
            self._problem(
                "link.missing", "links", f"{why} would move from {start} to {end}, but no link has a price for it"
            )
        return link

    @property
    def _word(self) -> str:
        """The field of a link that says how fast it is."""
        return f"{self.snapshot.throughput_quantile}_gbit_per_second"

    def _hours(self, link: Link, gib: float) -> tuple[float, float | None] | None:
        """Time that counts and slow time; None when nobody knows the throughput that counts, which forbids the way."""
        careful = self.snapshot.throughput_quantile == "p10"
        fast = link.p10_gbit_per_second if careful else link.p50_gbit_per_second
        if fast is None:
            return None
        slow = link.p10_gbit_per_second
        gbit = gib * GBIT_PER_GIB
        return gbit / fast / 3600, None if slow is None else gbit / slow / 3600

    def _way(self, name: str, region: Region) -> int | str:
        """The way by which a copy of the dataset could come to the region, or what stands against it."""
        key = (name, region.id)
        if key in self.way_of:
            return self.way_of[key]
        dataset = self.snapshot.datasets[self.datasets[name]]
        found: int | str = f"residency: a copy of {name} may not lie in {region.id}"
        if not dataset.jurisdictions or region.within(frozenset(dataset.jurisdictions)):
            found = self._cheapest_way(name, region)
        self.way_of[key] = found
        return found

    def _cheapest_way(self, name: str, region: Region) -> int | str:
        dataset = self.snapshot.datasets[self.datasets[name]]
        best: Way | None = None
        for start in sorted(self.at[name]):
            link = self._link(start, region.id, f"dataset {name}")
            hours = None if link is None else self._hours(link, dataset.size_gib)
            if link is None or hours is None:
                continue
            way = Way(self.datasets[name], region.id, start, link.cost_usd(dataset.size_gib), *hours)
            if best is None or (way.usd, way.hours) < (best.usd, best.hours):
                best = way
        if best is None:
            return f"link: nobody wrote how fast {name} could come to {region.id} ({self._word})"
        self.ways.append(best)
        return len(self.ways) - 1

    def _carry(self, ask: PlaceAsk, region: Region) -> tuple[float, float] | str:
        """USD and hours to bring the checkpoint from where the ask runs or ran, or what stands against it."""
        start = ask.checkpoint_in
        if ask.running_in is not None:
            start = self.snapshot.pools[self.pool_at[ask.running_in]].region
        if start in (None, region.id) or ask.checkpoint_gib == 0:
            return 0.0, 0.0
        assert start is not None
        link = self._link(start, region.id, f"checkpoint of {ask.id}")
        hours = None if link is None else self._hours(link, ask.checkpoint_gib)
        if link is None or hours is None:
            return f"link: nobody wrote how fast its checkpoint could come to {region.id} ({self._word})"
        return link.cost_usd(ask.checkpoint_gib), hours[0]

    def _egress(self, ask: PlaceAsk, region: Region) -> float:
        """USD for each unit of work done away from home; data that lies in the region as a replica does not move."""
        start = ask.data_home or ask.home
        if start is None or region.id in (start, ask.home) or ask.data_gib_per_unit == 0 or ask.datasets:
            return 0.0
        link = self._link(start, region.id, f"data of {ask.id}")
        return 0.0 if link is None else link.next_usd_per_gib() * ask.data_gib_per_unit

"""Engine: an invented engine for the real control loop: pools, runs that take time, and everything that goes wrong.

It keeps the promises of a driver and no others: an answer may be lost after the deed, a deed may come late or twice,
a record may be seen late, a run that ended may be forgotten. What it never does is let a run commit that was fenced
before: that is what a fence means, and its ledger of commits is what the control loop is judged by.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from argosy.errors import OutsideError, StartRefused
from argosy.model.job import ExitRecord
from argosy.run.driver import EnginePool, Node, NodeSeen, Observation, Order, Resource, Seen

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
STOPPED = 143
POLL_SECONDS = 2.0
"""How often wrappers look whether they were superseded."""


class VirtualClock:
    """A clock that moves when it is told to."""

    def __init__(self, at: datetime = BEGIN) -> None:
        self.begin = self.at = at

    def now(self) -> datetime:
        """The instant it was moved to."""
        return self.at

    def monotonic_seconds(self) -> float:
        """Seconds it has been moved by."""
        return (self.at - self.begin).total_seconds()

    def forward(self, seconds: float) -> None:
        """Move on."""
        self.at += timedelta(seconds=seconds)


@dataclass(frozen=True, slots=True)
class Site:
    """One pool of the engine: so many alike machines."""

    pool: str
    vendor: str
    region: str
    silicon: str | None
    machines: int
    accelerators: float
    cpus: float
    usd_per_hour: float | None
    spot: bool = False
    paid: bool | None = None


@dataclass(slots=True)
class Faults:
    """How often each thing goes wrong, as a chance for each occasion. All 0 is a calm world."""

    lost_call: float = 0.0
    """The engine never hears it."""
    lost_answer: float = 0.0
    """The engine does it, and nobody is told."""
    late_effect: float = 0.0
    """It answers at once and does it later."""
    twice: float = 0.0
    """It does it now, and once more later."""
    fence_fails: float = 0.0
    preempted: float = 0.0
    """A run on spot capacity is taken away."""
    machine_lost: float = 0.0
    """A machine dies under a run."""
    late_record: float = 0.0
    """The exit record is seen only some time after it was written."""
    forgotten: float = 0.0
    """A run that ended is forgotten soon after."""
    unlisted: float = 0.0
    """A run that began is not listed for some seconds."""
    unreachable: list[tuple[datetime, datetime]] = field(default_factory=list)
    """When no call gets through; runs go on."""
    dark: list[tuple[str, datetime, datetime]] = field(default_factory=list)
    """Region and when everything in it is down, runs included."""
    sold_out: list[tuple[str, datetime, datetime]] = field(default_factory=list)
    """Pool and when it gives nothing new."""


@dataclass(frozen=True, slots=True)
class Commit:
    """One exit record that counts, as the engine's own ledger has it."""

    job: str
    run: str
    epoch: int
    exit_code: int
    at: datetime


@dataclass(frozen=True, slots=True)
class Save:
    """One complete checkpoint, as the engine's own ledger has it; only a run that was not fenced makes one."""

    job: str
    epoch: int
    region: str
    done_seconds: float
    """Work that need not be done again."""
    gib: float
    at: datetime

    @property
    def path(self) -> str:
        """Its name, from which a run can tell how far it is."""
        return f"/invented/{self.job}/{self.epoch:08d}/{self.done_seconds:.6f}"


@dataclass(slots=True)
class _Body:
    """What the engine holds for one run."""

    order: Order
    nodes: list[str]
    since: datetime
    listed_at: datetime
    state: Seen = "queued"
    ends_at: datetime | None = None
    left_seconds: float = 0.0
    done_seconds: float = 0.0
    """Work done before `begun_at`."""
    begun_at: datetime | None = None
    """Since when it works without a break."""
    exit_code: int | None = None
    lost: set[int] = field(default_factory=set)
    preempted: bool = False
    machine_lost: bool = False
    generation: int = 0
    """Counts changes of its end, so that an older appointment means nothing."""

    @property
    def alive(self) -> bool:
        return self.state != "ended"


class Engine:
    """One engine with several pools. Its chance is a function that gives numbers from 0 to 1."""

    def __init__(
        self,
        name: str,
        sites: Sequence[Site],
        clock: VirtualClock,
        chance: Callable[[], float],
        work: Callable[[Order], tuple[float, int]],
        *,
        faults: Faults | None = None,
        skew_seconds: float = 0.0,
        tells_age: bool = True,
        hook: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.name, self.clock, self.chance, self.work, self.hook = name, clock, chance, work, hook
        self.sites = {site.pool: site for site in sites}
        self.faults = faults or Faults()
        self.skew, self.tells_age = timedelta(seconds=skew_seconds), tells_age
        self.bodies: dict[str, _Body] = {}
        self.records: dict[str, tuple[ExitRecord, datetime]] = {}
        self.fences: dict[str, int] = {}
        self.ledger: list[Commit] = []
        self.saves: list[Save] = []
        """Checkpoints that were committed."""
        self.begun: list[tuple[str, int]] = []
        """Job and epoch of every run whose work began."""
        self.broken: dict[str, datetime] = {}
        """Machines that died, and when they are back."""
        self.appointments: list[tuple[datetime, int, Callable[[], None]]] = []
        self.serial = self.events = 0

    # --- Time

    def advance(self) -> None:
        """Let everything happen that is due by now."""
        now = self.clock.now()
        while self.appointments and self.appointments[0][0] <= now:
            _, _, happen = heapq.heappop(self.appointments)
            self.events += 1
            happen()

    def _at(self, seconds: float, happen: Callable[[], None]) -> None:
        self.serial += 1
        heapq.heappush(self.appointments, (self.clock.now() + timedelta(seconds=seconds), self.serial, happen))

    def calm(self) -> None:
        """From now on nothing goes wrong any more; what is broken is repaired."""
        self.faults = Faults()
        self.broken = {}

    # --- Faults of calls

    def _call(self, what: str, *, extra: float = 0.0) -> None:
        """A call arrives, or does not."""
        self.events += 1
        self.hook(f"{self.name}.{what}")
        self.advance()
        now = self.clock.now()
        if any(begin <= now < end for begin, end in self.faults.unreachable):
            raise OutsideError(f"{self.name} cannot be reached")
        if self._hits(self.faults.lost_call) or self._hits(extra):
            raise OutsideError(f"{self.name}: {what} timed out")

    def _answer(self, what: str) -> None:
        """The answer arrives, or does not."""
        self.hook(f"{self.name}.{what} done")
        if self._hits(self.faults.lost_answer):
            raise OutsideError(f"{self.name}: the answer to {what} was lost")

    def _hits(self, chance: float) -> bool:
        return chance > 0 and self.chance() < chance

    def _deed(self, what: str, deed: Callable[[], None]) -> None:
        """Do something now, later, or twice."""

        def again() -> None:
            try:
                deed()
            except (StartRefused, OutsideError):
                self.events += 1  # nobody waits for this answer

        if self._hits(self.faults.late_effect):
            self._at(self.chance() * 60, again)
        else:
            deed()
            if self._hits(self.faults.twice):
                self._at(self.chance() * 90, again)
        self._answer(what)

    def _dark(self, region: str) -> bool:
        now = self.clock.now()
        return any(name == region and begin <= now < end for name, begin, end in self.faults.dark)

    # --- Driver

    def capacity(self) -> tuple[EnginePool, ...]:
        """Pools as they are; a dark region has no machines that are ready."""
        self._call("capacity")
        used = self._used()
        pools = []
        for site in self.sites.values():
            down = self._dark(site.region)
            nodes = []
            for name in self._machines(site):
                accelerators, cpus = used.get(name, (0.0, 0.0))
                ready = not down and name not in self.broken
                free = max(0.0, site.accelerators - accelerators), max(0.0, site.cpus - cpus)
                nodes.append(_node(name, ready, (site.accelerators, site.cpus), free))
            pools.append(_pool(site, tuple(nodes)))
        self._answer("capacity")
        return tuple(pools)

    def start(self, order: Order) -> None:
        """Begin a run, unless it began, ended, or was superseded."""
        self._call("start")
        self._deed("start", lambda: self._start(order))

    def _start(self, order: Order) -> None:
        if self.fences.get(order.job, 0) > order.epoch:
            raise StartRefused("Superseded", f"{order.job} is past epoch {order.epoch}", retryable=False)
        if order.run in self.bodies or order.run in self.records:
            return
        site, now = self.sites[order.pool], self.clock.now()
        if self._dark(site.region):
            raise OutsideError(f"{site.region} does not answer")
        if any(pool == site.pool and begin <= now < end for pool, begin, end in self.faults.sold_out):
            raise StartRefused("NoCapacity", f"{site.pool} has nothing left", retryable=True)
        nodes = self._room(order, site, order.task.nodes)
        if len(nodes) < order.task.nodes:
            raise StartRefused("NoCapacity", f"{site.pool} is full", retryable=True)
        unlisted = self.chance() * 20 if self._hits(self.faults.unlisted) else 0.0
        seconds, code = self.work(order)
        saved = 0.0 if order.checkpoint is None else float(order.checkpoint.rpartition("/")[2])
        left = max(0.5, seconds - saved)
        body = _Body(order, nodes, now, now + timedelta(seconds=unlisted), exit_code=code, left_seconds=left)
        body.done_seconds = saved
        self.bodies[order.run] = body
        self._at(self.chance() * 5, lambda: self._begin(body))

    def _begin(self, body: _Body) -> None:
        if body.state != "queued":
            return
        body.state = "running"
        self.begun.append((body.order.job, body.order.epoch))
        if body.order.choice.spot and self._hits(self.faults.preempted):
            self._at(self.chance() * body.left_seconds, lambda: self._preempt(body))
        if self._hits(self.faults.machine_lost):
            self._at(self.chance() * body.left_seconds, lambda: self._lose(body))
        self._go_on(body)

    def _go_on(self, body: _Body) -> None:
        body.generation += 1
        mine = body.generation
        body.begun_at = self.clock.now()
        checkpoint = body.order.task.placement.checkpoint
        if checkpoint is not None and checkpoint.every_seconds is not None:
            self._at(checkpoint.every_seconds, lambda: self._save_again(body, mine))
        body.ends_at = self.clock.now() + timedelta(seconds=body.left_seconds)
        self._at(body.left_seconds, lambda: self._end(body, mine, body.exit_code or 0))

    def _save_again(self, body: _Body, generation: int) -> None:
        if body.alive and body.generation == generation:
            self._save(body)
            checkpoint = body.order.task.placement.checkpoint
            assert checkpoint is not None
            assert checkpoint.every_seconds is not None
            self._at(checkpoint.every_seconds, lambda: self._save_again(body, generation))

    def _save(self, body: _Body) -> None:
        """Commit a checkpoint, unless a later epoch holds the job."""
        order, checkpoint = body.order, body.order.task.placement.checkpoint
        if checkpoint is None or body.begun_at is None or self.fences.get(order.job, 0) > order.epoch:
            return
        now = self.clock.now()
        done = body.done_seconds + (now - body.begun_at).total_seconds()
        self.saves.append(Save(order.job, order.epoch, self.sites[order.pool].region, done, checkpoint.gib, now))

    def _end(self, body: _Body, generation: int, code: int) -> None:
        """The work ends by itself or was asked to, and commits what it can."""
        if not body.alive or body.generation != generation:
            return
        if code == STOPPED:
            self._save(body)
        order, now = body.order, self.clock.now()
        superseded = self.fences.get(order.job, 0) > order.epoch
        record = ExitRecord.model_construct(
            job=order.job,
            run=order.run,
            epoch=order.epoch,
            exit_code=code,
            finished_at=now + self.skew,
            manifest_hash=None,
            superseded=superseded,
        )
        late = self.chance() * 40 if self._hits(self.faults.late_record) else 0.0
        self.records[order.run] = (record, now + timedelta(seconds=late))
        if not superseded:
            self.ledger.append(Commit(order.job, order.run, order.epoch, code, now))
        self._over(body, code)

    def _over(self, body: _Body, code: int | None) -> None:
        body.state, body.exit_code = "ended", code
        if self._hits(self.faults.forgotten):
            self._at(self.chance() * 30, lambda: self._forget(body.order.run))

    def _forget(self, run: str) -> None:
        self.bodies.pop(run, None)

    def _preempt(self, body: _Body) -> None:
        if body.alive:
            body.preempted = True
            self._over(body, None)

    def _lose(self, body: _Body, rank: int | None = None) -> None:
        """A machine dies: a gang hangs until it is replaced, a single node is over."""
        if not body.alive:
            return
        rank = int(self.chance() * len(body.nodes)) if rank is None else rank
        machine = body.nodes[rank]
        self.broken[machine] = self.clock.now()
        self._at(300, lambda: self._repair(machine))
        if len(body.nodes) == 1:
            body.machine_lost = True
            body.lost.add(0)
            self._over(body, None)
            return
        if body.ends_at is not None and not body.lost:
            body.left_seconds = max(0.0, (body.ends_at - self.clock.now()).total_seconds())
            if body.begun_at is not None:
                body.done_seconds += (self.clock.now() - body.begun_at).total_seconds()
                body.begun_at = None
        body.lost.add(rank)
        body.generation += 1
        body.ends_at = None

    def _repair(self, machine: str) -> None:
        self.broken.pop(machine, None)

    def darken(self, region: str) -> None:
        """Everything in a region dies; the engine forgets half of it."""
        for run, body in list(self.bodies.items()):
            if self.sites[body.order.pool].region == region and body.alive:
                body.machine_lost = True
                body.lost = set(range(len(body.nodes)))
                self._over(body, None)
                if self.chance() < 0.5:
                    self._forget(run)

    def observe(self, runs: Sequence[str]) -> dict[str, Observation]:
        """What is known of each run, which may be less than is so."""
        self._call("observe")
        now = self.clock.now()
        found = {}
        for run in runs:
            body = self.bodies.get(run)
            if body is None or body.listed_at > now:
                found[run] = _absent(run)
                continue
            nodes = tuple(_node_seen(rank, node, rank in body.lost) for rank, node in enumerate(body.nodes))
            found[run] = Observation.model_construct(
                run=run,
                seen=body.state,
                nodes=nodes if body.state == "running" else (),
                exit_code=None if body.alive else body.exit_code,
                preempted=body.preempted,
                node_failed=body.machine_lost,
                message="",
            )
        self._answer("observe")
        return found

    def exit_record(self, run: str) -> ExitRecord | None:
        """The record, once it can be seen; after a fence of its job at once."""
        self._call("exit_record")
        record, visible = self.records.get(run, (None, self.clock.now()))
        if record is not None and visible > self.clock.now() and self.fences.get(record.job, 0) <= record.epoch:
            record = None
        self._answer("exit_record")
        return record

    def fence(self, job: str, epoch: int) -> None:
        """Shut out lower epochs, at once or not at all; wrappers notice at their next poll."""
        self._call("fence", extra=self.faults.fence_fails)
        self.fences[job] = max(self.fences.get(job, 0), epoch)
        for body in self.bodies.values():
            if body.order.job == job and body.order.epoch < epoch and body.alive:
                self._end_soon(body, POLL_SECONDS)
        self._answer("fence")

    def _end_soon(self, body: _Body, seconds: float) -> None:
        self._at(seconds, lambda: self._end(body, body.generation, STOPPED))

    def stop(self, run: str, grace_seconds: float) -> None:
        """Ask a run to end."""
        self._call("stop")
        body = self.bodies.get(run)
        if body is not None and body.alive:
            self._deed("stop", lambda: self._end_soon(body, self.chance() * grace_seconds))

    def replace_node(self, order: Order, rank: int) -> None:
        """Give a lost rank another machine; the run goes on where it stood."""
        self._call("replace_node")
        body = self.bodies.get(order.run)
        if body is None or not body.alive or rank not in body.lost:
            return
        room = self._room(order, self.sites[order.pool], 1)
        if not room:
            raise StartRefused("NoCapacity", f"{order.pool} is full", retryable=True)
        body.nodes[rank] = room[0]
        body.lost.discard(rank)
        if not body.lost:
            self._go_on(body)
        self._answer("replace_node")

    def logs(self, run: str, rank: int, offset: int, limit: int) -> bytes:
        """Invented work says nothing."""
        return b""

    def logs_from(self, run: str, rank: int) -> int | None:
        """Nothing was dropped of nothing."""
        return 0

    def list_by_tag(self) -> tuple[Resource, ...]:
        """Everything that costs money now."""
        self._call("list_by_tag")
        now = self.clock.now()
        found = tuple(
            Resource(run=run, reference=run, since=body.since + self.skew if self.tells_age else None)
            for run, body in self.bodies.items()
            if body.alive and body.listed_at <= now
        )
        self._answer("list_by_tag")
        return found

    def close(self) -> None:
        """Nothing is held."""

    # --- Inside

    def reachable(self) -> bool:
        """Whether calls get through now."""
        now = self.clock.now()
        return not any(begin <= now < end for begin, end in self.faults.unreachable)

    def billed(self) -> list[str]:
        """Runs that cost money now, whatever any call would say."""
        return [run for run, body in self.bodies.items() if body.alive]

    @staticmethod
    def _machines(site: Site) -> list[str]:
        return [f"{site.pool.rsplit('/', 1)[-1]}-{i}" for i in range(site.machines)]

    def _used(self) -> dict[str, tuple[float, float]]:
        used: dict[str, tuple[float, float]] = {}
        for body in self.bodies.values():
            if body.alive:
                for node in body.nodes:
                    accelerators, cpus = used.get(node, (0.0, 0.0))
                    mine = _cores(body.order)
                    used[node] = (accelerators + body.order.choice.accelerators, cpus + mine)
        return used

    def _room(self, order: Order, site: Site, count: int) -> list[str]:
        used = self._used()
        found: list[str] = []
        accelerators, cpus = order.choice.accelerators, _cores(order)
        mine = set(self.bodies[order.run].nodes) if order.run in self.bodies else set()
        for name in sorted(self._machines(site), key=lambda n: n in order.avoid_nodes):
            has = used.get(name, (0.0, 0.0))
            if name in self.broken or name in mine:
                continue
            room = [site.accelerators - has[0], site.cpus - has[1]]
            while len(found) < count and room[0] >= accelerators - 1e-9 and room[1] >= cpus - 1e-9:
                found.append(name)
                room = [room[0] - accelerators, room[1] - cpus]
        return found


# Records do not change, and there are few that differ: each is made once.
@lru_cache(4096)
def _node(name: str, ready: bool, whole: tuple[float, float], free: tuple[float, float]) -> Node:
    """A machine with its accelerators and cores, all and free."""
    return Node(
        id=name, ready=ready, accelerators=whole[0], free_accelerators=free[0], cpus=whole[1], free_cpus=free[1]
    )


def _pool(site: Site, nodes: tuple[Node, ...]) -> EnginePool:
    return EnginePool.model_construct(
        id=site.pool,
        vendor=site.vendor,
        region=site.region,
        silicon=site.silicon,
        spot=site.spot,
        nodes=nodes,
        elastic_nodes=0,
        usd_per_hour=site.usd_per_hour,
        paid=site.paid,
    )


@lru_cache(4096)
def _node_seen(rank: int, node: str, lost: bool) -> NodeSeen:
    return NodeSeen(rank=rank, node=node, state="lost" if lost else "running")


@lru_cache(4096)
def _absent(run: str) -> Observation:
    return Observation(run=run, seen="absent")


def _cores(order: Order) -> float:
    """Cores of one node; one where nothing is asked for."""
    return order.choice.cpus or (0.0 if order.choice.accelerators else 1.0)

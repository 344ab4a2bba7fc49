"""Fleet: what the engines have, less what is promised to runs that they do not show yet.

One `Fleet` is made for each tick and used up by it: every run that is placed takes its machines out, so that the next
one sees what is left. Machines are counted one by one; `place` sees pools.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from argosy.model.job import Run
from argosy.model.task import Choice, Task
from argosy.run.driver import EnginePool, Node
from argosy.run.ladder import locations, node_location

CORES = "cpu"
"""Silicon of pools without accelerators; their capacity is counted in cores."""
ELASTIC_ACCELERATORS = 1024.0
"""Capacity that one machine still to be provisioned counts for; how many machines there are is what binds."""
DEFAULT_CORES = 1.0
"""Cores of a node of a task that does not say how many."""


@dataclass(frozen=True, slots=True)
class Need:
    """What each node of a task takes."""

    nodes: int
    accelerators: float
    cpus: float
    memory_gib: float

    @property
    def amount(self) -> float:
        """All nodes together, in accelerators; in cores where none is needed."""
        return self.nodes * (self.accelerators or self.cpus)


def need_of(task: Task, choice: Choice) -> Need:
    """What a task takes under one of its choices."""
    cpus = choice.cpus if choice.cpus is not None else (0.0 if choice.accelerators else DEFAULT_CORES)
    return Need(task.nodes, choice.accelerators, cpus, choice.memory_gib or 0.0)


@dataclass(slots=True)
class _Room:
    """A machine and what is left of it."""

    node: Node
    accelerators: float
    cpus: float
    open: bool
    avoided: bool = False
    """Whether it is closed only because it failed lately (R9)."""

    def holds(self, need: Need) -> int:
        """How many nodes of a task fit now."""
        return _holds(self.node, need, self.accelerators, self.cpus) if self.open else 0


def _holds(node: Node, need: Need, accelerators: float, cpus: float) -> int:
    """How many nodes of a task fit into so much of a machine."""
    if node.memory_gib is not None and need.memory_gib > node.memory_gib:
        return 0
    most = need.nodes
    if need.accelerators:
        most = min(most, int((accelerators + 1e-9) / need.accelerators))
    if need.cpus:
        most = min(most, int((cpus + 1e-9) / need.cpus))
    return max(0, most)


@dataclass(slots=True)
class FleetPool:
    """One pool in one tick."""

    driver: str
    pool: EnginePool
    cordoned: bool
    drained: bool
    rooms: list[_Room]
    elastic: int
    full: dict[Need, int] = field(default_factory=dict)
    """For each need, how many machines from the first on are known to have no room for it."""

    @property
    def silicon(self) -> str:
        """Type of chip, or cores."""
        return (self.pool.silicon or CORES).lower()

    @property
    def free(self) -> float:
        """Accelerators (cores) that are free now on machines that may be used."""
        rooms = sum((r.cpus if self.pool.silicon is None else r.accelerators) for r in self.rooms if r.open)
        return max(0.0, rooms) + self.elastic * ELASTIC_ACCELERATORS

    @property
    def paid(self) -> float:
        """Accelerators (cores) that are paid for whether used or not."""
        if self.pool.paid:
            return float("inf")
        if self.pool.paid is not None:
            return 0.0
        return sum(r.node.accelerators if self.pool.silicon else r.node.cpus for r in self.rooms)

    def describe(self) -> str:
        """Its machines in words."""
        kind = self.pool.silicon
        largest = max((r.node.accelerators if kind else r.node.cpus for r in self.rooms), default=0.0)
        more = f", {self.elastic} more on demand" if self.elastic else ""
        memory = max((r.node.memory_gib or 0.0 for r in self.rooms), default=0.0)
        room = f"{largest:g} {kind or 'cores'}" + (f" and {memory:.4g} GiB" if memory else "")
        return f"{len(self.rooms)} machine{'s' if len(self.rooms) != 1 else ''} of up to {room}{more}"

    def fits(self, need: Need) -> bool:
        """Whether all nodes of a task find room now."""
        found = self.elastic
        for i in range(self._first(need), len(self.rooms)):
            if found >= need.nodes:
                break
            found += self.rooms[i].holds(need)
        return found >= need.nodes

    def _first(self, need: Need) -> int:
        """The first machine that may have room. Machines only fill up within a tick, so the search goes on from it."""
        i = self.full.get(need, 0)
        while i < len(self.rooms) and not self.rooms[i].holds(need):
            i += 1
        self.full[need] = i
        return i

    def could(self, need: Need) -> bool:
        """Whether an empty pool could hold the task at all."""
        found = self.elastic
        for room in self.rooms:
            if found >= need.nodes:
                break
            found += _holds(room.node, need, room.node.accelerators, room.node.cpus)
        return found >= need.nodes

    def take(self, need: Need) -> None:
        """Take room for a task."""
        left = need.nodes
        for i in range(self._first(need), len(self.rooms)):
            room = self.rooms[i]
            while left and room.holds(need):
                room.accelerators -= need.accelerators
                room.cpus -= need.cpus
                left -= 1
            if not left:
                return
        self.elastic = max(0, self.elastic - left)


@dataclass(slots=True)
class Fleet:
    """All pools in one tick."""

    pools: dict[str, FleetPool] = field(default_factory=dict)
    unknown: dict[str, str] = field(default_factory=dict)
    """Driver that could not be asked, to why."""

    def open_avoided(self) -> bool:
        """R9: let machines that failed lately be used after all; False when there are none."""
        found = False
        for pool in self.pools.values():
            for room in pool.rooms:
                if room.avoided:
                    room.open, room.avoided, found = True, False, True
                    pool.full.clear()
        return found

    def candidates(self, choice: Choice, need: Need) -> list[str]:
        """Pools that one choice of a task allows and that could hold it when empty."""
        return [name for name, pool in self.pools.items() if _matches(pool, choice) and pool.could(need)]


def make_fleet(
    capacity: Mapping[str, tuple[EnginePool, ...]],
    *,
    unknown: Mapping[str, str],
    cordons: Mapping[str, bool],
    avoid: frozenset[str],
) -> Fleet:
    """Pools of all drivers, with cordons applied; machines that are avoided take nothing at first."""
    fleet = Fleet(unknown=dict(unknown))
    for driver, pools in capacity.items():
        for pool in pools:
            closed = place_names(pool.id, pool.vendor, pool.region) & set(cordons)
            rooms = []
            for node in pool.nodes:
                mine = node_names(pool.id, node.id)
                usable, failed = node.ready and not mine & set(cordons), bool(mine & avoid)
                room = _Room(node, node.free_accelerators, node.free_cpus, usable and not failed, usable and failed)
                rooms.append(room)
            drained = any(cordons[name] for name in closed)
            fleet.pools[pool.id] = FleetPool(driver, pool, bool(closed), drained, rooms, pool.elastic_nodes)
    return fleet


def promise(fleet: Fleet, runs: Iterable[Run], needs: Mapping[str, Need]) -> None:
    """Take out what is promised to runs whose engine does not show them as placed yet."""
    for run in runs:
        if run.pool in fleet.pools and not run.nodes and run.status in ("LEASED", "PROVISIONING") and run.id in needs:
            fleet.pools[run.pool].take(needs[run.id])


def place_names(pool: str, vendor: str, region: str) -> set[str]:
    """All names by which a pool, or what it lies in, may be cordoned."""
    return {pool, region, vendor, *locations(pool, vendor, region).values()}


def node_names(pool: str, node: str) -> set[str]:
    """All names by which one machine may be cordoned."""
    return {node, f"{pool}/{node}", node_location(pool, node)}


def _matches(pool: FleetPool, choice: Choice) -> bool:
    engine = pool.pool
    if choice.accelerators:
        if engine.silicon is None or (choice.silicon is not None and choice.silicon.lower() != engine.silicon.lower()):
            return False
    elif engine.silicon is not None:
        return False
    if choice.spot != engine.spot:
        return False
    if choice.vendor is not None and choice.vendor != engine.vendor:
        return False
    return choice.region is None or choice.region in (engine.region, engine.region.rsplit("/", 1)[-1])

"""Remedy: whether what an excuse asks for really unblocks an ask, tried on the snapshot. Nothing is assumed.

P1.X1  Of the excuses of an ask that waits, the nearest to a start are followed one by one: the snapshot is changed by
      what the excuse asks for, placed again and recounted, and the ask runs then or still waits, with what stands in
      its way then. Where accelerators are short and others that wait would take them first, the least number at which
      it runs is looked for; where its value stands in its way as well, the least value.
Called by `argosy explain`; a decision itself does not try anything.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil
from typing import Any

from argosy.model.decision import Excuse
from argosy.model.load import Residency
from argosy.model.placement import Placement
from argosy.model.snapshot import NodeState, Snapshot

Decide = Callable[[Snapshot], Placement]
MOST_TRIED = 4
"""Excuses that are followed."""
HALVINGS = 12
MOST_GANGS = 256
"""How many more gangs of its size than it lacks itself room is looked for."""
MOST_RATIO = 1024.0
"""How many times its value is looked at."""
SMALL = 1e-6
_LIFTED: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "residency": ("without that rule", {"residency": Residency()}, {"residency": Residency()}),
    "deadline": ("without its deadline", {"deadline_hours": None}, {}),
    "domain": ("if its gang may span domains", {"one_domain": False}, {}),
    "pool": ("if it may use every pool", {"allowed_pools": None}, {}),
    "P1.H": ("without spread", {"spread": None}, {}),
    "P1.Q": ("if all of it may run on spot", {"firm_fraction": 0.0}, {}),
    "P1.V": ("without max_vendor_fraction", {}, {"max_vendor_fraction": None}),
    "P1.C": ("without max_critical_service_fraction", {}, {"max_critical_vendor_fraction": None}),
}
"""Rule to words, and what changes in the ask and in the snapshot when it is lifted."""


@dataclass(frozen=True, slots=True)
class Tried:
    """One remedy, followed."""

    rule: str
    """Rule of the excuse."""
    change: str
    """What was changed, in words that follow on "it runs" or "it still waits"."""
    runs: bool
    pool: str | None
    """Where it runs then."""
    stops: tuple[str, ...]
    """Asks that would be stopped for it and are not without the change."""
    still: str | None
    """What stands in its way then, where it still waits."""


def tried(snapshot: Snapshot, placement: Placement, ask: str, decide: Decide) -> tuple[Tried, ...]:
    """The nearest remedies of an ask that waits, followed; empty when it does not wait.

    `decide` places a changed snapshot as this one was placed.
    """
    waiting = next((row for row in placement.unplaced if row.ask == ask), None)
    if waiting is None:
        return ()
    trial = _Trial(snapshot, placement, ask, decide)
    out: list[Tried] = []
    for excuse in waiting.excuses:
        done = trial.follow(excuse) if len(out) < MOST_TRIED else None
        if done is not None and all(row.change != done.change for row in out):
            out.append(done)
    waits = any(excuse.rule == "wait" for excuse in waiting.excuses)
    if trial.outbid(waiting.excuses) and not waits and placement.objective == "value":
        out.append(trial.value())
    return tuple(out)


class _Trial:
    def __init__(self, snapshot: Snapshot, placement: Placement, ask: str, decide: Decide) -> None:
        self.snapshot, self.placement, self.name, self.decide = snapshot, placement, ask, decide
        self.ask = next(row for row in snapshot.asks if row.id == ask)
        same = {"id": ask, "count": self.ask.count}
        # Asks that are alike take turns: any of them may be the one that runs.
        self.alike = {row.id for row in snapshot.asks if row.model_copy(update=same) == self.ask}
        self.before = self._left(placement, self.alike)

    def outbid(self, excuses: tuple[Excuse, ...]) -> bool:
        """Whether its value stands in its way: not where every pool that is open to it is too small."""
        names = {
            name for e in excuses if e.rule in ("P1.P", "price") for name in e.limit.partition(": ")[0].split(", ")
        }
        least = self.ask.accelerators if self.ask.units_per_hour is None else 0.0
        return any(pool.pool in names and pool.capacity_accelerators >= least for pool in self.placement.pools)

    def follow(self, excuse: Excuse) -> Tried | None:
        """The change that an excuse asks for, made; None where nothing can be tried, as a chip nobody measured."""
        if excuse.rule == "P1.P" and excuse.short is not None:
            return self._accelerators(excuse, excuse.limit.partition(": ")[0], excuse.short)
        if excuse.rule in ("P1.L", "P1.G", "P1.O") and excuse.short is not None:
            return self._limit(excuse, excuse.short)
        if excuse.rule == "wait":
            return self._later(excuse.short or 0.0)
        if excuse.rule == "cordon":
            pools = tuple(pool.model_copy(update={"cordoned": False}) for pool in self.snapshot.pools)
            return self._told(excuse.rule, "with nothing cordoned", self.snapshot.model_copy(update={"pools": pools}))
        if excuse.rule in _LIFTED:
            words, of_ask, of_all = _LIFTED[excuse.rule]
            return self._told(excuse.rule, words, self._changed(of_ask).model_copy(update=of_all))
        return None

    def _later(self, hours: float) -> Tried | None:
        """P5.15: a look after it should have started on demand at the latest, nothing being done until then."""
        if self.ask.deadline_hours is None:
            return None
        later = hours + self.snapshot.look_hours
        if later >= self.ask.deadline_hours:
            return None
        world = self._changed(
            {
                "deadline_hours": self.ask.deadline_hours - later,
                "elapsed_hours": self.ask.elapsed_hours + later,
            }
        )
        return self._told("wait", f"{later:,.4g} hours later, with nothing done until then,", world)

    def _changed(self, update: dict[str, Any]) -> Snapshot:
        """The snapshot with another ask in place of this one."""
        asks = tuple(row.model_copy(update=update) if row.id == self.name else row for row in self.snapshot.asks)
        return self.snapshot.model_copy(update={"asks": asks})

    def _told(self, rule: str, change: str, world: Snapshot) -> Tried:
        done = self.decide(world)
        runs = self._runs(done, self.alike if world.asks == self.snapshot.asks else {self.name})
        stops = {row.ask for row in done.evictions} - {row.ask for row in self.placement.evictions}
        there = next((row.pool for row in done.assignments if row.ask == self.name), None)
        still = None
        if not runs:
            waits = next((row for row in done.unplaced if row.ask == self.name), None)
            still = waits.excuses[0].limit if waits is not None and waits.excuses else "nothing has changed for it"
        return Tried(rule, change, runs, there if runs else None, tuple(sorted(stops)) if runs else (), still)

    def _runs(self, done: Placement, names: set[str]) -> bool:
        """Whether more of these asks runs than before."""
        return self._left(done, names) < self._left(self.placement, names) - SMALL * max(1.0, self.ask.count)

    @staticmethod
    def _left(placement: Placement, names: set[str]) -> float:
        return sum(row.count for row in placement.unplaced if row.ask in names)

    def _accelerators(self, excuse: Excuse, name: str, short: float) -> Tried:
        def more(gangs: int) -> Snapshot:
            count = short + gangs * self.ask.accelerators
            pools = tuple(
                pool.model_copy(update={"own_accelerators": pool.own_accelerators + count}) if pool.id == name else pool
                for pool in self.snapshot.pools
            )
            return self.snapshot.model_copy(update={"pools": pools, "nodes": self._nodes(name, count)})

        def enough(gangs: int) -> bool:
            return self._runs(self.decide(more(gangs)), self.alike)

        low, high = -1, 0
        while not enough(high):
            low, high = high, max(1, 2 * high)
            if high > MOST_GANGS:
                low, high = -1, 0
                break
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if enough(middle) else (middle, high)
        words = f"with {short + high * self.ask.accelerators:,.6g} more accelerators in {name}"
        return self._told(excuse.rule, words + (", the first of which go to others," if high else ""), more(high))

    def _nodes(self, name: str, count: float) -> tuple[NodeState, ...]:
        """The nodes with so many accelerators more in a pool whose nodes are known: like its largest, in one domain."""
        mine = [node for node in self.snapshot.nodes if node.pool == name and node.accelerators]
        if not mine:
            return self.snapshot.nodes
        like = max(mine, key=lambda node: node.accelerators)
        made = range(ceil(count / like.accelerators - SMALL))
        return (
            *self.snapshot.nodes,
            *(like.model_copy(update={"id": f"{like.id}/{i}", "domain": "new"}) for i in made),
        )

    def value(self) -> Tried:
        """The least value at which it runs, all else as it is; nothing runs where no value helps."""

        def worth(ratio: float) -> Snapshot:
            return self._changed({"usd_per_unit": self.ask.usd_per_unit * ratio})

        def enough(ratio: float) -> bool:
            return self._runs(self.decide(worth(ratio)), {self.name})

        low, high = 1.0, 2.0
        while high <= MOST_RATIO and not enough(high):
            low, high = high, 2 * high
        for _ in range(HALVINGS if high <= MOST_RATIO else 0):
            if high - low <= 0.01 * high:
                break
            middle = (low + high) / 2
            low, high = (low, middle) if enough(middle) else (middle, high)
        high = min(high, MOST_RATIO)
        value = self.ask.usd_per_unit * high
        words = f"if worth {value:,.4g} USD per reference accelerator-hour instead of {self.ask.usd_per_unit:,.4g}"
        return self._told("price", words, worth(high))

    def _limit(self, excuse: Excuse, short: float) -> Tried | None:
        name = excuse.limit.partition(": ")[2].partition(" has ")[0]
        world, more = self.snapshot, short * (1 + SMALL)
        if excuse.rule == "P1.L":
            rows: tuple[Any, ...] = tuple(
                row.model_copy(update={"capacity": row.capacity + more}) if row.id == name else row
                for row in world.supplies
            )
            return self._told(
                excuse.rule, f"with {short:,.6g} more of {name}", world.model_copy(update={"supplies": rows})
            )
        if excuse.rule == "P1.G":
            rows = tuple(
                row.model_copy(update={"max_mw": row.max_mw + more}) if row.id == name else row
                for row in world.power_limits
            )
            return self._told(
                excuse.rule, f"with {short:,.6g} MW more for {name}", world.model_copy(update={"power_limits": rows})
            )
        if name in world.owner_shares:
            shares = {**world.owner_shares, name: 1.0}
            return self._told(
                excuse.rule, f"without the share of {name}", world.model_copy(update={"owner_shares": shares})
            )
        return None


def words(row: Tried) -> str:
    """One remedy as a sentence."""
    if not row.runs:
        return f"Tried: {row.change} it still waits: {row.still}."
    stops = f", and {', '.join(row.stops[:4])} would be stopped for it" if row.stops else ""
    return f"Tried: {row.change} it runs{f' in {row.pool}' if row.pool else ''}{stops}."

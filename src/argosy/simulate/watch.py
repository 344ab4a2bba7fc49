"""Watch: what must hold after every step of a simulation with faults, recounted from what the vendors really run.

W1  At most one run of an ask can commit, and an ask has at most one exit record.
W2  Nothing is billed without an owner for longer than the sweep period, silence of its vendor not counted.
W3  Every ask that has ended has an exit record; every lease that has ended says why, `lost` and `unreachable` included.
W4  After faults have stopped every ask ends.
W5  No run, and no checkpoint, lies where the residency of its work, its data or the policy does not let it.
W6  No pool holds more than stands there.
W7  What was billed is what the runs were there for.
W8  Every decision survived its recount (`place.check`), at most at rounding.
Called by the simulation; reads its parts and changes nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from argosy.model.region import Region
from argosy.model.snapshot import PlaceAsk

if TYPE_CHECKING:
    from argosy.simulate.run import Simulation

SWEEP_ROUNDS = 12
"""Rounds within which a run without an owner is gone: listings and stops may each fail twice in a row."""
SMALL = 1e-6
MOST_VIOLATIONS = 100


class Watch:
    """Checks one simulation and lists what was violated."""

    def __init__(self, simulation: Simulation) -> None:
        self.simulation = simulation
        self.violations: list[str] = []
        self.steps = 0
        self._told: set[str] = set()
        self._orphan_hours: dict[str, float] = {}
        self._looked_hours = 0.0
        self._ended = 0
        self._residency: dict[tuple[str, str], bool] = {}

    def step(self) -> None:
        """W1, W2, W3, W5, W6 as the world stands now."""
        made = self.simulation
        now = made.clock.hours
        self.steps += 1
        leases = made.store.leases()
        committing: dict[str, int] = {}
        alive: set[str] = set()
        for vendor, engine in made.vendors.items():
            silent = made.faults is not None and any(
                s.subject == vendor and s.begin_hours < now and self._looked_hours < s.end_hours
                for s in made.faults.silent
            )
            for name, run in engine.runs.items():
                alive.add(name)
                ask = run.order.ask
                lease = leases.get(ask.id)
                if lease is not None and lease.epoch == run.order.lease.epoch:
                    committing[ask.id] = committing.get(ask.id, 0) + 1
                    self._orphan_hours.pop(name, None)
                else:
                    self._orphan(name, now, silent)
                self._lies(ask, run.region, "run")
        for name, pool in made.ground.levels:
            self._lies(made.ground.flow_asks[name], made.ground.pools[pool].region, "part")
        self._looked_hours = now
        for name in [name for name in self._orphan_hours if name not in alive]:
            del self._orphan_hours[name]
        for name, count in committing.items():
            self._holds(count <= 1, f"W1: {count} runs of {name} can commit")
        self._records()
        for pool in made.capacity.pools:
            self._holds(
                made.meter.in_use(pool) <= made.ground.most[pool] + 1e-3,
                f"W6: {pool} holds {made.meter.in_use(pool):g} of {made.ground.most[pool]:g}",
            )

    def _orphan(self, name: str, now: float, silent: bool) -> None:
        age = self._orphan_hours.get(name, 0.0)
        if name in self._orphan_hours and not silent:
            age += now - self._looked_hours
        self._orphan_hours[name] = age
        limit = SWEEP_ROUNDS * self.simulation.setup.round_hours
        self._holds(age <= limit, f"W2: {name} is billed without an owner for {age:.1f} hours")

    def _records(self) -> None:
        """W3, for what has ended since the last step; W5 for checkpoints."""
        store = self.simulation.store
        if len(store.ended) != self._ended:
            for ask, reason in list(store.ended.items())[self._ended :]:
                self._holds(store.finished(ask) is not None, f"W3: {ask} ended ({reason}) without an exit record")
            self._ended = len(store.ended)
        for name, want in store.wants().items():
            region = store.saved(name).region
            if region is not None:
                self._lies(want.ask, region, "checkpoint")

    def _lies(self, ask: PlaceAsk, where: str, what: str) -> None:
        """W5."""
        key = (ask.id, where)
        if key not in self._residency:
            self._residency[key] = self._may_lie(ask, self.simulation.ground.regions[where])
        self._holds(self._residency[key], f"W5: a {what} of {ask.id} lies in {where}")

    def _may_lie(self, ask: PlaceAsk, region: Region) -> bool:
        """Counted from the portfolio's own records, not from the ask that `place` saw."""
        portfolio = self.simulation.setup.portfolio
        workload = next(w for w in portfolio.workloads if w.id == self.simulation.work.workload_of[ask.id])
        named = {region.id, region.vendor, region.jurisdiction, *region.zones}
        for rule in (workload.residency, portfolio.policy.residency):
            if (rule.allowed and not named & set(rule.allowed)) or named & set(rule.denied):
                return False
        data = next((d for d in portfolio.datasets if d.id == workload.dataset), None)
        return data is None or region.id == data.home or not data.jurisdictions or bool(named & set(data.jurisdictions))

    def end(self) -> None:
        """W4, W7, W8 when all is over."""
        made = self.simulation
        left = sorted(made.store.wants())
        if left:
            self._holds(False, f"W4: {len(left)} asks never ended, {left[0]} among them")
        for name in sorted(self.simulation.work.workload_of):
            if made.store.finished(name) is not None:
                count = made.counts.committed.get(name, 0)
                self._holds(count == 1, f"W1: {count} runs committed a result of {name}")
        running = sum(
            run.order.lease.accelerators * (made.clock.hours - run.began_hours)
            for engine in made.vendors.values()
            for run in engine.runs.values()
        )
        runs = made.counts.billed_accelerator_hours + running
        flows = made.ground.flow_accelerator_hours
        billed = float(made.meter.used_accelerator_hours.sum())
        self._holds(
            abs(billed - runs - flows) <= 1e-6 * max(1.0, billed),
            f"W7: {billed:.6g} accelerator-hours were billed and {runs + flows:.6g} were used",
        )
        self._holds(made.record.worst_residual <= SMALL, f"W8: a decision is off by {made.record.worst_residual:.3g}")

    def _holds(self, right: bool, words: str) -> None:
        if not right and words not in self._told and len(self._told) < MOST_VIOLATIONS:
            self._told.add(words)
            self.violations.append(f"hour {self.simulation.clock.hours:.2f}: {words}")

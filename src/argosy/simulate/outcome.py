"""Outcome: what a simulation of a portfolio found, as figures that repeat bit for bit.

Read by the command (`--json`, tables) and by the page. Nothing here depends on the machine or its clock.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from argosy.simulate.bill import Bill, bill
from argosy.simulate.capacity import Floats
from argosy.simulate.fairness import Fairness, fairness
from argosy.simulate.run import Simulation

QUANTILES = (0.5, 0.9, 0.99)


@dataclass(frozen=True, slots=True)
class PoolOutcome:
    """One pool."""

    pool: str
    capacity_accelerators: float
    """Mean that could be used."""
    used_accelerators: float
    """Mean in use."""
    used_fraction: float | None
    """None where there was nothing to use."""


@dataclass(frozen=True, slots=True)
class WorkOutcome:
    """One workload. Work counts hours of a reference accelerator."""

    workload: str
    flows: bool
    arrived: int | None
    """Asks; None for work that flows."""
    ended: int | None
    late: int | None
    """Ended late, or due and not ended; None where nothing is ever due."""
    wanted_units: float
    done_units: float
    unserved_units: float
    """Wanted and not done; of asks, what had arrived and was not done at the end."""
    mean_wait_hours: float | None
    """From arrival to the first useful work, of those that had any."""


@dataclass(frozen=True, slots=True)
class DayOutcome:
    """One day."""

    day: int
    arrived: int
    ended: int
    used_fraction: float | None
    served_fraction: float | None
    """Of work that flows; None when none was wanted."""
    committed_usd: float
    on_demand_usd: float
    """Everything without a commitment, spot included."""
    egress_usd: float
    migrations: int
    evictions: int
    preemptions: int
    copies: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """The whole answer."""

    simulation: Simulation
    pools: tuple[PoolOutcome, ...]
    works: tuple[WorkOutcome, ...]
    days: tuple[DayOutcome, ...]
    bill: Bill
    fairness: Fairness
    waits_hours: Floats
    """(started,) sorted."""
    never_started: int
    capacity_accelerators: Floats
    """(pools, hours)"""
    hours: int

    @property
    def cost_usd(self) -> dict[str, float]:
        """By cause; the sum is what is paid."""
        parts = {name: float(values.sum()) for name, values in self.bill.hourly_usd.items()}
        parts["short"] = sum(row.short_usd for row in self.bill.contracts)
        parts["committed"] -= parts["short"]
        parts["egress"] = float(self.simulation.meter.egress_usd[: self.hours].sum())
        return parts


def outcome(simulation: Simulation) -> Outcome:
    """Read a simulation that has been run."""
    hours = max(simulation.span.hours, min(int(np.ceil(simulation.clock.hours)), simulation.last_hours))
    meter, capacity = simulation.meter, simulation.capacity
    by_hour = [capacity.most(min(float(h), capacity.span.hours - 1.0)) for h in range(hours)]
    there = np.array([[row.get(pool, 0.0) for row in by_hour] for pool in capacity.pools]).reshape(-1, hours)
    used = meter.used_accelerator_hours[:, :hours]
    paid = bill(capacity, {pool: used[p] for pool, p in meter.pools.items()}, hours)
    waits = np.array(
        sorted(
            max(0.0, simulation.counts.first_hours[want.ask.id] - want.arrived_hours)
            for want in simulation.work.wants
            if want.ask.id in simulation.counts.first_hours
        )
    )
    arrived = sum(day.arrived for day in simulation.record.days)
    return Outcome(
        simulation=simulation,
        pools=tuple(
            PoolOutcome(
                pool,
                float(there[p].mean()),
                float(used[p].mean()),
                float(used[p].sum() / there[p].sum()) if there[p].sum() > 0 else None,
            )
            for pool, p in meter.pools.items()
        ),
        works=_works(simulation),
        days=_days(simulation, there, used, paid, hours),
        bill=paid,
        fairness=fairness(simulation, there),
        waits_hours=waits,
        never_started=arrived - len(waits),
        capacity_accelerators=there,
        hours=hours,
    )


def _works(simulation: Simulation) -> tuple[WorkOutcome, ...]:
    out = []
    counts, now = simulation.counts, simulation.clock.hours
    for workload in simulation.setup.portfolio.workloads:
        mine = [f for ask, f in simulation.meter.flows.items() if simulation.work.workload_of[ask] == workload.id]
        if mine:
            wanted = float(simulation.meter.wanted_units[mine].sum())
            served = float(simulation.meter.served_units[mine].sum())
            out.append(WorkOutcome(workload.id, True, None, None, None, wanted, served, wanted - served, None))
            continue
        wants = [
            want
            for want in simulation.work.wants
            if simulation.work.workload_of[want.ask.id] == workload.id and want.arrived_hours <= now
        ]
        total = done = 0.0
        late, ended, waits = 0, 0, []
        for want in wants:
            name, units = want.ask.id, want.ask.remaining_units or 0.0
            total += units
            end = counts.done_hours.get(name)
            done += units if end is not None else min(units, simulation.progress_units(name))
            ended += end is not None
            late += want.due_hours is not None and (now if end is None else end) > want.due_hours
            if name in counts.first_hours:
                waits.append(max(0.0, counts.first_hours[name] - want.arrived_hours))
        due = any(want.due_hours is not None for want in wants)
        wait = float(np.mean(waits)) if waits else None
        out.append(
            WorkOutcome(workload.id, False, len(wants), ended, late if due else None, total, done, total - done, wait)
        )
    return tuple(out)


def _days(simulation: Simulation, there: Floats, used: Floats, paid: Bill, hours: int) -> tuple[DayOutcome, ...]:
    meter, out = simulation.meter, []
    for d in range(-(-hours // 24)):
        of = slice(24 * d, min(hours, 24 * d + 24))
        counts = simulation.record.days[d]
        stood, wanted = float(there[:, of].sum()), float(meter.wanted_units[:, of].sum())
        money = {name: float(values[of].sum()) for name, values in paid.hourly_usd.items()}
        out.append(
            DayOutcome(
                day=d,
                arrived=counts.arrived,
                ended=counts.ended,
                used_fraction=float(used[:, of].sum()) / stood if stood > 0 else None,
                served_fraction=float(meter.served_units[:, of].sum()) / wanted if wanted > 0 else None,
                committed_usd=money["committed"] + money["above"] + money["own"],
                on_demand_usd=money["on_demand"] + money["spot"],
                egress_usd=float(meter.egress_usd[of].sum()),
                migrations=counts.migrations,
                evictions=counts.evictions,
                preemptions=sum(24 * d <= at < 24 * d + 24 for at in simulation.counts.preempted_hours),
                copies=counts.copies,
            )
        )
    return tuple(out)


def document(found: Outcome, fmt: str) -> dict[str, Any]:
    """What `--json` prints."""
    made = found.simulation
    setup, counts, record = made.setup, made.counts, made.record
    cost = found.cost_usd
    waits = found.waits_hours
    answer: dict[str, Any] = {
        "format": fmt,
        "simulation": "portfolio",
        "portfolio": setup.portfolio.name,
        "seed": setup.seed,
        "month": str(made.span.months[0]),
        "days": made.span.hours / 24,
        "objective": setup.objective,
        "load_ratio": setup.load,
        "future": {"id": made.scenario.id, "name": made.scenario.name},
        "price_source": "contracts" if setup.plan is None else "plan",
        "wait_hours": {
            "started": len(waits),
            "never_started": found.never_started,
            "mean": float(waits.mean()) if len(waits) else None,
            **{f"p{round(100 * q)}": float(np.quantile(waits, q)) if len(waits) else None for q in QUANTILES},
            "longest": float(waits[-1]) if len(waits) else None,
        },
        "workloads": [asdict(row) for row in found.works],
        "fairness": {
            "objective_fallbacks": found.fairness.instead,
            "all": asdict(found.fairness.every),
            "workloads": [asdict(row) for row in found.fairness.workloads],
        },
        "pools": [asdict(row) for row in found.pools],
        "cost_usd": {**cost, "total": sum(cost.values())},
        "contracts": [asdict(row) for row in found.bill.contracts],
        "unexplained_accelerator_hours": found.bill.unexplained_accelerator_hours,
        "fragmented_fraction": None,
        "migrations": sum(day.migrations for day in found.days),
        "evictions": sum(day.evictions for day in found.days),
        "preemptions": counts.preempted,
        "copies": made.copies.ordered,
        "lost_units": counts.lost_units,
        "waiting_accelerator_hours": counts.waiting_accelerator_hours,
        "excuse_hours": dict(sorted(record.excuse_hours.items())),
        "short_units": dict(sorted(record.short_unit_hours.items())),
        "by_day": [asdict(row) for row in found.days],
        "rounds": record.rounds,
        "events": record.events,
        "messages": counts.messages,
        "worst_residual": record.worst_residual,
        "hash": made.store.digest(),
    }
    if made.watch is not None:
        answer["faults"] = {
            "stopped_after_hours": made.faults.until_hours if made.faults else None,
            "crashes": record.crashes,
            "failed_steps": record.failed_steps,
            "fenced_runs": counts.fenced,
            "refused_starts": counts.refused,
            "ended_leases": dict(sorted(made.ended_leases().items())),
            "checks": made.watch.steps,
            "violations": made.watch.violations,
        }
    return answer

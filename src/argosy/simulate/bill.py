"""Bill: what the use of a simulation costs, contract by contract and hour by hour.

M12  The use of a pool in an hour draws on what it owns, then on contracts with a minimum bill, then on what can be had
     without a commitment, the cheapest first. A minimum bill is owed used or not; use above it pays the contract's
     price for that, and both are netted over the whole time that is simulated, not over contract years. Prepayments,
     options, make-up, carry-forward, delay credits and taxes are left out: they move money in time, or belong to later
     years.
Called by `outcome`; arrays in, arrays out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from argosy.model.supply import Commitment
from argosy.simulate.capacity import Capacity, Floats, Line


@dataclass(frozen=True, slots=True)
class ContractBill:
    """One supply row over the simulated time."""

    supply: str
    unit: str
    """What its amounts count: accelerator-hours, or USD of use for a spend commitment."""
    owed: float
    """Minimum that is billed."""
    used: float
    committed_usd: float
    above_usd: float
    """Use above the minimum, and usage fees."""
    short_usd: float
    """Extra for use below the minimum."""


@dataclass(frozen=True, slots=True)
class Bill:
    """Everything that is paid."""

    contracts: tuple[ContractBill, ...]
    hourly_usd: dict[str, Floats]
    """committed, above, own, on_demand, spot: (hours,)."""
    unexplained_accelerator_hours: float
    """Use for which no supply was found: capacity that shrank within the hour. Billed at the pool's internal price."""


def bill(capacity: Capacity, used: dict[str, Floats], hours: int) -> Bill:
    """M12, for accelerator-hours by pool and hour."""
    return _Billing(capacity, used, hours).bill()


class _Billing:
    def __init__(self, capacity: Capacity, used: dict[str, Floats], hours: int) -> None:
        self.capacity, self.hours = capacity, hours
        last = capacity.span.hours - 1
        self.month = np.array([capacity.span.index(min(h, last)) for h in range(hours)], dtype=np.int64)
        self.left = {pool: amounts[:hours].copy() for pool, amounts in used.items()}
        self.hourly = {name: np.zeros(hours) for name in ("committed", "above", "own", "on_demand", "spot")}

    def bill(self) -> Bill:
        self._own()
        contracts = []
        for line in sorted(self.capacity.lines, key=self._order):
            if line.row.open_accelerators is not None:
                self._open(line)
            else:
                contracts.append(self._sized(line))
        unexplained = 0.0
        for pool, left in self.left.items():
            if left.max(initial=0.0) > 1e-9:
                unexplained += float(left.sum())
                self.hourly["spot" if pool in self.capacity.spot else "on_demand"] += left * self._price(pool)
        return Bill(tuple(contracts), self.hourly, unexplained)

    @staticmethod
    def _order(line: Line) -> tuple[bool, float, str]:
        usage = min(use.usage_usd_per_accelerator_hour for use in line.row.uses)
        return line.row.open_accelerators is not None, usage * float(line.price_ratio.mean()), line.row.id

    def _price(self, pool: str) -> Floats:
        by_month = [
            next((p.usd_per_accelerator_hour for p in frame.pools if p.id == pool), 0.0)
            for frame in self.capacity.frames
        ]
        return np.asarray(np.array(by_month)[self.month])

    def _own(self) -> None:
        own = {pool.id: pool.existing_usd_per_accelerator_hour for pool in self.capacity.portfolio.pools}
        for pool, left in self.left.items():
            there = np.array(
                [next((p.own_accelerators for p in frame.pools if p.id == pool), 0.0) for frame in self.capacity.frames]
            )
            taken = np.minimum(left, there[self.month])
            self.left[pool] = left - taken
            self.hourly["own"] += taken * own[pool]

    def _take(self, line: Line) -> tuple[Floats, Floats]:
        """(hours,) what the pools draw from a row, in its own unit, and the usage fees."""
        room = line.amount[self.month]
        drawn, fees = np.zeros(self.hours), np.zeros(self.hours)
        for use in line.row.uses:
            if use.pool not in self.left:
                continue
            takes = use.draw_per_accelerator_hour
            taken = np.minimum(self.left[use.pool], np.maximum(0.0, room - drawn) / takes)
            self.left[use.pool] = self.left[use.pool] - taken
            drawn = drawn + taken * takes
            fees = fees + taken * use.usage_usd_per_accelerator_hour * line.price_ratio[self.month]
        return drawn, fees

    def _open(self, line: Line) -> None:
        _, fees = self._take(line)
        spot = any(use.pool in self.capacity.spot for use in line.row.uses)
        self.hourly["spot" if spot else "on_demand"] += fees

    def _sized(self, line: Line) -> ContractBill:
        drawn, fees = self._take(line)
        terms = line.row.commitment or Commitment(take_or_pay_fraction=0.0, committed_usd=0.0, over_take_usd=0.0)
        floor = line.owed[self.month] * terms.take_or_pay_fraction
        owed, used = float(floor.sum()), float(drawn.sum())
        above = max(0.0, used - owed) * terms.over_take_usd
        short = max(0.0, owed - used) * terms.shortfall_usd
        self.hourly["committed"] += floor * terms.committed_usd
        self.hourly["above"] += fees + (drawn * (above / used) if used > 0 else 0.0)
        self.hourly["committed"] += floor * (short / owed) if owed > 0 else 0.0
        unit = "usd" if line.row.unit == "usd_per_month" else "accelerator_hours"
        committed = float(floor.sum()) * terms.committed_usd
        return ContractBill(line.row.id, unit, owed, used, committed, float(fees.sum()) + above, short)

"""Meter: what was used, served and spent, by pool or workload and hour, from changes at any instant.

M6  Amounts between two changes are constant, so the sums are exact: accelerator-hours of pools, served and wanted work
    of flows, and money on the way. Called by the invented vendors and the simulation; `outcome` reads the arrays.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


class Meter:
    """Arrays over hours, filled while time goes on."""

    def __init__(self, pools: Sequence[str], flows: Mapping[str, Floats], hours: int) -> None:
        """`flows` is the work wanted per hour by ask; shorter arrays go on with 0."""
        self.hours = hours
        self.pools = {pool: p for p, pool in enumerate(pools)}
        self.used_accelerator_hours = np.zeros((len(pools), hours))
        self.flows = {ask: f for f, ask in enumerate(flows)}
        self.wanted_units = np.zeros((len(flows), hours))
        for f, wanted in enumerate(flows.values()):
            self.wanted_units[f, : min(hours, len(wanted))] = wanted[:hours]
        self.served_units = np.zeros((len(flows), hours))
        self.egress_usd = np.zeros(hours)
        self.carried_usd = 0.0
        self._use = np.zeros(len(pools))
        self._since = np.zeros(len(pools))
        self._rate = np.zeros(len(flows))
        self._egress_rate = np.zeros(len(flows))
        self._flow_since = np.zeros(len(flows))

    def use(self, pool: str, accelerators: float, now: float) -> None:
        """More (or fewer) accelerators of a pool in use from now on."""
        p = self.pools[pool]
        level = float(self._use[p])
        if level:
            for h, length in _bins(float(self._since[p]), now, self.hours):
                self.used_accelerator_hours[p, h] += level * length
        self._use[p], self._since[p] = level + accelerators, now

    def in_use(self, pool: str) -> float:
        """Accelerators of a pool in use now."""
        return float(self._use[self.pools[pool]])

    def serve(self, ask: str, units_per_hour: float, egress_usd_per_hour: float, now: float) -> None:
        """A flow is served at this rate from now on (above what is wanted is not work), for so much egress in full."""
        f = self.flows[ask]
        rate, money = float(self._rate[f]), float(self._egress_rate[f])
        if rate > 0:
            for h, length in _bins(float(self._flow_since[f]), now, self.hours):
                served = min(rate, float(self.wanted_units[f, h]))
                self.served_units[f, h] += served * length
                self.egress_usd[h] += money * length * served / rate
        self._rate[f], self._egress_rate[f], self._flow_since[f] = units_per_hour, egress_usd_per_hour, now

    def pay(self, usd: float, now: float) -> None:
        """Money for a way of data, once."""
        self.egress_usd[min(int(now), self.hours - 1)] += usd
        self.carried_usd += usd

    def close(self, now: float) -> None:
        """Count everything up to now."""
        for pool in self.pools:
            self.use(pool, 0.0, now)
        for ask, f in self.flows.items():
            self.serve(ask, float(self._rate[f]), float(self._egress_rate[f]), now)


def _bins(begin: float, end: float, hours: int) -> list[tuple[int, float]]:
    """Hours that an interval touches, with how much of each; what lies after the last hour is left out."""
    end = min(end, float(hours))
    if end <= begin:
        return []
    first, last = int(begin), min(int(end), hours - 1)
    if first == last:
        return [(first, end - begin)]
    out = [(first, first + 1 - begin), *((h, 1.0) for h in range(first + 1, last))]
    if end > last:
        out.append((last, end - last))
    return out

"""World: what the control loop knows besides its engines: regions, data, ways for data, prices, policy.

Made from a portfolio and a plan's prices where there are some; without them only what engines say is known.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Literal

from argosy.model.dataset import Dataset
from argosy.model.link import Link
from argosy.model.load import Residency
from argosy.model.region import Region
from argosy.model.routes import Carried, carried, link_between
from argosy.model.snapshot import Replica


@dataclass(frozen=True, slots=True)
class ControlWorld:
    """Facts that placement needs and engines do not give."""

    regions: Mapping[str, Region] = field(default_factory=dict)
    datasets: tuple[Dataset, ...] = ()
    replicas: tuple[Replica, ...] = ()
    links: tuple[Link, ...] = ()
    residency: Residency = field(default_factory=Residency)
    max_vendor_fraction: float | None = None
    prices: Mapping[str, float] = field(default_factory=dict)
    """Pool to internal price, USD per accelerator-hour (core-hour); goes before what the engine says."""
    price_source: Literal["plan", "contracts"] = "contracts"
    plan_prices: Mapping[tuple[str, str], float] = field(default_factory=dict)
    """Pool and month (YYYY-MM) to the internal price of a plan; `at` makes `prices` of the month's."""
    plan_name: str = ""
    """File that the plan's prices were read from."""
    month: str = ""
    """Month (YYYY-MM) that `prices` are of; empty before `at`."""

    def at(self, now: datetime, replicas: tuple[Replica, ...] | None = None) -> ControlWorld:
        """The world in the month of an instant, with the copies that are there by then."""
        month = f"{now.year:04d}-{now.month:02d}"
        prices = {pool: price for (pool, when), price in self.plan_prices.items() if when == month}
        there = self.replicas if replicas is None else replicas
        return replace(self, prices={**self.prices, **prices}, replicas=there, month=month)

    def price_note(self, pools: Sequence[str]) -> str:
        """Where the internal prices of these pools come from, in words."""
        if self.price_source == "contracts":
            return "no plan was given: internal prices are what the engines say"
        without = [pool for pool in pools if (pool, self.month) not in self.plan_prices]
        note = f"internal prices are those of {self.plan_name or 'the plan'} for {self.month}"
        return note + (f"; it has none for {', '.join(without)}, where the engine's price holds" if without else "")

    def allows(self, rule: Residency, region: str) -> bool:
        """Whether a residency rule lets something lie in a region; under a rule an unknown region is no place."""
        if not rule.allowed and not rule.denied:
            return True
        known = self.regions.get(region)
        if known is None or known.within(frozenset(rule.denied)):
            return False
        return not rule.allowed or known.within(frozenset(rule.allowed))

    def data_may_lie(self, name: str, region: str) -> bool:
        """Whether a copy of a dataset may lie in a region, by the dataset's own rule and by the one for all."""
        dataset = self._dataset(name)
        if dataset is None:
            return False
        return self.allows(Residency(allowed=dataset.jurisdictions), region) and self.allows(self.residency, region)

    def carried(self, start: str, end: str, gib: float) -> Carried | str:
        """What it takes to carry data between regions, or which link is missing."""
        return carried(self.links, self.regions, start, end, gib)

    def unknown_data(self, names: Sequence[str]) -> list[str]:
        """Those of the named datasets that nobody knows."""
        known = {dataset.id for dataset in self.datasets}
        return [name for name in names if name not in known]

    def copied(self, name: str, region: str) -> Carried | str:
        """What the cheapest copy of a dataset to a region takes; nothing where it lies there."""
        dataset = self._dataset(name)
        if dataset is None:
            return f"nobody knows where {name} lies"
        ways = [self.carried(start, region, dataset.size_gib) for start in sorted(self._at(name))]
        known = [way for way in ways if isinstance(way, Carried)]
        return min(known, key=lambda way: (way.usd, way.hours)) if known else str(ways[0])

    def has_data(self, names: Sequence[str], region: str) -> bool:
        """Whether each dataset lies in a region now."""
        return all(region in self._at(name) for name in names)

    def data_can_be_in(self, names: Sequence[str], region: str) -> bool:
        """Whether each dataset lies in a region, or has a way to it whose price somebody wrote."""
        return all(
            region in at or (bool(at) and all(self._priced(start, region) for start in at))
            for at in map(self._at, names)
        )

    def _dataset(self, name: str) -> Dataset | None:
        return next((dataset for dataset in self.datasets if dataset.id == name), None)

    def _at(self, name: str) -> set[str]:
        """Regions that a dataset lies in; none when nobody knows it."""
        homes = (dataset.home for dataset in self.datasets if dataset.id == name)
        return {*homes, *(replica.region for replica in self.replicas if replica.dataset == name)}

    def _priced(self, start: str, end: str) -> bool:
        begin, finish = self.regions.get(start), self.regions.get(end)
        return begin is not None and finish is not None and link_between(self.links, begin, finish) is not None

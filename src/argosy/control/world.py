"""World: what the control loop knows besides its engines: regions, data, ways for data, prices, policy.

Made from a portfolio and a plan's prices where there are some; without them only what engines say is known.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from argosy.model.dataset import Dataset
from argosy.model.link import Link
from argosy.model.load import Residency
from argosy.model.region import Region
from argosy.model.routes import link_between
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

    def unknown_data(self, names: Sequence[str]) -> list[str]:
        """Those of the named datasets that nobody knows."""
        known = {dataset.id for dataset in self.datasets}
        return [name for name in names if name not in known]

    def data_can_be_in(self, names: Sequence[str], region: str) -> bool:
        """Whether each dataset lies in a region, or has a way to it whose price somebody wrote."""
        at: dict[str, set[str]] = {dataset.id: {dataset.home} for dataset in self.datasets}
        for replica in self.replicas:
            at.setdefault(replica.dataset, set()).add(replica.region)
        return all(
            region in at.get(name, set())
            or (bool(at.get(name)) and all(self._priced(start, region) for start in at[name]))
            for name in names
        )

    def _priced(self, start: str, end: str) -> bool:
        begin, finish = self.regions.get(start), self.regions.get(end)
        return begin is not None and finish is not None and link_between(self.links, begin, finish) is not None

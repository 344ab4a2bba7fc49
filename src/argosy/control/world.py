"""World: what the control loop knows besides its engines: regions, data, ways for data, prices, policy.

Made from a portfolio and a plan's prices where there are some; without them only what engines say is known.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from argosy.model.dataset import Dataset
from argosy.model.link import Link
from argosy.model.load import Residency
from argosy.model.region import Region
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

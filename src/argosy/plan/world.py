"""World: the rows, places and futures of one portfolio with their positions; the only bridge from ids to positions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from argosy.model import effects
from argosy.model.ask import Ask
from argosy.model.dataset import Dataset
from argosy.model.pool import Pool
from argosy.model.portfolio import Portfolio
from argosy.model.region import Region
from argosy.model.scenario import Scenario
from argosy.model.silicon import Silicon
from argosy.model.site import Site
from argosy.model.supply import Supply
from argosy.plan.calendar import Calendar
from argosy.plan.program import Floats


@dataclass(frozen=True, slots=True)
class World:
    """One portfolio, ready to be turned into arrays. Tuples are the axes of `Program`, in order."""

    portfolio: Portfolio
    calendar: Calendar
    scenarios: tuple[Scenario, ...]
    pools: tuple[Pool, ...]
    regions: dict[str, Region]
    silicon: dict[str, Silicon]
    vendors: tuple[str, ...]
    sized: tuple[Supply, ...]
    open: tuple[Supply, ...]
    asks: tuple[Ask, ...]
    sites: tuple[Site, ...]
    datasets: dict[str, Dataset]
    available: Floats
    """(S, P, M) share of each pool's capacity in each month."""
    accelerator_scale: float
    money_scale: float

    @classmethod
    def of(cls, portfolio: Portfolio, scenarios: tuple[Scenario, ...]) -> World:
        """Reduce contracts to supply and workloads to asks, and choose units in which numbers lie near 1."""
        horizon = portfolio.horizon
        calendar = Calendar.of(horizon, portfolio.policy.discount_rate_fraction)
        supply = tuple(row for contract in portfolio.contracts for row in contract.supply(horizon))
        asks = tuple(ask for workload in portfolio.workloads for ask in workload.asks(horizon))
        regions = {region.id: region for region in portfolio.regions}
        places = [effects.Place(p.id, p.region, regions[p.region].vendor) for p in portfolio.pools]
        available = effects.available_array(scenarios, places, horizon)
        sized = tuple(row for row in supply if row.open_accelerators is None)
        named = {regions[pool.region].vendor for pool in portfolio.pools} | {row.vendor for row in supply}
        peak = sum(max(ask.demand_units, default=0.0) for ask in asks)
        scale = 10.0 ** max(0, round(np.log10(max(peak, 1.0) / 100)))
        return cls(
            portfolio=portfolio,
            calendar=calendar,
            scenarios=scenarios,
            pools=portfolio.pools,
            regions=regions,
            silicon={silicon.id: silicon for silicon in portfolio.silicon},
            vendors=tuple(sorted(named)),
            sized=sized,
            open=tuple(row for row in supply if row.open_accelerators is not None),
            asks=asks,
            sites=portfolio.sites,
            datasets={dataset.id: dataset for dataset in portfolio.datasets},
            available=available,
            accelerator_scale=scale,
            money_scale=scale * 1000.0,
        )

    def pool_position(self, pool: str) -> int:
        """Position of a pool by its id."""
        return next(i for i, p in enumerate(self.pools) if p.id == pool)

    def vendor_position(self, vendor: str) -> int:
        """Position of a vendor by its id."""
        return self.vendors.index(vendor)

    def default_month(self, s: int, vendor: str) -> int | None:
        """First month of the horizon in which a vendor delivers nothing more in scenario s; None when it survives."""
        index = effects.default_index(self.scenarios[s], vendor, self.calendar.horizon)
        return None if index is None else max(0, index)

    def demand_factors(self, workload: str) -> Floats:
        """(S, M) factors on the demand of a workload."""
        return effects.demand_array(self.scenarios, [workload], self.calendar.horizon)[:, 0]

    @property
    def probability(self) -> Floats:
        """(S,)"""
        return np.array([scenario.probability for scenario in self.scenarios])

    def size_unit(self, row: Supply) -> float:
        """What one scaled unit of a row's size is, in accelerators or USD per month."""
        return self.accelerator_scale if row.unit == "accelerators" else self.money_scale

"""Effects of a scenario on one subject, resolved: specific id times vendor times `all`, month by month.

`Scenario` says what is written; these pure functions say what it means, and `plan`, `simulate` and the checkers call
them so that all mean the same. Singular names give one month, plural ones an array over the months of a horizon, and
the functions on many scenarios stack them. They know no contract, no kind and no solver.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from argosy.model.horizon import Horizon
from argosy.model.scenario import Scenario, at
from argosy.units import Month

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

EVERYTHING = "all"


class Place(NamedTuple):
    """A pool with the region it stands in and the vendor who runs that region."""

    pool: str
    region: str
    vendor: str


class Party(NamedTuple):
    """A contract with the vendor who signs it."""

    contract: str
    vendor: str


def stepped(path: Mapping[Month, float], horizon: Horizon, before: float = 1.0) -> Floats:
    """A stepwise path as an array of shape (months,); points before the horizon hold from its first month."""
    values = np.full(horizon.months, before)
    for month in sorted(path, key=lambda m: m.number):
        values[max(0, month - horizon.start) :] = path[month]
    return values


def _product(paths: Mapping[str, Mapping[Month, float]], keys: tuple[str, str], horizon: Horizon) -> Floats:
    values = np.ones(horizon.months)
    for key in dict.fromkeys(keys):
        if key in paths:
            values *= stepped(paths[key], horizon)
    return values


def _product_at(paths: Mapping[str, dict[Month, float]], keys: tuple[str, str], month: Month) -> float:
    value = 1.0
    for key in dict.fromkeys(keys):
        if key in paths:
            value *= at(paths[key], month)
    return value


# S11 demand


def demand_factor(scenario: Scenario, workload: str, month: Month) -> float:
    """S11: the factor on a workload's demand in one month: its own times that of `all`; 1 where nothing is written."""
    return _product_at(scenario.demand_factor, (workload, EVERYTHING), month)


def demand_factors(scenario: Scenario, workload: str, horizon: Horizon) -> Floats:
    """S11: the same for all months of a horizon, shape (months,)."""
    return _product(scenario.demand_factor, (workload, EVERYTHING), horizon)


def demand_array(scenarios: Sequence[Scenario], workloads: Sequence[str], horizon: Horizon) -> Floats:
    """S11: shape (scenarios, workloads, months)."""
    factors = np.ones((len(scenarios), len(workloads), horizon.months))
    for s, scenario in enumerate(scenarios):
        for w, workload in enumerate(workloads):
            factors[s, w] = demand_factors(scenario, workload, horizon)
    return factors


# S12 delivery


def delay_months(scenario: Scenario, contract: str, vendor: str) -> int:
    """S12: months by which what a contract has yet to deliver is late: its own delay and its vendor's, added.

    A tranche that began before the plan is there already and is not late.
    """
    delays = scenario.delivery_delay_months
    return sum(delays.get(key, 0) for key in dict.fromkeys((contract, vendor)))


def delay_array(scenarios: Sequence[Scenario], parties: Sequence[Party]) -> Ints:
    """S12: shape (scenarios, parties)."""
    delays = np.zeros((len(scenarios), len(parties)), dtype=np.int64)
    for s, scenario in enumerate(scenarios):
        if scenario.delivery_delay_months:
            delays[s] = [delay_months(scenario, *party) for party in parties]
    return delays


def energisation_delay_months(scenario: Scenario, site: str) -> int:
    """S12: months by which power comes late to an own site."""
    return scenario.energisation_delay_months.get(site, 0)


# S13 availability


def default_index(scenario: Scenario, vendor: str, horizon: Horizon) -> int | None:
    """S13: position of the first month in which a vendor delivers nothing more; None when it survives the horizon.

    Negative when the vendor stopped before the plan begins.
    """
    month = scenario.default_month.get(vendor)
    if month is None or month >= horizon.end:
        return None
    return horizon.index(month)


def standing_fractions(scenario: Scenario, vendor: str, horizon: Horizon) -> Floats:
    """S13: 1 while a vendor stands and 0 from its default on, shape (months,).

    Multiply by it where a contract's vendor is not the vendor of the pool's region.
    """
    values = np.ones(horizon.months)
    stopped = default_index(scenario, vendor, horizon)
    if stopped is not None:
        values[max(0, stopped) :] = 0.0
    return values


def available_fraction(scenario: Scenario, place: Place, month: Month) -> float:
    """S13: the share of a pool's capacity that is there in one month.

    The product of all outages of the pool, its region and its vendor; zero from the vendor's default on.
    """
    default = scenario.default_month.get(place.vendor)
    if default is not None and month >= default:
        return 0.0
    share = 1.0
    for outage in scenario.outages:
        if outage.place in place and 0 <= month - outage.start < outage.months:
            share *= outage.available_fraction
    return share


def available_fractions(scenario: Scenario, place: Place, horizon: Horizon) -> Floats:
    """S13: the same for all months of a horizon, shape (months,)."""
    values = standing_fractions(scenario, place.vendor, horizon)
    for outage in scenario.outages:
        if outage.place in place:
            first = horizon.index(outage.start)
            values[max(0, first) : max(0, first + outage.months)] *= outage.available_fraction
    return values


def available_array(scenarios: Sequence[Scenario], places: Sequence[Place], horizon: Horizon) -> Floats:
    """S13: shape (scenarios, places, months)."""
    shares = np.ones((len(scenarios), len(places), horizon.months))
    for s, scenario in enumerate(scenarios):
        if scenario.outages or scenario.default_month:
            for p, place in enumerate(places):
                shares[s, p] = available_fractions(scenario, place, horizon)
    return shares


# S14 prices and amounts without a commitment


def price_factor(scenario: Scenario, party: Party, month: Month) -> float:
    """S14: the factor on the prices of a contract without a commitment: its own times its vendor's."""
    return _product_at(scenario.price_factor, party, month)


def price_factors(scenario: Scenario, party: Party, horizon: Horizon) -> Floats:
    """S14: the same for all months of a horizon, shape (months,)."""
    return _product(scenario.price_factor, party, horizon)


def capacity_factor(scenario: Scenario, party: Party, month: Month) -> float:
    """S14: the factor on what can be had of a contract without a commitment: its own times its vendor's."""
    return _product_at(scenario.capacity_factor, party, month)


def capacity_factors(scenario: Scenario, party: Party, horizon: Horizon) -> Floats:
    """S14: the same for all months of a horizon, shape (months,)."""
    return _product(scenario.capacity_factor, party, horizon)


def price_levels(scenarios: Sequence[Scenario], party: Party, horizon: Horizon) -> Floats:
    """S14: the distinct price factors of a contract over scenarios and months, rising; each becomes a price tier."""
    levels = {1.0}
    if any(key in s.price_factor for s in scenarios for key in party):
        levels = set()
        for scenario in scenarios:
            levels.update(np.round(price_factors(scenario, party, horizon), 9).tolist())
    return np.array(sorted(levels))


def tier_array(scenarios: Sequence[Scenario], party: Party, horizon: Horizon, levels: Floats) -> Floats:
    """S14: factor on what can be had at each price level, shape (scenarios, levels, months).

    In each month one level has the contract's capacity factor and all others have 0: a random price is a random
    capacity of fixed-price tiers. Levels must hold every price factor of the scenarios, as `price_levels` gives them
    for a superset of the scenarios; an unknown one is a bug of the caller.
    """
    shares = np.zeros((len(scenarios), len(levels), horizon.months))
    months = np.arange(horizon.months)
    for s, scenario in enumerate(scenarios):
        prices = np.round(price_factors(scenario, party, horizon), 9)
        positions = np.minimum(np.searchsorted(levels, prices), len(levels) - 1)
        assert np.array_equal(levels[positions], prices), f"{party.contract} has a price level that no tier stands for"
        shares[s, positions, months] = capacity_factors(scenario, party, horizon)
    return shares


# S15 shares drawn once per contract


def matched_fraction(scenario: Scenario, contract: str, written: float) -> float:
    """S15: the share of a contract that the holder of a right of first refusal matches; `written` where not drawn."""
    return scenario.matched_fraction.get(contract, written)


def unsold_fraction(scenario: Scenario, contract: str, written: float) -> float:
    """S15: the share of a backstop that stays unsold; `written` where not drawn."""
    return scenario.unsold_fraction.get(contract, written)

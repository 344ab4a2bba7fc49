"""Chance: what all uncertainty kinds have in common.

A kind is one file in `uncertainty/` with a class `Uncertainty` and a method `draw`; the file name is the word users
write. A draw gives effects; `combine` folds the effects of several uncertainties into one scenario. Called by
`futures`; nothing here knows a kind, a seed or how many scenarios there will be.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from argosy.clock import rng
from argosy.errors import BadInput, Problem
from argosy.model.horizon import Horizon
from argosy.model.scenario import Outage, Scenario
from argosy.record import Record, Text
from argosy.units import Month

# Bounds of the fields of `Scenario`; products of several uncertainties are kept inside them.
MOST_FACTOR = 1000.0
LEAST_PRICE_FACTOR, MOST_PRICE_FACTOR = 0.01, 20.0
MOST_DELAY_MONTHS = 1200

# The last digit of exp and log differs between processors. Six digits are the same on all of them, and readable.
DIGITS = 6


@dataclass(frozen=True, slots=True)
class Streams:
    """Where one uncertainty of one scenario draws from: a generator per label, all independent of each other.

    A kind asks for one stream per subject, so that adding a contract, a workload or a month leaves every other draw as
    it was.
    """

    seed: int
    labels: tuple[str, ...] = ()

    def of(self, *labels: str) -> np.random.Generator:
        """The generator with these labels; the same labels give the same numbers from the beginning."""
        return rng(self.seed, *self.labels, *labels)

    def under(self, *labels: str) -> Streams:
        """The streams below these labels."""
        return Streams(self.seed, self.labels + labels)


@dataclass(frozen=True, slots=True)
class Subjects:
    """What an uncertainty can hit: plain ids, so that kinds know no other records."""

    horizon: Horizon
    workloads: tuple[str, ...] = ()
    vendors: tuple[str, ...] = ()
    """Parties we sign with or use, without ourselves."""
    vendor_of_region: Mapping[str, str] = field(default_factory=dict)
    regions: tuple[str, ...] = ()
    """Regions with a pool."""
    pools: tuple[str, ...] = ()
    sized: Mapping[str, str] = field(default_factory=dict)
    """Contracts with deliveries that lie ahead, to their vendor."""
    open: Mapping[str, str] = field(default_factory=dict)
    """On-demand, spot and other contracts without a commitment, to their vendor."""
    backstops: Mapping[str, float] = field(default_factory=dict)
    """Contracts with a backstop, to the mean unsold share."""
    first_refusals: Mapping[str, float] = field(default_factory=dict)
    """Contracts that a third party may match, to its chance."""
    sites: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Effects:
    """What one draw of one uncertainty does; the fields are those of `Scenario`."""

    demand_factor: dict[str, dict[Month, float]] = field(default_factory=dict)
    delivery_delay_months: dict[str, int] = field(default_factory=dict)
    outages: tuple[Outage, ...] = ()
    default_month: dict[str, Month] = field(default_factory=dict)
    price_factor: dict[str, dict[Month, float]] = field(default_factory=dict)
    capacity_factor: dict[str, dict[Month, float]] = field(default_factory=dict)
    energisation_delay_months: dict[str, int] = field(default_factory=dict)
    matched_fraction: dict[str, float] = field(default_factory=dict)
    unsold_fraction: dict[str, float] = field(default_factory=dict)


class Chance(Record):
    """An uncertainty of any kind."""

    kind: str
    """Which file in `uncertainty/` defines it."""
    name: Text | None = None
    """Name for people, and of its stream of chance: under its own name an uncertainty keeps its draws when others of
    its kind are added before it."""

    @abstractmethod
    def draw(self, streams: Streams, subjects: Subjects) -> Effects:
        """One future's effects. Depends on the streams, the subjects and the fields only."""

    def chosen(self, field_name: str, known: Iterable[str]) -> tuple[str, ...]:
        """The ids that a field names, sorted, or all `known` ones when it names none.

        An id that is not known is BadInput: an uncertainty about something that is not there would be lost silently.
        """
        named, there = getattr(self, field_name), sorted(known)
        missing = sorted(set(named) - set(there))
        if missing:
            message = f"{', '.join(missing)} cannot be hit by {self.kind}; {', '.join(there) or 'nothing'} can"
            raise BadInput(
                [Problem("portfolio", 0, 0, "reference.unknown", f"uncertainties.{self.kind}.{field_name}", message)]
            )
        return tuple(sorted(set(named))) if named else tuple(there)


def stepwise(horizon: Horizon, values: npt.NDArray[np.float64] | Sequence[float]) -> dict[Month, float]:
    """A path of changes from one value per period; values that repeat, and 1 at the beginning, need no entry."""
    rounded = np.round(np.asarray(values, dtype=np.float64), DIGITS)
    changed = np.flatnonzero(np.diff(rounded, prepend=1.0)).tolist()
    levels = rounded.tolist()
    return {horizon.start.plus(period * horizon.step_months): levels[period] for period in changed}


def period_means(horizon: Horizon, values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The mean of each period of a path with one value per month."""
    means: npt.NDArray[np.float64] = values.reshape(-1, horizon.step_months).mean(axis=1)
    return means


def combine(scenario_id: str, probability: float, parts: Sequence[Effects]) -> Scenario:
    """S1: one scenario of several effects. Factors multiply, delays add, outages join, the earliest default counts."""
    delays: dict[str, int] = {}
    energisation: dict[str, int] = {}
    defaults: dict[str, Month] = {}
    matched: dict[str, float] = {}
    unsold: dict[str, float] = {}
    for part in parts:
        for subject, months in part.delivery_delay_months.items():
            delays[subject] = min(MOST_DELAY_MONTHS, delays.get(subject, 0) + months)
        for subject, months in part.energisation_delay_months.items():
            energisation[subject] = min(MOST_DELAY_MONTHS, energisation.get(subject, 0) + months)
        for subject, month in part.default_month.items():
            defaults[subject] = min(month, defaults.get(subject, month))
        matched.update(part.matched_fraction)
        unsold.update(part.unsold_fraction)
    return Scenario(
        id=scenario_id,
        probability=probability,
        demand_factor=_merged([part.demand_factor for part in parts], 0.0, MOST_FACTOR),
        price_factor=_merged([part.price_factor for part in parts], LEAST_PRICE_FACTOR, MOST_PRICE_FACTOR),
        capacity_factor=_merged([part.capacity_factor for part in parts], 0.0, MOST_FACTOR),
        delivery_delay_months=delays,
        energisation_delay_months=energisation,
        default_month=defaults,
        matched_fraction=matched,
        unsold_fraction=unsold,
        outages=tuple(outage for part in parts for outage in part.outages),
    )


def _merged(
    parts: Sequence[Mapping[str, Mapping[Month, float]]], least: float, most: float
) -> dict[str, dict[Month, float]]:
    """The product of the paths of each subject, kept within bounds; paths without a change are left out."""
    merged: dict[str, dict[Month, float]] = {}
    for part in parts:
        for subject, path in part.items():
            if subject in merged:
                merged[subject] = _product(merged[subject], path, least, most)
            elif path:
                merged[subject] = dict(path)
    return merged


def _product(
    left: Mapping[Month, float], right: Mapping[Month, float], least: float, most: float
) -> dict[Month, float]:
    """The product of two stepwise paths that are 1 before their first point; equal levels have equal products."""
    product: dict[Month, float] = {}
    a = b = 1.0
    for month in sorted({*left, *right}, key=lambda m: m.number):
        a, b = left.get(month, a), right.get(month, b)
        product[month] = min(most, max(least, round(a * b, DIGITS)))
    return product

"""Capacity: what a portfolio's contracts really give, hour by hour, in one future.

M1  A contract gives its signed size (the plan's where a plan is given), from its tranches, late by the future's delay,
    times the share of its pool that the future's outages and defaults leave. What can be had without a commitment
    follows the future's factor.
M2  Spot capacity comes and goes by the hour: from a recorded series, as a share of its highest point, or invented: good
    and scarce spells of exponential length, with a share between none and half left in a scarce one.
Prices and pools of a month are those of `place.inputs` (P1.I). Called by the simulation; it decides nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from argosy.clock import rng
from argosy.errors import BadInput, Problem
from argosy.model import effects
from argosy.model.effects import Party, Place
from argosy.model.portfolio import Portfolio
from argosy.model.scenario import Scenario
from argosy.model.snapshot import PoolState, Snapshot, SupplyState
from argosy.model.supply import Supply
from argosy.place.inputs import LOOK_HOURS, PlanRecord, as_used_fraction, snapshot
from argosy.units import Month

Floats = npt.NDArray[np.float64]

MOST_TRACE_HOURS = 200_000
"""Longest trace that is laid out by the hour."""
GOOD_HOURS, SCARCE_HOURS, MOST_LEFT_FRACTION = 18.0, 4.0, 0.5


@dataclass(frozen=True, slots=True)
class Line:
    """A supply row that gives something in the simulated months."""

    row: Supply
    amount: Floats
    """(months,) accelerators, or USD per hour for a spend commitment."""
    owed: Floats
    """(months,) the amount on which the minimum bill counts."""
    price_ratio: Floats
    """(months,) factor on the usage price."""

    def as_used_fraction(self, month: int) -> float:
        """P5.15: the share of it that costs nothing unless it is used."""
        return as_used_fraction(self.row, float(self.amount[month]))


@dataclass(frozen=True, slots=True)
class Span:
    """The months that are simulated, and where each begins in hours from the start."""

    months: tuple[Month, ...]
    begins_hours: tuple[float, ...]
    hours: int

    @classmethod
    def of(cls, start: Month, hours: int, most: int) -> Span:
        """Enough months for so many hours, at most `most`; the hours are cut to what they hold."""
        months: list[Month] = []
        begins: list[float] = []
        at = 0
        while at < hours and len(months) < most:
            month = start.plus(len(months))
            months.append(month)
            begins.append(float(at))
            at += month.hours
        return cls(tuple(months), tuple(begins), min(hours, at))

    def index(self, hours: float) -> int:
        """Position of the month that an hour lies in; the last one after the end."""
        return max(0, int(np.searchsorted(self.begins_hours, hours, side="right")) - 1)


class Capacity:
    """Pools and supplies over the simulated time."""

    def __init__(
        self,
        portfolio: Portfolio,
        scenario: Scenario,
        span: Span,
        *,
        plan: PlanRecord | None,
        seed: int,
        spot: pl.DataFrame | None = None,
        window_hours: float = 24.0,
        look_hours: float = LOOK_HOURS,
        as_used: bool = True,
    ) -> None:
        """BadInput when a price is missing in one of the months. Without `as_used` nobody is told what need not be paid
        for, so that nobody waits for spot (P5.15)."""
        self.as_used = as_used
        self.span, self.portfolio = span, portfolio
        self.frames: tuple[Snapshot, ...] = tuple(
            snapshot(portfolio, month, plan=plan, lines=(), window_hours=window_hours, look_hours=look_hours)
            for month in span.months
        )
        self.lines = tuple(self._lines(scenario, plan))
        self.pools = tuple(sorted({pool.id for frame in self.frames for pool in frame.pools}))
        regions = {region.id: region for region in portfolio.regions}
        self.region_of = {pool.id: pool.region for pool in portfolio.pools}
        self.vendor_of = {pool.id: regions[pool.region].vendor for pool in portfolio.pools}
        self.standing = {
            pool: np.array(
                [
                    effects.available_fraction(scenario, Place(pool, self.region_of[pool], self.vendor_of[pool]), month)
                    for month in span.months
                ]
            )
            for pool in self.pools
        }
        spots = sorted(pool.id for pool in portfolio.pools if pool.tier == "spot" and pool.id in self.pools)
        self.spot = {pool: _spot(pool, i, span.hours, seed, spot) for i, pool in enumerate(spots)}
        self._known: dict[tuple[int, tuple[float, ...]], tuple[tuple[PoolState, ...], tuple[SupplyState, ...]]] = {}

    def _lines(self, scenario: Scenario, plan: PlanRecord | None) -> list[Line]:
        found = []
        horizon = self.portfolio.horizon
        for contract in self.portfolio.contracts:
            for row in contract.supply(horizon):
                party = Party(contract.id, contract.vendor)
                amount, owed, price = (np.zeros(len(self.span.months)) for _ in range(3))
                for i, month in enumerate(self.span.months):
                    amount[i], owed[i] = _gives(row, horizon.index(month), month, scenario, party, plan)
                    price[i] = effects.price_factor(scenario, party, month) if row.open_accelerators else 1.0
                if amount.any() or owed.any():
                    found.append(Line(row, amount, owed, price))
        return found

    def changes_hours(self) -> list[float]:
        """Hours at which capacity changes by itself, sorted."""
        at = set(self.span.begins_hours[1:])
        for series in self.spot.values():
            at |= set((np.flatnonzero(np.diff(series)) + 1).astype(float).tolist())
        return sorted(at)

    def factor(self, pool: str, hours: float) -> float:
        """M1, M2: the share of a pool that stands at an hour."""
        share = float(self.standing[pool][self.span.index(hours)])
        series = self.spot.get(pool)
        return share if series is None else share * float(series[min(int(hours), len(series) - 1)])

    def at(self, hours: float) -> tuple[tuple[PoolState, ...], tuple[SupplyState, ...]]:
        """Pools and supplies at an hour."""
        m = self.span.index(hours)
        states = self.frames[m].pools
        factors = tuple(self.factor(pool.id, hours) for pool in states)
        key = (m, factors)
        if key not in self._known:
            self._known[key] = self._states(m, dict(zip((p.id for p in states), factors, strict=True)))
        return self._known[key]

    def _states(self, m: int, factor: dict[str, float]) -> tuple[tuple[PoolState, ...], tuple[SupplyState, ...]]:
        pools = tuple(
            pool.model_copy(update={"own_accelerators": pool.own_accelerators * factor[pool.id]})
            for pool in self.frames[m].pools
        )
        supplies = []
        above = {row.id: row.above_usd_per_accelerator_hour for row in self.frames[m].supplies}
        for line in self.lines:
            takes = {use.pool: use.draw_per_accelerator_hour for use in line.row.uses if factor.get(use.pool, 0.0) > 0}
            if line.amount[m] > 0 and takes:
                # A supply of several pools is as large as the pool that stands best; `most` holds each pool to its own.
                share = max(factor[pool] for pool in takes)
                amount = float(line.amount[m]) * share
                dearer = {pool: usd for pool, usd in above.get(line.row.id, {}).items() if pool in takes}
                supplies.append(
                    SupplyState(
                        id=line.row.id,
                        capacity=amount,
                        draw=takes,
                        above_usd_per_accelerator_hour=dearer,
                        as_used_fraction=line.as_used_fraction(m) if self.as_used else 0.0,
                    )
                )
        return pools, tuple(supplies)

    def most(self, hours: float) -> dict[str, float]:
        """Accelerators that each pool holds at an hour, drawing all that it may."""
        m = self.span.index(hours)
        room = {pool.id: pool.own_accelerators * self.factor(pool.id, hours) for pool in self.frames[m].pools}
        for line in self.lines:
            for use in line.row.uses:
                if use.pool in room:
                    share = self.factor(use.pool, hours)
                    room[use.pool] += float(line.amount[m]) * share / use.draw_per_accelerator_hour
        return room


def _gives(  # noqa: PLR0917  one row in one month of one future
    row: Supply, at: int, month: Month, scenario: Scenario, party: Party, plan: PlanRecord | None
) -> tuple[float, float]:
    """M1: amount of a row in a month, and the amount that its minimum bill counts, before outages of pools."""
    if row.open_accelerators is not None:
        return row.open_accelerators[at] * effects.capacity_factor(scenario, party, month), 0.0
    size = row.signed_size
    if size is None and plan is not None:
        size = plan.sizes.get(row.contract)
    if size is None or not at < row.end_month:
        return 0.0, 0.0
    default = scenario.default_month.get(party.vendor)
    if default is not None and month >= default:
        return 0.0, 0.0
    late = effects.delay_months(scenario, *party)
    there = size * sum(t.delivered(at, late if t.month >= 0 else 0) for t in row.tranches)
    written = size * sum(t.delivered(at) for t in row.tranches)
    owed = there if row.commitment is None or row.commitment.follows_delivery else written
    scale = month.hours if row.unit == "usd_per_month" else 1.0
    return there / scale, owed / scale


def _spot(pool: str, position: int, hours: int, seed: int, recorded: pl.DataFrame | None) -> Floats:
    """M2: (hours,) share of a spot pool that stands."""
    draw = rng(seed, "simulate", "spot", pool)
    if recorded is not None:
        return _recorded(recorded, position, hours, draw)
    out = np.ones(hours)
    at, good = 0.0, draw.random() < GOOD_HOURS / (GOOD_HOURS + SCARCE_HOURS)
    while at < hours:
        long = float(draw.exponential(GOOD_HOURS if good else SCARCE_HOURS))
        left = 1.0 if good else float(draw.random()) * MOST_LEFT_FRACTION
        out[int(at) : int(at + long) + 1] = round(left, 6)
        at, good = at + long, not good
    return out


def _recorded(series: pl.DataFrame, position: int, hours: int, draw: np.random.Generator) -> Floats:
    """One recorded series by the hour, from a random hour on, repeated when it ends."""
    names: Sequence[str] = series["series"].unique().sort().to_list()
    mine = series.filter(pl.col("series") == names[position % len(names)])
    value, at = mine["accelerators"].to_numpy(), mine["at_seconds"].to_numpy() / 3600
    highest = float(value.max())
    if highest <= 0:
        return np.zeros(hours)
    length = max(1, int(at[-1]))
    if length >= MOST_TRACE_HOURS:
        message = f"the series goes on for {length:,} hours; at most {MOST_TRACE_HOURS:,} are read"
        raise BadInput([Problem("--trace", 0, 0, "trace.long", "", message)])
    grid = value[np.clip(np.searchsorted(at, np.arange(length), side="right") - 1, 0, len(value) - 1)] / highest
    return np.asarray(np.round(grid[(np.arange(hours) + int(draw.integers(length))) % length], 6))

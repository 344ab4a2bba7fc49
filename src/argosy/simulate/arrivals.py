"""Arrivals: the work of a portfolio hour by hour, invented from its workloads or taken from a recorded trace.

M3  Work that flows: the demand written for a month is that of its busiest hour; every other hour is a share of it by
    the pattern of its kind, in local time of its home, times noise. A recorded series of rates or requests replaces
    the curve, as a share of its busiest hour.
M4  Other work arrives as asks: a Poisson stream by the same curve, with sizes of once, twice and four times the gang
    and lognormal lengths, so many that on average the written accelerators would be busy.
M5  A recorded trace of asks replaces the invented ones of one workload: its accelerators for its run time are the work,
    counted on the reference chip.
`load` multiplies demand, and makes a trace arrive so many times as fast.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from argosy.clock import rng
from argosy.control.protocols import Want
from argosy.errors import BadInput, Problem
from argosy.model import effects
from argosy.model.ask import Ask
from argosy.model.pattern import Pattern
from argosy.model.portfolio import Portfolio
from argosy.model.scenario import Scenario
from argosy.model.snapshot import PlaceAsk
from argosy.model.snapshot_ask import AskLine
from argosy.place.inputs import PlanRecord, snapshot
from argosy.simulate.capacity import MOST_TRACE_HOURS, Span

Floats = npt.NDArray[np.float64]

SIZES = ((1, 0.7), (2, 0.2), (4, 0.1))
BUSY_HOUR = 14.0
PIECES = 48
"""An invented ask of a workload without gangs wants about one 48th of its demand, so that asks stay countable."""
MOST_ASKS = 2_000_000


@dataclass(frozen=True, slots=True)
class Flow:
    """Demand of one workload from one home that is served as it comes."""

    asks: tuple[PlaceAsk, ...]
    """One per month, for one accelerator."""
    units_per_hour: Floats
    """(hours,)"""


@dataclass(frozen=True, slots=True)
class Work:
    """All that arrives."""

    flows: tuple[Flow, ...]
    wants: tuple[Want, ...]
    """In order of arrival."""
    checkpoint_every_hours: Mapping[str, float]
    """By workload."""
    workload_of: Mapping[str, str]
    """Ask to workload."""


def work(
    portfolio: Portfolio,
    scenario: Scenario,
    span: Span,
    *,
    plan: PlanRecord | None,
    seed: int,
    load: float = 1.0,
    recorded: pl.DataFrame | None = None,
    recorded_as: str | None = None,
    curve: pl.DataFrame | None = None,
) -> Work:
    """What the portfolio's workloads ask for. BadInput when a trace has no workload to stand for."""
    maker = _Maker(portfolio, scenario, span, plan=plan, seed=seed, load=load, curve=curve)
    takes = _stands_for(portfolio, recorded_as) if recorded is not None else None
    flows: list[Flow] = []
    wants: list[Want] = []
    owner: dict[str, str] = {}
    every: dict[str, float] = {}
    for workload in portfolio.workloads:
        every[workload.id] = workload.pattern.checkpoint_every_hours
        if workload.id == takes:
            assert recorded is not None
            made = maker.recorded(workload.id, workload.pattern, recorded)
            owner |= {want.ask.id: workload.id for want in made}
            wants += made
            continue
        for row in workload.asks(portfolio.horizon):
            if workload.pattern.flows:
                flows.append(maker.flow(row, workload.pattern))
                owner[row.id] = workload.id
            else:
                made = maker.invented(row, workload.pattern)
                owner |= {want.ask.id: workload.id for want in made}
                wants += made
    wants.sort(key=lambda want: (want.arrived_hours, want.ask.id))
    return Work(tuple(flows), tuple(wants), every, owner)


def _stands_for(portfolio: Portfolio, named: str | None) -> str:
    waiting = [workload.id for workload in portfolio.workloads if not workload.pattern.flows]
    if named is None and waiting:
        return waiting[0]
    if named not in waiting:
        words = f"{named!r} is no workload that arrives as asks" if named else "no workload arrives as asks"
        message = f"{words}; {', '.join(waiting) or 'add one of kind training or batch'}"
        raise BadInput([Problem("--as", 0, 0, "simulate.workload", "", message)])
    return named


class _Maker:
    def __init__(
        self,
        portfolio: Portfolio,
        scenario: Scenario,
        span: Span,
        *,
        plan: PlanRecord | None,
        seed: int,
        load: float,
        curve: pl.DataFrame | None,
    ) -> None:
        self.portfolio, self.scenario, self.span, self.seed, self.load = portfolio, scenario, span, seed, load
        self.curve = None if curve is None else _hourly(curve)
        lines = [
            AskLine(id=row.id, workload=workload.id, home=row.home, accelerators=1)
            for workload in portfolio.workloads
            for row in workload.asks(portfolio.horizon)
        ]
        self.templates: list[dict[str, PlaceAsk]] = [
            {ask.id: ask for ask in snapshot(portfolio, month, plan=plan, lines=lines).asks} for month in span.months
        ]
        self.longitude = {r.id: r.longitude_degrees or 0.0 for r in portfolio.regions}
        self.hours = np.arange(span.hours)
        self.month_of = np.array([span.index(float(h)) for h in range(span.hours)], dtype=np.int64)

    def _amount(self, row: Ask) -> Floats:
        """(months,) accelerators of the reference chip that the row keeps busy."""
        index = self.portfolio.horizon.index
        return np.array(
            [
                row.demand_units[index(month)] * effects.demand_factor(self.scenario, row.workload, month) * self.load
                for month in self.span.months
            ]
        )

    def _curve(self, row: Ask, pattern: Pattern) -> Floats:
        """M3: (hours,) share of the busiest hour."""
        local = self.hours + self.longitude[row.home] / 15.0
        day = (1 + np.cos((local - BUSY_HOUR) * (2 * math.pi / 24))) / 2
        shape = pattern.night_fraction + (1 - pattern.night_fraction) * day
        first = self.span.months[0]
        weekday = (_weekday(first.year, first.month) + np.floor(local / 24)) % 7
        return np.asarray(np.round(np.where(weekday >= 5, shape * pattern.weekend_fraction, shape), 9))

    def flow(self, row: Ask, pattern: Pattern) -> Flow:
        """M3."""
        shape = self._curve(row, pattern)
        if self.curve is not None:
            start = int(rng(self.seed, "simulate", "curve", row.id).integers(len(self.curve)))
            shape = self.curve[(self.hours + start) % len(self.curve)]
        noise = rng(self.seed, "simulate", "demand", row.id).normal(size=self.span.hours)
        factor = np.round(np.exp(pattern.noise_fraction * noise), 6)
        wanted = self._amount(row)[self.month_of] * shape * factor * (1 + row.reserve_fraction)
        read = next((d for d in self.portfolio.datasets if d.id == row.dataset), None)
        update = {
            "datasets": (),
            "remaining_units": None,
            "data_home": None if read is None else read.home,
            "data_jurisdictions": () if read is None else read.jurisdictions,
        }
        asks = tuple(month[row.id].model_copy(update=update) for month in self.templates)
        return Flow(asks, wanted)

    def invented(self, row: Ask, pattern: Pattern) -> list[Want]:
        """M4."""
        draw = rng(self.seed, "simulate", "asks", row.id)
        shape = self._curve(row, pattern)
        amount = self._amount(row)
        mean_hours = _mean_hours(pattern)
        made: list[Want] = []
        for h in range(self.span.hours):
            m = int(self.month_of[h])
            if amount[m] <= 0:
                continue
            gang = max(row.gang_accelerators, math.ceil(amount[m] / PIECES))
            sizes = [(gang * k, share) for k, share in SIZES if k == 1 or gang * k <= amount[m] / 2]
            whole = sum(share for _, share in sizes)
            mean_size = sum(size * share for size, share in sizes) / whole
            rate = amount[m] * float(shape[h]) / float(shape.mean()) / (mean_size * mean_hours)
            for _ in range(int(draw.poisson(rate))):
                size = int(draw.choice([s for s, _ in sizes], p=[share / whole for _, share in sizes]))
                long = pattern.median_hours * math.exp(pattern.spread_fraction * float(draw.normal()))
                hours = round(min(long, pattern.longest_hours), 4)
                at = h + round(float(draw.random()), 4)
                name = f"{row.id}/{len(made)}"
                made.append(self._want(self.templates[m][row.id], name, at, size, hours, pattern))
        return made

    def recorded(self, workload: str, pattern: Pattern, trace: pl.DataFrame) -> list[Want]:
        """M5."""
        for name in ("arrival_seconds", "duration_seconds"):
            if trace[name].null_count():
                message = f"this trace says nothing about {name}, which a portfolio's asks need"
                raise BadInput([Problem("--trace", 0, 0, "trace.part", name, message)])
        last = self.span.hours * 3600 * self.load
        kept = trace.filter(
            pl.col("arrival_seconds") < last, pl.col("accelerators") > 0, pl.col("duration_seconds") > 0
        )
        if kept.is_empty():
            message = "no ask of the trace wants an accelerator within these days"
            raise BadInput([Problem("--trace", 0, 0, "trace.empty", "", message)])
        if len(kept) > MOST_ASKS:
            message = f"{len(kept):,} asks arrive in these days; at most {MOST_ASKS:,} are simulated: give fewer --days"
            raise BadInput([Problem("--days", 0, 0, "option.range", "", message)])
        rows = next(w for w in self.portfolio.workloads if w.id == workload).asks(self.portfolio.horizon)
        names = [row.id for row in rows]
        homes = rng(self.seed, "simulate", "homes", workload).integers(len(names), size=len(kept))
        columns = kept.select("id", "arrival_seconds", "duration_seconds", "accelerators", "members").iter_rows()
        made = []
        for i, (name, at, seconds, count, members) in enumerate(columns):
            hours = at / 3600 / self.load
            month = self.span.index(hours)
            ask = self.templates[month][names[int(homes[i])]]
            made.append(self._want(ask, f"{workload}/{name}", hours, count * members, seconds / 3600, pattern))
        return made

    @staticmethod
    def _want(  # noqa: PLR0917  the columns of one row
        template: PlaceAsk, name: str, at: float, size: int, hours: float, pattern: Pattern
    ) -> Want:
        ask = template.model_copy(
            update={
                "id": name,
                "accelerators": float(size),
                "remaining_units": hours * size,
                "restart_hours": pattern.restart_hours,
                "checkpoint_gib": pattern.checkpoint_gib * size,
            }
        )
        due = None if pattern.slack_ratio is None else at + pattern.slack_ratio * hours
        return Want(ask, at, due, pattern.checkpoint_every_hours)


def _mean_hours(pattern: Pattern) -> float:
    """Mean of a lognormal length that is cut at the longest."""
    mu, sigma, cut = math.log(pattern.median_hours), pattern.spread_fraction, math.log(pattern.longest_hours)
    if sigma == 0:
        return min(pattern.median_hours, pattern.longest_hours)

    def below(x: float) -> float:
        return 0.5 * (1 + math.erf(x / math.sqrt(2)))

    kept = math.exp(mu + sigma**2 / 2) * below((cut - mu) / sigma - sigma)
    return kept + pattern.longest_hours * (1 - below((cut - mu) / sigma))


def _hourly(curve: pl.DataFrame) -> Floats:
    """(hours,) rates of a trace, all owners together, as a share of its busiest hour. BadInput when nothing comes."""
    hour = (pl.col("at_seconds") / 3600).floor().cast(pl.Int64).alias("hour")
    by_owner = curve.group_by("owner", hour).agg(pl.col("per_second").mean())
    total = by_owner.group_by("hour").agg(pl.col("per_second").sum()).sort("hour")
    last = int(total["hour"].max() or 0)  # type: ignore[arg-type]
    if last >= MOST_TRACE_HOURS:
        message = f"the trace goes on for {last:,} hours; at most {MOST_TRACE_HOURS:,} are read"
        raise BadInput([Problem("--trace", 0, 0, "trace.long", "", message)])
    out = np.zeros(last + 1)
    out[total["hour"].to_numpy()] = total["per_second"].to_numpy()
    if out.max() <= 0:
        raise BadInput([Problem("--trace", 0, 0, "trace.empty", "", "nothing arrives in this trace")])
    return np.asarray(np.round(out / out.max(), 9))


def _weekday(year: int, month: int) -> int:
    """Weekday of the first of a month, Monday 0 (Zeller's congruence)."""
    y, m = (year - 1, month + 12) if month < 3 else (year, month)
    return (1 + 13 * (m + 1) // 5 + y + y // 4 - y // 100 + y // 400 + 5) % 7

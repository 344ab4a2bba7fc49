"""Excuses: why an ask does not run, pool by pool, and what would unblock it.

P1.X  An ask that does not run has an excuse for every pool's obstacle, grouped by rule, and for each pool it could use
      what stands in the way there: too few accelerators free, a fragmented pool, a limit with its name and what is left
      of it, or a price above its value.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

import numpy as np

from argosy.model.decision import Excuse
from argosy.model.routes import farthest
from argosy.place.limits import REMEDY
from argosy.place.rows import Limit
from argosy.place.solution import Solution
from argosy.place.waiting import slack_words
from argosy.place.world import Floats

SMALL = 1e-7
_OBSTACLE_REMEDY = {
    "pool": "widen the pools that it may use",
    "silicon": "measure it there (speed), or add a pool with silicon it has been measured on",
    "family": "port it to that family",
    "residency": "widen the residency rule, or add capacity in an allowed region",
    "spot": "give it a spot_goodput_fraction",
    "link": "write p50_gbit_per_second of that link under links",
    "cordon": "uncordon the pool",
    "domain": "free a larger domain, or let the gang span domains",
    "goodput": "repair the pool, or use another",
    "deadline": "ask for more accelerators, add faster ones, or move the deadline",
}
_NEAR = (
    "wait",
    "P1.P",
    "fragmented",
    *REMEDY,
    "turn",
    "price",
    "deadline",
    "link",
    "cordon",
    "domain",
    "spot",
    "goodput",
    "family",
    "silicon",
    "latency",
    "residency",
    "pool",
)


class Reasons:
    """Reads one solution; `use` (P,) accelerators in use, `fragmented` (class, pool) to what the packing found."""

    def __init__(self, solution: Solution, use: Floats, fragmented: Mapping[tuple[int, int], str]) -> None:
        self.solution, self.world, self.use, self.fragmented = solution, solution.program.world, use, fragmented
        self.ids = [pool.id for pool in self.world.snapshot.pools]
        of, pool = solution.program.cell
        self.column = {(c, p): j for j, (c, p) in enumerate(zip(of.tolist(), pool.tolist(), strict=True))}
        self.left: dict[str, float] = {}
        for limit in solution.program.limits:
            used, most = limit.amounts(solution.columns)
            self.left[f"{limit.rule} {limit.name}"] = most - used

    def of(self, c: int) -> tuple[Excuse, ...]:
        """The excuses of a class, the nearest to a start first."""
        world = self.world
        ask = world.ask(c)
        found: list[Excuse] = []
        by_rule: dict[str, list[tuple[str, str]]] = defaultdict(list)
        waits: list[int] = []
        for p, obstacle in enumerate(world.obstacle[c]):
            if obstacle is not None and obstacle.startswith("latency"):
                found.append(self._latency(c, p, obstacle))
            elif (c, p) in world.held:
                found.append(self._slack(c, p))
            elif obstacle is not None and (c, p) in world.hopes:
                waits.append(p)
            elif obstacle is not None:
                rule, _, words = obstacle.partition(": ")
                by_rule[rule].append((self.ids[p], words))
        for rule, rows in by_rule.items():
            where = ", ".join(name for name, _ in rows[:4]) + (f" and {len(rows) - 4} more" if len(rows) > 4 else "")
            remedy = _OBSTACLE_REMEDY[rule]
            found.append(Excuse(subject=ask.id, rule=rule, limit=f"{where}: {rows[0][1]}", remedy=remedy))
        if waits:
            found.append(self._wait(c, waits))
        few = self._too_few_domains(c)
        for p in [] if few else np.flatnonzero(world.rate[c] > 0).tolist():
            found += self._pool(c, p)
        if few:
            # Nothing that is done in one pool would help.
            return (*few, *sorted(found, key=lambda e: (_NEAR.index(e.rule), e.short or 0.0)))
        return tuple(sorted(found, key=lambda e: (_NEAR.index(e.rule), e.short or 0.0)))

    def _slack(self, c: int, p: int) -> Excuse:
        """P5.14: what the deadline leaves, and how much later it would have to be."""
        row = self.world.held[c, p]
        short, later = row.needed_hours - row.hours, ""
        if np.isfinite(short):
            later = f", or move the deadline by {short:.4g} hours"
        return Excuse(
            subject=self.world.ask(c).id,
            rule="deadline",
            limit=f"{self.ids[p]}: {slack_words(row)}",
            short=short if np.isfinite(short) else None,
            unit="hours" if np.isfinite(short) else None,
            remedy=f"free accelerators in {row.firm}, where it must run now{later}",
        )

    def _wait(self, c: int, pools: list[int]) -> Excuse:
        """P5.15: how far it is, how far the line, and when it starts on demand at the latest."""
        hope = self.world.hopes[c, pools[0]]
        where, spots = ", ".join(self.ids[p] for p in pools), ", ".join(hope.spots)
        return Excuse(
            subject=self.world.ask(c).id,
            rule="wait",
            limit=f"{where}: paid for only as used, and its deadline lets it wait for spot in {spots}: "
            f"{100 * hope.done_fraction:.3g} % of its work is done, {100 * hope.line_fraction:.3g} % of its time is "
            f"over, and {hope.slack_hours:.4g} hours of slack are left",
            short=hope.latest_hours,
            unit="hours until it starts on demand at the latest",
            remedy=f"free or add accelerators in {spots}; it starts on demand in {hope.latest_hours:.4g} hours at the "
            "latest",
        )

    def _latency(self, c: int, p: int, obstacle: str) -> Excuse:
        """P1.U: how far the pool is, and what would bring it within reach."""
        ask, pool = self.world.ask(c), self.world.snapshot.pools[p]
        assert ask.latency is not None
        regions = {region.id: region for region in self.world.snapshot.regions}
        users = [regions[name] for name in ask.latency.users or (str(ask.home),)]
        at, far = farthest(self.world.snapshot.links, users, regions[pool.region], ask.latency.quantile)
        assert far is not None, "a distance that nobody measured was an error"
        most = ask.latency.max_round_trip_milliseconds
        return Excuse(
            subject=ask.id,
            rule="latency",
            limit=f"{pool.id}: {obstacle.removeprefix('latency: ')}",
            short=far - most,
            unit="milliseconds",
            remedy=f"add capacity within {most:g} ms of {at.id}, or allow {far:g}",
        )

    def _pool(self, c: int, p: int) -> list[Excuse]:
        """What stands in the way in a pool that the class could use."""
        world, ask, name = self.world, self.world.ask(c), self.ids[p]
        if (c, p) in self.fragmented:
            words = f"{name}: fragmented: {self.fragmented[c, p]}"
            remedy = "drain a node or domain there, or ask for less"
            return [Excuse(subject=ask.id, rule="fragmented", limit=words, remedy=remedy)]
        if self._shares(c) and not world.fits[c, p] and ask.accelerators <= world.most[p]:
            words = f"{name}: fragmented: its nodes, even empty, hold no such ask in one piece"
            remedy = "ask for less, let it span domains, or add larger nodes"
            return [Excuse(subject=ask.id, rule="fragmented", limit=words, remedy=remedy)]
        if self._dear(c, p):
            return [self._price(c, p)]
        size = float(world.accelerators[c])
        free = max(0.0, round(float(world.most[p] - self.use[p]), 9))
        if size > free + SMALL:
            fits = size <= world.most[p] + SMALL
            bid = self._bid(c, p) if fits else ", or ask for a smaller gang"
            return [
                Excuse(
                    subject=ask.id,
                    rule="P1.P",
                    limit=f"{name}: insufficient unused accelerators, {size:g} wanted and {free:g} of "
                    f"{world.most[p]:g} free",
                    short=size - free,
                    unit="accelerators",
                    remedy=f"add {size - free:g} accelerators there{bid}",
                )
            ]
        return (
            self._limits(c, p)
            or self._all_or_none(c, p)
            or [
                Excuse(
                    subject=ask.id,
                    rule="turn",
                    limit=f"{name}: others come first under {world.objective}; its share of time is 0 now",
                    remedy="wait for its turn, raise its weight, or add capacity",
                )
                if self._shares(c)
                else Excuse(
                    subject=ask.id,
                    rule="price",
                    limit=f"{name}: {self._left_over(p)}",
                    remedy="raise its value, or add capacity",
                )
            ]
        )

    def _bid(self, c: int, p: int) -> str:
        """The least value at which it could outbid what runs there, by the prices of scarcity, which may be too low."""
        ask, hours = self.world.ask(c), self.world.snapshot.window_hours
        rate, begin = float(self.world.rate[c, p]), float(self.world.delay[c, p])
        busy = max(0.0, hours - begin)
        if ask.remaining_units is not None:
            busy = min(busy, ask.remaining_units / rate)
        if self.world.objective != "value" or busy <= 0:
            return ""
        short = -float(self.solution.net[c, p]) * hours
        if short <= SMALL:
            return ", or raise its value"
        bid = ask.usd_per_unit + short / (busy * rate)
        change = f"from {ask.usd_per_unit:,.2f} to {bid:,.2f} USD per reference accelerator-hour at least"
        return f", or raise its value {change}"

    def _left_over(self, p: int) -> str:
        """Why nothing more runs where there is room: what is left costs more than the rest (P1.J), or else."""
        above = [
            float(self.world.above[i, p])
            for i, supply in enumerate(self.world.snapshot.supplies)
            if self.world.draw[i, p] > 0 and self.left[f"P1.L {supply.id}"] > SMALL
        ]
        price = self.world.snapshot.pools[p].usd_per_accelerator_hour
        if above and min(above) > 0 and self.use[p] >= self.world.capacity[p] - SMALL:
            return f"what is left there costs {price + min(above):,.2f} USD per accelerator-hour"
        return "what is free is worth more to others, or copies of its data cost too much"

    def _shares(self, c: int) -> bool:
        """Whether it is given a share of time rather than a place."""
        return self.solution.proof is not None and not bool(self.solution.proof.first[c])

    def _dear(self, c: int, p: int) -> bool:
        """Whether one more there would lose money even if nobody else wanted anything."""
        proof = self.solution.proof
        if self.world.objective != "value" and (proof is None or not proof.first[c]):
            return False
        hours = self.world.snapshot.window_hours
        return bool(self.world.gain[c, p] <= 0 and self.solution.net[c, p] * hours <= SMALL)

    def _price(self, c: int, p: int) -> Excuse:
        world, ask, price = self.world, self.world.ask(c), self.world.snapshot.pools[p].usd_per_accelerator_hour
        value = float(world.rate[c, p] * ask.usd_per_unit / world.accelerators[c])
        short = price - value if value < price else None
        words = f"an accelerator-hour is worth {value:,.2f} USD to it and costs {price:,.2f}"
        remedy = "raise its value, or wait for a lower internal price"
        if short is None:
            words += "; moving data, waiting for it and restarting take the rest"
            hours = np.inf if ask.remaining_units is None else ask.remaining_units / world.rate[c, p]
            if hours > world.snapshot.window_hours - world.delay[c, p]:
                remedy = "raise its value, or count the gain over a longer window"
        free, size = max(0.0, float(world.most[p] - self.use[p])), float(world.accelerators[c])
        if size > world.most[p] + SMALL:
            # To bid more would not help alone.
            words += f", and {size:g} are wanted where there are {world.most[p]:g}"
            remedy = f"raise its value and add {size - free:g} accelerators there"
        return Excuse(
            subject=ask.id,
            rule="price",
            limit=f"{self.ids[p]}: {words}",
            short=short,
            unit=None if short is None else "USD per accelerator-hour",
            remedy=remedy,
        )

    def _limits(self, c: int, p: int) -> list[Excuse]:
        """The named limits without enough left for one more there."""
        found = []
        for limit in self.solution.program.limits:
            if limit.rule == "P1.B":
                continue
            left, takes = max(0.0, self.left[f"{limit.rule} {limit.name}"]), self._takes(limit, c, p)
            if takes > left + SMALL * max(1.0, limit.constant) and limit.rule == "P5.15":
                found.append(self._wait(c, [p]))
            elif takes > left + SMALL * max(1.0, limit.constant):
                words = f"{limit.name} has {left:,.6g} of {limit.unit} left and {takes:,.6g} are wanted"
                found.append(
                    Excuse(
                        subject=self.world.ask(c).id,
                        rule=limit.rule,
                        limit=f"{self.ids[p]}: {words}",
                        short=takes - left,
                        unit=limit.unit,
                        remedy=REMEDY[limit.rule],
                    )
                )
        return found

    def _too_few_domains(self, c: int) -> list[Excuse]:
        """P1.H, where it could not run in enough failure domains whatever were free."""
        spread, ask = self.world.ask(c).spread, self.world.ask(c)
        if spread is None or spread.min_domains <= 1:
            return []
        names = self.solution.program.apart[c]
        if len(names) >= spread.min_domains:
            return []
        return [
            Excuse(
                subject=ask.id,
                rule="P1.H",
                limit=f"replicas must run in {spread.min_domains} {spread.over}s or none at all, {len(names)} are open "
                f"to it{': ' if names else ''}{', '.join(names)}",
                short=float(spread.min_domains - len(names)),
                unit=f"{spread.over}s",
                remedy=REMEDY["P1.H"],
            )
        ]

    def _all_or_none(self, c: int, p: int) -> list[Excuse]:
        """P1.H, where nothing runs because enough failure domains are open to it and too few of them have room."""
        spread, ask = self.world.ask(c).spread, self.world.ask(c)
        if spread is None or spread.min_domains <= 1 or self.solution.share[c].sum() > SMALL:
            return []
        return [
            Excuse(
                subject=ask.id,
                rule="P1.H",
                limit=f"{self.ids[p]}: replicas must run in {spread.min_domains} {spread.over}s or none at all, "
                "and too few of them have room",
                remedy=REMEDY["P1.H"],
            )
        ]

    def _takes(self, limit: Limit, c: int, p: int) -> float:
        """What one more takes of a limit. Of a shared supply: what the rest of the pool cannot give."""
        if limit.rule != "P1.L":
            at = np.flatnonzero(limit.columns == self.column[c, p])
            return float((limit.used[at] - limit.growth[at]).sum())
        world, snapshot = self.world, self.world.snapshot
        line = next(i for i, supply in enumerate(snapshot.supplies) if supply.id == limit.name)
        if world.draw[line, p] == 0:
            return 0.0
        pools = self.solution.program.tap[1]
        drawn = float(self.solution.taps[pools == p].sum())
        spare = float(world.capacity[p]) + drawn - float(self.use[p])
        for other, supply in enumerate(snapshot.supplies):
            if other != line and world.draw[other, p] > 0:
                spare += max(0.0, self.left[f"P1.L {supply.id}"]) / world.draw[other, p]
        return max(0.0, float(world.accelerators[c]) - spare) * float(world.draw[line, p])

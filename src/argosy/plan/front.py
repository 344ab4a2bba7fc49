"""Fronts: what less tail risk, less carbon or less of the largest vendor costs in the mean (Q10).

`main` calls `fronts` once a plan is certified. Each point is a limit with certified bounds of the least expected cost
under it: below from the cuts, above from a plan that keeps it and whose futures were all solved.

Q10.1 tail: mean of the costliest futures <= limit. Q10.2 carbon: mean tonnes <= limit. Q10.3 largest vendor: F4.C with
the limit for every vendor.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np

from argosy.model.answer import Front, FrontPoint, Measure
from argosy.plan.ask import Amount, Asker, Keeps
from argosy.plan.cut_program import CutProgram
from argosy.plan.known_plans import KnownPlan, KnownPlans, carbon_unknown
from argosy.plan.program import Floats

POINTS = 20
"""Points of a front."""
FUTURES = 250
"""About how many futures may be solved for one front; with many futures in the plan fewer limits are searched."""
LEAST_CERTIFIED = 5
SLACK = 1e-7
"""Share of a limit by which a plan may miss it and still be said to keep it."""
AVERSIONS = (0.2, 0.6, 0.95)
"""Weights of the tail for which a plan is looked for first; the last one is the safe end."""
PRICES_USD_PER_TONNE = (0.0, 100.0, 250.0, 500.0, 1000.0)
"""Prices of carbon at which futures are solved; between two of them a mixture of their uses is a use."""


def fronts(asker: Asker, count: int = POINTS) -> tuple[Front, ...]:
    """The three fronts; one without points says why."""
    if asker.stop.is_set():
        return ()
    cheapest = _cheapest(asker)
    made = []
    for name, make in (("tail risk", _tail), ("carbon", _carbon), ("largest vendor", _vendor)):
        if not asker.stop.is_set():
            asker.progress(f"cost against {name}", None, None)
            made.append(make(asker, cheapest, count))
    return tuple(made)


def _expected(plan: KnownPlan) -> float:
    return plan.expected


def _tail_of(plan: KnownPlan) -> float:
    return plan.tail


def _weighed(aversion: float) -> Amount:
    return lambda plan: (1 - aversion) * plan.expected + aversion * plan.tail


def _any(plan: KnownPlan) -> bool:
    return True


def _cheapest(asker: Asker) -> KnownPlan:
    """The known plan with the least expected cost, after a search for it."""
    asker.search(asker.cuts, asker.cuts.expected, _expected, keeps=_any, rounds=4, branch=True)
    found = asker.best(_expected, _any)
    assert found is not None
    return found


def _certified(asker: Asker, count: int) -> list[int]:
    """Which of the limits are searched: the ends and others spread evenly, as many as the futures allow."""
    affordable = max(LEAST_CERTIFIED, FUTURES // (2 * asker.template.program.shape["S"]))
    places = np.linspace(0, count - 1, min(count, affordable)).round().astype(int)
    return sorted({int(i) for i in places})


class _Sweep:
    """One front while it is made: limits, lower bounds and the plans that keep them."""

    def __init__(self, asker: Asker, cuts: CutProgram, limits: Floats, amount: Amount) -> None:
        self.asker, self.cuts, self.limits, self.amount = asker, cuts, limits, amount
        self.low = np.full(len(limits), -np.inf)

    def keeps(self, i: int) -> Keeps:
        """Whether a plan keeps a limit."""
        most = self.limits[i] + SLACK * abs(self.limits[i])
        return lambda plan: self.amount(plan) <= most

    def run(self, tighten: Callable[[float], None]) -> None:
        """Search at the limits, then ask the cuts once more, which by then know all plans."""
        for i in _certified(self.asker, len(self.limits)):
            if self.asker.stop.is_set():
                return
            tighten(float(self.limits[i]))
            self.asker.search(self.cuts, self.cuts.expected, _expected, keeps=self.keeps(i), rounds=2)
        for i in range(len(self.limits)):
            tighten(float(self.limits[i]))
            again = self.cuts.relaxed(self.cuts.expected)
            if again is not None:
                self.low[i] = max(self.low[i], again.bound)
        self.low = np.maximum.accumulate(self.low[::-1])[::-1]  # a tighter limit never costs less

    def points(self, asker: Asker, scale: float) -> tuple[FrontPoint, ...]:
        """The records, from the tightest limit to the loosest; limits that no plan was found for are left out."""
        out = []
        for i, limit in enumerate(self.limits.tolist()):
            best = asker.best(_expected, self.keeps(i))
            if best is not None:
                out.append(_point(asker, limit * scale, min(float(self.low[i]), best.expected), best.expected, best))
        return tuple(out)


def _point(asker: Asker, limit: float, low: float, high: float, plan: KnownPlan) -> FrontPoint:
    money, vendors = asker.template.program.money_scale, asker.told.world.vendors
    share = plan.share
    return FrontPoint(
        limit=limit,
        low_usd=low * money,
        high_usd=high * money,
        tail_usd=plan.tail * money,
        carbon_tonnes=None if np.isnan(plan.carbon) else plan.carbon,
        largest_vendor=vendors[int(share.argmax())] if share.max(initial=0.0) > 0 else None,
        largest_vendor_fraction=float(share.max()) if share.max(initial=0.0) > 0 else None,
        signed=signed_now(asker, plan),
    )


def signed_now(asker: Asker, plan: KnownPlan) -> tuple[str, ...]:
    """Candidates that a plan signs now."""
    program, part = asker.template.program, asker.template.first.columns.part
    size, sign = plan.first[part("size")], plan.first[part("sign")]
    rows = np.flatnonzero((sign > 0.5) & (size > 1e-6) & (program.sign_lower == 0))
    return tuple(dict.fromkeys(asker.told.world.sized[k].contract for k in rows.tolist()))


def _front(measure: Measure, unit: str, points: Sequence[FrontPoint], note: str | None = None) -> Front:
    return Front.model_validate({"measure": measure, "unit": unit, "points": tuple(points), "note": note})


def _tail(asker: Asker, cheapest: KnownPlan, count: int) -> Front:
    """Q10.1."""
    if asker.template.program.shape["S"] == 1:
        return _front("tail", "usd", (), "with one future the tail is the mean")
    cuts, money = asker.cuts, asker.template.program.money_scale
    lines = [(asker.template.program.risk_aversion, asker.found.bound)]
    for aversion in AVERSIONS:
        wanted = (1 - aversion) * cuts.expected + aversion * cuts.tail
        least = asker.search(cuts, wanted, _weighed(aversion), keeps=_any, rounds=4, branch=True)
        if least is not None:
            lines.append((aversion, least.bound))
    safest = asker.best(_weighed(AVERSIONS[-1]), _any)
    assert safest is not None
    limits = np.linspace(safest.tail, max(safest.tail, cheapest.tail), count)
    sweep = _Sweep(asker, cuts, limits, _tail_of)
    row = cuts.limit(cuts.tail, np.inf)
    sweep.run(lambda limit: cuts.tighten(row, limit))
    cuts.tighten(row, np.inf)
    for aversion, bound in lines:  # (1 - a) mean + a tail >= bound holds for every plan
        sweep.low = np.maximum(sweep.low, (bound - aversion * limits) / (1 - aversion))
    return _front("tail", "usd", sweep.points(asker, money))


def _vendor(asker: Asker, cheapest: KnownPlan, count: int) -> Front:
    """Q10.3."""
    program = asker.template.program
    offered = [v for v in range(program.shape["V"]) if _value_of(program.committed_value, program.row_vendor == v) > 0]
    if len(offered) < 2:
        return _front("largest_vendor", "fraction", (), "only one vendor offers commitments")
    cuts = asker.cuts
    whole = cuts.of_sizes(program.committed_value)
    mine = {v: cuts.of_sizes(program.committed_value * (program.row_vendor == v)) for v in offered}
    at = np.flatnonzero(whole)
    rows = {v: cuts.limit(mine[v] + 1e-30 * whole, np.inf) for v in offered}

    def tighten(share: float) -> None:
        for v, row in rows.items():
            cuts.rewrite(row, mine[v] - share * whole, at)
            cuts.tighten(row, 0.0)

    low, high = 1.0 / len(offered), float(cheapest.share.max(initial=0.0))
    tighten(low)
    if cuts.relaxed(np.zeros(cuts.size)) is None:
        below, above = low, max(low, high)
        for _ in range(14):
            middle = 0.5 * (below + above)
            tighten(middle)
            below, above = (below, middle) if cuts.relaxed(np.zeros(cuts.size)) is not None else (middle, above)
        low = above
    sweep = _Sweep(asker, cuts, np.linspace(low, max(low, high), count), lambda p: float(p.share.max(initial=0.0)))
    sweep.run(tighten)
    for row in rows.values():
        cuts.tighten(row, np.inf)
    return _front("largest_vendor", "fraction", sweep.points(asker, 1.0))


def _value_of(value: Floats, rows: np.typing.NDArray[np.bool_]) -> float:
    return float(value[rows].sum())


def _carbon(asker: Asker, cheapest: KnownPlan, count: int) -> Front:
    """Q10.2."""
    program, told = asker.template.program, asker.told
    unknown = carbon_unknown(program)
    if unknown:
        names = ", ".join(told.world.pools[p].id for p in unknown[:3])
        more = f" and {len(unknown) - 3} more" if len(unknown) > 3 else ""
        note = f"power or grid carbon is not known for {names}{more}; write `facility_kw` and `carbon_g_per_kwh`"
        return _front("carbon", "tonnes", (), note)
    if cheapest.carbon <= 0:
        return _front("carbon", "tonnes", (), "the cheapest plan emits nothing")
    ladder = [asker.known]
    ladder += [KnownPlans(asker.template, price=p / program.money_scale) for p in PRICES_USD_PER_TONNE[1:]]
    cuts = CutProgram(
        asker.template, [one.priced_pool for one in ladder], tonne_scale=10.0 ** np.floor(np.log10(cheapest.carbon) - 2)
    )
    cuts.know(cheapest.first)
    return _CarbonSweep(asker, cuts, ladder, cheapest).front(count)


class _CarbonSweep:
    """Carbon depends on how capacity is used, so each plan has a curve of its own: one point for each price."""

    def __init__(self, asker: Asker, cuts: CutProgram, ladder: list[KnownPlans], cheapest: KnownPlan) -> None:
        self.asker, self.cuts, self.ladder, self.cheapest = asker, cuts, ladder, cheapest
        self.curves: list[dict[int, KnownPlan]] = []

    def front(self, count: int) -> Front:
        """Q10.2 from the plan that pays the highest price for carbon to the cheapest."""
        cuts, asker, scale = self.cuts, self.asker, self.cuts.tonne_scale
        row = cuts.limit(cuts.carbon, np.inf)
        self._solve(self.cheapest.first, range(len(self.ladder)))
        lines = [(one.price, bound) for one in self.ladder[1:] if (bound := self._search(one)) is not None]
        least_carbon = min(plan.carbon for curve in self.curves for plan in curve.values())
        start = min(least_carbon, self.cheapest.carbon)
        start += 0.05 * (self.cheapest.carbon - start)  # the very end is one plan, which nothing can be searched around
        limits = np.linspace(start, self.cheapest.carbon, count)
        for i in _certified(asker, count):
            cuts.tighten(row, limits[i] / scale)
            self._at_limit(row, limits, i)
        low = np.full(count, -np.inf)
        for i, limit in enumerate(limits.tolist()):
            cuts.tighten(row, limit / scale)
            again = cuts.relaxed(cuts.expected)
            low[i] = max(low[i], -np.inf if again is None else again.bound)
        for price, bound in lines:  # mean + price * carbon >= bound holds for every plan
            low = np.maximum(low, bound - price * limits)
        low = np.maximum.accumulate(low[::-1])[::-1]
        points = []
        for limit, bound in zip(limits.tolist(), low.tolist(), strict=True):
            cost, plan = self._best(limit)
            if np.isfinite(cost):
                points.append(_point(asker, limit, min(bound, cost), cost, plan))
        return _front("carbon", "tonnes", points)

    def _search(self, one: KnownPlans) -> float | None:
        """Look for the best plan at one price of carbon; the least that cost and carbon together can be."""
        cuts, asker, k = self.cuts, self.asker, self.ladder.index(one)
        wanted = cuts.expected + one.price * cuts.tonne_scale * cuts.carbon
        least = None if asker.stop.is_set() else cuts.branched(wanted)
        if least is None:
            return None
        cuts.fix(least.first[cuts.integers].round())
        best: tuple[float, Floats] | None = None
        for _ in range(4 * asker.patience):
            there = cuts.relaxed(wanted)
            if there is None:
                break
            point = asker.tidy(cuts, there.first)
            if best is not None:
                point = asker.tidy(cuts, 0.5 * point + 0.5 * best[1])
            made = self._solve(point, (k,))[k]
            worth = made.expected + one.price * made.carbon
            if best is None or worth < best[0]:
                best = (worth, point)
            if best[0] - there.bound <= asker.gap / 4 * abs(best[0]):
                break
        cuts.fix(None)
        if best is not None:
            self._solve(best[1], range(len(self.ladder)))
        return least.bound

    def _at_limit(self, row: int, limits: Floats, i: int) -> None:
        """Look for a plan at one limit, at the prices of carbon between which its dual lies."""
        cuts, asker = self.cuts, self.asker
        relaxed = None if asker.stop.is_set() else cuts.relaxed(cuts.expected)
        if relaxed is None:
            return
        near = [self._best(limits[j])[1] for j in (i, max(0, i - 1), min(len(limits) - 1, i + 1))]
        choice = asker.integers(cuts, cuts.expected, relaxed.first, near)
        cuts.fix(choice)
        for _ in range(2 * asker.patience if choice is not None else 0):
            there = cuts.relaxed(cuts.expected)
            if there is None:
                break
            price = cuts.dual(row) / cuts.tonne_scale
            k = int(np.clip(np.searchsorted([one.price for one in self.ladder], price), 1, len(self.ladder) - 1))
            self._solve(asker.tidy(cuts, there.first), (k - 1, k))
        cuts.fix(None)

    def _solve(self, first: Floats, steps: Sequence[int]) -> dict[int, KnownPlan]:
        curve = {k: self.ladder[k].solve(first) for k in steps}
        self.curves.append(curve)
        return curve

    def _best(self, limit: float) -> tuple[float, KnownPlan]:
        """The least expected cost of a known plan within a limit, uses at two prices mixed where that helps."""
        best = (np.inf, self.cheapest)
        most = limit * (1 + SLACK)
        for curve in self.curves:
            known = sorted(curve.values(), key=lambda p: p.carbon)
            for plan in known:
                if plan.carbon <= most and plan.expected < best[0]:
                    best = (plan.expected, plan)
            for one, two in pairwise(known):
                if one.carbon <= limit < two.carbon:
                    part = (limit - one.carbon) / (two.carbon - one.carbon)
                    cost = one.expected + part * (two.expected - one.expected)
                    if cost < best[0]:
                        best = (cost, one)
        for plan in self.asker.known.plans:
            if plan.carbon <= most and plan.expected < best[0]:
                best = (plan.expected, plan)
        return best

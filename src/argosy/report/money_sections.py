"""Sections on money and risk: cash by year, commitments and their burn-down, cost in every future.

`plan_page` calls one function per section; each returns a Section, or None when the plan has nothing to say there.
Nothing is computed but sums, means and shares of the plan's own numbers.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from argosy.model.decision import CashYear, CommitmentYear, Plan, ScenarioCost
from argosy.report import charts, svg
from argosy.report.charts import Mark, Series
from argosy.report.decision_sections import NAME, bar_name, contract_name
from argosy.report.figure import Block, Figure, Grid, Section, Table, columns, fixed
from argosy.report.format import ABSENT, Scale, clip, month, number, percent, plural, usd, words

_CASH = (
    ("minimum bills", "minimum_bill_usd", 1, 1), ("prepayments", "prepayment_usd", 3, 1),
    ("capital", "capex_usd", 7, 1),
    ("one-off", "one_off_usd", 4, 1), ("credits", "credit_usd", 5, -1),
)  # fmt: skip
# Names for people of the parts of a cost, and the fills of those that should look the same on every page.
_COMPONENTS = {
    "open": "on demand and spot", "unserved": "unserved work", "over_take": "use above floors", "use": "usage fees",
    "shortfall": "shortfall charges", "one_off": "one-off and capital",
}  # fmt: skip
_FIXED_SLOTS = {"commitments": 1, "open": 2, "unserved": 6}
_FREE_SLOTS = (3, 7, 4, 5, 9, 10, 12)
_MOST_COMPONENTS = 7
_MOST_SCENARIOS = 30


AMOUNT_FIELDS = ("committed", "used", "shortfall", "over_take", "made_up", "credited")
AMOUNTS = ("#Committed", "#Used", "#Unused", "#Above floor", "#Made up", "#Credited")


def component(key: str) -> str:
    """A part of a cost in words."""
    return _COMPONENTS.get(key, words(key))


def net(year: CashYear) -> float:
    """What leaves in a fiscal year after credits."""
    return sum(sign * float(getattr(year, field)) for _, field, _, sign in _CASH)


def fiscal(plan: Plan, year: CashYear) -> str:
    """A fiscal year's short name: the calendar year when the two agree, otherwise its first month."""
    return str(year.start.year) if plan.start.month == 1 else month(year.start)


def cash(plan: Plan) -> Section | None:
    """Money that leaves in each fiscal year against the limit."""
    if not plan.cash:
        return None
    years = sorted(plan.cash, key=lambda y: y.start)
    names = [fiscal(plan, y) for y in years]
    series = [
        Series(name, slot, tuple(sign * float(getattr(y, field)) for y in years)) for name, field, slot, sign in _CASH
    ]
    limits = [y.limit_usd for y in years]
    above = [y.limit_usd + y.borrowed_usd if y.limit_usd is not None and y.borrowed_usd > 0 else None for y in years]
    peak = max(years, key=net)
    lead = f"The most that leaves in one year is {usd(net(peak))} in {fiscal(plan, peak)}"
    room = [(y.limit_usd + y.borrowed_usd - net(y), y) for y in years if y.limit_usd is not None]
    if room:
        least, when = min(room, key=lambda r: r[0])
        tight = least <= 1e-6 * max(1.0, abs(when.limit_usd or 0.0))
        lead += (
            f"; {fiscal(plan, when)} is at its limit"
            if tight
            else f"; {fiscal(plan, when)} comes closest to its limit, with {usd(least)} left"
        )
    borrowed = sum(y.borrowed_usd for y in years)
    lead += f". {usd(borrowed)} is borrowed on top of the limits." if borrowed > 0 else ". Nothing is borrowed."
    scale = Scale.of([net(y) for y in years] + limits)
    title = "Money that leaves in each fiscal year, as written and before use"
    heads = [f"#{s.name.capitalize()}" for s in series]
    table = Table(
        caption=f"{title}, {scale.word}",
        columns=columns("Year from", *heads, "#Net", "#Borrowed", "#Limit", "#Room"),
        rows=tuple(
            (fixed(month(y.start)), *(scale.write(s.values[i]) for s in series), scale.write(net(y)),
             scale.write(y.borrowed_usd),
             "none" if y.limit_usd is None else scale.write(y.limit_usd),
             ABSENT if y.limit_usd is None else scale.write(y.limit_usd + y.borrowed_usd - net(y)))
            for i, y in enumerate(years)
        ),
        foot=("Sum", *(scale.write(sum(s.values)) for s in series), scale.write(sum(net(y) for y in years)),
              scale.write(borrowed), "", ""),
    )  # fmt: skip
    drawing = charts.bars(
        "cash",
        title,
        lead,
        names,
        series,
        unit="USD",
        limits=limits,
        limit_name="cash limit",
        above=above,
        above_name="with borrowing",
    )
    note = (
        "Net of credits above each bar. Use beyond the minimum bills is not in here; it is in the cost of each future."
    )
    if plan.later:
        note += (
            " Later decisions count with their probability; the limit holds in every group of futures, so a year may"
            " borrow although its mean is below the limit."
        )
    return Section("cash", "Cash and capital", lead, (Figure(title, drawing, table, note),))


def commitments(plan: Plan) -> Section | None:
    """What each floor asks for, what is expected to be used of it, and what is paid for nothing."""
    if not plan.commitments:
        return None
    by_contract: dict[str, list[CommitmentYear]] = defaultdict(list)
    for row in plan.commitments:
        by_contract[row.contract].append(row)
    for years in by_contract.values():
        years.sort(key=lambda c: c.start)
    fees = {c: sum(r.fee_usd for r in rows) for c, rows in by_contract.items()}
    order = sorted(by_contract, key=lambda c: (-fees[c], c))
    unused = {c: _share(by_contract[c], "shortfall") for c in order}
    wasted = sum(r.fee_usd * (r.shortfall / r.committed if r.committed > 0 else 0.0) for r in plan.commitments)
    worst = max(order, key=lambda c: (unused[c], fees[c]))
    lead = (
        f"{percent(unused[worst])} of what {clip(contract_name(plan, worst), 60)} commits to is expected to go"
        " unused, the most"
        f" of all; over all contracts about {usd(wasted)} of fees buys nothing."
        if unused[worst] > 0
        else "Every commitment is expected to be used in full."
    )
    blocks: list[Block] = [_bullets(plan, by_contract, order, fees)]
    burn = [c for c in order if len(by_contract[c]) > 1][:6]
    if burn:
        blocks.append(_burn_down(plan, by_contract, burn))
    return Section("commitments", "Commitments and burn-down", lead, tuple(blocks))


def _share(rows: Sequence[CommitmentYear], field: str) -> float:
    committed = sum(r.committed for r in rows)
    return float(sum(getattr(r, field) for r in rows)) / committed if committed > 0 else 0.0


def _bullets(plan: Plan, rows: dict[str, list[CommitmentYear]], order: list[str], fees: dict[str, float]) -> Figure:
    shown = order[:24]
    within = [max(0.0, min(_share(rows[c], "used"), 1 - _share(rows[c], "shortfall"))) for c in shown]
    series = [
        Series("used", 1, tuple(100 * v for v in within)),
        Series("unused", 6, tuple(100 * _share(rows[c], "shortfall") for c in shown)),
        Series("used above the floor", 3, tuple(100 * _share(rows[c], "over_take") for c in shown)),
    ]
    title = "Share of each commitment that is used, unused and exceeded"
    table = Table(
        caption=f"{title}, whole term within the horizon",
        columns=columns("Contract", "Unit", *AMOUNTS, "#Fee"),
        rows=tuple(
            (clip(contract_name(plan, c), NAME), words(rows[c][0].unit),
             *(number(round(sum(getattr(r, f) for r in rows[c])))
               for f in AMOUNT_FIELDS), usd(fees[c]))
            for c in shown
        ),
    )  # fmt: skip
    note = "Expected over the futures; fees at the right, largest first."
    if len(order) > len(shown):
        note += f" The {len(shown)} largest of {len(order)} contracts."
    drawing = charts.rows(
        "commitments", title, note, [bar_name(contract_name(plan, c), c) for c in shown], series,
        unit="% of what is committed", ends=[usd(fees[c]) for c in shown], write=lambda v: percent(v / 100),
    )  # fmt: skip
    return Figure(title, drawing, table, note)


def _burn_down(plan: Plan, rows: dict[str, list[CommitmentYear]], shown: list[str]) -> Grid:
    title = "Burn-down of the largest commitments by contract year"
    small = []
    for i, contract in enumerate(shown):
        years = rows[contract]
        series = [
            Series("committed", 8, tuple(y.committed for y in years)), Series("used", 1, tuple(y.used for y in years)),
            Series("unused", 6, tuple(y.shortfall for y in years)),
        ]  # fmt: skip
        unit = "USD" if years[0].unit.startswith("usd") else words(years[0].unit)
        name = contract_name(plan, contract)
        text = f"Committed, used and unused by contract year of {name}."
        names = [str(y.start) for y in years]
        small.append((clip(name, 52), charts.grouped_bars(f"burn-{i}", name, text, names, series, unit=unit)))
    data = Table(
        caption=title,
        columns=columns("Contract", "Year from", *AMOUNTS, "#Fee"),
        rows=tuple(
            (clip(contract_name(plan, c), 60), fixed(month(y.start)),
             *(number(round(getattr(y, f))) for f in AMOUNT_FIELDS), usd(y.fee_usd))
            for c in shown
            for y in rows[c]
        ),
    )  # fmt: skip
    legend = svg.legend(
        (("committed", "f8"), ("used, mean of the futures", "f1"), ("unused, mean of the futures", "f6"))
    )
    return Grid(title, legend, tuple(small), data)


def risk(plan: Plan) -> Section | None:
    """What every future costs, and of what."""
    if not plan.scenarios:
        return None
    ranked = sorted(plan.scenarios, key=lambda s: (-s.cost_present_value_usd, s.scenario))
    totals: dict[str, float] = defaultdict(float)
    for s in ranked:
        for name, value in s.components_present_value_usd.items():
            totals[name] += abs(value)
    order = sorted((c for c in totals if totals[c] > 0), key=lambda c: (-totals[c], c))
    kept = order if len(order) <= _MOST_COMPONENTS else order[: _MOST_COMPONENTS - 1]
    other = order[len(kept) :]
    free = iter(_FREE_SLOTS)
    slots = {c: _FIXED_SLOTS.get(c) or next(free) for c in kept}
    names, parts, costs, bars_note = _ranked(ranked)
    series = [Series(component(c), slots[c], tuple(p.get(c, 0.0) for p in parts)) for c in kept]
    if other:
        series.append(Series("other", svg.OTHER, tuple(sum(p.get(c, 0.0) for c in other) for p in parts)))
    scale = Scale.of(s.cost_present_value_usd for s in ranked)
    low, high = ranked[-1].cost_present_value_usd, ranked[0].cost_present_value_usd
    share = percent(1 - plan.tail_fraction)
    lead = (
        f"Cost lies between {usd(low)} and {usd(high)} in present value over {plural(len(ranked), 'future')},"
        f" {usd(plan.expected_usd)}"
        f" expected. The costliest {share} cost {usd(plan.tail_usd)} on average."
    )
    marks = (
        Mark(f"expected {usd(plan.expected_usd)}", plan.expected_usd),
        Mark(f"mean of the costliest {share} {usd(plan.tail_usd)}", plan.tail_usd),
    )
    title = "Cost of each future, costliest first"
    table = Table(
        caption=f"{title}, present value, {scale.word}",
        columns=columns(
            "Future", "#Probability", "#Weight", "#Cost", "#Against expected", *(f"#{component(c)}" for c in order)
        ),
        rows=tuple(_future(plan, s, order, scale) for s in ranked[:100]),
        note=f"The 100 costliest of {len(ranked):,} futures." if len(ranked) > 100 else "",
    )
    drawing = charts.rows(
        "risk", title, lead, names, series, unit="USD", marks=marks, ends=[scale.write(c) for c in costs]
    )
    rate = percent(plan.discount_rate_fraction)
    note = f"Present value at {rate} a year; {scale.word} at the right. {bars_note}"
    return Section("risk", "Risk", lead, (Figure(title, drawing, table, note),))


def _future(plan: Plan, s: ScenarioCost, order: Sequence[str], scale: Scale) -> tuple[str, ...]:
    parts = (s.components_present_value_usd.get(c) for c in order)
    return (
        clip(s.name or s.scenario, NAME), percent(s.probability), f"{s.weight_fraction:.4f}",
        scale.write(s.cost_present_value_usd), scale.write(s.cost_present_value_usd - plan.expected_usd),
        *(scale.write(v) for v in parts),
    )  # fmt: skip


def _ranked(ranked: Sequence[ScenarioCost]) -> tuple[list[str], list[dict[str, float]], list[float], str]:
    if len(ranked) <= _MOST_SCENARIOS:
        names = [f"{clip(s.name or s.scenario, 27)}, {percent(s.probability)}" for s in ranked]
        costs = [s.cost_present_value_usd for s in ranked]
        return names, [s.components_present_value_usd for s in ranked], costs, "Probability beside each name."
    groups = 20
    names, parts, costs = [], [], []
    for g in range(groups):
        low, high = g * len(ranked) // groups, (g + 1) * len(ranked) // groups
        members = ranked[low:high]
        weight = sum(s.probability for s in members)
        part: dict[str, float] = defaultdict(float)
        for s in members:
            for name, value in s.components_present_value_usd.items():
                part[name] += value * s.probability / weight
        names.append(
            f"rank {low + 1}–{high}, {percent(weight)}" if high > low + 1 else f"rank {high}, {percent(weight)}"
        )
        parts.append(dict(part))
        costs.append(sum(s.cost_present_value_usd * s.probability for s in members) / weight)
    note = f"{len(ranked):,} futures by falling cost in {groups} groups; mean of each group, its probability beside it."
    return names, parts, costs, note

"""Sections on what is bought and what it is for: capacity against demand, who runs where, internal prices.

`plan_page` calls one function per section; each returns a Section, or None when the plan has nothing to say there.
Nothing is computed but sums, means and shares of the plan's own numbers.
"""

from __future__ import annotations

from collections import defaultdict

from argosy.model.decision import Plan, PriceTerm
from argosy.report import charts, format, svg
from argosy.report.charts import Series
from argosy.report.decision_sections import NAME
from argosy.report.figure import Block, Cell, Figure, Grid, Note, Section, Table, columns, fixed, row
from argosy.report.format import clip, month, number, percent, plural
from argosy.report.periods import Periods, largest
from argosy.units import Month

_SLOTS = (1, 3, 4, 5, 7, 9, 10, 11, 12)


def capacity(plan: Plan) -> Section | None:
    """Capacity by pool, demand by workload, and who runs where."""
    if not plan.capacity and not plan.work:
        return None
    blocks: list[Block] = []
    sentences = []
    if plan.capacity:
        figure, sentence = _capacity(plan)
        blocks.append(figure)
        sentences.append(sentence)
    if plan.work:
        blocks += _work(plan)
        shares = served(plan)
        worst = min(shares, key=lambda w: shares[w])
        lost = [w for w in shares if shares[w] < 1]
        sentences.append(
            f"{percent(shares[worst])} of the demand of {clip(worst, 60)} is served on average, the lowest of"
            " all workloads."
            if lost
            else "All mean demand of every workload is served."
        )
    if plan.dispatch:
        blocks.append(_who_runs_where(plan))
    return Section("capacity", "Capacity against demand", " ".join(sentences), tuple(blocks))


def served(plan: Plan) -> dict[str, float]:
    """Share of each workload's mean demand over the horizon that is served."""
    demand: dict[str, float] = defaultdict(float)
    lost: dict[str, float] = defaultdict(float)
    for w in plan.work:
        demand[w.workload] += w.demand_units
        lost[w.workload] += w.unserved_units
    return {w: 1 - lost[w] / d if d > 0 else 1.0 for w, d in demand.items()}


def _capacity(plan: Plan) -> tuple[Figure, str]:
    periods = Periods.of(plan, 36)
    committed = periods.means((c.pool, c.month, c.committed_accelerators) for c in plan.capacity)
    free = periods.means(("open", c.month, c.open_accelerators) for c in plan.capacity)["open"]
    used = periods.means(("used", c.month, c.used_accelerators) for c in plan.capacity)["used"]
    committed = {pool: values for pool, values in committed.items() if any(values)}
    first, rest = largest(committed, len(_SLOTS) - 1)
    layers = [Series(pool, _SLOTS[i], tuple(committed[pool])) for i, pool in enumerate(first)]
    if rest:
        summed = tuple(sum(committed[p][i] for p in rest) for i in range(len(free)))
        layers.append(Series(f"{len(rest)} other pools", svg.OTHER, summed))
    if any(free):
        layers.append(Series("on demand and spot", svg.OPEN, tuple(free)))
    line = Series("used on average", 0, tuple(used))
    total = [sum(v[i] for v in committed.values()) for i in range(len(free))]
    peak = max(range(len(total)), key=total.__getitem__)
    share = sum(used) / (sum(total) + sum(free)) if sum(total) + sum(free) > 0 else 0.0
    when = month(periods.starts[peak])
    if periods.lasts > 1:
        when = f"the {periods.word} from {when}"
    sentence = (
        f"Committed capacity peaks at {format.count(total[peak])} accelerators in {when}; {percent(share)} of all"
        " capacity taken is used on average."
    )
    title = "Accelerators by pool, and how many are used"
    table = Table(
        caption=f"{title}, mean over each {periods.word}",
        columns=columns("From", *(f"#{clip(s.name, 40)}" for s in layers), "#used"),
        rows=tuple(
            (fixed(month(m)), *(number(round(s.values[i], 1)) for s in layers), number(round(used[i], 1)))
            for i, m in enumerate(periods.starts)
        ),
    )
    drawing = charts.stacked_area(
        "capacity-pools", title, sentence, (periods.starts, periods.lasts), layers, unit="accelerators", over=line
    )
    note = (
        f"Mean over the futures and over each {periods.word}. Committed capacity is what contracts and existing stock"
        " deliver; pools beyond the largest are summed."
    )
    return Figure(title, drawing, table, note), sentence


def _work(plan: Plan) -> list[Block]:
    periods = Periods.of(plan, 28)
    fields = {
        "low": "demand_low_units", "mean": "demand_units", "high": "demand_high_units", "served": "served_units",
        "unserved": "unserved_units", "worst": "unserved_high_units", "backlog": "backlog_units",
    }  # fmt: skip
    means = {k: periods.means((r.workload, r.month, getattr(r, f)) for r in plan.work) for k, f in fields.items()}
    shares = served(plan)
    order = sorted(shares, key=lambda w: (-sum(means["mean"][w]), w))
    shown = order[:6]
    small = []
    for i, workload in enumerate(shown):
        values = {k: means[k][workload] for k in ("low", "mean", "high", "served", "unserved")}
        text = f"Demand and service of {workload}: {percent(shares[workload])} served over the horizon."
        key = f"work-{i}"
        drawing = charts.band(key, f"Demand of {workload}", text, (periods.starts, periods.lasts), values, unit="units")
        small.append((f"{clip(workload, 48)}: {percent(shares[workload])} served", drawing))
    data = Table(
        caption=f"Demand and service in work units, mean over each {periods.word}",
        columns=columns("Workload", "From", "#Lowest demand", "#Mean demand", "#Highest demand", "#Served", "#Unserved",
                        "#Unserved, worst future", "#Backlog"),
        rows=tuple(
            (clip(w, 40), fixed(month(m)), *(number(round(means[k][w][i], 1)) for k in fields))
            for w in shown
            for i, m in enumerate(periods.starts)
        ),
    )  # fmt: skip
    note = "One work unit is what one H100 does for that workload in a month."
    if any(r.backlog_units > 0 for r in plan.work):
        note += " Where served lies beside demand and nothing is unserved, work waits and is done later."
    if len(order) > len(shown):
        note += f" The {len(shown)} largest of {len(order)} workloads; all are in the table below."
    legend = svg.legend(charts.BAND_LEGEND)
    summary = []
    for w in order:
        rows = [r for r in plan.work if r.workload == w]
        worst = max(rows, key=lambda r: r.unserved_high_units)
        backlog = max(r.backlog_units for r in rows)
        hit = (
            Cell(f"{number(round(worst.unserved_high_units, 1))} units", month(worst.month))
            if worst.unserved_high_units > 0
            else "none"
        )
        mean = sum(r.demand_units for r in rows) / len(rows)
        summary.append((clip(w, NAME), f"{number(round(mean, 1))}", percent(shares[w]), hit, number(round(backlog, 1))))
    heads = columns(
        "*Workload", "#Mean demand, units", "#Served on average", "#Most unserved in any future", "#Highest backlog"
    )
    return [
        Grid("Demand of each workload and what is served", legend, tuple(small), data, note),
        Table("Service by workload", heads, tuple(summary)),
    ]


def _who_runs_where(plan: Plan) -> Table:
    steps = len({d.month for d in plan.dispatch})
    sums: dict[tuple[str, str], float] = defaultdict(float)
    for d in plan.dispatch:
        sums[d.pool, d.workload] += d.accelerators / steps
    by_pool: dict[str, list[float]] = defaultdict(list)
    by_work: dict[str, list[float]] = defaultdict(list)
    for (pool, work), value in sums.items():
        by_pool[pool].append(value)
        by_work[work].append(value)
    pools, hidden = largest(dict(by_pool), 16)
    works, _ = largest(dict(by_work), 7)
    high = max(sums.values(), default=0.0)
    rows = []
    for pool in pools:
        values = [sums.get((pool, w), 0.0) for w in works]
        texts = [
            Cell(number(round(v)) if v >= 0.5 else "<1" if v > 0 else "", look=charts.heat_class(v, high))
            for v in values
        ]
        rows.append(row(clip(pool, NAME), *texts, number(round(sum(by_pool[pool])))))
    note = "Mean accelerators over the horizon and the futures."
    if hidden:
        note += f" {plural(len(hidden), 'smaller pool')} not shown."
    heads = columns("*Pool", *(f"#{clip(w, 24)}" for w in works), "#All")
    return Table("Where the work runs", heads, tuple(rows), note=note, look="heat")


def prices(plan: Plan) -> Section | None:
    """Internal prices by pool and period, and one of them recomputed by hand."""
    if not plan.prices:
        return None
    periods = Periods.of(plan, 14)
    means = periods.means((p.pool, p.month, p.usd_per_accelerator_hour) for p in plan.prices)
    size: dict[str, float] = defaultdict(float)
    for c in plan.capacity:
        size[c.pool] += c.used_accelerators
    order = sorted(means, key=lambda p: (-size[p], p))
    high = max(max(v) for v in means.values())
    digits = value_digits(high)
    rows = tuple(
        row(clip(p, NAME), *(Cell(f"{v:.{digits}f}", look=charts.heat_class(v, high)) for v in means[p]),
         f"{sum(means[p]) / len(means[p]):.{digits}f}")
        for p in order[:40]
    )  # fmt: skip
    top = max(plan.prices, key=lambda p: p.usd_per_accelerator_hour)
    free = sum(1 for p in plan.prices if p.usd_per_accelerator_hour < 0.005) / len(plan.prices)
    least = min(p.usd_per_accelerator_hour for p in plan.prices)
    low = (
        f"next to nothing in {percent(free)} of all pools and months"
        if free
        else f"at least {usd_price(least)} anywhere"
    )
    lead = (
        f"One more accelerator-hour is worth up to {usd_price(top.usd_per_accelerator_hour)} ({clip(top.pool, 60)},"
        f" {month(top.month)}) and {low}. Placement, routing and internal billing use these prices."
    )
    note = f"Plain mean of the months of each {periods.word}; pools by use, most used first. Darker is dearer."
    if len(order) > 40:
        note += f" The 40 most used of {len(order)} pools."
    heads = columns("*Pool", *(f"#{month(m)}" for m in periods.starts), "#Mean")
    table = Table(
        f"Internal price, USD per accelerator-hour, by {periods.word} from", heads, rows, note=note, look="heat dense"
    )
    example = _example(plan)
    without = Note("This plan carries no price terms, so no price can be taken apart here.")
    return Section("prices", "Internal prices", lead, (table, *(example or (without,))))


def yearly_prices(plan: Plan, most: int) -> tuple[tuple[Month, ...], dict[str, list[float]]]:
    """Mean internal price by pool and year; longer periods when there are more than `most` years."""
    whole = Periods.of(plan, most)
    periods = Periods(plan.start, plan.months, max(12, whole.lasts))
    return periods.starts, periods.means((p.pool, p.month, p.usd_per_accelerator_hour) for p in plan.prices)


def value_digits(high: float) -> int:
    """Digits with which prices up to `high` are told apart in a narrow column."""
    return 2 if high < 100 else 1


def usd_price(value: float) -> str:
    """A price as it is written everywhere on the page."""
    return f"USD {value:,.2f}"


def _example(plan: Plan) -> tuple[Block, ...]:
    groups: dict[tuple[str, Month], list[PriceTerm]] = defaultdict(list)
    for term in plan.price_terms:
        groups[term.pool, term.month].append(term)
    known = {(p.pool, p.month): p.usd_per_accelerator_hour for p in plan.prices}
    fit = [key for key in groups if key in known]
    if not fit:
        return ()
    # The most telling price is one that different futures set differently.
    pool, when = max(fit, key=lambda k: (len({t.set_by for t in groups[k]}), known[k], k))
    terms = sorted(groups[pool, when], key=lambda t: -t.weight_fraction * t.usd_per_accelerator_hour)
    names = {s.scenario: s.name or s.scenario for s in plan.scenarios}
    rows = [
        (clip(names.get(t.scenario, t.scenario), 60), f"{t.weight_fraction:.4f}", f"{t.usd_per_accelerator_hour:,.4f}",
         f"{t.weight_fraction * t.usd_per_accelerator_hour:,.4f}", clip(t.set_by, 160))
        for t in terms[:12]
    ]  # fmt: skip
    if len(terms) > 12:
        weight = sum(t.weight_fraction for t in terms[12:])
        part = sum(t.weight_fraction * t.usd_per_accelerator_hour for t in terms[12:])
        rows.append((f"{len(terms) - 12} more futures", f"{weight:.4f}", "", f"{part:,.4f}", ""))
    total = sum(t.weight_fraction * t.usd_per_accelerator_hour for t in terms)
    price = known[pool, when]
    agrees = abs(total - price) <= 1e-6 * max(1.0, abs(price))
    verdict = "the published price exactly" if agrees else f"but the published price is {price:,.4f}: they do not agree"
    text = (
        f"What would one more accelerator-hour in {clip(pool, 80)} have saved in {month(when)}? In each future"
        " it would have"
        " replaced something with a price of its own. Weighted by how much each future counts in the objective, these"
        f" prices add up to {total:,.4f}, {verdict}."
    )
    heads = columns("*Future", "#Weight", "#USD per hour", "#Weight × USD", "*Set by")
    table = Table("One price recomputed by hand", heads, tuple(rows), foot=("Sum", "", "", f"{total:,.4f}", ""))
    return Note(text), table

"""The page of a simulated portfolio: use by pool, waiting, money, moves and reasons, each with its numbers beside it.

Decides only what is shown. Every picture has a name, a description and the table it was drawn from.
"""

from __future__ import annotations

import numpy as np
from markupsafe import Markup

from argosy.report import charts, svg
from argosy.report.charts import Series
from argosy.report.figure import Block, Figure, Grid, Note, Section, Table, columns
from argosy.report.format import percent, usd
from argosy.report.plan_page import KeyFigure, Page
from argosy.report.svg import Frame
from argosy.simulate.capacity import Floats
from argosy.simulate.outcome import Outcome
from argosy.simulate.page import footer, lines, render
from argosy.simulate.run import FIRST_FIT, WHOLE

HALF = (452.0, 190.0)
POINTS = 300
DAYS_SHOWN = 92
MANY = 120
_CAUSES = {
    "committed": "minimum bills",
    "above": "use above them",
    "own": "own accelerators",
    "on_demand": "on demand",
    "spot": "spot",
    "short": "short of a minimum",
    "egress": "moving data",
}
RULES = {
    "wait": "waits for spot",
    "P1.P": "no room",
    "price": "price too high",
    "deadline": "too late there",
    "link": "no way for data",
    "cordon": "pool resting",
    "domain": "domain too small",
    "spot": "may not use spot",
    "goodput": "no useful work",
    "family": "wrong software",
    "silicon": "never measured",
    "residency": "residency",
    "pool": "pool not allowed",
    "mask": "no pool allowed",
}
"""Rules of `place` (docs/concepts/place.md) in words that fit beside a bar."""


def portfolio_page(found: Outcome) -> str:
    """The whole page."""
    made = found.simulation
    cost = sum(found.cost_usd.values())
    there = sum(row.capacity_accelerators for row in found.pools)
    used = sum(row.used_accelerators for row in found.pools)
    wanted = sum(row.wanted_units for row in found.works)
    done = sum(row.done_units for row in found.works)
    days = made.span.hours / 24
    figures = (
        KeyFigure("Paid", usd(cost), "in 1 day" if days == 1 else f"in {days:g} days"),
        KeyFigure("In use", percent(used / there) if there else "–", "of the accelerators that stood"),
        KeyFigure("Work done", percent(done / wanted) if wanted else "–", "of what was wanted"),
        KeyFigure("Median wait", _hours(found, 0.5), "from arrival to useful work"),
        KeyFigure("Moves", f"{sum(d.migrations for d in found.days):,}", "from one pool to another"),
        KeyFigure("Taken away", f"{made.counts.preempted:,}", "runs, by vendors"),
    )
    name = made.scenario.name or made.scenario.id
    span = "1 day costs" if days == 1 else f"{days:g} days cost"
    head = (
        f"{span} {usd(cost)}, and {percent(done / wanted) if wanted else 'no'} of the work that was wanted was done.",
        f"The future is “{name}”; decided " + _decided(made.setup.objective),
    )
    sections = (
        _use(found),
        _waiting(found),
        _work(found),
        _fair(found),
        _money(found),
        _changes(found),
        _reasons(found),
        _days(found),
    )
    page = Page(
        made.setup.portfolio.title or made.setup.portfolio.name,
        f"Simulation · {made.span.months[0]}",
        head,
        figures,
        tuple(section for section in sections if section is not None),
        "Fragmentation is not shown: a portfolio says how many accelerators a pool has, not on which nodes.",
        footer(f"seed {made.setup.seed}, log {made.store.digest()[:16]}…"),
    )
    return render(page)


def _hours(found: Outcome, quantile: float) -> str:
    return f"{np.quantile(found.waits_hours, quantile):.2f} h" if len(found.waits_hours) else "–"


def _use(found: Outcome) -> Section:
    meter = found.simulation.meter
    grid = []
    # Pools by how much they hold, so that what matters stands first.
    order = sorted(meter.pools, key=lambda pool: -found.capacity_accelerators[meter.pools[pool]].sum())
    for pool in order:
        p = meter.pools[pool]
        grid.append((pool, _over_time(found, pool, meter.used_accelerator_hours[p], found.capacity_accelerators[p])))
    rows = tuple(
        (
            row.pool,
            f"{row.capacity_accelerators:,.1f}",
            f"{row.used_accelerators:,.1f}",
            percent(row.used_fraction),
            f"{meter.used_accelerator_hours[meter.pools[row.pool]].max(initial=0.0):,.1f}",
        )
        for row in sorted(found.pools, key=lambda row: order.index(row.pool))
    )
    heads = columns("Pool", "#Accelerators, mean", "#In use, mean", "#Share", "#In use, most")
    legend = svg.legend((("in use", "key-line1"), ("could be used", "key-dash")))
    block = Grid("Accelerators in use, by pool", legend, tuple(grid), Table("Use of each pool", heads, rows))
    lead = (
        "What each pool held and how much of it was busy. Falling dashes are late deliveries, outages or scarce spot."
    )
    return Section("use", "Use by pool over time", lead, (block,))


def _over_time(found: Outcome, pool: str, used: Floats, there: Floats) -> Markup:
    """A small chart over days; each point is the mean of some hours."""
    step = max(1, -(-found.hours // POINTS))
    count = -(-found.hours // step)
    edges = [slice(step * i, min(found.hours, step * i + step)) for i in range(count)]
    xs = [(edge.start + edge.stop) / 48 for edge in edges]
    busy, room = [float(used[e].mean()) for e in edges], [float(there[e].mean()) for e in edges]
    marks = svg.ticks(0.0, max([*busy, *room, 1.0]), 4)
    across = svg.ticks(0.0, found.hours / 24, 5)
    frame = Frame(HALF[0], HALF[1], 52, 12, 26, 40, across[0], across[-1], marks[0], marks[-1])
    parts = [
        svg.y_axis(frame, marks, ""),
        svg.x_axis_values(frame, across, "days"),
        svg.path([(frame.x(x), frame.y(y)) for x, y in zip(xs, room, strict=True)], "dashed"),
        svg.path([(frame.x(x), frame.y(y)) for x, y in zip(xs, busy, strict=True)], "line s-line1"),
    ]
    total = float(there[: found.hours].sum())
    share = percent(float(used[: found.hours].sum()) / total) if total else "none"
    words = f"Accelerators of {pool} in use over {found.hours / 24:g} days: {share} of what could be used."
    key = f"use-{found.simulation.meter.pools[pool]}"
    return svg.document(key, f"Use of {pool}", words, HALF, svg.join(parts))


def _waiting(found: Outcome) -> Section:
    waits = found.waits_hours
    if not len(waits):
        return Section("waiting", "Waiting", "No ask started: nothing waited, or nothing could start.", ())
    shares = 100 * np.arange(1, len(waits) + 1) / len(waits)
    long = waits <= max(float(np.quantile(waits, 0.995)), 1.0)
    figure = lines(
        "waiting", "Asks started within, percent", "hours from arrival", waits[long], {"started": shares[long]}
    )
    rows = tuple(
        (f"{100 * q:g} %", f"{np.quantile(waits, q):,.2f}") for q in (0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 1.0)
    )
    table = Table("How long asks waited", columns("Share of asks", "#Started within hours"), rows)
    lead = f"{len(waits):,} asks did useful work; {found.never_started:,} had not begun when the simulation ended."
    return Section("waiting", "Waiting", lead, (figure, table))


def _work(found: Outcome) -> Section:
    rows = tuple(
        (
            row.workload,
            "–" if row.arrived is None else f"{row.arrived:,}",
            "–" if row.ended is None else f"{row.ended:,}",
            "–" if row.late is None else f"{row.late:,}",
            f"{row.wanted_units:,.0f}",
            f"{row.done_units:,.0f}",
            percent(row.done_units / row.wanted_units) if row.wanted_units else "–",
            "–" if row.mean_wait_hours is None else f"{row.mean_wait_hours:,.2f}",
        )
        for row in found.works
    )
    heads = columns("Workload", "#Asks", "#Ended", "#Late", "#Wanted", "#Done", "#Share", "#Mean wait, h")
    note = "Work in hours of a reference accelerator. Asks that run at the end count with what they had done."
    lead = "Work that flows has no asks; what was not served at once is lost. Other work waits."
    return Section("work", "Work done, late and undone", lead, (Table("By workload", heads, rows, note=note),))


def _decided(objective: str) -> str:
    if objective == FIRST_FIT:
        return "by first fit, to compare with."
    if objective in WHOLE:
        return f"by control, as it would live, for {'the most value' if objective == 'value' else 'the lowest cost'}."
    return f"by control in rounds that keep the fair shares of {objective.replace('_', ' ')}."


def _fair(found: Outcome) -> Section | None:
    """M15 and M16."""
    every = found.fairness.every
    if every.jain_index is None:
        return None
    values = 100 * found.fairness.paces
    shares = 100 * np.arange(1, len(values) + 1) / len(values)
    # A line from 0, so that one ask is a step and not a point.
    figure = lines(
        "pace",
        "Asks that got on at most so fast, percent",
        "pace, percent",
        np.concatenate([[0.0], values]),
        {"asks": np.concatenate([[0.0], shares])},
    )
    given = every.most_owed_hours is not None
    heads = ["Workload", "#Asks", "#Pace", "#Slowest", "#Jain’s index"]
    heads += ["#Shares gave", "#Was done", "#Most owed, h"] if given else []
    rows = []
    for row in (*found.fairness.workloads, every):
        cells = [
            row.workload or "all",
            f"{row.asks:,}",
            percent(row.pace_fraction),
            percent(row.least_pace_fraction),
            "–" if row.jain_index is None else f"{row.jain_index:.3f}",
        ]
        if given:
            cells += [
                f"{row.fair_units or 0:,.0f}",
                f"{row.attained_units or 0:,.0f}",
                f"{row.most_owed_hours or 0:.2f}",
            ]
        rows.append(tuple(cells))
    note = "Pace: hours that the work would have taken alone in its fastest pool, over the hours it was there. "
    note += "Asks that had ended or had been there for a few hours count."
    if given:
        note += " Shares and work in hours of a reference accelerator; owed in hours of the fastest pool."
    lead = f"Jain’s index of the paces is {every.jain_index:.3f}. It is 1 when all got on alike"
    lead += f", 1/{every.asks:,} when one alone did." if every.asks > 1 else "."
    if given:
        lead += f" Of the fair shares nobody was ever owed more than {every.most_owed_hours:.1f} hours."
    table = Table("How fast asks got on", columns(*heads), tuple(rows), note=note)
    return Section("fairness", "Fairness", lead, (figure, table))


def _money(found: Outcome) -> Section:
    names, of = _periods(found)
    series = tuple(
        Series(label, slot, tuple(sum(getattr(found.days[d], field) for d in days) for days in of))
        for label, slot, field in (
            ("contracts and own", 1, "committed_usd"),
            ("on demand and spot", 2, "on_demand_usd"),
            ("moving data", 6, "egress_usd"),
        )
    )
    cost = found.cost_usd
    picture = charts.bars(
        "cost",
        "Cost by day",
        f"Cost by day; {usd(sum(cost.values()))} in all.",
        names,
        series,
        unit="USD",
        across=_across(of),
    )
    by_day = Table(
        "Cost by day, USD",
        columns("Day", *(f"#{s.name}" for s in series)),
        tuple((name, *(f"{s.values[i]:,.0f}" for s in series)) for i, name in enumerate(names)),
    )
    causes = Table(
        "What was paid for",
        columns("Cause", "#USD"),
        tuple((_CAUSES[name], f"{value:,.0f}") for name, value in cost.items()),
        foot=("in all", f"{sum(cost.values()):,.0f}"),
    )
    blocks: list[Block] = [Figure("Cost by day", picture, by_day), causes]
    if found.bill.contracts:
        rows = tuple(
            (row.supply, row.unit.replace("_", "-"), f"{row.owed:,.0f}", f"{row.used:,.0f}",
             f"{row.committed_usd:,.0f}", f"{row.above_usd:,.0f}", f"{row.short_usd:,.0f}")
            for row in found.bill.contracts
        )  # fmt: skip
        heads = columns("Contract", "Counts", "#Minimum", "#Used", "#Minimum bill", "#Above", "#Short")
        blocks.append(Table("Contracts with a minimum bill", heads, rows))
    return Section("cost", "Cost", "A minimum bill is owed whether it is used or not.", tuple(blocks))


def _periods(found: Outcome) -> tuple[list[str], list[list[int]]]:
    """Days, or weeks where there are many days."""
    every = 1 if len(found.days) <= DAYS_SHOWN else 7
    groups = [list(range(i, min(len(found.days), i + every))) for i in range(0, len(found.days), every)]
    return [str(days[0]) for days in groups], groups


def _across(groups: list[list[int]]) -> str:
    """What the numbers below the bars are."""
    return "day" if all(len(days) == 1 for days in groups) else "first day of each week"


def _changes(found: Outcome) -> Section:
    names, of = _periods(found)
    series = tuple(
        Series(label, slot, tuple(float(sum(getattr(found.days[d], field) for d in days)) for days in of))
        for label, slot, field in (
            ("moves", 1, "migrations"),
            ("stopped for others", 2, "evictions"),
            ("taken away", 6, "preemptions"),
        )
    )
    words = ", ".join(f"{s.name} {sum(s.values):,.0f}" for s in series)
    picture = charts.bars(
        "changes",
        "Moves, stops and preemptions by day",
        f"By day: {words}.",
        names,
        series,
        unit="runs",
        across=_across(of),
    )
    table = Table(
        "Moves, stops and preemptions",
        columns("Day", *(f"#{s.name}" for s in series)),
        tuple((name, *(f"{s.values[i]:,.0f}" for s in series)) for i, name in enumerate(names)),
    )
    counts = found.simulation.counts
    lead = (
        f"{counts.lost_units:,.0f} hours of work were lost, and {counts.waiting_accelerator_hours:,.0f} "
        "accelerator-hours were paid for before useful work began."
    )
    return Section("changes", "Migrations and stops", lead, (Figure("By day", picture, table),))


def _reasons(found: Outcome) -> Section:
    record = found.simulation.record
    tables = {"asks": record.excuse_hours, "flows": record.short_unit_hours}
    rules = sorted({rule for table in tables.values() for rule in table})
    if not rules:
        return Section("reasons", "Why work waited", "Nothing waited for a reason: all found room.", ())
    blocks: list[Block] = []
    for name, title, unit in (
        ("asks", "Hours that asks waited, by reason", "hours"),
        ("flows", "Work that flows and found no place, by reason", "hours of work"),
    ):
        known = tables[name]
        mine = {
            rule: known[rule] for rule in sorted(rules, key=lambda r: -known.get(r, 0.0)) if known.get(rule, 0.0) > 0
        }
        if not mine:
            continue
        labels = [RULES.get(rule, rule) for rule in mine]
        values = tuple(mine.values())
        words = ", ".join(f"{label} {value:,.0f}" for label, value in zip(labels, values, strict=True))
        picture = charts.rows(
            f"why-{name}",
            title,
            f"{title}: {words}.",
            labels,
            (Series(unit, 1, values),),
            unit=unit,
            ends=tuple(f"{value:,.4g}" for value in values),
        )
        rows = tuple((RULES.get(rule, rule), rule, f"{value:,.1f}") for rule, value in mine.items())
        blocks.append(Figure(title, picture, Table(title, columns("Reason", "Rule", f"#{unit}"), rows)))
    blocks.append(Note("The rules are those of docs/concepts/place.md; the nearest to a start is counted."))
    return Section("reasons", "Why work waited", "What stood nearest in the way, from round to round.", tuple(blocks))


def _days(found: Outcome) -> Section:
    rows = tuple(
        (str(d.day), f"{d.arrived:,}", f"{d.ended:,}", percent(d.used_fraction), percent(d.served_fraction),
         f"{d.committed_usd:,.0f}", f"{d.on_demand_usd:,.0f}", f"{d.egress_usd:,.0f}", f"{d.migrations:,}",
         f"{d.evictions:,}", f"{d.preemptions:,}", f"{d.copies:,}")
        for d in found.days[:MANY]
    )  # fmt: skip
    heads = columns("Day", "#Arrived", "#Ended", "#In use", "#Served", "#Contracts USD", "#Open USD", "#Data USD",
                    "#Moves", "#Stopped", "#Taken", "#Copies")  # fmt: skip
    note = "" if len(found.days) <= MANY else f"The first {MANY} days; `--json` has all."
    return Section("days", "Day by day", "Day 0 is the first.", (Table("Every day", heads, rows, note=note),))

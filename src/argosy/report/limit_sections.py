"""Sections on limits and trust: vendors, loss of one, carbon and power, excuses, certificate, how to recompute.

`plan_page` calls one function per section; each returns a Section, or None when the plan has nothing to say there.
Nothing is computed but sums, means and shares of the plan's own numbers.
"""

from __future__ import annotations

from argosy.model.decision import AdequacyMonth, Excuse, Plan
from argosy.report import charts
from argosy.report.charts import Series
from argosy.report.decision_sections import NAME, contract_name, named
from argosy.report.figure import Cell, Facts, Figure, Grid, Section, Table, columns, fixed
from argosy.report.format import (
    clip,
    count,
    listing,
    month,
    number,
    percent,
    plural,
    quantity,
    usd,
    usd_per_hour,
    words,
)
from argosy.report.periods import Periods


def concentration(plan: Plan) -> Section | None:
    """How much of all commitments lies with each vendor."""
    if not plan.vendor_shares:
        return None
    shares = sorted(plan.vendor_shares, key=lambda v: (-v.fraction, v.vendor))
    top = shares[0]
    limit = f", limit {percent(top.limit_fraction)}" if top.limit_fraction is not None else ""
    lead = f"{clip(top.vendor, 60)} holds {percent(top.fraction)} of all commitments{limit}."
    title = "Share of all commitments by vendor"
    shown = shares[:16]
    drawing = charts.rows(
        "vendors", title, lead, [v.vendor for v in shown],
        [Series("share", 1, tuple(100 * v.fraction for v in shown))],
        unit="% of the present value of all commitments", ends=[percent(v.fraction) for v in shown],
        limits=[None if v.limit_fraction is None else 100 * v.limit_fraction for v in shown],
        write=lambda v: percent(v / 100),
    )  # fmt: skip
    table = Table(
        caption=title,
        columns=columns("Vendor", "#Commitments, present value", "#Share", "#Limit"),
        rows=tuple(
            (clip(v.vendor, NAME), usd(v.committed_present_value_usd), percent(v.fraction),
             "none" if v.limit_fraction is None else percent(v.limit_fraction))
            for v in shares
        ),
    )  # fmt: skip
    marked = any(v.limit_fraction is not None for v in shown)
    note = "The upright mark is the limit." if marked else "No limit is set."
    return Section("concentration", "Dependence on vendors", lead, (Figure(title, drawing, table, note),))


def fee_margins(plan: Plan) -> Section | None:
    """What each contract is worth at the margin, beside its price."""
    if not plan.fee_margins:
        return None
    sizes = {d.contract: d for d in plan.decisions}
    shown = sorted(plan.fee_margins, key=lambda m: (not sizes[m.contract].signed, m.contract))[:24]
    best = max(plan.fee_margins, key=lambda m: m.worth_usd_per_accelerator_hour - m.fee_usd_per_accelerator_hour)
    spare = best.worth_usd_per_accelerator_hour - best.fee_usd_per_accelerator_hour
    lead = (
        f"{clip(contract_name(plan, best.contract), 60)} leaves most: one more accelerator-hour is worth"
        f" {usd_per_hour(best.worth_usd_per_accelerator_hour)}, {usd_per_hour(spare)} above its price."
        if spare > 0
        else "No contract is worth more at the margin than is asked for it."
    )
    title = "Worth of one more accelerator-hour of each contract, and its price"
    drawing = charts.rows(
        "worth", title, lead, [clip(contract_name(plan, m.contract), 40) for m in shown],
        [Series("worth at the margin", 1, tuple(m.worth_usd_per_accelerator_hour for m in shown))],
        unit="USD per accelerator-hour", ends=[usd_per_hour(m.worth_usd_per_accelerator_hour) for m in shown],
        limits=[m.fee_usd_per_accelerator_hour for m in shown], limit_name="price asked",
        write=lambda v: f"{v:.2f}",
    )  # fmt: skip
    table = Table(
        caption=title,
        columns=columns("Contract", "Signed", "#Price, USD", "#Worth, USD", "#Difference, USD"),
        rows=tuple(
            (clip(contract_name(plan, m.contract), NAME), "yes" if sizes[m.contract].signed else "no",
             f"{m.fee_usd_per_accelerator_hour:.2f}", f"{m.worth_usd_per_accelerator_hour:.2f}",
             f"{m.worth_usd_per_accelerator_hour - m.fee_usd_per_accelerator_hour:+.2f}")
            for m in plan.fee_margins
        ),
    )  # fmt: skip
    note = (
        "The upright mark is the price asked. Above it, more of the contract would pay if more could be had; below it,"
        " its price would have to fall. For a whole contract and a certified interval, ask argosy price."
    )
    return Section("worth", "Value of each contract", lead, (Figure(title, drawing, table, note),))


def adequacy(plan: Plan) -> Section | None:
    """What remains for critical work after the worst single loss."""
    if not plan.adequacy:
        return None
    periods = Periods.of(plan, 36)
    worst: dict[int, AdequacyMonth] = {}
    for row in plan.adequacy:
        at = periods.position(row.month)
        if at not in worst or _slack(row) < _slack(worst[at]):
            worst[at] = row
    rows = [worst[i] for i in sorted(worst)]
    starts = tuple(periods.starts[i] for i in sorted(worst))
    gaps = [r for r in plan.adequacy if r.gap_units > 0]
    if gaps:
        top = max(gaps, key=lambda r: r.gap_units)
        months = len({r.month for r in gaps})
        lead = (
            f"In {plural(months, 'planning step')} the loss of one party leaves too little for critical work;"
            " the worst is the loss"
            f" of {clip(top.lost, 60)} in {month(top.month)}, {count(top.gap_units)} units short."
        )
    else:
        least = min(rows, key=_slack)
        lead = (
            f"Critical work survives every single loss. Closest is the loss of {clip(least.lost, 60)} in"
            f" {month(least.month)},"
            f" with {count(_slack(least))} units to spare."
        )
    title = "Required for critical work and left after the worst single loss"
    series = [
        Series("left after the loss", 1, tuple(r.remaining_units for r in rows)),
        Series("required", 6, tuple(r.required_units for r in rows)),
    ]
    drawing = charts.lines("adequacy", title, lead, (starts, periods.lasts), series, unit="units")
    table = Table(
        caption=f"{title}, worst step of each {periods.word}",
        columns=columns("Worst in", "Lost", "#Required, units", "#Left, units", "#Gap, units"),
        rows=tuple(
            (fixed(month(r.month)), clip(r.lost, NAME), number(round(r.required_units, 1)),
             number(round(r.remaining_units, 1)),             number(round(r.gap_units, 1)))
            for r in rows
        ),
    )  # fmt: skip
    note = f"The worst step of each {periods.word}."
    return Section("adequacy", "If one vendor or region is lost", lead, (Figure(title, drawing, table, note),))


def _slack(row: AdequacyMonth) -> float:
    return row.remaining_units - row.required_units


def footprint(plan: Plan) -> Section | None:
    """Emissions and power by fiscal year."""
    if not plan.footprint:
        return None
    years = sorted(plan.footprint, key=lambda f: f.start)
    names = [str(y.start.year) if plan.start.month == 1 else month(y.start) for y in years]
    carbon = max(years, key=lambda y: y.carbon_tonnes)
    power = max(years, key=lambda y: y.peak_mw)
    lead = (
        f"Emissions peak at {count(carbon.carbon_tonnes)} tonnes in the year from {month(carbon.start)}, power at"
        f" {count(power.peak_mw)} MW in the year from {month(power.start)}."
    )
    small = []
    for key, title, unit, value, limit in (
        ("carbon", "Carbon", "tonnes", "carbon_tonnes", "carbon_limit_tonnes"),
        ("power", "Peak power", "MW", "peak_mw", "limit_mw"),
    ):  # fmt: skip
        series = [Series(title.lower(), 1, tuple(getattr(y, value) for y in years))]
        limits = [getattr(y, limit) for y in years]
        title_with_limit = title if any(v is not None for v in limits) else f"{title}, no limit set"
        drawing = charts.bars(key, title, lead, names, series, unit=unit, limits=limits, width=charts.HALF)
        small.append((title_with_limit, drawing))
    table = Table(
        caption="Carbon and power by fiscal year",
        columns=columns("Year from", "#Carbon, tonnes", "#Limit, tonnes", "#Peak power, MW", "#Limit, MW"),
        rows=tuple(
            (fixed(month(y.start)), number(round(y.carbon_tonnes)), _limit(y.carbon_limit_tonnes),
             number(round(y.peak_mw, 1)),
             _limit(y.limit_mw))
            for y in years
        ),
    )  # fmt: skip
    return Section(
        "footprint", "Carbon and power", lead, (Grid("Each fiscal year", charts.NOTHING, tuple(small), table),)
    )


def _limit(value: float | None) -> str:
    return "none" if value is None else number(value)


def excuses(plan: Plan) -> Section | None:
    """Why not: what binds, and the smallest change that would do."""
    if not plan.excuses:
        return None
    fees = [e for e in plan.excuses if e.unit is not None and e.short is not None and e.unit.startswith("usd_per")]
    lead = (
        f"{plural(len(plan.excuses), 'thing')} the plan does not do, each with the smallest change that would alter it."
    )
    if fees:
        near = min(fees, key=lambda e: e.short or 0.0)
        lead += f" Closest is {clip(contract_name(plan, near.subject), 60)}: {amount_short(near)} less."
    rows = tuple(
        (
            named(plan, e.subject),
            Cell(clip(e.limit, 240), clip(e.rule, 40)),
            amount_short(e),
            clip(e.remedy, 300),
        )
        for e in plan.excuses[:80]
    )
    note = (
        "The fee cut needed is what a contract's price would have to fall by for the plan to sign it. This plan carries"
        " no value intervals and no sensitivity runs."
    )
    if len(plan.excuses) > len(rows):
        note = f"The first {len(rows)} of {len(plan.excuses)}. {note}"
    table = Table(
        "Why not, and what would change it", columns("*About", "*What binds", "~Short by", "*Remedy"), rows, note=note
    )
    return Section("excuses", "What was not done, and why", lead, (table,))


def amount_short(excuse: Excuse) -> str:
    """How much is missing, with its unit; a dash when the rule has no amount."""
    if excuse.short is None:
        return "–"
    if excuse.unit is None or excuse.short >= 1e6:
        return f"{count(excuse.short)} {words(excuse.unit or '')}".strip() if not _money(excuse) else usd(excuse.short)
    return quantity(excuse.short, excuse.unit)


def _money(excuse: Excuse) -> bool:
    return excuse.unit is not None and excuse.unit.casefold() == "usd"


def certificate(plan: Plan) -> Section:
    """How far from the best possible the plan can be at most, for which data, by which program."""
    c = plan.certificate
    off = abs(c.recounted_usd - c.upper_usd)
    lead = (
        f"No other plan can be better by more than {percent(c.gap_fraction)}"
        + (f" ({usd(c.upper_usd - c.lower_usd)})" if c.upper_usd > c.lower_usd else "")
        + (
            f". A recount without the solver differs by {usd(off)}."
            if off >= 0.005
            else ". A recount agrees to the cent."
        )
    )
    status = {"optimal": "within the gap that was asked for", "feasible": "stopped before the gap that was asked for"}
    items = (
        ("Status", f"{plan.status}: {status[plan.status]}"),
        ("Objective, upper bound", f"USD {c.upper_usd:,.2f}"),
        ("Lower bound", f"USD {c.lower_usd:,.2f}"),
        ("Gap", percent(c.gap_fraction)),
        ("Recounted without the solver", f"USD {c.recounted_usd:,.2f}"),
        ("Worst residual", f"{c.worst_residual:.1e} of the row's scale"),
        ("Weight of the mean in the objective", percent(1 - plan.risk_aversion_fraction)),
        (f"Weight of the costliest {percent(1 - plan.tail_fraction)}", percent(plan.risk_aversion_fraction)),
        ("Discount rate", f"{percent(plan.discount_rate_fraction)} a year"),
        ("Data, SHA-256", c.data_hash),
        ("Seed of the futures", str(plan.seed)),
        ("Versions", listing([f"{clip(k, 40)} {clip(v, 40)}" for k, v in sorted(c.versions.items())], 12)),
    )  # fmt: skip
    return Section("certificate", "Certificate", lead, (Facts(items),))


_SOURCES = (
    ("scenarios", "Expected cost", "expected_usd = sum over scenarios of probability × cost_present_value_usd"),
    ("scenarios", "Cost of a future", "cost_present_value_usd = sum of components_present_value_usd"),
    ("", "Objective", "objective_usd = sum over scenarios of weight_fraction × cost_present_value_usd (F5, F6)"),
    ("", "Gap", "(upper_usd − lower_usd) / upper_usd of the certificate"),
    ("decisions", "Minimum bill", "sum of committed_usd over the decisions that are signed"),
    ("capacity", "Capacity", "committed_accelerators + open_accelerators by pool and month (F4 U, P)"),
    ("work", "Share served", "1 − sum of unserved_units / sum of demand_units per workload (F4 D)"),
    ("dispatch", "Where the work runs", "sum of accelerators over the months / number of planning steps"),
    ("price_terms", "Internal price", "sum over scenarios of weight_fraction × usd_per_accelerator_hour (F4 P)"),
    ("cash", "Net cash of a year", "minimum_bill + prepayment + capex + one_off − credit (F4 Y)"),
    ("commitments", "Fees for nothing", "sum of fee_usd × shortfall / committed (F4 T, S)"),
    ("vendor_shares", "Vendor share", "committed_present_value_usd of a vendor / sum over vendors (F4 C)"),
    ("adequacy", "Gap after a loss", "required_units − remaining_units where positive (F4 N1)"),
)


def recompute(plan: Plan) -> Section:
    """Which number comes from where."""
    rows = tuple(
        (name, formula, field or "the plan itself")
        for field, name, formula in _SOURCES
        if not field or getattr(plan, field)
    )
    lead = (
        "Every number on this page is a sum, mean or share of the JSON document of the plan (argosy plan"
        " --json); the same"
        " data, seed and versions give the same document."
    )
    heads = columns("*Number", "*How", "Field of the document")
    return Section("recompute", "How to recompute", lead, (Table("Where the numbers come from", heads, rows),))


def relaxations(found: tuple[Excuse, ...]) -> Table:
    """The limits that cannot hold together, each with its smallest relaxation."""
    rows = tuple(
        (
            Cell(clip(e.limit, 240), f"{clip(e.subject, NAME)} · {clip(e.rule, 40)}"),
            amount_short(e),
            clip(e.remedy, 300),
        )
        for e in found
    )
    return Table(
        "Limits that cannot hold together", columns("*Limit", "~Short by", "*Smallest change that would do"), rows
    )

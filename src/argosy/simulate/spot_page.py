"""The page of deadlines on spot: what each policy costs, what of, and how far from the best that could be known.

Decides only what is shown. Every picture has a name, a description and the table it was drawn from.
"""

from __future__ import annotations

from collections.abc import Sequence

from argosy.report import charts
from argosy.report.charts import Mark, Series
from argosy.report.figure import Figure, Section, Table, columns
from argosy.report.plan_page import KeyFigure, Page
from argosy.simulate.page import footer, render
from argosy.simulate.spot import POLICIES, SpotOutcome, gap_closed_fraction

LETTERS = 36


def spot_page(found: Sequence[SpotOutcome], work_hours: float, deadline_hours: float, seed: int) -> str:
    """Cost of every policy, on the mean and on every series."""
    best = min(POLICIES, key=lambda policy: sum(row.cost_fraction[policy] for row in found))
    saved = 1 - _mean([row.cost_fraction[best] for row in found])
    missed = sum(sum(row.missed.values()) for row in found)
    closed = gap_closed_fraction(found, best)
    figures = (
        KeyFigure("Saved", f"{saved:.1%}", f"by {_word(best)}, beside on demand"),
        KeyFigure(
            "Gap closed", "–" if closed is None else f"{closed:.0%}", f"by {_word(best)}, from greedy to the optimum"
        ),
        KeyFigure("Missed", f"{missed:,}", "deadlines"),
        KeyFigure("Replayed", f"{sum(row.starts for row in found):,}", f"starts in {len(found):,} series"),
    )
    head = (
        f"{work_hours:g} h of work due in {deadline_hours:g} h: {_word(best)} saves {saved:.0%} on average and misses "
        f"{'no deadline' if missed == 0 else f'{missed:,} deadlines'}.",
        "The optimum knew the whole series and pays the same changeovers; the bound pays none.",
    )
    sections = (
        Section("policies", "Cost by policy", "What each policy pays for, on the mean of the series.", (_mix(found),)),
        Section("series", "Cost by series", "How much the zone decides.", (_series(found, best), _table(found))),
    )
    return render(Page("Deadlines on spot", "Simulation", head, figures, sections, "", footer(f"seed {seed}")))


def _mix(found: Sequence[SpotOutcome]) -> Figure:
    """Bars of spot, on demand and changeovers; their sum is the cost."""
    parts = {policy: _parts(found, policy) for policy in POLICIES}
    names = [_word(policy) for policy in POLICIES]
    kinds = ("on spot", "on demand", "changeovers")
    series = tuple(
        Series(kind, slot, tuple(100 * parts[policy][k] for policy in POLICIES))
        for k, (kind, slot) in enumerate(zip(kinds, (1, 2, 6), strict=True))
    )
    marks: list[Mark] = []
    least = [row.optimum_fraction for row in found]
    if all(value is not None for value in least):
        at = 100 * _mean([value for value in least if value is not None])
        marks.append(Mark(f"optimum {at:.1f} %", at))
    title = "Cost, percent of running on demand"
    ends = tuple(f"{100 * sum(parts[policy]):.1f} %" for policy in POLICIES)
    words = "; ".join(f"{name} {end}" for name, end in zip(names, ends, strict=True))
    picture = charts.rows("spot-mix", title, f"{title}: {words}.", names, series, unit="%", marks=marks, ends=ends)
    table = Table(
        title,
        columns("Policy", *(f"#{kind}" for kind in kinds), "#In all", "#Changeovers", "#Taken away"),
        tuple(
            (
                _word(policy),
                *(f"{part:.1%}" for part in parts[policy]),
                f"{sum(parts[policy]):.1%}",
                f"{_mean([row.changeovers[policy] for row in found]):.1f}",
                f"{_mean([row.preemptions[policy] for row in found]):.1f}",
            )
            for policy in POLICIES
        ),
        note="The last two columns are counts for each start.",
    )
    return Figure(title, picture, table)


def _parts(found: Sequence[SpotOutcome], policy: str) -> tuple[float, float, float]:
    """Cost of useful work on spot, on demand, and of changeovers, as shares of running on demand."""
    spot = _mean([row.spot_cost_fraction(policy) for row in found])
    paid = _mean([row.on_demand_cost_fraction(policy) for row in found])
    return spot, paid, max(0.0, _mean([row.cost_fraction[policy] for row in found]) - spot - paid)


def _series(found: Sequence[SpotOutcome], best: str) -> Figure:
    rows = sorted(found, key=lambda row: -row.available_fraction)
    names = _short([row.series for row in rows])
    title = f"Cost under {_word(best)}, percent of running on demand; the most available series first"
    limits = [None if row.optimum_fraction is None else 100 * row.optimum_fraction for row in rows]
    picture = charts.rows(
        "spot-series",
        title,
        f"{title}; the mark is the optimum.",
        names,
        (Series(_word(best), 1, tuple(100 * row.cost_fraction[best] for row in rows)),),
        unit="%",
        ends=tuple(f"{row.available_fraction:.0%} there" for row in rows),
        limits=limits,
        limit_name="optimum",
    )
    table = Table(
        title,
        columns("Series", "#Spot there", "#Cost", "#Optimum"),
        tuple(
            (
                row.series,
                f"{row.available_fraction:.0%}",
                f"{row.cost_fraction[best]:.1%}",
                "–" if limit is None else f"{limit:.1f}%",
            )
            for row, limit in zip(rows, limits, strict=True)
        ),
    )
    return Figure(title, picture, table)


def _table(found: Sequence[SpotOutcome]) -> Table:
    rows = tuple(
        (
            row.series,
            f"{row.available_fraction:.0%}",
            *(f"{row.cost_fraction[policy]:.1%}" for policy in POLICIES),
            "–" if row.optimum_fraction is None else f"{row.optimum_fraction:.1%}",
            f"{row.bound_fraction:.1%}",
            f"{sum(row.missed.values())}",
        )
        for row in found
    )
    heads = (
        "Series",
        "#Spot there",
        *(f"#{_word(policy).capitalize()}" for policy in POLICIES),
        "#Optimum",
        "#Bound",
        "#Missed",
    )
    return Table("Cost as a share of running on demand", columns(*heads), rows)


def _word(policy: str) -> str:
    return policy.replace("_", " ")


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _short(names: Sequence[str]) -> list[str]:
    """Names without the leading parts that no other needs, so that they fit beside a bar."""
    parts = [name.split("/") for name in names]
    for drop in range(min(len(part) for part in parts)):
        short = ["/".join(part[drop:]) for part in parts]
        if len(set(short)) < len(set(names)):
            break
        kept = short
        if max(map(len, short)) <= LETTERS:
            break
    return kept

"""The words and rows of a comparison of strategies; the page and the terminal say the same.

`questions_page` and `cli.questions_tables` call it. Nothing is computed here.
"""

from __future__ import annotations

from argosy.model.question import Comparison
from argosy.report.format import ABSENT, Scale, clip, count, percent, plural, usd

HEADS = ("*Strategy", "#Expected", "#Tail", "#Served", "~Largest vendor", "#Cash peak", "#CO2, t", "#Regret", "#Worst")
STRESS_HEADS = ("*Strategy", "*Stress", "#Expected", "#More", "#Tail", "#Served")


def best(answer: Comparison) -> str:
    """Which strategy costs least, and by how much."""
    planned = sorted(
        (s.expected_usd, s.title) for s in answer.strategies if s.status != "infeasible" and s.expected_usd is not None
    )
    none = [s.title for s in answer.strategies if s.status == "infeasible"]
    left = f" No plan keeps all limits under: {clip(', '.join(none), 200)}." if none else ""
    if not planned:
        return "No strategy has a plan that keeps all limits."
    cost, title = planned[0]
    same = [name for other, name in planned[1:] if other - cost <= answer.gap_fraction * abs(cost)]
    text = f"“{clip(title, 60)}” has the lowest expected cost, {usd(cost)}"
    if same:
        text += f"; {plural(len(same), 'other')} cannot be told apart from it within the gap"
    if len(planned) > len(same) + 1:
        other, name = planned[len(same) + 1]
        text += f"; “{clip(name, 60)}” follows, {usd(other - cost)} above"
    return f"{text}.{left}"


def scale(answer: Comparison) -> Scale:
    """One unit of money for all tables, so small that costs which differ by a thousandth differ in print."""
    costs = [s.tail_usd for s in answer.strategies] + [s.expected_usd for s in answer.strategies]
    whole = Scale.of(costs)
    if max((abs(c) for c in costs if c is not None), default=0.0) >= 10 * whole.factor:
        return whole
    return Scale.of(None if c is None else c / 1000 for c in costs)


def score_rows(answer: Comparison) -> tuple[str, list[tuple[str, ...]]]:
    """The unit of money, and one row for each strategy."""
    money = scale(answer)
    out = []
    for s in answer.strategies:
        if s.status == "infeasible":
            out.append((clip(s.title, 60), "no plan", *(ABSENT for _ in HEADS[2:])))
            continue
        vendor = (
            ABSENT if s.largest_vendor is None else f"{clip(s.largest_vendor, 16)} {percent(s.largest_vendor_fraction)}"
        )
        out.append(
            (
                clip(s.title, 60),
                money.write(s.expected_usd),
                money.write(s.tail_usd),
                percent(s.served_fraction),
                vendor,
                money.write(s.peak_cash_usd),
                count(s.carbon_tonnes).replace(" million", " M"),
                money.write(s.mean_regret_usd),
                money.write(s.max_regret_usd),
            )
        )
    return money.word, out


def stress_rows(answer: Comparison) -> list[tuple[str, ...]]:
    """One row for each strategy and stress."""
    money = scale(answer)
    return [
        (
            clip(s.title, 60),
            clip(t.title, 60),
            money.write(t.expected_usd),
            money.write(0.0 if abs(t.more_usd) < 1e-8 * abs(t.expected_usd) else t.more_usd),
            money.write(t.tail_usd),
            percent(t.served_fraction),
        )
        for s in answer.strategies
        for t in s.stresses
    ]

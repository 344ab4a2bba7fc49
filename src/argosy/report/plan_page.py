"""From a plan, or from its absence, to the parts of a page: headline, key figures and sections in order.

`report.html` calls it and gives the parts to the templates. It chooses what is said first; the section modules say it.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from argosy.model.decision import Infeasible, Plan
from argosy.report import (
    answer_sections,
    decision_sections,
    limit_sections,
    money_sections,
    project_sections,
    supply_sections,
    unseen_sections,
)
from argosy.report.decision_sections import sorted_decisions
from argosy.report.figure import Section
from argosy.report.format import clip, month, percent, plural, span, usd
from argosy.report.limit_sections import relaxations
from argosy.report.money_sections import component
from argosy.report.supply_sections import served


@dataclass(frozen=True, slots=True)
class KeyFigure:
    """One number that a reader should remember."""

    name: str
    value: str
    note: str


@dataclass(frozen=True, slots=True)
class Page:
    """What the templates show."""

    title: str
    eyebrow: str
    headline: tuple[str, ...]
    figures: tuple[KeyFigure, ...]
    sections: tuple[Section, ...]
    missing: str
    footer: str


_SECTIONS = (
    ("decisions", decision_sections.decisions), ("later decisions", decision_sections.later),
    ("projects", project_sections.projects),
    ("capacity and demand", supply_sections.capacity), ("internal prices", supply_sections.prices),
    ("cash", money_sections.cash), ("commitments", money_sections.commitments), ("risk", money_sections.risk),
    ("unseen futures", unseen_sections.unseen), ("worth of contracts", answer_sections.values),
    ("value at the margin", limit_sections.fee_margins), ("near-optimal sizes", answer_sections.near_optimal),
    ("fronts", answer_sections.fronts),
    ("vendor shares", limit_sections.concentration), ("loss of one vendor or region", limit_sections.adequacy),
    ("carbon and power", limit_sections.footprint), ("what was not done", limit_sections.excuses),
    ("certificate", limit_sections.certificate), ("recomputation", limit_sections.recompute),
)  # fmt: skip


def plan_page(plan: Plan) -> Page:
    """The page of a plan."""
    made = [(name, make(plan)) for name, make in _SECTIONS]
    missing = [name for name, section in made if section is None]
    end = plan.start.plus(plan.months - 1)
    return Page(
        title=clip(plan.title, 120),
        eyebrow=f"Procurement plan · {month(plan.start)} to {month(end)} · {clip(plan.portfolio, 60)}",
        headline=headline(plan),
        figures=_figures(plan),
        sections=tuple(section for _, section in made if section is not None),
        missing=_missing(plan, missing),
        footer=f"Made by Argosy from data {plan.certificate.data_hash[:16]}… with seed {plan.seed}. Money is in USD of"
        " the month it is paid in unless it says present value.",
    )


def _missing(plan: Plan, names: list[str]) -> str:
    """What the page leaves out, and how to get what was not asked for."""
    text = f"Left out because the plan has no data for it: {', '.join(names)}." if names else ""
    more = answer_sections.missing_answers(plan)
    return f"{text} Not computed: {more}.".strip() if more else text


def infeasible_page(answer: Infeasible) -> Page:
    """The page of a plan that cannot be."""
    count = len(answer.excuses)
    first = {
        0: "No plan keeps all limits, and no single limit could be named.",
        1: "No plan keeps all limits: one of them cannot hold.",
    }.get(count, f"No plan keeps all limits: these {count} cannot hold together.")
    lead = "Any one of the changes below is enough on its own." if count > 1 else "The change below is enough."
    sections = (Section("limits", "What cannot hold together", lead, (relaxations(answer.excuses),)),) if count else ()
    return Page(
        title="No plan is possible",
        eyebrow=f"Procurement plan · {clip(answer.portfolio, 60)}",
        headline=(first, "Nothing is signed and nothing is priced; loosen one limit and plan again."),
        figures=(),
        sections=sections,
        missing="",
        footer=f"Made by Argosy from data {answer.data_hash}.",
    )


def headline(plan: Plan) -> tuple[str, ...]:
    """What it costs, what is signed and what the largest risk is, one sentence each. The terminal says the same."""
    sentences = [f"The plan costs {usd(plan.expected_usd)} in expected present value over {span(plan.months)}."]
    signed, waiting, _ = sorted_decisions(plan)
    if signed:
        bill = usd(sum(d.committed_usd for d in signed))
        vendors = plural(len({d.vendor for d in signed}), "vendor")
        new = sum(1 for d in signed if d.reason == "chosen")
        sentences.append(
            f"{plural(len(signed), 'contract')} with {vendors} {'commits' if len(signed) == 1 else 'commit'}"
            f" {bill}; {new} of them"
            f" {'is' if new == 1 else 'are'} new{f', and {len(waiting)} more may follow later' if waiting else ''}."
        )
    else:
        sentences.append("No contract is signed.")
    return (*sentences, largest_risk(plan))


def largest_risk(plan: Plan) -> str:
    """The costliest future, by how much, and for what."""
    if len(plan.scenarios) < 2:
        return "Only one future was planned for, so the plan says nothing about risk."
    worst = max(plan.scenarios, key=lambda s: (s.cost_present_value_usd, s.scenario))
    more = worst.cost_present_value_usd - plan.expected_usd
    if more <= 1e-6 * abs(plan.expected_usd):
        return "All futures cost the same."
    mean: dict[str, float] = defaultdict(float)
    total = sum(s.probability for s in plan.scenarios)
    for s in plan.scenarios:
        for name, value in s.components_present_value_usd.items():
            mean[name] += value * s.probability / total
    above = {name: value - mean[name] for name, value in worst.components_present_value_usd.items()}
    cause = max(above, key=lambda name: (above[name], name), default=None)
    called = f"“{clip(worst.name, 70)}”" if worst.name else f"future {clip(worst.scenario, 40)}"
    text = f"The largest risk is {called}: {usd(more)} above the expected cost"
    return f"{text}, most of it {component(cause)}." if cause is not None and above[cause] > 0.5 * more else f"{text}."


def _figures(plan: Plan) -> tuple[KeyFigure, ...]:
    signed, _, _ = sorted_decisions(plan)
    figures = [KeyFigure("Expected cost", usd(plan.expected_usd), "present value, all futures")]
    if plan.scenarios:
        share = percent(1 - plan.tail_fraction)
        figures.append(KeyFigure("If it goes badly", usd(plan.tail_usd), f"mean of the costliest {share}"))
    bill = usd(sum(d.committed_usd for d in signed))
    figures.append(KeyFigure("Minimum bills signed", bill, f"{plural(len(signed), 'contract')}, as written"))
    shares = served(plan)
    if shares:
        worst = min(shares, key=lambda w: (shares[w], w))
        note = f"lowest: {clip(worst, 40)}" if shares[worst] < 1 else "every workload, on average"
        figures.append(KeyFigure("Demand served", percent(shares[worst]), note))
    if plan.vendor_shares:
        top = max(plan.vendor_shares, key=lambda v: (v.fraction, v.vendor))
        figures.append(KeyFigure("Largest vendor", percent(top.fraction), f"{clip(top.vendor, 40)}, of commitments"))
    gap = plan.certificate.gap_fraction
    note = "certified distance from the best" if plan.status == "optimal" else "certified; stopped before its goal"
    figures.append(KeyFigure("Optimality gap", percent(gap), note))
    return tuple(figures)

"""The answers to a negotiator's questions as tables on the terminal, at most 100 columns wide.

`cli.price` and `cli.compare` call it with a console. It uses the sentences of the report.
"""

from __future__ import annotations

from rich.console import Console

from argosy.cli.tables import _Shower
from argosy.model.question import Comparison, PriceAnswer
from argosy.report.compare_words import HEADS, STRESS_HEADS, best, score_rows, stress_rows
from argosy.report.format import clip, percent, plural
from argosy.report.price_words import between, clause_name, curve_rows, exact, headline, project_headline


def price_tables(answer: PriceAnswer, console: Console) -> None:
    """Print the value, the walk-away fee, the curve and the clauses of each contract."""
    show = _Shower(console)
    show.line(clip(answer.title, 90), "bold")
    for value in answer.values:
        for sentence in headline(value):
            show.line(sentence)
        rows = [(f"{c.name} it", exact(c.lower_usd), exact(c.upper_usd)) for c in value.costs]
        show.table("What the best plan costs, present value", ("*Plan", "#At least", "#At most"), rows)
        if value.curve:
            heads = ("*Fee, USD per accelerator-hour", "#Accelerators", "#Option", "~Worth")
            show.table("Fee against size", heads, curve_rows(value))
        if value.clauses:
            rows = [(clause_name(c), between(c), c.note or "") for c in value.clauses]
            show.table("Clauses, each on its own", ("*Clause", "~Worth to the buyer", "*Note"), rows)
    for project in answer.projects:
        for sentence in project_headline(project):
            show.line(sentence)
        rows = [(f"{c.name} it", exact(c.lower_usd), exact(c.upper_usd)) for c in project.costs]
        show.table("What the best plan costs, present value", ("*Plan", "#At least", "#At most"), rows)
    show.line(
        f"\n{plural(answer.plans, 'plan')} over {plural(answer.futures, 'future')}, each at most"
        f" {percent(answer.gap_fraction)} from the best. Data {answer.data_hash[:16]}, seed {answer.seed}."
    )


def comparison_tables(answer: Comparison, console: Console) -> None:
    """Print the strategies side by side, what each signs, and what each does under stress."""
    show = _Shower(console)
    show.line(clip(answer.title, 90), "bold")
    show.line(best(answer))
    word, rows = score_rows(answer)
    show.table(f"Strategies: money in {word}, present value but for cash", HEADS, rows)
    signed = [(s.strategy, ", ".join(s.signed) or "nothing") for s in answer.strategies if s.status != "infeasible"]
    show.table("What each signs now", ("Strategy", "*Contracts"), [(clip(a, 60), clip(b, 200)) for a, b in signed])
    stresses = stress_rows(answer)
    if stresses:
        show.table(f"Under stress, with the contracts already signed: {word}", STRESS_HEADS, stresses)
    show.line(
        f"\n{plural(answer.futures, 'future')}; each plan at most {percent(answer.gap_fraction)} from the best."
        f" Data {answer.data_hash[:16]}, seed {answer.seed}."
    )

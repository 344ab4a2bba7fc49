"""From the answer to a negotiator's question to one self-contained HTML page.

`cli.price` and `cli.compare` call it. It reuses the templates, drawings and style of the plan's page, decides nothing
and reads no clock: the same answer gives the same bytes.
"""

from __future__ import annotations

from importlib import resources

from markupsafe import Markup

from argosy.model.question import Comparison, ContractValue, PriceAnswer
from argosy.report import _environment, svg
from argosy.report.charts import WIDTH, Series, rows
from argosy.report.compare_words import HEADS, STRESS_HEADS, best, score_rows, stress_rows
from argosy.report.figure import Block, Facts, Figure, Section, Table, columns
from argosy.report.format import clip, percent, plural, usd
from argosy.report.plan_page import KeyFigure, Page
from argosy.report.price_words import between, clause_name, curve_rows, exact, headline, project_headline, walk_away
from argosy.report.svg import Frame

HEIGHT = 320.0


def price_html(answer: PriceAnswer) -> str:
    """The whole page as HTML5 that needs no network and no script."""
    return rendered(price_page(answer))


def rendered(page: Page) -> str:
    """A page in the template and the style of all reports."""
    style = resources.files("argosy.report").joinpath("templates/report.css").read_text("utf-8")
    template = _environment().get_template("page.html.j2")
    return template.render(page=page, style=Markup(style), patterns=svg.patterns())


def price_page(answer: PriceAnswer) -> Page:
    """The page of `argosy price`."""
    sections: list[Section] = []
    sentences: list[str] = []
    figures: list[KeyFigure] = []
    for i, value in enumerate(answer.values):
        sentences += headline(value)
        figures.append(KeyFigure("Worth to the buyer", between(value), clip(value.contract, 40)))
        figures.append(KeyFigure("Walk-away fee", walk_away(value), "all other terms as written"))
        sections += _sections(value, i)
    for i, project in enumerate(answer.projects):
        sentences += project_headline(project)
        figures.append(KeyFigure("Worth when done", between(project), clip(project.project, 40)))
        table = Table(
            "What the best plan costs, present value",
            columns("Plan", "#At least", "#At most"),
            tuple((f"{c.name} it", exact(c.lower_usd), exact(c.upper_usd)) for c in project.costs),
        )
        sections.append(Section(f"project-{i}", "Value", project_headline(project)[0], (table,)))
    facts = (
        ("Plans solved", f"{answer.plans}"),
        ("Futures", f"{answer.futures}"),
        ("Largest gap of any plan", percent(answer.gap_fraction)),
        ("Worst residual", f"{answer.worst_residual:.1e}"),
        ("Data", answer.data_hash),
        ("Versions", ", ".join(f"{k} {v}" for k, v in sorted(answer.versions.items()))),
    )
    lead = "Every interval follows from lower and upper bounds of these plans; no estimate is in it."
    sections.append(Section("certificate", "Certificate", lead, (Facts(facts),)))
    return Page(
        title=clip(answer.title, 120),
        eyebrow=f"What a {'project' if answer.projects else 'contract'} is worth · {clip(answer.portfolio, 60)}",
        headline=tuple(sentences),
        figures=tuple(figures),
        sections=tuple(sections),
        missing="",
        footer=f"Made by Argosy from data {answer.data_hash[:16]}… with seed {answer.seed}. Money is present value.",
    )


def _sections(value: ContractValue, i: int) -> list[Section]:
    costs = Table(
        "What the best plan costs, present value",
        columns("Plan", "#At least", "#At most"),
        tuple((f"{c.name} it", exact(c.lower_usd), exact(c.upper_usd)) for c in value.costs),
    )
    worth = f"With and without {clip(value.contract, 60)}: the difference is {between(value)}."
    made = [Section(f"value-{i}", "Value", worth, (costs,))]
    if value.curve:
        lead = "How much the best plan signs at each fee; what it is worth falls as the fee rises."
        made.append(Section(f"curve-{i}", "Fee against size", lead, (_curve(value, i),)))
    if value.clauses:
        table = Table(
            "Each clause on its own: cost of the best plan without it, less that with it",
            columns("Clause", "~Worth to the buyer", "*Note"),
            tuple((clause_name(c), between(c), c.note or "") for c in value.clauses),
        )
        lead = "A right that the buyer need not use is never worth less than nothing; a duty may be."
        made.append(Section(f"clauses-{i}", "Clauses", lead, (table,)))
    return made


def _curve(value: ContractValue, i: int) -> Block:
    """Size against fee, with the walk-away interval as a band and the fee as written as a line."""
    points = value.curve
    low, high = value.walk_away_low_usd_per_accelerator_hour, value.walk_away_high_usd_per_accelerator_hour
    asked = value.fee_usd_per_accelerator_hour
    fees = [p.fee_usd_per_accelerator_hour for p in points]
    known = [f for f in (*fees, low, high, asked) if f is not None]
    across = svg.ticks(0.0, max(known), 6)
    up = svg.ticks(0.0, max(p.size for p in points), 5)
    frame = Frame(WIDTH, HEIGHT, 64, 20, 44, 46, across[0], across[-1], up[0], up[-1])
    parts = []
    if low is not None and high is not None:
        width = max(2.0, frame.x(high) - frame.x(low))
        parts.append(svg.rect(frame.x(low), frame.top, width, HEIGHT - frame.top - frame.bottom, "band"))
        parts.append(svg.text(frame.x(low), frame.top - 6, "walk away", "mark", "middle"))
    parts += [svg.y_axis(frame, up, "accelerators"), svg.x_axis_values(frame, across, "USD per accelerator-hour")]
    parts.append(svg.path([(frame.x(p.fee_usd_per_accelerator_hour), frame.y(p.size)) for p in points], "line s-line1"))
    parts += [
        svg.rect(frame.x(p.fee_usd_per_accelerator_hour) - 3, frame.y(p.size) - 3, 6, 6, "f1 bar", hint=between(p))
        for p in points
    ]
    if asked is not None:
        x = frame.x(asked)
        parts += [svg.line(x, frame.top, x, HEIGHT - frame.bottom, "dashed")]
        parts += [svg.text(x, frame.top - 22, "asked", "mark", "middle")]
    title = f"Accelerators of {clip(value.contract, 60)} signed at each fee"
    described = (
        f"From {plural(round(points[0].size), 'accelerator')} at {fees[0]:.3f} USD per accelerator-hour to "
        f"{plural(round(points[-1].size), 'accelerator')} at {fees[-1]:.3f}."
    )
    drawing = svg.document(f"fee-curve-{i}", title, described, (WIDTH, HEIGHT), svg.join(parts))
    table = Table(
        title, columns("Fee, USD per accelerator-hour", "#Size", "#Option", "~Worth"), tuple(curve_rows(value))
    )
    note = "The shaded band is the certified walk-away fee; the dashed line is the fee asked."
    return Figure(title, drawing, table, note)


def comparison_html(answer: Comparison) -> str:
    """The whole page as HTML5 that needs no network and no script."""
    return rendered(comparison_page(answer))


def comparison_page(answer: Comparison) -> Page:
    """The page of `argosy compare`."""
    word, table_rows = score_rows(answer)
    table = Table(f"Money in {word}, present value but for cash", columns(*HEADS), tuple(map(tuple, table_rows)))
    sections = [Section("strategies", "Strategies", best(answer), (*_costs(answer), table))]
    planned = [s for s in answer.strategies if s.status != "infeasible"]
    signed = Table(
        "Candidates signed now",
        columns("Strategy", "*Contracts"),
        tuple((clip(s.title, 60), ", ".join(s.signed) or "nothing") for s in planned),
    )
    sections.append(Section("signed", "What each signs", "Contracts signed already are in every strategy.", (signed,)))
    stresses = stress_rows(answer)
    if stresses:
        lead = "The contracts are those chosen before; only the use of them answers to what happens."
        under = Table(f"Money in {word}", columns(*STRESS_HEADS), tuple(map(tuple, stresses)))
        sections.append(Section("stress", "Under stress", lead, (under,)))
    facts = (
        ("Futures", f"{answer.futures}"),
        ("Largest gap of any plan", percent(answer.gap_fraction)),
        ("Worst residual", f"{answer.worst_residual:.1e}"),
        ("Data", answer.data_hash),
        ("Versions", ", ".join(f"{k} {v}" for k, v in sorted(answer.versions.items()))),
    )
    sections.append(
        Section("certificate", "Certificate", "Each plan was recounted without the solver.", (Facts(facts),))
    )
    return Page(
        title=clip(answer.title, 120),
        eyebrow=f"Strategies compared · {clip(answer.portfolio, 60)}",
        headline=(best(answer),),
        figures=(),
        sections=tuple(sections),
        missing="",
        footer=f"Made by Argosy from data {answer.data_hash[:16]}… with seed {answer.seed}.",
    )


def _costs(answer: Comparison) -> tuple[Block, ...]:
    """Expected cost and what the tail costs more, as lying bars."""
    planned = [s for s in answer.strategies if s.expected_usd is not None and s.tail_usd is not None]
    if not planned:
        return ()
    names = [clip(s.title, 36) for s in planned]
    mean = tuple(s.expected_usd or 0.0 for s in planned)
    more = tuple(max(0.0, (s.tail_usd or 0.0) - (s.expected_usd or 0.0)) for s in planned)
    series = (Series("expected cost", 1, mean), Series("more if it goes badly", 6, more))
    title = "Expected cost, and how much more the costliest tail costs"
    drawing = rows("strategy-costs", title, best(answer), names, series, unit="USD")
    numbers = tuple((n, usd(a), usd(b)) for n, a, b in zip(names, mean, more, strict=True))
    return (Figure(title, drawing, Table(title, columns("Strategy", "#Expected", "#More in the tail"), numbers)),)

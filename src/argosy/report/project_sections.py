"""Section on projects: what is done when, what it saves, and the people it takes. `plan_page` calls `projects`."""

from __future__ import annotations

from argosy.model.decision import Plan, ProjectDecision, TeamMonth
from argosy.report import charts, svg
from argosy.report.charts import Series, Span
from argosy.report.decision_sections import NAME, bar_name
from argosy.report.figure import Block, Cell, Figure, Row, Section, Table, columns, fixed
from argosy.report.format import ABSENT, clip, listing, month, number, percent, plural, usd
from argosy.report.periods import Periods, largest
from argosy.units import Month

_MOST = 8


def projects(plan: Plan) -> Section | None:
    """Every project with what is decided about it, the work that they save, and the people by skill."""
    if not plan.projects:
        return None
    order = sorted_projects(plan)
    done = [p for p in order if p.done]
    blocks: list[Block] = []
    if any(p.start for p in done):
        blocks.append(_timeline(plan, done))
    blocks.append(
        Table(
            caption="All projects",
            columns=columns(
                "*Project", "Decision", "#Work from", "#Counts from", "*What it brings", "#Cost", "#Team-months"
            ),
            rows=tuple(_row(p) for p in order),
            note="A project counts from the first whole planning step after its work. Team-months: months of one"
            " person, all skills together. Gains of several projects on one workload multiply.",
        )
    )
    if any(row.saved_units > 0 for row in plan.savings):
        blocks.append(_savings(plan))
    if people_by_year(plan):
        blocks.append(_people(plan))
    return Section("projects", "Which projects to do", project_lead(plan), tuple(blocks))


def sorted_projects(plan: Plan) -> list[ProjectDecision]:
    """Projects that are done by their start, then the others by their margin: nearest to being done first."""
    done = sorted((p for p in plan.projects if p.done), key=lambda p: (p.start or plan.start, p.project))
    rest = [p for p in plan.projects if not p.done]
    return [*done, *sorted(rest, key=lambda p: (p.margin_usd is None, p.margin_usd or 0.0, p.project))]


def project_lead(plan: Plan) -> str:
    """How many are done, what they cost and what share of all work they save."""
    done = [p for p in plan.projects if p.done]
    if not done:
        return f"None of {plural(len(plan.projects), 'project')} is done."
    saved, wanted = sum(r.saved_units for r in plan.savings), sum(r.served_units for r in plan.work)
    share = f" and do {percent(saved / wanted)} of all work without accelerators" if saved > 0 and wanted > 0 else ""
    verb = "is" if len(done) == 1 else "are"
    cost = usd(sum(p.cost_usd for p in done))
    return f"{len(done)} of {plural(len(plan.projects), 'project')} {verb} done. They cost {cost}{share}."


def brings(p: ProjectDecision) -> str:
    """What a project saves and opens, in words."""
    parts = [f"{percent(g.saved_fraction)} less for {clip(g.workload, 40)}" for g in p.gains]
    opened = [f"{clip(o.workload, 40)} on {clip(o.family, 20)}" for o in p.ports]
    return listing([*parts, *opened], 4)


def _row(p: ProjectDecision) -> Row:
    verdict = {"given": ("Runs already", "given"), "chosen": ("Do", "yes")}.get(p.reason, ("Do not do", "no"))
    people = sum(p.team_months.values())
    return (
        Cell(clip(p.name or p.project, NAME), clip(p.project, NAME) if p.name else ""),
        Cell(verdict[0], look=verdict[1]),
        fixed(month(p.start)),
        fixed(month(p.ready)),
        brings(p),
        usd(p.cost_usd),
        number(people) if people else ABSENT,
    )


def _timeline(plan: Plan, done: list[ProjectDecision]) -> Figure:
    end = plan.start.plus(plan.months)
    shown = done[:24]
    bars = [
        Span(bar_name(p.name, p.project), 5 if p.reason == "given" else 1, p.start, p.ready or end, usd(p.cost_usd))
        for p in shown
        if p.start is not None
    ]
    title = "When each project runs, and its cost"
    table = Table(
        caption=title,
        columns=columns("Project", "From", "Counts from", "#Cost"),
        rows=tuple((clip(b.name, NAME), month(b.start), month(b.end), b.label) for b in bars),
    )
    names = (("runs already", 5), ("chosen", 1))
    legend = [(name, f"f{slot}") for name, slot in names if any(b.slot == slot for b in bars)]
    text = f"{plural(len(bars), 'project')} by start month."
    drawing = charts.spans("project-spans", title, text, (plan.start, end), bars, legend=legend)
    note = f"The first {len(shown)} of {len(done)}." if len(shown) < len(done) else ""
    return Figure(title, drawing, table, note)


def _savings(plan: Plan) -> Figure:
    periods = Periods.of(plan, 36)
    means = periods.means((r.workload, r.month, r.saved_units) for r in plan.savings)
    means = {name: values for name, values in means.items() if any(values)}
    first, rest = largest(means, _MOST - 1)
    layers = [Series(name, i + 1, tuple(means[name])) for i, name in enumerate(first)]
    if rest:
        summed = tuple(sum(means[n][i] for n in rest) for i in range(len(periods.starts)))
        layers.append(Series(f"{len(rest)} other workloads", svg.OTHER, summed))
    title = "Work that projects save, by workload"
    table = Table(
        caption=f"{title}, in work units, mean over each {periods.word}",
        columns=columns("From", *(f"#{clip(s.name, 40)}" for s in layers)),
        rows=tuple(
            (fixed(month(m)), *(number(round(s.values[i], 1)) for s in layers)) for i, m in enumerate(periods.starts)
        ),
    )
    total = [sum(s.values[i] for s in layers) for i in range(len(periods.starts))]
    peak = max(range(len(total)), key=total.__getitem__)
    text = f"Projects save most from {month(periods.starts[peak])}: {number(round(total[peak]))} work units a month."
    drawing = charts.stacked_area(
        "project-savings", title, text, (periods.starts, periods.lasts), layers, unit="work units"
    )
    note = "Mean of the futures. One work unit is what one H100 does for that workload in a month without the project."
    return Figure(title, drawing, table, note)


def people_by_year(plan: Plan) -> list[tuple[str, Month, float, float, float | None]]:
    """(skill, first month, people, needed, mean shadow price) of each team and year in which somebody has a project.

    Years in which nobody has one and nobody would be worth anything are left out.
    """
    found: dict[tuple[str, int], list[TeamMonth]] = {}
    for row in plan.teams:
        found.setdefault((row.team, (row.month - plan.start) // 12), []).append(row)
    out = []
    for (team, year), rows in found.items():
        prices = [r.usd_per_team_month for r in rows]
        price = None if None in prices else sum(p or 0.0 for p in prices) / len(rows)
        people, needed = (sum(v) / len(rows) for v in ([r.people for r in rows], [r.needed_people for r in rows]))
        if needed > 0 or price is None or price > 0:
            out.append((team, plan.start.plus(12 * year), people, needed, price))
    return sorted(out, key=lambda x: (x[0], x[1]))


def _people(plan: Plan) -> Table:
    rows = tuple(
        (clip(team, NAME), fixed(month(start)), number(round(people, 1)), number(round(needed, 1)),
         percent(needed / people) if people else ABSENT, usd(price))
        for team, start, people, needed, price in people_by_year(plan)
    )  # fmt: skip
    return Table(
        caption="People by skill and year",
        columns=columns("*Skill", "Year from", "#Free for projects", "#On projects", "#Share", "#Worth of one more"),
        rows=rows,
        note="Years in which nobody is on a project and nobody is short are left out."
        " Worth of one more: shadow price of one more person for a month, mean of the year, where projects may be"
        " done in part (F8.5).",
    )

"""A plan, or why there is none, as tables on the terminal.

`cli` calls it with a console. It uses the sentences and number formats of the report, fits 100 columns with names of
any length, and leaves colour to Rich, which drops it when the output is not a terminal.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from rich import box
from rich.cells import cell_len
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from argosy.model.decision import Infeasible, Plan
from argosy.report import require_certificate
from argosy.report.answer_sections import MEASURES, limit_words, worth_rows
from argosy.report.decision_sections import ACTIONS, contract_name, sorted_decisions
from argosy.report.format import ABSENT, Scale, clean, clip, month, number, percent, plural, quantity, usd, words
from argosy.report.limit_sections import amount_short
from argosy.report.money_sections import fiscal, net
from argosy.report.plan_page import headline
from argosy.report.project_sections import brings, people_by_year, project_lead, sorted_projects
from argosy.report.supply_sections import served, value_digits, yearly_prices
from argosy.report.unseen_sections import called, compared, worths

WIDTH = 100
"""No line is longer than this, on any terminal."""
_MOST_ROWS = 40


def plan_tables(plan: Plan, console: Console) -> None:
    """Print the headline and every table that the plan has data for; CheckFailed without a sound certificate."""
    require_certificate(plan)
    show = _Shower(console)
    show.line(clip(plan.title, WIDTH), "bold")
    for sentence in headline(plan):
        show.line(sentence)
    _decisions(plan, show)
    _later(plan, show)
    _projects(plan, show)
    _cash(plan, show)
    _prices(plan, show)
    _service(plan, show)
    _excuses(plan, show)
    _unseen(plan, show)
    _answers(plan, show)
    _certificate(plan, show)


def infeasible_tables(answer: Infeasible, console: Console) -> None:
    """Print which limits cannot hold together and the smallest relaxation of each."""
    show = _Shower(console)
    show.line(f"No plan keeps all limits of {clip(answer.portfolio, 60)}.", "bold")
    if len(answer.excuses) > 1:
        show.line("These limits cannot hold together. Any one of the changes is enough on its own.")
    rows = [
        (Text(clip(e.limit, 160)), clip(f"{e.subject} ({e.rule})", 60), amount_short(e), clip(e.remedy, 200))
        for e in answer.excuses
    ]
    if rows:
        show.table("Limits that cannot hold together", ("*Limit", "About", "~Short by", "*Smallest change"), rows)
    show.line(f"Data {answer.data_hash[:16]}", "dim")


class _Shower:
    """A console that never writes a line longer than `WIDTH`."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.width = min(WIDTH, console.width)

    def line(self, content: str, style: str = "") -> None:
        self.console.print(Text(content, style=style), width=self.width, overflow="fold")

    def table(
        self, title: str, heads: Sequence[str], rows: Sequence[Sequence[RenderableType]], foot: Sequence[str] = ()
    ) -> None:
        """A table from short notation: `#` marks numbers, `~` right ones that may fold, `*` wide text."""
        made = Table(
            box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), show_footer=bool(foot), show_edge=False,
            header_style="dim",
        )  # fmt: skip
        for i, head in enumerate(heads):
            is_number, is_wide, is_right = head.startswith("#"), head.startswith("*"), head.startswith("~")
            made.add_column(
                head.lstrip("#*~"),
                footer=foot[i] if foot else "",
                justify="right" if is_number or is_right else "left",
                no_wrap=is_number,
                overflow="fold" if is_wide or is_right else "ellipsis",
                min_width=_widest(rows, foot, i) if is_number else 14 if is_wide else None,
                max_width=None if is_number else 66 if is_wide else 24 if is_right else 12 if head == "Kind" else 16,
            )
        for cells in rows[:_MOST_ROWS]:
            made.add_row(*(Text(clean(c)) if isinstance(c, str) else c for c in cells))
        self.line(f"\n{title}", "bold")
        self.console.print(made, width=self.width)
        if len(rows) > _MOST_ROWS:
            self.line(f"{plural(len(rows) - _MOST_ROWS, 'more row')} in the report and with --json.", "dim")


def _widest(rows: Sequence[Sequence[RenderableType]], foot: Sequence[str], column: int) -> int:
    """Columns that the longest number takes: numbers are never cut, names give way."""
    texts = [str(row[column]) for row in rows[:_MOST_ROWS]] + ([foot[column]] if foot else [])
    return max((cell_len(text) for text in texts), default=1)


def _decisions(plan: Plan, show: _Shower) -> None:
    signed, waiting, others = sorted_decisions(plan)
    if not plan.decisions:
        return
    scale = Scale.of(d.committed_usd for d in signed)
    verdicts = {
        "given": Text("signed"),
        "chosen": Text("sign", style="bold green"),
        "later": Text("later"),
        "not_chosen": Text("no", style="dim"),
    }
    rows: list[Sequence[RenderableType]] = []
    for d in signed + waiting + others:
        money = d.unit.startswith("usd")
        size = d.size if d.size > 0 else d.max_size
        text = f"{usd(size)}/mo" if d.unit == "usd_per_month" else usd(size) if money else number(round(size))
        bill = scale.write(d.committed_usd) if d.size > 0 else ABSENT
        term = f"{d.start or ABSENT} – {d.end.plus(-1) if d.end else ABSENT}"
        verdict = verdicts[d.reason]
        rows.append((clip(d.contract, 60), clip(d.vendor, 12), words(d.kind), verdict, text, term, bill))
    heads = ("*Contract", "Vendor", "Kind", "Signed?", "~Size", "#First – last month", "#Bill")
    total = ("Total signed", "", "", "", "", "", scale.write(sum(d.committed_usd for d in signed)))
    title = f"Decisions: size in accelerators, bill in {scale.word} (minimum over the horizon, as written)"
    # On a narrow terminal the kind, which the report has too, gives way to the numbers.
    kept = [i for i, head in enumerate(heads) if head != "Kind" or show.width >= 96]
    show.table(title, [heads[i] for i in kept], [[row[i] for i in kept] for row in rows], [total[i] for i in kept])


def _later(plan: Plan, show: _Shower) -> None:
    rows = [
        (clip(contract_name(plan, d.contract), 60), ACTIONS[d.action], month(d.month), quantity(round(d.size), d.unit),
         percent(d.probability), plural(len(d.scenarios), "future"))
        for d in sorted(plan.later, key=lambda d: (d.month, d.contract, -d.probability))
    ]  # fmt: skip
    if rows:
        show.table("Later decisions", ("*Contract", "Action", "#When", "#Size", "#Probability", "#Taken in"), rows)


def _projects(plan: Plan, show: _Shower) -> None:
    verdicts = {"given": "runs", "chosen": "do"}
    rows = [
        (clip(p.project, 60), verdicts.get(p.reason, "no"), month(p.start), month(p.ready), clip(brings(p), 120),
         usd(p.cost_usd), ABSENT if p.margin_usd is None else usd(p.margin_usd))
        for p in sorted_projects(plan)
    ]  # fmt: skip
    if rows:
        heads = ("*Project", "Done?", "#Work from", "#Counts from", "*Brings", "#Cost", "#Margin")
        show.table("Projects: margin is what the first part would add to the objective", heads, rows)
        show.line(project_lead(plan))
    crews = [
        (clip(team, 60), month(start), number(round(free, 1)), number(round(needed, 1)), usd(price))
        for team, start, free, needed, price in people_by_year(plan)
    ]
    if crews:
        columns = ("*Skill", "#Year from", "#People", "#On projects", "#One more, per month")
        show.table("People, mean of each year", columns, crews)


def _cash(plan: Plan, show: _Shower) -> None:
    if not plan.cash:
        return
    years = sorted(plan.cash, key=lambda y: y.start)
    scale = Scale.of([net(y) for y in years] + [y.limit_usd for y in years])
    write = scale.write
    rows = [
        (fiscal(plan, y), write(y.minimum_bill_usd), write(y.prepayment_usd), write(y.capex_usd), write(y.one_off_usd),
         write(-y.credit_usd), write(net(y)), write(y.borrowed_usd),
         "none" if y.limit_usd is None else write(y.limit_usd))
        for y in years
    ]  # fmt: skip
    heads = ("Year", "#Bills", "#Prepaid", "#Capital", "#One-off", "#Credits", "#Net", "#Borrowed", "#Limit")
    show.table(f"Cash by fiscal year, {scale.word}, before use", heads, rows)


def _prices(plan: Plan, show: _Shower) -> None:
    if not plan.prices:
        return
    years, means = yearly_prices(plan, 8)
    high = max(max(v) for v in means.values())
    digits = value_digits(high)
    used: dict[str, float] = defaultdict(float)
    for c in plan.capacity:
        used[c.pool] += c.used_accelerators
    order = sorted(means, key=lambda p: (-used[p], p))
    rows = [(clip(p, 40), *(f"{v:.{digits}f}" for v in means[p])) for p in order]
    heads = ("*Pool", *(f"#{m.year}" if m.month == 1 else f"#{m}" for m in years))
    show.table("Internal prices: USD per accelerator-hour, mean of each year, most used pools first", heads, rows)


def _service(plan: Plan, show: _Shower) -> None:
    if not plan.work:
        return
    shares = served(plan)
    rows = []
    for name in sorted(shares, key=lambda w: (shares[w], w)):
        months = [w for w in plan.work if w.workload == name]
        worst = max(months, key=lambda w: w.unserved_high_units)
        if worst.unserved_high_units <= 0:
            continue
        mean = sum(w.unserved_units for w in months) / len(months)
        rows.append(
            (
                clip(name, 60),
                percent(shares[name]),
                number(round(mean, 1)),
                number(round(worst.unserved_high_units, 1)),
                month(worst.month),
            )
        )
    if rows:
        heads = ("*Workload", "#Served", "#Unserved, mean units", "#Most in any future", "#When")
        show.table("Unserved work", heads, rows)
    else:
        show.line("\nAll work of every workload is served in every future.")


def _excuses(plan: Plan, show: _Shower) -> None:
    rows = [(clip(e.subject, 60), clip(e.limit, 120), amount_short(e), clip(e.remedy, 160)) for e in plan.excuses]
    if rows:
        show.table(
            "What was not done, and what would change it", ("*About", "*What binds", "~Short by", "*Remedy"), rows
        )


def _unseen(plan: Plan, show: _Shower) -> None:
    """Plans on unseen futures, cheapest mean first, and what information is worth."""
    out = plan.out_of_sample
    if out is not None:
        scores = compared(out)
        scale = Scale.of(value for s in scores for value in (s.objective_usd, s.tail_usd))
        regret = {row.plan: row for row in plan.regret}
        rows = [
            (called(s), *map(scale.write, (s.objective_usd, s.expected_usd, s.standard_error_usd, s.tail_usd)),
             scale.write(regret[s.plan].expected_usd) if s.plan in regret else ABSENT, percent(s.unserved_fraction))
            for s in scores
        ]  # fmt: skip
        heads = ("*Plan", "#Objective", "#Mean", "#± error", "#Tail", "#Regret", "#Unserved")
        show.table(f"On {plural(out.drawn, 'unseen future')}, present value, {scale.word}", heads, rows)
    values = worths(plan)
    if values:
        show.line("")
    for name, amount, _ in values:
        show.line(f"{name}: {amount}")


def _answers(plan: Plan, show: _Shower) -> None:
    """Values, near-optimal sizes and fronts; what was not computed is said."""
    if plan.values:
        worths_ = [(clip(name, 60), worth, fee) for name, worth, fee in worth_rows(plan)]
        heads = ["*Contract", "~Worth to the buyer", *(["~Walk-away fee"] if any(w.unit for w in plan.values) else [])]
        show.table("What contracts are worth, present value", heads, [row[: len(heads)] for row in worths_])
    if plan.near_optimal:
        shares = [r.more_cost_fraction for r in plan.near_optimal[0].ranges]
        near = [
            (clip(n.contract, 60), number(round(n.size)),
             *(f"{number(round(r.outer_low))} – {number(round(r.outer_high))}" for r in n.ranges))
            for n in plan.near_optimal
        ]  # fmt: skip
        heads = ["*Contract", "#This plan", *(f"#{percent(share)} more cost" for share in shares)]
        show.table("Sizes that no plan of nearly the same cost lies outside of", heads, near)
    for one in plan.front:
        if one.points:
            shown = one.points[:: max(1, len(one.points) // 5)]
            points = [(limit_words(one, p.limit), usd(p.low_usd), usd(p.high_usd)) for p in shown]
            show.table(f"Expected cost against {MEASURES[one.measure][0]}",
                       ("*Limit", "#No plan below", "#A plan at"), points)  # fmt: skip
    for name, how in plan.not_computed.items():
        show.line(f"not computed: {name} ({how})", "dim")


def _certificate(plan: Plan, show: _Shower) -> None:
    c = plan.certificate
    rows = [
        ("Objective", f"USD {c.upper_usd:,.2f}"),
        ("Lower bound", f"USD {c.lower_usd:,.2f}"),
        ("Gap", f"{percent(c.gap_fraction)} ({plan.status})"),
        ("Recounted", f"USD {c.recounted_usd:,.2f}"),
        ("Worst residual", f"{c.worst_residual:.1e}"),
        ("Data", c.data_hash),
        ("Versions", ", ".join(f"{clip(k, 30)} {clip(v, 30)}" for k, v in sorted(c.versions.items()))),
    ]
    made = [(name, Text(clean(value), overflow="fold")) for name, value in rows]
    show.table("Certificate", ("Item", "*Value"), made)

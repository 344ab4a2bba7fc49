"""The section on unseen futures: the plan beside simpler plans, regret, and what information is worth.

`plan_page` calls `unseen`; the terminal takes the names and the sentences from here. Nothing is computed but sums and
shares of the plan's own numbers.
"""

from __future__ import annotations

from argosy.model.decision import BaselineScore, OutOfSample, Plan
from argosy.report import charts
from argosy.report.charts import Box
from argosy.report.figure import Block, Cell, Facts, Figure, Note, Section, Table, columns
from argosy.report.format import ABSENT, Scale, clip, percent, plural, usd, words
from argosy.report.money_sections import component

_NAMES = {
    "plan": "this plan", "mean_value": "mean future only", "on_demand": "nothing new signed",
    "single_vendor": "one vendor", "no_forecast": "no forecast",
    "near_optimal_least": "near-optimal, least commitments", "near_optimal_other": "near-optimal, most unlike",
}  # fmt: skip


def called(score: BaselineScore) -> str:
    """A plan's name for people."""
    return _name(score.plan)


def _name(plan: str) -> str:
    return _NAMES.get(plan, clip(words(plan), 40))


def compared(out: OutOfSample) -> tuple[BaselineScore, ...]:
    """The plan, then the baselines from the least to the largest objective."""
    return (out.plan, *sorted(out.baselines, key=lambda s: (s.objective_usd, s.plan)))


def worths(plan: Plan) -> list[tuple[str, str, str]]:
    """What information and later decisions are worth: name, amount, and what it means."""
    found = []
    if plan.evpi_usd is not None:
        found.append(("Perfect information would be worth", usd(plan.evpi_usd), "EVPI: if the future were known today"))
    if plan.vss_usd is not None:
        found.append(
            ("Planning for more than the mean future is worth", usd(plan.vss_usd), "VSS: against the mean future only")
        )
    if plan.hindsight_usd is not None and plan.later:
        less = max(0.0, plan.objective_usd - plan.hindsight_usd)
        found.append(
            ("Hindsight in later decisions would be worth at most", usd(less), "if each knew its future to the end")
        )
    return found


def unseen(plan: Plan) -> Section | None:
    """What the plan and simpler plans cost in futures that none of them has seen."""
    out, facts = plan.out_of_sample, worths(plan)
    if out is None and not facts:
        return None
    blocks: list[Block] = []
    lead = "What it would be worth to know more, in the futures that the plan was made with."
    if out is not None:
        scores = compared(out)
        lead = _lead(plan, out, scores)
        blocks.append(_costs(plan, out, scores))
        if plan.regret:
            blocks.append(_regret(plan, scores))
        if out.left_out:
            said = "; ".join(f"{_name(name)}: {clip(why, 120)}" for name, why in sorted(out.left_out.items()))
            blocks.append(Note(f"Not compared: {said}."))
    if facts:
        blocks.append(Facts(tuple((name, f"{amount}, {about}") for name, amount, about in facts)))
    return Section("unseen", "Unseen futures", lead, tuple(blocks))


def _lead(plan: Plan, out: OutOfSample, scores: tuple[BaselineScore, ...]) -> str:
    mine = out.plan
    text = (
        f"In {plural(out.drawn, 'future')} that it has not seen the plan costs {usd(mine.expected_usd)} on average,"
        f" give or take {usd(mine.standard_error_usd)}; it expected {usd(plan.expected_usd)}."
    )
    if len(scores) < 2:
        return text
    next_ = scores[1]
    less = next_.objective_usd - mine.objective_usd
    if abs(less) <= 1e-9 * abs(mine.objective_usd):
        return f"{text} The best simpler plan, {called(next_)}, does as well."
    verdict = "more" if less > 0 else "less"
    return f"{text} The best simpler plan, {called(next_)}, costs {usd(abs(less))} {verdict}, tail included."


def _costs(plan: Plan, out: OutOfSample, scores: tuple[BaselineScore, ...]) -> Figure:
    share = percent(1 - plan.tail_fraction)
    title = f"Cost over {plural(out.drawn, 'unseen future')}"
    if len(out.scenarios) > out.drawn:
        title += f" and {plural(len(out.scenarios) - out.drawn, 'given one')}"
    boxes = [
        Box(
            called(s),
            (s.quantiles_usd["0.05"], s.quantiles_usd["0.25"], s.quantiles_usd["0.5"], s.quantiles_usd["0.75"],
             s.quantiles_usd["0.95"]),
            s.expected_usd,
            s.tail_usd,
        )
        for s in scores
    ]  # fmt: skip
    scale = Scale.of(value for s in scores for value in (s.objective_usd, s.worst_usd))
    write = scale.write
    table = Table(
        caption=f"{title}, present value, {scale.word}",
        columns=columns(
            "*Plan", "#Objective", "#When made", "#Mean", "#± error", f"#Costliest {share}", "#Worst", "#Unserved work"
        ),
        rows=tuple(
            (Cell(called(s), clip(s.rule, 240)), write(s.objective_usd), write(s.in_sample_usd), write(s.expected_usd),
             write(s.standard_error_usd), write(s.tail_usd), write(s.worst_usd), percent(s.unserved_fraction))
            for s in scores
        ),
        note="Objective: mean and tail as the plan weighs them. When made: the same in the futures it was made with.",
    )  # fmt: skip
    drawing = charts.boxes(
        "unseen", title, _lead(plan, out, scores), boxes, unit="USD", ends=[write(b.mean) for b in boxes]
    )
    note = (
        f"Box: half of the futures, with the median. Line: nine of ten. Tall mark: mean, also written, {scale.word}."
        f" Square: mean of the costliest {share}. Each future counts with its weight."
    )
    return Figure(title, drawing, table, note)


def _regret(plan: Plan, scores: tuple[BaselineScore, ...]) -> Table:
    rows = {row.plan: row for row in plan.regret}
    order = [s.plan for s in scores if s.plan in rows]
    size: dict[str, float] = {}
    for row in plan.regret:
        for name, value in row.components_usd.items():
            size[name] = size.get(name, 0.0) + abs(value)
    parts = sorted((name for name in size if size[name] > 0), key=lambda name: (-size[name], name))
    scale = Scale.of(value for row in plan.regret for value in (row.expected_usd, row.worst_usd))
    write = scale.write
    return Table(
        caption=f"Regret: cost above the best of these plans in the same future, {scale.word}",
        columns=columns(
            "Plan", "#Mean", "#1 in 20 above", "#Largest", "#Best in", *(f"~{component(part)}" for part in parts)
        ),
        rows=tuple(
            (_name(name), write(rows[name].expected_usd), write(rows[name].high_usd), write(rows[name].worst_usd),
             percent(rows[name].best_fraction),
             *(write(rows[name].components_usd[part]) if part in rows[name].components_usd else ABSENT
               for part in parts))
            for name in order
        ),
        note="The last columns are the parts of the mean. Best in: share of the futures in which no plan costs less.",
    )  # fmt: skip

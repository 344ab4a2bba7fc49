"""Sections on what a negotiator asks: value intervals, near-optimal sizes, and the three fronts.

`plan_page` calls them; the terminal takes rows and sentences from here. Nothing is computed but shares of the plan's
own numbers.
"""

from __future__ import annotations

from markupsafe import Markup

from argosy.model.answer import ContractWorth, Front, NearOptimal
from argosy.model.decision import Plan
from argosy.report import svg
from argosy.report.answer_charts import FRONT_LEGEND, Stretch, front, stretches
from argosy.report.decision_sections import contract_name
from argosy.report.figure import Block, Figure, Grid, Note, Section, Table, columns
from argosy.report.format import ABSENT, clip, count, number, percent, plural, usd
from argosy.report.price_words import fee_range

MOST = 24
"""Most contracts in one picture; the table has all."""
MEASURES = {
    "tail": ("tail risk", "Mean of the costliest futures at most", "USD"),
    "carbon": ("carbon", "Mean emissions at most", "tonnes"),
    "largest_vendor": ("largest vendor", "Largest vendor's share at most", "% of commitments"),
}


def worth_range(worth: ContractWorth) -> str:
    """A value interval in words."""
    low, high = worth.low_usd, worth.high_usd
    if high is None:
        return "not known" if low is None else f"at least {usd(low)}"
    if low is None or (low == 0 and high > 0):
        return f"at most {usd(high)}"
    return usd(low) if usd(low) == usd(high) else f"{usd(low)} to {usd(high)}"


def worth_rows(plan: Plan) -> list[tuple[str, str, str]]:
    """Contract, value and walk-away fee, the most valuable first."""
    return [
        (w.contract, worth_range(w), fee_range(w.walk_away_low, w.walk_away_high, w.unit) if w.unit else ABSENT)
        for w in sorted_worths(plan)
    ]


def sorted_worths(plan: Plan) -> list[ContractWorth]:
    """The most valuable first; those that are needed for any plan before all."""
    return sorted(plan.values, key=lambda w: (w.high_usd is not None, -(w.high_usd or 0.0), w.contract))


def values(plan: Plan) -> Section | None:
    """What each contract is worth to the buyer, as certified intervals."""
    if not plan.values:
        return None
    order = sorted_worths(plan)
    drawn = [w for w in order if w.low_usd is not None and w.high_usd is not None][:MOST]
    sure = [w for w in drawn if (w.low_usd or 0.0) > 0]
    lead = (
        f"{clip(contract_name(plan, sure[0].contract), 60)} is worth most: {worth_range(sure[0])} to the buyer."
        if sure
        else "No contract is certain to be worth more than nothing; a smaller gap narrows the intervals."
    )
    title = "What each contract is worth to the buyer, present value"
    table = Table(
        caption=title,
        columns=columns("*Contract", "~Worth", "#At least, USD", "#At most, USD", "~Walk-away fee"),
        rows=tuple(
            (clip(contract_name(plan, w.contract), 60), worth, _money(w.low_usd), _money(w.high_usd), fee)
            for w, (_, worth, fee) in zip(order, worth_rows(plan), strict=True)
        ),
        note="The cost of the best plan without the contract, less that of the best plan with it.",
    )
    note = "Each bar reaches from what the contract is certainly worth to what it can be worth at most. " + _missing(
        plan, "values"
    )
    if not drawn:
        return Section("values", "What contracts are worth", lead, (table,))
    rows = [
        Stretch(
            clip(contract_name(plan, w.contract), 60), w.low_usd or 0.0, w.high_usd or 0.0,
            (w.low_usd or 0.0, w.high_usd or 0.0), None,
            worth_range(w) if len(worth_range(w)) < 24 else f"{_short(w.low_usd)} to {_short(w.high_usd)}",
            f"{clip(w.contract, 60)}: {worth_range(w)}",
        )
        for w in drawn
    ]  # fmt: skip
    drawing = stretches("values", title, lead, rows, unit="USD", legend=(("certified interval", "f1"),))
    return Section("values", "What contracts are worth", lead, (Figure(title, drawing, table, note.strip()),))


def _money(value: float | None) -> str:
    return ABSENT if value is None else f"{value:,.0f}"


def _short(value: float | None) -> str:
    """Money in a narrow place: `4.3 billion`."""
    return usd(value).replace("USD ", "")


def near_optimal(plan: Plan) -> Section | None:
    """How far sizes can move for a little more cost."""
    if not plan.near_optimal:
        return None
    largest = {d.contract: d.max_size for d in plan.decisions}
    shares = [r.more_cost_fraction for r in plan.near_optimal[0].ranges]
    free = [n for n in plan.near_optimal if n.ranges and _spread(n, largest) >= 0.5]
    lead = (
        f"For {percent(shares[0])} more cost the size of {plural(len(free), 'contract')} out of"
        f" {len(plan.near_optimal)} may move by half of what is offered or more: there the negotiator is free."
        if free
        else f"No certified plan moves a size by half of what is offered for {percent(shares[0])} more cost."
    )
    blocks: list[Block] = []
    for k, share in enumerate(shares):
        title = f"Sizes for at most {percent(share)} more cost, as a share of the largest offered"
        rows = [_stretch(plan, n, k, largest) for n in plan.near_optimal if largest.get(n.contract, 0.0) > 0]
        legend = (("no plan lies outside", "f8"), ("certified plans reach", "f1"), ("this plan", "key-limit"))
        drawing = stretches(f"near-{k}", title, lead, rows[:MOST], unit="% of the largest size", legend=legend)
        table = Table(
            caption=f"Sizes for at most {percent(share)} more cost",
            columns=columns("*Contract", "#This plan", "#Not below", "#Not above", "#Reached from", "#to", "Unit"),
            rows=tuple(
                (clip(contract_name(plan, n.contract), 60), number(round(n.size)), number(round(r.outer_low)),
                 number(round(r.outer_high)), _rounded(r.inner_low), _rounded(r.inner_high), n.unit.replace("_", " "))
                for n in plan.near_optimal for r in (n.ranges[k],)
            ),
        )  # fmt: skip
        note = (
            "Thin bar: no plan of this cost lies outside it. Thick bar: sizes between which certified plans of this"
            " cost lie. Each contract alone; not all can move at once."
        )
        blocks.append(Figure(title, drawing, table, note))
    return Section("near-optimal", "Near-optimal sizes", lead, tuple(blocks))


def _rounded(value: float | None) -> str:
    return ABSENT if value is None else number(round(value))


def _spread(near: NearOptimal, largest: dict[str, float]) -> float:
    one, most = near.ranges[0], largest.get(near.contract, 0.0)
    if one.inner_low is None or one.inner_high is None or most <= 0:
        return 0.0
    return (one.inner_high - one.inner_low) / most


def _stretch(plan: Plan, near: NearOptimal, k: int, largest: dict[str, float]) -> Stretch:
    one, most = near.ranges[k], largest[near.contract] / 100
    inner = None
    if one.inner_low is not None and one.inner_high is not None:
        inner = (one.inner_low / most, one.inner_high / most)
    end = f"{count(one.outer_low)} to {count(one.outer_high)}"
    name = clip(contract_name(plan, near.contract), 60)
    return Stretch(
        name, one.outer_low / most, one.outer_high / most, inner, near.size / most, end,
        f"{name}: {end}, this plan {count(near.size)} {near.unit.replace('_', ' ')}",
    )  # fmt: skip


def fronts(plan: Plan) -> Section | None:
    """Expected cost against tail risk, carbon and the largest vendor."""
    if not plan.front:
        return None
    shown = [f for f in plan.front if f.points]
    charts = tuple((_chart_title(f), _chart(plan, f)) for f in shown)
    blocks: list[Block] = []
    lead = " ".join(_sentence(f) for f in shown) or "No front has a meaning for this portfolio."
    if charts:
        rows = [
            (MEASURES[f.measure][0], limit_words(f, p.limit), usd(p.low_usd), usd(p.high_usd), usd(p.tail_usd),
             ABSENT if p.carbon_tonnes is None else count(p.carbon_tonnes), percent(p.largest_vendor_fraction))
            for f in shown for p in f.points
        ]  # fmt: skip
        table = Table(
            caption="Least expected cost under each limit, and the certified plan that has it",
            columns=columns(
                "Less of", "#Limit", "#No plan below", "#A plan at", "#Its tail", "#Tonnes", "#Largest share"
            ),
            rows=tuple(rows),
        )
        note = (
            "Between the dashed and the full line lies the least expected cost of all plans that keep the limit. The"
            " axes do not start at zero. The square is this plan, which counts the tail as well."
        )
        blocks.append(Grid("Expected cost against three limits", svg.legend(FRONT_LEGEND), charts, table, note))
    blocks += [Note(f"No front of {MEASURES[f.measure][0]}: {f.note}.") for f in plan.front if not f.points]
    return Section("fronts", "What less risk, carbon or dependence costs", lead, tuple(blocks))


def _chart_title(one: Front) -> str:
    return f"Expected cost against {MEASURES[one.measure][0]}"


def limit_words(one: Front, value: float) -> str:
    """A limit with its unit."""
    return usd(value) if one.unit == "usd" else percent(value) if one.unit == "fraction" else f"{count(value)} t"


def _sentence(one: Front) -> str:
    tight, loose = one.points[0], one.points[-1]
    name = {"tail": "the tail", "carbon": "emissions", "largest_vendor": "the largest share"}[one.measure]
    more = tight.high_usd - loose.high_usd
    ends = f"from {limit_words(one, loose.limit)} to {limit_words(one, tight.limit)}"
    return f"To bring {name} {ends} costs about {usd(more)}."


def _chart(plan: Plan, one: Front) -> Markup:
    scale = 100.0 if one.unit == "fraction" else 1.0
    own: float | None = None
    if one.measure == "tail":
        own = plan.tail_usd
    elif one.measure == "carbon":
        own = sum(f.carbon_tonnes for f in plan.footprint) if plan.footprint else None
    else:
        own = max((v.fraction for v in plan.vendor_shares), default=None)
    _, _, unit = MEASURES[one.measure]
    return front(
        f"front-{one.measure.replace('_', '-')}", _chart_title(one), _sentence(one),
        [(p.limit * scale, p.low_usd, p.high_usd) for p in one.points],
        own=None if own is None else (own * scale, plan.expected_usd), units=(unit, "USD"),
    )  # fmt: skip


def missing_answers(plan: Plan) -> str:
    """What was not computed and how to get it; empty when all was."""
    return "; ".join(f"{name.replace('_', ' ').replace('.', ', ')}: {how}" for name, how in plan.not_computed.items())


def _missing(plan: Plan, about: str) -> str:
    said = [how for name, how in plan.not_computed.items() if name.startswith(f"{about}.")]
    return f"Not computed here: {'; '.join(said)}." if said else ""

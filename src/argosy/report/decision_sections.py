"""Sections on decisions: what is signed, built, ported and copied now, and what is decided later.

`plan_page` calls one function per section; each returns a Section, or None when the plan has nothing to say there.
Other section modules take the names of contracts from here.
"""

from __future__ import annotations

from argosy.model.decision import ContractDecision, Plan
from argosy.report import charts, format
from argosy.report.charts import Span
from argosy.report.figure import Block, Cell, Figure, Row, Section, Table, columns, fixed, row
from argosy.report.format import Scale, clip, month, number, percent, plural, usd, width, words

NAME = 90
ACTIONS = {"exercise": "Exercise option", "exit": "Leave", "sign": "Sign"}


def contract_name(plan: Plan, contract: str) -> str:
    """The name that people know a contract by; its id when it has none."""
    return next((d.name or d.contract for d in plan.decisions if d.contract == contract), contract)


def bar_name(name: str | None, contract: str) -> str:
    """What stands beside a contract's bar: its name where there is room for it, otherwise its id."""
    return name if name and width(name) <= 36 else contract


def named(plan: Plan, contract: str) -> Cell:
    """A contract's name with its id below, once when they are the same."""
    name = contract_name(plan, contract)
    return Cell(clip(name, NAME), clip(contract, NAME) if name != contract else "")


def decisions(plan: Plan) -> Section | None:
    """Every contract with what is decided about it, signed ones first and largest first."""
    if not plan.decisions:
        return None
    signed, waiting, others = sorted_decisions(plan)
    total = sum(d.committed_usd for d in signed)
    given = sum(1 for d in signed if d.reason == "given")
    scale = Scale.of(d.committed_usd for d in signed)
    table_rows = [_decision(d, scale) for d in signed + waiting + others[:60]]
    lead = (
        f"{plural(len(signed), 'contract')} with {plural(len({d.vendor for d in signed}), 'vendor')}: {given or 'none'}"
        f" already signed, {len(signed) - given} chosen by the plan. Together their minimum bills come to {usd(total)}."
        if signed
        else "The plan signs no contract."
    )
    note = (
        f"{plural(len(others) - 60, 'more candidate')} not signed; see the JSON document." if len(others) > 60 else ""
    )
    blocks: list[Block] = []
    if signed:
        blocks.append(_timeline(plan, signed))
    blocks.append(
        Table(
            caption="All contracts",
            columns=columns("*Contract", "Vendor", "Kind", "Decision", "#Size", "Term", f"#Bill, {scale.word}"),
            rows=tuple(table_rows),
            foot=("Total signed", "", "", "", "", "", scale.write(total)) if signed else (),
            note=(
                "Size in accelerators unless it says USD; of candidates that are not signed, what is offered."
                " Bill: the minimum over the"
                " horizon as written, without delays and not discounted. " + note
            ).strip(),
        )
    )
    return Section("decisions", "What to sign", lead, (*blocks, *_works(plan)))


def sorted_decisions(plan: Plan) -> tuple[list[ContractDecision], list[ContractDecision], list[ContractDecision]]:
    """Contracts signed now, largest first; those that may be signed later; and those that are not signed."""
    now = [d for d in plan.decisions if d.signed]
    waiting = [d for d in plan.decisions if d.reason == "later"]
    no = [d for d in plan.decisions if d.reason == "not_chosen"]
    return (
        sorted(now, key=lambda d: (-d.committed_usd, d.contract)),
        sorted(waiting, key=lambda d: d.contract),
        sorted(no, key=lambda d: d.contract),
    )


def _decision(d: ContractDecision, scale: Scale) -> Row:
    now = d.size > 0
    verdict = {
        "given": ("Already signed", "given"),
        "chosen": ("Sign", "yes"),
        "later": ("Decide later", "no"),
        "not_chosen": ("Do not sign", "no"),
    }[d.reason]
    money = d.unit.startswith("usd")
    write = usd if money else number
    size = write(round(d.size if now else d.max_size))
    notes = ([words(d.unit[3:])] if money else []) + (
        [f"option {write(round(d.option_size))}"] if d.option_size > 0 else []
    )
    term = f"{month(d.start)} – {month(d.end.plus(-1))}" if d.start and d.end else month(d.start)
    return (
        Cell(clip(d.name or d.contract, NAME), clip(d.contract, NAME) if d.name else ""),
        clip(d.vendor, 40),
        words(d.kind),
        Cell(verdict[0], look=verdict[1]),
        Cell(size, ", ".join(notes)),
        fixed(term),
        scale.write(d.committed_usd) if now else format.ABSENT,
    )


def _timeline(plan: Plan, signed: list[ContractDecision]) -> Figure:
    shown = [d for d in signed if d.start][:24]
    end = plan.start.plus(plan.months)
    bars = sorted(
        (
            Span(
                bar_name(d.name, d.contract),
                5 if d.reason == "given" else 1,
                d.start,
                d.end or end,
                usd(d.committed_usd),
            )
            for d in shown
            if d.start
        ),
        key=lambda s: (s.start, s.name),
    )
    title = "When each contract runs, and its minimum bill"
    table = Table(
        caption=title,
        columns=columns("Contract", "From", "Until before", "#Minimum bill"),
        rows=tuple((clip(b.name, NAME), month(b.start), month(b.end), b.label) for b in bars),
    )
    note = f"The {len(shown)} largest of {len(signed)}." if len(shown) < len(signed) else ""
    legend = [(n, f"f{s}") for n, s in (("already signed", 5), ("to sign", 1)) if any(b.slot == s for b in bars)]
    drawing = charts.spans(
        "spans", title, f"{len(bars)} contracts by start month.", (plan.start, end), bars, legend=legend
    )
    return Figure(title, drawing, table, note)


def _works(plan: Plan) -> list[Block]:
    blocks: list[Block] = []
    if plan.sites:
        rows = tuple(
            row(clip(s.site, NAME), Cell("Build" if s.built else "Do not build", look="yes" if s.built else "no"),
             f"{number(s.mw)} MW", usd(s.capex_usd))
            for s in plan.sites
        )  # fmt: skip
        blocks.append(Table("Own sites", columns("*Site", "Decision", "#Power", "#Capital"), rows))
    if plan.ports:
        rows = tuple(
            row(clip(p.workload, NAME), clip(p.family, 40),
             Cell("Port" if p.ported else "Do not port", look="yes" if p.ported else "no"), usd(p.cost_usd))
            for p in sorted(plan.ports, key=lambda p: (not p.ported, p.workload, p.family))
        )  # fmt: skip
        blocks.append(
            Table("Software made to run on other silicon", columns("*Workload", "Silicon", "Decision", "#Cost"), rows)
        )
    if plan.replicas:
        rows = tuple(
            row(
                clip(r.dataset, NAME),
                clip(r.region, 40),
                percent(r.fraction),
                f"{number(r.gib)} GiB",
                usd(r.usd_per_month),
            )
            for r in plan.replicas
        )
        heads = columns("*Data set", "Region", "#Share", "#Size", "#Cost per month")
        blocks.append(Table("Copies of data in other regions", heads, rows))
    return blocks


def later(plan: Plan) -> Section | None:
    """Decisions that wait for what will be known then."""
    if not plan.later:
        return None
    names = {s.scenario: s.name or s.scenario for s in plan.scenarios}
    rows = tuple(
        (
            named(plan, d.contract),
            ACTIONS[d.action],
            fixed(month(d.month)),
            format.quantity(round(d.size), d.unit),
            percent(d.probability),
            format.listing([clip(names.get(s, s), 44) for s in d.scenarios], 4),
        )
        for d in sorted(plan.later, key=lambda d: (d.month, d.contract, -d.probability))
    )
    lead = (
        f"{plural(len(rows), 'decision')} on {plural(len({d.contract for d in plan.later}), 'contract')} wait"
        " until more is"
        " known. Each is taken only in the futures named, which cannot be told apart at that time: no hindsight"
        " is used."
    )
    heads = columns("*Contract", "Action", "When", "#Size", "#Probability", "*In the futures")
    return Section("later", "What to decide later", lead, (Table("Options, exits and later signings", heads, rows),))

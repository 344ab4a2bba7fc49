"""`argosy place`: which ask runs where, now, and why."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from argosy.cli.given import Gathering, completed, known, plan_record
from argosy.cli.given import month as given_month
from argosy.cli.plan import output
from argosy.cli.problems import EXIT_NO, EXIT_OK, print_json, reported
from argosy.errors import BadInput, Problem
from argosy.files.asks import Asks, asks
from argosy.files.nodes import nodes as read_nodes
from argosy.files.pairs import pairs as read_pairs
from argosy.model.pair_speed import PairSpeed
from argosy.model.placement import Placement
from argosy.model.snapshot import OBJECTIVES, Objective, Snapshot
from argosy.place import place as decide
from argosy.place.inputs import snapshot
from argosy.place.remedy import Decide
from argosy.settings import Settings

FORMAT = "argosy.place/1"


def place(
    portfolio: Annotated[Path, typer.Argument(help="A portfolio file, or a folder of them.")],
    jobs: Annotated[Path | None, typer.Option(help="YAML file of asks; absent means the demand of the month.")] = None,
    nodes: Annotated[
        Path | None, typer.Option(help="Table of nodes; pools that it names are packed node by node.")
    ] = None,
    pairs: Annotated[
        Path | None, typer.Option(help="Table of speeds of two kinds of work on the same accelerators.")
    ] = None,
    plan: Annotated[
        Path | None, typer.Option(help="Output of `argosy plan --json`, for internal prices and sizes.")
    ] = None,
    month: Annotated[str | None, typer.Option(help="Month, YYYY-MM; absent means the first of the horizon.")] = None,
    objective: Annotated[str, typer.Option(help=f"One of {', '.join(OBJECTIVES)}.")] = "value",
    window: Annotated[float, typer.Option(min=0.01, max=8784.0, help="Hours over which gains are counted.")] = 24.0,
    throughput: Annotated[
        str, typer.Option(help="Throughput that moving data is reckoned with: p50, or p10 to be careful.")
    ] = "p50",
    threads: Annotated[int, typer.Option(min=1, max=64, help="Solver threads; 1 repeats bit for bit.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print the placement as JSON.")] = False,
) -> None:
    """Decide which pool each ask runs in, at the plan's internal prices.

    Exit code 0: all asks run. 1: some do not, with reasons. 2: bad input. 3: outside failure.
    """
    with (
        reported(
            as_json, next_step="correct them and run the command again; docs/concepts/place.md explains the rules"
        ),
        Console(stderr=True).status("placing"),
    ):
        _, answer, _ = seen_and_decided(
            portfolio, jobs, nodes, pairs, plan, month, objective, window, throughput, threads
        )
    if as_json:
        print_json({"format": FORMAT, **answer.model_dump(mode="json")})
    else:
        _tables(answer)
    raise typer.Exit(EXIT_NO if answer.unplaced else EXIT_OK)


def seen_and_decided(
    portfolio: Path,
    jobs: Path | None,
    nodes: Path | None,
    pairs: Path | None,
    plan: Path | None,
    month: str | None,
    objective: str,
    window: float,
    throughput: str,
    threads: int,
) -> tuple[Snapshot, Placement, Decide]:
    """The world that the arguments of a command speak of, its placement, and how another one would be placed."""
    settings, gather = Settings(solver_threads=threads), Gathering()
    gather(lambda: known("objective", objective, OBJECTIVES))
    gather(lambda: known("throughput", throughput, ("p10", "p50")))
    world = gather(lambda: completed(portfolio, settings))
    lines = None if jobs is None else gather(lambda: asks(jobs, settings))
    record = gather(lambda: plan_record(plan))
    at = gather(lambda: given_month(month))
    fleet = () if nodes is None else gather(lambda: read_nodes(str(nodes)))
    speeds = () if pairs is None else gather(lambda: _pairs(pairs, objective))
    gather.done()
    assert world is not None, "what could not be read was a problem"
    assert fleet is not None, "what could not be read was a problem"
    wanted: Objective = next(word for word in OBJECTIVES if word == objective)
    try:
        seen = snapshot(
            world,
            at or world.horizon.start,
            plan=record,
            lines=None if lines is None else lines.lines,
            nodes=fleet,
            window_hours=window,
            throughput_quantile="p10" if throughput == "p10" else "p50",
            pairs=speeds or (),
        )
        if pairs is not None:
            _used(pairs, seen)
        again: Decide = partial(decide, objective=wanted, settings=settings)
        return seen, again(seen), again
    except BadInput as error:
        raise BadInput([_located(problem, portfolio, lines, nodes) for problem in error.problems]) from None


def _pairs(path: Path, objective: str) -> tuple[PairSpeed, ...]:
    """The table of `--pairs`; BadInput where the objective could not use it."""
    if objective in ("value", "cost"):
        message = (
            "two asks share accelerators in turns: choose --objective max_min or another that gives shares of time"
        )
        raise BadInput([Problem("--pairs", 0, 0, "option.pairs", "", message)])
    return read_pairs(str(path))


def _used(pairs: Path, seen: Snapshot) -> None:
    """BadInput where no two of the asks could ever run beside each other by the table of `--pairs`."""
    count: dict[str, float] = {}
    for ask in seen.asks:
        if ask.kind is not None:
            count[ask.kind] = count.get(ask.kind, 0.0) + ask.count
    chips = {pool.silicon for pool in seen.pools}
    for row in seen.pairs:
        both = count.get(row.kind, 0.0) > 0 and count.get(row.beside, 0.0) > (1.0 if row.kind == row.beside else 0.0)
        if both and row.silicon in chips:
            return
    message = (
        f"no two asks are of kinds that {pairs} has beside each other on a chip of the pools "
        f"(kinds of the asks: {', '.join(sorted(count)) or 'none, as without --jobs'}); correct it or leave it away"
    )
    raise BadInput([Problem("--pairs", 0, 0, "option.unused", "", message)])


def _located(problem: Problem, portfolio: Path, lines: Asks | None, nodes: Path | None) -> Problem:
    """A problem of the snapshot as one of the file that the user gave."""
    if problem.code == "place.month":
        return replace(problem, file="--month", field="")
    if lines is not None and problem.field.startswith("asks."):
        return lines.located(problem)
    if problem.file == "nodes" and nodes is not None:
        return replace(problem, file=str(nodes))
    return replace(problem, file=str(portfolio)) if problem.file == "snapshot" else problem


def _tables(answer: Placement) -> None:
    console = output()
    console.print(
        f"{answer.objective}: {answer.objective_value:,.4g}, gap {answer.gap_fraction:.2%}; {answer.price_note}"
    )
    pools = Table("pool", "used", "of", "USD/h each", "scarcity", title="Pools")
    for pool in answer.pools:
        pools.add_row(
            pool.pool,
            f"{pool.used_accelerators:,.6g}",
            f"{pool.capacity_accelerators:,.6g}",
            f"{pool.usd_per_accelerator_hour:.2f}",
            f"{pool.scarcity_usd_per_accelerator_hour:.2f}",
        )
    console.print(pools)
    bound = [row for row in answer.limits if row.dual_usd_per_unit > 1e-9]
    if bound:
        limits = Table("rule", "limit", "used", "of", "unit", "USD/h each", title="Limits that bind, and floors")
        for row in bound:
            cells = (f"{row.used:,.6g}", f"{row.most:,.6g}", row.unit, f"{row.dual_usd_per_unit:.2f}")
            limits.add_row(row.rule, row.limit, *cells)
        console.print(limits)
    table = Table("ask", "pool", "count", "change", "from h", "runner-up", "why not", title="Placed")
    for a in answer.assignments[:200]:
        table.add_row(
            a.ask, a.pool, f"{a.count:,.4g}", a.change, f"{a.start_after_hours:.1f}", a.runner_up or "", a.why_not or ""
        )
    console.print(table)
    for s in answer.shared[:200]:
        words = f"{s.count:,.4g} of {s.ask} beside {s.beside} in {s.pool}"
        console.print(f"shares: {words}, at {s.speed_fraction:.0%} of its speed")
    for t in answer.transfers:
        console.print(
            f"copy {t.dataset} {t.from_region} -> {t.to_region}: {t.usd:,.0f} USD once, {t.hours:.1f} h, "
            f"before {', '.join(t.readers)}"
        )
    for e in answer.evictions:
        console.print(f"stop {e.count:g} of {e.ask} in {e.pool}: {e.reason}")
    for u in answer.unplaced:
        console.print(f"waits: {u.count:,.4g} of {u.ask}: {u.excuses[0].limit if u.excuses else 'no pool'}")

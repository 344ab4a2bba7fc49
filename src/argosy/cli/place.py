"""`argosy place`: which ask runs where, now, and why."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError
from rich.table import Table

from argosy.cli.plan import output
from argosy.cli.problems import EXIT_NO, EXIT_OK, print_json, reported
from argosy.errors import BadInput, OutsideError, Problem
from argosy.files import explain as explain_fields
from argosy.files.load import load
from argosy.files.nodes import nodes as read_nodes
from argosy.files.yaml_tree import decode, read
from argosy.market.catalogue import bundled
from argosy.model.placement import Placement
from argosy.model.snapshot import OBJECTIVES, Objective
from argosy.model.snapshot_ask import AskFile, AskLine
from argosy.place import place as decide
from argosy.place.inputs import PlanRecord, snapshot
from argosy.settings import Settings
from argosy.units import Month

FORMAT = "argosy.place/1"


def place(
    portfolio: Annotated[Path, typer.Argument(help="A portfolio file, or a folder of them.")],
    jobs: Annotated[Path | None, typer.Option(help="YAML file of asks; absent means the demand of the month.")] = None,
    nodes: Annotated[
        Path | None, typer.Option(help="Table of nodes; pools that it names are packed node by node.")
    ] = None,
    plan: Annotated[
        Path | None, typer.Option(help="Output of `argosy plan --json`, for internal prices and sizes.")
    ] = None,
    month: Annotated[str | None, typer.Option(help="Month, YYYY-MM; absent means the first of the horizon.")] = None,
    objective: Annotated[str, typer.Option(help=f"One of {', '.join(OBJECTIVES)}.")] = "value",
    window: Annotated[float, typer.Option(min=0.01, max=8784.0, help="Hours over which gains are counted.")] = 24.0,
    threads: Annotated[int, typer.Option(min=1, max=64, help="Solver threads; 1 repeats bit for bit.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print the placement as JSON.")] = False,
) -> None:
    """Decide which pool each ask runs in, at the plan's internal prices.

    Exit code 0: all asks run. 1: some do not, with reasons. 2: bad input. 3: outside failure.
    """
    with reported(
        as_json, next_step="correct them and run the command again; docs/concepts/place.md explains the rules"
    ):
        answer = decided(portfolio, jobs, nodes, plan, month, objective, window, threads)
    if as_json:
        print_json({"format": FORMAT, **answer.model_dump(mode="json")})
    else:
        _tables(answer)
    raise typer.Exit(EXIT_NO if answer.unplaced else EXIT_OK)


def decided(
    portfolio: Path,
    jobs: Path | None,
    nodes: Path | None,
    plan: Path | None,
    month: str | None,
    objective: str,
    window: float,
    threads: int,
) -> Placement:
    """The placement that the arguments of a command ask for."""
    settings = Settings(solver_threads=threads)
    if objective not in OBJECTIVES:
        raise BadInput(
            [Problem("--objective", 0, 0, "option.unknown", "", f"{objective!r} is none of {', '.join(OBJECTIVES)}")]
        )
    wanted: Objective = next(word for word in OBJECTIVES if word == objective)
    catalogue = bundled()
    world = load(portfolio, settings, catalogue=catalogue).with_catalogue(catalogue)
    lines = None if jobs is None else ask_lines(jobs, settings)
    record = None if plan is None else PlanRecord(_json(plan), str(plan))
    at = world.horizon.start if month is None else _month(month)
    fleet = () if nodes is None else read_nodes(str(nodes))
    seen = snapshot(world, at, plan=record, lines=lines, nodes=fleet, window_hours=window)
    return decide(seen, objective=wanted, settings=settings)


def ask_lines(path: Path, settings: Settings) -> tuple[AskLine, ...]:
    """The asks written in a YAML file; BadInput with every problem at its line."""
    text = decode(str(path), _bytes(path))
    if isinstance(text, Problem):
        raise BadInput([text])
    tree = read(str(path), text, max_nodes=settings.max_yaml_nodes)
    if tree.problems or tree.top is None or not isinstance(tree.top.value, dict):
        raise BadInput(
            tree.problems
            or [Problem(str(path), 1, 1, "yaml.top_level", "", "the file starts with `argosy: 1` and has `asks`")]
        )
    try:
        return AskFile.model_validate(tree.top.value).asks
    except ValidationError as error:
        raise BadInput(explain_fields.problems(error, tree.top)) from None


def _month(text: str) -> Month:
    try:
        return Month.parse(text)
    except ValueError as error:
        raise BadInput([Problem("--month", 0, 0, "option.month", "", str(error))]) from error


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise OutsideError(f"cannot read {path}: {error.strerror or error}") from error


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(_bytes(path))
    except ValueError as error:
        raise BadInput([Problem(str(path), 0, 0, "plan.format", "", f"not JSON: {error}")]) from error
    return found if isinstance(found, dict) else {}


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
    for t in answer.transfers:
        console.print(
            f"copy {t.dataset} {t.from_region} -> {t.to_region}: {t.usd:,.0f} USD once, {t.hours:.1f} h, "
            f"before {', '.join(t.readers)}"
        )
    for e in answer.evictions:
        console.print(f"stop {e.count:g} of {e.ask} in {e.pool}: {e.reason}")
    for u in answer.unplaced:
        console.print(f"waits: {u.count:,.4g} of {u.ask}: {u.excuses[0].limit if u.excuses else 'no pool'}")

"""`argosy price`: what one contract is worth, and at which fee to walk away."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from argosy.cli.init import write_new
from argosy.cli.plan import output, shown_progress, stoppable, with_options
from argosy.cli.problems import EXIT_NO, EXIT_OK, print_json, reported
from argosy.cli.questions_tables import price_tables
from argosy.cli.solving import Keep, Ray, Workers, solving
from argosy.clock import SystemClock
from argosy.errors import BadInput, Problem
from argosy.files.load import load
from argosy.market.catalogue import bundled
from argosy.model.futures import futures
from argosy.model.question import ContractValue, PriceAnswer
from argosy.plan.project_value import price_project
from argosy.plan.questions import CURVE_POINTS
from argosy.plan.questions import price as ask
from argosy.report.questions_page import price_html

FORMAT: Final = "argosy.price/1"


def price(
    portfolio: Annotated[Path, typer.Argument(help="A portfolio file, or a folder of them.")],
    contract: Annotated[str | None, typer.Option(help="Id of the contract, signed or not.")] = None,
    project: Annotated[str | None, typer.Option(help="Id of a project, in place of a contract.")] = None,
    gap: Annotated[float, typer.Option(min=0.0, max=0.5, help="How far each plan may be from the best.")] = 1e-3,
    scenarios: Annotated[int | None, typer.Option(min=0, max=10_000, help="Futures to draw.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Seed of the draw.")] = None,
    risk: Annotated[float | None, typer.Option(min=0.0, max=1.0, help="Weight of the costliest tail.")] = None,
    curve: Annotated[int, typer.Option(min=0, max=12, help="Points of fee against size; 0 for none.")] = CURVE_POINTS,
    clauses: Annotated[bool, typer.Option("--clauses/--no-clauses", help="Price each of its clauses.")] = True,
    time_limit: Annotated[float, typer.Option(min=1.0, help="Seconds for each plan.")] = 600.0,
    workers: Workers = 1,
    ray: Ray = None,
    keep: Keep = None,
    report: Annotated[Path | None, typer.Option(help="Write the answer as a page to this HTML file.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the answer as JSON.")] = False,
) -> None:
    """Say what a contract is worth to the buyer, and at which fee to walk away; or what a project is worth.

    Exit code 0: an answer. 1: no plan keeps all limits. 2: bad input. 3: outside failure.
    """
    settings = solving(time_limit, workers, ray, keep)
    with reported(as_json, next_step="correct them and run the command again; `argosy check` shows only these"):
        if (contract is None) == (project is None):
            message = "name one contract (--contract ID) or one project (--project ID)"
            raise BadInput([Problem("--contract", 0, 0, "option.missing", "", message)])
        catalogue = bundled()
        world = with_options(load(portfolio, settings, catalogue=catalogue).with_catalogue(catalogue), risk)
        drawn = futures(world, seed=seed, count=scenarios)
        stop = threading.Event()
        start = world.scenarios.seed if seed is None else seed
        with shown_progress() as progress, stoppable(stop):
            how: dict[str, Any] = {
                "gap": gap, "seed": start, "settings": settings, "clock": SystemClock(), "progress": progress,
                "stop": stop,
            }  # fmt: skip
            if contract is not None:
                answer = ask(world, drawn, contract, curve=curve, clauses=clauses, **how)
            else:
                assert project is not None
                answer = price_project(world, drawn, project, **how)
        if report is not None:
            write_new(report, price_html(answer), overwrite=True)
    if as_json:
        print_json(price_document(answer))
    else:
        price_tables(answer, output())
        if report is not None:
            typer.echo(f"report: {report}")
    costs = [*(c for v in answer.values for c in v.costs), *(c for v in answer.projects for c in v.costs)]
    none = all(cost.upper_usd is None for cost in costs)
    raise typer.Exit(EXIT_NO if none else EXIT_OK)


def price_document(answer: PriceAnswer) -> dict[str, Any]:
    """What `--json` prints: the record, with the short names of the walk-away fee that go with `unit`."""
    made = {"format": FORMAT, **answer.model_dump(mode="json")}
    made["values"] = [value_document(value) for value in answer.values]
    return made


def value_document(value: ContractValue) -> dict[str, Any]:
    """One contract's value as in `values` of every document."""
    return {
        **value.model_dump(mode="json"),
        "walk_away_low": value.walk_away_low_usd_per_accelerator_hour,
        "walk_away_high": value.walk_away_high_usd_per_accelerator_hour,
    }

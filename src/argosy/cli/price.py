"""`argosy price`: what one contract is worth, and at which fee to walk away."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from argosy.cli.given import completed
from argosy.cli.plan import output, shown_progress, stoppable, with_options
from argosy.cli.problems import reported
from argosy.cli.question_end import finish, write_page
from argosy.cli.questions_tables import price_tables
from argosy.cli.solving import Keep, Ray, Workers, solving
from argosy.clock import SystemClock
from argosy.errors import BadInput, Problem
from argosy.model.futures import futures
from argosy.model.question import PriceAnswer
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
        world = with_options(completed(portfolio, settings), risk)
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
        write_page(report, lambda: price_html(answer))
    costs = [*(c for v in answer.values for c in v.costs), *(c for v in answer.projects for c in v.costs)]
    finish(
        report,
        document=price_document(answer) if as_json else None,
        tables=lambda: price_tables(answer, output()),
        answered=any(cost.upper_usd is not None for cost in costs),
    )


def price_document(answer: PriceAnswer) -> dict[str, Any]:
    """What `--json` prints."""
    return {"format": FORMAT, **answer.model_dump(mode="json")}

"""`argosy compare`: the same demand under several strategies, side by side."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from argosy.cli.given import completed
from argosy.cli.plan import output, shown_progress, stoppable, with_options
from argosy.cli.problems import reported
from argosy.cli.question_end import finish, write_page
from argosy.cli.questions_tables import comparison_tables
from argosy.cli.solving import Keep, Ray, Workers, solving
from argosy.clock import SystemClock
from argosy.files.edits import bundled as bundled_edits
from argosy.files.edits import strategy as read_strategy
from argosy.files.edits import stress as read_stress
from argosy.model.futures import futures
from argosy.model.question import Comparison
from argosy.plan.compare import compare as ask
from argosy.report.questions_page import comparison_html

FORMAT: Final = "argosy.compare/1"


def compare(
    portfolio: Annotated[Path, typer.Argument(help="A portfolio file, or a folder of them.")],
    strategies: Annotated[
        list[str],
        typer.Argument(help="Names of bundled strategies, or files of your own.", metavar="STRATEGY..."),
    ],
    stress: Annotated[list[str] | None, typer.Option(help="A bundled stress, or a file; may be repeated.")] = None,
    gap: Annotated[float, typer.Option(min=0.0, max=0.5, help="How far each plan may be from the best.")] = 1e-3,
    scenarios: Annotated[int | None, typer.Option(min=0, max=10_000, help="Futures to draw.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Seed of the draw.")] = None,
    risk: Annotated[float | None, typer.Option(min=0.0, max=1.0, help="Weight of the costliest tail.")] = None,
    time_limit: Annotated[float, typer.Option(min=1.0, help="Seconds for each plan.")] = 600.0,
    workers: Workers = 1,
    ray: Ray = None,
    keep: Keep = None,
    report: Annotated[Path | None, typer.Option(help="Write the answer as a page to this HTML file.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the answer as JSON.")] = False,
) -> None:
    """Plan the same demand under several strategies and print them side by side.

    Exit code 0: at least one strategy has a plan. 1: none has. 2: bad input. 3: outside failure.
    """
    settings = solving(time_limit, workers, ray, keep)
    with reported(as_json, next_step=f"correct them; bundled strategies are {', '.join(bundled_edits('strategies'))}"):
        world = with_options(completed(portfolio, settings), risk)
        chosen = [read_strategy(name, world, settings) for name in strategies]
        tests = [read_stress(name, world, settings) for name in stress or []]
        drawn = futures(world, seed=seed, count=scenarios)
        stop = threading.Event()
        with shown_progress() as progress, stoppable(stop):
            answer = ask(
                world,
                drawn,
                chosen,
                tests,
                gap=gap,
                seed=world.scenarios.seed if seed is None else seed,
                settings=settings,
                clock=SystemClock(),
                progress=progress,
                stop=stop,
            )
        write_page(report, lambda: comparison_html(answer))
    finish(
        report,
        document=comparison_document(answer) if as_json else None,
        tables=lambda: comparison_tables(answer, output()),
        answered=any(s.status != "infeasible" for s in answer.strategies),
    )


def comparison_document(answer: Comparison) -> dict[str, Any]:
    """What `--json` prints."""
    return {"format": FORMAT, **answer.model_dump(mode="json")}

"""`argosy explain`: why a job or an ask runs where it runs, or why it does not."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from argosy.cli.connect import Data, Server
from argosy.cli.explain_job import explain_job
from argosy.cli.place import seen_and_decided
from argosy.cli.problems import EXIT_NO, EXIT_OK, print_json, reported
from argosy.errors import BadInput, Problem
from argosy.model.placement import Placement
from argosy.place.explain import explanation
from argosy.place.remedy import tried, words


def explain(
    ask: Annotated[str, typer.Argument(help="Id of a job, or of an ask of the portfolio.")],
    portfolio: Annotated[
        Path | None, typer.Argument(help="A portfolio file, or a folder of them; absent for a job.")
    ] = None,
    jobs: Annotated[Path | None, typer.Option(help="YAML file of asks; absent means the demand of the month.")] = None,
    nodes: Annotated[Path | None, typer.Option(help="Table of nodes, as for `argosy place`.")] = None,
    pairs: Annotated[Path | None, typer.Option(help="Table of pairs, as for `argosy place`.")] = None,
    plan: Annotated[Path | None, typer.Option(help="Output of `argosy plan --json`.")] = None,
    month: Annotated[str | None, typer.Option(help="Month, YYYY-MM; absent means the first of the horizon.")] = None,
    objective: Annotated[str, typer.Option(help="Objective, as for `argosy place`.")] = "value",
    window: Annotated[float, typer.Option(min=0.01, max=8784.0, help="Hours over which gains are counted.")] = 24.0,
    throughput: Annotated[str, typer.Option(help="p50 or p10, as for `argosy place`.")] = "p50",
    server: Server = None,
    data: Data = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the explanation as JSON.")] = False,
) -> None:
    """Say why a job or an ask runs there, why not in the runner-up, why it waits, and what would unblock it.

    With a portfolio the ask is placed now, on paper; without one a job of the server is explained.

    Exit code 0: it runs. 1: it waits. 2: bad input. 3: outside failure.
    """
    if portfolio is None:
        explain_job(ask, server, data, as_json)
    with reported(as_json, next_step="correct them and run the command again"):
        assert portfolio is not None
        seen, answer, decide = seen_and_decided(
            portfolio, jobs, nodes, pairs, plan, month, objective, window, throughput, 1
        )
        found = _known(answer, ask)
        with Console(stderr=True).status("trying what would unblock it"):
            followed = tried(seen, answer, ask, decide)
        found["tried"] = [asdict(row) for row in followed]
    if as_json:
        print_json(found)
    else:
        typer.echo("\n".join([*explanation(answer, ask), *(f"  {words(row)}" for row in followed)]))
    raise typer.Exit(EXIT_NO if found["unplaced"] else EXIT_OK)


def _known(answer: Placement, ask: str) -> dict[str, Any]:
    parts: dict[str, Any] = {
        "ask": ask,
        "assignments": [a.model_dump(mode="json") for a in answer.assignments if a.ask == ask],
        "evictions": [e.model_dump(mode="json") for e in answer.evictions if e.ask == ask],
        "shared": [s.model_dump(mode="json") for s in answer.shared if s.ask == ask],
        "transfers": [t.model_dump(mode="json") for t in answer.transfers if ask in t.readers],
        "unplaced": [u.model_dump(mode="json") for u in answer.unplaced if u.ask == ask],
    }
    if not any(parts[name] for name in ("assignments", "shared", "evictions", "unplaced")):
        names = sorted({a.ask for a in answer.assignments} | {u.ask for u in answer.unplaced})
        message = f"{ask!r} is not among the asks: {', '.join(names[:8])}{' ...' if len(names) > 8 else ''}"
        raise BadInput([Problem("explain", 0, 0, "explain.unknown", "ask", message)])
    return parts

"""`argosy logs`: what a job prints."""

from __future__ import annotations

from typing import Annotated

import typer

from argosy.cli.connect import Data, Server, connected
from argosy.cli.problems import EXIT_NO, EXIT_OK, reported
from argosy.cli.words import outcome, waiting


def logs(
    job: Annotated[str, typer.Argument(help="Id of the job.")],
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the job ends.")] = False,
    rank: Annotated[int, typer.Option(min=0, max=100_000, help="Node of the gang.")] = 0,
    server: Server = None,
    data: Data = None,
) -> None:
    """Show what a job printed so far, over all its runs.

    Exit code 0: shown. 1: with --follow, the job ended without success. 2: bad input, no such job. 3: outside failure.
    """
    ended = None
    with reported(False), connected(server, data) as session:
        query = {"rank": rank, "follow": "true" if follow else "false"}
        for event in session.follow(f"/v1/jobs/{job}/logs", query=query, until="end" if follow else None):
            if event.kind == "output":
                typer.echo(event.data["text"], nl=False)
            elif event.kind == "waiting":
                typer.echo(waiting(job, event.data), err=True)
            elif event.kind == "end":
                ended = event.data
    if follow and ended is not None and ended["status"] != "SUCCEEDED":
        typer.echo(outcome(ended), err=True)
        raise typer.Exit(EXIT_NO)
    raise typer.Exit(EXIT_OK)

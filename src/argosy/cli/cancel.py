"""`argosy cancel`: end jobs."""

from __future__ import annotations

from typing import Annotated

import typer

from argosy.cli.connect import Data, Server, connected
from argosy.cli.problems import reported
from argosy.cli.words import ENDS, outcome, print_list


def cancel(
    jobs: Annotated[list[str], typer.Argument(help="Ids of jobs.", metavar="ID...")],
    server: Server = None,
    data: Data = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the jobs as JSON.")] = False,
) -> None:
    """Ask for the end of jobs; those that ended stay as they are. Work gets SIGTERM, and SIGKILL after a grace time.

    Without a server on the data folder the command is one itself until they have ended.

    Exit code 0: asked for. 1: the key does not allow it. 2: no such job. 3: outside failure.
    """
    with reported(as_json), connected(server, data) as session:
        # All are looked at first: with a wrong id among them nothing is changed.
        for job in jobs:
            session.call("GET", f"/v1/jobs/{job}")
        rows = [session.call("DELETE", f"/v1/jobs/{job}") for job in jobs]
        if session.mine:
            for i, row in enumerate(rows):
                if row["status"] in ENDS:
                    continue
                path = f"/v1/jobs/{row['id']}/logs"
                ends = [e.data for e in session.follow(path, query={"follow": "true"}, until="end") if e.kind == "end"]
                rows[i] = ends[-1]
    if as_json:
        print_list(rows)
    else:
        typer.echo("\n".join(outcome(row) for row in rows))

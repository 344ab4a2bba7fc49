"""`argosy ps` and `argosy queue`: jobs, and those that wait with the reason."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer

from argosy.cli.connect import Data, Server, Session, connected
from argosy.cli.data_folder import DataFolder
from argosy.cli.problems import reported
from argosy.cli.words import ENDS, ago, columns, print_list

RECENT_HOURS = 24.0
PAGE = 10_000
MOST_SHOWN = 100
WAITING = ("PENDING", "RECOVERING")

Json = Annotated[bool, typer.Option("--json", help="Print a list as JSON.")]
Project = Annotated[str | None, typer.Option(help="Project; absent means all that the key may see.")]


def ps(
    all_jobs: Annotated[bool, typer.Option("--all", "-a", help="Also jobs that ended more than a day ago.")] = False,
    project: Project = None,
    server: Server = None,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """List jobs, newest first: those that did not end, and those that ended within a day.

    Exit code 0: a list, perhaps empty. 1: the key is refused. 2: bad input. 3: outside failure.
    """
    most = None if as_json or all_jobs else MOST_SHOWN
    with reported(as_json):
        rows = _rows(server, data, project, most)
    since = datetime.now(UTC) - timedelta(hours=RECENT_HOURS)
    kept = [row for row in rows if all_jobs or row["status"] not in ENDS or _ended(row) >= since]
    if as_json:
        print_list(kept)
        return
    heads = ("ID", "NAME", "STATUS", "REASON", "VENDOR", "REGION", "AGE")
    cells = [
        (r["id"], r["name"], r["status"], r["reason"], r["vendor"], r["region"], ago(r["created_at"])) for r in kept
    ]
    typer.echo("\n".join(columns(heads, cells)) if kept else "no jobs")
    if most is not None and len(rows) == most:
        typer.echo(f"the newest {most}; --all shows the others", err=True)


def queue(project: Project = None, server: Server = None, data: Data = None, as_json: Json = False) -> None:
    """List jobs that wait for a place, oldest first, each with what it waits for.

    Exit code 0: a list, perhaps empty. 1: the key is refused. 2: bad input. 3: outside failure.
    """
    with reported(as_json):
        rows = _rows(server, data, project, None, status=list(WAITING))[::-1]
    if as_json:
        print_list(rows)
        return
    cells = [(r["id"], r["name"], ago(r["created_at"]), r["reason"], r["message"]) for r in rows]
    typer.echo("\n".join(columns(("ID", "NAME", "WAITS", "REASON", "MESSAGE"), cells)) if rows else "nothing waits")


def _rows(server: str | None, data: Any, project: str | None, most: int | None, **query: Any) -> list[dict[str, Any]]:
    """The newest jobs, or all of them page by page; none where nothing was ever launched."""
    if server is None and not DataFolder.chosen(data).path.is_dir():
        return []
    with connected(server, data) as session:
        return _pages(session, {"project": project, "limit": most or PAGE, **query}, most)


def _pages(session: Session, query: dict[str, Any], most: int | None) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    before = None
    while True:
        page = session.call("GET", "/v1/jobs", query={**query, "before": before})
        rows += page["jobs"]
        before = page["next"]
        if before is None or most is not None:
            return rows


def _ended(row: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(row["finished_at"] or row["changed_at"])

"""`argosy apply`: make what a task file says true, once."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from argosy.cli.connect import Data, Server, Session, connected
from argosy.cli.launch import NEXT_STEP, begun, submit
from argosy.cli.problems import EXIT_NO, EXIT_OK, print_json, reported
from argosy.cli.task_options import Env, File, Name, Project, Request, Secret, as_rows, request, tell_notes
from argosy.cli.words import ENDS
from argosy.errors import BadInput


def apply(
    file: File,
    replace: Annotated[bool, typer.Option("--replace", help="Cancel what differs and start the new one.")] = False,
    env: Env = None,
    secret: Secret = None,
    name: Name = None,
    project: Project = None,
    server: Server = None,
    data: Data = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Start a task unless it runs already, or ran already and succeeded: by name and content.

    When a job of that name has other content, say what would be replaced; --replace does it.

    Exit code 0: it is as the file says. 1: something else is there, or refused. 2: bad input. 3: outside failure.
    """
    with reported(as_json, next_step=NEXT_STEP):
        asked = request(file, env, secret, name, local=server is None)
        if not as_json:
            tell_notes(asked.notes)
        with connected(server, data, creates=True) as session:
            answer = _applied(session, asked, project, replace)
    if as_json:
        print_json({**answer, "notes": as_rows(asked.notes)})
    else:
        typer.echo(answer["message"])
    raise typer.Exit(EXIT_NO if answer["status"] == "differs" else EXIT_OK)


def _applied(session: Session, asked: Request, project: str | None, replace: bool) -> dict[str, Any]:
    wanted = _checked(session, asked, project)
    query = {"name": wanted["name"], "project": project}
    running = session.call("GET", "/v1/jobs", query={**query, "open": "true"})["jobs"]
    latest = session.call("GET", "/v1/jobs", query={**query, "limit": 1})["jobs"]
    same = [job for job in running if job["task_hash"] == wanted["task_hash"]]
    others = [job for job in running if job["task_hash"] != wanted["task_hash"]]
    done = [job for job in latest if job["task_hash"] == wanted["task_hash"] and job["status"] == "SUCCEEDED"]
    if others and not replace:
        names = ", ".join(f"{job['id']} ({job['status'].lower()})" for job in others)
        message = f"{wanted['name']} has other content than {names}; --replace would cancel it and start the new one"
        return {"status": "differs", "job": None, "would_replace": [job["id"] for job in others], "message": message}
    if not others and (same or done):
        job = (same or done)[0]
        message = f"{wanted['name']} is unchanged: {job['id']} ({job['status'].lower()})"
        return {"status": "unchanged", "job": job, "would_replace": [], "message": message}
    for job in others:
        session.call("DELETE", f"/v1/jobs/{job['id']}")
    if same:
        job, word = same[0], "kept"
    else:
        # Two that apply at once ask for the same job: the one after the newest that both have seen.
        after = latest[0]["id"] if latest else "none"
        job, word = submit(session, asked, project, f"apply/{wanted['task_hash'][:40]}/{after}"), "started"
        if job["status"] not in ENDS:
            begun(session, job)
    gone = f"; cancelled {', '.join(job['id'] for job in others)}" if others else ""
    message = f"{wanted['name']} {word}: {job['id']}{gone}"
    return {"status": "replaced" if others else "started", "job": job, "would_replace": [], "message": message}


def _checked(session: Session, asked: Request, project: str | None) -> dict[str, Any]:
    """Name and content hash as the server reads them; nothing is kept."""
    try:
        answer = session.call("POST", "/v1/jobs", query={"project": project, "dry_run": "true"}, body=asked.body)
    except BadInput as error:
        raise BadInput(asked.placed(error.problems)) from None
    found: dict[str, Any] = answer["checked"][0]
    return found

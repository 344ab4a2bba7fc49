"""`argosy launch`: start a task and show what it prints, or hand it over and print its id."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from argosy.cli.connect import Data, Server, Session, connected
from argosy.cli.problems import EXIT_NO, EXIT_OK, print_json, reported
from argosy.cli.task_options import Env, File, Name, Project, Request, Secret, as_rows, request, tell_notes
from argosy.cli.words import outcome, waiting
from argosy.clock import unguessable
from argosy.errors import BadInput

NEXT_STEP = "correct them and launch again; docs/reference/tasks.md has the fields"
INTERRUPTED = 130  # as shells say it of Ctrl-C
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of the output.")]


def launch(
    file: File,
    detach: Annotated[bool, typer.Option("--detach", "-d", help="Print the job's id and leave it running.")] = False,
    env: Env = None,
    secret: Secret = None,
    name: Name = None,
    project: Project = None,
    server: Server = None,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Start a task, show what its first node prints, and end when it ends.

    Without a server on the data folder the command is one itself until the job ends. With --detach it then waits until
    the job has begun; the job goes on alone, and the next command finds what became of it.

    Exit code 0: done. 1: the job failed, was cancelled, or was refused. 2: bad input. 3: outside failure.
    """
    with reported(as_json, next_step=NEXT_STEP):
        asked = request(file, env, secret, name, local=server is None)
        if not as_json:
            tell_notes(asked.notes)
        with connected(server, data, creates=True) as session:
            job = submit(session, asked, project, f"launch/{unguessable(16)}")
            try:
                job = begun(session, job) if detach else followed(session, job, quiet=as_json)
            except KeyboardInterrupt:
                typer.echo(f"\n{job['id']} goes on; `argosy logs {job['id']} --follow` shows it again", err=True)
                raise typer.Exit(INTERRUPTED) from None
        if as_json:
            print_json({"job": job, "notes": as_rows(asked.notes)})
        elif detach:
            typer.echo(job["id"])
        else:
            typer.echo(outcome(job), err=True)
    raise typer.Exit(EXIT_OK if detach or job["status"] == "SUCCEEDED" else EXIT_NO)


def submit(session: Session, asked: Request, project: str | None, key: str) -> dict[str, Any]:
    """The job that was kept; problems carry the file's own name."""
    try:
        answer = session.call(
            "POST", "/v1/jobs", query={"project": project}, body=asked.body, headers={"Idempotency-Key": key}
        )
    except BadInput as error:
        raise BadInput(asked.placed(error.problems)) from None
    made: dict[str, Any] = answer["jobs"][0]
    return made


def begun(session: Session, job: dict[str, Any]) -> dict[str, Any]:
    """The job; where this command is the server itself, once it has begun (it then goes on alone) or must wait."""
    if session.mine:
        for event in session.follow("/v1/events/stream", query={"job": job["id"]}):
            status = (event.data["body"].get("job") or {}).get("status")
            if status not in (None, "PENDING", "STARTING") or event.kind == "Waiting":
                break
    return job


def followed(session: Session, job: dict[str, Any], *, quiet: bool = False, rank: int = 0) -> dict[str, Any]:
    """The job at its end; until then its output goes to standard output."""
    path = f"/v1/jobs/{job['id']}/logs"
    for event in session.follow(path, query={"rank": rank, "follow": "true"}, until="end"):
        if event.kind == "output" and not quiet:
            typer.echo(event.data["text"], nl=False)
        elif event.kind == "waiting" and not quiet:
            typer.echo(waiting(job["id"], event.data), err=True)
        elif event.kind == "end":
            job = event.data
    return job

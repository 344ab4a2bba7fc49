"""Explain job: why a job of a server is where it is, or why it waits, in words."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NoReturn

import typer

from argosy.cli.connect import connected
from argosy.cli.problems import EXIT_NO, EXIT_OK, print_json, reported
from argosy.cli.words import outcome

WAITING = ("PENDING", "RECOVERING")
MOST_EVENTS = 12


def explain_job(job: str, server: str | None, data: Path | None, as_json: bool) -> NoReturn:
    """Print it; the exit code is 1 when the job waits, failed or was cancelled."""
    with reported(as_json), connected(server, data) as session:
        found = session.call("GET", f"/v1/jobs/{job}/explain")
    if as_json:
        print_json(found)
    else:
        typer.echo("\n".join(lines(found)))
    raise typer.Exit(EXIT_NO if found["job"]["status"] in (*WAITING, "FAILED", "CANCELLED") else EXIT_OK)


def lines(found: dict[str, Any]) -> list[str]:
    """The explanation, a fact to a line."""
    job = found["job"]
    said = [outcome(job)]
    for run in found["runs"]:
        nodes = f" on {', '.join(run['nodes'])}" if run["nodes"] else ""
        price = "" if run["usd_per_hour"] is None else f", {run['usd_per_hour']:.2f} USD an hour"
        said.append(f"run {run['id']}: {run['status'].lower()} ({run['reason']}) in {run['pool']}{nodes}{price}")
        if run["message"]:
            said.append(f"  {run['message']}")
    for row in found["placed"]:
        said.append(f"placed in {row['pool']}: gains {row['gain_usd_per_hour']:,.4g} USD an hour")
        if row.get("runner_up"):
            said.append(f"  next best was {row['runner_up']}: {row.get('why_not') or 'worth less'}")
    for row in found["unplaced"]:
        said += [f"waits: {e['limit']}; {e['remedy']}" for e in row["excuses"]]
    if job["not_before"]:
        said.append(f"not tried again before {job['not_before']}")
    said.append("events:")
    for event in found["events"][-MOST_EVENTS:]:
        fields = event["body"].get("job") or {}
        words = " ".join(str(fields[key]) for key in ("status", "reason") if key in fields)
        said.append(f"  {event['at']}  {event['kind']}  {words}".rstrip())
    return said

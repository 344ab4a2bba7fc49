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
        said += [f"  {line}" for line in _resumed(run)]
    for copy in found["copies"]:
        said.append(_copied(copy))
    for row in found["placed"]:
        said.append(f"placed in {row['pool']}: gains {row['gain_usd_per_hour']:,.4g} USD an hour")
        if row.get("runner_up"):
            said.append(f"  next best was {row['runner_up']}: {row.get('why_not') or 'worth less'}")
    for row in found["unplaced"]:
        said += [f"waits: {e['limit']}; {e['remedy']}" for e in row["excuses"]]
    if found["price_note"]:
        prices = (f"{row['pool']} {row['usd_per_accelerator_hour']:,.4g}" for row in found["prices"])
        said.append(f"prices in USD an accelerator-hour: {', '.join(prices)}; {found['price_note']}")
    if job["not_before"]:
        said.append(f"not tried again before {job['not_before']}")
    said.append("events:")
    for event in found["events"][-MOST_EVENTS:]:
        fields = event["body"].get("job") or {}
        words = " ".join(str(fields[key]) for key in ("status", "reason") if key in fields)
        said.append(f"  {event['at']}  {event['kind']}  {words}".rstrip())
    return said


def _resumed(run: dict[str, Any]) -> list[str]:
    """What a run went on from, and what bringing it there took."""
    said = []
    if run["resume_region"] is not None:
        size = "size unknown" if run["resume_gib"] is None else f"{run['resume_gib']:.4g} GiB"
        cost = "nothing was charged for carrying it"
        if run["resume_usd"] is not None and run["resume_usd"] + run["resume_hours"] > 0:
            cost = f"carried for {run['resume_usd']:,.4g} USD in {run['resume_hours']:.3g} h by the link"
        name = run["resume_from"] or "a checkpoint that it finds by itself"
        said.append(f"goes on from {name} in {run['resume_region']} ({size}); {cost}")
    if run["moving_to"] is not None:
        said.append(f"asked to leave for {run['moving_to']}")
    return said


def _copied(copy: dict[str, Any]) -> str:
    """How far a copy of data is, and what it cost."""
    way = f"data {copy['dataset']}, {copy['from_region']} to {copy['to_region']}, {copy['gib']:g} GiB"
    if copy["status"] == "DONE":
        return f"{way}: there since {copy['finished_at']}, charged {copy['charged_usd']:,.2f} USD once"
    failed = f", failed {copy['failures']} times" if copy["failures"] else ""
    why = f": {copy['message']}" if copy["message"] else ""
    return f"{way}: {copy['status'].lower()}, attempt {copy['attempts']}{failed}{why}"

"""Words: jobs and times on the terminal, in columns that need no library."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import typer

MOST_CELL = 48
JOB_KEYS = ("id", "name", "status", "reason", "run", "vendor", "region")
ENDS = ("SUCCEEDED", "FAILED", "CANCELLED")


def print_list(rows: Sequence[Any]) -> None:
    """Rows as one JSON list."""
    typer.echo(json.dumps(list(rows), indent=2))


def columns(heads: Sequence[str], rows: Sequence[Sequence[Any]]) -> list[str]:
    """Lines with cells below each other; the last column takes what it needs."""
    texts = [[_cell(cell) for cell in row] for row in rows]
    last = len(heads) - 1
    texts = [[cell if i == last else _clip(cell) for i, cell in enumerate(row)] for row in texts]
    widths = [max([len(head), *(len(row[i]) for row in texts)]) for i, head in enumerate(heads)]
    lines = [heads, *texts]
    return ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]


def ago(instant: str | None) -> str:
    """How long ago an instant was, in one unit."""
    if instant is None:
        return "-"
    seconds = max(0.0, (datetime.now(UTC) - datetime.fromisoformat(instant)).total_seconds())
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "m")):
        if seconds >= size:
            return f"{int(seconds // size)}{unit}"
    return f"{int(seconds)}s"


def outcome(job: dict[str, Any]) -> str:
    """How a job ended, in one line."""
    code = "" if job["exit_code"] is None else f", exit code {job['exit_code']}"
    text = f": {job['message']}" if job["message"] and job["status"] != "SUCCEEDED" else ""
    return f"{job['id']} {job['status'].lower()} ({job['reason']}{code}){text}"


def waiting(job: str, why: dict[str, Any]) -> str:
    """Why a job does not run now, in one line."""
    return f"{job} {why['status'].lower()} ({why['reason']}): {why['message']}"


def _cell(value: Any) -> str:
    text = "-" if value in (None, "") else str(value)
    return "".join(c if c.isprintable() else " " for c in text)


def _clip(text: str) -> str:
    return text if len(text) <= MOST_CELL else text[: MOST_CELL - 3] + "..."

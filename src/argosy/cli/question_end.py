"""How `price` and `compare` end: a page, a document or tables, and the exit code."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import typer

from argosy.cli.init import write_new
from argosy.cli.problems import EXIT_NO, EXIT_OK, print_json


def write_page(report: Path | None, html: Callable[[], str]) -> None:
    """Write the page where one was asked for; outside failures are the caller's to report."""
    if report is not None:
        write_new(report, html(), overwrite=True)


def finish(
    report: Path | None, *, document: dict[str, Any] | None, tables: Callable[[], None], answered: bool
) -> NoReturn:
    """Print the document, or tables where there is none, and end with the exit code of an answer or of a no."""
    if document is not None:
        print_json(document)
    else:
        tables()
        if report is not None:
            typer.echo(f"report: {report}")
    raise typer.Exit(EXIT_OK if answered else EXIT_NO)

"""`argosy schema`: the JSON Schema of a portfolio or of a task file, for editors."""

from __future__ import annotations

from typing import Annotated

import typer

from argosy.files import tasks
from argosy.files.schema import schema_text


def schema(
    task: Annotated[bool, typer.Option("--task", help="Of a task file instead of a portfolio.")] = False,
) -> None:
    """Print the JSON Schema of a portfolio file, or of a task file."""
    typer.echo(tasks.schema_text() if task else schema_text(), nl=False)

"""`argosy schema`: the JSON Schema of a portfolio, for editors."""

from __future__ import annotations

import typer

from argosy.files.schema import schema_text


def schema() -> None:
    """Print the JSON Schema of a portfolio file."""
    typer.echo(schema_text(), nl=False)

"""The `argosy` command: every verb is one module of this folder; here they only meet."""

from __future__ import annotations

from typing import Annotated

import typer

from argosy import __version__
from argosy.cli.check import check
from argosy.cli.compare import compare
from argosy.cli.explain import explain
from argosy.cli.init import init
from argosy.cli.offers import offers
from argosy.cli.place import place
from argosy.cli.plan import plan
from argosy.cli.price import price
from argosy.cli.schema import schema
from argosy.cli.simulate import simulate

app = typer.Typer(
    name="argosy",
    help="Runs one organisation's AI compute across many clouds, from contract to token.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
for command in (plan, price, compare, place, explain, simulate, offers, check, init, schema):
    app.command()(command)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"argosy {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")] = (
        False
    ),
) -> None:
    """Runs one organisation's AI compute across many clouds, from contract to token."""


def main() -> None:
    """Entry point of the command line."""
    app()

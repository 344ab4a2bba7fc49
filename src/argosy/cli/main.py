"""The `argosy` command: every verb is one module of this folder, imported when the verb is called."""

from __future__ import annotations

import importlib
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from argosy import __version__

# Verb to its module (of this folder), in the order of the help. Some modules take a second to import; `ps` need not
# wait for the solver of `plan`.
VERBS = {
    "plan": "plan", "price": "price", "compare": "compare", "place": "place", "simulate": "simulate",
    "offers": "offers", "check": "check", "init": "init", "schema": "schema",
    "up": "up", "launch": "launch", "apply": "apply", "ps": "ps", "queue": "ps", "logs": "logs", "cancel": "cancel",
    "explain": "explain", "cordon": "cordon", "drain": "cordon", "keys": "keys",
}  # fmt: skip
_SETTINGS: dict[str, Any] = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


class Verbs(TyperGroup):
    """The verbs, each made from its function when it is asked for."""

    def list_commands(self, ctx: Any) -> list[str]:
        """All verbs."""
        return list(VERBS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """One verb; None when there is none by that name."""
        if cmd_name not in VERBS:
            return None
        if cmd_name not in self.commands:
            self.commands[cmd_name] = _command(cmd_name)
        return self.commands[cmd_name]


def _command(verb: str) -> Any:
    found = getattr(importlib.import_module(f"argosy.cli.{VERBS[verb]}"), verb)
    if isinstance(found, typer.Typer):
        return typer.main.get_command(found)
    single = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    single.command(name=verb, context_settings=_SETTINGS)(found)
    return typer.main.get_command(single)


app = typer.Typer(
    name="argosy",
    cls=Verbs,
    help="Runs one organisation's AI compute across many clouds, from contract to token.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings=_SETTINGS,
)


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

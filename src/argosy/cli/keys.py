"""`argosy keys`: who may do what through the interface."""

from __future__ import annotations

from typing import Annotated

import typer

from argosy.cli.connect import Data, Server, connected
from argosy.cli.problems import print_json, reported
from argosy.cli.words import columns, print_list
from argosy.errors import BadInput, Problem

ROLES = ("viewer", "submitter", "operator", "admin")
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]

keys = typer.Typer(
    name="keys",
    help="Make, list and revoke keys of the interface.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


@keys.command()
def make(
    project: Annotated[str, typer.Option(help="Project that the key belongs to.")] = "main",
    role: Annotated[str, typer.Option(help=f"One of {', '.join(ROLES)}.")] = "submitter",
    server: Server = None,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Make a key and print its secret, this once."""
    with reported(as_json, next_step="correct it and try again"):
        if role not in ROLES:
            raise BadInput([Problem("--role", 0, 0, "option.unknown", "", f"{role!r} is none of {', '.join(ROLES)}")])
        with connected(server, data, creates=True) as session:
            made = session.call("POST", "/v1/keys", body={"project": project, "role": role})
    if as_json:
        print_json(made)
    else:
        typer.echo(made["secret"])


@keys.command(name="list")
def list_keys(server: Server = None, data: Data = None, as_json: Json = False) -> None:
    """List keys without their secrets."""
    with reported(as_json), connected(server, data) as session:
        rows = session.call("GET", "/v1/keys")["keys"]
    if as_json:
        print_list(rows)
    else:
        cells = [(r["id"], r["project"], r["role"], r["revoked_at"]) for r in rows]
        typer.echo("\n".join(columns(("ID", "PROJECT", "ROLE", "REVOKED"), cells)))


@keys.command()
def revoke(
    key: Annotated[str, typer.Argument(help="Id of the key.")],
    server: Server = None,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """End a key at once."""
    with reported(as_json), connected(server, data) as session:
        session.call("DELETE", f"/v1/keys/{key}")
    if as_json:
        print_json({"id": key, "revoked": True})
    else:
        typer.echo(f"{key} is revoked")

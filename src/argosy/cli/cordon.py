"""`argosy cordon` and `argosy drain`: keep work away from a vendor, region, pool or node."""

from __future__ import annotations

from typing import Annotated

import typer

from argosy.cli.connect import Data, Server, Session, connected
from argosy.cli.problems import print_json, reported

Target = Annotated[str, typer.Argument(help="Vendor, region, pool, or node as POOL/NODE.")]
Json = Annotated[bool, typer.Option("--json", help="Print the target as JSON.")]


def cordon(
    target: Target,
    off: Annotated[bool, typer.Option("--off", help="Let new work start there again.")] = False,
    server: Server = None,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Let nothing new start there; what runs there stays.

    Exit code 0: done. 1: the key does not allow it. 2: bad input. 3: outside failure.
    """
    with reported(as_json), connected(server, data, creates=True) as session:
        if off:
            session.call("DELETE", "/v1/fleet/cordons", query={"target": target})
        else:
            _set(session, target, drain=False, quiet=as_json)
    _tell(target, "open" if off else "cordoned", as_json)


def drain(target: Target, server: Server = None, data: Data = None, as_json: Json = False) -> None:
    """Let nothing new start there, and move away what runs there. `argosy cordon TARGET --off` opens it again.

    Exit code 0: done. 1: the key does not allow it. 2: bad input. 3: outside failure.
    """
    with reported(as_json), connected(server, data, creates=True) as session:
        _set(session, target, drain=True, quiet=as_json)
    _tell(target, "drained", as_json)


def _set(session: Session, target: str, *, drain: bool, quiet: bool) -> None:
    """Set a cordon. One on a name that nothing has now is kept all the same: a node may be away, or yet to come."""
    session.call("POST", "/v1/fleet/cordons", body={"target": target, "drain": drain})
    pools = [row["pool"] for row in session.call("GET", "/v1/fleet")["pools"]]
    nodes = {f"{pool['id']}/{node['id']}" for pool in pools for node in pool["nodes"]}
    names = {pool[key] for pool in pools for key in ("id", "vendor", "region")}
    if not quiet and target not in nodes | names:
        typer.echo(f"note: nothing here has the name {target} now; there is {', '.join(sorted(names))}", err=True)


def _tell(target: str, state: str, as_json: bool) -> None:
    if as_json:
        print_json({"target": target, "state": state})
    else:
        typer.echo(f"{target} is {state}")

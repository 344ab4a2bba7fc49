"""`argosy up`: the server: interface and control loop over one data folder, until it is told to end."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated

import typer

from argosy.cli.client import Client
from argosy.cli.data_folder import DataFolder
from argosy.cli.host import Host
from argosy.cli.problems import print_json, reported
from argosy.cli.server_file import read_server_file
from argosy.errors import OutsideError
from argosy.store import whole_address

PATIENCE_SECONDS = 30.0


def up(
    data: Annotated[Path | None, typer.Option(help="Data folder; absent means $ARGOSY_DATA or ./.argosy.")] = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 takes any that is free.")] = 7077,
    host: Annotated[str, typer.Option(help="Address; beyond this machine only once keys were made.")] = "127.0.0.1",
    store: Annotated[
        str | None, typer.Option(help="postgresql://... for several replicas; absent means SQLite in the folder.")
    ] = None,
    config: Annotated[Path | None, typer.Option(help="Engines, patience and portfolio, as YAML.")] = None,
    traces: Annotated[
        str | None, typer.Option(help="Endpoint for OpenTelemetry traces over HTTP; needs the extra otel.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the address as JSON.")] = False,
) -> None:
    """Serve a data folder: start what is submitted and keep it alive, until SIGTERM or Ctrl-C. Jobs outlive the server.

    Exit code 0: told to end. 2: bad input. 3: the port or the folder is taken, or the store does not answer.
    """
    with reported(as_json, next_step="correct it and start again"):
        folder = DataFolder.chosen(data)
        store = None if store is None else whole_address(store)
        file = None if config is None else read_server_file(config)
        folder.make()
        with _taken(folder):
            server = Host(folder, address=(host, port), store=store, file=file, traces=traces, lasting=True)
            folder.choose(store, config)  # what could not be opened is not kept for the commands that come later
            _serve(server, as_json)


@contextmanager
def _taken(folder: DataFolder) -> Iterator[None]:
    """Hold the folder. A command that serves itself is asked for it; another server is not."""
    end = time.monotonic() + PATIENCE_SECONDS
    with ExitStack() as held:
        try:
            while not held.enter_context(folder.lock()):
                held.close()
                if time.monotonic() > end or _stays(folder):
                    address = folder.server() or "unknown"
                    raise OutsideError(f"another process serves {folder.path}; its address is {address}")
                folder.want()
                time.sleep(0.05)
        finally:
            folder.unwant()
        yield


def _stays(folder: DataFolder) -> bool:
    """Whether a server that stays answers there. What a killed one left behind does not."""
    address, key = folder.server(), folder.key()
    return folder.lasting() and address is not None and key is not None and Client(address, key).alive()


def _serve(server: Host, as_json: bool) -> None:
    told = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: told.set())
    try:
        server.start()
        if as_json:
            print_json({"address": server.address, "data": str(server.folder.path)})
        else:
            typer.echo(f"argosy listens on {server.address}; data in {server.folder.path}")
        # A wait without end would not see signals on every platform.
        while not told.wait(1.0):
            if server.service.health.broken:
                raise OutsideError(f"the control loop stopped: {server.service.health.broken}")
    finally:
        server.close()

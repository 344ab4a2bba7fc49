"""Connect: find the server of a data folder, or be one for as long as a command needs it.

A command with `--server` talks to that address. Without it the folder says where its server listens; where none does,
the command serves the folder itself, on loopback, control loop and all, and talks to itself: one way through the
interface for everything, and another command that comes meanwhile finds it.
"""

from __future__ import annotations

import importlib
import os
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from argosy.cli.client import Client, Sent
from argosy.cli.data_folder import DataFolder
from argosy.errors import Conflict, NotFound, OutsideError, Unauthenticated

KEY = "ARGOSY_KEY"
HOST = "argosy.cli.host"
PATIENCE_SECONDS = 30.0

Server = Annotated[
    str | None, typer.Option(help="Address of a server; its key is in $ARGOSY_KEY. Absent: that of the data folder.")
]
Data = Annotated[Path | None, typer.Option(help="Data folder; absent means $ARGOSY_DATA or ./.argosy.")]


class Session:
    """A server that can be asked, and found again when it is gone."""

    def __init__(self, server: str | None, data: Path | None, *, creates: bool) -> None:
        self.server, self.folder, self.creates = server, DataFolder.chosen(data), creates
        self.held = ExitStack()
        self.mine = False
        self.client = self._find()

    @property
    def local(self) -> bool:
        """Whether the server sees the files of this machine."""
        return self.server is None

    def call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        """The answer of one request; asked again where asking twice is asking once and the server went away."""
        try:
            return self.client.call(method, path, query=query, body=body, headers=headers)
        except OutsideError:
            again = method in ("GET", "DELETE") or "Idempotency-Key" in (headers or {})
            if not again or not self.local or self.mine or self.client.alive():
                raise
            self.client = self._find()
        return self.client.call(method, path, query=query, body=body, headers=headers)

    def follow(self, path: str, *, query: Mapping[str, Any] | None = None, until: str | None = None) -> Iterator[Sent]:
        """Events of a stream; with `until` it is taken up again, wherever its server now is, until that event came."""
        last: str | None = None
        lost_since: float | None = None
        while True:
            try:
                for event in self.client.events(path, query=query, last=last):
                    last, lost_since = event.id, None
                    yield event
                    if event.kind == until:
                        return
                if until is None:
                    return
            except OutsideError:
                now = time.monotonic()
                lost_since = lost_since or now
                if until is None or now - lost_since > PATIENCE_SECONDS:
                    raise
                time.sleep(0.2)
                if self.local and not self.mine:
                    self.client = self._find()

    def close(self) -> None:
        """End the server, if it is ours."""
        self.mine = False
        self.held.close()

    def _find(self) -> Client:
        if self.server is not None:
            key = os.environ.get(KEY)
            if not key:
                raise Unauthenticated(f"put the key for {self.server} into ${KEY}")
            return Client(self.server, key)
        if not self.creates and not self.folder.path.is_dir():
            raise NotFound(f"there is no data folder {self.folder.path}; `argosy launch` or `argosy up` makes one")
        self.folder.make()
        end = time.monotonic() + PATIENCE_SECONDS
        while True:
            if (client := self._announced()) is not None:
                return client
            if not self.folder.wanted() and self.held.enter_context(self.folder.lock()):
                return self._serve()
            self.held.close()
            if time.monotonic() > end:
                raise Conflict(f"another process holds {self.folder.path}, and its server does not answer")
            time.sleep(0.05)

    def _announced(self) -> Client | None:
        address, key = self.folder.server(), self.folder.key()
        if address is None or key is None:
            return None
        client = Client(address, key)
        return client if client.alive() else None

    def _serve(self) -> Client:
        # The libraries of a server take most of a second to import; only now is it known that they are needed.
        module = importlib.import_module(HOST)
        host = module.resumed(self.folder)
        self.held.callback(host.close)
        host.start()
        # What happened while nobody looked is seen before anything is answered.
        host.service.wait_for_look(0, PATIENCE_SECONDS)
        self.mine = True
        threading.Thread(target=self._give_up_when_wanted, daemon=True).start()
        return Client(host.address, host.key)

    def _give_up_when_wanted(self) -> None:
        """Leave the folder to a server that stays; its own requests then find that one."""
        while self.mine:
            if self.folder.wanted():
                self.mine = False
                self.held.close()
                return
            time.sleep(0.2)


@contextmanager
def connected(server: str | None, data: Path | None, *, creates: bool = False) -> Iterator[Session]:
    """A session; `creates` makes a data folder where there is none."""
    session = Session(server, data, creates=creates)
    try:
        yield session
    finally:
        session.close()

"""Serve: an application on an address, in a thread of its own.

Loopback needs nothing; any other address needs keys that somebody made. The embedded server listens beside whoever
already does (SO_REUSEPORT), so whether the port is free is asked before.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import socket
import threading
from typing import Any

from granian.constants import Interfaces
from granian.server.embed import Server

from argosy.errors import BadInput, OutsideError, Problem

BEGIN_SECONDS = 30.0
END_SECONDS = 5.0
_log = logging.getLogger("argosy.api")


def require_keys(host: str, others: int) -> None:
    """BadInput for an address beyond loopback while there is no key but the one of this folder."""
    if not is_loopback(host) and not others:
        message = f"{host} can be reached by others; make keys first with `argosy keys make`, or listen on 127.0.0.1"
        raise BadInput([Problem("--host", 0, 0, "option.host", "", message)])


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach an address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def free_port(host: str, port: int) -> int:
    """The port, or any free one for 0. OutsideError when somebody listens there."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise OutsideError(f"cannot listen on {host}:{port}: {error.strerror or error}") from error
        return int(probe.getsockname()[1])


class HttpServer:
    """Serves an application until it is stopped."""

    def __init__(self, app: Any, host: str, port: int) -> None:
        self.app, self.host, self.port = app, host, free_port(host, port)
        self.loop: asyncio.AbstractEventLoop | None = None
        self.server: Any = None
        self.failure: BaseException | None = None
        self.thread = threading.Thread(target=self._run, name="argosy-http", daemon=True)

    @property
    def address(self) -> str:
        """Where it listens."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    def start(self) -> None:
        """Listen; returns once connections are taken. OutsideError when that does not happen."""
        self.thread.start()
        pause, tries = threading.Event(), int(BEGIN_SECONDS / 0.01)
        for _ in range(tries):
            if self.failure is not None:
                break
            try:
                socket.create_connection((self.host, self.port), timeout=1).close()
                return
            except OSError:
                pause.wait(0.01)
        raise OutsideError(
            f"the server did not begin to listen on {self.host}:{self.port}: {self.failure or 'no answer'}"
        )

    def stop(self) -> None:
        """Take no more connections and end."""
        if self.loop is not None and self.server is not None and self.thread.is_alive():
            self.loop.call_soon_threadsafe(self.server.stop)
            self.thread.join(END_SECONDS)

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except Exception as error:
            self.failure = error
            _log.exception("the server ended")

    async def _serve(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.server = Server(
            self.app, address=self.host, port=self.port, interface=Interfaces.ASGINL, websockets=False,
            log_enabled=False, backlog=1024,
        )  # fmt: skip
        await self.server.serve()

"""Guard: what stands before every route: the size of bodies, counts and durations, and a line of log.

Plain ASGI, because a stream must pass through unbuffered.
"""

from __future__ import annotations

import logging
from typing import Any
from urllib.parse import unquote_to_bytes

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from argosy.api.problem import answer, of_error
from argosy.api.services import Services
from argosy.errors import TooLarge

log = logging.getLogger("argosy.api")
_ONCE = (b"authorization", b"content-length", b"content-type", b"idempotency-key", b"last-event-id")
_DRAINED_BODIES = 8


class Guard:
    """Refuses bodies that are too large, before they are read to the end, and counts every request."""

    def __init__(self, app: ASGIApp, services: Services) -> None:
        self.app, self.services = app, services

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request on."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        begin = self.services.clock.monotonic_seconds()
        seen: dict[str, Any] = {"status": 500, "stream": False}

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                seen["status"] = message["status"]
                seen["stream"] = any(value.startswith(b"text/event-stream") for _, value in message["headers"])
            await send(message)

        most = self.services.max_body_bytes
        why = _garbled(scope)
        if why is not None:
            await answer(400, "request.bad", why)(scope, receive, sending)
            self._note(scope, seen, self.services.clock.monotonic_seconds() - begin)
            return
        try:
            length = _length(scope)
            if length is not None and length > most:
                await _refuse(scope, receive, sending, most)
            else:
                with self.services.traces.span(scope["method"], _header(scope, b"traceparent")) as span:
                    await self.app(scope, _Counted(receive, most), sending)
                    if span is not None:  # named by the route, of which there are few
                        route = getattr(scope.get("route"), "path", "none")
                        span.update_name(f"{scope['method']} {route}")
                        span.set_attribute("http.route", route)
                        span.set_attribute("http.response.status_code", seen["status"])
        except TooLarge:
            await _refuse(scope, receive, sending, most)
        finally:
            self._note(scope, seen, self.services.clock.monotonic_seconds() - begin)

    def _note(self, scope: Scope, seen: dict[str, Any], seconds: float) -> None:
        route = getattr(scope.get("route"), "path", "none")
        labels: dict[str, str] = {"method": scope["method"] if route != "none" else "none", "route": route}
        self.services.requests.count("argosy_requests_total", 1, status=str(seen["status"]), **labels)
        if not seen["stream"]:
            self.services.requests.took("argosy_request_seconds", seconds, **labels)
        log.info(
            "request",
            extra={"method": scope["method"], "route": route, "status": seen["status"], "seconds": round(seconds, 6)},
        )


class _Counted:
    """The body as it comes, up to so many bytes."""

    def __init__(self, receive: Receive, most: int) -> None:
        self.receive, self.left, self.most = receive, most, most

    async def __call__(self) -> Message:
        message = await self.receive()
        if message["type"] == "http.request":
            self.left -= len(message.get("body", b""))
            if self.left < 0:
                raise _too_large(self.most)
        return message


def _garbled(scope: Scope) -> str | None:
    """Why a request cannot be read without guessing what was meant; None when it can."""
    try:
        path, query = scope.get("raw_path") or scope["path"].encode(), unquote_to_bytes(scope["query_string"])
        whole = (unquote_to_bytes(path) + query).decode()
    except UnicodeError:
        return "the address is not UTF-8"
    if "\0" in whole:
        return "the address has a zero byte"
    names = [name for name, _ in scope["headers"]]
    for name in _ONCE:
        if names.count(name) > 1:
            return f"the header {name.decode()} is there more than once"
    if b"content-length" in names and b"transfer-encoding" in names:
        return "a body has a length or comes in chunks, not both"
    return None


async def _refuse(scope: Scope, receive: Receive, send: Send, most: int) -> None:
    """Say that a body is too large, once some more of it was taken: who still sends may not listen."""
    left = _DRAINED_BODIES * most
    while left > 0:
        message = await receive()
        if message["type"] != "http.request" or not message.get("more_body", False):
            break
        left -= len(message.get("body", b""))
    await of_error(_too_large(most))(scope, receive, send)


def _too_large(most: int) -> TooLarge:
    return TooLarge(f"the body has more than {most:,} bytes; submit fewer jobs at once, and mount data instead")


def _header(scope: Scope, wanted: bytes) -> str | None:
    return next((value.decode("latin-1") for name, value in scope["headers"] if name == wanted), None)


def _length(scope: Scope) -> int | None:
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit():
            return int(value)
    return None

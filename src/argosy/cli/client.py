"""Client: requests to a server with the standard library alone, and its failures as our own errors again."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from argosy.errors import (
    ArgosyError,
    BadInput,
    Conflict,
    Denied,
    Impossible,
    NotFound,
    OutsideError,
    Problem,
    Reused,
    TooLarge,
    Unauthenticated,
)

CONNECT_SECONDS = 10.0
ANSWER_SECONDS = 60.0
_KINDS: dict[str, type[ArgosyError]] = {
    kind.code: kind for kind in (Conflict, Denied, Impossible, NotFound, Reused, TooLarge, Unauthenticated)
}


@dataclass(frozen=True, slots=True)
class Sent:
    """One server-sent event."""

    id: str
    kind: str
    data: Any


@dataclass(frozen=True, slots=True)
class Client:
    """Talks to one server with one key."""

    address: str
    key: str

    def alive(self) -> bool:
        """Whether a server answers there."""
        try:
            connection, answer = self._open("GET", "/healthz", None, {}, 2.0)
        except OutsideError:
            return False
        connection.close()
        return answer.status == 200

    def call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        """The answer of one request; what it refuses comes as BadInput, NotFound, Denied and so on."""
        data = None if body is None else json.dumps(body).encode()
        connection, answer = self._open(method, _with(path, query), data, dict(headers or {}), ANSWER_SECONDS)
        try:
            text = answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise OutsideError(f"the server at {self.address} broke off: {error}") from error
        finally:
            connection.close()
        if answer.status >= 400:
            raise refusal(answer.status, text)
        return json.loads(text) if answer.headers.get_content_type() == "application/json" else text.decode()

    def events(self, path: str, *, query: Mapping[str, Any] | None = None, last: str | None = None) -> Iterator[Sent]:
        """Events of a stream after the last one known, until the server ends it. OutsideError when it breaks off."""
        headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": last} if last else {})
        connection, answer = self._open("GET", _with(path, query), None, headers, ANSWER_SECONDS)
        try:
            if answer.status >= 400:
                raise refusal(answer.status, answer.read())
            fields: dict[str, str] = {}
            while line := answer.readline():
                word, _, value = line.decode().rstrip("\n").partition(": ")
                if word:
                    fields[word] = value
                elif "data" in fields:
                    yield Sent(fields.get("id", ""), fields.get("event", "message"), json.loads(fields["data"]))
                    fields = {}
        except (OSError, http.client.HTTPException) as error:
            raise OutsideError(f"the server at {self.address} broke off: {error}") from error
        finally:
            connection.close()

    def _open(
        self, method: str, target: str, body: bytes | None, headers: dict[str, str], seconds: float
    ) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
        parts = urlsplit(self.address)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            message = f"{self.address!r} is no address of a server; it begins with http:// or https://"
            raise BadInput([Problem("--server", 0, 0, "option.server", "", message)])
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        connection = kind(parts.hostname, parts.port, timeout=CONNECT_SECONDS)
        sent = {"Authorization": f"Bearer {self.key}", **headers}
        if body is not None:
            sent["Content-Type"] = "application/json"
        try:
            connection.connect()
            connection.sock.settimeout(seconds)
            connection.request(method, parts.path.rstrip("/") + target, body=body, headers=sent)
            return connection, connection.getresponse()
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise OutsideError(f"no server answers at {self.address}: {error}") from error


def refusal(status: int, text: bytes) -> ArgosyError:
    """The error that a problem of the server stands for."""
    try:
        body = json.loads(text)
    except ValueError:
        body = {}
    code, detail = str(body.get("code", "")), str(body.get("detail", f"the server answered {status}"))
    if body.get("problems"):
        return BadInput([Problem(**problem) for problem in body["problems"]])
    if code in _KINDS:
        return _KINDS[code](detail)
    return OutsideError(detail)


def _with(path: str, query: Mapping[str, Any] | None) -> str:
    path = quote(path)  # ids come from people
    pairs = [(key, value) for key, value in (query or {}).items() if value is not None]
    return f"{path}?{urlencode(pairs, doseq=True)}" if pairs else path

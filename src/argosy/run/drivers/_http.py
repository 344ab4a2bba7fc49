"""HTTP to an engine's API, without a client library: a question, its status and its JSON.

No answer, and every answer that speaks of the server and not of the question, is OutsideError.
"""

from __future__ import annotations

import json
import ssl
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any

from argosy.errors import OutsideError

_ABOUT_THE_SERVER = {401, 403, 408, 429}


def ask(
    method: str,
    url: str,
    body: Any = None,
    *,
    headers: Mapping[str, str] | None = None,
    context: ssl.SSLContext | None = None,
    timeout_seconds: float,
    raw: bool = False,
) -> tuple[int, Any]:
    """Status and JSON of the answer (bytes with `raw`); statuses above 400 that concern the question are answers."""
    data = None if body is None else json.dumps(body).encode()
    asked = urllib.request.Request(url, data=data, method=method, headers=dict(headers or {}))
    if data is not None and not asked.has_header("Content-type"):
        asked.add_header("Content-Type", "application/json")
    try:
        with urllib.request.urlopen(asked, timeout=timeout_seconds, context=context) as answer:
            status, content = answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            status, content = error.code, error.read()
        if status >= 500 or status in _ABOUT_THE_SERVER:
            raise OutsideError(f"{method} {url}: {status} {_short(content)}") from error
    except (OSError, ValueError) as error:  # refused, timed out, cut off, not HTTP
        raise OutsideError(f"{method} {url}: {error}") from error
    if raw:
        return status, content
    try:
        return status, json.loads(content) if content else None
    except ValueError as error:
        if status >= 400:
            return status, {"message": _short(content)}
        raise OutsideError(f"{method} {url}: not JSON: {_short(content)}") from error


def _short(content: bytes) -> str:
    return content.decode("utf-8", "replace").strip()[-500:]

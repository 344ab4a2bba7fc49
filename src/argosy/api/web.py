"""Web: records as responses, and streams of server-sent events."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

from fastapi.responses import Response, StreamingResponse

from argosy.api.problem import ProblemDetails
from argosy.record import Record

JSON = "application/json"
EVENTS = "text/event-stream"
POLL_SECONDS = 0.1
KEEP_ALIVE_SECONDS = 15.0
# What any route may answer.
PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"model": ProblemDetails, "description": text}
    for status, text in (
        (400, "The request cannot be read."),
        (401, "No valid key."),
        (403, "The key does not allow this."),
        (404, "Nothing by that name that the key may see."),
        (413, "The body is larger than is read."),
        (422, "Something in the request is wrong; nothing was changed."),
        (503, "Something outside failed; try again."),
    )
}


def sent(record: Record, status: int = 200) -> Response:
    """A record as JSON. Records are sound, so they are not checked again."""
    return Response(record.model_dump_json(), status, media_type=JSON)


def stream(events: AsyncIterator[str]) -> Response:
    """Server-sent events; no proxy may keep or gather them."""
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(events, headers=headers, media_type=EVENTS)


def sse(kind: str, data: Any, number: str) -> str:
    """One event; `number` is what the reader sends as Last-Event-ID to go on after it."""
    text = data.model_dump_json() if isinstance(data, Record) else json.dumps(data)
    return f"id: {number}\nevent: {kind}\ndata: {text}\n\n"

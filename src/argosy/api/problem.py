"""Problem: how every failure is told (RFC 9457), with a stable code. The one place where errors become statuses."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Sequence
from dataclasses import asdict
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute, Match
from starlette.types import Scope

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
    StartRefused,
    TooLarge,
    Unauthenticated,
)
from argosy.record import Record

MEDIA_TYPE = "application/problem+json"
ID = r"^[a-z0-9][a-z0-9._/-]{0,99}$"
NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$"
FILE_NAME = r"^[^/\\\x00-\x1f]{1,100}$"
TARGET = r"^[^\x00-\x1f\x7f]{1,200}$"
_RIGHT = {
    ID: "right are small letters, digits and . _ / -, at most 100, a letter or digit first",
    NAME: "right are letters, digits and . _ -, at most 63, a letter or digit first",
    FILE_NAME: "right is the name of a file without its folder, at most 100 characters",
    TARGET: "right are at most 200 characters that can be printed",
}
_JSON_PLACE = re.compile(r" at line (\d+) column (\d+)$")
log = logging.getLogger("argosy.api")


STATUSES: tuple[tuple[type[ArgosyError], int], ...] = (
    (BadInput, 422),
    (Impossible, 422),
    (Unauthenticated, 401),
    (Denied, 403),
    (NotFound, 404),
    (Conflict, 409),
    (Reused, 409),
    (StartRefused, 409),
    (TooLarge, 413),
    (OutsideError, 503),
)


class Place(Record):
    """One thing wrong with one place of a request or of a file in it."""

    file: str
    """`body`, `query`, `path` or `header`, or the file in the request."""
    line: int
    """Line, from 1; 0: the whole."""
    column: int
    """Column, from 1; 0: the whole."""
    code: str
    """Stable code."""
    field: str
    """Field."""
    message: str
    """What is wrong, and what would be right."""


class ProblemDetails(Record):
    """Why a request was not carried out; nothing was changed."""

    type: str
    """`urn:argosy:problem:` and the code."""
    title: str
    """The status in words."""
    status: int
    """The status."""
    detail: str
    """What happened, and what would be right."""
    code: str
    """Stable code."""
    retryable: bool
    """Whether the same request may succeed later."""
    problems: tuple[Place, ...] = ()
    """Everything that is wrong with the request."""


def answer(
    status: int,
    code: str,
    detail: str,
    *,
    retryable: bool = False,
    problems: Sequence[Problem] = (),
    headers: dict[str, str] | None = None,
) -> Response:
    """One problem as a response."""
    body: dict[str, Any] = {
        "type": f"urn:argosy:problem:{code}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "code": code,
        "retryable": retryable,
        "problems": [asdict(problem) for problem in problems],
    }
    return Response(json.dumps(body), status, headers, MEDIA_TYPE)


def of_error(error: ArgosyError) -> Response:
    """The response to an expected failure."""
    status = next((status for kind, status in STATUSES if isinstance(error, kind)), 500)
    problems = error.problems if isinstance(error, BadInput) else ()
    detail = f"{len(problems)} problem{'s' if len(problems) != 1 else ''}" if problems else str(error)
    headers = {"WWW-Authenticate": 'Bearer realm="argosy"'} if status == 401 else {}
    if status == 503:
        headers["Retry-After"] = "1"
    return answer(status, error.code, detail, retryable=error.retryable, problems=problems, headers=headers)


def of_validation(error: ValidationError | RequestValidationError, file: str = "") -> BadInput:
    """What a record refuses, as problems of the request."""
    details = error.errors() if isinstance(error, RequestValidationError) else error.errors(include_url=False)
    problems = []
    for detail in details:
        path = [str(step) for step in detail["loc"]]
        where = file or (path.pop(0) if path else "body")
        message, at = str(detail["msg"]), (0, 0)
        code = {"missing": "field.missing", "extra_forbidden": "field.unknown"}.get(detail["type"], "field.value")
        if detail["type"] == "json_invalid":
            code = "body.json"
            if place := _JSON_PLACE.search(message):
                message, at = message[: place.start()], (int(place[1]), int(place[2]))
        elif detail["type"] == "string_pattern_mismatch":
            message = _RIGHT.get(detail["ctx"]["pattern"], message)
        elif code == "field.unknown":
            message = "there is no such field here"
        problems.append(Problem(where, *at, code, ".".join(path), message))
    return BadInput(problems)


def _methods(routes: Sequence[BaseRoute], scope: Scope) -> set[str]:
    """What can be done with a path, whatever the method of the request is."""
    there = (route for route in routes if route.matches(scope)[0] is not Match.NONE)
    return {method for route in there for method in getattr(route, "methods", None) or ()}


def install(app: FastAPI, routes: Sequence[BaseRoute]) -> None:
    """Make every failure of the application, which has these routes, a problem."""

    @app.exception_handler(ArgosyError)
    async def expected(request: Request, error: ArgosyError) -> Response:
        return of_error(error)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> Response:
        return of_error(of_validation(error))

    @app.exception_handler(HTTPException)
    async def plain(request: Request, error: HTTPException) -> Response:
        if isinstance(error.__cause__, ArgosyError):  # raised while the body was read
            return of_error(error.__cause__)
        code = {404: "not_found", 405: "request.method"}.get(error.status_code, "request.bad")
        headers = dict(error.headers or {})
        if error.status_code == 405:  # each method is a route of its own, and the router names that of the first
            headers["Allow"] = ", ".join(sorted(_methods(routes, request.scope)))
        return answer(error.status_code, code, str(error.detail), headers=headers)

    @app.exception_handler(Exception)
    async def bug(request: Request, error: Exception) -> Response:
        log.error("a request failed by a bug", exc_info=error, extra={"path": request.url.path})
        return answer(500, "bug", "this is a mistake in Argosy; its log has the details")

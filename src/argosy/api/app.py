"""App: routes, errors and the OpenAPI document put together."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from argosy import __version__
from argosy.api import fleet, health, jobs, problem, streams
from argosy.api.guard import Guard
from argosy.api.problem import MEDIA_TYPE
from argosy.api.services import Services
from argosy.api.submit import MOST_AT_ONCE
from argosy.api.views import Submission

ABOUT = """\
Submit jobs, watch them and end them. Every request but the first three of the health section carries a key
(`Authorization: Bearer ...`). Every failure is a problem (RFC 9457) with a stable `code`, and has changed nothing.
"""
_REFERENCE = "#/components/schemas/{model}"


def make_app(services: Services) -> FastAPI:
    """The application over these services."""
    app = FastAPI(
        title="Argosy", version=__version__, description=ABOUT, docs_url=None, redoc_url=None,
        openapi_url="/openapi.json", redirect_slashes=False,
    )  # fmt: skip
    app.state.services = services
    for router, tag in ((jobs.router, "jobs"), (streams.router, "events"), (fleet.router, "fleet")):
        app.include_router(router, tags=[tag])
    app.include_router(health.router, tags=["health"])
    routers = (jobs.router, streams.router, fleet.router, health.router)
    problem.install(app, [route for router in routers for route in router.routes])
    app.add_middleware(Guard, services=services)
    app.openapi = lambda: document(app)  # type: ignore[method-assign]
    return app


def document(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document, with the body of a submission, which the route reads itself."""
    if app.openapi_schema is None:
        made = get_openapi(
            title=app.title, version=app.version, description=app.description, routes=app.routes
        )  # fmt: skip
        schema = Submission.model_json_schema(ref_template=_REFERENCE)
        parts = made["components"]["schemas"]
        parts |= {name: part for name, part in schema.pop("$defs").items() if name not in parts}
        parts["Submission"] = schema
        one = {"$ref": _REFERENCE.format(model="Submission")}
        many = {"type": "array", "items": one, "minItems": 1, "maxItems": MOST_AT_ONCE}
        post = made["paths"]["/v1/jobs"]["post"]
        post.pop("x-body")
        post["requestBody"] = {"required": True, "content": {"application/json": {"schema": {"oneOf": [one, many]}}}}
        for operations in made["paths"].values():
            for operation in operations.values():
                for status, response in operation["responses"].items():
                    _typed(int(status), response["content"])
        app.openapi_schema = made
    return app.openapi_schema


def _typed(status: int, content: dict[str, Any]) -> None:
    """The media type that is really sent: problems have their own, and a stream is no JSON."""
    if status >= 400 and "application/json" in content:
        content[MEDIA_TYPE] = content.pop("application/json")
    elif len(content) > 1:
        content.pop("application/json", None)

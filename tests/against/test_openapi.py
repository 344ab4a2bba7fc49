"""The OpenAPI document against the application: whatever is asked, there is no 5xx and no undocumented answer.

Statuses, media types, headers and the whole schema of each answer are held to the document, and nothing is taken that
the document forbids.

Requests are made from the document by Schemathesis, good and bad ones; the key is an admin's, so that every route is
reached. In the end the store's log still folds to its tables.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import CHECKS as REGISTRY
from schemathesis.checks import load_all_checks
from tests.support.api import Desk, desk
from tests.support.stores import HandClock

from argosy.api import Services, make_app

EXAMPLES = 25
load_all_checks()
CHECKS = REGISTRY.get_by_names([
    "not_a_server_error", "status_code_conformance", "content_type_conformance", "response_headers_conformance",
    "response_schema_conformance", "unsupported_method", "allow_header_conformance", "ignored_auth",
    "negative_data_rejection", "missing_required_header",
])  # fmt: skip
REJECTS_NOT = [check for check in CHECKS if check.__name__ != "negative_data_rejection"]
# Tests are made from the document when they are collected; the store comes later, from a fixture.
app = make_app(Services(None, HandClock()))  # type: ignore[arg-type]
schema = schemathesis.openapi.from_asgi("/openapi.json", app)


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    with desk(tmp_path_factory.mktemp("api"), follow_seconds=0.0) as made:
        job = made.submit()
        made.start(job)
        app.state.services = made.services
        yield made
        recount = made.store.recount()
        assert recount.problems == (), recount.problems


def nested(query: Mapping[str, Any] | None) -> bool:
    """Whether a list in a list is asked for: it is sent as its words, and those may be allowed."""
    return any(isinstance(part, list) for value in (query or {}).values() if isinstance(value, list) for part in value)


@pytest.mark.slow
@schema.parametrize()
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
def test_no_request_breaks_it(case: Any, office: Desk) -> None:
    role = "admin"
    answer = case.call(headers={"Authorization": f"Bearer {office.keys[role]}"})
    assert answer.status_code < 500, answer.text
    case.validate_response(answer, checks=REJECTS_NOT if nested(case.query) else CHECKS)
    documented = set(case.operation.definition.raw["responses"])
    if case.method.upper() != case.operation.method.upper():
        documented |= {"405"}  # a method that the document does not have
    assert str(answer.status_code) in documented, (answer.status_code, answer.text)
    if answer.status_code >= 400:
        assert answer.headers["content-type"][0] == "application/problem+json"


def test_the_document_is_stable(office: Desk) -> None:
    """Asking twice gives the same document, and every reference in it leads somewhere."""
    made = office.client.get("/openapi.json").json()
    assert made == office.client.get("/openapi.json").json()
    text = str(made)
    names = set(made["components"]["schemas"])
    used = {part.split("'")[0] for part in text.split("#/components/schemas/")[1:]}
    assert used <= names
    assert "Submission" in names
    assert "x-body" not in text


def test_the_folder_of_projects_is_untouched(office: Desk) -> None:
    base = Path(office.folder / "projects")
    assert sorted(str(p.relative_to(base)) for p in base.rglob("*")) == ["mine", "mine/code"]

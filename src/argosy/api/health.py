"""Health: whether the process lives, whether it does its work, and its measures for Prometheus."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import Response

from argosy import __version__
from argosy.api import measures
from argosy.api.access import Found, Viewer
from argosy.api.problem import ProblemDetails
from argosy.api.services import Services
from argosy.api.views import Health
from argosy.api.web import PROBLEMS, sent
from argosy.errors import OutsideError
from argosy.model.job import JOB_STATUSES, RUN_STATUSES

router = APIRouter()
ABOUT = {
    "argosy_requests_total": "Requests by route, method and status.",
    "argosy_request_seconds": "Time to answer, streams left out.",
}


@router.get("/healthz", responses={200: {"model": Health}})
def healthz() -> Response:
    """The process answers."""
    return sent(Health(status="ok", version=__version__))


@router.get("/readyz", responses={200: {"model": Health}, 503: {"model": ProblemDetails}})
def readyz(found: Found) -> Response:
    """The store can be read and the control loop does its work."""
    found.store.now()
    why = found.live.ready() if found.live is not None else None
    if why is not None:
        raise OutsideError(why)
    return sent(Health(status="ok", version=__version__))


@router.get(
    "/metrics",
    responses={
        200: {"content": {"text/plain": {"schema": {"type": "string"}}}},
        **{k: PROBLEMS[k] for k in (401, 403)},
    },
)
def get_metrics(found: Found, who: Viewer) -> Response:
    """Measures as text for Prometheus: state of the store, and counts of this process."""
    return Response(measures.text(lines(found)), media_type=measures.CONTENT_TYPE)


def lines(found: Services) -> list[str]:
    """All measures."""
    counts = found.store.counts()
    jobs = [((("status", status),), float(counts["jobs"].get(status, 0))) for status in JOB_STATUSES]
    runs = [((("status", status),), float(counts["runs"].get(status, 0))) for status in RUN_STATUSES]
    waiting = sum(counts["jobs"].get(status, 0) for status in ("PENDING", "RECOVERING"))
    made = measures.family("argosy_jobs", "gauge", "Jobs in the store by state.", jobs)
    made += measures.family("argosy_runs", "gauge", "Runs in the store by state.", runs)
    made += measures.family("argosy_queue_length", "gauge", "Jobs that wait for a place.", [((), float(waiting))])
    cordons = [((), float(len(found.store.cordons())))]
    made += measures.family("argosy_cordons", "gauge", "Targets where nothing new starts.", cordons)
    made += found.requests.lines(ABOUT)
    return made + (found.live.lines() if found.live is not None else [])

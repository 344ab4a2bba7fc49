"""Jobs: submit, list, look at, cancel and explain."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Header, Path, Query, Request
from fastapi.responses import Response
from starlette.concurrency import run_in_threadpool

from argosy.api.access import Caller, Found, Submitter, Viewer
from argosy.api.problem import ID, ProblemDetails
from argosy.api.services import Services
from argosy.api.submit import MAX_KEY, new_jobs, parsed, request_hash
from argosy.api.views import (
    Checked,
    CopyView,
    Explanation,
    JobDetail,
    JobPage,
    JobView,
    RunPage,
    RunView,
    Submitted,
)
from argosy.api.web import JSON, PROBLEMS, sent
from argosy.model.job import Event, JobStatus
from argosy.store.settle import task_hash

router = APIRouter(responses=PROBLEMS)
MAX_SERIAL = 2**62
NEWEST_EVENTS = 50
DECISIONS = 100

JobId = Annotated[str, Path(max_length=200, description="Id of the job.")]
Project = Annotated[str | None, Query(pattern=ID, description="Project; admins may name any.")]


@router.post(
    "/v1/jobs",
    status_code=201,
    responses={
        200: {"model": Submitted},
        201: {"model": Submitted},
        409: {"model": ProblemDetails},
    },
    openapi_extra={"x-body": "Submission"},
)
async def submit_jobs(
    request: Request,
    found: Found,
    who: Submitter,
    project: Project = None,
    dry_run: Annotated[bool, Query(description="Check everything and keep nothing; jobs have no id then.")] = False,
    idempotency_key: Annotated[
        str | None, Header(min_length=1, max_length=MAX_KEY, description="Your name for this request; at most once.")
    ] = None,
) -> Response:
    """Keep one job or a list of them, all or none.

    With an `Idempotency-Key` the same request again answers with the same jobs.
    """
    body = await request.body()
    return await run_in_threadpool(_submit, body, found, who, project, idempotency_key, dry_run)


def _submit(body: bytes, found: Services, who: Caller, project: str | None, key: str | None, dry_run: bool) -> Response:
    to = who.chosen(project)
    made, notes = new_jobs(parsed(body), who, to, found)
    if dry_run:
        checked = tuple(Checked(name=new.task.name, task_hash=task_hash(new.task)) for new in made)
        return sent(Submitted(jobs=(), checked=checked, notes=tuple(notes)))
    jobs = found.store.submit(made, project=to, key=key, request_hash=request_hash(body, to))
    found.traces.came(job.id for job in jobs)
    return sent(Submitted(jobs=tuple(JobView.of(job, None) for job in jobs), notes=tuple(notes)), 201)


@router.get("/v1/jobs", responses={200: {"model": JobPage}})
def list_jobs(
    found: Found,
    who: Viewer,
    project: Project = None,
    status: Annotated[list[JobStatus] | None, Query(description="Any of these states.")] = None,
    name: Annotated[str | None, Query(max_length=63, description="Exactly this name.")] = None,
    open_only: Annotated[bool, Query(alias="open", description="Only jobs that did not end.")] = False,
    before: Annotated[int | None, Query(ge=1, le=MAX_SERIAL, description="`next` of the page before.")] = None,
    limit: Annotated[int, Query(ge=1, le=10_000, description="Most jobs of a page.")] = 100,
) -> Response:
    """Jobs with their newest run, newest first."""
    jobs, more = found.store.jobs(
        project=who.seen(project), statuses=status or (), name=name, open_only=open_only, before=before, limit=limit
    )
    following = "null" if more is None else f'"{more}"'
    return Response(f'{{"jobs":{jobs},"next":{following}}}', media_type=JSON)


@router.get("/v1/jobs/{job}", responses={200: {"model": JobDetail}})
def get_job(job: JobId, found: Found, who: Viewer) -> Response:
    """One job with its task and all its runs."""
    return sent(_detail(job, found, who))


@router.delete("/v1/jobs/{job}", status_code=202, responses={202: {"model": JobView}})
def cancel_job(job: JobId, found: Found, who: Submitter) -> Response:
    """Ask for the end of a job; one that ended stays as it is."""
    (changed,) = found.store.request_cancel([job], project=who.scope)
    runs = found.store.runs(job)
    return sent(JobView.of(changed, runs[-1] if runs else None), 202)


@router.get("/v1/jobs/{job}/explain", responses={200: {"model": Explanation}})
def explain_job(job: JobId, found: Found, who: Viewer) -> Response:
    """Why a job is where it is, or why it waits."""
    detail = _detail(job, found, who)
    events = _newest(found, job)
    # Jobs that are alike are one ask, of which some may be placed and some wait; work that runs is an ask of its own.
    waits = detail.job.status in ("PENDING", "RECOVERING")
    placed_by = next(
        (event.body.get("note", {}).get("decision") for event in reversed(events) if event.kind == "Placed"), None
    )
    ask = detail.job.task_hash[:32]
    asks = {ask, f"{ask}/again", f"{ask}/{job}", *(run.id for run in detail.runs)}

    def of(placement: dict[str, Any], name: str) -> tuple[dict[str, Any], ...]:
        return tuple(row for row in placement.get(name, ()) if row.get("ask") in asks)

    decision = next(
        (
            d
            for d in found.store.decisions(limit=DECISIONS)
            if (d.at >= detail.job.created_at and of(d.placement, "unplaced") if waits else d.id == placed_by)
        ),
        None,
    )
    placement = {} if decision is None else decision.placement

    return sent(
        Explanation(
            job=detail.job,
            decision=decision.id if decision else None,
            decided_at=decision.at if decision else None,
            placed=tuple(
                row for row in of(placement, "assignments") if not waits and row.get("pool") == detail.job.pool
            )[:1],
            unplaced=of(placement, "unplaced") if waits else (),
            prices=tuple(
                {key: row[key] for key in ("pool", "usd_per_accelerator_hour")} for row in placement.get("pools", ())
            ),
            price_note=placement.get("price_note"),
            copies=tuple(
                CopyView.of(copy)
                for copy in found.store.copies().values()
                if copy.dataset in detail.task.placement.data
            ),
            runs=detail.runs,
            events=tuple(shown(event) for event in events),
        )
    )


@router.get("/v1/runs", responses={200: {"model": RunPage}})
def list_runs(
    found: Found,
    who: Viewer,
    job: Annotated[str | None, Query(max_length=200, description="All runs of this job.")] = None,
) -> Response:
    """All runs of one job, or every run that did not end."""
    if job is not None:
        found.store.job(job, project=who.scope)
        return sent(RunPage(runs=tuple(RunView.of(run) for run in found.store.runs(job))))
    runs = found.store.active_runs()
    if who.scope is not None:
        own = found.store.jobs_named(sorted({run.job for run in runs}))
        runs = [run for run in runs if own[run.job].project == who.scope]
    return sent(RunPage(runs=tuple(RunView.of(run) for run in runs)))


def shown(event: Event) -> Event:
    """An event without the token of its run."""
    run = event.body.get("run")
    if not isinstance(run, dict) or not {"token", "lease_owner", "lease_expires_at"} & run.keys():
        return event
    kept = {key: value for key, value in run.items() if key not in ("token", "lease_owner", "lease_expires_at")}
    return event.model_copy(update={"body": {**event.body, "run": kept}})


def _detail(job: str, found: Services, who: Caller) -> JobDetail:
    record = found.store.job(job, project=who.scope)
    runs = found.store.runs(job)
    task = found.store.tasks([record.task_hash])[record.task_hash]
    return JobDetail(
        job=JobView.of(record, runs[-1] if runs else None), task=task, runs=tuple(RunView.of(run) for run in runs)
    )


def _newest(found: Services, job: str) -> list[Event]:
    """The last events of a job. A job has few; one that has many is read to its end."""
    kept: list[Event] = []
    after = 0
    while page := found.store.events(after=after, job=job, limit=1000):
        kept, after = (kept + page)[-NEWEST_EVENTS:], page[-1].number
    return kept

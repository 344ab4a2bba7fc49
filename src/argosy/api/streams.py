"""Streams: events and output as server-sent events that can be taken up again where they broke off.

A stream ends when there is nothing more to come, or after `follow_seconds`; its reader comes back with Last-Event-ID.
Reading never waits in a thread: between two looks the event loop sleeps.
"""

from __future__ import annotations

import asyncio
import codecs
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query
from fastapi.responses import Response
from starlette.concurrency import run_in_threadpool

from argosy.api.access import Caller, Found, Viewer
from argosy.api.jobs import JobId, shown
from argosy.api.services import Services
from argosy.api.views import EventPage, JobView
from argosy.api.web import EVENTS, KEEP_ALIVE_SECONDS, POLL_SECONDS, PROBLEMS, sent, sse, stream
from argosy.errors import BadInput, NotFound, OutsideError, Problem
from argosy.model.job import JOB_ENDS, RUN_ENDS, Event, Job, Run

router = APIRouter(responses=PROBLEMS)
MAX_NUMBER = 2**62
CHUNK_BYTES = 64 * 1024
STORE_SECONDS = 1.0
"""How often a stream looks into a store that other processes write too."""
_POSITION = re.compile(r"(.{1,200}):(\d{1,18})")

LastEventId = Annotated[str | None, Header(max_length=250, description="Id of the last event that was received.")]
Follow = Annotated[bool, Query(description="Wait for more until the end; otherwise answer with what there is.")]


def _events_of(data: str, **kinds: str) -> dict[str, Any]:
    """What a stream answers: the fields of each event; `kinds` has the kinds that there are and what each is."""
    event: dict[str, Any] = {"type": "string", "description": "; ".join(f"`{k}`: {v}" for k, v in kinds.items())}
    if "…" not in kinds:
        event["enum"] = list(kinds)
    fields = {
        "id": {"type": "string", "description": "Send it as Last-Event-ID to go on after this event."},
        "event": event,
        "data": {"type": "string", "contentMediaType": "application/json", "description": data},
    }
    schema = {"type": "object", "properties": fields, "required": list(fields), "additionalProperties": False}
    return {"description": "Server-sent events.", "content": {EVENTS: {"schema": schema}}}


_CHANGES = _events_of("An `Event`.", **{"…": "the kind of the change, as in `Event`"})
_OUTPUT = _events_of(
    "For `output` an object with `run`, `rank` and `text`; for `waiting` one with `status`, `reason` and `message`; "
    "for `end` a `JobView`.",
    output="more of what was printed",
    waiting="why it waits, which has changed",
    end="there is nothing more to come",
)


@router.get("/v1/events", responses={200: {"model": EventPage}})
async def list_events(
    found: Found,
    who: Viewer,
    after: Annotated[int, Query(ge=0, le=MAX_NUMBER, description="Number of the last event that is known.")] = 0,
    job: Annotated[str | None, Query(max_length=200, description="Only events of this job.")] = None,
    limit: Annotated[int, Query(ge=1, le=1000, description="Most events of a page.")] = 100,
) -> Response:
    """Changes of state in the order of commitment, a page of them."""
    page, last = await run_in_threadpool(_events, found, who, after, job, limit)
    return sent(EventPage(events=tuple(page), after=last))


@router.get("/v1/events/stream", responses={200: _CHANGES})
async def stream_events(
    found: Found,
    who: Viewer,
    after: Annotated[int, Query(ge=0, le=MAX_NUMBER, description="Number of the last event that is known.")] = 0,
    job: Annotated[str | None, Query(max_length=200, description="Only events of this job.")] = None,
    follow: Follow = True,
    last_event_id: LastEventId = None,
) -> Response:
    """Changes of state as they are committed."""
    if last_event_id is not None:
        if not last_event_id.isdecimal() or int(last_event_id) > MAX_NUMBER:
            raise BadInput([Problem("header", 0, 0, "field.value", "Last-Event-ID", "is the number of an event")])
        after = int(last_event_id)
    if job is not None:
        await run_in_threadpool(found.store.job, job, project=who.scope)

    async def events(number: int) -> AsyncIterator[str]:
        pace = _Pace(found, follow)
        while True:
            page, before = list[Event](), number
            if pace.store_may_have_news():
                page, number = await run_in_threadpool(_events, found, who, number, job, 500)
            for event in page:
                yield sse(event.kind, event, str(event.number))
            if number != before:
                pace.commits = -1  # there may be more than one page
            else:
                beat = await pace.next()
                if beat is None:
                    return
                yield beat

    return stream(events(after))


def _events(found: Services, who: Caller, after: int, job: str | None, limit: int) -> tuple[list[Event], int]:
    """Events that the caller may see, and the number of the last one that was looked at."""
    if job is not None:
        found.store.job(job, project=who.scope)
    page = found.store.events(after=after, job=job, limit=limit)
    last = page[-1].number if page else after
    if who.scope is not None and job is None:
        own = found.store.jobs_named(sorted({event.job for event in page if event.job}))
        page = [e for e in page if e.job is None or (e.job in own and own[e.job].project == who.scope)]
    return [shown(event) for event in page], last


class _Pace:
    """When to look again: soon, but into the store only after a commit of this process, or once a second."""

    def __init__(self, found: Services, follow: bool) -> None:
        self.found, self.until = found, found.follow_seconds if follow else 0.0
        self.begin = self.quiet_since = found.clock.monotonic_seconds()
        self.commits, self.read_at = -1, self.begin

    def store_may_have_news(self) -> bool:
        """Whether the store must be read again. Asking means reading: the next answer is no until there is reason."""
        now, commits = self.found.clock.monotonic_seconds(), self.found.store.writer.commits
        if commits == self.commits and now - self.read_at < STORE_SECONDS:
            return False
        self.commits, self.read_at = commits, now
        return True

    async def next(self) -> str | None:
        """Wait; a comment that keeps the connection open (often empty), or None when the stream ends here."""
        now = self.found.clock.monotonic_seconds()
        if now - self.begin >= self.until:
            return None
        await asyncio.sleep(POLL_SECONDS)
        if now - self.quiet_since > KEEP_ALIVE_SECONDS:
            self.quiet_since = now
            return ": nothing new\n\n"
        return ""


@router.get("/v1/jobs/{job}/logs", responses={200: _OUTPUT})
async def stream_logs(
    job: JobId,
    found: Found,
    who: Viewer,
    rank: Annotated[int, Query(ge=0, le=100_000, description="Node of the gang.")] = 0,
    follow: Follow = True,
    last_event_id: LastEventId = None,
) -> Response:
    """Output of one node of a job, over all its runs, as it comes.

    Events are `output` (run, text), `waiting` (status, reason, message) when it waits and why has changed, and in the
    end `end` (the job), when there is nothing more to come.
    """
    if found.live is None:
        raise OutsideError("no control loop runs in this process, so output cannot be read; ask the one that does")
    await run_in_threadpool(_has_rank, found, who, job, rank)
    start = _Position.read(last_event_id)
    return stream(_output(found, who, job, rank, follow, start))


def _has_rank(found: Services, who: Caller, job: str, rank: int) -> None:
    """NotFound when there is no such job, or no such node of it."""
    record = found.store.job(job, project=who.scope)
    nodes = found.store.tasks([record.task_hash])[record.task_hash].nodes
    if rank >= nodes:
        raise NotFound(f"{job} has {nodes} node{'s' if nodes > 1 else ''}, counted from 0; there is no node {rank}")


@dataclass(frozen=True, slots=True)
class _Position:
    """Where the reader is: a run, and the byte after the last one that was sent."""

    run: str | None = None
    offset: int = 0

    @classmethod
    def read(cls, text: str | None) -> _Position:
        """The position in a Last-Event-ID."""
        if text is None:
            return cls()
        match = _POSITION.fullmatch(text)
        if match is None:
            raise BadInput([Problem("header", 0, 0, "field.value", "Last-Event-ID", "is an id of this stream")])
        return cls(match[1], int(match[2]))


async def _output(found: Services, who: Caller, job: str, rank: int, follow: bool, at: _Position) -> AsyncIterator[str]:
    pace = _Pace(found, follow)
    pace.store_may_have_news()
    waits = ""
    record, runs = await run_in_threadpool(_state, found, who, job)
    while True:
        # The state is read before the output: what a run wrote before it ended is then there to be read.
        if pace.store_may_have_news():
            record, runs = await run_in_threadpool(_state, found, who, job)
        run = _current(runs, at)
        text, size = "", 0
        if run is not None:
            at = at if at.run == run.id else _Position(run.id)
            over = run.status in RUN_ENDS
            text, size = await run_in_threadpool(_piece, found, run, rank, at.offset, over)
            if not size:
                text, size = await run_in_threadpool(_gap, found, run, rank, at.offset)
        if run is not None and size:
            at = _Position(run.id, at.offset + size)
            yield sse("output", {"run": run.id, "rank": rank, "text": text}, f"{run.id}:{at.offset}")
            continue
        later = [r for r in runs if run is not None and r.epoch > run.epoch]
        if run is not None and run.status in RUN_ENDS and later:
            at = _Position(later[0].id)
            continue
        if record.status in JOB_ENDS and (run is None or run.status in RUN_ENDS):
            yield sse("end", JobView.of(record, runs[-1] if runs else None), f"{at.run or '-'}:{at.offset}")
            return
        if record.status in ("PENDING", "RECOVERING") and record.message not in ("", waits):
            waits = record.message
            why = {"status": record.status, "reason": record.reason, "message": waits}
            yield sse("waiting", why, f"{at.run or '-'}:{at.offset}")
        beat = await pace.next()
        if beat is None:
            return
        if beat:
            yield beat


def _state(found: Services, who: Caller, job: str) -> tuple[Job, list[Run]]:
    return found.store.job(job, project=who.scope), found.store.runs(job)


def _current(runs: list[Run], at: _Position) -> Run | None:
    """The run that the reader is in; the first one at the beginning, or when its position names none of this job."""
    return next((run for run in runs if run.id == at.run), runs[0] if runs else None)


def _gap(found: Services, run: Run, rank: int, offset: int) -> tuple[str, int]:
    """What is said instead of output that was dropped, and how many bytes that was; nothing where none was."""
    assert found.live is not None
    try:
        begin = found.live.logs_from(run, rank)
    except OutsideError:
        return "", 0
    if begin is None and offset == 0 and run.status in RUN_ENDS and run.started_at is not None:
        return f"[argosy] what {run.id} printed is not kept any more\n", 1
    if begin is None or begin <= offset:
        return "", 0
    return f"[argosy] {begin - offset:,} bytes of output are not kept any more\n", begin - offset


def _piece(found: Services, run: Run, rank: int, offset: int, over: bool) -> tuple[str, int]:
    """Text from an offset and the bytes it takes. A character that is cut waits for its rest, unless none will come."""
    assert found.live is not None
    try:
        data = found.live.logs(run, rank, offset, CHUNK_BYTES)
    except OutsideError:
        # Unreachable is not ended: the reader waits as the job does.
        return "", 0
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    last = over and len(data) < CHUNK_BYTES
    text = decoder.decode(data, final=last)
    held = len(decoder.getstate()[0])
    return text, len(data) - held

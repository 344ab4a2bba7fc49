"""Rows: records to rows and back, and instants as text of one length."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, TypeVar

from sqlalchemy import RowMapping

from argosy.model.copy import Copy
from argosy.model.job import Event, Job, Run
from argosy.record import Record
from argosy.store.tables import copies, jobs, runs

R = TypeVar("R", bound=Record)
AnyRow = Mapping[str, Any] | RowMapping
JOB_COLUMNS = tuple(column.name for column in jobs.columns if column.name != "serial")
RUN_COLUMNS = tuple(column.name for column in runs.columns)
COPY_COLUMNS = tuple(column.name for column in copies.columns)
LEASE_COLUMNS = frozenset({"token", "lease_owner", "lease_expires_at", "seen_at"})
"""Columns of a run that heartbeats change; not part of the folded state."""
LATER_RUN_COLUMNS = (
    "resume_from",
    "resume_region",
    "resume_hash",
    "resume_gib",
    "resume_usd",
    "resume_hours",
    "moving_to",
)
"""Columns that runs made by earlier versions have no events for; they are null there."""
_JOB_INSTANTS = ("not_before", "created_at", "changed_at", "finished_at")
_RUN_INSTANTS = ("lease_expires_at", "seen_at", "unreachable_since", "created_at", "started_at", "finished_at")
_COPY_INSTANTS = ("not_before", "ordered_at", "started_at", "finished_at")


@lru_cache(4096)
def to_text(at: datetime) -> str:
    """An instant as text: UTC, microseconds, always 27 characters."""
    return (at if at.tzinfo is UTC else at.astimezone(UTC)).isoformat(timespec="microseconds")[:26] + "Z"


@lru_cache(4096)
def to_instant(text: str) -> datetime:
    """The instant of such a text."""
    return datetime.fromisoformat(text)


def plain(value: Any) -> Any:
    """A field's value as it rests in rows and in events."""
    if isinstance(value, datetime):
        return to_text(value)
    return list(value) if isinstance(value, tuple) else value


def to_row(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Fields of a record as columns."""
    return {name: plain(value) for name, value in fields.items()}


def told(record: Job | Run) -> dict[str, Any]:
    """A record as the log tells of it: without what heartbeats change."""
    return {name: plain(value) for name, value in vars(record).items() if name not in LEASE_COLUMNS}


def job_of(row: AnyRow) -> Job:
    """The job in a row. Rows were checked when they were written."""
    return _made(Job, {name: row[name] for name in JOB_COLUMNS}, _JOB_INSTANTS)


def run_of(row: AnyRow) -> Run:
    """The run in a row."""
    fields = {name: row[name] for name in RUN_COLUMNS}
    fields["nodes"] = tuple(fields["nodes"])
    return _made(Run, fields, _RUN_INSTANTS)


def job_in(row: Sequence[Any]) -> Job:
    """The job in a row of the columns of a job, in their order."""
    return _made(Job, dict(zip(JOB_COLUMNS, row, strict=True)), _JOB_INSTANTS)


def run_in(row: Sequence[Any]) -> Run:
    """The run in a row of the columns of a run, in their order."""
    fields = dict(zip(RUN_COLUMNS, row, strict=True))
    fields["nodes"] = tuple(fields["nodes"])
    return _made(Run, fields, _RUN_INSTANTS)


def copy_of(row: AnyRow) -> Copy:
    """The copy in a row."""
    fields = {name: row[name] for name in COPY_COLUMNS}
    fields["readers"] = tuple(fields["readers"])
    return _made(Copy, fields, _COPY_INSTANTS)


def event_of(row: AnyRow) -> Event:
    """The event in a row."""
    return _made(Event, {**row}, ("at",))


def digest(value: Any) -> str:
    """SHA-256 over canonical JSON."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _made(cls: type[R], fields: dict[str, Any], instants: tuple[str, ...]) -> R:
    """A record of fields that were checked when they were written: what `model_construct` does, without its search."""
    for name in instants:
        if fields[name] is not None:
            fields[name] = to_instant(fields[name])
    made = cls.__new__(cls)
    for name, value in (
        ("__dict__", fields),
        ("__pydantic_fields_set__", set(fields)),
        ("__pydantic_extra__", None),
        ("__pydantic_private__", None),
    ):
        object.__setattr__(made, name, value)
    return made

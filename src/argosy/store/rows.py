"""Rows: records to rows and back, and instants as text of one length."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import RowMapping

from argosy.model.job import Event, Job, Run
from argosy.store.tables import jobs, runs

AnyRow = Mapping[str, Any] | RowMapping
JOB_COLUMNS = tuple(column.name for column in jobs.columns if column.name != "serial")
RUN_COLUMNS = tuple(column.name for column in runs.columns)
LEASE_COLUMNS = frozenset({"token", "lease_owner", "lease_expires_at", "seen_at"})
"""Columns of a run that heartbeats change; not part of the folded state."""
_JOB_INSTANTS = ("not_before", "created_at", "changed_at", "finished_at")
_RUN_INSTANTS = ("lease_expires_at", "seen_at", "unreachable_since", "created_at", "started_at", "finished_at")


def to_text(at: datetime) -> str:
    """An instant as text: UTC, microseconds, always 27 characters."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f") + "Z"


def to_instant(text: str) -> datetime:
    """The instant of such a text."""
    return datetime.fromisoformat(text[:-1]).replace(tzinfo=UTC)


def plain(value: Any) -> Any:
    """A field's value as it rests in rows and in events."""
    if isinstance(value, datetime):
        return to_text(value)
    return list(value) if isinstance(value, tuple) else value


def to_row(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Fields of a record as columns."""
    return {name: plain(value) for name, value in fields.items()}


def job_of(row: AnyRow) -> Job:
    """The job in a row. Rows were checked when they were written."""
    fields = {name: row[name] for name in JOB_COLUMNS}
    _revive(fields, _JOB_INSTANTS)
    return Job.model_construct(**fields)


def run_of(row: AnyRow) -> Run:
    """The run in a row."""
    fields = {name: row[name] for name in RUN_COLUMNS}
    _revive(fields, _RUN_INSTANTS)
    fields["nodes"] = tuple(fields["nodes"])
    return Run.model_construct(**fields)


def event_of(row: AnyRow) -> Event:
    """The event in a row."""
    return Event.model_construct(**{**row, "at": to_instant(row["at"])})


def digest(value: Any) -> str:
    """SHA-256 over canonical JSON."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _revive(fields: dict[str, Any], names: tuple[str, ...]) -> None:
    for name in names:
        if fields[name] is not None:
            fields[name] = to_instant(fields[name])

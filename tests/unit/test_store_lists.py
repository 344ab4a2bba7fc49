"""The list of jobs: a database writes it as text, and it is what the records say, byte for byte."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.support.stores import BEGIN, HandClock, sqlite_store

from argosy.api.views import JobPage, JobView
from argosy.model.task import Task
from argosy.store import Change, MemoryStore, NewJob, NewRun, Store
from argosy.store.reader import LISTED

AT = BEGIN + timedelta(microseconds=123_456)  # records leave out microseconds where there are none, rows do not
PLACE = NewRun(driver="local", pool='a "b"', vendor="v\\w", region="hier/\u00fc", choice=0, usd_per_hour=None)
SAID = "\"q\" \\ /\b\f\n\r\t\x01\x1f\x7f \u2028 \u00e9\U0001f600 'x' %s {} </a>"
"""Everything that JSON, SQL or a driver could write in a way of its own."""


def filled(store: Any, number: int = 30) -> list[str]:
    """Jobs in several states; the answer that their records give, newest first."""
    jobs = store.submit([NewJob(Task(name=f"j{i}", run="x")) for i in range(number)], project="p")
    placed = [
        Change("Placed", job.id, job.version, {"status": "STARTING", "reason": "Placed"}, new_run=PLACE)
        for job in jobs[::3]
    ]
    told = [Change("Waits", job.id, job.version, {"reason": "NoRoom", "message": SAID}) for job in jobs[1::3]]
    assert all(store.apply([*placed, *told], owner="a", lease_seconds=10, fence=None).done)
    store.request_cancel([jobs[2].id, jobs[3].id], project="p")
    found = []
    for job in reversed(jobs):
        runs = store.runs(job.id)
        found.append(JobView.of(store.job(job.id), runs[-1] if runs else None).model_dump_json())
    return found


def holds(store: Any) -> None:
    """Whole, in pages, and chosen, the list is that of the records."""
    rows = filled(store)
    assert '"cancel":true' in "".join(rows)
    assert store.jobs(limit=None) == (f"[{','.join(rows)}]", None)
    assert store.jobs(limit=31) == (f"[{','.join(rows)}]", None)
    before, pages = None, []
    while True:
        text, before = store.jobs(before=before, limit=7)
        pages += [text[1:-1]]
        if before is None:
            break
    assert ",".join(pages) == ",".join(rows)
    assert store.jobs(name="j4")[0] == f"[{rows[25]}]"
    assert store.jobs(project="other") == ("[]", None)
    JobPage.model_validate_json(f'{{"jobs":{store.jobs()[0]},"next":null}}')


def test_a_list_has_the_fields_of_its_view() -> None:
    assert tuple(JobView.model_fields) == LISTED


def test_the_list_is_that_of_the_records_on_sqlite(tmp_path: Path) -> None:
    with sqlite_store(tmp_path, HandClock(AT)) as store:
        holds(store)


def test_the_list_is_that_of_the_records_in_memory() -> None:
    holds(MemoryStore(HandClock(AT)))


def test_the_list_is_that_of_the_records_on_postgresql(database: Callable[[], str]) -> None:
    store = Store(database(), HandClock(AT))
    try:
        holds(store)
    finally:
        store.close()


@pytest.mark.parametrize("number", [2500])
def test_a_long_list_keeps_its_order(tmp_path: Path, number: int) -> None:
    with sqlite_store(tmp_path, HandClock(AT)) as store:
        jobs = store.submit([NewJob(Task(name="j", run="x"))] * number, project="p")
        rows = [JobView.of(job, None).model_dump_json() for job in reversed(jobs)]
        for limit in (None, number):
            assert store.jobs(limit=limit)[0] == f"[{','.join(rows)}]"

"""Promises look: a store whose tables say something else than its log is caught after the step that did it."""

from __future__ import annotations

import pytest

from argosy.model.task import Choice, Task
from argosy.run.rules import RunRules
from argosy.simulate.engine import VirtualClock
from argosy.simulate.promises import Broken, Promises
from argosy.store import MemoryStore, NewJob


def test_a_table_that_the_log_does_not_tell_of_is_caught_at_once() -> None:
    store = MemoryStore(VirtualClock())
    task = Task(name="t", run="true", choices=(Choice(cpus=1.0),))
    promises = Promises(store, [], RunRules(), {})
    store.submit([NewJob(task)], project="p")
    promises.check()
    (job,) = store.submit([NewJob(task)], project="p")
    store.kept.jobs[job.id] = job.model_copy(update={"reason": "Other"})
    with pytest.raises(Broken, match=r"I4: .*Other"):
        promises.check()

"""Fold: state from events, and nothing else. The store's tables are what this gives; `recount` proves it.

R3  state(0) is empty; state(n) = state(n-1) with the fields that event n names set to the values it gives. An event
    that names an unknown job or run makes it. Penalties, cordons and copies are set, or taken away when their value is
    null.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from argosy.model.job import Event
from argosy.store.rows import LATER_RUN_COLUMNS, LEASE_COLUMNS, digest

State = dict[str, dict[str, Any]]
"""`jobs`, `runs`, `penalties`, `cordons` and `copies` by id."""


def empty() -> State:
    """State before the first event."""
    return {"jobs": {}, "runs": {}, "penalties": {}, "cordons": {}, "copies": {}}


def fold(state: State, events: Iterable[Event]) -> State:
    """R3, in place: the state after these events."""
    for event in events:
        body = event.body
        if "job" in body:
            assert event.job is not None
            row = state["jobs"].setdefault(event.job, {"id": event.job})
            row.update(body["job"])
            row["version"] = event.number
        if "run" in body:
            assert event.run is not None
            row = state["runs"].setdefault(event.run, {"id": event.run, **dict.fromkeys(LATER_RUN_COLUMNS)})
            row.update({name: value for name, value in body["run"].items() if name not in LEASE_COLUMNS})
            row["version"] = event.number
        for part in ("penalties", "cordons", "copies"):
            for name, value in body.get(part, {}).items():
                if value is None:
                    state[part].pop(name, None)
                else:
                    state[part][name] = value
    return state


def state_hash(state: State) -> str:
    """SHA-256 over a state."""
    return digest(state)

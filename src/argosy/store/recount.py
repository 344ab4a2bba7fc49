"""Recount: replays the log and compares it with the tables, row by row. The store's checker."""

from __future__ import annotations

from dataclasses import dataclass

from argosy.model.job import JOB_ENDS, RUN_ACTIVE
from argosy.store.fold import State


@dataclass(frozen=True, slots=True)
class Recount:
    """What a replay of the log found."""

    events: int
    """Events replayed."""
    log_hash: str
    """Hash of the state that the log gives."""
    table_hash: str
    """Hash of the state in the tables."""
    problems: tuple[str, ...]
    """What is wrong, in words; empty when all is well."""


def differences(log: State, tables: State) -> list[str]:
    """Rows that differ between the log's state and the tables."""
    found = []
    for part, rows in log.items():
        for name in sorted(set(rows) | set(tables[part])):
            if rows.get(name) != tables[part].get(name):
                found.append(f"{part} {name}: the log says {rows.get(name)}, the table {tables[part].get(name)}")
    return found


def broken_rules(state: State) -> list[str]:
    """R4: at most one active run for a job, and none for a job that ended; the job names its active run."""
    found = []
    active: dict[str, list[str]] = {}
    for run in state["runs"].values():
        if run["status"] in RUN_ACTIVE:
            active.setdefault(run["job"], []).append(run["id"])
    for name, job in state["jobs"].items():
        mine = active.pop(name, [])
        if len(mine) > 1:
            found.append(f"job {name} has {len(mine)} active runs: {', '.join(mine)}")
        if mine and job["status"] in JOB_ENDS:
            found.append(f"job {name} is {job['status']} and run {mine[0]} is active")
        if (job.get("run") or None) != (mine[0] if mine else None):
            found.append(f"job {name} names run {job.get('run')}; active: {', '.join(mine) or 'none'}")
    found += [f"runs of unknown job {name}" for name in active]
    return found

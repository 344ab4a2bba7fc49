"""A store, an application over it and a control loop that says what it is told, for tests of the interface."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI
from tests.support.stores import HandClock, sqlite_store

from argosy.api import Services, make_app
from argosy.model.job import Run
from argosy.model.task import Task
from argosy.run.driver import EnginePool, Node
from argosy.store import Change, NewRun, Store

LOCAL = EnginePool(
    id="local", vendor="local", region="here", silicon=None,
    nodes=(Node(id="this", cpus=4, free_cpus=4, memory_gib=16.0),),
)  # fmt: skip


@dataclass
class ToldLoop:
    """A control loop that does nothing."""

    pools: Sequence[tuple[str, EnginePool]] = (("local", LOCAL),)
    output: dict[tuple[str, int], bytes] = field(default_factory=dict)
    dropped: dict[tuple[str, int], int | None] = field(default_factory=dict)
    """Bytes of output that are kept no longer; None: nothing is."""
    trouble: str | None = None
    cannot: str | None = None

    def fleet(self) -> Sequence[tuple[str, EnginePool]]:
        return self.pools

    def logs(self, run: Run, rank: int, offset: int, limit: int) -> bytes:
        return self.output.get((run.id, rank), b"")[offset : offset + limit]

    def logs_from(self, run: Run, rank: int) -> int | None:
        return self.dropped.get((run.id, rank), 0)

    def ready(self) -> str | None:
        return self.trouble

    def impossible(self, task: Task) -> str | None:
        return self.cannot

    def lines(self) -> list[str]:
        return ["argosy_told 1"]


class Client:
    """Requests straight to the application, one after the other."""

    def __init__(self, app: FastAPI, *, raising: bool = True) -> None:
        self.app, self.raising = app, raising

    def request(self, method: str, path: str, **more: Any) -> httpx.Response:
        content = more.get("content")
        if content is not None and not isinstance(content, bytes):
            more["content"] = _pieces(content)

        async def run() -> httpx.Response:
            transport = httpx.ASGITransport(self.app, raise_app_exceptions=self.raising)
            async with httpx.AsyncClient(transport=transport, base_url="http://argosy") as client:
                return await client.request(method, path, **more)

        return asyncio.run(run())

    def get(self, path: str, **more: Any) -> httpx.Response:
        return self.request("GET", path, **more)


async def _pieces(content: Iterator[bytes]) -> AsyncIterator[bytes]:
    for piece in content:
        yield piece


@dataclass
class Desk:
    """What a test holds: store, loop, a client, and a key for each role of the project `mine`."""

    store: Store
    loop: ToldLoop
    client: Client
    keys: dict[str, str]
    folder: Path
    services: Services

    def call(self, method: str, path: str, role: str = "submitter", **more: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.keys[role]}", **more.pop("headers", {})}
        return self.client.request(method, path, headers=headers, **more)

    def submit(self, text: str = "name: a\nrun: echo hi", **more: object) -> str:
        answer = self.call("POST", "/v1/jobs", json={"file": text, **more})
        assert answer.status_code == 201, answer.text
        return str(answer.json()["jobs"][0]["id"])

    def start(self, job: str, decision: str = "d0") -> Run:
        """As the control loop would: a run on this machine, running."""
        record = self.store.job(job)
        new = NewRun(driver="local", pool="local", vendor="local", region="here", choice=0, usd_per_hour=None)
        change = Change(
            "Placed",
            job,
            record.version,
            {"status": "STARTING", "reason": "Placed"},
            new_run=new,
            note={"decision": decision},
        )
        applied = self.store.apply([change], owner="me", lease_seconds=60, fence=None)
        return self.step(applied.runs[0], "RUNNING", "RUNNING")

    def step(self, run: Run | None, job_status: str, run_status: str, **fields: object) -> Run:
        assert run is not None
        record = self.store.job(run.job)
        reason = {"reason": job_status.title()}
        change = Change(
            job_status.title(), run.job, record.version, {"status": job_status, **reason, **fields}, run=run.id,
            token=run.token, run_fields={"status": run_status, "started_at": run.started_at or self.store.now()},
        )  # fmt: skip
        applied = self.store.apply([change], owner="me", lease_seconds=60, fence=None)
        assert applied.runs[0] is not None
        return applied.runs[0]


@contextmanager
def desk(folder: Path, **more: object) -> Iterator[Desk]:
    """A desk in a folder."""
    clock = HandClock()
    with sqlite_store(folder, clock) as store:
        loop = ToldLoop()
        (folder / "projects" / "mine" / "code").mkdir(parents=True)
        services = Services(store, clock, loop, projects=folder / "projects", **more)  # type: ignore[arg-type]
        keys = {role: store.make_key("mine", role)[1] for role in ("viewer", "submitter", "operator", "admin")}
        keys["other"] = store.make_key("theirs", "operator")[1]
        keys["none"] = "argosy_nothing"
        yield Desk(store, loop, Client(make_app(services)), keys, folder, services)

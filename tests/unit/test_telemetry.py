"""What a server tells of itself: spans at a real receiver, measures that Prometheus reads, logs; and no secret."""

from __future__ import annotations

import json
import logging
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from statistics import median
from time import monotonic
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.support.api import Desk, desk
from tests.support.waiting import wait_for

from argosy.api import journal
from argosy.api.traces import SEND_SECONDS
from argosy.cli.client import Client
from argosy.cli.data_folder import DataFolder
from argosy.cli.host import Host
from argosy.errors import ArgosyError, BadInput, OutsideError

CALLER = ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7")


class Receiver:
    """An OTLP receiver over HTTP: keeps every span that it is sent."""

    def __init__(self) -> None:
        service = pytest.importorskip("opentelemetry.proto.collector.trace.v1.trace_service_pb2")
        self.spans: list[Any] = []
        self.services: set[str] = set()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                assert self.path == "/v1/traces"
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    import gzip

                    body = gzip.decompress(body)
                for resource in service.ExportTraceServiceRequest.FromString(body).resource_spans:
                    receiver.services |= {a.value.string_value for a in resource.resource.attributes}
                    for scope in resource.scope_spans:
                        receiver.spans += scope.spans
                self.send_response(200)
                self.end_headers()
                self.wfile.write(service.ExportTraceServiceResponse().SerializeToString())

            def log_message(self, *_: object) -> None:
                """Nothing on the terminal."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True)

    def named(self, name: str) -> list[Any]:
        return [span for span in list(self.spans) if span.name == name]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    made.thread.start()
    yield made
    made.server.shutdown()
    made.server.server_close()
    made.thread.join()


@contextmanager
def hosted(folder: Path, traces: str | None) -> Iterator[tuple[Host, Client]]:
    data = DataFolder(folder / "d")
    data.make()
    with data.lock():
        host = Host(data, traces=traces)
        host.start()
        try:
            yield host, Client(host.address, host.key)
        finally:
            host.close()


def submitted(client: Client, text: str, **headers: str) -> str:
    answer = client.call("POST", "/v1/jobs", body={"file": text}, headers=headers)
    return str(answer["jobs"][0]["id"])


def over(client: Client, job: str) -> bool:
    return bool(client.call("GET", f"/v1/jobs/{job}")["job"]["finished_at"])


def test_a_job_is_one_trace_from_its_request_to_its_end(tmp_path: Path, receiver: Receiver) -> None:
    with hosted(tmp_path, receiver.address) as (_, client):
        text = f"name: traced\nrun: until [ -e {tmp_path}/gate ]; do sleep 0.05; done; exit 3"
        job = submitted(client, text, traceparent=f"00-{CALLER[0]}-{CALLER[1]}-01")
        wait_for(lambda: client.call("GET", f"/v1/jobs/{job}")["job"]["status"] == "RUNNING", "the job to run")
        (tmp_path / "gate").touch()
        wait_for(lambda: over(client, job), "the job to end")
        wait_for(lambda: receiver.named("work"), "its spans")
    assert {"argosy"} <= receiver.services
    (request,) = receiver.named("POST /v1/jobs")
    (top,), (run,), (start,), (work,) = (receiver.named(name) for name in ("job", "run", "start", "work"))
    assert (request.trace_id.hex(), request.parent_span_id.hex()) == CALLER
    chain = [request, top, run]
    assert [span.parent_span_id for span in (top, run, start, work)] == [span.span_id for span in (*chain, run)]
    assert {span.trace_id for span in (*chain, start, work)} == {request.trace_id}
    assert top.start_time_unix_nano <= run.start_time_unix_nano == start.start_time_unix_nano
    assert start.end_time_unix_nano == work.start_time_unix_nano < work.end_time_unix_nano == run.end_time_unix_nano
    assert run.end_time_unix_nano <= top.end_time_unix_nano
    told = {a.key: a.value.string_value for a in top.attributes}
    assert (told["argosy.job"], told["argosy.status"], told["argosy.name"]) == (job, "FAILED", "traced")
    assert receiver.named("look")
    assert all(not look.parent_span_id for look in receiver.named("look"))
    assert receiver.named("GET /v1/jobs/{job}"), "requests are named by their route"


@pytest.mark.parametrize("way", ["closed", "silent"])
def test_a_receiver_that_is_away_costs_nothing(tmp_path: Path, way: str, capfd: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("opentelemetry.exporter.otlp.proto.http")
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes connections and never answers
        address = "http://127.0.0.1:9" if way == "closed" else f"http://127.0.0.1:{silent.getsockname()[1]}"
        with hosted(tmp_path, address) as (_, client):
            took = []
            for _ in range(50):
                begin = monotonic()
                client.call("GET", "/v1/jobs")
                took.append(monotonic() - begin)
            job = submitted(client, "run: 'true'")
            wait_for(lambda: over(client, job), "the job to end")
            begin = monotonic()
        # One request may be slow for other reasons; those that waited for a receiver would all be.
        assert median(took) < SEND_SECONDS
        assert monotonic() - begin < 60.0, "its end does not wait for the receiver for ever"
    assert capfd.readouterr() == ("", "")


def test_prometheus_reads_every_measure(tmp_path: Path) -> None:
    parser = pytest.importorskip("prometheus_client.parser")
    with hosted(tmp_path, None) as (_, client):
        job = submitted(client, "run: 'true'")
        wait_for(lambda: over(client, job), "the job to end")
        families = {f.name: f for f in parser.text_string_to_metric_families(client.call("GET", "/metrics"))}
    kinds = {name: family.type for name, family in families.items()}
    assert kinds["argosy_jobs"] == kinds["argosy_queue_length"] == kinds["argosy_leads"] == "gauge"
    assert kinds["argosy_requests"] == kinds["argosy_events"] == kinds["argosy_started"] == "counter"
    assert kinds["argosy_request_seconds"] == kinds["argosy_tick_seconds"] == "histogram"
    (jobs,) = [s.value for s in families["argosy_jobs"].samples if s.labels == {"status": "SUCCEEDED"}]
    assert jobs == 1
    for family in families.values():
        assert family.documentation
        assert not family.name.endswith("_total")
        seen = [(sample.name, tuple(sorted(sample.labels.items()))) for sample in family.samples]
        assert len(seen) == len(set(seen)), "no sample is there twice"
        if family.type == "histogram":
            rows: dict[tuple[tuple[str, str], ...], list[tuple[float, float]]] = {}
            for sample in family.samples:
                if sample.name.endswith("_bucket"):
                    key = tuple(sorted((k, v) for k, v in sample.labels.items() if k != "le"))
                    rows.setdefault(key, []).append((float(sample.labels["le"]), sample.value))
            for buckets in rows.values():
                assert buckets == sorted(buckets), "bounds and counts only rise"
                assert buckets[-1][0] == float("inf")


# --- No secret in anything


WORDS = st.text(st.characters(min_codepoint=33, max_codepoint=0x2FF, exclude_categories=("Cc", "Cs")), min_size=12)


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    with desk(tmp_path_factory.mktemp("api"), follow_seconds=0.0) as made:
        yield made


@given(in_file=WORDS, apart=WORDS)
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
def test_secrets_come_out_nowhere(
    office: Desk, tmp_path_factory: pytest.TempPathFactory, in_file: str, apart: str
) -> None:
    """Whatever a secret is: not in an answer, an event, an explanation, a measure, an error or a line of the log."""
    folder = tmp_path_factory.mktemp("log")
    handler = journal.write_to(folder / "log.jsonl", logging.DEBUG)
    said = []
    try:
        text = f"name: a\nrun: x\nsecrets: {{ONE: {json.dumps(in_file)}, TWO: null}}"
        made = office.call("POST", "/v1/jobs", json={"file": text, "secrets": {"TWO": apart}})
        assert made.status_code == 201, made.text
        job = made.json()["jobs"][0]["id"]
        said.append(made.text)
        office.start(job)
        # Wrong in every way that a request with a secret can be.
        for body in (
            {"file": text + "\nrunn: y", "secrets": {"TWO": apart}},
            {"file": text, "secrets": {"TWO": apart, "A-B": in_file}},
            {"file": text, "envs": {"ONE": "x"}, "secrets": {"TWO": apart}},
            {"file": text, "secrets": {"TWO": [apart]}},
            {"file": text, "secret": {"TWO": apart}},
            {"task": {"name": "a", "run": "x", "secrets": ["ONE"]}, "secrets": {"ONE": in_file, "TWO": apart}},
        ):
            answer = office.call("POST", "/v1/jobs", json=body)
            assert answer.status_code == 422, answer.text
            said.append(answer.text)
        key = f"argosy_{'0123456789abcdef' * 4}"
        said.append(office.client.get("/v1/jobs", headers={"Authorization": f"Bearer {key}"}).text)
        logging.getLogger("argosy.x").warning(
            "tried %s", f"Bearer {key}", extra={"password": in_file, "body": {"token": apart}}
        )
        for path in ("/v1/jobs", f"/v1/jobs/{job}", f"/v1/jobs/{job}/explain", f"/v1/runs?job={job}",
                     "/v1/events?limit=1000",
                     f"/v1/events/stream?job={job}", f"/v1/jobs/{job}/logs", "/v1/placements", "/v1/fleet", "/v1/keys",
                     "/metrics"):  # fmt: skip
            said.append(office.call("GET", path, "admin").text)
    finally:
        journal.end(handler)
    lines = (folder / "log.jsonl").read_text("utf-8").splitlines()
    assert lines
    assert all(isinstance(json.loads(line), dict) for line in lines), "one object for each line"
    for word in (in_file, apart, key, *office.keys.values()):
        if word == "argosy_nothing":
            continue
        for written in {word, json.dumps(word)[1:-1], json.dumps(word, ensure_ascii=False)[1:-1]}:
            assert not any(written in text for text in (*said, *lines)), word
    assert office.store.secrets(job)["ONE"].get_secret_value() == in_file


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgresql://me:hidden-word@127.0.0.1:1/argosy", OutsideError),
        ("postgresql://me@127.0.0.1:1/argosy?password=hidden-word", OutsideError),
        ("postgresql://me:hidden-word@[bad/argosy", OutsideError),
        ("postgresql://me:hidden-word@127.0.0.1:notaport/argosy", BadInput),
        ("mysql://me:hidden-word@127.0.0.1/argosy", BadInput),
        ("postgresql+nothing://me:hidden-word@127.0.0.1/argosy", BadInput),
        ("postgresql:/me:hidden-word@127.0.0.1", BadInput),
        ("hidden-word", BadInput),
    ],
)
def test_a_store_that_cannot_be_opened_keeps_its_password(
    tmp_path: Path, url: str, expected: type[ArgosyError]
) -> None:
    data = DataFolder(tmp_path / "d")
    data.make()
    with data.lock(), pytest.raises(expected) as caught:
        Host(data, store=url)
    assert "hidden-word" not in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "hidden-word" not in data.log.read_text()

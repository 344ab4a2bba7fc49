"""The interface: what each route answers, who may ask, and that a refusal changes nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from tests.support.api import Desk, desk

from argosy.api import measures
from argosy.api.problem import STATUSES
from argosy.errors import ArgosyError
from argosy.model.task import Choice, Task
from argosy.store import Change


@pytest.fixture
def d(tmp_path: Path) -> Iterator[Desk]:
    with desk(tmp_path, follow_seconds=0.0) as made:
        yield made


def problem(answer: Any, status: int, code: str) -> dict[str, Any]:
    """The answer is this problem."""
    assert (answer.status_code, answer.json().get("code")) == (status, code), answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = answer.json()
    assert body["type"] == f"urn:argosy:problem:{code}"
    assert body["status"] == status
    assert body["detail"]
    return body


def events(text: str) -> list[tuple[str, str, Any]]:
    """Id, kind and data of each server-sent event."""
    found = []
    for block in text.strip().split("\n\n"):
        if not block or block.startswith(":"):
            continue
        fields = dict(line.split(": ", 1) for line in block.split("\n"))
        found.append((fields["id"], fields["event"], json.loads(fields["data"])))
    return found


# --- Jobs


def test_submit_list_look_cancel(d: Desk) -> None:
    answer = d.call("POST", "/v1/jobs", json={"file": "name: a\nrun: echo hi\nresources: {disk_tier: best}"})
    assert answer.status_code == 201
    (job,), (note,) = answer.json()["jobs"], answer.json()["notes"]
    assert (job["name"], job["status"], job["project"], job["run"]) == ("a", "PENDING", "mine", None)
    assert (note["line"], note["field"], note["code"]) == (3, "resources.disk_tier", "task.not_honoured")
    page = d.call("GET", "/v1/jobs", "viewer").json()
    assert [row["id"] for row in page["jobs"]] == [job["id"]]
    detail = d.call("GET", f"/v1/jobs/{job['id']}", "viewer").json()
    assert detail["task"]["run"] == "echo hi"
    run = d.start(job["id"])
    row = d.call("GET", "/v1/jobs", "viewer").json()["jobs"][0]
    assert (row["run"], row["vendor"], row["region"], row["status"]) == (run.id, "local", "here", "RUNNING")
    gone = d.call("DELETE", f"/v1/jobs/{job['id']}")
    assert (gone.status_code, gone.json()["status"]) == (202, "CANCELLING")


def test_a_list_is_kept_whole_or_not_at_all(d: Desk) -> None:
    good, bad = {"file": "run: echo"}, {"file": "rum: echo"}
    body = problem(d.call("POST", "/v1/jobs", json=[good, bad, bad]), 422, "input.bad")
    assert {p["file"] for p in body["problems"]} == {"task-1.yaml", "task-2.yaml"}
    assert d.store.jobs()[0] == "[]"
    assert len(d.call("POST", "/v1/jobs", json=[good] * 3).json()["jobs"]) == 3


def test_a_task_as_a_record(d: Desk) -> None:
    task = Task(name="r", run="echo", choices=(Choice(cpus=1),)).model_dump(mode="json")
    answer = d.call("POST", "/v1/jobs", json={"task": task})
    assert answer.status_code == 201, answer.text
    assert d.call("GET", f"/v1/jobs/{answer.json()['jobs'][0]['id']}").json()["task"] == task
    problem(d.call("POST", "/v1/jobs", json={"task": {**task, "extra": 1}}), 422, "input.bad")
    problem(d.call("POST", "/v1/jobs", json={"task": {**task, "secrets": ["A"]}}), 422, "input.bad")
    problem(d.call("POST", "/v1/jobs", json={"task": task, "file": "run: x"}), 422, "input.bad")
    problem(d.call("POST", "/v1/jobs", json={"task": {**task, "workdir": "/etc"}}), 422, "input.bad")
    mounts = {**task, "file_mounts": {"/a": {"source": ["../../x"]}}}
    problem(d.call("POST", "/v1/jobs", json={"task": mounts}), 422, "input.bad")
    assert len(json.loads(d.store.jobs()[0])) == 1


def test_idempotency(d: Desk) -> None:
    key, body = {"Idempotency-Key": "once"}, {"file": "run: echo"}
    first = d.call("POST", "/v1/jobs", json=body, headers=key).json()["jobs"][0]["id"]
    again = d.call("POST", "/v1/jobs", json=body, headers=key)
    assert (again.status_code, again.json()["jobs"][0]["id"]) == (201, first)
    problem(d.call("POST", "/v1/jobs", json={"file": "run: other"}, headers=key), 409, "request.key_reused")
    assert len(json.loads(d.store.jobs()[0])) == 1
    problem(d.call("POST", "/v1/jobs", json=body, headers={"Idempotency-Key": "x" * 201}), 422, "input.bad")


def test_a_dry_run_keeps_nothing(d: Desk) -> None:
    answer = d.call("POST", "/v1/jobs", params={"dry_run": True}, json={"file": "name: a\nrun: x"})
    assert (answer.status_code, answer.json()["jobs"], d.store.jobs()[0]) == (200, [], "[]")
    job = d.submit("name: a\nrun: x")
    assert d.store.job(job).task_hash == answer.json()["checked"][0]["task_hash"]


def test_pages_and_filters(d: Desk) -> None:
    ids = [d.submit(f"name: n{i % 2}\nrun: echo {i}") for i in range(5)]
    d.call("DELETE", f"/v1/jobs/{ids[0]}")
    seen, before = [], None
    while True:
        page = d.call("GET", "/v1/jobs", params={"limit": 2, **({"before": before} if before else {})}).json()
        seen += [row["id"] for row in page["jobs"]]
        if (before := page["next"]) is None:
            break
    assert seen == ids[::-1]

    def named(**params: Any) -> list[str]:
        return [row["id"] for row in d.call("GET", "/v1/jobs", params=params).json()["jobs"]]

    assert named(name="n1") == [ids[3], ids[1]]
    assert named(status="CANCELLED") == [ids[0]]
    assert named(open=True) == ids[:0:-1]
    assert named(status=["CANCELLED", "PENDING"], limit=5) == ids[::-1]
    for params in ({"limit": 0}, {"limit": 10_001}, {"status": "LOST"}, {"before": "x"}):
        problem(d.call("GET", "/v1/jobs", params=params), 422, "input.bad")


def test_a_job_is_listed_as_it_is_shown(d: Desk) -> None:
    job = d.submit("run: echo 1")
    (listed,) = d.call("GET", "/v1/jobs").json()["jobs"]
    shown = d.call("GET", f"/v1/jobs/{job}").json()["job"]
    assert listed.keys() == shown.keys()
    for name, value in shown.items():  # an instant keeps its microseconds when they are 0
        same = (
            datetime.fromisoformat(value) == datetime.fromisoformat(listed[name])
            if name.endswith("_at") and value
            else None
        )
        assert same or listed[name] == value, name


# --- Who may


def test_keys(d: Desk) -> None:
    job = d.submit()
    for path in ("/v1/jobs", f"/v1/jobs/{job}", "/v1/events", "/v1/fleet", "/metrics", "/v1/keys"):
        assert d.client.get(path).headers["www-authenticate"].startswith("Bearer")
        problem(d.client.get(path), 401, "access.key")
        problem(d.call("GET", path, "none"), 401, "access.key")
    problem(d.client.get("/v1/jobs", headers={"Authorization": "Basic eDp5"}), 401, "access.key")
    problem(d.call("POST", "/v1/jobs", "viewer", json={"file": "run: x"}), 403, "access.denied")
    problem(d.call("DELETE", f"/v1/jobs/{job}", "viewer"), 403, "access.denied")
    problem(d.call("POST", "/v1/fleet/cordons", "submitter", json={"target": "local"}), 403, "access.denied")
    problem(d.call("GET", "/v1/placements", "submitter"), 403, "access.denied")
    problem(d.call("GET", "/v1/keys", "operator"), 403, "access.denied")
    made = d.call("POST", "/v1/keys", "admin", json={"project": "new", "role": "viewer"}).json()
    d.keys["made"] = made["secret"]
    assert d.call("GET", "/v1/jobs", "made").json()["jobs"] == []
    assert made["secret"] not in d.call("GET", "/v1/keys", "admin").text
    assert d.call("DELETE", f"/v1/keys/{made['id']}", "admin").status_code == 200
    problem(d.call("GET", "/v1/jobs", "made"), 401, "access.key")


def test_other_projects_are_not_there(d: Desk) -> None:
    job = d.submit("name: a\nrun: x\nsecrets: {S: hidden-word}")
    d.start(job)
    for method, path in (("GET", ""), ("DELETE", ""), ("GET", "/logs"), ("GET", "/explain")):
        there = problem(d.call(method, f"/v1/jobs/{job}{path}", "other"), 404, "not_found")
        nowhere = d.call(method, f"/v1/jobs/{job}0{path}", "other").json()
        assert there["detail"].replace(job, "") == nowhere["detail"].replace(f"{job}0", "")
    problem(d.call("GET", "/v1/runs", "other", params={"job": job}), 404, "not_found")
    problem(d.call("GET", "/v1/events", "other", params={"job": job}), 404, "not_found")
    assert d.call("GET", "/v1/jobs", "other").json()["jobs"] == []
    assert d.call("GET", "/v1/runs", "other").json()["runs"] == []
    assert d.call("GET", "/v1/events", "other").json()["events"] == []
    assert d.call("GET", "/v1/events/stream", "other").text == ""
    problem(d.call("GET", "/v1/jobs", "other", params={"project": "mine"}), 403, "access.denied")
    problem(
        d.call("POST", "/v1/jobs", "other", params={"project": "mine"}, json={"file": "run: x"}), 403, "access.denied"
    )
    assert len(d.call("GET", "/v1/jobs", "admin", params={"project": "mine"}).json()["jobs"]) == 1
    assert d.call("POST", "/v1/jobs", "admin", params={"project": "theirs"}, json={"file": "run: x"}).status_code == 201
    assert len(d.call("GET", "/v1/jobs", "other").json()["jobs"]) == 1
    assert d.store.job(job).status == "RUNNING"


def test_nothing_secret_comes_out(d: Desk) -> None:
    """Neither values of secrets nor tokens of leases, wherever one asks."""
    job = d.submit("name: a\nrun: x\nsecrets: {S: hidden-word, T: null}", secrets={"T": "hidden-too"})
    run = d.start(job)
    paths = ["/v1/jobs", f"/v1/jobs/{job}", f"/v1/jobs/{job}/explain", f"/v1/runs?job={job}", "/v1/runs", "/v1/events",
             "/v1/events/stream", "/v1/fleet", "/v1/placements", "/v1/keys", "/metrics"]  # fmt: skip
    text = "".join(d.call("GET", path, "admin").text for path in paths)
    assert job in text
    for word in ("hidden-word", "hidden-too", run.token, *d.keys.values()):
        assert word not in text
    assert d.store.secrets(job)["T"].get_secret_value() == "hidden-too"


# --- Bad input: a clear refusal, nothing changed

REFUSED: list[tuple[bytes, int, str]] = [
    (b"", 422, "body.json"),
    (b"{", 422, "body.json"),
    (b"\xff\xfe", 422, "body.json"),
    (b"[]", 422, "field.length"),
    (b"null", 422, "field.value"),
    (b'{"file": 3}', 422, "field.value"),
    (b'{"file": "run: x", "files": 1}', 422, "field.unknown"),
    (b'{"file": "run: x", "envs": {"A": 1}}', 422, "field.value"),
    (b'{"file": "run: [unclosed"}', 422, "yaml.syntax"),
    (b'{"file": "run: x\\nnum_nodes: -1"}', 422, "field.range"),
    (b'{"file": "run: x\\nrunn: x"}', 422, "field.unknown"),
    (b'{"file": "run: x\\nworkdir: ../.."}', 422, "path.refused"),
    (b'{"file": "run: x\\nworkdir: /etc"}', 422, "path.refused"),
    (b'{"file": "run: x\\nworkdir: ~/x"}', 422, "path.refused"),
    (b'{"file": "run: x\\nfile_mounts: {/a: /etc/passwd}"}', 422, "path.refused"),
    (b'{"file": "run: x", "folder": "../theirs"}', 422, "path.refused"),
    (b'{"file": "run: x", "folder": "/"}', 422, "path.refused"),
    (b'{"file": "run: x", "envs": {"A-B": "c"}}', 422, "option.env"),
    (b'{"file": "run: x\\nsecrets: {S: null}"}', 422, "env.missing"),
    (b'{"file": "run: x", "name": ""}', 422, "field.value"),
    (b'{"file": "run: x", "name": "a b"}', 422, "field.value"),
    (b'{"file": "run: x", "file_name": "../x"}', 422, "field.value"),
    (b'{"file": "run: x\\nrun: y"}', 422, "yaml.duplicate_key"),
    (b'{"file": "run: \\"a\\\\0b\\""}', 422, "field.value"),
    (b'{"file": "run: \\ud800"}', 422, "body.json"),
    (b'{"file": "run: x\\na: ' + b"[" * 3000 + b'"}', 422, "yaml.too_deep"),
    (b"[" * 50_000, 422, "body.json"),
    (b'{"file": "run: x", "envs": {"A": "b\\u0000c"}}', 422, "option.env"),
    (b'{"file": "run: x\\nnum_nodes: 99999999999999999999"}', 422, "field.range"),
    (b'{"file": "run: x\\nresources: {cpus: 1e308}"}', 422, "field.type"),
    (b'{"task": {"name": "a", "run": "x", "max_duration_seconds": 1e300}}', 422, "field.value"),
    (b'{"task": {"name": "a", "run": "x", "placement": {"unreachable_grace_seconds": 1e300}}}', 422, "field.value"),
    (b'{"task": {"name": "a", "run": "x\\u0000"}}', 422, "field.value"),
    (b'{"task": {"name": "a", "run": "x", "envs": {"A=B": "c"}}}', 422, "field.value"),
    (b'{"task": {"name": "a", "run": "x", "envs": {"": "c"}}}', 422, "field.value"),
    (b'{"task": {"name": "a", "run": "x", "secrets": ["A"]}, "secrets": {"A": "\\u0000"}}', 422, "field.value"),
    (b'{"task": {"name": "a", "run": "x", "nodes": 1' + b"0" * 400 + b"}}", 422, "field.value"),
]  # fmt: skip


@pytest.mark.parametrize(("body", "status", "code"), REFUSED, ids=[str(case[0][:40]) for case in REFUSED])
def test_bad_bodies(d: Desk, body: bytes, status: int, code: str) -> None:
    answer = d.call("POST", "/v1/jobs", content=body, headers={"Content-Type": "application/json"})
    told = problem(answer, status, "input.bad")["problems"]
    assert code in {p["code"] for p in told}, told
    assert d.store.jobs()[0] == "[]"
    assert d.store.events() == []


def test_a_mistake_in_json_has_its_place_and_an_unknown_field_its_words(d: Desk) -> None:
    def told(body: bytes) -> dict[str, Any]:
        answer = d.call("POST", "/v1/jobs", content=body, headers={"Content-Type": "application/json"})
        found: dict[str, Any] = problem(answer, 422, "input.bad")["problems"][0]
        return found

    wrong = told(b'{"file": "run: x",\n  name: 1}')
    assert (wrong["line"], wrong["column"], wrong["code"]) == (2, 3, "body.json")
    assert " at line" not in wrong["message"]
    assert told(b'{"fiel": "run: x"}')["message"] == "there is no such field here"
    assert "right are letters, digits" in told(b'{"file": "run: x", "name": "a b"}')["message"]
    answer = d.call("POST", "/v1/keys", "admin", json={"project": "A b", "role": "viewer"})
    assert "right are small letters" in problem(answer, 422, "input.bad")["problems"][0]["message"]


def test_links_do_not_lead_out(d: Desk) -> None:
    (d.folder / "projects" / "mine" / "out").symlink_to("/etc")
    answer = d.call("POST", "/v1/jobs", json={"file": "run: x\nworkdir: out"})
    assert problem(answer, 422, "input.bad")["problems"][0]["code"] == "path.refused"
    job = d.submit("run: x\nworkdir: code")
    task = d.call("GET", f"/v1/jobs/{job}").json()["task"]
    assert task["workdir"] == str((d.folder / "projects" / "mine" / "code").resolve())


def test_a_bomb_of_aliases_is_not_expanded(d: Desk) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [" + ", ".join([f"*a{i - 1}"] * 8) + "]" for i in range(1, 12)]
    answer = d.call("POST", "/v1/jobs", json={"file": "\n".join([*lines, "run: x"])})
    codes = {p["code"] for p in problem(answer, 422, "input.bad")["problems"]}
    assert "yaml.alias_bomb" in codes
    assert d.store.open_jobs() == []


def test_addresses_and_headers_are_not_guessed_at(d: Desk) -> None:
    """Zero bytes, bytes that are no UTF-8, headers that are there twice or against each other: 400, nothing changed."""
    job = d.submit()
    token = {"Authorization": f"Bearer {d.keys['admin']}"}
    for path in ("/v1/jobs?name=%00", "/v1/jobs?name=%ff", "/v1/jobs/%00", f"/v1/jobs/{job}%ff", "/v1/events?job=%00",
                 "/v1/fleet/cordons?target=%00", "/v1/jobs?project=%ED%A0%80"):  # fmt: skip
        for method in ("GET", "DELETE", "POST"):
            problem(d.client.request(method, path, headers=token), 400, "request.bad")
    for name, value in (("Authorization", "Bearer x"), ("Idempotency-Key", "a"), ("Last-Event-ID", "1")):
        twice = [*token.items(), (name, value), (name, value)]
        problem(d.client.request("POST", "/v1/jobs", headers=twice, content=b'{"file": "run: x"}'), 400, "request.bad")
    both = [*token.items(), ("Content-Length", "17"), ("Transfer-Encoding", "chunked")]
    problem(d.client.request("POST", "/v1/jobs", headers=both, content=b'{"file": "run: x"}'), 400, "request.bad")
    problem(d.call("POST", "/v1/jobs", "admin", params={"project": "A b"}, json={"file": "run: x"}), 422, "input.bad")
    for target in ("a\0b", "a\nb", "x" * 201):
        problem(d.call("POST", "/v1/fleet/cordons", "admin", json={"target": target}), 422, "input.bad")
    assert [row.id for row in d.store.open_jobs()] == [job]
    assert d.store.cordons() == {}


def test_no_project_lies_within_another(d: Desk) -> None:
    """Names of projects may have slashes; that must not put one's files into the other's reach, or outside of all."""
    for project in ("mine/code", "mine/../..", "mine/../theirs"):
        folder = d.folder / "projects" / project.replace("/", "%2F")
        body = {"file": "run: x\nworkdir: .", "folder": "."}
        d.keys["there"] = d.store.make_key(project, "submitter")[1]
        told = problem(d.call("POST", "/v1/jobs", "there", json=body), 422, "input.bad")["problems"]
        assert [p["code"] for p in told] == ["path.missing"], "there is no such folder yet"
        folder.mkdir()
        job = d.call("POST", "/v1/jobs", "there", json=body).json()["jobs"][0]["id"]
        detail = d.call("GET", f"/v1/jobs/{job}", "there").json()
        assert detail["task"]["workdir"] == str(folder)


def test_an_idempotency_key_is_the_projects_own(d: Desk) -> None:
    """Another project that uses the same key learns nothing and gets a job of its own."""
    key, body = {"Idempotency-Key": "nightly"}, {"file": "run: echo"}
    mine = d.call("POST", "/v1/jobs", json=body, headers=key).json()["jobs"][0]
    theirs = d.call("POST", "/v1/jobs", "other", json={"file": "run: else"}, headers=key)
    assert theirs.status_code == 201
    assert theirs.json()["jobs"][0]["project"] == "theirs"
    assert theirs.json()["jobs"][0]["id"] != mine["id"]
    assert d.call("POST", "/v1/jobs", json=body, headers=key).json()["jobs"][0]["id"] == mine["id"]


def test_an_admin_may_name_any_folder(d: Desk, tmp_path: Path) -> None:
    body = {"file": "run: x\nworkdir: .", "folder": str(tmp_path)}
    assert d.call("POST", "/v1/jobs", "admin", json=body).status_code == 201
    assert problem(d.call("POST", "/v1/jobs", "operator", json=body), 422, "input.bad")


def test_impossible_resources_are_refused_at_once(d: Desk) -> None:
    d.loop.cannot = "no pool has 1 x 8 H100"
    answer = d.call("POST", "/v1/jobs", json={"file": "run: x\nresources: {accelerators: H100:8}"})
    assert "no pool has" in problem(answer, 422, "task.impossible")["detail"]
    assert d.store.jobs()[0] == "[]"


def test_bodies_that_are_too_large(tmp_path: Path) -> None:
    with desk(tmp_path, max_body_bytes=1000) as d:
        problem(d.call("POST", "/v1/jobs", json={"file": "x" * 1000}), 413, "request.too_large")

        def pieces() -> Iterator[bytes]:
            for _ in range(300):
                yield b'{"file": "'

        for path, role in (("/v1/jobs", "submitter"), ("/v1/fleet/cordons", "operator")):
            problem(d.call("POST", path, role, content=pieces()), 413, "request.too_large")
        assert d.store.jobs()[0] == "[]"


def test_what_is_not_there(d: Desk) -> None:
    problem(d.call("GET", "/v2/jobs"), 404, "not_found")
    problem(d.call("PATCH", "/v1/jobs"), 405, "request.method")
    assert d.call("OPTIONS", "/v1/jobs").headers["allow"] == "GET, POST"
    problem(d.call("GET", "/v1/jobs/nothing"), 404, "not_found")
    problem(d.call("GET", "/v1/jobs/" + "x" * 300), 422, "input.bad")
    problem(d.call("DELETE", "/v1/keys/nothing", "admin"), 404, "not_found")
    problem(d.call("DELETE", "/v1/fleet/cordons", "operator", params={"target": "x"}), 404, "not_found")


def test_every_failure_has_one_status_and_code() -> None:
    """Subclasses come before what they derive from, so that the first that fits is the nearest."""
    kinds = [kind for kind, _ in STATUSES]
    assert len(set(kinds)) == len(kinds)
    for i, kind in enumerate(kinds):
        assert not any(issubclass(later, kind) for later in kinds[i + 1 :])
        assert kind.code != ArgosyError.code


# --- Streams


def test_output_of_a_job(d: Desk) -> None:
    job = d.submit()
    assert events(d.call("GET", f"/v1/jobs/{job}/logs").text) == []
    run = d.start(job)
    d.loop.output[run.id, 0] = "first\nzwei ü".encode()[:-1]
    ((position, kind, data),) = events(d.call("GET", f"/v1/jobs/{job}/logs").text)
    assert (position, kind, data["text"]) == (f"{run.id}:11", "output", "first\nzwei ")
    d.loop.output[run.id, 0] = "first\nzwei ü\nlast".encode()
    d.step(run, "SUCCEEDED", "SUCCEEDED", exit_code=0)
    rest, end = events(d.call("GET", f"/v1/jobs/{job}/logs", headers={"Last-Event-ID": position}).text)
    assert rest[2]["text"] == "ü\nlast"
    assert (end[1], end[2]["status"], end[2]["exit_code"]) == ("end", "SUCCEEDED", 0)
    (only,) = events(d.call("GET", f"/v1/jobs/{job}/logs", headers={"Last-Event-ID": rest[0]}).text)
    assert only[1] == "end"


def test_a_stream_of_output_says_why_nothing_comes(d: Desk) -> None:
    job = d.submit()
    change = Change("Waiting", job, d.store.job(job).version, {"reason": "NoMatchingPool", "message": "none"})
    d.store.apply([change], owner="me", lease_seconds=60, fence=None)
    path = f"/v1/jobs/{job}/logs"
    ((position, kind, data),) = events(d.call("GET", path, params={"follow": "false"}).text)
    assert (kind, data) == ("waiting", {"status": "PENDING", "reason": "NoMatchingPool", "message": "none"})
    run = d.start(job)
    d.loop.output[run.id, 0] = b"first\n"
    after = events(d.call("GET", path, params={"follow": "false"}, headers={"Last-Event-ID": position}).text)
    assert [kind for _, kind, _ in after] == ["output"]


def test_output_goes_on_with_the_next_run(d: Desk) -> None:
    job = d.submit("run: x\nnum_nodes: 1")
    run = d.start(job)
    d.loop.output[run.id, 0] = b"one\n"
    d.step(run, "RECOVERING", "PREEMPTED")
    second = d.start(job)
    d.loop.output[second.id, 0] = b"two \xff"
    d.step(second, "SUCCEEDED", "SUCCEEDED", exit_code=0)
    found = events(d.call("GET", f"/v1/jobs/{job}/logs").text)
    assert [(kind, data.get("text")) for _, kind, data in found] == [
        ("output", "one\n"), ("output", "two \N{REPLACEMENT CHARACTER}"), ("end", None),
    ]  # fmt: skip
    problem(d.call("GET", f"/v1/jobs/{job}/logs", params={"rank": 1}), 404, "not_found")


def test_long_output_comes_in_pieces(d: Desk) -> None:
    job = d.submit()
    run = d.start(job)
    text = "ä" * 100_000
    d.loop.output[run.id, 0] = text.encode()
    d.step(run, "SUCCEEDED", "SUCCEEDED", exit_code=0)
    found = events(d.call("GET", f"/v1/jobs/{job}/logs").text)
    assert len(found) > 3
    assert "".join(data.get("text", "") for _, _, data in found) == text


def test_output_that_was_dropped_is_told(d: Desk) -> None:
    """A reader that comes too late is told how much it missed and goes on with what there is."""
    job = d.submit()
    run = d.start(job)

    kept = d.loop.logs
    d.loop.dropped[run.id, 0] = 1000
    d.loop.output[run.id, 0] = b"." * 1000 + b"newest\n"
    d.loop.logs = lambda *given: kept(*given) if given[2] >= 1000 else b""  # type: ignore[method-assign]
    first, second = events(d.call("GET", f"/v1/jobs/{job}/logs").text)
    assert first[2]["text"] == "[argosy] 1,000 bytes of output are not kept any more\n"
    assert (second[0], second[2]["text"]) == (f"{run.id}:1007", "newest\n")
    (only,) = events(d.call("GET", f"/v1/jobs/{job}/logs", headers={"Last-Event-ID": first[0]}).text)
    assert only == second
    d.step(run, "SUCCEEDED", "SUCCEEDED", exit_code=0)
    d.loop.dropped[run.id, 0] = None
    d.loop.output.clear()
    told, end = events(d.call("GET", f"/v1/jobs/{job}/logs").text)
    assert (told[1], end[1]) == ("output", "end")


def test_bad_positions(d: Desk) -> None:
    job = d.submit()
    for value in ("x", "a:b", "1:" + "9" * 30):
        problem(d.call("GET", f"/v1/jobs/{job}/logs", headers={"Last-Event-ID": value}), 422, "input.bad")
        problem(d.call("GET", "/v1/events/stream", headers={"Last-Event-ID": value}), 422, "input.bad")
    assert d.call("GET", f"/v1/jobs/{job}/logs", headers={"Last-Event-ID": "elsewhere:5"}).status_code == 200


def test_a_stream_passes_over_what_is_not_ours(d: Desk) -> None:
    """A page that holds only other projects' events is not the end."""
    for _ in range(3):
        d.call("POST", "/v1/jobs", "other", json=[{"file": "run: x"}] * 250)
    mine = d.submit()
    stream = events(d.call("GET", "/v1/events/stream").text)
    assert [data["job"] for _, _, data in stream] == [mine]


def test_events(d: Desk) -> None:
    first, second = d.submit(), d.submit()
    page = d.call("GET", "/v1/events", params={"limit": 1}).json()
    assert [e["job"] for e in page["events"]] == [first]
    page = d.call("GET", "/v1/events", params={"after": page["after"]}).json()
    assert [(e["job"], e["kind"]) for e in page["events"]] == [(second, "Submitted")]
    assert d.call("GET", "/v1/events", params={"after": page["after"]}).json() == {"events": [], "after": page["after"]}
    stream = events(d.call("GET", "/v1/events/stream", headers={"Last-Event-ID": "1"}).text)
    assert [(number, data["job"]) for number, _, data in stream] == [("2", second)]
    assert [e["job"] for e in d.call("GET", "/v1/events", params={"job": second}).json()["events"]] == [second]


# --- The rest


def test_explain(d: Desk) -> None:
    job = d.submit()
    answer = d.call("GET", f"/v1/jobs/{job}/explain").json()
    assert (answer["decision"], answer["placed"], answer["unplaced"]) == (None, [], [])
    ask = d.store.job(job).task_hash[:32]
    placement = {
        "assignments": [{"ask": "other", "pool": "x"}],
        "unplaced": [{"ask": ask, "count": 1.0, "excuses": [{"rule": "P1"}]}],
    }
    d.store.decided("d1", placement)
    d.store.decided("d2", {"assignments": [{"ask": "other", "pool": "x"}]})
    answer = d.call("GET", f"/v1/jobs/{job}/explain").json()
    assert (answer["decision"], answer["placed"]) == ("d1", [])
    assert answer["unplaced"][0]["excuses"] == [{"rule": "P1"}]
    assert [e["kind"] for e in answer["events"]] == ["Submitted"]
    page = d.call("GET", "/v1/placements", "operator", params={"limit": 1}).json()
    assert [row["id"] for row in page["placements"]] == ["d2"]
    page = d.call("GET", "/v1/placements", "operator", params={"before": page["next"]}).json()
    assert ([row["id"] for row in page["placements"]], page["next"]) == (["d1"], None)


def test_explain_tells_alike_jobs_apart(d: Desk) -> None:
    """Of two jobs that are alike one runs and one waits: they are one ask, in one decision, in two rows or more."""
    runs, waits = d.submit(), d.submit()
    ask = d.store.job(runs).task_hash[:32]
    placed = [{"ask": name, "pool": pool} for name in (ask, f"{ask}/again") for pool in ("local", "other")]
    d.store.decided("d1", {"assignments": placed, "unplaced": [{"ask": ask, "count": 1.0, "excuses": []}]})
    d.start(runs, decision="d1")
    d.store.decided("d2", {"unplaced": [{"ask": ask, "count": 1.0, "excuses": []}]})
    of = {job: d.call("GET", f"/v1/jobs/{job}/explain").json() for job in (runs, waits)}
    assert of[runs]["decision"] == "d1"
    assert (of[runs]["placed"], of[runs]["unplaced"]) == ([placed[0]], [])
    assert of[waits]["decision"] == "d2"
    assert (of[waits]["placed"], len(of[waits]["unplaced"])) == ([], 1)


def test_fleet_and_cordons(d: Desk) -> None:
    fleet = d.call("GET", "/v1/fleet", "viewer").json()
    assert fleet["pools"][0]["pool"]["nodes"][0]["cpus"] == 4
    made = d.call("POST", "/v1/fleet/cordons", "operator", json={"target": "local", "drain": True})
    assert made.status_code == 201
    assert d.store.cordons() == {"local": True}
    assert d.call("GET", "/v1/fleet", "viewer").json()["cordons"] == [{"target": "local", "drain": True}]
    d.call("DELETE", "/v1/fleet/cordons", "operator", params={"target": "local"})
    assert d.store.cordons() == {}
    problem(d.call("POST", "/v1/fleet/cordons", "operator", json={"target": ""}), 422, "input.bad")
    problem(d.call("POST", "/v1/fleet/cordons", "operator", json={"target": "x", "drian": True}), 422, "input.bad")


def test_health(d: Desk) -> None:
    assert d.client.get("/healthz").json()["status"] == "ok"
    assert d.client.get("/readyz").json()["status"] == "ok"
    d.loop.trouble = "the last tick failed"
    body = problem(d.client.get("/readyz"), 503, "outside.failed")
    assert (body["retryable"], body["detail"]) == (True, "the last tick failed")
    assert d.client.get("/healthz").status_code == 200


def test_metrics(d: Desk) -> None:
    d.submit()
    answer = d.call("GET", "/metrics", "viewer")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    lines = answer.text.splitlines()
    for line in ('argosy_jobs{status="PENDING"} 1', "argosy_queue_length 1", "argosy_told 1",
                 'argosy_requests_total{method="POST",route="/v1/jobs",status="201"} 1',
                 'argosy_request_seconds_bucket{method="POST",route="/v1/jobs",le="+Inf"} 1',
                 "# TYPE argosy_request_seconds histogram"):  # fmt: skip
        assert line in lines, line
    names = [line.split()[2] for line in lines if line.startswith("# TYPE")]
    assert len(names) == len(set(names))


def test_a_bug_is_a_problem_too(d: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(**_: Any) -> None:
        raise RuntimeError("hidden detail")

    monkeypatch.setattr(d.store, "jobs", broken)
    d.client.raising = False
    body = problem(d.call("GET", "/v1/jobs"), 500, "bug")
    assert "hidden detail" not in json.dumps(body)


def test_histograms() -> None:
    found = measures.histogram("h", (("a", 'x"y'),), (0.5, 2), (1, 2, 3), 12.5)
    assert found == [
        'h_bucket{a="x\\"y",le="0.5"} 1', 'h_bucket{a="x\\"y",le="2"} 3', 'h_bucket{a="x\\"y",le="+Inf"} 6',
        'h_sum{a="x\\"y"} 12.5', 'h_count{a="x\\"y"} 6',
    ]  # fmt: skip

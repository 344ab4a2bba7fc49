"""What only the Kubernetes driver owes, against an API server that we emulate: Kueue, conflicts, failures, names."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from tests.support.engines import Engine, Runs
from tests.support.kube_api import TOKEN, KubeServer, settings_of
from tests.support.waiting import wait_for

from argosy.clock import SystemClock
from argosy.errors import OutsideError, StartRefused
from argosy.run import wrapper
from argosy.run.drivers import kubernetes
from argosy.run.drivers._kube_api import open_api, quantity

FOR_EVER = "tail -f /dev/null"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[KubeServer]:
    (tmp_path / "pods").mkdir()
    made = KubeServer(tmp_path / "pods")
    with made.listening():
        yield made
        made.close()


@pytest.fixture
def driver(server: KubeServer, tmp_path: Path) -> kubernetes.Driver:
    return kubernetes.Driver(settings_of(server, tmp_path, queue="research"), SystemClock())


@pytest.fixture
def runs(server: KubeServer, driver: kubernetes.Driver) -> Iterator[Runs]:
    engine = Engine(
        "kubernetes", "kubernetes", lambda: driver, lambda: None,  # type: ignore[arg-type, return-value]
        lambda _, run, rank: server.lose_node(run, rank), mounts=False,
    )  # fmt: skip
    made = Runs(engine, driver, "kube")
    yield made
    made.close()


def job_of(server: KubeServer, run: str) -> dict[str, object]:
    (job,) = [j for j in server.objects["jobs"].values() if j["metadata"]["annotations"]["argosy.dev/run"] == run]
    return job


def test_jobs_wait_for_kueue(runs: Runs, server: KubeServer) -> None:
    server.hold_queue = True
    order = runs.start("true")
    job = job_of(server, order.run)
    assert job["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "research"  # type: ignore[index]
    assert job["spec"]["suspend"] is True  # type: ignore[index]
    seen = runs.see(order)
    assert (seen.seen, seen.message) == ("queued", "suspended")
    runs.driver.stop(order.run, 0)
    assert server.objects["jobs"] == {}
    assert server.objects["secrets"] == {}, "what the Job owned went with it"


def test_what_kueue_takes_away_is_preempted_and_does_not_come_back(
    runs: Runs, server: KubeServer, driver: kubernetes.Driver, tmp_path: Path
) -> None:
    order = runs.start(f"echo x >> {tmp_path}/up; {FOR_EVER}")
    runs.file(tmp_path / "up")
    job = job_of(server, order.run)
    path = f"{driver._jobs_path}/{job['metadata']['name']}"  # type: ignore[index]
    driver.api.ask("PATCH", path, {"spec": {"suspend": True}}, patch=True)
    seen = wait_for(lambda: (s := runs.see(order)).seen == "ended" and s, "the preemption")
    assert seen
    assert seen.preempted
    # Kueue admits it again later: the same run must not work twice.
    driver.api.ask("PATCH", path, {"spec": {"suspend": False}}, patch=True)
    wait_for(lambda: any(p["status"]["phase"] == "Failed" for p in server.objects["pods"].values()), "the second pod")
    assert (tmp_path / "up").read_text() == "x\n"


def test_a_start_that_was_cut_off_is_completed(runs: Runs, server: KubeServer) -> None:
    order = runs.order("echo done", nodes=2)
    runs.driver.start(order)
    # As if the server had died after the Job was made: pods wait for a Secret that is not there.
    runs.driver.stop(order.run, 0)
    again = runs.order("echo done", nodes=2)
    answer, made = server.create, []

    def only_jobs(kind: str, body: dict[str, object]) -> dict[str, object]:
        if kind == "secrets" and not made:
            made.append(kind)
            raise ConnectionError
        return answer(kind, body)

    server.create = only_jobs  # type: ignore[method-assign]
    with pytest.raises(OutsideError):
        runs.driver.start(again)
    assert runs.see(again).seen == "queued"
    runs.driver.start(again)
    assert runs.ended(again) == 0


def test_secrets_are_only_in_the_secret(runs: Runs, server: KubeServer, tmp_path: Path) -> None:
    order = runs.start(f'echo "$TOKEN" > {tmp_path}/up; {FOR_EVER}', secrets={"TOKEN": "tell-nobody"})
    assert runs.file(tmp_path / "up").strip() == "tell-nobody"
    for kind in ("jobs", "pods", "configmaps"):
        assert "tell-nobody" not in json.dumps(server.objects[kind])
    assert "tell-nobody" in json.dumps(server.objects["secrets"])
    left = list(server.folder.rglob("run/secrets.json"))
    assert left == [], "the copy of the pod is deleted once it is read"
    assert not any("tell-nobody" in path for _, path in server.requests)
    assert order.run


@pytest.mark.parametrize("failure", [0, 401, 403, 429, 500, 503])
def test_every_failure_of_the_server_is_an_outside_error(runs: Runs, server: KubeServer, failure: int) -> None:
    order = runs.order("true")
    calls = [
        runs.driver.capacity, lambda: runs.driver.observe([order.run]), lambda: runs.driver.start(order),
        lambda: runs.driver.stop(order.run, 0), runs.driver.list_by_tag, lambda: runs.driver.exit_record(order.run),
        lambda: runs.driver.fence(order.job, 1), lambda: runs.driver.logs(order.run, 0, 0, 1),
    ]  # fmt: skip
    for call in calls:
        server.failures.append(failure)
        with pytest.raises(OutsideError):
            call()
    assert runs.see(order).seen == "absent"
    runs.driver.start(order)
    assert runs.ended(order) == 0


def test_a_start_may_fail_at_any_request_and_be_repeated(runs: Runs, server: KubeServer, tmp_path: Path) -> None:
    real, failing, counted = server.answer, 0, 0

    def breaks(method: str, url: str, body: dict[str, object] | None) -> tuple[int, bytes]:
        nonlocal counted
        status, content = real(method, url, body)
        if "/configmaps/" not in url:
            counted += 1
            if counted == failing + 1:  # it was done, and the answer got lost
                return 503, b"lost"
        return status, content

    for failing in range(6):
        counted = 0
        order = runs.order(f"echo x >> {tmp_path}/{failing}", nodes=1)
        server.answer = breaks  # type: ignore[method-assign]
        try:
            runs.driver.start(order)
        except OutsideError:
            runs.driver.start(order)
        finally:
            server.answer = real  # type: ignore[method-assign]
        assert runs.ended(order) == 0
        assert (tmp_path / str(failing)).read_text() == "x\n"


def test_changes_of_a_document_are_not_lost(driver: kubernetes.Driver) -> None:
    threads = [threading.Thread(target=driver._change, args=("job", step(n), f"run-{n}")) for n in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = driver._document("run-3")
    assert sorted(found["runs"]) == sorted(f"run-{n}" for n in range(12))


def step(number: int) -> object:
    return lambda before: wrapper.stopped(before, f"run-{number}", 1.0)


def test_accelerators_image_and_bad_nodes_are_asked_for(runs: Runs, server: KubeServer) -> None:
    server.hold_queue = True
    choice = {"silicon": "H100", "accelerators": 2.0, "cpus": 3.5, "memory_gib": 10.0, "image": "docker:team/train:1"}
    order = runs.start("true", pool="kubernetes-h100", choice=choice, avoid_nodes=("k2",), nodes=3)
    spec = job_of(server, order.run)["spec"]
    assert (spec["completionMode"], spec["completions"], spec["parallelism"]) == ("Indexed", 3, 3)  # type: ignore[index]
    pod = spec["template"]["spec"]  # type: ignore[index]
    (container,) = pod["containers"]
    assert container["image"] == "team/train:1"
    assert container["resources"]["requests"] == {"cpu": "3500m", "memory": "10240Mi", "nvidia.com/gpu": "2"}
    rules = pod["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]
    assert {tuple(r["values"]) for r in rules[0]["matchExpressions"]} == {("NVIDIA-H100-80GB-HBM3",), ("k2",)}
    assert len(server.objects["services"]) == 1
    with pytest.raises(StartRefused):
        runs.start("true", pool="kubernetes-h100", choice={"silicon": "B200", "accelerators": 1.0})


def test_capacity_is_what_pods_do_not_request(runs: Runs, driver: kubernetes.Driver, tmp_path: Path) -> None:
    runs.start(f"echo > {tmp_path}/up; {FOR_EVER}", choice={"cpus": 5.0})
    runs.file(tmp_path / "up")
    cores, chips = driver.capacity()
    assert [node.free_cpus for node in cores.nodes] == [27.0, 32.0, 32.0]
    assert (chips.id, chips.silicon, chips.nodes[0].accelerators) == ("kubernetes-h100", "H100", 4)


@pytest.mark.parametrize(
    ("text", "number"),
    [("4", 4.0), ("500m", 0.5), ("16Gi", 16 * 2**30), ("1k", 1000.0), ("2M", 2e6), (None, 0.0), ("1e3", 1000.0)],
)
def test_quantities(text: str | None, number: float) -> None:
    assert quantity(text) == number


def test_a_kubeconfig_says_who_we_are(server: KubeServer, tmp_path: Path) -> None:
    host, port = server.address
    written = {
        "current-context": "b",
        "contexts": [{"name": "a", "context": {}}, {"name": "b", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": f"http://{host}:{port}/"}}],
        "users": [{"name": "u", "user": {"token": TOKEN}}],
    }
    path = tmp_path / "kubeconfig"
    path.write_text(yaml.safe_dump(written))
    settings = kubernetes.Settings(image="x", kubeconfig=str(path))
    assert len(kubernetes.Driver(settings, SystemClock()).capacity()[0].nodes) == 3
    written["users"] = [{"name": "u", "user": {"exec": {"command": "login"}}}]
    path.write_text(yaml.safe_dump(written))
    with pytest.raises(OutsideError, match="from a program"):
        open_api(None, str(path), None, 1.0)
    ca = base64.b64encode(b"not a certificate").decode()
    written["clusters"] = [{"name": "c", "cluster": {"server": "https://x", "certificate-authority-data": ca}}]
    written["users"] = [{"name": "u", "user": {}}]
    path.write_text(yaml.safe_dump(written))
    with pytest.raises(OutsideError, match="cannot be used"):
        open_api(None, str(path), None, 1.0)


def test_outside_of_a_cluster_somebody_must_say_where_it_is() -> None:
    with pytest.raises(OutsideError, match="not in a pod"):
        kubernetes.Driver(kubernetes.Settings(image="x"), SystemClock())

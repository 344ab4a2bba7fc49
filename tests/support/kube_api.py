"""An API server of Kubernetes as far as our driver knows it, with Jobs that make pods and pods that are processes.

It stands for a real cluster where none can be had, and proves nothing about one. It keeps every request, can fail,
answer late or not at all, refuses writes of old versions, and plays the scheduler, the Job controller, the kubelet and
Kueue as their documentation describes them.
"""

from __future__ import annotations

import itertools
import json
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.support.engines import Engine

from argosy.clock import SystemClock
from argosy.run import wrapper
from argosy.run.drivers import kubernetes

TOKEN = "token-of-the-tests"
INDEX = "batch.kubernetes.io/job-completion-index"
Object = dict[str, Any]
PATH = re.compile(r"^/(?:api/v1|apis/batch/v1)(?:/namespaces/([^/]+))?/([a-z]+)(?:/([^/]+))?(?:/(log))?$")


class KubeServer:
    """The cluster's memory and its hands."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.lock = threading.RLock()
        self.objects: dict[str, dict[str, Object]] = {
            kind: {} for kind in ("jobs", "pods", "configmaps", "secrets", "services", "nodes")
        }
        self.requests: list[tuple[str, str]] = []
        self.failures: list[int] = []
        """Statuses that the next requests are answered with; 0 cuts the connection."""
        self.away: Iterator[int] | None = None
        """While it is set, every request fails with its next status, whoever asks: pods ask too."""
        self.hold_queue = False
        """Whether Kueue admits nothing."""
        self.version = 0
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.threads: list[threading.Thread] = []
        for name in ("k1", "k2", "k3"):
            room = {"cpu": "32", "memory": "64Gi", "nvidia.com/gpu": "4"}
            self.objects["nodes"][name] = {
                "metadata": {"name": name, "labels": {"nvidia.com/gpu.product": "NVIDIA-H100-80GB-HBM3"}},
                "status": {"allocatable": room, "conditions": [{"type": "Ready", "status": "True"}]},
            }

    # --- requests ---

    def answer(self, method: str, url: str, body: Object | None) -> tuple[int, bytes]:
        parts = urlsplit(url)
        match = PATH.match(parts.path)
        if match is None:
            return 404, b"{}"
        _, kind, name, log = match.groups()
        query = {key: values[0] for key, values in parse_qs(parts.query).items()}
        with self.lock:
            held = self.objects[kind]
            if log:
                path = self.folder / f"{name}.log"
                content = path.read_bytes()[: int(query.get("limitBytes", 1 << 40))] if path.exists() else b""
                return (200, content) if name in held else (404, b"{}")
            if method == "GET" and name is None:
                items = [o for o in held.values() if selected(o, query.get("labelSelector", ""))]
                return told({"items": items})
            if method == "POST":
                assert body is not None
                if body["metadata"]["name"] in held:
                    return told({"message": "already exists"}, 409)
                return told(self.create(kind, body), 201)
            if name not in held:
                return told({"message": "not found"}, 404)
            if method == "PUT":
                assert body is not None
                if body["metadata"].get("resourceVersion") != held[name]["metadata"]["resourceVersion"]:
                    return told({"message": "the object has been modified"}, 409)
                held[name] = self.stamped(body)
            elif method == "PATCH":
                assert body is not None
                merge(held[name], body)
                self.stamped(held[name])
                self.reconcile(name)
            elif method == "DELETE":
                return self.delete(kind, name, body or {})
            return told(held[name])

    def stamped(self, thing: Object) -> Object:
        self.version += 1
        thing["metadata"]["resourceVersion"] = str(self.version)
        return thing

    def create(self, kind: str, body: Object) -> Object:
        thing: Object = json.loads(json.dumps(body))
        meta = thing["metadata"]
        self.version += 1
        meta["uid"] = f"uid-{self.version}"
        meta["creationTimestamp"] = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        thing.setdefault("status", {})
        self.objects[kind][meta["name"]] = self.stamped(thing)
        if kind == "jobs":
            if "kueue.x-k8s.io/queue-name" in meta.get("labels", {}) and not self.hold_queue:
                thing["spec"]["suspend"] = False
            self.reconcile(meta["name"])
        if kind == "secrets":  # pods wait for what they mount
            for pod in list(self.objects["pods"].values()):
                self.run_pod(pod)
        return thing

    def delete(self, kind: str, name: str, options: Object) -> tuple[int, bytes]:
        thing = self.objects[kind][name]
        wanted = options.get("preconditions", {}).get("uid")
        if wanted not in (None, thing["metadata"]["uid"]):
            return told({"message": "another uid"}, 409)
        if kind == "pods":
            self.end_pod(name, options.get("gracePeriodSeconds", thing["spec"]["terminationGracePeriodSeconds"]))
        else:
            del self.objects[kind][name]
            for other in ("pods", "secrets", "services"):
                for owned, it in list(self.objects[other].items()):
                    if any(o["name"] == name for o in it["metadata"].get("ownerReferences", [])):
                        self.delete(other, owned, {})
        return told({})

    # --- Jobs ---

    def reconcile(self, name: str) -> None:
        """What the Job controller does: as many pods as are wanted, and a condition at the end."""
        job = self.objects["jobs"].get(name)
        if job is None or job["status"].get("conditions"):
            return
        spec, mine = job["spec"], [p for p in self.objects["pods"].values() if p["job"] == name]
        codes = {p["index"]: p.get("exit") for p in mine if p["status"]["phase"] in ("Succeeded", "Failed")}
        failed = [p for p in mine if p["status"]["phase"] == "Failed"]
        fatal = "podFailurePolicy" in spec and [p for p in failed if not p.get("taken")]
        if fatal or len(failed) + job.get("taken", 0) > spec["backoffLimit"]:
            self.finish(job, "Failed", "PodFailurePolicy" if fatal else "BackoffLimitExceeded")
            return
        if sum(code == 0 for code in codes.values()) == spec["completions"]:
            self.finish(job, "Complete", "")
            return
        living = {p["index"] for p in mine if p["status"]["phase"] in ("Pending", "Running")}
        if spec.get("suspend"):
            for pod in [p for p in mine if p["index"] in living]:
                self.end_pod(pod["metadata"]["name"], pod["spec"]["terminationGracePeriodSeconds"])
            return
        for index in range(spec["completions"]):
            if index not in living and codes.get(index) != 0:
                self.make_pod(job, index)

    def finish(self, job: Object, kind: str, reason: str) -> None:
        job["status"]["conditions"] = [{"type": kind, "status": "True", "reason": reason}]
        self.stamped(job)
        for pod in list(self.objects["pods"].values()):
            if pod["job"] == job["metadata"]["name"] and pod["status"]["phase"] in ("Pending", "Running"):
                self.end_pod(pod["metadata"]["name"], pod["spec"]["terminationGracePeriodSeconds"])

    def make_pod(self, job: Object, index: int) -> None:
        template = job["spec"]["template"]
        self.version += 1
        name = f"{job['metadata']['name']}-{index}-{self.version}"
        meta = {"name": name, "labels": dict(template["metadata"]["labels"]), "annotations": {INDEX: str(index)}}
        meta["ownerReferences"] = [{"kind": "Job", "name": job["metadata"]["name"]}]
        avoided = {p["spec"].get("nodeName") for p in self.objects["pods"].values() if p.get("taken")}
        node = sorted(set(self.objects["nodes"]) - avoided)[index % max(1, 3 - len(avoided))]
        pod = {"metadata": meta, "spec": json.loads(json.dumps(template["spec"])), "status": {"phase": "Pending"}}
        pod |= {"job": job["metadata"]["name"], "index": index, "node": node}
        made = self.create("pods", pod)
        made["status"]["phase"] = "Pending"
        self.run_pod(made)

    # --- pods ---

    def run_pod(self, pod: Object) -> None:
        """What the kubelet does, once all that is mounted is there."""
        name, secret = pod["metadata"]["name"], self.objects["secrets"].get(pod["job"])
        if secret is None or name in self.processes or pod["status"]["phase"] != "Pending":
            return
        root = self.folder / name
        (root / "in").mkdir(parents=True)
        for file, text in secret["stringData"].items():
            (root / "in" / file).write_text(text)
        account = root / "account"
        account.mkdir()
        (account / "token").write_text(TOKEN)
        spec = json.loads((root / "in" / "spec.json").read_text())
        spec["service_account_folder"] = str(account)
        (root / "in" / "spec.json").write_text(json.dumps(spec))
        container = pod["spec"]["containers"][0]
        command = [word.replace("/argosy", str(root)) for word in container["command"]]
        host, port = self.address
        environment = {
            "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin", "HOME": str(root), "HOSTNAME": name,
            "KUBERNETES_SERVICE_HOST": host, "KUBERNETES_SERVICE_PORT": str(port),
            "JOB_COMPLETION_INDEX": str(pod["index"]),
        }  # fmt: skip
        with (self.folder / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(
                command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        self.processes[name] = process
        pod["spec"]["nodeName"] = pod["node"]
        pod["status"] = {"phase": "Running", "conditions": []}
        self.stamped(pod)
        thread = threading.Thread(target=self.wait_pod, args=(name, process), daemon=True)
        self.threads.append(thread)
        thread.start()

    def wait_pod(self, name: str, process: subprocess.Popen[bytes]) -> None:
        process.wait()
        code = process.returncode if process.returncode >= 0 else 128 - process.returncode
        with self.lock:
            pod = self.objects["pods"].get(name)
            if pod is None:
                return
            if not pod.get("taken"):
                pod["exit"] = code
                pod["status"]["phase"] = "Succeeded" if code == 0 else "Failed"
                pod["status"]["containerStatuses"] = [{"state": {"terminated": {"exitCode": code}}}]
                self.stamped(pod)
            if pod.get("deleted"):
                del self.objects["pods"][name]
            self.reconcile(pod["job"])

    def end_pod(self, name: str, grace: float) -> None:
        pod = self.objects["pods"][name]
        process = self.processes.get(name)
        pod["deleted"] = True
        if process is None or process.poll() is not None or pod.get("taken"):
            del self.objects["pods"][name]
            if pod.get("taken"):
                job = self.objects["jobs"].get(pod["job"])
                if job is not None:
                    job["taken"] = job.get("taken", 0) + 1
                self.reconcile(pod["job"])
            return
        process.send_signal(signal.SIGTERM)
        timer = threading.Timer(grace, self.force, (process,))
        timer.daemon = True
        timer.start()

    def force(self, process: subprocess.Popen[bytes]) -> None:
        """End what has not ended; the number of a process that has may be another's by now."""
        if process.poll() is None:
            self.kill(process.pid)

    def kill(self, pid: int) -> None:
        wrapper.send([*wrapper.descendants(pid), pid], signal.SIGKILL)

    def lose_node(self, run: str, rank: int) -> None:
        """The machine under a pod dies, and the cluster notices."""
        with self.lock:
            pods = [
                p for p in self.objects["pods"].values() if p["index"] == rank and p["status"]["phase"] == "Running"
            ]
            (pod,) = [
                p for p in pods if self.objects["jobs"][p["job"]]["metadata"]["annotations"]["argosy.dev/run"] == run
            ]
            pod["taken"] = True
            reason = {"type": "DisruptionTarget", "status": "True", "reason": "DeletionByTaintManager"}
            pod["status"]["conditions"] = [reason]
            pod["status"]["phase"] = "Running" if self.keeps(pod) else "Failed"
            self.stamped(pod)
            process = self.processes[pod["metadata"]["name"]]
            self.kill(process.pid)
            if not self.keeps(pod):
                self.reconcile(pod["job"])

    def keeps(self, pod: Object) -> bool:
        return "podFailurePolicy" in self.objects["jobs"][pod["job"]]["spec"]

    # --- the server ---

    @contextmanager
    def listening(self, port: int = 0) -> Iterator[None]:
        cluster = self

        class Handler(BaseHTTPRequestHandler):
            def serve(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                body = json.loads(self.rfile.read(length)) if length else None
                with cluster.lock:
                    cluster.requests.append((self.command, self.path))
                    failure = cluster.failures.pop(0) if cluster.failures else None
                    if cluster.away is not None:
                        failure = next(cluster.away)
                if self.headers.get("Authorization") != f"Bearer {TOKEN}":
                    failure = 401
                if failure == 0:
                    self.close_connection = True
                    return
                status, content = (failure, b"broken") if failure else cluster.answer(self.command, self.path, body)
                self.send_response(status)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = serve

            def log_message(self, format: str, *args: Any) -> None:
                """Nothing is printed."""

        server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        server.daemon_threads = True
        self.address = ("127.0.0.1", int(server.server_address[1]))
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            server.server_close()
            thread.join()

    def close(self) -> None:
        for process in self.processes.values():
            if process.poll() is None:
                self.kill(process.pid)
        for thread in self.threads:
            thread.join(180)


def selected(thing: Object, selector: str) -> bool:
    labels = thing["metadata"].get("labels", {})
    for word in filter(None, selector.split(",")):
        name, equals, value = word.partition("=")
        if name not in labels or (equals and labels[name] != value):
            return False
    return True


def told(thing: Object, status: int = 200) -> tuple[int, bytes]:
    return status, json.dumps(thing).encode()


def merge(thing: Object, patch: Object) -> None:
    for key, value in patch.items():
        if isinstance(value, dict) and isinstance(thing.get(key), dict):
            merge(thing[key], value)
        else:
            thing[key] = value


def settings_of(server: KubeServer, folder: Path, **more: Any) -> kubernetes.Settings:
    token = folder / "token"
    token.write_text(TOKEN)
    host, port = server.address
    return kubernetes.Settings(
        image="python:3.12", server=f"http://{host}:{port}", token_file=str(token), poll_seconds=0.2,
        silicon={"NVIDIA-H100-80GB-HBM3": "H100"}, timeout_seconds=120.0, **more,
    )  # fmt: skip


@contextmanager
def kube_engine(folder: Path) -> Iterator[Engine]:
    server = KubeServer(folder / "pods")
    (folder / "pods").mkdir()
    with server.listening():
        settings = settings_of(server, folder, queue="research")

        @contextmanager
        def unreachable() -> Iterator[None]:
            with server.lock:
                server.away = itertools.cycle([503, 0, 500, 429])
            try:
                yield
            finally:
                with server.lock:
                    server.away = None

        try:
            yield Engine(
                name="kubernetes",
                pool="kubernetes",
                driver=lambda: kubernetes.Driver(settings, SystemClock()),
                unreachable=unreachable,
                kill_node=lambda driver, run, rank: server.lose_node(run, rank),
                mounts=False,
                forgets=True,
            )
        finally:
            server.close()
    shutil.rmtree(folder / "pods", ignore_errors=True)

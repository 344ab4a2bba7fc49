"""Kubernetes driver: a run is an indexed Job, admitted by Kueue where a queue is named.

It was never run against a real cluster: its tests use an API server that we emulate ourselves, with pods that are
processes. Exit records and fences of a job are one ConfigMap that pods change on the condition that nobody else did,
so their service account needs `get` and `update` of ConfigMaps. Scripts and values of secrets reach pods through a
Secret that the Job owns.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt

from argosy.clock import Clock
from argosy.errors import OutsideError
from argosy.model.job import ExitRecord
from argosy.record import Id, Record, Text
from argosy.run import wrapper
from argosy.run.driver import EnginePool, Node, NodeSeen, Observation, Order, Resource, Seen
from argosy.run.drivers._folder import exit_record, written
from argosy.run.drivers._kube_api import Object, open_api, quantity
from argosy.run.drivers._orders import check, never, no_capacity

QUEUE_LABEL = "kueue.x-k8s.io/queue-name"
INDEX_LABEL = "batch.kubernetes.io/job-completion-index"
_OURS = "argosy.dev"
_FOLDER = "/argosy"
_LABELLED_RUNS = 40  # of one job, so that its ConfigMap finds them


class Settings(Record):
    """A Kubernetes cluster as an engine."""

    kind: Literal["kubernetes"] = "kubernetes"
    """Driver."""
    image: Text
    """Container image of tasks that name none; it needs Python 3.8 and a shell."""
    kubeconfig: Text | None = None
    """kubeconfig whose current context is used. None: `server`, or as a pod of the cluster."""
    server: Text | None = None
    """Address of the API server, for example of `kubectl proxy`."""
    token_file: Text | None = None
    """File with a token for `server`."""
    namespace: Id = "default"
    """Namespace of everything."""
    queue: Id | None = None
    """Kueue LocalQueue; None: jobs start without admission by Kueue."""
    service_account: Id | None = None
    """Service account of pods; it needs `get` and `update` of ConfigMaps."""
    pool: Id = "kubernetes"
    """Pool of cores; accelerators are in `<pool>-<silicon>`."""
    vendor: Id = "kubernetes"
    """Vendor of its pools."""
    region: Id = "kubernetes"
    """Region of its pools."""
    tag: Id = "argosy"
    """Mark of our objects; two servers in one namespace need two."""
    accelerator_resource: Text = "nvidia.com/gpu"
    """Resource that counts accelerators."""
    silicon_label: Text = "nvidia.com/gpu.product"
    """Label of nodes that names their type of chip."""
    silicon: dict[str, str] = {}
    """Value of that label to our name of the chip; values that are absent keep their name."""
    cpus_unsaid: Annotated[float, Gt(0)] = 1.0
    """Cores requested for a node of a task that names none."""
    memory_unsaid_gib: Annotated[float, Gt(0)] = 1.0
    """Memory requested for a node of a task that names none."""
    longest_grace_seconds: Annotated[float, Ge(0)] = 120.0
    """Longest grace time that a stop can give."""
    keep_seconds: Annotated[int, Ge(0)] = 86_400
    """How long Kubernetes keeps ended Jobs, and with them logs."""
    timeout_seconds: Annotated[float, Gt(0)] = 30.0
    """How long an answer may take."""
    poll_seconds: Annotated[float, Gt(0)] = 15.0
    """How often a pod looks whether it was superseded."""


class Driver:
    """Starts runs as Jobs of a Kubernetes cluster."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self.settings, self.clock = settings, clock
        self.api = open_api(settings.server, settings.kubeconfig, settings.token_file, settings.timeout_seconds)
        self._core = f"/api/v1/namespaces/{settings.namespace}"
        self._jobs_path = f"/apis/batch/v1/namespaces/{settings.namespace}/jobs"
        self._mine = f"?labelSelector={_OURS}/tag%3D{settings.tag}"

    # --- names and documents ---

    def _name(self, run: str) -> str:
        return f"{self.settings.tag[:20].strip('._/-').replace('_', '-').replace('.', '-')}-{_short(run)}"

    def _document_name(self, job: str) -> str:
        return f"{self._name(job)}-job"

    def _change(
        self, job: str, step: Callable[[wrapper.Document], wrapper.Document], run: str | None = None
    ) -> wrapper.Document:
        """Change a job's document, made when absent; others may change it at the same time."""
        name = self._document_name(job)
        path = f"{self._core}/configmaps"
        for _ in range(100):
            found = self.api.get(f"{path}/{name}")
            fresh = found is None
            config: Object = found or {
                "apiVersion": "v1", "kind": "ConfigMap",
                "metadata": {"name": name, "labels": self._labels(), "annotations": {f"{_OURS}/job": job}},
                "data": {"document": "{}"},
            }  # fmt: skip
            before = json.loads(config["data"]["document"])
            after = step(before)
            labels = dict(config["metadata"].get("labels", {}))
            if run is not None and f"{_OURS}/run-{_short(run)}" not in labels:
                runs = [label for label in labels if label.startswith(f"{_OURS}/run-")]
                for label in runs[: max(0, len(runs) - _LABELLED_RUNS)]:
                    del labels[label]
                labels[f"{_OURS}/run-{_short(run)}"] = "1"
            elif after == before and not fresh:
                return after
            made = config | {
                "metadata": config["metadata"] | {"labels": labels},
                "data": {"document": json.dumps(after)},
            }
            status, answer = self.api.ask("POST" if fresh else "PUT", path if fresh else f"{path}/{name}", made)
            if status < 300:
                return after
            if status not in (404, 409):
                raise OutsideError(f"the document of {job}: {status} {answer}")
        raise OutsideError(f"the document of {job} changes all the time")

    def _labels(self) -> dict[str, str]:
        return {f"{_OURS}/tag": self.settings.tag}

    def _document(self, run: str) -> wrapper.Document:
        """The document of the job that a run belongs to; empty when the run is unknown."""
        found = self.api.items(f"{self._core}/configmaps?labelSelector={_OURS}/run-{_short(run)}")
        for config in found:
            document: wrapper.Document = json.loads(config["data"]["document"])
            return document
        return {}

    # --- capacity ---

    def capacity(self) -> tuple[EnginePool, ...]:
        """Nodes with what their pods do not request. Quotas of Kueue are not looked at: a job over quota waits."""
        settings = self.settings
        used: dict[str, list[float]] = {}
        for pod in self.api.items("/api/v1/pods"):
            node = pod.get("spec", {}).get("nodeName")
            if node is None or pod.get("status", {}).get("phase") in ("Succeeded", "Failed"):
                continue
            sums = used.setdefault(node, [0.0, 0.0])
            for container in pod["spec"].get("containers", []):
                wanted = container.get("resources", {}).get("requests", {})
                sums[0] += quantity(wanted.get("cpu"))
                sums[1] += quantity(wanted.get(settings.accelerator_resource))
        pools: dict[str | None, list[Node]] = {None: []}
        for machine in self.api.items("/api/v1/nodes"):
            name, room = machine["metadata"]["name"], machine["status"]["allocatable"]
            cpus, chips = quantity(room.get("cpu")), quantity(room.get(settings.accelerator_resource))
            taken = used.get(name, [0.0, 0.0])
            label = machine["metadata"].get("labels", {}).get(settings.silicon_label)
            silicon = settings.silicon.get(label, label) if label and chips else None
            for kind in (None, silicon) if silicon else (None,):
                node = Node(
                    id=name,
                    ready=_is(machine, "Ready") and not machine.get("spec", {}).get("unschedulable", False),
                    accelerators=chips if kind else 0.0,
                    free_accelerators=max(0.0, chips - taken[1]) if kind else 0.0,
                    cpus=cpus,
                    free_cpus=max(0.0, cpus - taken[0]),
                    memory_gib=quantity(room.get("memory")) / 2**30 or None,
                )
                pools.setdefault(kind, []).append(node)
        return tuple(
            EnginePool(
                id=settings.pool if silicon is None else f"{settings.pool}-{_plain(silicon)}",
                vendor=settings.vendor,
                region=settings.region,
                silicon=silicon,
                nodes=tuple(nodes),
            )
            for silicon, nodes in pools.items()
        )

    # --- start ---

    def start(self, order: Order) -> None:
        """Make the document, the Job, and what its pods mount; each only when it is not there."""
        check(order, "the Kubernetes driver", image=True, instance_type=False, spot=False, mounts=False)
        name = self._name(order.run)
        job = self.api.get(f"{self._jobs_path}/{name}")
        if job is None:
            pool = self._pool(order)
            document = self._change(order.job, lambda before: wrapper.fenced(before, order.epoch), order.run)
            if document["epoch"] > order.epoch:
                raise never("Superseded", f"job {order.job} is at epoch {document['epoch']}, not {order.epoch}")
            if exit_record(document, order.run) is not None:
                return
            status, job = self.api.ask("POST", self._jobs_path, self._manifest(order, pool))
            if status == 409:
                job = self.api.get(f"{self._jobs_path}/{name}")
            elif status >= 400:
                words = str(job.get("message") if isinstance(job, dict) else job)
                raise no_capacity(words) if "quota" in words else never("Refused", words)
        if job is None or _condition(job):
            return
        owner = {"apiVersion": "batch/v1", "kind": "Job", "name": name, "uid": job["metadata"]["uid"]}
        meta = {"name": name, "labels": self._labels(), "ownerReferences": [owner]}
        objects = [("secrets", {"kind": "Secret", "stringData": self._files(order)})]
        if order.task.nodes > 1:
            # Gives pods names that the others can resolve.
            spec = {
                "clusterIP": "None",
                "publishNotReadyAddresses": True,
                "selector": {f"{_OURS}/run": _short(order.run)},
            }
            objects.append(("services", {"kind": "Service", "spec": spec}))
        for plural, body in objects:
            status, answer = self.api.ask(
                "POST", f"{self._core}/{plural}", {"apiVersion": "v1", "metadata": meta} | body
            )
            if status >= 400 and status != 409:
                raise OutsideError(f"{plural} of {order.run}: {status} {answer}")

    def _pool(self, order: Order) -> EnginePool:
        pools = {pool.id: pool for pool in self.capacity()}
        choice = order.choice
        if order.pool not in pools:
            raise never("PoolUnknown", f"pool {order.pool} is not one of {', '.join(pools)}")
        pool = pools[order.pool]
        if choice.accelerators and (
            pool.silicon is None or (choice.silicon and choice.silicon.lower() != pool.silicon.lower())
        ):
            raise never("NoSuchSilicon", f"pool {order.pool} has no {choice.silicon or 'accelerators'}")
        cpus = choice.cpus or self.settings.cpus_unsaid
        if not any(n.cpus >= cpus and n.accelerators >= choice.accelerators for n in pool.nodes) and pool.nodes:
            raise never("TooLarge", f"no node of {pool.id} has {cpus:g} cores and {choice.accelerators:g} accelerators")
        return pool

    def _files(self, order: Order) -> dict[str, str]:
        """What a pod mounts: the wrapper, the order, the scripts, the secrets."""
        name, task = self._name(order.run), order.task
        addresses = [f"{name}-{rank}.{name}.{self.settings.namespace}.svc" for rank in range(task.nodes)]
        spec = written(order) | {
            "namespace": self.settings.namespace,
            "config_map": self._document_name(order.job),
            "addresses": addresses if task.nodes > 1 else None,
            "log_to_file": False,
            "inherit": True,
            "poll_seconds": self.settings.poll_seconds,
        }
        files = {"spec.json": json.dumps(spec), "wrapper.py": Path(wrapper.__file__).read_text("utf-8")}
        files |= {f"{n}.sh": text + "\n" for n, text in (("setup", task.setup), ("run", task.run)) if text is not None}
        values = {secret: value.get_secret_value() for secret, value in order.secrets.items()}
        return files | ({"secrets.json": json.dumps(values)} if values else {})

    def _manifest(self, order: Order, pool: EnginePool) -> Object:
        """The Job."""
        settings, task, choice = self.settings, order.task, order.choice
        name, short = self._name(order.run), _short(order.run)
        labels = self._labels() | {f"{_OURS}/run": short}
        wanted: dict[str, str] = {
            "cpu": f"{math.ceil((choice.cpus or settings.cpus_unsaid) * 1000)}m",
            "memory": f"{math.ceil((choice.memory_gib or settings.memory_unsaid_gib) * 1024)}Mi",
        }
        if choice.accelerators:
            wanted[settings.accelerator_resource] = str(math.ceil(choice.accelerators))
        if choice.disk_gib is not None:
            wanted["ephemeral-storage"] = f"{math.ceil(choice.disk_gib * 1024)}Mi"
        steps = f"mkdir -p {_FOLDER}/run && cp -L {_FOLDER}/in/* {_FOLDER}/run/ && exec python3 -I -S"
        pod: Object = {
            "restartPolicy": "Never",
            "subdomain": name,
            "terminationGracePeriodSeconds": math.ceil(settings.longest_grace_seconds),
            "containers": [
                {
                    "name": "work",
                    "image": (choice.image or settings.image).removeprefix("docker:"),
                    "command": ["sh", "-c", f"{steps} {_FOLDER}/run/wrapper.py {_FOLDER}/run JOB_COMPLETION_INDEX 1"],
                    "resources": {"requests": wanted, "limits": {k: v for k, v in wanted.items() if k != "cpu"}},
                    "volumeMounts": [
                        {"name": "in", "mountPath": f"{_FOLDER}/in", "readOnly": True},
                        {"name": "run", "mountPath": f"{_FOLDER}/run"},
                    ],
                }
            ],
            "volumes": [
                {"name": "in", "secret": {"secretName": name, "defaultMode": 0o400}},
                # In memory: a copy of the secrets stands here until the wrapper has read it.
                {"name": "run", "emptyDir": {"medium": "Memory"}},
            ],
        }
        if settings.service_account is not None:
            pod["serviceAccountName"] = settings.service_account
        rules = []
        if choice.accelerators and pool.silicon is not None:
            chips = [label for label, ours in settings.silicon.items() if ours == pool.silicon] or [pool.silicon]
            rules.append({"key": settings.silicon_label, "operator": "In", "values": chips})
        if order.avoid_nodes:
            rules.append({"key": "kubernetes.io/hostname", "operator": "NotIn", "values": sorted(order.avoid_nodes)})
        if rules:
            terms = {"nodeSelectorTerms": [{"matchExpressions": rules}]}
            pod["affinity"] = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": terms}}
        keep = task.placement.keep_healthy_nodes
        spec: Object = {
            "completionMode": "Indexed",
            "completions": task.nodes,
            "parallelism": task.nodes,
            # A pod that was taken away may come back only where the task allows it; one that failed never does.
            "backoffLimit": 100 if keep else 0,
            "ttlSecondsAfterFinished": settings.keep_seconds,
            "suspend": settings.queue is not None,
            "template": {"metadata": {"labels": labels}, "spec": pod},
        }
        if keep:
            failed = {"containerName": "work", "operator": "NotIn", "values": [0]}
            spec["podFailurePolicy"] = {"rules": [{"action": "FailJob", "onExitCodes": failed}]}
        if settings.queue is not None:
            labels = labels | {QUEUE_LABEL: settings.queue}
        notes = {f"{_OURS}/run": order.run, f"{_OURS}/job": order.job, f"{_OURS}/epoch": str(order.epoch)}
        meta = {"name": name, "labels": labels, "annotations": notes}
        return {"apiVersion": "batch/v1", "kind": "Job", "metadata": meta, "spec": spec}

    def replace_node(self, order: Order, rank: int) -> None:
        """Delete the pod of a lost rank for good; the Job makes another, elsewhere."""
        if not order.task.placement.keep_healthy_nodes:
            raise never("NotReplaceable", "the Job was made to end with its first lost node")
        job = self.api.get(f"{self._jobs_path}/{self._name(order.run)}")
        if job is None or _condition(job):
            raise never("RunOver", f"{order.run} is not running here")
        for pod in self._pods(order.run):
            if _index(pod) == rank and _lost(pod):
                body = {"gracePeriodSeconds": 0, "preconditions": {"uid": pod["metadata"]["uid"]}}
                status, answer = self.api.ask("DELETE", f"{self._core}/pods/{pod['metadata']['name']}", body)
                if status >= 400 and status not in (404, 409):
                    raise OutsideError(f"the lost pod of {order.run}: {status} {answer}")

    # --- watch ---

    def _pods(self, run: str | None = None) -> list[Object]:
        """Pods of a run or of all runs, oldest first."""
        more = "" if run is None else f",{_OURS}/run%3D{_short(run)}"
        found = self.api.items(f"{self._core}/pods{self._mine}{more}")
        return sorted(found, key=lambda pod: str(pod["metadata"].get("creationTimestamp", "")))

    def observe(self, runs: Sequence[str]) -> dict[str, Observation]:
        """What Jobs and pods say; two questions for all runs, one more for each that has ended or was suspended."""
        jobs = {j["metadata"]["annotations"][f"{_OURS}/run"]: j for j in self.api.items(self._jobs_path + self._mine)}
        pods: dict[str, list[Object]] = {}
        for pod in self._pods():
            pods.setdefault(pod["metadata"]["labels"][f"{_OURS}/run"], []).append(pod)
        return {run: self._observe(run, jobs.get(run), pods.get(_short(run), [])) for run in runs}

    def _observe(self, run: str, job: Object | None, pods: list[Object]) -> Observation:
        if job is None:
            return Observation(run=run, seen="absent")
        newest = {_index(pod): pod for pod in pods}
        nodes = tuple(_node_seen(rank, pod) for rank, pod in sorted(newest.items()) if pod["spec"].get("nodeName"))
        condition = _condition(job)
        running = any(node.state == "running" for node in nodes)
        suspended = bool(job["spec"].get("suspend"))
        document = self._document(run) if condition or suspended else {}
        record = exit_record(document, run)
        ranks = document.get("runs", {}).get(run, {}).get("ranks", {})
        asked = f"{_OURS}/stopped" in job["metadata"].get("annotations", {})
        # Kueue suspends what it preempts. The run does not come back to life: its ranks refuse to begin again.
        finished = record is not None and record.exit_code == 0
        preempted = suspended and not asked and not finished and bool(ranks or nodes)
        seen: Seen = "queued"
        if record is not None or condition or ((preempted or asked) and not running):
            seen = "ended"
        elif nodes:
            seen = "running"
        failed = next((r["exit_code"] for r in ranks.values() if r["exit_code"]), None)
        reasons = {reason for pod in pods for reason in [_disrupted(pod)] if reason}
        return Observation(
            run=run,
            seen=seen,
            nodes=nodes,
            exit_code=record.exit_code if record is not None else failed if seen == "ended" else None,
            preempted=preempted or "PreemptionByScheduler" in reasons,
            node_failed=record is None and any(node.state == "lost" for node in nodes),
            message="; ".join(
                [*([condition] if condition else []), *sorted(reasons), *(["suspended"] if suspended else [])]
            ),
        )

    def exit_record(self, run: str) -> ExitRecord | None:
        """The exit record in the job's ConfigMap; it stays when Job and pods are gone."""
        return exit_record(self._document(run), run)

    def fence(self, job: str, epoch: int) -> None:
        """Write the epoch into the job's ConfigMap."""
        self._change(job, lambda before: wrapper.fenced(before, epoch))

    def stop(self, run: str, grace_seconds: float) -> None:
        """Suspend the Job, so that nothing new starts, and delete its pods with the grace time; then delete the Job.

        Returns at once. The node sees to force. The Job is deleted by the call that finds no pods.
        """
        path = f"{self._jobs_path}/{self._name(run)}"
        job = self.api.get(path)
        if job is None or _condition(job):
            return
        name = job["metadata"]["annotations"][f"{_OURS}/job"]
        self._change(name, lambda before: wrapper.stopped(before, run, grace_seconds), run)
        notes = {"annotations": {f"{_OURS}/stopped": "yes"}}
        self.api.ask("PATCH", path, {"metadata": notes, "spec": {"suspend": True}}, patch=True)
        left = [pod for pod in self._pods(run) if pod["status"].get("phase") not in ("Succeeded", "Failed")]
        for pod in left:
            # Some time more than the work has, for the wrapper to write the record.
            body = {"gracePeriodSeconds": math.ceil(grace_seconds) + 5}
            self.api.ask("DELETE", f"{self._core}/pods/{pod['metadata']['name']}", body)
        if not left:
            self.api.ask("DELETE", path, {"propagationPolicy": "Background"})

    def logs(self, run: str, rank: int, offset: int, limit: int) -> bytes:
        """A piece of what a pod printed. Kubernetes reads logs from their beginning only, so late pieces cost more."""
        pods = [pod for pod in self._pods(run) if _index(pod) == rank]
        if not pods:
            return b""
        wanted = max(0, offset) + max(0, limit)
        path = f"{self._core}/pods/{pods[-1]['metadata']['name']}/log?container=work&limitBytes={max(1, wanted)}"
        status, content = self.api.ask("GET", path, raw=True)
        return bytes(content)[max(0, offset) : wanted] if status < 300 else b""

    def logs_from(self, run: str, rank: int) -> int | None:
        """The first byte: what is kept, and for how long, is for the engine to say."""
        return 0

    def list_by_tag(self) -> tuple[Resource, ...]:
        """Jobs of ours that wait or have pods."""
        held = {pod["metadata"]["labels"][f"{_OURS}/run"] for pod in self._pods() if not _over(pod)}
        found = []
        for job in self.api.items(self._jobs_path + self._mine):
            notes = job["metadata"]["annotations"]
            pods = _short(notes[f"{_OURS}/run"]) in held
            if pods or not (_condition(job) or f"{_OURS}/stopped" in notes):
                since = job["metadata"].get("creationTimestamp")
                when = None if since is None else datetime.fromisoformat(since.replace("Z", "+00:00"))
                found.append(
                    Resource(run=notes[f"{_OURS}/run"], reference=f"job {job['metadata']['name']}", since=when)
                )
        return tuple(found)

    def close(self) -> None:
        """Nothing is held."""


def _short(id: str) -> str:
    """A name for an id that Kubernetes takes, the same for the same id."""
    return hashlib.sha256(id.encode()).hexdigest()[:24]


def _plain(name: str) -> str:
    return "".join(letter if letter.isalnum() or letter in "._-" else "-" for letter in name.lower())


def _is(thing: Object, kind: str) -> bool:
    conditions = thing.get("status", {}).get("conditions") or []
    return any(c["type"] == kind and c["status"] == "True" for c in conditions)


def _condition(job: Object) -> str:
    """How a Job ended, in its own words; empty while it has not."""
    for condition in job.get("status", {}).get("conditions") or []:
        if condition["type"] in ("Complete", "Failed") and condition["status"] == "True":
            return " ".join(str(condition[k]) for k in ("type", "reason", "message") if condition.get(k))
    return ""


def _index(pod: Object) -> int:
    meta = pod["metadata"]
    return int(meta.get("annotations", {}).get(INDEX_LABEL) or meta.get("labels", {}).get(INDEX_LABEL) or 0)


def _over(pod: Object) -> bool:
    return pod.get("status", {}).get("phase") in ("Succeeded", "Failed")


def _disrupted(pod: Object) -> str:
    """Why Kubernetes took a pod away; empty when it did not."""
    for condition in pod.get("status", {}).get("conditions") or []:
        if condition["type"] == "DisruptionTarget" and condition["status"] == "True":
            return str(condition.get("reason") or "DisruptionTarget")
    return ""


def _lost(pod: Object) -> bool:
    gone = ("DeletionByTaintManager", "DeletionByPodGC", "TerminationByKubelet")
    return pod.get("status", {}).get("reason") == "NodeLost" or _disrupted(pod) in gone


def _node_seen(rank: int, pod: Object) -> NodeSeen:
    status: dict[str, Any] = pod.get("status", {})
    codes = [
        state["state"]["terminated"].get("exitCode") for state in status.get("containerStatuses") or []
        if "terminated" in state.get("state", {})
    ]  # fmt: skip
    state: Literal["running", "ended", "lost"] = "lost" if _lost(pod) else "ended" if _over(pod) else "running"
    code = codes[0] if codes and state == "ended" else None
    return NodeSeen(rank=rank, node=pod["spec"]["nodeName"], state=state, exit_code=code)

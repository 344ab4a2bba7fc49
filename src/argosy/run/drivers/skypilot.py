"""SkyPilot driver: a run is one SkyPilot cluster with one job, provisioned on public clouds through SkyPilot's SDK.

It was never run against the real service: its tests use a stand-in for the few calls of the SDK in `Sky`. Nodes share
no folder with us, so the exit record is made here, from the job's status and the last line of its log, when the end is
seen; a cluster is kept for `keep_minutes` after its end for that. A superseded run is fenced here, not on its nodes.
"""

from __future__ import annotations

import hashlib
import importlib
import io
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, Protocol

from annotated_types import Ge

from argosy.clock import Clock
from argosy.errors import ArgosyError, OutsideError
from argosy.model.job import ExitRecord
from argosy.record import Id, Record, Text
from argosy.run import wrapper
from argosy.run.driver import EnginePool, NodeSeen, Observation, Order, Resource, Seen
from argosy.run.drivers._folder import Document, InFolders, RunFolders, written
from argosy.run.drivers._orders import inside, never

_EXIT = re.compile(rb"\[argosy\] exit (\d+)\s*$", re.MULTILINE)
_RANK = re.compile(rb"^\((?:head|worker\d*|[\w-]+), rank=(\d+), pid=\d+\) ?")
_WAITING = {"INIT", "PENDING", "SETTING_UP"}
_ENDED = {"SUCCEEDED", "FAILED", "FAILED_SETUP", "FAILED_DRIVER", "CANCELLED"}


class SkyPool(Record):
    """Capacity that SkyPilot may provision."""

    id: Id
    """Pool."""
    vendor: Id
    """Vendor, by our id."""
    region: Id
    """Region."""
    infra: Text
    """The same in SkyPilot's words: cloud, cloud/region or cloud/region/zone."""
    silicon: Text | None = None
    """Type of chip; None for machines without."""
    spot: bool = False
    """Whether its machines may be taken away."""
    nodes: Annotated[int, Ge(0)] = 0
    """Machines that it would provision at most."""
    paid: bool = False
    """Whether they are paid for whether used or not (a reservation); otherwise only while they are up."""
    usd_per_hour: Annotated[float, Ge(0)] | None = None
    """Price of one accelerator-hour (core-hour without accelerators)."""


class Settings(Record):
    """SkyPilot as an engine."""

    kind: Literal["skypilot"] = "skypilot"
    """Driver."""
    folder: Text
    """Absolute path of a folder of ours, where orders and exit records are kept."""
    pools: tuple[SkyPool, ...]
    """What may be provisioned; SkyPilot itself tells no capacity."""
    tag: Id = "argosy"
    """First word of the names of our clusters."""
    keep_minutes: Annotated[int, Ge(1)] = 60
    """How long an ended cluster is kept for its result to be read."""


class Sky(Protocol):
    """The few things that are asked of SkyPilot."""

    def launch(self, cluster: str, task: Mapping[str, Any], keep_minutes: int) -> None:
        """Begin to provision a cluster and run a task on it."""

    def clusters(self) -> list[Mapping[str, Any]]:
        """`name`, `status` and `launched_at` (seconds since 1970) of all clusters."""

    def jobs(self, cluster: str) -> list[Mapping[str, Any]]:
        """`job_id` and `status` of the jobs of a cluster."""

    def cancel(self, cluster: str) -> None:
        """End its jobs."""

    def down(self, cluster: str) -> None:
        """Give its machines back."""

    def logs(self, cluster: str) -> bytes:
        """Output of its newest job, all ranks together."""


class SdkMissing(ArgosyError):
    """SkyPilot's SDK is not installed; install it beside Argosy with `pip install skypilot`."""

    code = "run.skypilot_missing"


class _Sdk:
    """The SDK itself."""

    def __init__(self) -> None:
        try:
            self.sky: Any = importlib.import_module("sky")
        except ImportError as error:
            raise SdkMissing(
                "the skypilot driver needs SkyPilot's SDK, which is not an extra of ours: pip install skypilot"
            ) from error

    def launch(self, cluster: str, task: Mapping[str, Any], keep_minutes: int) -> None:
        made = self.sky.Task.from_yaml_config(dict(task))
        # The request goes on at SkyPilot's server; provisioning takes minutes and is watched, not waited for.
        self.sky.launch(made, cluster_name=cluster, idle_minutes_to_autostop=keep_minutes, down=True)

    def clusters(self) -> list[Mapping[str, Any]]:
        return [_plain(cluster) for cluster in self.sky.get(self.sky.status())]

    def jobs(self, cluster: str) -> list[Mapping[str, Any]]:
        return [_plain(job) for job in self.sky.get(self.sky.queue(cluster))]

    def cancel(self, cluster: str) -> None:
        self.sky.get(self.sky.cancel(cluster, all=True))

    def down(self, cluster: str) -> None:
        self.sky.down(cluster)

    def logs(self, cluster: str) -> bytes:
        text = io.StringIO()
        self.sky.tail_logs(cluster, None, follow=False, output_stream=text)
        return text.getvalue().encode()


class Driver(InFolders):
    """Starts runs as clusters of SkyPilot."""

    def __init__(self, settings: Settings, clock: Clock, sky: Sky | None = None) -> None:
        self.settings, self.clock = settings, clock
        self.folders = RunFolders(settings.folder, make=True)
        self.sky: Sky = sky if sky is not None else _Sdk()

    def _ask(self, what: str, *arguments: Any) -> Any:
        """Call SkyPilot; whatever it raises is an outside error, for it has many words for silence."""
        try:
            return getattr(self.sky, what)(*arguments)
        except Exception as error:
            raise OutsideError(f"SkyPilot {what}: {type(error).__name__}: {error}") from error

    def _cluster(self, run: str) -> str:
        plain = re.fullmatch(r"[a-z0-9-]{1,30}", run)
        return f"{self.settings.tag}-{run if plain else hashlib.sha256(run.encode()).hexdigest()[:24]}"

    def capacity(self) -> tuple[EnginePool, ...]:
        """The pools of the settings; SkyPilot is asked whether it is there."""
        self._ask("clusters")
        return tuple(
            EnginePool(
                id=pool.id, vendor=pool.vendor, region=pool.region, silicon=pool.silicon, spot=pool.spot, nodes=(),
                elastic_nodes=pool.nodes, usd_per_hour=pool.usd_per_hour, paid=pool.paid,
            )
            for pool in self.settings.pools
        )  # fmt: skip

    def start(self, order: Order) -> None:
        """Launch a cluster with the run's name, unless there is one or the run was launched before."""
        pool = next((pool for pool in self.settings.pools if pool.id == order.pool), None)
        if pool is None:
            raise never(
                "PoolUnknown", f"pool {order.pool} is not one of {', '.join(p.id for p in self.settings.pools)}"
            )
        if order.choice.spot and not pool.spot:
            raise never("SpotUnsupported", f"spot capacity: pool {pool.id} has none")
        if order.task.nodes > pool.nodes:
            raise never("TooLarge", f"{order.task.nodes} machines are more than the {pool.nodes} of {pool.id}")
        for field, path in [
            ("workdir", order.task.workdir or "."),
            *(("file_mounts", t) for t in order.task.file_mounts),
        ]:
            inside(field, path)
        missing = sorted(set(order.task.secrets) - set(order.secrets))
        if missing:
            raise never("SecretsMissing", f"secrets without a value: {', '.join(missing)}")
        cluster = self._cluster(order.run)
        with self.folders.lock(self.folders.start_lock(order.run)):
            present = cluster in {entry["name"] for entry in self._ask("clusters")}
            spec = self.folders.prepare(order, {"pool": order.pool, "cluster": cluster})
            if present or self.folders.record(order.run) is not None or spec["run"] in self._launched():
                return
            self._ask("launch", cluster, task_of(order, pool), self.settings.keep_minutes)
            wrapper.write_durably(self.folders.run(order.run) / "launched", cluster)

    def _launched(self) -> set[str]:
        return {run for run in self.folders.live() if (self.folders.run(run) / "launched").exists()}

    def replace_node(self, order: Order, rank: int) -> None:
        """Refused: SkyPilot replaces clusters, not machines."""
        raise never("NotReplaceable", f"rank {rank} of {order.run}: SkyPilot clusters are replaced as a whole")

    def observe(self, runs: Sequence[str]) -> dict[str, Observation]:
        """What SkyPilot says; one question for all clusters and one for the job of each that is up."""
        clusters = {entry["name"]: entry for entry in self._ask("clusters")}
        return {run: self._observe(run, clusters.get(self._cluster(run))) for run in runs}

    def _observe(self, run: str, cluster: Mapping[str, Any] | None) -> Observation:
        spec = self.folders.spec(run)
        if spec is None:
            return Observation(run=run, seen="absent" if cluster is None else "queued")
        record = self.folders.record(run)
        if record is not None:
            return Observation(run=run, seen="ended", exit_code=record.exit_code)
        if cluster is None:
            # Its machines were given back or taken away before the end was seen; or the launch never arrived.
            return Observation(run=run, seen="absent", preempted=self._spot(spec), message="no such cluster")
        status, jobs = _word(cluster["status"]), []
        if status == "UP":
            jobs = sorted(self._ask("jobs", cluster["name"]), key=lambda job: int(job["job_id"]))
        state = _word(jobs[-1]["status"]) if jobs else ""
        seen: Seen = "queued" if not state or state in _WAITING else "ended" if state in _ENDED else "running"
        code = None
        if seen == "ended":
            code = self._commit(run, spec, state, cluster["name"])
        stopped = status == "STOPPED"
        node: Literal["running", "ended", "lost"] = "lost" if stopped else "running" if seen == "running" else "ended"
        nodes = [NodeSeen(rank=n, node=f"{cluster['name']}-{n}", state=node) for n in range(spec["nodes"])]
        return Observation(
            run=run,
            seen="ended" if stopped else seen,
            nodes=tuple(nodes) if seen != "queued" or stopped else (),
            exit_code=code,
            preempted=stopped and self._spot(spec),
            node_failed=stopped and not self._spot(spec),
            message=f"SkyPilot: cluster {status}, job {state or 'not there yet'}",
        )

    def _spot(self, spec: Document) -> bool:
        return any(pool.spot for pool in self.settings.pools if pool.id == spec["pool"])

    def _commit(self, run: str, spec: Document, state: str, cluster: str) -> int | None:
        """Make the exit record of an ended job, give its machines back, and give its code; None when there is none.

        A job that did not succeed has a code other than 0: what its log says, else 143 if it was cancelled, else 1.
        """
        log = self._ask("logs", cluster)
        codes = [int(code) for code in _EXIT.findall(log)]
        unsaid = 0 if state == "SUCCEEDED" else wrapper.STOPPED if state == "CANCELLED" else 1
        code = next((said for said in codes if said), unsaid)
        wrapper.write_durably(self.folders.run(run) / "0.log", log.decode("utf-8", "replace"))
        now = self.clock.now().astimezone(UTC).isoformat()
        ended = {"attempt": 1, "exit_code": code, "finished_at": now, "manifest_hash": None, "stopped_by": None}
        whole = spec | {"nodes": 1}  # SkyPilot speaks of the job as one
        self.folders.job(spec["job"]).change(lambda before: wrapper.committed(before, whole, 0, ended))
        self.folders.release(run)
        self._ask("down", cluster)
        return code

    def exit_record(self, run: str) -> ExitRecord | None:
        """The exit record, made on the spot when the job has ended and nobody looked yet."""
        spec = self.folders.spec(run)
        record = self.folders.record(run)
        if spec is not None and record is None:
            self.observe([run])
            record = self.folders.record(run)
        return record

    def fence(self, job: str, epoch: int) -> None:
        """Keep the epoch: ends of lower epochs are recorded as superseded. Nodes are not told."""
        self.folders.fence(job, epoch)

    def stop(self, run: str, grace_seconds: float) -> None:
        """Cancel the job and give the machines back when its end is seen. SkyPilot has a grace time of its own."""
        cluster = self._cluster(run)
        clusters = {entry["name"]: entry for entry in self._ask("clusters")}
        if cluster not in clusters:
            if self.folders.spec(run) is not None:
                self.folders.release(run)
            return
        seen = self.observe([run])[run].seen
        if seen == "running":
            self._ask("cancel", cluster)
            self.observe([run])
        elif seen != "ended" or self.folders.record(run) is None:
            self._ask("down", cluster)

    def logs(self, run: str, rank: int, offset: int, limit: int) -> bytes:
        """A piece of the lines of one rank. SkyPilot gives whole logs only, so late pieces cost more."""
        if self.folders.spec(run) is None:
            return b""
        content = self.folders.logs(run, 0, 0, 1 << 30)
        if not content and self._cluster(run) in {entry["name"] for entry in self._ask("clusters")}:
            content = self._ask("logs", self._cluster(run))
        lines = [line for line in content.splitlines(keepends=True) if b"[argosy] exit " not in line]
        mine = [_RANK.sub(b"", line) for line in lines if _rank(line) == rank]
        return b"".join(mine)[max(0, offset) : max(0, offset) + max(0, limit)]

    def logs_from(self, run: str, rank: int) -> int | None:
        """The first byte: what is kept, and for how long, is for the engine to say."""
        return 0

    def list_by_tag(self) -> tuple[Resource, ...]:
        """Clusters of ours, whatever they do."""
        known = {self._cluster(run): run for run in self.folders.live()}
        found = []
        for entry in self._ask("clusters"):
            name = str(entry["name"])
            if not name.startswith(f"{self.settings.tag}-"):
                continue
            since = entry.get("launched_at")
            when = None if since is None else datetime.fromtimestamp(float(since), UTC)
            run = known.get(name, name.removeprefix(f"{self.settings.tag}-"))
            found.append(Resource(run=run, reference=f"cluster {name}", since=when))
        return tuple(found)

    def close(self) -> None:
        """Nothing is held."""


def task_of(order: Order, pool: SkyPool) -> dict[str, Any]:
    """An order as a SkyPilot task. The scripts are as written, with variables before and the exit code after them."""
    task, choice, spec = order.task, order.choice, written(order)
    resources: dict[str, Any] = {"infra": pool.infra, "use_spot": pool.spot}
    if choice.accelerators:
        resources["accelerators"] = {choice.silicon or pool.silicon: choice.accelerators}
    for name, value in (("cpus", choice.cpus), ("memory", choice.memory_gib)):
        if value is not None:
            resources[name] = f"{value:g}+"
    if choice.disk_gib is not None:
        resources["disk_size"] = round(choice.disk_gib)
    for name, text in (("instance_type", choice.instance_type), ("image_id", choice.image)):
        if text is not None:
            resources[name] = text
    if task.ports:
        resources["ports"] = list(task.ports)
    if task.labels:
        resources["labels"] = dict(task.labels)
    envs = {"ARGOSY_JOB": order.job, "ARGOSY_RUN": order.run, "ARGOSY_EPOCH": str(order.epoch)} | task.envs
    place = spec["checkpoint"]
    for name, value in (
        ("ARGOSY_CHECKPOINT", place),
        ("ARGOSY_CHECKPOINTS", None if place is None else place.rpartition("/")[0]),
        ("ARGOSY_RESUME_FROM", spec["resume_from"]),
    ):
        if value is not None:
            envs[name] = value
    before = [
        "trap 'echo \"[argosy] exit $?\"' EXIT",
        'export MASTER_ADDR="$(echo "$SKYPILOT_NODE_IPS" | head -n 1)"',
        f"export MASTER_PORT={spec['master_port']} WORLD_SIZE=$SKYPILOT_NUM_NODES RANK=$SKYPILOT_NODE_RANK",
        "export NODE_RANK=$SKYPILOT_NODE_RANK LOCAL_RANK=0 LOCAL_WORLD_SIZE=1",
        "export SLURM_PROCID=$SKYPILOT_NODE_RANK SLURM_NODEID=$SKYPILOT_NODE_RANK SLURM_NNODES=$SKYPILOT_NUM_NODES",
    ]
    made: dict[str, Any] = {
        "name": task.name, "num_nodes": task.nodes, "resources": resources, "envs": envs,
        "run": "\n".join([*before, task.run or "true"]),
    }  # fmt: skip
    if task.setup is not None:
        made["setup"] = task.setup
    if task.workdir is not None:
        made["workdir"] = task.workdir
    if task.file_mounts:
        made["file_mounts"] = dict(task.file_mounts)
    if order.secrets:
        made["secrets"] = {name: value.get_secret_value() for name, value in order.secrets.items()}
    return made


def _rank(line: bytes) -> int:
    match = _RANK.match(line)
    return int(match[1]) if match else 0


def _word(status: Any) -> str:
    """A status as a word: SkyPilot gives members of enumerations."""
    return str(getattr(status, "value", status)).rpartition(".")[2]


def _plain(thing: Any) -> Mapping[str, Any]:
    found: Mapping[str, Any] = thing if isinstance(thing, Mapping) else thing.model_dump()
    return found

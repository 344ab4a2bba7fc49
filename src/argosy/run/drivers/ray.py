"""Ray driver: a run is one submission to the job API of a Ray cluster, over HTTP; the `ray` package is not needed here.

The submission's id comes from the run's id, so Ray itself refuses a second one. Wrappers and logs use a folder that the
server and every Ray node share. Values of secrets go through that folder: Ray writes the environment of jobs into
argument lists and its dashboard. Ranks of a gang run in one placement group; one of them cannot be replaced.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
import shlex
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import quote

from annotated_types import Ge, Gt

from argosy.clock import Clock
from argosy.errors import OutsideError
from argosy.model.job import ExitRecord
from argosy.record import Id, Record, Text
from argosy.run import wrapper
from argosy.run.driver import EnginePool, Node, NodeSeen, Observation, Order, Resource, Seen
from argosy.run.drivers._folder import Document, InFolders, RunFolders, outside
from argosy.run.drivers._http import ask
from argosy.run.drivers._orders import check, never, no_capacity

_GANG = Path(wrapper.__file__).with_name("ray_gang.py")
_FORCE_AFTER_SECONDS = 10.0
_SHARE = 0.001  # of the resource that marks a type of chip, as Ray itself does it


class Settings(Record):
    """A Ray cluster as an engine."""

    kind: Literal["ray"] = "ray"
    """Driver."""
    address: Text
    """Address of its dashboard, for example http://head:8265."""
    folder: Text
    """Absolute path of the folder of runs, the same on every node, with locks that hold among nodes."""
    pool: Id = "ray"
    """Pool of its cores; accelerators are in `<pool>-<type>`."""
    vendor: Id = "ray"
    """Vendor of its pools."""
    region: Id = "ray"
    """Region of its pools."""
    tag: Id = "argosy"
    """Mark of our submissions; two servers on one cluster need two."""
    strategy: Literal["STRICT_SPREAD", "SPREAD", "PACK", "STRICT_PACK"] = "STRICT_SPREAD"
    """How the ranks of a gang are laid out; STRICT_SPREAD gives each a machine of its own."""
    python: Text = "python"
    """Python on the nodes, with Ray."""
    headers: dict[str, str] = {}
    """Headers for a proxy before the dashboard, for example Authorization."""
    environment: dict[str, str] = {}
    """Environment of every run beside its own and Ray's."""
    timeout_seconds: Annotated[float, Gt(0)] = 30.0
    """How long an answer may take."""
    log_bytes: Annotated[int, Ge(2**16)] = wrapper.LOG_BYTES
    """Most that is kept of what one rank of a run prints; of more the newest stays."""
    poll_seconds: Annotated[float, Gt(0)] = 2.0
    """How often a wrapper looks whether it was superseded or asked to end."""


class Driver(InFolders):
    """Starts runs as submissions to a Ray cluster."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self.settings, self.clock = settings, clock
        self.folders = RunFolders(settings.folder, make=True)

    def _ask(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        url = self.settings.address.rstrip("/") + path
        timeout = self.settings.timeout_seconds
        return ask(method, url, body, headers=self.settings.headers, timeout_seconds=timeout)

    def _submission(self, run: str) -> str:
        plain = re.fullmatch(r"[a-z0-9._-]{1,80}", run)
        return f"{self.settings.tag}-{run if plain else hashlib.sha256(run.encode()).hexdigest()[:40]}"

    def _jobs(self) -> dict[str, Document]:
        """Our submissions, by run."""
        _, jobs = self._ask("GET", "/api/jobs/")
        found = {}
        for job in jobs:
            told = job.get("metadata") or {}
            if told.get("argosy_tag") == self.settings.tag and "argosy_run" in told:
                found[told["argosy_run"]] = job
        return found

    def capacity(self) -> tuple[EnginePool, ...]:
        """One pool of cores and one for each type of accelerator that Ray knows."""
        self.folders.check()
        _, answer = self._ask("GET", "/api/cluster_status")
        try:
            usage = answer["data"]["clusterStatus"]["loadMetricsReport"]["usageByNode"]
        except (KeyError, TypeError) as error:
            raise OutsideError("Ray tells no usage of its nodes yet") from error
        pools: dict[str | None, list[Node]] = {None: []}
        for name, used in usage.items():
            # The dashboard writes accelerator_type:H100 in its own way.
            types = [k.partition(":")[2] for k in used if k.replace("_", "").lower().startswith("acceleratortype:")]
            cpus, chips, memory = (used.get(word, (0.0, 0.0)) for word in ("CPU", "GPU", "memory"))
            for silicon in (None, *types):
                node = Node(
                    id=name,
                    accelerators=0.0 if silicon is None else chips[1],
                    free_accelerators=0.0 if silicon is None else max(0.0, chips[1] - chips[0]),
                    cpus=cpus[1],
                    free_cpus=max(0.0, cpus[1] - cpus[0]),
                    memory_gib=memory[1] / 2**30 or None,
                )
                pools.setdefault(silicon, []).append(node)
        settings = self.settings
        return tuple(
            EnginePool(
                id=settings.pool if silicon is None else f"{settings.pool}-{silicon.lower()}",
                vendor=settings.vendor,
                region=settings.region,
                silicon=silicon,
                nodes=tuple(nodes),
            )
            for silicon, nodes in pools.items()
        )

    def start(self, order: Order) -> None:
        """Submit the run, unless it was submitted or one of its ranks has begun."""
        check(order, "the Ray driver", image=False, instance_type=False, spot=False, mounts=True)
        if order.choice.disk_gib is not None:
            raise never("DiskUnsupported", "disk_size: Ray does not say how much disk its nodes have")
        self.folders.check()
        with self.folders.lock(self.folders.start_lock(order.run)):
            spec = self.folders.spec(order.run)
            if spec is None:
                bundle = self._bundle(order)
                extra = {
                    "inherit": True,
                    "environment": self.settings.environment,
                    "poll_seconds": self.settings.poll_seconds,
                    "log_bytes": self.settings.log_bytes,
                    "bundle": bundle,
                }
                spec = self.folders.prepare(order, extra)
            began, ended, record = self.folders.ranks(order.run, spec)
            if record is not None or began or ended or order.run in self._jobs():
                return
            for rank in range(order.task.nodes):
                self.folders.leave_secrets(order, rank)
            body = self._body(order, spec["bundle"])
            status, answer = self._ask("POST", "/api/jobs/", body)
            if status >= 400 and order.run not in self._jobs():
                raise no_capacity(f"Ray refused the job: {answer}")

    def _bundle(self, order: Order) -> dict[str, float]:
        """Resources of each rank; StartRefused when no node could ever give them."""
        choice = order.choice
        pools = {pool.id: pool for pool in self.capacity()}
        if order.pool not in pools:
            raise never("PoolUnknown", f"pool {order.pool} is not one of {', '.join(pools)}")
        pool = pools[order.pool]
        if choice.accelerators and (
            pool.silicon is None or (choice.silicon and choice.silicon.lower() != pool.silicon.lower())
        ):
            raise never("NoSuchSilicon", f"pool {order.pool} has no {choice.silicon or 'accelerators'}")
        bundle = {"CPU": choice.cpus or 1.0}
        if choice.memory_gib is not None:
            bundle["memory"] = math.ceil(choice.memory_gib * 2**30)
        if choice.accelerators:
            bundle["GPU"] = choice.accelerators
            bundle[f"accelerator_type:{pool.silicon}"] = _SHARE
        fits = [
            node for node in pool.nodes
            if node.cpus >= bundle["CPU"] and node.accelerators >= choice.accelerators
            and (choice.memory_gib is None or node.memory_gib is None or node.memory_gib >= choice.memory_gib)
        ]  # fmt: skip
        if not fits or (self.settings.strategy == "STRICT_SPREAD" and len(fits) < order.task.nodes):
            raise never("TooLarge", f"no {order.task.nodes} nodes of the cluster have {bundle}")
        return bundle

    def _body(self, order: Order, bundle: dict[str, float]) -> Document:
        with outside(f"starting {order.run}"):
            program, folder = self.folders.wrapper(), self.folders.run(order.run)
            command = [self.settings.python, "-I", "-S", str(program), str(folder)]
            ranks = [[*command, str(rank), "1"] for rank in range(order.task.nodes)]
            body: Document = {
                "submission_id": self._submission(order.run),
                "metadata": {"argosy_run": order.run, "argosy_tag": self.settings.tag},
            }
            if order.task.nodes == 1:
                rest = {name: value for name, value in bundle.items() if name not in ("CPU", "GPU", "memory")}
                return body | {
                    "entrypoint": shlex.join(ranks[0]),
                    "entrypoint_num_cpus": bundle["CPU"],
                    "entrypoint_num_gpus": bundle.get("GPU"),
                    "entrypoint_memory": bundle.get("memory"),
                    "entrypoint_resources": rest or None,
                }
            source = _GANG.read_text("utf-8")
            script = self.folders.root / f"gang-{hashlib.sha256(source.encode()).hexdigest()[:12]}.py"
            if not script.exists():
                wrapper.write_durably(script, source, 0o644)
            asked = {"bundle": bundle, "strategy": self.settings.strategy, "commands": ranks, "folder": str(folder)}
            return body | {"entrypoint": shlex.join([self.settings.python, str(script), json.dumps(asked)])}

    def replace_node(self, order: Order, rank: int) -> None:
        """Refused: the ranks of a gang share one Ray job."""
        raise never("NotReplaceable", f"rank {rank} of {order.run}: Ray jobs end as a whole")

    def observe(self, runs: Sequence[str]) -> dict[str, Observation]:
        """What Ray and the folder say together; one question to Ray for all runs."""
        self.folders.check()
        jobs = self._jobs()
        return {run: self._observe(run, jobs.get(run)) for run in runs}

    def _observe(self, run: str, job: Document | None) -> Observation:
        spec = self.folders.spec(run)
        if spec is None:
            return Observation(run=run, seen="absent" if job is None else "queued")
        began, ended, record = self.folders.ranks(run, spec)
        status = "" if job is None else job["status"]
        seen: Seen = "absent"
        if record is not None or status in ("SUCCEEDED", "FAILED", "STOPPED"):
            seen = "ended"
        elif status:
            seen = "running" if began else "queued"
        told = []
        for rank, begin in sorted(began.items()):
            code = ended.get(rank, {}).get("exit_code")
            # The job is over and the rank wrote nothing down: its wrapper died with its worker or its machine.
            dead = seen != "running" or (self.folders.run(run) / f"{rank}.lost").exists()
            state: Literal["running", "ended", "lost"] = "ended" if rank in ended else "lost" if dead else "running"
            told.append(NodeSeen(rank=rank, node=begin["node"], state=state, exit_code=code))
        if seen != "running":
            self.folders.release(run)
        failed = next((e["exit_code"] for e in ended.values() if e["exit_code"]), None)
        return Observation(
            run=run,
            seen=seen,
            nodes=tuple(told),
            exit_code=record.exit_code if record is not None else failed if seen == "ended" else None,
            node_failed=any(node.state == "lost" for node in told),
            message="" if job is None else f"Ray: {status}: {job.get('message') or ''}"[:500],
        )

    def exit_record(self, run: str) -> ExitRecord | None:
        """The exit record; Ray is not needed."""
        return self.folders.record(run)

    def fence(self, job: str, epoch: int) -> None:
        """Write the epoch into the job's document; Ray is not needed."""
        self.folders.fence(job, epoch)

    def stop(self, run: str, grace_seconds: float) -> None:
        """Ask the wrappers to end with their grace time; a job that has not begun, or is late, is stopped by Ray.

        Returns at once; Ray itself would give three seconds.
        """
        self.folders.check()
        job = self._jobs().get(run)
        if job is None or job["status"] in ("SUCCEEDED", "FAILED", "STOPPED"):
            return
        spec = self.folders.spec(run)
        now = self.clock.now()
        asked = now if spec is None else self.folders.ask_stop(run, grace_seconds, now)
        began = spec is not None and bool(self.folders.ranks(run, spec)[0])
        if not began or now > asked + timedelta(seconds=grace_seconds + _FORCE_AFTER_SECONDS):
            self._ask("POST", f"/api/jobs/{quote(self._submission(run))}/stop")

    def logs(self, run: str, rank: int, offset: int, limit: int) -> bytes:
        """A piece of the log file."""
        return self.folders.logs(run, rank, offset, limit)

    def logs_from(self, run: str, rank: int) -> int | None:
        """Where what is kept of the log begins."""
        return self.folders.logs_from(run, rank)

    def list_by_tag(self) -> tuple[Resource, ...]:
        """Submissions of ours that wait or run."""
        self.folders.check()
        return tuple(
            Resource(
                run=run,
                reference=f"ray submission {job['submission_id']}",
                since=datetime.fromtimestamp(job["start_time"] / 1000, UTC) if job.get("start_time") else None,
            )
            for run, job in self._jobs().items() if job["status"] in ("PENDING", "RUNNING")
        )  # fmt: skip

    def close(self) -> None:
        """Nothing is held."""

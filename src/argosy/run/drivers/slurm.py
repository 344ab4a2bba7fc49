"""Slurm driver: a run is one job of sbatch, its ranks are tasks of srun, and the folder of runs is shared by all nodes.

Jobs carry the run's id as name and in their comment, are never requeued by Slurm, and are looked for before one is
made. A controller that does not answer is OutsideError; a run that Slurm has forgotten is known by its exit record,
or by sacct where accounting is kept. Run as an ordinary user who may submit: slurmrestd is not used.
"""

from __future__ import annotations

import math
import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Literal

from annotated_types import Ge, Gt

from argosy.clock import Clock
from argosy.errors import OutsideError
from argosy.model.job import ExitRecord
from argosy.record import Id, Record, Text
from argosy.run import wrapper
from argosy.run.driver import EndedBy, EnginePool, Node, NodeSeen, Observation, Order, Resource, Seen
from argosy.run.drivers._folder import Document, InFolders, RunFolders, outside
from argosy.run.drivers._orders import check, never, no_capacity

_WAITING = {"PENDING", "CONFIGURING", "RESV_DEL_HOLD", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "SPECIAL_EXIT"}
_RUNNING = {"RUNNING", "SUSPENDED", "STOPPED", "RESIZING", "SIGNALING", "STAGE_OUT"}
_LEAVING = {"COMPLETING"}
_MACHINE_LOST = {"NODE_FAIL", "BOOT_FAIL"}
_ENDED_BY: dict[str, EndedBy] = {
    "TIMEOUT": "time-limit", "DEADLINE": "time-limit", "OUT_OF_MEMORY": "out-of-memory", "CANCELLED": "operator",
}  # fmt: skip
_NOT_READY = re.compile(r"DOWN|DRAIN|FAIL|MAINT|INVAL|NOT_RESPONDING|REBOOT|POWER|UNKNOWN|FUTURE|\*")
_GRES = re.compile(r"gpu(?::([A-Za-z][\w.-]*))?:(\d+)")
_EXIT_CODE = re.compile(r" ExitCode=(\d+):(\d+)")
_FORCE_AFTER_SECONDS = 10.0
_NEVER_WORDS = re.compile(r"not available|[Ii]nvalid|More processors|exceed|too large", re.IGNORECASE)
_AWAY_WORDS = re.compile(r"contact slurm controller|[Tt]imed out|communicat|Connection|authentication|munge|Zero Bytes")


class Settings(Record):
    """A Slurm cluster as an engine."""

    kind: Literal["slurm"] = "slurm"
    """Driver."""
    folder: Text
    """Absolute path of the folder of runs, the same on every node, with locks that hold among nodes."""
    pool: Id = "slurm"
    """Pool of its cores; accelerators are in `<pool>-<type of gres>`."""
    vendor: Id = "slurm"
    """Vendor of its pools."""
    region: Id = "slurm"
    """Region of its pools."""
    partition: Text | None = None
    """Partition; None: Slurm's default, and nodes of all."""
    account: Text | None = None
    """Account that is charged."""
    qos: Text | None = None
    """Quality of service."""
    spot: bool = False
    """Whether other partitions may take its nodes away."""
    paid: bool = True
    """Whether its nodes are paid for whether used or not; false where they come from a cloud as they are used."""
    tag: Id = "argosy"
    """First word of the comment of our jobs; two servers on one cluster need two."""
    conf: Text | None = None
    """slurm.conf, where it is not in its usual place."""
    programs: Text | None = None
    """Folder of sbatch and its kin, where they are not on the usual path."""
    python: Text = "python3"
    """Python 3.8 or newer on the nodes."""
    environment: dict[str, str] = {}
    """Environment of every run beside its own and Slurm's."""
    timeout_seconds: Annotated[float, Gt(0)] = 30.0
    """How long a Slurm command may take."""
    log_bytes: Annotated[int, Ge(2**16)] = wrapper.LOG_BYTES
    """Most that is kept of what one rank of a run prints; of more the newest stays."""
    poll_seconds: Annotated[float, Gt(0)] = 2.0
    """How often a wrapper looks whether it was superseded or asked to end."""


@dataclass(frozen=True, slots=True)
class _Job:
    """One of our jobs, as squeue tells it."""

    id: str
    state: str
    reason: str
    submitted: datetime | None
    run: str
    rank: int | None
    """The rank that it replaces; None for the job of the whole run."""


class Driver(InFolders):
    """Starts runs as jobs of a Slurm cluster."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self.settings, self.clock = settings, clock
        self.folders = RunFolders(settings.folder, make=True)
        self._accounting = True

    # --- asking Slurm ---

    def _ask(self, program: str, *arguments: str, text: str | None = None) -> str:
        """Output of a Slurm command; OutsideError with its own words when it fails."""
        path = str(Path(self.settings.programs) / program) if self.settings.programs else program
        environment = {"PATH": "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin", "TZ": "UTC"}
        if self.settings.conf:
            environment["SLURM_CONF"] = self.settings.conf
        try:
            done = subprocess.run(
                [path, *arguments], input=text, capture_output=True, text=True, errors="replace", check=False,
                timeout=self.settings.timeout_seconds, env=environment, cwd="/",
            )  # fmt: skip
        except subprocess.TimeoutExpired as error:
            raise OutsideError(f"{program} did not answer in {self.settings.timeout_seconds:g} s") from error
        except OSError as error:
            raise OutsideError(f"{program} cannot be run: {error}") from error
        if done.returncode != 0:
            raise OutsideError(f"{program}: {done.stderr.strip() or done.stdout.strip() or done.returncode}")
        return done.stdout

    def _jobs(self) -> dict[str, list[_Job]]:
        """Our jobs that Slurm still remembers, by run; for the run as a whole the newest first."""
        found: dict[str, list[_Job]] = {}
        for line in self._ask("squeue", "--noheader", "--states=all", "--format=%i\t%T\t%r\t%V\t%k").splitlines():
            id, state, reason, submitted, comment = (line.split("\t", 4) + [""] * 5)[:5]
            words = comment.split(":")
            if words[0] != self.settings.tag or len(words) not in (2, 4):
                continue
            when = None if submitted in ("", "N/A") else datetime.fromisoformat(submitted).replace(tzinfo=UTC)
            rank = int(words[2]) if len(words) == 4 else None
            found.setdefault(words[1], []).append(_Job(id, state, reason, when, words[1], rank))
        for jobs in found.values():
            jobs.sort(key=lambda job: -int(job.id.partition("_")[0]))
        return found

    def _nodes(self) -> dict[str, Document]:
        """Every node with its fields."""
        found = {}
        for line in self._ask("scontrol", "show", "node", "--oneliner", "--details").splitlines():
            fields = dict(word.split("=", 1) for word in line.split() if "=" in word)
            if "NodeName" in fields:
                found[fields["NodeName"]] = fields
        return found

    # --- capacity ---

    def capacity(self) -> tuple[EnginePool, ...]:
        """One pool with the cores of every node and one for each type of accelerator; a node may be in both."""
        self.folders.check()
        pools: dict[str | None, list[Node]] = {None: []}
        for name, fields in self._nodes().items():
            partitions = fields.get("Partitions", "").split(",")
            if self.settings.partition is not None and self.settings.partition not in partitions:
                continue
            total, used = _gres(fields.get("Gres", "")), _gres(fields.get("GresUsed", ""))
            cpus = float(fields.get("CPUEfctv") or fields["CPUTot"])
            ready = not _NOT_READY.search(fields["State"])
            for silicon in (None, *total):
                count = float(total.get(silicon, 0)) if silicon is not None else 0.0
                in_use = float(used.get(silicon, 0)) if silicon is not None else 0.0
                pools.setdefault(silicon, []).append(
                    Node(
                        id=name,
                        ready=ready,
                        accelerators=count,
                        free_accelerators=max(0.0, count - in_use),
                        cpus=cpus,
                        free_cpus=max(0.0, cpus - float(fields.get("CPUAlloc", 0))),
                        memory_gib=float(fields.get("RealMemory", 0)) / 1024 or None,
                    )
                )
        return tuple(
            EnginePool(
                id=self._pool_id(silicon),
                vendor=self.settings.vendor,
                region=self.settings.region,
                silicon=silicon,
                spot=self.settings.spot,
                paid=self.settings.paid,
                nodes=tuple(nodes),
            )
            for silicon, nodes in pools.items()
        )

    def _pool_id(self, silicon: str | None) -> str:
        pool = self.settings.pool
        return pool if silicon is None else f"{pool}-{re.sub(r'[^a-z0-9._-]', '-', silicon.lower())}"

    # --- start ---

    def start(self, order: Order) -> None:
        """Submit a job for the run, unless one was submitted or one of its ranks has begun."""
        check(order, "the Slurm driver", image=False, instance_type=False, spot=self.settings.spot, mounts=True)
        self.folders.check()
        with self.folders.lock(self.folders.start_lock(order.run)):
            spec = self.folders.spec(order.run)
            if spec is None:  # everything that may fail comes before the order is written
                self._known_pool(order)
                if order.run not in self._jobs():
                    self._could(order)
                spec = self.folders.prepare(order, self._extra())
            began, ended, record = self.folders.ranks(order.run, spec)
            if record is not None or began or ended or self._submitted(order.run):
                return
            adopted = [job for job in self._jobs().get(order.run, []) if job.rank is None]
            if adopted:
                self._remember(order.run, adopted[0].id)
                return
            for rank in range(order.task.nodes):
                self.folders.leave_secrets(order, rank)
            keep = order.task.placement.keep_healthy_nodes
            options = [f"--nodes={order.task.nodes}", *(["--no-kill"] if keep else [])]
            step = "srun --kill-on-bad-exit=0 --input=none" + (" --no-kill" if keep else "")
            line = self._line(order.run, "SLURM_PROCID", 1)
            self._remember(order.run, self._submit(order, options, f"{step} {line}", order.run))

    def _extra(self) -> Document:
        return {
            "inherit": True,
            "not_inherited": ["SLURM_CONF"],
            "environment": self.settings.environment,
            "poll_seconds": self.settings.poll_seconds,
            "log_bytes": self.settings.log_bytes,
        }

    def _known_pool(self, order: Order) -> None:
        pools = {pool.id: pool for pool in self.capacity()}
        if order.pool not in pools:
            raise never("PoolUnknown", f"pool {order.pool} is not one of {', '.join(pools)}")

    def _could(self, order: Order) -> None:
        """Ask Slurm whether the job could ever run; StartRefused with its words when not."""
        try:
            self._ask("sbatch", "--test-only", *self._options(order), text="#!/bin/sh\n")
        except OutsideError as error:
            raise _refusal(error) from error

    def _options(self, order: Order) -> list[str]:
        task, choice, settings = order.task, order.choice, self.settings
        options = [
            f"--job-name={order.run}", "--parsable", "--no-requeue", "--chdir=/", "--open-mode=append",
            f"--nodes={task.nodes}", "--ntasks-per-node=1", f"--cpus-per-task={math.ceil(choice.cpus or 1)}",
        ]  # fmt: skip
        if choice.memory_gib is not None:
            options.append(f"--mem={math.ceil(choice.memory_gib * 1024)}M")
        if choice.accelerators:
            pools = {pool.id: pool.silicon for pool in self.capacity()}
            silicon = pools.get(order.pool)
            if silicon is None or (choice.silicon and choice.silicon.lower() != silicon.lower()):
                raise never("NoSuchSilicon", f"pool {order.pool} has no {choice.silicon or 'accelerators'}")
            # Slurm shares no accelerator without shards; a part is rounded up to a whole one.
            options.append(f"--gres=gpu:{silicon}:{math.ceil(choice.accelerators)}")
        if choice.disk_gib is not None:
            options.append(f"--tmp={math.ceil(choice.disk_gib * 1024)}M")
        for name, value in (("partition", settings.partition), ("account", settings.account), ("qos", settings.qos)):
            if value is not None:
                options.append(f"--{name}={value}")
        if order.avoid_nodes:
            # Names of other engines' nodes would make sbatch refuse.
            avoided = sorted(set(order.avoid_nodes) & set(self._nodes()))
            if avoided:
                options.append(f"--exclude={','.join(avoided)}")
        return options

    def _line(self, run: str, rank: str, attempt: int) -> str:
        with outside(f"starting {run}"):
            program = self.folders.wrapper()
        words = [self.settings.python, "-I", "-S", str(program), str(self.folders.run(run)), rank, str(attempt)]
        return " ".join(_quoted(word) for word in words)

    def _submit(self, order: Order, options: list[str], line: str, comment: str) -> str:
        """Number of a new job."""
        said = self.folders.run(order.run) / "slurm-%j.out"
        more = [
            f"--comment={self.settings.tag}:{comment}",
            f"--output={str(said).replace('%', '%%').replace('%%j', '%j')}",
        ]
        try:
            answer = self._ask("sbatch", *self._options(order), *options, *more, text=f"#!/bin/sh\nexec {line}\n")
        except OutsideError as error:
            raise _refusal(error) from error
        return answer.strip().split(";")[0]

    def _submitted(self, run: str) -> str | None:
        with outside(f"the job of {run}"):
            path = self.folders.run(run) / "slurm-job"
            return path.read_text("utf-8").strip() if path.exists() else None

    def _remember(self, run: str, job: str) -> None:
        with outside(f"the job of {run}"):
            wrapper.write_durably(self.folders.run(run) / "slurm-job", job)

    def replace_node(self, order: Order, rank: int) -> None:
        """Start a lost rank again in a job of one node beside the run's own, which must have been told to go on."""
        spec = self.folders.spec(order.run)
        if spec is None or not 0 <= rank < spec["nodes"]:
            raise never("RunUnknown", f"{order.run} has no rank {rank} here")
        if not order.task.placement.keep_healthy_nodes:
            raise never("NotReplaceable", "the job was started to end with its first lost node")
        with self.folders.lock(self.folders.start_lock(order.run)):
            began, ended, record = self.folders.ranks(order.run, spec)
            jobs = self._jobs().get(order.run, [])
            if record is not None or rank in ended:
                return
            if any(job.rank == rank and job.state in _WAITING for job in jobs):
                return
            nodes = self._nodes()
            if rank in began and not _down(nodes, began[rank]["node"]):
                return
            if rank == 0 or not any(job.rank is None and job.state in _RUNNING for job in jobs):
                raise never("RunOver", "the job's first node is lost, and the job with it")
            attempt = began[rank]["attempt"] + 1 if rank in began else 1
            avoid = {*order.avoid_nodes, *(state["node"] for state in began.values())}
            one = order.model_copy(update={"avoid_nodes": tuple(sorted(avoid))})
            self.folders.leave_secrets(order, rank)
            line = "srun --input=none " + self._line(order.run, str(rank), attempt)
            self._submit(one, ["--nodes=1"], line, f"{order.run}:{rank}:{attempt}")

    # --- watch ---

    def observe(self, runs: Sequence[str]) -> dict[str, Observation]:
        """What Slurm and the folder say together; one question to Slurm for all runs."""
        self.folders.check()
        jobs = self._jobs()
        nodes = self._nodes()
        return {run: self._observe(run, jobs.get(run, []), nodes) for run in runs}

    def _observe(self, run: str, jobs: list[_Job], nodes: dict[str, Document]) -> Observation:
        spec = self.folders.spec(run)
        if spec is None:
            return Observation(run=run, seen="queued" if jobs else "absent")
        began, ended, record = self.folders.ranks(run, spec)
        main = next((job for job in jobs if job.rank is None), None)
        state = main.state if main is not None else self._accounted(run) if record is None else None
        active = [job for job in jobs if job.state in _RUNNING or job.state in _WAITING]
        over = record is not None and len(ended) == spec["nodes"]
        leaving = main is not None and main.state in _RUNNING | _LEAVING and not _all_down(nodes, began)
        if record is not None and record.exit_code != 0 and leaving:
            over = False  # the record comes first; why it had to end stands in the state that Slurm is about to give
        seen: Seen
        if over:
            seen = "ended"
        elif any(job.state in _RUNNING for job in jobs):
            # Until a wrapper has begun, the work has not.
            seen = "running" if began else "queued"
        elif active:
            seen = "queued"
        elif leaving and (record is None or record.exit_code != 0):
            seen = "running"
        else:
            seen = "ended" if record is not None or state is not None else "absent"
        told, lost = [], False
        for rank, begin in sorted(began.items()):
            if rank in ended:
                code = ended[rank]["exit_code"]
                told.append(NodeSeen(rank=rank, node=begin["node"], state="ended", exit_code=code))
            elif _down(nodes, begin["node"]):
                lost = True
                told.append(NodeSeen(rank=rank, node=begin["node"], state="lost"))
            else:
                told.append(NodeSeen(rank=rank, node=begin["node"], state="running" if seen == "running" else "ended"))
        if seen in ("ended", "absent"):
            self.folders.release(run)
        failed = next((e["exit_code"] for e in ended.values() if e["exit_code"]), None)
        machine = lost or state in _MACHINE_LOST or _launch_failed(main)
        if failed is None and seen == "ended" and record is None and not machine and main is not None:
            failed = self._code_of(main)
        return Observation(
            run=run,
            seen=seen,
            nodes=tuple(told),
            exit_code=record.exit_code if record is not None else failed if seen == "ended" else None,
            # Taken away with time to end, it left a record of that end.
            preempted=state == "PREEMPTED" and (record is None or record.exit_code != 0),
            ended_by=_ENDED_BY.get(state or "") if record is None or record.exit_code != 0 else None,
            node_failed=record is None and machine,
            message=_words(main, state),
        )

    def _code_of(self, job: _Job) -> int | None:
        """Exit code of a job by Slurm's word, for one whose wrapper was killed; None when it means nothing."""
        if job.state == "OUT_OF_MEMORY":
            return 137
        if job.state != "FAILED":
            return None
        told = _EXIT_CODE.search(self._ask("scontrol", "show", "job", "--oneliner", job.id))
        if told is None:
            return None
        code, number = int(told[1]), int(told[2])
        return (128 + number if number else code) or None

    def _accounted(self, run: str) -> str | None:
        """The last state of a job that the controller forgot, by sacct; None where no accounting is kept."""
        job = self._submitted(run)
        if job is None or not self._accounting:
            return None
        try:
            answer = self._ask("sacct", "--noheader", "--parsable2", "--allocations", f"--jobs={job}", "--format=State")
        except OutsideError:
            self._accounting = False
            return None
        return answer.split()[0] if answer.split() else None

    def exit_record(self, run: str) -> ExitRecord | None:
        """The exit record; the controller is not needed."""
        return self.folders.record(run)

    def fence(self, job: str, epoch: int) -> None:
        """Write the epoch into the job's document; the controller is not needed."""
        self.folders.fence(job, epoch)

    def stop(self, run: str, grace_seconds: float) -> None:
        """Take a waiting job out of the queue; ask a running one to end, which its wrappers see to with the grace time.

        Returns at once. What still runs ten seconds after the grace time is cancelled by the next call.
        """
        self.folders.check()
        jobs = [job for job in self._jobs().get(run, []) if job.state in _RUNNING | _WAITING | _LEAVING]
        if not jobs:
            return
        spec = self.folders.spec(run)
        now = self.clock.now()
        asked = now if spec is None else self.folders.ask_stop(run, grace_seconds, now)
        record = None if spec is None else self.folders.record(run)
        late = now > asked + timedelta(seconds=grace_seconds + _FORCE_AFTER_SECONDS)
        began = bool(spec is not None and self.folders.ranks(run, spec)[0])
        for job in jobs:
            if job.state in _WAITING or late or record is not None or not began:
                self._ask("scancel", job.id)
            elif job.state in _RUNNING:
                # Slurm signals every process of a step, children before their parents: work that saves its state
                # would find its helpers dead. SIGCONT hurts nobody and makes the wrappers look.
                self._ask("scancel", "--signal=CONT", job.id)

    def logs(self, run: str, rank: int, offset: int, limit: int) -> bytes:
        """A piece of the log file."""
        return self.folders.logs(run, rank, offset, limit)

    def logs_from(self, run: str, rank: int) -> int | None:
        """Where what is kept of the log begins."""
        return self.folders.logs_from(run, rank)

    def list_by_tag(self) -> tuple[Resource, ...]:
        """Jobs of ours that wait or run."""
        self.folders.check()
        return tuple(
            Resource(run=job.run, reference=f"slurm job {job.id}", since=job.submitted)
            for jobs in self._jobs().values() for job in jobs if job.state in _WAITING | _RUNNING
        )  # fmt: skip

    def close(self) -> None:
        """Nothing is held."""


def _refusal(error: OutsideError) -> Exception:
    """What sbatch's refusal means. Whatever sounds like a controller that is away stays an outside error."""
    words = str(error)
    if _AWAY_WORDS.search(words):
        return error
    if _NEVER_WORDS.search(words):
        return never("NeverAvailable", words)
    if "sbatch" in words:
        return no_capacity(words)
    return error


def _gres(text: str) -> dict[str, int]:
    """Accelerators by type; those without a type are called gpu."""
    found: dict[str, int] = {}
    for silicon, count in _GRES.findall(text):
        found[silicon or "gpu"] = found.get(silicon or "gpu", 0) + int(count)
    return found


def _down(nodes: dict[str, Document], name: str) -> bool:
    """Whether Slurm has given a node up; one that does not answer yet is not down."""
    return name not in nodes or "DOWN" in nodes[name]["State"]


def _launch_failed(main: _Job | None) -> bool:
    """What Slurm says of a batch job whose first node died."""
    return main is not None and main.state == "FAILED" and main.reason in ("JobLaunchFailure", "NodeDown")


def _all_down(nodes: dict[str, Document], began: dict[int, Document]) -> bool:
    return bool(began) and all(_down(nodes, state["node"]) for state in began.values())


def _words(main: _Job | None, state: str | None) -> str:
    if main is None:
        return "" if state is None else f"Slurm: {state}"
    reason = "" if main.reason in ("None", "") else f" ({main.reason})"
    return f"Slurm job {main.id}: {main.state}{reason}"


def _quoted(word: str) -> str:
    return "'" + word.replace("'", "'\"'\"'") + "'"

"""Local driver: runs are processes of this machine that outlive the server and are found again.

Each rank is a wrapper in a session of its own, with a loopback address of its own; what is known of it stands in the
folder of runs and in /proc. A process is ours only if number, start time and boot agree, so a number that was given
to somebody else is never taken for it. `avoid_nodes` has no effect: there is one node.
"""

from __future__ import annotations

import math
import os
import platform
import re
import select
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Literal

from annotated_types import Ge, Gt, Le

from argosy.clock import Clock
from argosy.errors import OutsideError
from argosy.model.job import ExitRecord
from argosy.record import Id, Record, Text
from argosy.run import wrapper
from argosy.run.driver import EnginePool, Node, NodeSeen, Observation, Order, Resource
from argosy.run.drivers._folder import Document, InFolders, RunFolders, outside
from argosy.run.drivers._orders import check, never, no_capacity, seen_here

_SPAWN_SECONDS = 30.0
_FORCE_AFTER_SECONDS = 10.0  # beyond the grace time, for a wrapper that does not do its work
_MILLI = 1000  # shares of an accelerator are counted in thousandths


class Settings(Record):
    """This machine as an engine."""

    kind: Literal["local"] = "local"
    """Driver."""
    folder: Text
    """Absolute path of the folder of runs; made if absent."""
    pool: Id = "local"
    """Pool of this machine; with accelerators also `<pool>-<silicon>`."""
    vendor: Id = "local"
    """Vendor of its pools."""
    region: Id = "local"
    """Region of its pools."""
    cpus: Annotated[float, Gt(0)] | None = None
    """Cores that runs may use; None: those of the machine."""
    memory_gib: Annotated[float, Gt(0)] | None = None
    """Memory that runs may use; None: that of the machine."""
    accelerators: dict[str, Annotated[int, Gt(0)]] = {}
    """Accelerators by type of chip; they need not exist."""
    cpus_unsaid: Annotated[float, Ge(0)] = 1.0
    """Cores counted for a node of a task that names neither cores nor accelerators."""
    nice: Annotated[int, Ge(0), Le(19)] = 0
    """How much the work gives way to other processes."""
    cgroup: Text | None = None
    """Folder of a control group (version 2) that may be written; limits of cores and memory then hold for all
    processes of a node together. None: memory by RLIMIT_DATA for each process, cores are not enforced."""
    allowed_folders: tuple[str, ...] = ()
    """Folders that workdir and file mounts must be in; empty: anywhere."""
    environment: dict[str, str] = {}
    """Environment of every run beside its own, for example PATH. Nothing of the server's environment is passed on."""
    log_bytes: Annotated[int, Ge(2**16)] = wrapper.LOG_BYTES
    """Most that is kept of what one rank of a run prints; of more the newest stays."""
    poll_seconds: Annotated[float, Gt(0)] = 1.0
    """How often a wrapper looks whether it was superseded or asked to end."""


class Driver(InFolders):
    """Starts runs as processes of this machine."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self.settings, self.clock = settings, clock
        self.folders = RunFolders(settings.folder, make=True)
        self.node = platform.node() or "localhost"
        self.cpus = settings.cpus or float(len(os.sched_getaffinity(0)))
        self.memory_gib = settings.memory_gib or os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30

    # --- capacity ---

    def capacity(self) -> tuple[EnginePool, ...]:
        """One pool of cores and one for each type of chip. They are the same machine: its cores are shared."""
        used = self._used()
        pools: list[tuple[str, str | None, float, float]] = [(self.settings.pool, None, 0.0, 0.0)]
        for silicon, count in self.settings.accelerators.items():
            free = sum(_MILLI - used.devices.get((silicon, device), 0) for device in range(count)) / _MILLI
            pools.append((_pool_id(self.settings.pool, silicon), silicon, float(count), free))
        return tuple(
            EnginePool(
                id=id,
                vendor=self.settings.vendor,
                region=self.settings.region,
                silicon=silicon,
                nodes=(
                    Node(
                        id=self.node,
                        accelerators=count,
                        free_accelerators=free,
                        cpus=self.cpus,
                        free_cpus=max(0.0, self.cpus - used.cpus),
                        memory_gib=self.memory_gib,
                    ),
                ),
            )
            for id, silicon, count, free in pools
        )

    def _used(self) -> _Used:
        used = _Used()
        for run, spec in self.folders.live().items():
            began, ended, _ = self.folders.ranks(run, spec)
            starting = len(began) < spec["nodes"] and self.folders.locked(self._start_lock(run))
            for rank in range(spec["nodes"]):
                if rank in ended or (rank in began and not _alive(began[rank])) or (rank not in began and not starting):
                    continue
                used.cpus += spec["need"]["cpus"]
                used.memory_gib += spec["need"]["memory_gib"]
                for device, share in spec["need"]["devices"].get(str(rank), []):
                    key = (spec["need"]["silicon"], device)
                    used.devices[key] = used.devices.get(key, 0) + share
        return used

    # --- start ---

    def start(self, order: Order) -> None:
        """Start every rank that has not begun; one that has is left alone, whatever became of it."""
        check(order, "the local driver", image=False, instance_type=False, spot=False, mounts=True)
        self.folders.check()
        with ExitStack() as held:
            with self.folders.lock(self.folders.root / "admission.lock"):
                spec = self.folders.spec(order.run)
                if spec is None:
                    seen_here(order, self.settings.allowed_folders)
                    spec = self.folders.prepare(order, self._admit(order))
                # Taken before the other is let go: whoever counts capacity sees the run as starting.
                held.enter_context(self.folders.lock(self._start_lock(order.run)))
            began, ended, record = self.folders.ranks(order.run, spec)
            if record is None:
                ranks = [rank for rank in range(spec["nodes"]) if rank not in began and rank not in ended]
                self._spawn(order, dict.fromkeys(ranks, 1))

    def _start_lock(self, run: str) -> Path:
        return self.folders.run(run) / "start.lock"

    def _admit(self, order: Order) -> Document:
        """What of this machine the run gets; StartRefused when that is not free."""
        settings, choice, nodes = self.settings, order.choice, order.task.nodes
        pools = {settings.pool: None} | {_pool_id(settings.pool, name): name for name in settings.accelerators}
        if order.pool not in pools:
            raise never("PoolUnknown", f"pool {order.pool} is not one of {', '.join(pools)}")
        used = self._used()
        cpus = choice.cpus if choice.cpus is not None else 0.0 if choice.accelerators else settings.cpus_unsaid
        if cpus * nodes > self.cpus:
            raise never("TooLarge", f"{cpus * nodes:g} cores are more than the {self.cpus:g} of this machine")
        memory_gib = choice.memory_gib or 0.0
        if memory_gib * nodes > self.memory_gib:
            raise never("TooLarge", f"{memory_gib * nodes:g} GiB are more than the {self.memory_gib:g} of this machine")
        if used.cpus + cpus * nodes > self.cpus + 1e-9:
            raise no_capacity(f"{cpus * nodes:g} cores wanted, {self.cpus - used.cpus:g} are free")
        if used.memory_gib + memory_gib * nodes > self.memory_gib + 1e-9:
            raise no_capacity(f"{memory_gib * nodes:g} GiB wanted, {self.memory_gib - used.memory_gib:g} are free")
        if choice.disk_gib is not None:
            disk = self.folders.disk()
            if choice.disk_gib * nodes > disk.total / 2**30:
                raise never("TooLarge", f"{choice.disk_gib * nodes:g} GiB are more than the disk of the folder of runs")
            if choice.disk_gib * nodes > disk.free / 2**30:
                raise no_capacity(f"{choice.disk_gib * nodes:g} GiB of disk wanted, {disk.free / 2**30:.4g} are free")
        silicon = pools[order.pool]
        devices: dict[str, list[tuple[int, int]]] = {}
        if choice.accelerators:
            wanted = choice.silicon or silicon
            found = [name for name in settings.accelerators if wanted and name.lower() == wanted.lower()]
            if not found:
                raise never("NoSuchSilicon", f"this machine has no {wanted or 'accelerators'}")
            silicon = found[0]
            devices = self._devices(silicon, choice.accelerators, nodes, used)
        limits: Document = {"nice": settings.nice, "cpus": choice.cpus, "cgroup": settings.cgroup}
        limits["memory_bytes"] = None if choice.memory_gib is None else int(choice.memory_gib * 2**30)
        return {
            "node": self.node,
            "addresses": [_loopback(rank) for rank in range(nodes)],
            "need": {"cpus": cpus, "memory_gib": memory_gib, "silicon": silicon, "devices": devices},
            # Without accelerators none may be seen; what is not ours to give is not given.
            "devices": {str(n): ",".join(str(d) for d, _ in devices.get(str(n), [])) for n in range(nodes)},
            "limits": limits,
            "environment": settings.environment,
            "poll_seconds": settings.poll_seconds,
            "log_bytes": settings.log_bytes,
        }

    def _devices(self, silicon: str, accelerators: float, nodes: int, used: _Used) -> dict[str, list[tuple[int, int]]]:
        """Devices of each rank with their shares in thousandths; a share goes to the fullest device that has room."""
        count = self.settings.accelerators[silicon]
        if accelerators > 1 and accelerators != math.floor(accelerators):
            raise never("BadShare", f"{accelerators:g} accelerators: above one only whole accelerators can be given")
        if accelerators * nodes > count:
            raise never("TooLarge", f"{accelerators * nodes:g} {silicon} are more than the {count} of this machine")
        free = {device: _MILLI - used.devices.get((silicon, device), 0) for device in range(count)}
        share = _MILLI if accelerators >= 1 else math.ceil(accelerators * _MILLI)
        found: dict[str, list[tuple[int, int]]] = {}
        for rank in range(nodes):
            fitting = sorted((room, device) for device, room in free.items() if room >= share)
            taken = fitting[: math.ceil(accelerators)]
            if len(taken) < math.ceil(accelerators):
                raise no_capacity(
                    f"{accelerators * nodes:g} {silicon} wanted, {sum(free.values()) / _MILLI:g} are free"
                )
            found[str(rank)] = [(device, share) for _, device in taken]
            for _, device in taken:
                free[device] -= share
        return found

    def _spawn(self, order: Order, attempts: dict[int, int]) -> None:
        """Start wrappers and wait until each has written down that it exists."""
        folder = self.folders.run(order.run)
        with outside(f"starting {order.run}"):
            program = self.folders.wrapper()
            waiting: list[tuple[int, int, subprocess.Popen[bytes]]] = []
            for rank, attempt in attempts.items():
                self.folders.leave_secrets(order, rank)
                ours, theirs = os.pipe()
                command = [sys.executable, "-I", "-S", str(program), str(folder), str(rank), str(attempt)]
                try:
                    started = subprocess.Popen(
                        [*command, "detach", str(theirs)],
                        stdin=subprocess.DEVNULL,
                        stdout=subprocess.DEVNULL,
                        stderr=subprocess.DEVNULL,
                        pass_fds=(theirs,),
                        cwd="/",
                        env={"PATH": os.defpath, "LANG": "C.UTF-8"},
                    )
                finally:
                    os.close(theirs)
                waiting.append((rank, ours, started))
        failed = []
        for rank, ours, started in waiting:
            ready, _, _ = select.select([ours], [], [], _SPAWN_SECONDS)
            answer = os.read(ours, 1) if ready else b""
            os.close(ours)
            started.wait()  # the intermediate process; the wrapper itself is nobody's child
            if not answer:
                failed.append(rank)
        if failed:
            raise OutsideError(f"{order.run}: the wrappers of ranks {failed} did not begin")

    def replace_node(self, order: Order, rank: int) -> None:
        """Start a lost rank again on this machine; one that lives, or that ended by itself, is left alone."""
        spec = self.folders.spec(order.run)
        if spec is None or not 0 <= rank < spec["nodes"]:
            raise never("RunUnknown", f"{order.run} has no rank {rank} here")
        with self.folders.lock(self._start_lock(order.run)):
            began, ended, record = self.folders.ranks(order.run, spec)
            if record is not None or rank in ended or (rank in began and _alive(began[rank])):
                return
            if rank in began:
                _kill_strays(order.run, rank, began[rank]["attempt"])
            self._spawn(order, {rank: began[rank]["attempt"] + 1 if rank in began else 1})

    # --- watch ---

    def observe(self, runs: Sequence[str]) -> dict[str, Observation]:
        """What the folder and /proc say. A run whose start was cut off is absent: start it again."""
        return {run: self._observe(run) for run in runs}

    def _observe(self, run: str) -> Observation:
        spec = self.folders.spec(run)
        if spec is None:
            return Observation(run=run, seen="absent")
        began, ended, record = self.folders.ranks(run, spec)
        dead = [rank for rank, state in began.items() if rank not in ended and not _alive(state)]
        if dead:  # it may have ended between the two looks
            began, ended, record = self.folders.ranks(run, spec)
        nodes, lost = [], False
        for rank, state in sorted(began.items()):
            if rank in ended:
                code = ended[rank]["exit_code"]
                nodes.append(NodeSeen(rank=rank, node=state["node"], state="ended", exit_code=code))
            elif rank in dead:
                lost = True
                _kill_strays(run, rank, state["attempt"])
                nodes.append(NodeSeen(rank=rank, node=state["node"], state="lost"))
            else:
                nodes.append(NodeSeen(rank=rank, node=state["node"], state="running"))
        running = any(node.state == "running" for node in nodes)
        if len(began) < spec["nodes"] and record is None and not running:
            starting = self.folders.locked(self._start_lock(run))
            return Observation(run=run, seen="queued" if starting else "absent", nodes=tuple(nodes))
        if len(began) < spec["nodes"] and record is None and not self.folders.locked(self._start_lock(run)):
            return Observation(run=run, seen="absent", nodes=tuple(nodes), message="its start was cut off")
        if not running:
            self.folders.release(run)
        code = record.exit_code if record else next((e["exit_code"] for e in ended.values() if e["exit_code"]), None)
        said = "; ".join(began[0]["enforced"]) if 0 in began and began[0]["enforced"] else ""
        return Observation(
            run=run,
            seen="running" if running else "ended",
            nodes=tuple(nodes),
            exit_code=None if running else code,
            node_failed=lost,
            message=f"limits: {said}" if said else "",
        )

    def exit_record(self, run: str) -> ExitRecord | None:
        """The exit record."""
        return self.folders.record(run)

    def fence(self, job: str, epoch: int) -> None:
        """Write the epoch into the job's document; wrappers of lower epochs end their work and commit nothing."""
        self.folders.fence(job, epoch)

    def stop(self, run: str, grace_seconds: float) -> None:
        """Ask the wrappers to end their work; they use force after the grace time, with or without a server.

        Returns at once. A wrapper that still lives ten seconds after the grace time is ended by force by the next call.
        """
        spec = self.folders.spec(run)
        if spec is None:
            return
        began, ended, record = self.folders.ranks(run, spec)
        if record is not None and len(ended) == spec["nodes"]:
            return
        now = self.clock.now()
        asked = self.folders.ask_stop(run, grace_seconds, now)
        late = now > asked + timedelta(seconds=grace_seconds + _FORCE_AFTER_SECONDS)
        for rank, state in began.items():
            if not _signal(state, signal.SIGKILL if late else signal.SIGTERM) or late:
                _kill_strays(run, rank)

    def logs(self, run: str, rank: int, offset: int, limit: int) -> bytes:
        """A piece of the log file."""
        return self.folders.logs(run, rank, offset, limit)

    def logs_from(self, run: str, rank: int) -> int | None:
        """Where what is kept of the log begins."""
        return self.folders.logs_from(run, rank)

    def list_by_tag(self) -> tuple[Resource, ...]:
        """Runs with living processes."""
        found = []
        for run, spec in self.folders.live().items():
            began, ended, _ = self.folders.ranks(run, spec)
            living = [state for rank, state in began.items() if rank not in ended and _alive(state)]
            if living:
                since = min(datetime.fromisoformat(state["started_at"]) for state in living)
                pids = " ".join(str(state["pid"]) for state in living)
                found.append(Resource(run=run, reference=f"pid {pids}", since=since))
            elif not self.folders.locked(self._start_lock(run)):
                self.folders.release(run)
        return tuple(found)

    def close(self) -> None:
        """Nothing is held."""


class _Used:
    """What live runs use of the machine."""

    def __init__(self) -> None:
        self.cpus = self.memory_gib = 0.0
        self.devices: dict[tuple[str, int], int] = {}


def _pool_id(pool: str, silicon: str) -> str:
    return f"{pool}-{re.sub(r'[^a-z0-9._-]', '-', silicon.lower())}"


def _loopback(rank: int) -> str:
    """127.0.0.1 for rank 0, then up; every address of 127/8 is this machine."""
    return f"127.{rank // 62_500 % 250}.{rank // 250 % 250}.{rank % 250 + 1}"


def _alive(state: Document) -> bool:
    return bool(state["boot"] == wrapper.boot() and wrapper.process_start(state["pid"]) == state["start"])


def _signal(state: Document, number: signal.Signals) -> bool:
    """Signal a wrapper; False when it is gone. The handle is taken before the check, so it cannot become another's."""
    try:
        handle = os.pidfd_open(state["pid"])
    except OSError:
        return False
    try:
        if not _alive(state):
            return False
        signal.pidfd_send_signal(handle, number)
    except ProcessLookupError:
        return False
    finally:
        os.close(handle)
    return True


def _kill_strays(run: str, rank: int, attempt: int | None = None) -> None:
    """End what a wrapper that died left behind: processes that carry run and rank in their environment.

    With `attempt` only what is of that one: whoever looks at a lost rank must not end the work that replaced it since.
    """
    marks = {f"ARGOSY_RUN={run}".encode(), f"NODE_RANK={rank}".encode()}
    if attempt is not None:
        marks.add(f"ARGOSY_ATTEMPT={attempt}".encode())
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            words = Path("/proc", entry, "environ").read_bytes().split(b"\0")
            if marks.issubset(words):
                handle = os.pidfd_open(int(entry))
                try:
                    signal.pidfd_send_signal(handle, signal.SIGKILL)
                finally:
                    os.close(handle)
        except OSError:  # gone meanwhile, or not ours to look at
            continue

"""A Slurm of several nodes on loopback: munged, slurmctld and slurmd in a folder of their own, ended by number.

Accelerators are counts without devices, cores are as many as the configuration says. Everything runs as the user of
the tests, which has to be root: Slurm starts work as the user who ordered it.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import stat
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.engines import Engine, lacks
from tests.support.ports import free_ports
from tests.support.waiting import wait_for

from argosy.clock import SystemClock
from argosy.run import wrapper
from argosy.run.driver import Driver
from argosy.run.drivers import slurm

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scancel", "scontrol", "srun")
NODES = ("n1", "n2", "n3", "n4")
# How long a node may be silent before its work is given up, and how long work may take to end before it is killed. On
# a busy machine both happen to what is well; only tests of just that are in a hurry, for as long as they need to be.
PATIENT = (120, 60)


def program(name: str) -> str | None:
    """A program's path; daemons are not always on the path of a user."""
    return shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin:/sbin")


class Cluster:
    """Daemons by name, and the commands to look at them."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.conf = folder, folder / "slurm.conf"
        self.daemons: dict[str, subprocess.Popen[bytes]] = {}
        for name in ("state", "log", *(f"spool-{node}" for node in NODES)):
            (folder / name).mkdir(parents=True)
        self.ports = free_ports(len(NODES) + 1)
        self.node_seconds, self.kill_seconds = PATIENT

    def write(self) -> None:
        """The configuration."""
        folder, ports = self.folder, self.ports
        lines = [
            "ClusterName=laws",
            "SlurmctldHost=localhost(127.0.0.1)",
            f"SlurmctldPort={ports[0]}",
            "AuthType=auth/munge",
            f"AuthInfo=socket={folder}/munge.socket",
            "CredType=cred/munge",
            "SlurmUser=root",
            f"StateSaveLocation={folder}/state",
            f"SlurmdSpoolDir={folder}/spool-%n",
            f"SlurmdPidFile={folder}/slurmd-%n.pid",
            f"SlurmctldPidFile={folder}/slurmctld.pid",
            "ProctrackType=proctrack/linuxproc",
            "TaskPlugin=task/none",
            "SwitchType=switch/none",
            "MpiDefault=none",
            "SelectType=select/cons_tres",
            "SelectTypeParameters=CR_CPU_Memory",
            "DefMemPerCPU=100",
            "SchedulerType=sched/backfill",
            "SchedulerParameters=batch_sched_delay=0,sched_min_interval=0,bf_interval=1,sched_interval=1",
            "PriorityType=priority/basic",
            "PreemptType=preempt/partition_prio",
            "PreemptMode=CANCEL",
            "SlurmdParameters=config_overrides",
            "JobAcctGatherType=jobacct_gather/none",
            "AccountingStorageType=accounting_storage/none",
            "GresTypes=gpu",
            "ReturnToService=2",
            f"SlurmdTimeout={self.node_seconds}",
            "SlurmctldTimeout=60",
            "InactiveLimit=0",
            f"KillWait={self.kill_seconds}",
            "MinJobAge=300",
            "CompleteWait=0",
            "MessageTimeout=60",
            "HealthCheckInterval=0",
        ]
        for node, port in zip(NODES, ports[1:], strict=True):
            gres = "" if node == "n4" else " Gres=gpu:h100:4"
            lines.append(
                f"NodeName={node} NodeHostname={socket.gethostname()} NodeAddr=127.0.0.1 Port={port} CPUs=16"
                f" RealMemory=16000{gres} State=UNKNOWN"
            )
        lines.append(f"PartitionName=main Nodes={','.join(NODES)} Default=YES MaxTime=INFINITE PriorityTier=1 State=UP")
        lines.append(f"PartitionName=urgent Nodes={','.join(NODES)} MaxTime=INFINITE PriorityTier=9 State=UP")
        self.conf.write_text("\n".join(lines) + "\n")
        # Slurm wants a device file for each; nothing here opens them.
        for number in range(4):
            if (folder / f"h100-{number}").exists():
                continue
            os.mknod(folder / f"h100-{number}", 0o600 | stat.S_IFCHR, os.makedev(1, 3))
        (folder / "gres.conf").write_text(f"NodeName=n[1-3] Name=gpu Type=h100 File={folder}/h100-[0-3]\n")

    def try_to(self, *command: str) -> subprocess.CompletedProcess[str]:
        """A Slurm command that may fail."""
        path = program(command[0])
        assert path is not None
        return subprocess.run(
            [path, *command[1:]], env=self.environment(), capture_output=True, text=True, timeout=180, check=False
        )

    def ask(self, *command: str) -> str:
        """Output of a Slurm command."""
        done = self.try_to(*command)
        assert done.returncode == 0, f"{command}: {done.stderr}"
        return done.stdout

    def environment(self) -> dict[str, str]:
        return {"SLURM_CONF": str(self.conf), "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}

    def launch(self, name: str, *command: str) -> None:
        """Start a daemon in the foreground of its own process."""
        path = program(command[0])
        assert path is not None
        with (self.folder / "log" / f"{name}.out").open("ab") as log:
            self.daemons[name] = subprocess.Popen(
                [path, *command[1:]], env=self.environment(), stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

    def end(self, name: str, number: int = signal.SIGTERM) -> None:
        """End a daemon."""
        daemon = self.daemons.pop(name)
        daemon.send_signal(number)
        try:
            daemon.wait(60)
        except subprocess.TimeoutExpired:
            daemon.kill()
            daemon.wait()

    @contextmanager
    def hurried(self, *, node_seconds: int = PATIENT[0], kill_seconds: int = PATIENT[1]) -> Iterator[None]:
        """Less patience for a while."""
        self.node_seconds, self.kill_seconds = node_seconds, kill_seconds
        try:
            self.write()
            self.ask("scontrol", "reconfigure")
            yield
        finally:
            self.node_seconds, self.kill_seconds = PATIENT
            self.write()
            self.ask("scontrol", "reconfigure")

    def start_munge(self) -> None:
        key = self.folder / "munge.key"
        if not key.exists():
            key.write_bytes(os.urandom(128))
            key.chmod(0o600)
        options = (("socket", "munge.socket"), ("pid-file", "munged.pid"), ("log-file", "log/munged.log"))
        words = [f"--{name}={self.folder}/{value}" for name, value in (*options, ("seed-file", "munge.seed"))]
        self.launch("munged", "munged", "--foreground", "--force", f"--key-file={key}", *words)
        wait_for((self.folder / "munge.socket").exists, "munged")

    def start_controller(self) -> None:
        self.launch("slurmctld", "slurmctld", "-D", "-f", str(self.conf))

    def start_node(self, node: str) -> None:
        self.launch(node, "slurmd", "-D", "-N", node, "-f", str(self.conf))

    def states(self) -> dict[str, str]:
        """States of nodes; empty while the controller does not answer."""
        path = program("sinfo")
        assert path is not None
        done = subprocess.run(
            [path, "-h", "-N", "-o", "%N %T"], env=self.environment(), capture_output=True, text=True, check=False
        )
        return dict(sorted(tuple(line.split()[:2]) for line in done.stdout.splitlines()))  # type: ignore[arg-type]

    def wait_idle(self) -> None:
        def ready() -> bool:
            states = self.states()
            return len(states) == len(NODES) and all(s in ("idle", "mixed", "allocated") for s in states.values())

        wait_for(ready, "all nodes to be ready")

    def kill_machine(self, node: str) -> None:
        """A machine dies: its slurmd, its step daemons and everything below them, at once."""
        self.daemons[node].send_signal(signal.SIGSTOP)
        while left := self.below(node) - {self.daemons[node].pid}:  # what dies may just have started another
            wrapper.send(sorted(left), signal.SIGKILL)
        self.end(node, signal.SIGKILL)

    def below(self, node: str | None) -> set[int]:
        """Processes of a node, or of all nodes: its daemons and their work carry its name in their environment."""
        found = set()
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            try:
                words = (entry / "environ").read_bytes().split(b"\0")
            except OSError:
                continue
            ours = f"SLURM_CONF={self.conf}".encode() in words
            if ours and (node is None or f"SLURMD_NODENAME={node}".encode() in words):
                found.add(int(entry.name))
        return found

    def start(self) -> None:
        self.write()
        self.start_munge()
        self.start_controller()
        for node in NODES:
            self.start_node(node)
        self.wait_idle()

    def stop(self) -> None:
        for name in reversed(list(self.daemons)):
            self.end(name)
        while left := self.below(None):  # step daemons outlive the daemons that started them
            wrapper.send(sorted(left), signal.SIGKILL)


@contextmanager
def cluster(folder: Path) -> Iterator[Cluster]:
    missing = [name for name in PROGRAMS if program(name) is None]
    if missing:
        lacks("slurm", f"{', '.join(missing)} not found; install slurm-wlm and munge")
    if os.geteuid() != 0:
        lacks("slurm", "its daemons are started as root here")
    made = Cluster(folder)
    try:
        made.start()
        yield made
    finally:
        made.stop()


@contextmanager
def slurm_engine(folder: Path) -> Iterator[Engine]:
    with cluster(folder / "cluster") as made:
        yield engine_of(made, folder)


def engine_of(made: Cluster, folder: Path) -> Engine:
    """The cluster as an engine for the laws."""
    settings = slurm.Settings(
        folder=str(folder / "runs"), conf=str(made.conf), partition="main", poll_seconds=0.2, timeout_seconds=120.0
    )

    @contextmanager
    def unreachable() -> Iterator[None]:
        made.end("slurmctld")
        try:
            yield
        finally:
            made.start_controller()
            made.wait_idle()

    def kill_node(driver: Driver, run: str, rank: int) -> None:
        (seen,) = [node for node in driver.observe([run])[run].nodes if node.rank == rank]
        made.kill_machine(seen.node)
        # What a health check or a person does; Slurm alone takes some 20 seconds, which another test waits for.
        made.ask("scontrol", "update", f"nodename={seen.node}", "state=down", "reason=dead")

    def repair() -> None:
        for node in NODES:
            if node not in made.daemons:
                made.start_node(node)
                # By itself it comes back only where nobody declared it dead.
                made.try_to("scontrol", "update", f"nodename={node}", "state=resume")
        made.wait_idle()

    return Engine(
        name="slurm",
        pool="slurm",
        driver=lambda: slurm.Driver(settings, SystemClock()),
        unreachable=unreachable,
        kill_node=kill_node,
        repair=repair,
        impatient=lambda: slurm.Driver(settings.model_copy(update={"timeout_seconds": 0.5}), SystemClock()),
        answers_alone=frozenset({"exit_record", "fence", "logs"}),
        folders=lambda: [folder],
    )

"""Runs one rank of a run on its node: sets its surroundings, waits for it and writes durably how it ended.

Drivers copy this file to the node, where it runs alone: standard library only, Python 3.8 or newer, nothing of Argosy.
What it needs stands in `spec.json` of the run's folder; secrets come in a file that it deletes when it has read them.
It must never repeat a rank that ran, commit for a superseded epoch, or leave a process of the work behind.

    FOLDER/jobs/JOB.json        epoch of the job, how its ranks ended, exit records; changed under a lock, by rename
    FOLDER/runs/RUN/spec.json   what to run; setup.sh, run.sh beside it
    FOLDER/runs/RUN/N.json      rank N: attempt, process, node; written before its work starts
    FOLDER/runs/RUN/N.log       what rank N printed; N.log.1000 goes on at its byte 1000, and so on (`Log`)
    FOLDER/runs/RUN/stop        that it was asked to end, and with which grace time
    FOLDER/runs/RUN/commit      what the work calls to commit a checkpoint: `"$ARGOSY_COMMIT" FOLDER`

On Kubernetes, JOB.json is a ConfigMap, changed on the condition that nobody else changed it.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import hashlib
import json
import os
import pwd
import resource
import select
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Set, Tuple

KEPT_RUNS = 64  # of one job, in its document
FAILED_BEFORE_WORK = 78  # EX_CONFIG: workdir, mount or shell is not there
NOT_COMMITTED = 75  # EX_TEMPFAIL: a checkpoint was refused
STOPPED = 128 + signal.SIGTERM
LEFTOVER_SECONDS = 5.0
COMPLETE = "COMPLETE"  # the file that makes a folder a checkpoint, written last
LOG_BYTES = 2**28  # of one rank, when nobody says otherwise
LOG_PARTS = 4
MARK = "argosy-runs"  # a file in FOLDER; without it a disk is not mounted
_SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")

Document = Dict[str, Any]


class Refused(Exception):
    """The work cannot be started here; the message goes to its log."""


# --- what is remembered of a job -------------------------------------------------------------------------------------


def committed(document: Document, spec: Document, rank: int, ended: Document) -> Document:
    """R5: the job's document after a rank ended. The last rank of a run makes its exit record.

    A run below the job's epoch commits a record that says `superseded`. The exit code of a run is that of the rank
    that failed first, 0 when none did. A rank that is already in the document, and a record, are never changed.
    """
    runs = dict(document.get("runs", {}))
    run = dict(runs.get(spec["run"], {"ranks": {}}))
    if run.get("record") is not None:
        return document
    ranks = dict(run["ranks"])
    ranks.setdefault(str(rank), ended)
    run["ranks"] = ranks
    superseded = document.get("epoch", 0) > spec["epoch"]
    if len(ranks) == spec["nodes"] or superseded:
        hashes = [ranks[n].get("manifest_hash") for n in sorted(ranks, key=int)]
        told = [value for value in hashes if value]
        run["record"] = {
            "job": spec["job"],
            "run": spec["run"],
            "epoch": spec["epoch"],
            "exit_code": next((r["exit_code"] for r in ranks.values() if r["exit_code"]), 0),
            "finished_at": max(r["finished_at"] for r in ranks.values()),
            "manifest_hash": told[0] if len(hashes) == 1 and told else _hash_of("\n".join(told)) if told else None,
            "superseded": superseded,
        }
    runs.pop(spec["run"], None)
    runs[spec["run"]] = run
    epoch = max(document.get("epoch", 0), spec["epoch"])
    return dict(document, epoch=epoch, runs=dict(list(runs.items())[-KEPT_RUNS:]))


def fenced(document: Document, epoch: int) -> Document:
    """The job's document after runs below an epoch were shut out."""
    return dict(document, epoch=max(document.get("epoch", 0), epoch), runs=document.get("runs", {}))


def stopped(document: Document, run: str, grace_seconds: float) -> Document:
    """The job's document after a run was asked to end, for engines whose nodes share no folder."""
    runs = dict(document.get("runs", {}))
    runs[run] = dict(runs.get(run, {"ranks": {}}), stop=grace_seconds)
    return dict(document, epoch=document.get("epoch", 0), runs=runs)


def _hash_of(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def write_durably(path: Path, text: str, mode: int = 0o600) -> None:
    """Write a file so that after a power cut it is the old one or the new one, whole."""
    temporary = path.with_name("%s.%s.new" % (path.name, os.urandom(8).hex()))
    handle = os.open(str(temporary), os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
    try:
        data = memoryview(text.encode())
        while data:
            data = data[os.write(handle, data) :]
        os.fsync(handle)
    finally:
        os.close(handle)
    os.replace(str(temporary), str(path))
    sync_folder(path.parent)


def sync_folder(path: Path) -> None:
    """Make what was renamed or removed in a folder last beyond a power cut."""
    folder = os.open(str(path), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


class JobFile:
    """A job's document as a file; a lock beside it makes a change atomic among machines that share the folder."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> Document:
        """The document; empty when there is none yet."""
        try:
            text = self.path.read_text("utf-8")
        except FileNotFoundError:
            return {}
        document: Document = json.loads(text)
        return document

    def change(self, step: Callable[[Document], Document]) -> Document:
        """Apply a step under the lock and give the new document."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        lock = os.open(str(self.path) + ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            before = self.read()
            after = step(before)
            if after != before:
                write_durably(self.path, json.dumps(after))
            return after
        finally:
            os.close(lock)


class JobConfigMap:
    """A job's document in a Kubernetes ConfigMap; the resource version makes a change atomic.

    What it imports takes as long as the rest of the wrapper, and no other engine needs it.
    """

    def __init__(self, url: str, token: Optional[str], ca_file: Optional[str]) -> None:
        import ssl

        self.url, self.token = url, token
        self.context = ssl.create_default_context(cafile=ca_file) if ca_file else None

    @staticmethod
    def inside(spec: Document) -> JobConfigMap:
        """The job's ConfigMap as a pod of its namespace reaches it."""
        host, port = os.environ["KUBERNETES_SERVICE_HOST"], os.environ["KUBERNETES_SERVICE_PORT"]
        account = Path(spec.get("service_account_folder") or _SERVICE_ACCOUNT)
        token = (account / "token").read_text("utf-8").strip() if (account / "token").exists() else None
        ca = account / "ca.crt"
        ca_file = str(ca) if ca.exists() else None
        scheme = "https" if ca_file else "http"
        path = "/api/v1/namespaces/%s/configmaps/%s" % (spec["namespace"], spec["config_map"])
        return JobConfigMap("%s://%s:%s%s" % (scheme, host, port, path), token, ca_file)

    def _ask(self, method: str, body: Optional[Document] = None) -> Document:
        import urllib.request

        headers = {"Content-Type": "application/json"}
        if self.token:
            headers["Authorization"] = "Bearer " + self.token
        data = None if body is None else json.dumps(body).encode()
        asked = urllib.request.Request(self.url, data=data, headers=headers, method=method)
        with urllib.request.urlopen(asked, timeout=20, context=self.context) as answer:
            found: Document = json.loads(answer.read())
        return found

    def read(self) -> Document:
        """The document."""
        document: Document = json.loads(self._ask("GET").get("data", {}).get("document", "{}"))
        return document

    def change(self, step: Callable[[Document], Document]) -> Document:
        """Apply a step; when somebody else changed the document meanwhile, apply it to theirs."""
        import urllib.error

        while True:
            found = self._ask("GET")
            before: Document = json.loads(found.get("data", {}).get("document", "{}"))
            after = step(before)
            if after == before:
                return after
            try:
                self._ask("PUT", dict(found, data={"document": json.dumps(after)}))
            except urllib.error.HTTPError as error:
                if error.code != 409:
                    raise
                continue
            return after


# --- processes -------------------------------------------------------------------------------------------------------


def process_start(pid: int) -> Optional[int]:
    """When a process started, in ticks since boot; None when there is none, or only its body waits to be reaped."""
    try:
        text = Path("/proc/%d/stat" % pid).read_text("utf-8", "replace")
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()
    return None if fields[0] in ("Z", "X") else int(fields[19])


def boot() -> str:
    """A name of the time since the machine was started."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text("utf-8").strip()
    except OSError:
        return ""


def descendants(root: int) -> List[int]:
    """Every living process below a process, by parent."""
    children: Dict[int, List[int]] = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                text = Path("/proc/%s/stat" % entry).read_text("utf-8", "replace")
            except OSError:
                continue
            fields = text.rpartition(")")[2].split()
            if fields[0] not in ("Z", "X"):
                children.setdefault(int(fields[1]), []).append(int(entry))
    found, left = [], [root]
    while left:
        below = children.get(left.pop(), [])
        found += below
        left += below
    return found


def send(pids: List[int], number: int) -> None:
    """Signal processes; those that are gone already are no error."""
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue


def _prctl(option: int, value: int) -> None:
    try:
        ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)
    except (OSError, AttributeError) as error:  # not Linux, or a C library without it
        say("no prctl: %s" % error)


def say(text: str) -> None:
    """A line of the wrapper in the work's log. Where that is full or gone the work must still be seen to its end."""
    try:
        os.write(2, ("[argosy] %s\n" % text).encode())
    except OSError:
        return


# --- what the work prints --------------------------------------------------------------------------------------------


class Log:
    """What a rank prints, read from a pipe and kept in parts, of which only the newest stay.

    Parts are named by the byte that they begin with, counted from the first that the rank ever printed, so a reader's
    position stays true when old parts go. The work never waits for the disk and never fails by it: what cannot be
    written is counted, and the log says so where it goes on.
    """

    def __init__(self, folder: Path, rank: int, most_bytes: int) -> None:
        self.folder, self.name = folder, "%d.log" % rank
        self.part_bytes = max(1, most_bytes // LOG_PARTS)
        self.handle, self.begin, self.size, self.lost = -1, 0, 0, 0
        found = self._parts()
        self._open(found[-1] if found else 0)  # an earlier attempt's log goes on
        self.source, self.sink = os.pipe()
        os.set_blocking(self.source, False)
        with contextlib.suppress(OSError):  # F_SETPIPE_SZ: fewer turns for work that prints a lot
            fcntl.fcntl(self.sink, 1031, 2**20)

    def _path(self, begin: int) -> str:
        return str(self.folder / (self.name if begin == 0 else "%s.%d" % (self.name, begin)))

    def _parts(self) -> List[int]:
        known = (name[len(self.name) :] for name in os.listdir(str(self.folder)) if name.startswith(self.name))
        return sorted(int(rest[1:] or 0) for rest in known if not rest or (rest[0] == "." and rest[1:].isdigit()))

    def _open(self, begin: int) -> None:
        handle = os.open(self._path(begin), os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        if self.handle >= 0:
            os.close(self.handle)
        self.handle, self.begin, self.size = handle, begin, os.fstat(handle).st_size
        os.dup2(handle, 1)  # what the wrapper itself has to say goes there too
        os.dup2(handle, 2)

    def pump(self) -> None:
        """Take what has been printed, up to a megabyte, so that signals are heard meanwhile."""
        for _ in range(16):
            try:
                data = os.read(self.source, 2**16)
            except BlockingIOError:
                return
            self.write(data)

    def drain(self) -> None:
        """Take all that is left."""
        while select.select([self.source], [], [], 0)[0]:
            self.pump()

    def write(self, data: bytes) -> None:
        """Keep what was printed, or count it as lost."""
        try:
            if self.size >= self.part_bytes:
                self._next()
            if self.lost:
                told = b"[argosy] %d bytes of output could not be written\n" % self.lost
                self.size += os.write(self.handle, told)
                self.lost = 0
            written = os.write(self.handle, data)
        except OSError:
            written = 0
        self.size += written
        self.lost += len(data) - written

    def _next(self) -> None:
        """Go on in a new part, then drop the oldest. Cut off in between, there is one part too many until the next."""
        size = os.fstat(self.handle).st_size  # of all that was written to it, also by an attempt thought lost
        if size < self.part_bytes:
            self.size = size
            return
        self._open(self.begin + size)
        for begin in self._parts()[:-LOG_PARTS]:
            try:
                os.unlink(self._path(begin))
            except FileNotFoundError:
                continue


class Limits:
    """What holds the work back, and in words what of it is enforced here."""

    def __init__(self, limits: Document, name: str) -> None:
        self.limits, self.enforced = limits, []  # type: Document, List[str]
        self.memory_bytes: Optional[int] = limits.get("memory_bytes")
        self.nice = int(limits.get("nice", 0))
        self.group = self._cgroup(limits.get("cgroup"), name)
        if self.memory_bytes and not any("memory" in line for line in self.enforced):
            self.enforced.append("memory %d bytes for each process (RLIMIT_DATA)" % self.memory_bytes)
        if limits.get("cpus") and not any("cores" in line for line in self.enforced):
            self.enforced.append("cores not enforced, nice %d" % self.nice)

    def _cgroup(self, parent: Optional[str], name: str) -> Optional[Path]:
        """A control group (version 2) of its own, where the folder that the settings name can be written."""
        if not parent or not (Path(parent) / "cgroup.controllers").exists():
            return None
        group = Path(parent) / name
        try:
            group.mkdir(exist_ok=True)
            if self.memory_bytes:
                (group / "memory.max").write_text(str(self.memory_bytes))
                self.enforced.append("memory %d bytes for all processes together (cgroup)" % self.memory_bytes)
            if self.limits.get("cpus"):
                (group / "cpu.max").write_text("%d 100000" % int(self.limits["cpus"] * 100000))
                self.enforced.append("%g cores (cgroup)" % self.limits["cpus"])
            (group / "cgroup.procs").write_text(str(os.getpid()))
        except OSError as error:
            self.enforced.append("no cgroup: %s" % error)
            return None
        return group

    def apply(self) -> None:
        """Called in the new process before the work."""
        os.umask(0o022)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        if self.memory_bytes and self.group is None:
            resource.setrlimit(resource.RLIMIT_DATA, (self.memory_bytes, self.memory_bytes))
        if self.nice:
            os.nice(self.nice)


class Supervisor:
    """Starts scripts one after the other and sees to it that nothing of them is left."""

    def __init__(
        self,
        grace: Callable[[], float],
        look: Callable[[], Optional[str]],
        every_seconds: float,
        log: Optional[Log] = None,
    ) -> None:
        self.grace, self.look, self.every_seconds, self.log = grace, look, every_seconds, log
        self.stopped_by: Optional[str] = None
        self._signals, self._bell = os.pipe()
        os.set_blocking(self._signals, False)
        os.set_blocking(self._bell, False)
        signal.set_wakeup_fd(self._bell, warn_on_full_buffer=False)
        asking = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
        for number in (*asking, signal.SIGCHLD, signal.SIGCONT, signal.SIGUSR1, signal.SIGUSR2):
            signal.signal(number, lambda *_: None)
        _prctl(36, 1)  # PR_SET_CHILD_SUBREAPER: whoever loses its parent becomes ours

    def run(self, command: List[str], environment: Dict[str, str], cwd: str, limits: Limits) -> int:
        """Exit code of a command, 128 + number when a signal ended it; STOPPED when it was asked to end and obeyed."""
        if self.stopped_by is not None:
            return STOPPED
        parent = os.getpid()

        def before() -> None:
            limits.apply()
            _prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG: without us it would run unseen
            if os.getppid() != parent:
                os._exit(STOPPED)

        child = subprocess.Popen(
            command,
            cwd=cwd,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=None if self.log is None else self.log.sink,
            stderr=None if self.log is None else self.log.sink,
            start_new_session=True,
            preexec_fn=before,  # noqa: PLW1509 - there are no threads here
        )
        deadline: Optional[float] = None
        next_look = time.monotonic() + self.every_seconds
        status: Optional[int] = None
        while status is None:
            now = time.monotonic()
            until = next_look if deadline is None else deadline
            for number in self._wait(max(0.0, until - now)):
                if number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
                    self.stopped_by = self.stopped_by or "asked"
                    if deadline is not None:  # asked again, perhaps with less patience
                        deadline = min(deadline, time.monotonic() + self.grace())
                elif number == signal.SIGCONT:  # harmless to whoever else gets it: look now
                    next_look = 0.0
                elif number != signal.SIGCHLD:
                    self._group(child.pid, number)
            status = self._reap(child.pid)
            now = time.monotonic()
            if self.stopped_by is None and now >= next_look:
                self.stopped_by = self.look()
                next_look = now + self.every_seconds
            if status is None and self.stopped_by is not None:
                if deadline is None:
                    deadline = now + self.grace()
                    say("asked to end (%s), %.1f s grace" % (self.stopped_by, deadline - now))
                    self._group(child.pid, signal.SIGTERM)
                    self._group(child.pid, signal.SIGCONT)
                if now >= deadline:
                    self._group(child.pid, signal.SIGKILL)
                    send(descendants(os.getpid()), signal.SIGKILL)
                    deadline = now + 1.0
        child.returncode = status
        self._end_leftovers(deadline)
        if self.log is not None:
            self.log.drain()
        if self.stopped_by is not None and status == 0:
            return STOPPED
        return status

    def _wait(self, seconds: float) -> bytes:
        watched = [self._signals] if self.log is None else [self._signals, self.log.source]
        ready, _, _ = select.select(watched, [], [], seconds)
        if self.log is not None and self.log.source in ready:
            self.log.pump()
        return os.read(self._signals, 4096) if self._signals in ready else b""

    def _group(self, group: int, number: int) -> None:
        try:
            os.killpg(group, number)
        except (ProcessLookupError, PermissionError):
            send(descendants(os.getpid()), number)

    def _reap(self, wanted: int) -> Optional[int]:
        status: Optional[int] = None
        while True:
            try:
                pid, code = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return status
            if pid == 0:
                return status
            if pid == wanted:
                status = 128 + os.WTERMSIG(code) if os.WIFSIGNALED(code) else os.WEXITSTATUS(code)

    def _end_leftovers(self, deadline: Optional[float]) -> None:
        told: Set[int] = set()
        if not descendants(os.getpid()):
            return
        deadline = deadline or time.monotonic() + min(LEFTOVER_SECONDS, self.grace())
        while True:
            self._reap(0)
            left = descendants(os.getpid())
            if not left:
                return
            send([pid for pid in left if pid not in told], signal.SIGTERM)  # whom another has just started too
            told.update(left)
            if time.monotonic() >= deadline + LEFTOVER_SECONDS:  # they hang in the kernel; the record must not wait
                say("processes that cannot be ended: %s" % left)
                return
            if time.monotonic() >= deadline:
                send(left, signal.SIGKILL)
            self._wait(0.05)


# --- checkpoints -----------------------------------------------------------------------------------------------------


def manifest_lines(files: Dict[str, Tuple[int, str]]) -> str:
    """What the hash of a manifest is over: each file's name, size and SHA-256, by name."""
    return "\n".join("%s %d %s" % (name, size, digest) for name, (size, digest) in sorted(files.items()))


def commit_checkpoint(folder: Path, path: Path) -> str:
    """R11: make a folder a checkpoint of this run, and give its hash. Refused once a later epoch holds the job.

    Every file is brought to the disk and hashed before. The mark is written under the lock that fences take, so none
    can come after a fence; where nodes share no folder, the job's document is changed first, on the same condition.
    """
    spec = json.loads((folder / "spec.json").read_text("utf-8"))
    place = spec.get("checkpoint")
    if not place or "://" in place:
        raise Refused("only checkpoints below a path can be committed here; the prefix is %s" % place)
    path = path.resolve()
    root = Path(place).resolve()
    if path != root and root not in path.parents:
        raise Refused("%s is not below ARGOSY_CHECKPOINT, %s" % (path, place))
    mark = path / COMPLETE
    files = {}  # type: Dict[str, Tuple[int, str]]
    for found in sorted(p for p in path.rglob("*") if p.is_file() and p != mark):
        files[str(found.relative_to(path))] = _settled(found)
    if not files:
        raise Refused("there is nothing in %s" % path)
    told = {"epoch": spec["epoch"], "run": spec["run"], "at": instant(), "hash": _hash_of(manifest_lines(files))}
    shared = "config_map" not in spec
    text = json.dumps(dict(told, files=files))

    def step(before: Document) -> Document:
        if before.get("epoch", 0) > spec["epoch"]:
            raise Refused("epoch %d holds the job; epoch %d commits nothing" % (before["epoch"], spec["epoch"]))
        if shared:
            write_durably(mark, text, 0o644)
        return dict(before, checkpoint=dict(told, path=str(path)))

    job = JobFile(Path(spec["job_file"])) if shared else JobConfigMap.inside(spec)
    job.change(step)
    if not shared:
        write_durably(mark, text, 0o644)
    return str(told["hash"])


def _settled(path: Path) -> Tuple[int, str]:
    """Size and SHA-256 of a file that is on the disk."""
    digest, size = hashlib.sha256(), 0
    with path.open("rb") as file:
        os.fsync(file.fileno())
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
            size += len(block)
    return size, digest.hexdigest()


# --- one rank --------------------------------------------------------------------------------------------------------


class Rank:
    """One rank of a run, from its folder to its end."""

    def __init__(self, folder: Path, rank: int, attempt: int) -> None:
        self.folder, self.rank, self.attempt = folder, rank, attempt
        self.spec: Document = json.loads((folder / "spec.json").read_text("utf-8"))
        self.job: Any = (
            JobConfigMap.inside(self.spec) if "config_map" in self.spec else JobFile(Path(self.spec["job_file"]))
        )
        self.manifest = folder / ("%d.manifest" % rank)
        self.log: Optional[Log] = None
        self.secrets: Dict[str, str] = {}
        self.told_grace: Optional[float] = None

    def claim(self) -> bool:
        """Whether this process may be the rank. The lock is held for life; an attempt that began is never repeated."""
        name = "%d.%d.lock" % (self.rank, self.attempt)
        lock = os.open(str(self.folder / name), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        state = self.folder / ("%d.json" % self.rank)
        if _read_json(state).get("attempt", 0) >= self.attempt:
            return False
        secret = self.folder / ("%d.secrets" % self.rank)
        if "config_map" in self.spec:  # a pod has a folder of its own, made from what was mounted
            secret = self.folder / "secrets.json"
        self.secrets = _read_json(secret)
        self.limits = Limits(self.spec.get("limits", {}), "%s-%d" % (self.folder.name, self.rank))
        pid = os.getpid()
        told = {
            "attempt": self.attempt,
            "pid": pid,
            "start": process_start(pid),
            "boot": boot(),
            "node": os.environ.get("SLURMD_NODENAME") or self.spec.get("node") or socket.gethostname(),
            "address": self.address(),
            "started_at": instant(),
            "enforced": self.limits.enforced,
        }
        if self.spec.get("checkpoint"):
            words = (sys.executable, str(Path(__file__).resolve()), str(self.folder))
            line = "exec %s -I -S %s commit %s" % tuple(shlex.quote(word) for word in words)
            write_durably(self.folder / "commit", '#!/bin/sh\n%s "$@"\n' % line, 0o700)
        write_durably(state, json.dumps(told))
        secret.unlink(missing_ok=True)
        return True

    def address(self) -> str:
        """Where the other ranks reach this one."""
        given = self.spec.get("addresses")
        if given:
            return str(given[self.rank])
        name = os.environ.get("SLURMD_NODENAME")
        if name:
            return _slurm_address(name)
        return os.environ.get("ARGOSY_ADDRESS") or socket.gethostname()

    def addresses(self) -> List[str]:
        """Addresses of all ranks; waits until each has told its own where nobody knew them before."""
        nodes = self.spec["nodes"]
        given = self.spec.get("addresses")
        if given:
            return list(given)
        if nodes == 1:
            return [self.address()]
        until = time.monotonic() + self.spec.get("meet_seconds", 300.0)
        while True:
            told = [_read_json(self.folder / ("%d.json" % n)).get("address") for n in range(nodes)]
            if all(told):
                return [str(address) for address in told]
            if self.look() is not None:
                raise Refused("the run ended before all of its nodes had started")
            if time.monotonic() > until:
                missing = [n for n, address in enumerate(told) if not address]
                raise Refused("ranks %s did not start in time" % missing)
            select.select([], [], [], 0.1)

    def replaced(self) -> bool:
        """Whether a later attempt is the rank now: this node was thought lost."""
        return bool(_read_json(self.folder / ("%d.json" % self.rank)).get("attempt", 0) > self.attempt)

    def forgotten(self) -> bool:
        """Whether the run's folder was cleared away: what fenced this run is then gone too. Not mounted is not gone."""
        if "config_map" in self.spec or (self.folder / "spec.json").exists():
            return False
        return (self.folder.parent.parent / MARK).is_file() and not (self.folder / "spec.json").exists()

    def look(self) -> Optional[str]:
        """Whether something outside says that the work must end: a newer epoch, a request, a failed rank."""
        try:
            if (self.folder / "stop").exists():
                return "asked"
            if self.forgotten():
                return "its run is over and was cleared away"
            if self.replaced():
                return "replaced"
            document = self.job.read()
        except (OSError, ValueError) as error:
            say("the job's document cannot be read, going on: %s" % error)
            return None
        if document.get("epoch", 0) > self.spec["epoch"]:
            return "superseded"
        mine = document.get("runs", {}).get(self.spec["run"], {})
        if mine.get("record") is not None or str(self.rank) in mine.get("ranks", {}):
            return "it ended before"
        if mine.get("stop") is not None:
            self.told_grace = float(mine["stop"])
            return "asked"
        return "another rank failed" if any(r["exit_code"] for r in mine.get("ranks", {}).values()) else None

    def grace(self) -> float:
        """Seconds between asking and force."""
        if "config_map" in self.spec and self.told_grace is None:
            self.look()
        if self.told_grace is not None:
            return self.told_grace
        asked: Document = {}
        try:
            asked = _read_json(self.folder / "stop")
        except (OSError, ValueError) as error:
            say("the grace time cannot be read: %s" % error)
        return float(dict(self.spec, **asked)["grace_seconds"])

    def environment(self) -> Dict[str, str]:
        """What the work finds in its environment."""
        spec, rank, nodes = self.spec, str(self.rank), str(self.spec["nodes"])
        user = pwd.getpwuid(os.getuid())
        found = {
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": user.pw_dir,
            "USER": user.pw_name,
            "LOGNAME": user.pw_name,
            "SHELL": "/bin/bash",
            "LANG": "C.UTF-8",
        }
        if spec.get("inherit"):
            found.update({k: v for k, v in os.environ.items() if k not in spec.get("not_inherited", ())})
        found.update(spec.get("environment", {}))
        addresses = self.addresses()
        accelerators = str(spec["accelerators"])
        found.update(
            {
                "SKYPILOT_NODE_RANK": rank,
                "SKYPILOT_NODE_IPS": "\n".join(addresses),
                "SKYPILOT_NUM_NODES": nodes,
                "SKYPILOT_NUM_GPUS_PER_NODE": accelerators,
                "SKYPILOT_TASK_ID": spec["run"],
                "MASTER_ADDR": addresses[0],
                "MASTER_PORT": str(spec["master_port"]),
                "WORLD_SIZE": nodes,
                "RANK": rank,
                "NODE_RANK": rank,
                "LOCAL_RANK": "0",
                "LOCAL_WORLD_SIZE": "1",
                "ARGOSY_JOB": spec["job"],
                "ARGOSY_RUN": spec["run"],
                "ARGOSY_EPOCH": str(spec["epoch"]),
                "ARGOSY_ATTEMPT": str(self.attempt),
                "ARGOSY_MANIFEST": str(self.manifest),
            }
        )
        slurm = {"PROCID": rank, "NODEID": rank, "LOCALID": "0", "NTASKS": nodes, "NNODES": nodes}
        slurm.update(JOB_NUM_NODES=nodes, JOB_NAME=spec["name"], JOB_ID=spec["run"])
        for word, value in slurm.items():
            found.setdefault("SLURM_" + word, value)
        # Written by Slurm for one step; a rank that was started in a step of its own has another place in the run.
        found.update(SLURM_PROCID=rank, SLURM_NODEID=rank, SLURM_NTASKS=nodes, SLURM_NNODES=nodes)
        devices = spec.get("devices", {}).get(rank)
        if devices is not None:
            found["CUDA_VISIBLE_DEVICES"] = devices
        if spec.get("checkpoint"):
            found["ARGOSY_CHECKPOINT"] = spec["checkpoint"]
            found["ARGOSY_CHECKPOINTS"] = spec["checkpoint"].rpartition("/")[0]
            found["ARGOSY_COMMIT"] = str(self.folder / "commit")
        if spec.get("resume_from"):
            found["ARGOSY_RESUME_FROM"] = spec["resume_from"]
        found.update(spec["envs"])
        found.update(self.secrets)
        return found

    def working_folder(self) -> Path:
        """The folder that the work starts in, with its files put where they were asked for."""
        if self.spec.get("workdir"):
            cwd = Path(self.spec["workdir"])
            if not cwd.is_dir():
                raise Refused("workdir %s is not a folder on this node" % cwd)
        else:
            cwd = self.folder / ("%d.work" % self.rank)
            cwd.mkdir(exist_ok=True)
        for target, source in self.spec.get("mounts", {}).items():
            _mount(Path(os.path.expanduser(target)), Path(os.path.expanduser(source)), cwd)
        return cwd

    def work(self) -> Tuple[int, Optional[str]]:
        """Exit code, and what stopped it when something did."""
        spec = self.spec
        supervisor = Supervisor(self.grace, self.look, float(spec.get("poll_seconds", 1.0)), self.log)
        code = 0
        try:
            # Asked to end before it began: nothing is started.
            supervisor.stopped_by = self.look()
            cwd, environment = self.working_folder(), self.environment()
            if spec.get("checkpoint") and "://" not in spec["checkpoint"]:
                os.makedirs(spec["checkpoint"], exist_ok=True)
            shell = shutil.which("bash") or "/bin/sh"
            for script in ("setup.sh", "run.sh"):
                if (self.folder / script).exists():
                    code = supervisor.run([shell, str(self.folder / script)], environment, str(cwd), self.limits)
                    if code != 0:
                        if script == "setup.sh" and supervisor.stopped_by is None:
                            say("setup ended with exit code %d; run was not started" % code)
                        break
        except (Refused, OSError, ValueError) as error:  # ValueError: an environment that no process can be given
            say(str(error))
            return FAILED_BEFORE_WORK, supervisor.stopped_by
        return code, supervisor.stopped_by

    def manifest_hash(self, cwd: str) -> Optional[str]:
        """Hash over the files that the work listed in ARGOSY_MANIFEST, one path a line; None when it listed none."""
        if not self.manifest.exists():
            return None
        lines = []
        for line in sorted(set(self.manifest.read_text("utf-8", "replace").split("\n")) - {""}):
            path = Path(cwd) / line
            if not path.is_file():
                lines.append("%s absent" % line)
                continue
            digest = hashlib.sha256()
            with path.open("rb") as file:
                for block in iter(lambda: file.read(1 << 20), b""):
                    digest.update(block)
            lines.append("%s %s" % (line, digest.hexdigest()))
        return _hash_of("\n".join(lines)) if lines else None

    def finish(self, code: int, stopped_by: Optional[str]) -> bool:
        """Commit how it ended, again and again while the place to write is out of reach. False: it stayed so."""
        cwd = self.spec.get("workdir") or str(self.folder / ("%d.work" % self.rank))
        ended = {"attempt": self.attempt, "exit_code": code, "finished_at": instant(), "stopped_by": stopped_by}
        try:
            ended["manifest_hash"] = self.manifest_hash(cwd)
        except OSError as error:
            say("the manifest cannot be read: %s" % error)
            ended["manifest_hash"] = None
        until = time.monotonic() + float(self.spec.get("commit_seconds", 3600.0))
        pause = 0.2
        while True:
            try:
                if self.forgotten():
                    return False
                after = self.job.change(
                    lambda before: before if self.replaced() else committed(before, self.spec, self.rank, ended)
                )
            except (OSError, ValueError) as error:
                say("the end cannot be written down yet: %s" % error)
                if time.monotonic() > until:
                    return False
                select.select([], [], [], pause)
                pause = min(30.0, pause * 2)
                continue
            record = after.get("runs", {}).get(self.spec["run"], {}).get("record")
            live = self.spec.get("live_file")
            if record is not None and live:
                Path(live).unlink(missing_ok=True)
            return True


def _mount(target: Path, source: Path, cwd: Path) -> None:
    target = target if target.is_absolute() else cwd / target
    if not source.exists():
        raise Refused("file_mounts: %s does not exist on this node" % source)
    if target.is_symlink() or target.exists():
        if target.resolve() != source.resolve():
            raise Refused("file_mounts: %s is already something else; it was left as it is" % target)
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        target.symlink_to(source)
    except FileExistsError:
        if target.resolve() != source.resolve():
            raise


def _slurm_address(name: str) -> str:
    try:
        return socket.gethostbyname(name)
    except OSError:
        asked = subprocess.run(
            ["scontrol", "show", "node", "--oneliner", name],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            check=False,
        )
        for word in asked.stdout.decode("utf-8", "replace").split():
            if word.startswith("NodeAddr="):
                return word.partition("=")[2]
        return name


def _read_json(path: Path) -> Document:
    try:
        found: Document = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    return found


def instant() -> str:
    """The node's clock, UTC, as it is written in records."""
    return datetime.now(timezone.utc).isoformat()


def detach(told: int) -> None:
    """Leave the process that started us, so that nothing that happens to it happens to the work."""
    if os.fork():
        # The starter learns over the pipe whether the rank was claimed, then nobody waits for anybody.
        os._exit(0)
    os.setsid()
    os.set_inheritable(told, False)


def main(arguments: List[str]) -> int:
    """`wrapper.py FOLDER RANK ATTEMPT [detach FD]`: run a rank; exit code of the work.

    `wrapper.py commit FOLDER CHECKPOINT` commits a checkpoint and prints its hash. RANK may be the name of an
    environment variable that has the number.
    """
    if arguments[0] == "commit":
        try:
            os.write(1, (commit_checkpoint(Path(arguments[1]), Path(arguments[2])) + "\n").encode())
        except (Refused, OSError, ValueError, IndexError) as error:
            say("no checkpoint: %s" % error)
            return NOT_COMMITTED
        return 0
    word = arguments[1]
    folder, attempt = Path(arguments[0]), int(arguments[2])
    rank = int(word) if word.isdigit() else int(os.environ[word])
    told = -1
    if arguments[3:4] == ["detach"]:
        told = int(arguments[4])
        detach(told)
    one = Rank(folder, rank, attempt)
    if one.spec.get("log_to_file", True):
        one.log = Log(folder, rank, int(one.spec.get("log_bytes", LOG_BYTES)))
    claimed = one.claim()
    if told >= 0:
        try:
            os.write(told, b"1" if claimed else b"0")
        except BrokenPipeError:  # the server was killed while it waited; the work is wanted all the same
            say("nobody waits for the word that this began")
        os.close(told)
    if not claimed:
        return 0
    code, stopped_by = one.work()
    if not one.finish(code, stopped_by):
        say("the end was not written down")
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""The folder in which drivers and wrappers meet: orders, logs, ends and fences of runs, as files.

Local runs keep it on the machine; Slurm and Ray need one that the server and every node see at the same path, with
locks that hold among them (NFS 4, Lustre with flock, a cluster file system). Names of files are made from ids here
and nowhere else. A folder that cannot be read is OutsideError: nothing is absent because a disk is.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from argosy.errors import OutsideError, StartRefused
from argosy.model.job import ExitRecord
from argosy.run import wrapper
from argosy.run.checkpoints import place_of
from argosy.run.driver import Order

MARK = "argosy-runs"
_LONGEST_NAME = 200
Document = dict[str, Any]


@contextmanager
def outside(what: str) -> Iterator[None]:
    """Disk and format errors as OutsideError that says what was being done."""
    try:
        yield
    except (OSError, ValueError) as error:
        raise OutsideError(f"{what}: {type(error).__name__}: {error}") from error


def file_name(id: str) -> str:
    """A file name for an id: no separators, never hidden, never `..`, different for different ids."""
    name = quote(id, safe="")
    if name.startswith("."):
        name = "%2E" + name[1:]
    return name if len(name) <= _LONGEST_NAME else "sha256-" + hashlib.sha256(id.encode()).hexdigest()


def exit_record(document: Document, run: str) -> ExitRecord | None:
    """The exit record of a run in its job's document."""
    record = document.get("runs", {}).get(run, {}).get("record")
    if record is None:
        return None
    return ExitRecord.model_validate(record | {"finished_at": datetime.fromisoformat(record["finished_at"])})


class RunFolders:
    """All runs of one driver in one folder."""

    def __init__(self, root: str, *, make: bool) -> None:
        self.root = Path(root)
        with outside(f"the folder of runs {root}"):
            if not self.root.is_absolute():
                raise OutsideError(f"the folder of runs must be an absolute path, not {root!r}")
            if make and not (self.root / MARK).exists():
                for folder in ("runs", "jobs", "live"):
                    (self.root / folder).mkdir(parents=True, exist_ok=True, mode=0o700)
                wrapper.write_durably(self.root / MARK, "runs of argosy; do not delete while any is wanted\n")
        self.check()

    def check(self) -> None:
        """Raise OutsideError unless the folder is there; an unmounted disk looks like an empty one."""
        with outside(f"the folder of runs {self.root}"):
            if not (self.root / MARK).is_file():
                raise OutsideError(f"the folder of runs {self.root} is not there, or not mounted")

    def run(self, run: str) -> Path:
        """The folder of a run."""
        return self.root / "runs" / file_name(run)

    def job(self, job: str) -> wrapper.JobFile:
        """The document of a job."""
        return wrapper.JobFile(self.root / "jobs" / f"{file_name(job)}.json")

    def live_file(self, run: str) -> Path:
        """A mark that a run may hold capacity; it is gone soon after it does not."""
        return self.root / "live" / file_name(run)

    def spec(self, run: str) -> Document | None:
        """What was ordered; None when the run is unknown."""
        self.check()
        with outside(f"the order of {run}"):
            return read_json(self.run(run) / "spec.json")

    def live(self) -> dict[str, Document]:
        """Orders of the runs that may hold capacity, by run."""
        self.check()
        found = {}
        with outside(f"the folder of runs {self.root}"):
            for name in sorted(os.listdir(self.root / "live")):
                spec = read_json(self.root / "runs" / name / "spec.json")
                if spec is not None:
                    found[spec["run"]] = spec
        return found

    def wrapper(self) -> Path:
        """The wrapper as it is now, copied once; runs that started with another version keep theirs."""
        source = Path(wrapper.__file__).read_text("utf-8")
        path = self.root / f"wrapper-{hashlib.sha256(source.encode()).hexdigest()[:12]}.py"
        if not path.exists():
            wrapper.write_durably(path, source, 0o644)
        return path

    def prepare(self, order: Order, extra: Mapping[str, Any]) -> Document:
        """Write an order down, durably; what an earlier call wrote stays. Gives what holds."""
        self.check()
        found = self.spec(order.run)
        if found is not None:
            return found
        with outside(f"the order of {order.run}"):
            document = self.job(order.job).change(lambda before: wrapper.fenced(before, order.epoch))
            if document["epoch"] > order.epoch:
                raise StartRefused(
                    "Superseded", f"job {order.job} is at epoch {document['epoch']}, not {order.epoch}", retryable=False
                )
            folder = self.run(order.run)
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            wrapper.write_durably(self.live_file(order.run), "")
            for name, text in (("setup.sh", order.task.setup), ("run.sh", order.task.run)):
                if text is not None:
                    wrapper.write_durably(folder / name, text if text.endswith("\n") else text + "\n", 0o700)
            spec = {
                **written(order),
                "job_file": str(self.job(order.job).path),
                "live_file": str(self.live_file(order.run)),
                **extra,
            }
            wrapper.write_durably(folder / "spec.json", json.dumps(spec))
        return spec

    def leave_secrets(self, order: Order, rank: int) -> None:
        """Put the values of the secrets where the wrapper of a rank reads and deletes them; readable by the owner."""
        if order.secrets:
            values = {name: value.get_secret_value() for name, value in order.secrets.items()}
            with outside(f"the secrets of {order.run}"):
                wrapper.write_durably(self.run(order.run) / f"{rank}.secrets", json.dumps(values), 0o600)

    def ranks(self, run: str, spec: Document) -> tuple[dict[int, Document], dict[int, Document], ExitRecord | None]:
        """How ranks began, how ranks ended, and the exit record.

        Beginnings are read first: a rank that ends in between is then seen in the ends, never as lost.
        """
        with outside(f"the ranks of {run}"):
            began = {n: read_json(self.run(run) / f"{n}.json") for n in range(spec["nodes"])}
            document = wrapper.JobFile(Path(spec["job_file"])).read()
            ended = document.get("runs", {}).get(run, {}).get("ranks", {})
            record = exit_record(document, run)
        return {n: state for n, state in began.items() if state}, {int(n): e for n, e in ended.items()}, record

    def record(self, run: str) -> ExitRecord | None:
        """The exit record of a run."""
        spec = self.spec(run)
        if spec is None:
            return None
        with outside(f"the exit record of {run}"):
            return exit_record(wrapper.JobFile(Path(spec["job_file"])).read(), run)

    def fence(self, job: str, epoch: int) -> None:
        """Shut out runs of a job below an epoch."""
        self.check()
        with outside(f"the fence of {job}"):
            self.job(job).change(lambda before: wrapper.fenced(before, epoch))

    def ask_stop(self, run: str, grace_seconds: float, now: datetime) -> datetime:
        """Tell the wrappers to end, and give the instant of the first request."""
        path = self.run(run) / "stop"
        with outside(f"the end of {run}"):
            before = read_json(path)
            first = now if before is None else datetime.fromisoformat(before["asked_at"])
            told = {"grace_seconds": grace_seconds, "asked_at": first.isoformat()}
            wrapper.write_durably(path, json.dumps(told))
            for secret in self.run(run).glob("*.secrets"):
                secret.unlink(missing_ok=True)
        return first

    def release(self, run: str) -> None:
        """Say that a run holds no capacity any more."""
        with outside(f"the mark of {run}"):
            self.live_file(run).unlink(missing_ok=True)

    def logs(self, run: str, rank: int, offset: int, limit: int) -> bytes:
        """A piece of a rank's log."""
        self.check()
        path = self.run(run) / f"{rank}.log"
        with outside(f"the log of {run}"):
            try:
                file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            except FileNotFoundError:
                return b""
            try:
                return os.pread(file, max(0, limit), max(0, offset))
            finally:
                os.close(file)

    def start_lock(self, run: str) -> Path:
        """Held while a run is being started; makes the folder that it is in."""
        with outside(f"the folder of {run}"):
            self.run(run).mkdir(parents=True, exist_ok=True, mode=0o700)
        return self.run(run) / "start.lock"

    @contextmanager
    def lock(self, path: Path) -> Iterator[None]:
        """Hold a lock file; waits."""
        with outside(f"the lock {path}"):
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(handle, fcntl.LOCK_EX)
        try:
            yield
        finally:
            os.close(handle)

    def locked(self, path: Path) -> bool:
        """Whether somebody holds a lock file now."""
        with outside(f"the lock {path}"):
            try:
                handle = os.open(path, os.O_RDWR | os.O_CLOEXEC)
            except FileNotFoundError:
                return False
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
            finally:
                os.close(handle)
            return False


def read_json(path: Path) -> Document | None:
    """A JSON file; None when it is not there."""
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        return None
    found: Document = json.loads(text)
    return found


def written(order: Order) -> Document:
    """An order as the wrapper reads it, without secrets and without what only one engine knows."""
    task, choice = order.task, order.choice
    checkpoint = task.placement.checkpoint
    return {
        "job": order.job,
        "run": order.run,
        "epoch": order.epoch,
        "name": task.name,
        "nodes": task.nodes,
        "accelerators": int(-(-choice.accelerators // 1)),
        "envs": task.envs,
        "workdir": task.workdir,
        "mounts": {target: source for target, source in task.file_mounts.items() if isinstance(source, str)},
        "checkpoint": None if checkpoint is None else place_of(checkpoint.prefix, order.job, order.epoch),
        "resume_from": order.checkpoint,
        "master_port": 15_000 + int(hashlib.sha256(f"{order.run}:{order.epoch}".encode()).hexdigest()[:8], 16) % 15_000,
        "grace_seconds": 30.0,
        "poll_seconds": 1.0,
    }

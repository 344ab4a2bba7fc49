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
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote, unquote

from argosy.clock import unguessable
from argosy.errors import OutsideError, StartRefused
from argosy.model.job import ExitRecord
from argosy.run import wrapper
from argosy.run.checkpoints import place_of
from argosy.run.driver import Kept, Order

MARK = wrapper.MARK
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


class Disk(NamedTuple):
    """Room of a disk, in bytes."""

    total: int
    used: int
    free: int


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

    def id(self) -> str:
        """What tells this folder from every other, made once and kept in it."""
        path = self.root / "id"
        with self.lock(self.root / "admission.lock"), outside(f"the folder of runs {self.root}"):
            if not path.exists():
                wrapper.write_durably(path, unguessable(8))
            return path.read_text("utf-8")

    def disk(self) -> Disk:
        """The disk that runs work on."""
        with outside(f"the disk of {self.root}"):
            return Disk(*shutil.disk_usage(self.root))

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
        """A piece of a rank's log; empty where it was dropped or is not there yet."""
        self.check()
        at, end, found = max(0, offset), max(0, offset) + max(0, limit), b""
        with outside(f"the log of {run}"):
            parts = self._log_parts(run, rank)
            while at < end and (before := [begin for begin in parts if begin <= at]):
                try:
                    file = os.open(self._log_part(run, rank, before[-1]), os.O_RDONLY | os.O_CLOEXEC)
                except FileNotFoundError:  # dropped meanwhile
                    break
                try:
                    piece = os.pread(file, end - at, at - before[-1])
                finally:
                    os.close(file)
                if not piece:
                    break
                at, found = at + len(piece), found + piece
        return found

    def logs_from(self, run: str, rank: int) -> int | None:
        """First byte of a rank's output that is still kept; None when nothing of the run is."""
        self.check()
        with outside(f"the log of {run}"):
            parts = self._log_parts(run, rank)
            return parts[0] if parts else 0 if self.run(run).is_dir() else None

    def _log_part(self, run: str, rank: int, begin: int) -> Path:
        return self.run(run) / (f"{rank}.log" if begin == 0 else f"{rank}.log.{begin}")

    def _log_parts(self, run: str, rank: int) -> list[int]:
        """First bytes of the parts of a rank's log that are kept, in order."""
        head = f"{rank}.log"
        try:
            names = os.listdir(self.run(run))
        except FileNotFoundError:
            return []
        rests = [name.removeprefix(head) for name in names if name == head or name.startswith(f"{head}.")]
        return sorted(0 if not rest else int(rest[1:]) for rest in rests if not rest or rest[1:].isdecimal())

    def kept(self) -> tuple[Kept, ...]:
        """All runs and jobs that files are kept of; what an earlier `forget` left half done is removed first."""
        self.check()
        with outside(f"the folder of runs {self.root}"):
            for gone in (self.root / "gone").glob("*"):
                with suppress(OSError):  # one that cannot be removed must not keep all others
                    _remove(gone)
            runs = []
            for path in sorted((self.root / "runs").iterdir()):
                with suppress(ValueError):  # what is damaged stays for people to look at
                    runs.append(read_json(path / "spec.json"))
            jobs = [path.stem for path in sorted((self.root / "jobs").glob("*.json"))]
        found = [Kept(job=spec["job"], run=spec["run"]) for spec in runs if spec is not None]
        # Long names of files are digests; whose they were is not known any more.
        return (*found, *(Kept(job=unquote(name), run=None) for name in jobs if file_name(unquote(name)) == name))

    def size_bytes(self, run: str) -> int:
        """Room that the files of a run take; 0 when there are none."""
        with outside(f"the files of {run}"):
            return _disk_bytes(self.run(run))

    def forget(self, run: str) -> bool:
        """Remove the files of a run, whole or not at all: they are renamed first. False while something of it lives."""
        spec = self.spec(run)
        if spec is None:
            return True
        with self.lock(self.start_lock(run)), outside(f"the files of {run}"):
            folder = self.run(run)
            # A wrapper holds the lock of its rank for life.
            if self.live_file(run).exists() or any(self.locked(path) for path in folder.glob("*.*.lock")):
                return False
            (self.root / "gone").mkdir(exist_ok=True, mode=0o700)
            away = self.root / "gone" / f"{folder.name}.{os.urandom(4).hex()}"
            os.rename(folder, away)
            wrapper.sync_folder(folder.parent)
        with outside(f"the files of {run}"):
            _remove(away)
        return True

    def forget_job(self, job: str) -> bool:
        """Remove the document of a job; False while files of one of its runs are there."""
        self.check()
        document = self.job(job)
        with outside(f"the records of {job}"):
            if any(self.run(run).exists() for run in document.read().get("runs", {})):
                return False
            document.path.unlink(missing_ok=True)
            document.path.with_name(document.path.name + ".lock").unlink(missing_ok=True)
        return True

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


class InFolders:
    """What a driver has that keeps its runs in folders: all but the engine itself."""

    folders: RunFolders

    def folder_id(self) -> str:
        """What stands in the folder of runs."""
        return self.folders.id()

    def kept(self) -> tuple[Kept, ...]:
        """What the folder of runs has."""
        return self.folders.kept()

    def kept_bytes(self, run: str) -> int:
        """Blocks of its folder."""
        return self.folders.size_bytes(run)

    def forget(self, run: str) -> bool:
        """Remove its folder."""
        return self.folders.forget(run)

    def forget_job(self, job: str) -> bool:
        """Remove its document."""
        return self.folders.forget_job(job)


def read_json(path: Path) -> Document | None:
    """A JSON file; None when it is not there."""
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        return None
    found: Document = json.loads(text)
    return found


def _remove(folder: Path) -> None:
    """Remove a folder with all below it, also what the work protected from itself; links are not followed."""
    try:
        shutil.rmtree(folder)
    except PermissionError:
        os.chmod(folder, 0o700)
        for root, names, _ in os.walk(folder):
            for name in names:
                if not os.path.islink(os.path.join(root, name)):
                    os.chmod(os.path.join(root, name), 0o700)
        shutil.rmtree(folder)


def _disk_bytes(folder: Path) -> int:
    """Blocks of everything below a folder; links are not followed, and what goes meanwhile counts nothing."""
    total = 0
    try:
        for entry in os.scandir(folder):
            total += entry.stat(follow_symlinks=False).st_blocks * 512
            if entry.is_dir(follow_symlinks=False):
                total += _disk_bytes(Path(entry.path))
    except FileNotFoundError:
        return total
    return total


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

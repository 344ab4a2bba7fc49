"""Copier: carries out copies of data that were ordered, in folders of this machine or by a command.

`control` orders and charges, a copier copies. It may be told twice to begin, and after a crash it may know nothing of
what it began: then it is told again, so an attempt must do no harm beside another of the same copy.
"""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import shutil
import subprocess
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol
from urllib.parse import quote

from argosy.errors import OutsideError
from argosy.model.copy import Copy
from argosy.run.checkpoints import file_hash
from argosy.run.wrapper import manifest_lines, write_durably

HOUSE = ".argosy"
"""Folder beside the copies of a region: what was copied there, and attempts that are not whole."""
_TAIL = 300


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a copy is."""

    state: Literal["absent", "copying", "done", "failed"]
    """absent: nobody here carries it out."""
    message: str = ""
    """Why it failed."""
    checksum: str | None = None
    """Hash over what lies there now, where the copier makes one."""


ABSENT, COPYING = Progress("absent"), Progress("copying")


class Copier(Protocol):
    """Who copies."""

    def begin(self, copy: Copy) -> None:
        """Begin an attempt, unless one is under way. OutsideError when that cannot be done now."""

    def look(self, copy: Copy) -> Progress:
        """How far it is."""

    def close(self) -> None:
        """Let go; what was not whole is begun again by whoever comes next."""


class _Threads:
    """Attempts of this process, each in a thread."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.now: dict[str, Progress] = {}
        self.threads: dict[str, threading.Thread] = {}

    def begin(self, copy: Copy) -> None:
        with self.lock:
            if self.now.get(copy.id) is COPYING:
                return
            self.now[copy.id] = COPYING
        thread = threading.Thread(target=self._run, args=(copy,), name=f"argosy-copy-{copy.id}", daemon=True)
        self.threads[copy.id] = thread
        thread.start()

    def look(self, copy: Copy) -> Progress:
        with self.lock:
            found = self.now.get(copy.id, ABSENT)
            if found is not COPYING:
                self.now.pop(copy.id, None)  # told once; what is to be remembered is in the store
            return found

    def wait(self, copy: str, seconds: float) -> None:
        """Wait for an attempt to end."""
        if copy in self.threads:
            self.threads[copy].join(seconds)

    def close(self) -> None:
        """Threads end with the process."""

    def _run(self, copy: Copy) -> None:
        try:
            made = self._attempt(copy)
        except (OSError, OutsideError, subprocess.SubprocessError) as error:
            made = Progress("failed", str(error) or type(error).__name__)
        with self.lock:
            self.now[copy.id] = made

    def _attempt(self, copy: Copy) -> Progress:
        raise NotImplementedError


class FolderCopier(_Threads):
    """Copies folders of this machine (or of disks that it sees), and compares what arrived with what was read."""

    def __init__(self, folders: Mapping[str, str]) -> None:
        """`folders` is region to the folder that holds its datasets, a folder each."""
        super().__init__()
        self.folders = {region: Path(folder) for region, folder in folders.items()}

    def look(self, copy: Copy) -> Progress:
        """What this process does; without that, what an earlier one finished."""
        found = super().look(copy)
        if found.state != "absent" or copy.to_region not in self.folders:
            return found
        try:
            told = json.loads(self._note(copy).read_text("utf-8"))
        except FileNotFoundError:
            return ABSENT
        except (OSError, ValueError) as error:
            raise OutsideError(f"the copies in {self.folders[copy.to_region]} cannot be read: {error}") from error
        return Progress("done", checksum=str(told["checksum"]))

    def _note(self, copy: Copy) -> Path:
        return self.folders[copy.to_region] / HOUSE / f"{quote(copy.dataset, safe='')}.json"

    def _folder(self, region: str, dataset: str) -> Path:
        if region not in self.folders:
            raise OutsideError(f"no folder is known for data in {region}; name one in the server file, data.folders")
        return self.folders[region] / dataset

    def _attempt(self, copy: Copy) -> Progress:
        source, target = self._folder(copy.from_region, copy.dataset), self._folder(copy.to_region, copy.dataset)
        if not source.is_dir():
            raise OutsideError(f"{copy.dataset} is not in {source}")
        before = _sum(source)
        if not target.exists():
            part = self._note(copy).parent / f"{quote(copy.dataset, safe='')}.{copy.attempts}.part"
            shutil.rmtree(part, ignore_errors=True)
            part.parent.mkdir(parents=True, exist_ok=True)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copytree(source, part, symlinks=True)
            if _sum(part) != before:
                raise OutsideError(f"{copy.dataset} arrived in {copy.to_region} other than it was read")
            try:
                os.rename(part, target)
            except OSError:  # another attempt was first; what it brought is compared below
                shutil.rmtree(part, ignore_errors=True)
        if _sum(target) != before:
            raise OutsideError(f"{target} is there already and holds something else; it was left as it is")
        self._note(copy).parent.mkdir(parents=True, exist_ok=True)
        write_durably(self._note(copy), json.dumps({"copy": copy.id, "checksum": before}), 0o644)
        return Progress("done", checksum=before)


class CommandCopier(_Threads):
    """Copies by a command, such as `rclone copy {source} {target}`; it is told again after a crash."""

    def __init__(self, command: str, folders: Mapping[str, str], *, seconds: float) -> None:
        """`{source}`, `{target}`, `{dataset}`, `{from_region}` and `{to_region}` are filled in; no shell reads it."""
        super().__init__()
        self.words, self.folders, self.seconds = shlex.split(command), dict(folders), seconds

    def _attempt(self, copy: Copy) -> Progress:
        for region in (copy.from_region, copy.to_region):
            if region not in self.folders:
                raise OutsideError(f"no place is known for data in {region}; name one in the server file, data.folders")
        filled = {
            "source": f"{self.folders[copy.from_region].rstrip('/')}/{copy.dataset}",
            "target": f"{self.folders[copy.to_region].rstrip('/')}/{copy.dataset}",
            "dataset": copy.dataset,
            "from_region": copy.from_region,
            "to_region": copy.to_region,
        }
        words = [word.format_map(filled) for word in self.words]
        done = subprocess.run(
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=self.seconds,
            check=False,
        )
        if done.returncode:
            tail = done.stdout.decode("utf-8", "replace").strip()[-_TAIL:]
            raise OutsideError(f"{words[0]} ended with {done.returncode}: {tail}")
        return Progress("done")


def _sum(folder: Path) -> str:
    """SHA-256 over the names, sizes and contents of all files below a folder."""
    files: dict[str, tuple[int, str]] = {}
    for path in sorted(folder.rglob("*")):
        if path.is_symlink():
            files[str(path.relative_to(folder))] = (0, f"-> {os.readlink(path)}")
        elif path.is_file():
            files[str(path.relative_to(folder))] = (path.stat().st_size, file_hash(path))
    return hashlib.sha256(manifest_lines(files).encode()).hexdigest()

"""Data folder: where a server of this machine keeps its store, its runs, its key and the address it listens on.

Every verb finds the server through it. One process at a time holds the lock of a folder; the lock goes with the
process, however that ends, so an address that was left behind by a killed server is known to be stale.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from argosy.errors import OutsideError

VARIABLE = "ARGOSY_DATA"
DEFAULT = ".argosy"
WANTED_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class DataFolder:
    """One folder."""

    path: Path

    @classmethod
    def chosen(cls, given: Path | None) -> DataFolder:
        """The folder that was given, that of $ARGOSY_DATA, or ./.argosy."""
        return cls((given or Path(os.environ.get(VARIABLE) or DEFAULT)).absolute())

    @property
    def store(self) -> Path:
        """The SQLite store."""
        return self.path / "store.db"

    @property
    def runs(self) -> Path:
        """Runs of the local driver."""
        return self.path / "runs"

    @property
    def projects(self) -> Path:
        """One folder for each project, which its jobs may read."""
        return self.path / "projects"

    @property
    def log(self) -> Path:
        """Structured log of the server."""
        return self.path / "log.jsonl"

    def make(self) -> None:
        """Make it, for its owner alone."""
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.projects.mkdir(exist_ok=True)
            ignore = self.path / ".gitignore"
            if not ignore.exists():
                ignore.write_text("*\n", "utf-8")
        except OSError as error:
            raise OutsideError(f"cannot make the data folder {self.path}: {error.strerror or error}") from error

    def key(self) -> str | None:
        """The key of this folder's owner; None before the first server."""
        return _read(self.path / "key")

    def keep_key(self, secret: str) -> None:
        """Keep the owner's key."""
        self._write("key", secret)

    def replica(self, new: str) -> str:
        """What leases know this folder's server by: `new` at first, then the same again. The lock must be held."""
        found = _read(self.path / "replica")
        if found is None:
            self._write("replica", new)
        return found or new

    def server(self) -> str | None:
        """Address of the server that last began here; it may be gone."""
        found = self._announced().get("address")
        return found if isinstance(found, str) else None

    def lasting(self) -> bool:
        """Whether that server is one that stays, and not a command that serves itself."""
        return self._announced().get("lasting") is True

    def choices(self) -> tuple[str | None, str | None]:
        """Store and configuration that `argosy up` last had here; None for the usual ones."""
        path = self.path / "choices.json"
        try:
            found = json.loads(_read(path) or "{}")
            return found.get("store"), found.get("config")
        except (ValueError, AttributeError) as error:
            raise OutsideError(f"{path} is damaged: {error}; start `argosy up` again") from error

    def choose(self, store: str | None, config: Path | None) -> None:
        """Keep store and configuration for the commands that serve this folder themselves."""
        chosen = {"store": store, "config": None if config is None else str(config.absolute())}
        self._write("choices.json", json.dumps(chosen))

    def announce(self, address: str, *, lasting: bool) -> None:
        """Say where the server listens."""
        self._write("server.json", json.dumps({"address": address, "pid": os.getpid(), "lasting": lasting}))

    def want(self) -> None:
        """Ask a command that serves this folder to give it up for a server that stays."""
        self._write("wanted", str(os.getpid()))

    def unwant(self) -> None:
        """The folder is no longer asked for."""
        (self.path / "wanted").unlink(missing_ok=True)

    def wanted(self) -> bool:
        """Whether a server that stays asks for the folder; one that died while it asked is forgotten."""
        try:
            age = time.time() - (self.path / "wanted").stat().st_mtime
        except FileNotFoundError:
            return False
        return age < WANTED_SECONDS

    def withdraw(self) -> None:
        """Take the address away."""
        (self.path / "server.json").unlink(missing_ok=True)

    @contextmanager
    def lock(self) -> Iterator[bool]:
        """Hold the folder; False when another process does."""
        handle = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
                return
            yield True
        finally:
            os.close(handle)

    def _announced(self) -> dict[str, object]:
        text = _read(self.path / "server.json")
        try:
            found = {} if text is None else json.loads(text)
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}

    def _write(self, name: str, text: str) -> None:
        """Write a file for the owner alone; it is there whole or not at all."""
        part = self.path / f".{name}.part"
        handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        part.replace(self.path / name)


def _read(path: Path) -> str | None:
    try:
        return path.read_text("utf-8").strip() or None
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise OutsideError(f"cannot read {path}: {error}") from error

"""Checkpoints: which one a run may go on from (R11).

A run of epoch 3 writes folders below `<prefix>/<job>/00000003/` and nobody else does. Such a folder is complete once it
holds a file `COMPLETE`, which is written last:

- by `"$ARGOSY_COMMIT" FOLDER`: a manifest with the size and SHA-256 of every file and a hash over these lines, written
  on the condition that no later epoch holds the job. Of any epoch it counts: a superseded run cannot have made it;
- or by the work itself, empty or with any text that does not begin with `{`. Nothing keeps a superseded run from doing
  that, so it counts only for the last run that may have begun, and where an earlier run has already gone on from it.

Only folders that the server sees are searched: paths and `file://`. Below any other URL the work finds its own.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from argosy.errors import OutsideError
from argosy.model.task import folder_of
from argosy.run.wrapper import COMPLETE, manifest_lines

_NUMBER = re.compile(r"(\d+)")
_EPOCH = re.compile(r"^\d{8}$")
_GIB = 2**30


@dataclass(frozen=True, slots=True)
class Found:
    """A complete checkpoint."""

    path: str
    """Its folder."""
    epoch: int
    """Epoch of the run that wrote it."""
    gib: float
    """Size of its files."""
    hash: str | None
    """Hash over its manifest; None where only a mark says that it is complete."""
    at: datetime
    """When it was committed, by the clock of its node."""


def place_of(prefix: str, job: str, epoch: int) -> str:
    """Where a run writes: no two epochs share it, so a superseded node cannot spoil what its successor wrote."""
    folder = folder_of(prefix)
    return f"{prefix.rstrip('/') if folder is None else folder}/{job}/{epoch:08d}"


def find_checkpoint(
    prefix: str, job: str, *, last_epoch: int, known: Collection[str] = (), hash_gib: float = 0.0
) -> Found | None:
    """R11: the newest complete checkpoint of epochs up to `last_epoch`, the last that may have begun.

    `known` are those that earlier runs went on from. Epochs go before numbers in names, `step-900` before `step-1000`.
    Files are compared with the manifest by size, and by content up to `hash_gib`. None when there is none, or the
    server cannot see the prefix. OutsideError when a folder cannot be read: that there is no checkpoint must not be
    concluded from a disk that does not answer.
    """
    folder = folder_of(prefix)
    if folder is None:
        return None
    root = folder / job
    try:
        if not root.is_dir():
            return None
        marks = [
            (int(epoch.name), mark)
            for epoch in root.iterdir()
            if _EPOCH.match(epoch.name) and int(epoch.name) <= last_epoch
            for mark in epoch.glob(f"**/{COMPLETE}")
            if mark.is_file()
        ]
        marks.sort(key=lambda item: (item[0], _order(str(item[1].parent.relative_to(root)))), reverse=True)
        for epoch, mark in marks:
            trusted = epoch == last_epoch or str(mark.parent) in known
            found = _complete(mark, epoch, trusted=trusted, hash_gib=hash_gib)
            if found is not None:
                return found
    except OSError as error:
        raise OutsideError(f"checkpoints below {root} cannot be read: {error.strerror or error}") from error
    return None


def _complete(mark: Path, epoch: int, *, trusted: bool, hash_gib: float) -> Found | None:
    """The checkpoint that a mark speaks of; None when it is torn, of another run, or nothing makes it sure."""
    text = mark.read_text("utf-8", "replace")
    if text.startswith("{"):
        return _by_manifest(mark, text, epoch, hash_gib)
    if not trusted:
        return None
    files = [path for path in mark.parent.rglob("*") if path.is_file() and path != mark]
    at = datetime.fromtimestamp(mark.stat().st_mtime, UTC)
    return Found(str(mark.parent), epoch, sum(path.stat().st_size for path in files) / _GIB, None, at)


def _by_manifest(mark: Path, text: str, epoch: int, hash_gib: float) -> Found | None:
    try:
        told: dict[str, Any] = json.loads(text)
        files = {str(name): (int(size), str(digest)) for name, (size, digest) in told["files"].items()}
        at, whole = datetime.fromisoformat(told["at"]), str(told["hash"])
        if told["epoch"] != epoch:
            return None
    except (ValueError, TypeError, KeyError, AttributeError):
        return None
    if hashlib.sha256(manifest_lines(files).encode()).hexdigest() != whole:
        return None
    gib = sum(size for size, _ in files.values()) / _GIB
    for name, (size, digest) in files.items():
        path = mark.parent / name
        if not path.is_file() or path.stat().st_size != size or (gib <= hash_gib and file_hash(path) != digest):
            return None
    return Found(str(mark.parent), epoch, gib, whole, at.astimezone(UTC))


def file_hash(path: Path) -> str:
    """SHA-256 over what a file holds."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _order(name: str) -> tuple[tuple[int, str], ...]:
    return tuple((int(part), "") if part.isdigit() else (-1, part) for part in _NUMBER.split(name))

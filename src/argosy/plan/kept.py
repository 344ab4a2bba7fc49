"""Kept: passes of earlier solves on disk, so that the next question starts from their cuts.

One file for each second stage: its name is a hash over matrix, cost, fixed bounds and versions, so duals in it bound
the futures of every program that has this second stage (F7.1), whatever became of fees, limits and risk. A record is
one exact pass: contracts, cost, and for each future dual and basis. Bounds are never believed, they follow from the
cuts again.

A record has its length and SHA-256 in front. What was cut off by a crash, or changed since, ends the file there: the
records before it are used and the rest is written anew. A file of another format or version is replaced.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import io
import os
import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from typing import BinaryIO

import numpy as np

from argosy.errors import OutsideError
from argosy.plan.basis import Basis
from argosy.plan.program import Floats, Program
from argosy.plan.template import Template

FORMAT = "argosy cuts 1"
BASIS_EVERY = 4
"""Of so many futures one basis is kept; its neighbours start from it too. Bases are slow to write."""
MOST_PASSES = 24
"""Passes that stay in a file when a solve ends, newest last."""
MOST_BYTES = 512 * 2**20
"""Largest file that stays when a solve ends."""
_HEAD = struct.Struct("<8sQ32s")
_MARK = b"ARGOSY-1"
_MAX_RECORD = 2**33


@dataclass(frozen=True, slots=True)
class Pass:
    """One exact pass over all futures."""

    program: str
    """Hash of the whole program that it was made for."""
    first: Floats
    """Contracts."""
    value: float
    """Their certified cost in that program, scaled."""
    duals: tuple[Floats, ...]
    """For each future."""
    bases: tuple[Basis, ...]
    """For each future."""


class Keeper:
    """The file of one second stage. One process writes it at a time; others read what is there and write nothing."""

    def __init__(self, folder: Path, template: Template) -> None:
        """Open or make the file. OutsideError when the folder cannot be used."""
        self.template = template
        self.program = program_hash(template.program)
        self.path = folder / f"{stage_hash(template)[:32]}.cuts"
        self.dropped = 0
        """Bytes at the end of the file that were torn or changed, and are written anew."""
        self.places: list[tuple[int, int]] = []
        """Start and end of each pass in the file, oldest first."""
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self.file: BinaryIO = os.fdopen(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600), "r+b")
            self.writes = _locked(self.file)
            self._find()
        except OSError as error:
            raise OutsideError(f"cuts cannot be kept in {folder}: {error.strerror}") from error

    def latest(self) -> list[Pass]:
        """The newest passes that fit, oldest of them first."""
        found = []
        for start, _ in self.places[-MOST_PASSES:]:
            self.file.seek(start)
            made = [self._pass(payload) for _, payload in islice(_payloads(self.file), 1)]
            found += [one for one in made if one is not None]
        return found

    def add(self, first: Floats, value: float, duals: Sequence[Floats], bases: Sequence[Basis]) -> None:
        """Keep a pass, durably. OutsideError when the disk does not take it."""
        if not self.writes:
            return
        record = _record(Pass(self.program, first, value, tuple(duals), tuple(bases)))
        try:
            start = self.file.seek(0, os.SEEK_END)
            self.file.write(record)
            self.file.flush()
            os.fsync(self.file.fileno())
        except OSError as error:
            raise OutsideError(f"cuts cannot be kept in {self.path}: {error.strerror}") from error
        self.places.append((start, start + len(record)))

    def close(self) -> None:
        """Leave the newest passes in the file, in place of all, and let go of it."""
        try:
            kept = self._newest()
            if self.writes and len(kept) < len(self.places):
                self._rewrite(kept)
        finally:
            self.file.close()

    def _newest(self) -> list[tuple[int, int]]:
        kept: list[tuple[int, int]] = []
        for start, end in reversed(self.places[-MOST_PASSES:]):
            if kept and sum(e - s for s, e in kept) + end - start > MOST_BYTES:
                break
            kept.insert(0, (start, end))
        return kept

    def _rewrite(self, kept: Sequence[tuple[int, int]]) -> None:
        beside = self.path.with_suffix(".new")
        with open(beside, "wb") as file:
            file.write(_framed(FORMAT.encode()))
            for start, end in kept:
                self.file.seek(start)
                file.write(self.file.read(end - start))
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, self.path)

    def _find(self) -> None:
        """Find the passes that are whole, and cut the file off after them."""
        self.file.seek(0)
        end = 0
        for position, payload in _payloads(self.file):
            if end:
                self.places.append((end, position))
            elif payload != FORMAT.encode():
                break
            end = position
        self.dropped = self.file.seek(0, os.SEEK_END) - end
        if not self.writes:
            return
        self.file.truncate(end)
        if end == 0:
            self.file.seek(0)
            self.file.write(_framed(FORMAT.encode()))
            self.file.flush()

    def _pass(self, payload: bytes) -> Pass | None:
        """The pass in a record; None when it does not fit this second stage."""
        block, scenarios = self.template.second, self.template.program.shape["S"]
        with contextlib.suppress(ValueError, KeyError, OSError, zlib.error):
            with np.load(io.BytesIO(zlib.decompress(payload)), allow_pickle=False) as read:
                first, duals = read["first"], read["duals"]
                columns, rows = read["columns"], read["rows"]
                program, value = str(read["program"]), float(read["value"])
            if first.shape != (self.template.first.columns.size,) or duals.shape != (scenarios, len(block.row_lower)):
                return None
            few = len(range(0, scenarios, BASIS_EVERY))
            if not (np.isfinite(first).all() and np.isfinite(duals).all() and len(columns) == len(rows) == few):
                return None
            bases = [Basis.unpacked(c.tobytes(), r.tobytes()) for c, r in zip(columns, rows, strict=True)]
            return Pass(program, first, value, tuple(duals), tuple(bases[s // BASIS_EVERY] for s in range(scenarios)))
        return None


def program_hash(program: Program) -> str:
    """SHA-256 over every number of a program."""
    digest = hashlib.sha256()
    for field in fields(program):
        value = np.asarray(getattr(program, field.name))
        digest.update(f"{field.name} {value.dtype.str} {value.shape} ".encode())
        digest.update(value.astype("U").tobytes() if value.dtype == object else np.ascontiguousarray(value).tobytes())
    return digest.hexdigest()


def stage_hash(template: Template) -> str:
    """SHA-256 over what duals depend on: the second stage without its random numbers, shapes and versions."""
    block, links = template.second, template.links
    digest = hashlib.sha256(f"{FORMAT} {version('argosy')} {version('highspy')}".encode())
    digest.update(f"{template.program.shape['S']} {template.first.columns.size}".encode())
    for part in (
        block.matrix.start, block.matrix.index, block.matrix.value, block.cost, block.column_lower,
        block.column_upper, block.row_lower, block.row_upper, links.row, links.column,
    ):  # fmt: skip
        digest.update(np.ascontiguousarray(part).tobytes())
    return digest.hexdigest()


def _record(one: Pass) -> bytes:
    buffer = io.BytesIO()
    packed = [basis.packed() for basis in one.bases[::BASIS_EVERY]]
    np.savez(
        buffer,
        program=np.array(one.program),
        first=one.first,
        value=np.array(one.value),
        duals=np.array(one.duals),
        columns=np.array([np.frombuffer(columns, dtype=np.uint8) for columns, _ in packed]),
        rows=np.array([np.frombuffer(rows, dtype=np.uint8) for _, rows in packed]),
    )
    return _framed(zlib.compress(buffer.getvalue(), 1))


def _framed(payload: bytes) -> bytes:
    return _HEAD.pack(_MARK, len(payload), hashlib.sha256(payload).digest()) + payload


def _payloads(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Whole records from the position of a file: the position after each, and what is in it."""
    while len(head := file.read(_HEAD.size)) == _HEAD.size:
        mark, length, digest = _HEAD.unpack(head)
        if mark != _MARK or length > _MAX_RECORD:
            return
        payload = file.read(length)
        if len(payload) != length or hashlib.sha256(payload).digest() != digest:
            return
        yield file.tell(), payload


def _locked(file: BinaryIO) -> bool:
    try:
        fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True

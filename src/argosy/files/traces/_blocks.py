"""Blocks: a file of any length as frames of text, a few megabytes at a time, each row with the line that it stands on.

Plain and compressed CSV are read in blocks that end at the end of a line, Parquet in slices. What cannot be read (cut
off, damaged, a row with too many cells, bytes that are no text) is a problem with file and line. Called by `_table`.
"""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import json
import math
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, cast

import polars as pl

from argosy.errors import BadInput, Problem

BLOCK_BYTES = 8 * 2**20
SLICE_ROWS = 200_000
MOST_CELL_BYTES = 2**20
"""Longest quoted cell that may reach beyond a block; a quote that is open for longer was never closed."""
GZIP = b"\x1f\x8b"
_DAMAGED = (EOFError, zlib.error, gzip.BadGzipFile)
LINE = "line"
"""Column that says on which line of the file a row stands; rows of Parquet count from 2, as under a header."""


def bad(path: str, line: int, code: str, message: str, field: str = "") -> BadInput:
    """One problem of a file."""
    return BadInput([Problem(path, line, 0, code, field, message)])


def names(path: str) -> list[str]:
    """The columns that a file has. BadInput when it cannot be read or is empty."""
    if path.endswith(".parquet"):
        try:
            return pl.scan_parquet(_there(path)).collect_schema().names()
        except pl.exceptions.PolarsError as error:
            raise bad(path, 0, "trace.unreadable", str(error).split("\n")[0]) from error
    with _open(path) as file:
        header = _guarded(path, 1, file)
    if not header.strip():
        raise bad(path, 1, "trace.empty", "the file is empty; a header was expected")
    return _header(path, header)


def blocks(path: str, columns: list[str]) -> Iterator[pl.DataFrame]:
    """Frames of these columns, which the file must have, and `line`."""
    if path.endswith(".parquet"):
        yield from _slices(path, columns)
        return
    with _open(path) as file:
        header = _guarded(path, 1, file)
        every = _header(path, header)
        line = 2
        while data := _block(path, line, file):
            count = data.count(b"\n") + (not data.endswith(b"\n"))
            yield _parsed(path, (every, columns), data, line)
            line += count


def json_lines(path: str, schema: pl.Schema) -> Iterator[pl.DataFrame]:
    """Frames of one JSON object per line, with `line`; fields that are absent are null."""
    with _open(path) as file:
        line = 1
        while data := _block(path, line, file, quotes=False):
            data = data.removeprefix(codecs.BOM_UTF8) if line == 1 else data
            rows = [i for i, text in enumerate(data.split(b"\n")) if text.strip()]
            if rows:
                try:
                    made = pl.read_ndjson(io.BytesIO(data), schema=schema)
                except (pl.exceptions.PolarsError, OSError) as error:
                    wrong = _bad_json(path, data, line, schema.names())
                    raise wrong or bad(path, line, "trace.unreadable", _first(error)) from error
                if len(made) != len(rows):
                    raise bad(path, line, "trace.unreadable", "these are no lines with one JSON object each")
                yield made.with_columns(pl.Series(LINE, [line + i for i in rows], dtype=pl.Int64))
            line += data.count(b"\n") + (not data.endswith(b"\n"))


def _first(error: Exception) -> str:
    return str(error).split("\n")[0]


def _bad_json(path: str, data: bytes, line: int, fields: list[str]) -> BadInput | None:
    """The first line that is no object, or whose fields are no numbers."""
    for i, text in enumerate(data.split(b"\n")):
        if not text.strip():
            continue
        try:
            found = json.loads(text.decode("utf-8"), parse_constant=float)
        except ValueError as error:
            return bad(path, line + i, "trace.unreadable", f"the line is no JSON object: {error}")
        if not isinstance(found, dict):
            return bad(path, line + i, "trace.unreadable", "the line is no JSON object")
        for name in fields:
            cell = found.get(name, 0)
            if isinstance(cell, bool) or not isinstance(cell, int | float) or not math.isfinite(cell):
                return bad(path, line + i, "trace.cell", f"{cell!r} is not a finite number", name)
    return None


def _there(path: str) -> str:
    if Path(path).is_dir():
        raise bad(path, 0, "trace.unreadable", "this is a folder; name the file in it")
    if not Path(path).is_file():
        raise bad(path, 0, "trace.unreadable", "there is no such file")
    return path


def _open(path: str) -> IO[bytes]:
    """The file, unpacked where its name or its first bytes say that it is compressed."""
    try:
        plain = Path(_there(path)).open("rb")  # noqa: SIM115  the caller closes it
        if not path.endswith(".gz") and plain.read(2) != GZIP:
            plain.seek(0)
            return plain
        plain.close()
        return cast(IO[bytes], gzip.open(path, "rb"))
    except OSError as error:
        raise bad(path, 0, "trace.unreadable", error.strerror or str(error)) from error


def _guarded(path: str, line: int, file: IO[bytes], size: int | None = None) -> bytes:
    """A line, or `size` bytes and the rest of their line."""
    try:
        return file.readline() if size is None else file.read(size) + file.readline()
    except _DAMAGED as error:
        message = f"the compressed file is damaged or cut off: {error}"
        raise bad(path, _readable_lines(path) + 1, "trace.truncated", message) from error
    except OSError as error:
        raise bad(path, line, "trace.unreadable", error.strerror or str(error)) from error


def _readable_lines(path: str) -> int:
    """Lines of a compressed file before what is damaged."""
    count = 0
    try:
        with gzip.open(path, "rb") as file:
            for _ in file:
                count += 1
    except _DAMAGED:
        return count
    return count


def _block(path: str, line: int, file: IO[bytes], *, quotes: bool = True) -> bytes:
    """Whole lines; a quoted cell that spans lines is not cut."""
    data = _guarded(path, line, file, BLOCK_BYTES)
    if not quotes or data.count(b'"') % 2 == 0:
        return data
    rest = bytearray()
    while more := _guarded(path, line, file):
        rest += more
        if more.count(b'"') % 2:
            return data + rest
        if len(rest) > MOST_CELL_BYTES:
            break
    first = next(i for i, text in enumerate(data.split(b"\n")) if text.count(b'"') % 2)
    raise bad(path, line + first, "trace.truncated", "a quoted cell begins here, or further down, and is not closed")


def _header(path: str, header: bytes) -> list[str]:
    try:
        found = next(csv.reader([header.decode("utf-8-sig")]))
    except (UnicodeDecodeError, csv.Error) as error:
        raise bad(path, 1, "trace.unreadable", f"the header is no text in UTF-8: {error}") from error
    twice = sorted({name for name in found if found.count(name) > 1})
    if twice:
        raise bad(path, 1, "trace.column", f"the header names {', '.join(map(repr, twice))} twice")
    return found


def _parsed(path: str, columns: tuple[list[str], list[str]], data: bytes, line: int) -> pl.DataFrame:
    every, wanted = columns
    try:
        made = pl.read_csv(
            io.BytesIO(data), has_header=False, new_columns=every, schema=dict.fromkeys(every, pl.String)
        )
    except (pl.exceptions.PolarsError, UnicodeDecodeError, OSError) as error:
        raise _bad_row(path, len(every), data, line) or bad(path, line, "trace.unreadable", _first(error)) from error
    # Cells that are missing at the end of a row come out empty; only the text tells them from empty ones.
    short = _bad_row(path, len(every), data, line) if made[every[-1]].null_count() and b'"' not in data else None
    if short is not None:
        raise short
    texts = data.split(b"\n")
    if not texts[-1]:
        texts.pop()
    at = range(len(texts)) if len(texts) == len(made) else [i for i, text in enumerate(texts) if text.strip()]
    if len(at) != len(made):
        at = range(len(made))
    lines = pl.Series(LINE, at, dtype=pl.Int64) + line
    return made.select(wanted).with_columns(lines)


def _bad_row(path: str, count: int, data: bytes, line: int) -> BadInput | None:
    """The first row that no table could hold."""
    for i, text in enumerate(data.split(b"\n")):
        try:
            cells = next(csv.reader([text.decode("utf-8")]), [])
        except UnicodeDecodeError as error:
            return bad(path, line + i, "trace.unreadable", f"the row is no text in UTF-8: {error.reason}")
        if text.strip() and len(cells) != count:
            what = "; it is cut off" if len(cells) < count else ""
            return bad(path, line + i, "trace.row", f"the row has {len(cells)} cells and the header {count}{what}")
    return None


def _slices(path: str, columns: list[str]) -> Iterator[pl.DataFrame]:
    try:
        lazy = pl.scan_parquet(_there(path)).select(columns)
        total = lazy.select(pl.len()).collect().item()
        for start in range(0, total, SLICE_ROWS):
            made = lazy.slice(start, SLICE_ROWS).collect()
            yield made.with_columns((pl.int_range(pl.len(), dtype=pl.Int64) + start + 2).alias(LINE))
    except (pl.exceptions.PolarsError, OSError) as error:
        raise bad(path, 0, "trace.unreadable", _first(error)) from error

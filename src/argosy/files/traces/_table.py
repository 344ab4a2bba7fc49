"""Table: a CSV or Parquet file as a checked frame, or every kind of problem with file and line. Nothing by halves.

All columns are found by name, so their order does not matter. Cells are read as text and then converted, so that a cell
that is no number is a problem at its line and not a null. Plain CSV and Parquet are scanned lazily.
"""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Mapping
from pathlib import Path

import polars as pl

from argosy.errors import BadInput, Problem

SHOWN_PROBLEMS = 20


def read(
    path: str,
    columns: Mapping[str, pl.DataType | type[pl.DataType]],
    *,
    optional: tuple[str, ...] = (),
    empty: tuple[str, ...] = (),
) -> pl.DataFrame:
    """The named columns of the file, converted.

    `optional` columns may be absent and are null then; cells of `empty` columns may be empty. BadInput otherwise.
    """
    text = _open(path)
    try:
        names = text.collect_schema().names()
        missing = [name for name in columns if name not in names and name not in optional]
        if missing:
            raise BadInput(
                [
                    Problem(
                        path,
                        1,
                        0,
                        "trace.column",
                        name,
                        f"the header has no column {name!r}; it has {', '.join(names)}",
                    )
                    for name in missing
                ]
            )
        kept = [name for name in columns if name in names]
        raw = text.select(kept).collect()
    except (pl.exceptions.PolarsError, OSError) as error:
        raise BadInput([Problem(path, 0, 0, "trace.unreadable", "", str(error).split("\n")[0])]) from error
    if raw.is_empty():
        raise BadInput([Problem(path, 1, 0, "trace.empty", "", "the file has a header and no rows")])
    made = raw.select(_converted(raw, name, columns[name]) for name in kept)
    problems = [p for name in kept for p in _bad_cells(path, raw[name], made[name], may_be_empty=name in empty)]
    if problems:
        raise BadInput(sorted(problems)[:SHOWN_PROBLEMS])
    absent = [pl.lit(None, dtype=columns[name]).alias(name) for name in columns if name not in names]
    return made.with_columns(absent).select(list(columns))


def text_of(path: str) -> bytes:
    """The bytes of a file, unpacked where its name ends in .gz; BadInput when it cannot be read to its end."""
    try:
        data = Path(path).read_bytes()
        return gzip.decompress(data) if path.endswith(".gz") else data
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        message = f"the compressed file is damaged or cut off: {error}"
        raise BadInput([Problem(path, 0, 0, "trace.truncated", "", message)]) from error
    except OSError as error:
        raise BadInput([Problem(path, 0, 0, "trace.unreadable", "", error.strerror or str(error))]) from error


def _open(path: str) -> pl.LazyFrame:
    if path.endswith(".parquet"):
        if not Path(path).is_file():
            raise BadInput([Problem(path, 0, 0, "trace.unreadable", "", "there is no such file")])
        return pl.scan_parquet(path)
    if path.endswith(".gz"):
        data = text_of(path)
        if not data.strip():
            raise BadInput([Problem(path, 1, 0, "trace.empty", "", "the file is empty; a header was expected")])
        return pl.read_csv(io.BytesIO(data), infer_schema=False).lazy()
    if not Path(path).is_file():
        raise BadInput([Problem(path, 0, 0, "trace.unreadable", "", "there is no such file")])
    return pl.scan_csv(path, infer_schema=False)


def _converted(raw: pl.DataFrame, name: str, dtype: pl.DataType | type[pl.DataType]) -> pl.Expr:
    column = pl.col(name)
    if raw.schema[name] == pl.String:
        column = column.str.strip_chars().replace("", None)
    return column.cast(dtype, strict=False)


def _bad_cells(path: str, before: pl.Series, after: pl.Series, *, may_be_empty: bool) -> list[Problem]:
    lost = (
        after.is_null()
        | (after.is_nan() if after.dtype.is_float() else pl.Series([False]))
        | (after.is_infinite() if after.dtype.is_float() else pl.Series([False]))
    )
    found = []
    for row in lost.arg_true().head(SHOWN_PROBLEMS).to_list():
        cell = before[row]
        blank = cell is None or (isinstance(cell, str) and not cell.strip())
        if blank and may_be_empty:
            continue
        what = "the cell is empty or the row is cut off" if blank else f"{cell!r} is not a finite {_word(after.dtype)}"
        found.append(Problem(path, row + 2, 0, "trace.cell", before.name, what))
    return found


def _word(dtype: pl.DataType) -> str:
    return "whole number" if dtype.is_integer() else "number"


def refuse(path: str, table: pl.DataFrame, bad: pl.Expr, field: str, message: str, *, header: int = 1) -> None:
    """BadInput with the lines on which an expression holds; nothing when it holds nowhere."""
    rows = table.select(bad.fill_null(value=False).arg_true()).to_series().head(SHOWN_PROBLEMS).to_list()
    if rows:
        raise BadInput([Problem(path, row + 1 + header, 0, "trace.value", field, message) for row in rows])


def instants(path: str, column: pl.Series) -> pl.Series:
    """A column of instants as seconds; BadInput with the lines that hold none. Without a zone they are UTC."""
    text = column.str.replace("T", " ", literal=True).str.replace(r"(Z|\+00:00)$", "")
    made = text.str.to_datetime("%Y-%m-%d %H:%M:%S%.f", strict=False, time_unit="us")
    bad = made.is_null().arg_true().head(SHOWN_PROBLEMS).to_list()
    if bad:
        raise BadInput(
            [Problem(path, i + 2, 0, "trace.cell", column.name, f"{column[i]!r} is not an instant") for i in bad]
        )
    return made.dt.epoch("us") / 1e6

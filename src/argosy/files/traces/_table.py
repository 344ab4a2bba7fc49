"""Table: a CSV or Parquet file as a checked frame, or every kind of problem with file and line. Nothing by halves.

All columns are found by name, so their order does not matter. Cells are read as text and then converted, so that a cell
that is no number is a problem at its line and not a null. Files are read in blocks (`_blocks`); `each` makes of a block
what is kept of it, so that a file of any length needs the memory of a block and of what is kept.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import polars as pl

from argosy.errors import BadInput, Problem
from argosy.files.traces._blocks import LINE, bad, blocks, names
from argosy.record import ID_PATTERN

SHOWN_PROBLEMS = 20
MOST_SECONDS = 10**10
"""Longest time in a trace, 317 years; an instant lies so long after 1970 at most."""
MOST_TOKENS = 10**9
"""Longest prompt or answer."""
Columns = Mapping[str, pl.DataType | type[pl.DataType]]
Each = Callable[[pl.DataFrame], pl.DataFrame]


class Rule(NamedTuple):
    """What no row may be."""

    wrong: pl.Expr
    field: str
    message: str


def between(name: str, most: float, least: float = 0) -> Rule:
    """No cell of the column lies outside these bounds."""
    return Rule(~pl.col(name).is_between(least, most), name, f"{least:,} to {most:,} are possible")


def named(name: str) -> Rule:
    """Every cell of the column is an id as portfolios write them."""
    wrong = ~pl.col(name).str.contains(ID_PATTERN)
    return Rule(wrong, name, "a name is lower-case letters, digits and . _ - /, at most 100 of them")


def whole(block: pl.DataFrame) -> pl.DataFrame:
    """Keep all of a block."""
    return block


def read(
    path: str,
    columns: Columns,
    *,
    optional: tuple[str, ...] = (),
    empty: tuple[str, ...] = (),
    rules: Sequence[Rule] = (),
    each: Each = whole,
) -> pl.DataFrame:
    """What `each` keeps of every block of the named columns, converted; with the column `line`.

    `optional` columns may be absent and are null then; cells of `empty` columns may be empty. BadInput otherwise, with
    all cells that are not what they should be and all rows that break a rule, and when the file has no rows.
    """
    there = names(path)
    missing = [name for name in columns if name not in there and name not in optional]
    if missing:
        raise BadInput(
            [
                Problem(
                    path, 1, 0, "trace.column", name, f"the header has no column {name!r}; it has {', '.join(there)}"
                )
                for name in missing
            ]
        )
    kept = [name for name in columns if name in there]
    parts: list[pl.DataFrame] = []
    rows = 0
    for block in blocks(path, kept):
        rows += len(block)
        parts.append(each(_checked(path, block, columns, (empty, rules))))
    if not rows:
        raise bad(path, 1, "trace.empty", "the file has a header and no rows")
    return pl.concat(parts)


def _checked(
    path: str, block: pl.DataFrame, columns: Columns, may_be: tuple[tuple[str, ...], Sequence[Rule]]
) -> pl.DataFrame:
    """A block converted; BadInput with every cell that could not be and every row that breaks a rule."""
    empty, rules = may_be
    kept = [name for name in columns if name in block.columns]
    made = block.select(*(_converted(block, name, columns[name]) for name in kept), LINE)
    problems = [p for name in kept for p in _bad_cells(path, block, made[name], may_be_empty=name in empty)]
    absent = [pl.lit(None, dtype=columns[name]).alias(name) for name in columns if name not in kept]
    made = made.with_columns(absent).select(*columns, LINE)
    told = {(problem.line, problem.field) for problem in problems}
    for rule in rules:
        problems += [p for p in _broken(path, made, rule) if (p.line, p.field) not in told]
    if problems:
        raise BadInput(sorted(problems)[:SHOWN_PROBLEMS])
    return made


def text_of(path: str) -> bytes:
    """The bytes of a file, unpacked where its name ends in .gz; BadInput when it cannot be read to its end."""
    try:
        data = Path(path).read_bytes()
        return gzip.decompress(data) if path.endswith(".gz") else data
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise bad(path, 0, "trace.truncated", f"the compressed file is damaged or cut off: {error}") from error
    except OSError as error:
        raise bad(path, 0, "trace.unreadable", error.strerror or str(error)) from error


def _converted(raw: pl.DataFrame, name: str, dtype: pl.DataType | type[pl.DataType]) -> pl.Expr:
    column = pl.col(name)
    if raw.schema[name] == pl.String:
        column = column.str.strip_chars().replace("", None)
    return column.cast(dtype, strict=False)


def _bad_cells(path: str, block: pl.DataFrame, after: pl.Series, *, may_be_empty: bool) -> list[Problem]:
    lost = after.is_null()
    if after.dtype.is_float():
        lost |= after.is_nan() | after.is_infinite()
    found = []
    for row in lost.arg_true().head(SHOWN_PROBLEMS).to_list():
        cell = block[after.name][row]
        blank = cell is None or (isinstance(cell, str) and not cell.strip())
        if blank and may_be_empty:
            continue
        what = "the cell is empty or the row is cut off" if blank else f"{cell!r} is not a finite {_word(after.dtype)}"
        found.append(Problem(path, block[LINE][row], 0, "trace.cell", after.name, what))
    return found


def _word(dtype: pl.DataType) -> str:
    return "whole number" if dtype.is_integer() else "number"


def refuse(path: str, table: pl.DataFrame, *rules: Rule) -> None:
    """BadInput with the lines that break a rule; nothing when none does."""
    problems = [problem for rule in rules for problem in _broken(path, table, rule)]
    if problems:
        raise BadInput(sorted(problems)[:SHOWN_PROBLEMS])


def _broken(path: str, table: pl.DataFrame, rule: Rule) -> list[Problem]:
    lines = table.filter(rule.wrong.fill_null(value=False))[LINE].head(SHOWN_PROBLEMS).to_list()
    return [Problem(path, line, 0, "trace.value", rule.field, rule.message) for line in lines]


def instants(path: str, table: pl.DataFrame, name: str) -> pl.Series:
    """A column of instants as seconds; BadInput with the lines that hold none. Without a zone they are UTC."""
    text = table[name].str.replace("T", " ", literal=True).str.replace(r"(Z|\+00:00)$", "")
    made = text.str.to_datetime("%Y-%m-%d %H:%M:%S%.f", strict=False, time_unit="us")
    seconds = made.dt.epoch("us") / 1e6
    bad_rows = (~seconds.is_between(0, MOST_SECONDS)).fill_null(value=True).arg_true().head(SHOWN_PROBLEMS).to_list()
    if bad_rows:
        raise BadInput(
            [
                Problem(
                    path,
                    table[LINE][i],
                    0,
                    "trace.cell",
                    name,
                    f"{table[name][i]!r} is not an instant from 1970 to 2286",
                )
                for i in bad_rows
            ]
        )
    return seconds


def numbered(prefix: str) -> pl.Expr:
    """Names for rows that have none, by their position."""
    return pl.format("{}-{}", pl.lit(prefix), pl.int_range(pl.len()))

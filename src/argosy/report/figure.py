"""The parts a page is made of: sections that hold figures, tables and notes. Text only; templates write the HTML.

`charts` and the section modules make them, `templates/` show them. They hold no decision about what is shown.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from markupsafe import Markup


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell of a table: its text, a smaller second line, and a class for its look."""

    text: str
    sub: str = ""
    look: str = ""


Row = tuple[Cell | str, ...]


@dataclass(frozen=True, slots=True)
class Column:
    """A column's heading; numbers are set right and unbroken unless they may fold; `wide` text takes what is left."""

    head: str
    number: bool = False
    wide: bool = False
    folds: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """A table with a caption. The first cell of every row is the row's heading."""

    caption: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    foot: Row = ()
    note: str = ""
    look: str = ""
    block: Literal["table"] = field(default="table", init=False)


@dataclass(frozen=True, slots=True)
class Figure:
    """A chart, what it says in one line, and the numbers it was drawn from."""

    title: str
    svg: Markup
    table: Table
    note: str = ""
    block: Literal["figure"] = field(default="figure", init=False)


@dataclass(frozen=True, slots=True)
class Grid:
    """Small charts of one kind side by side under one legend; their numbers are in one table."""

    title: str
    legend: Markup
    charts: tuple[tuple[str, Markup], ...]
    table: Table
    note: str = ""
    block: Literal["grid"] = field(default="grid", init=False)


@dataclass(frozen=True, slots=True)
class Note:
    """A paragraph."""

    text: str
    block: Literal["note"] = field(default="note", init=False)


@dataclass(frozen=True, slots=True)
class Facts:
    """Names with their values."""

    items: tuple[tuple[str, str], ...]
    block: Literal["facts"] = field(default="facts", init=False)


Block = Table | Figure | Grid | Note | Facts


@dataclass(frozen=True, slots=True)
class Section:
    """One part of the page with the finding that it shows."""

    key: str
    title: str
    lead: str
    blocks: tuple[Block, ...]


def columns(*heads: str) -> tuple[Column, ...]:
    """Columns from short notation: `#Size` holds numbers, `~Short by` ones that fold, `*Remedy` is wide, else text."""
    return tuple(
        Column(h.lstrip("#~*"), number=h[:1] in ("#", "~"), wide=h[:1] == "*", folds=h[:1] == "~") for h in heads
    )


def fixed(text: str) -> Cell:
    """A cell that is never broken into lines, for dates."""
    return Cell(text, look="fixed")


def row(*cells: Cell | str) -> Row:
    """A row of a table."""
    return cells

"""A CSV file as checked rows: the shared ground of the catalogue importers.

Knows lines, columns and numbers, not what they mean. Problems are collected, never raised one by one; the
caller raises BadInput once at the end, so that nothing is half-loaded.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from argosy.errors import BadInput, Problem

# An offer above this is per instance, per month or in another currency: no accelerator-hour ever cost as much.
MAX_USD_PER_ACCELERATOR_HOUR = 250.0
MAX_BYTES = 64 * 2**20


class Row:
    """One line of the file: cells by column name, with the place they came from."""

    def __init__(self, table: Table, line: int, cells: Sequence[str]) -> None:
        self._table = table
        self._line = line
        self._cells = cells

    def text(self, column: str) -> str:
        """The cell without surrounding blanks; empty when the column or the cell is missing."""
        position = self._table.positions.get(column)
        return self._cells[position].strip() if position is not None and position < len(self._cells) else ""

    def bad(self, column: str, code: str, message: str) -> None:
        """Note a problem with a cell."""
        self._table.add(self._line, self._table.positions.get(column, -1) + 1, code, column, message)

    def number(self, column: str, *, low: float = 0.0, high: float = math.inf) -> float | None:
        """The cell as a finite number within limits; None and a problem otherwise, None alone when empty."""
        text = self.text(column)
        if not text:
            return None
        try:
            value = float(text)
        except ValueError:
            self.bad(column, "import.number", f"{text!r} is not a number")
            return None
        if not math.isfinite(value):
            self.bad(column, "import.number", f"{text!r} is not a finite number")
            return None
        if value < low:
            self.bad(column, "import.negative" if low == 0 else "import.range", f"{text} is below {low:g}")
            return None
        if value > high:
            self.bad(column, "import.range", f"{text} is above {high:g}")
            return None
        return value

    def price(self, column: str, accelerators: float = 1.0) -> float | None:
        """The cell as USD per hour for each of the accelerators it buys; a problem when that is too much."""
        amount = self.number(column)
        if amount is None:
            return None
        each = amount / accelerators
        if each > MAX_USD_PER_ACCELERATOR_HOUR:
            self.bad(
                column,
                "import.price",
                f"{amount:g} for {accelerators:g} accelerators is {each:,.2f} USD per accelerator-hour; "
                f"above {MAX_USD_PER_ACCELERATOR_HOUR:g} it must be per month or not in USD",
            )
            return None
        return each


class Table:
    """A CSV file with the columns that a format needs."""

    def __init__(self, path: Path, required: Iterable[str]) -> None:
        """Open the file and check its header; a file that is no table of this format raises BadInput."""
        self.file = str(path)
        self.problems: list[Problem] = []
        self._lines = read_lines(path)
        self._reader = csv.reader(self._lines, strict=True)
        header = self._next_header()
        self.positions = {name.strip(): position for position, name in enumerate(header)}
        if len(self.positions) < len(header):
            self.add(1, 0, "import.column", "", "a column name stands in the header twice")
        missing = [name for name in required if name not in self.positions]
        for name in missing:
            self.add(1, 0, "import.column", name, f"the header has no column {name!r}; it has {', '.join(header)}")
        self.stop_if_bad()

    def rows(self) -> Iterator[Row]:
        """The rows, each with its line number; empty lines are left out, short and long rows are problems."""
        found = False
        while True:
            line = self._reader.line_num + 1
            try:
                cells = next(self._reader, None)
            except csv.Error as error:
                self.add(line, 0, "import.csv", "", str(error))
                return
            if cells is None:
                break
            if not any(cell.strip() for cell in cells):
                continue
            found = True
            if len(cells) != len(self.positions):
                message = f"the row has {len(cells)} cells, the header {len(self.positions)}"
                self.add(line, 0, "import.cells", "", message)
                continue
            yield Row(self, line, cells)
        if not found:
            self.add(1, 0, "import.empty", "", "the file has a header and no rows")

    def add(self, line: int, column: int, code: str, field: str, message: str) -> None:
        """Note a problem."""
        self.problems.append(Problem(self.file, line, column, code, field, message))

    def stop_if_bad(self) -> None:
        """Raise BadInput with everything noted so far; nothing when all is well."""
        if self.problems:
            raise BadInput(self.problems)

    def _next_header(self) -> list[str]:
        try:
            header = next(self._reader, None)
        except csv.Error as error:
            raise BadInput([Problem(self.file, 1, 0, "import.csv", "", str(error))]) from error
        if header is None or not any(name.strip() for name in header):
            raise BadInput([Problem(self.file, 1, 0, "import.empty", "", "the file is empty; a header was expected")])
        return [name.strip() for name in header]


def read_lines(path: Path) -> list[str]:
    """The file as lines of text; BadInput when it cannot be read as UTF-8 text of a sensible size."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise BadInput([Problem(str(path), 0, 0, "import.size", "", f"larger than {MAX_BYTES // 2**20} MiB")])
        with path.open(encoding="utf-8-sig", newline="") as stream:
            return stream.readlines()
    except UnicodeDecodeError as error:
        raise BadInput([Problem(str(path), 0, 0, "import.text", "", f"not UTF-8 text: {error.reason}")]) from error
    except OSError as error:
        raise BadInput([Problem(str(path), 0, 0, "import.unreadable", "", error.strerror or str(error))]) from error

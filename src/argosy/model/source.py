"""Source: where a figure comes from, and when it was read there."""

from __future__ import annotations

from typing import Annotated

from pydantic import StringConstraints

from argosy.record import Record, Text

Day = Annotated[str, StringConstraints(pattern=r"^\d{4}-\d{2}(-\d{2})?$")]


class Source(Record):
    """A public page and the day (or month) for which it states the figure."""

    url: Text
    """Address of the page."""
    date: Day
    """Day or month of the figure, YYYY-MM-DD or YYYY-MM."""
    note: Text | None = None
    """What was derived from the page, and how, where it does not state the figure itself."""

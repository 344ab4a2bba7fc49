"""Vendor: a party we sign with."""

from __future__ import annotations

from argosy.model.source import Source
from argosy.record import Id, Record, Text


class Vendor(Record):
    """A party that sells capacity, or `self` for own sites."""

    id: Id
    """Short name, used by contracts and pools."""
    name: Text
    """Name as the party writes it."""
    jurisdiction: Text
    """ISO 3166-1 code of the law that the operator answers to."""
    source: Source | None = None
    """Where the facts come from."""

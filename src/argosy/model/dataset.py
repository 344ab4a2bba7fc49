"""Dataset: data that work must read, where it lies, and what a copy costs to keep."""

from __future__ import annotations

from typing import Annotated

from annotated_types import Ge, Gt, Le

from argosy.record import Id, Record, Text


class Dataset(Record):
    """A body of data with a home region."""

    id: Id
    """Short name."""
    home: Id
    """Region where the master copy lies."""
    size_gib: Annotated[float, Gt(0), Le(1e12)]
    """Size of one full copy."""
    jurisdictions: tuple[Text, ...] = ()
    """Countries or zones that copies may lie in. Empty means that no rule binds this data."""
    storage_usd_per_gib: Annotated[float, Ge(0), Le(10)] = 0.02
    """Price of keeping one GiB for one month in a replica region."""

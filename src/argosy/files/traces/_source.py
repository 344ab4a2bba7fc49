"""Source: a trace named on the command line as `KIND:PATH`, and the parts that a kind may offer.

A kind is one file of this folder with a class `Trace` that overrides the parts it has. `simulate` asks for parts; a
kind that lacks one answers with an error that names it. Nothing here decides anything.
"""

from __future__ import annotations

from typing import Any

import polars as pl

from argosy.errors import BadInput, Problem
from argosy.kinds import load
from argosy.record import Record

PACKAGE = "argosy.files.traces"


class Source(Record):
    """One trace."""

    kind: str
    """Which file of `traces/` reads it."""
    path: str
    """File or folder; a kind may read something else that stands behind the colon."""

    def nodes(self) -> pl.DataFrame:
        """Servers, as `model.fleet.Node` rows."""
        raise self._lacks("nodes")

    def counts(self) -> dict[str, int]:
        """Accelerators by type of chip, where the fleet is no more than that."""
        raise self._lacks("counts of accelerators")

    def asks(self) -> pl.DataFrame:
        """Arrivals, as `model.fleet.TraceAsk` rows in order of arrival."""
        raise self._lacks("asks")

    def throughputs(self) -> pl.DataFrame:
        """Speeds, as `model.fleet.Throughput` rows."""
        raise self._lacks("throughputs")

    def shared_throughputs(self) -> pl.DataFrame:
        """Speeds of pairs on one device, as `model.fleet.SharedThroughput` rows."""
        raise self._lacks("throughputs of pairs")

    def availability(self) -> pl.DataFrame:
        """Spot capacity over time, as `model.fleet.Availability` rows."""
        raise self._lacks("spot availability")

    def calls(self) -> pl.DataFrame:
        """Inference requests, as `model.fleet.Call` rows."""
        raise self._lacks("inference requests")

    def rates(self) -> pl.DataFrame:
        """Arrival rates, as `model.fleet.Rate` rows."""
        raise self._lacks("arrival rates")

    def offers(self, part: str) -> bool:
        """Whether the kind has a part, by the name of its method."""
        return getattr(type(self), part) is not getattr(Source, part)

    def _lacks(self, part: str) -> BadInput:
        return BadInput([Problem(self.path, 0, 0, "trace.part", self.kind, f"a trace of this kind has no {part}")])


def source(text: str) -> Any:
    """The trace written as `KIND:PATH`. BadInput names the kinds there are when the word is none of them."""
    kinds = load(PACKAGE, "Trace")
    kind, colon, path = text.partition(":")
    if not colon or kind not in kinds:
        message = f"write KIND:PATH with one of {', '.join(sorted(kinds))} before the colon"
        raise BadInput([Problem(text, 0, 0, "trace.kind", "", message)])
    return kinds[kind](kind=kind, path=path)

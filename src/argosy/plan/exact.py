"""Exact: futures solved one after the other, each from its own last basis or that of the most similar one.

F7.9  Futures are solved in chunks of `CHUNK` neighbours. Each chunk begins with a solver that has forgotten the one
before, so what comes out does not depend on who solved which chunk: on one process, on several, or on a Ray cluster the
answers are the same to the last bit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Protocol

from argosy.plan.basis import Basis
from argosy.plan.pool import Pool
from argosy.plan.program import Floats, Ints
from argosy.plan.recourse import Answer, Recourse
from argosy.plan.template import Template

CHUNK = 16
"""Futures in one chunk."""


class Worker:
    """Solves futures of one program and keeps the last basis of each. Lives in this process or in another."""

    def __init__(self, template: Template) -> None:
        self.recourse = Recourse(template)
        self.bases: dict[int, Basis] = {}
        """Future to the basis that it was last solved with."""

    def solve(
        self, chunks: Sequence[Sequence[int]], first: Floats, starts: Mapping[int, Basis], columns: bool
    ) -> list[Answer]:
        """The futures of some chunks, in order; one that was never solved starts from its basis in `starts`."""
        answers = []
        for chunk in chunks:
            self.recourse.forget()
            for s in chunk:
                answer = self.recourse.solve(s, first, self.bases.get(s, starts.get(s)), columns=columns)
                self.bases[s] = answer.basis
                answers.append(answer)
        return answers


class Crew(Protocol):
    """Workers of other processes."""

    def solve(
        self, chunks: Sequence[Sequence[int]], first: Floats, starts: Mapping[int, Basis], columns: bool
    ) -> list[Answer]:
        """The futures of all chunks, in order. SolverError when a worker is lost."""

    def close(self) -> None:
        """End the workers."""


class Exact:
    """Solves futures of one program exactly."""

    def __init__(self, template: Template, crew: Crew | None = None) -> None:
        self.crew = crew or Worker(template)
        self.known: set[int] = set()
        """Futures that whoever solves them has a basis for."""

    def some(self, batch: Ints, first: Floats, pool: Pool, *, columns: bool = False) -> list[Answer]:
        """Some futures, each from its last basis, or else from that of the dual in the pool that bounds it best."""
        futures = batch.tolist()
        new = [s for s in futures if s not in self.known]
        starts: dict[int, Basis] = {}
        if new and len(pool):
            nearest = pool.best(first)[1]
            starts = {s: pool.bases[nearest[s]] for s in new}
        return self.these(futures, first, starts, columns=columns)

    def these(
        self, futures: Sequence[int], first: Floats, starts: Mapping[int, Basis], *, columns: bool = False
    ) -> list[Answer]:
        """Some futures; those that were never solved start from their basis in `starts`, where there is one."""
        chunks = [list(group) for _, group in groupby(futures, key=lambda s: s // CHUNK)]
        answers = self.crew.solve(chunks, first, starts, columns)
        self.known.update(futures)
        return answers

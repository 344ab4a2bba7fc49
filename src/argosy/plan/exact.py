"""Exact: futures solved one after the other, or in processes, with the same answers either way.

The futures are cut into chunks that depend on their number only; each chunk starts from a fresh basis and goes through
its futures in order of demand, so that the number of processes changes nothing but the time.
"""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ProcessPoolExecutor

import numpy as np

from argosy.plan.program import Floats, Ints, Program
from argosy.plan.recourse import Answer, Recourse
from argosy.plan.template import Template, build
from argosy.settings import Settings

CHUNK = 64
"""Futures in one chunk."""

_worker: Recourse | None = None


class Exact:
    """Solves futures of one program exactly."""

    def __init__(self, template: Template, settings: Settings) -> None:
        self.template, self.processes = template, settings.processes
        self.recourse = Recourse(template)
        order = np.argsort(template.program.demand.sum(axis=(1, 2)), kind="stable")
        self.chunks = [order[i : i + CHUNK] for i in range(0, len(order), CHUNK)]
        self._executor: ProcessPoolExecutor | None = None

    def some(self, batch: Ints, first: Floats) -> list[Answer]:
        """Some futures, one after the other, in this process."""
        return [self.recourse.solve(int(s), first) for s in batch]

    def all(self, first: Floats) -> list[Answer]:
        """Every future, in the order of the scenarios."""
        found: dict[int, Answer] = {}
        if self.processes > 1 and len(self.chunks) > 1:
            tasks = [(chunk.tolist(), first) for chunk in self.chunks]
            for chunk, answers in zip(self.chunks, self._pool().map(_solve_chunk, tasks), strict=True):
                found.update(zip(chunk.tolist(), answers, strict=True))
        else:
            for chunk in self.chunks:
                if len(self.chunks) > 1:
                    self.recourse.solver.clearSolver()
                found.update((s, self.recourse.solve(s, first)) for s in chunk.tolist())
        return [found[s] for s in range(len(found))]

    def _pool(self) -> ProcessPoolExecutor:
        if self._executor is None:
            self._executor = ProcessPoolExecutor(
                min(self.processes, len(self.chunks)),
                mp_context=multiprocessing.get_context("spawn"),
                initializer=_start_worker,
                initargs=(self.template.program,),
            )
        return self._executor

    def close(self) -> None:
        """End the processes."""
        if self._executor is not None:
            self._executor.shutdown()
            self._executor = None


def _start_worker(program: Program) -> None:
    global _worker  # noqa: PLW0603 - one solver per process is the point
    _worker = Recourse(build(program))


def _solve_chunk(task: tuple[list[int], Floats]) -> list[Answer]:
    assert _worker is not None
    chunk, first = task
    _worker.solver.clearSolver()
    return [_worker.solve(s, first) for s in chunk]

"""Crews: exact passes over processes of this machine, or over a Ray cluster. Chunk c always goes to the same worker.

Workers hold a copy of the program each and never talk to each other; what they answer does not depend on their number
(F7.9). Called by `decompose` when the settings ask for it.
"""

from __future__ import annotations

import importlib
import multiprocessing
from collections.abc import Mapping, Sequence
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

from argosy.errors import OutsideError, SolverError
from argosy.plan.basis import Basis
from argosy.plan.exact import CHUNK, Crew, Worker
from argosy.plan.program import Floats, Program
from argosy.plan.recourse import Answer
from argosy.plan.template import Template, build
from argosy.settings import Settings


def crew(template: Template, settings: Settings) -> Crew | None:
    """The workers that the settings ask for; None for this process alone, or where there is one chunk only."""
    chunks = -(-template.program.shape["S"] // CHUNK)
    wanted = min(settings.plan_workers, chunks)
    if wanted <= 1:
        return None
    return Processes(template, wanted) if settings.ray_address is None else RayActors(template, wanted, settings)


class Processes:
    """Workers that are processes of this machine."""

    def __init__(self, template: Template, count: int) -> None:
        context = multiprocessing.get_context("spawn")  # a fork would copy threads' locks in whatever state they are
        self.lines: list[Connection] = []
        self.workers: list[BaseProcess] = []
        for number in range(count):
            mine, theirs = context.Pipe()
            worker = context.Process(target=_serve, args=(theirs,), name=f"argosy-plan-{number}", daemon=True)
            worker.start()
            theirs.close()
            self.lines.append(mine)
            self.workers.append(worker)
        self._each(lambda line: line.send(template.program))

    def solve(
        self, chunks: Sequence[Sequence[int]], first: Floats, starts: Mapping[int, Basis], columns: bool
    ) -> list[Answer]:
        """The futures of all chunks, in order. SolverError when a worker is lost."""
        shares = _shares(chunks, len(self.lines))
        busy = [(line, share) for line, share in zip(self.lines, shares, strict=True) if share]
        try:
            for line, share in busy:
                line.send((share, first, {s: starts[s] for chunk in share for s in chunk if s in starts}, columns))
            found = [line.recv() for line, _ in busy]
        except (EOFError, OSError) as error:
            raise SolverError("a process that solves futures was lost; run it again, or with --workers 1") from error
        for answers in found:
            if isinstance(answers, Exception):
                raise answers
        return _in_order(chunks, [share for _, share in busy], found)

    def close(self) -> None:
        """End the processes."""
        self._each(lambda line: line.close())
        for worker in self.workers:
            worker.join(5)
            if worker.is_alive():
                worker.kill()
                worker.join()

    def _each(self, call: Any) -> None:
        for line in self.lines:
            try:
                call(line)
            except OSError as error:
                raise SolverError("a process that solves futures did not start") from error


class RayActors:
    """Workers that are actors of a Ray cluster."""

    def __init__(self, template: Template, count: int, settings: Settings) -> None:
        try:
            self.ray = importlib.import_module("ray")
        except ModuleNotFoundError as error:
            raise OutsideError(f"passes over Ray need the extra: install argosy[ray] ({error})") from None
        try:
            self.mine = not self.ray.is_initialized()
            if self.mine:
                self.ray.init(address=settings.ray_address, log_to_driver=False, logging_level="ERROR")
            actor = self.ray.remote(num_cpus=1, max_restarts=0)(_Remote)
            shared = self.ray.put(template.program)
            self.actors = [actor.remote(shared) for _ in range(count)]
        except (ConnectionError, RuntimeError, ValueError) as error:
            raise OutsideError(f"the Ray cluster at {settings.ray_address} cannot be used: {error}") from error

    def solve(
        self, chunks: Sequence[Sequence[int]], first: Floats, starts: Mapping[int, Basis], columns: bool
    ) -> list[Answer]:
        """The futures of all chunks, in order. SolverError when an actor is lost."""
        shares = _shares(chunks, len(self.actors))
        calls = [
            actor.solve.remote(share, first, {s: starts[s] for chunk in share for s in chunk if s in starts}, columns)
            for actor, share in zip(self.actors, shares, strict=True)
            if share
        ]
        try:
            found = self.ray.get(calls)
        except self.ray.exceptions.RayError as error:
            raise SolverError(f"a Ray actor that solves futures was lost: {type(error).__name__}") from error
        return _in_order(chunks, [share for share in shares if share], found)

    def close(self) -> None:
        """End the actors, and the connection where it was made here."""
        for actor in self.actors:
            self.ray.kill(actor)
        if self.mine:
            self.ray.shutdown()


class _Remote(Worker):
    """A worker that writes its own matrices: they are larger than the program that they follow from."""

    def __init__(self, program: Program) -> None:
        super().__init__(build(program))


def _serve(line: Connection) -> None:
    """What a process does: solve what it is sent until the line is closed."""
    try:
        worker = _Remote(line.recv())
        while True:
            share, first, starts, columns = line.recv()
            try:
                line.send(worker.solve(share, first, starts, columns))
            except SolverError as error:
                line.send(error)
    except (EOFError, OSError, KeyboardInterrupt):
        return


def _shares(chunks: Sequence[Sequence[int]], count: int) -> list[list[Sequence[int]]]:
    """Chunks by worker: always the same one for the same futures, which therefore has their bases."""
    shares: list[list[Sequence[int]]] = [[] for _ in range(count)]
    for chunk in chunks:
        shares[chunk[0] // CHUNK % count].append(chunk)
    return shares


def _in_order(
    chunks: Sequence[Sequence[int]], shares: Sequence[Sequence[Sequence[int]]], found: Sequence[Sequence[Answer]]
) -> list[Answer]:
    by_future = {
        s: answer
        for share, answers in zip(shares, found, strict=True)
        for s, answer in zip((s for chunk in share for s in chunk), answers, strict=True)
    }
    return [by_future[s] for chunk in chunks for s in chunk]

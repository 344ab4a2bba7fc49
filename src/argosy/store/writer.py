"""Writer: many callers, one transaction at a time, one commit for all who wait.

Whoever comes first runs what has gathered meanwhile: each piece in a savepoint of its own, so that one that fails
takes nothing else with it, then one commit, one flush to disk. A piece is told that it is done only after the commit.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from argosy.errors import OutsideError
from argosy.store.engine import plainly

T = TypeVar("T")
MOST_TOGETHER = 256
"""Pieces that share one commit at most."""


class _Piece:
    __slots__ = ("done", "error", "result", "work")

    def __init__(self, work: Callable[[Connection], Any]) -> None:
        self.work, self.done = work, False
        self.result: Any = None
        self.error: BaseException | None = None


class Writer:
    """Runs pieces of writing on one engine."""

    def __init__(self, engine: Engine, begin: Callable[[Connection], None]) -> None:
        self.engine, self.begin = engine, begin
        self.waiting: list[_Piece] = []
        self.turn = threading.Condition()
        self.busy = False
        self.commits = 0
        """Commits so far; a reader that saw this number knows whether there is news."""

    def run(self, work: Callable[[Connection], T]) -> T:
        """Run one piece and return its result once it is durable. Its own error comes back as it was raised."""
        piece = _Piece(work)
        with self.turn:
            self.waiting.append(piece)
            while self.busy and not piece.done:
                self.turn.wait()
            if not piece.done:
                self.busy = True
                batch, self.waiting = self.waiting[:MOST_TOGETHER], self.waiting[MOST_TOGETHER:]
        if not piece.done:
            if piece not in batch:  # more than fit waited before it
                self.waiting.remove(piece)
                batch[-1:], self.waiting[:0] = [piece], [batch[-1]]
            self._together(batch)
        if piece.error is not None:
            raise piece.error
        result: T = piece.result
        return result

    def wait(self, commits: int, seconds: float) -> bool:
        """Wait until more than so many commits were made; False when the time is over first."""
        with self.turn:
            return self.turn.wait_for(lambda: self.commits > commits, seconds)

    def _together(self, batch: list[_Piece]) -> None:
        try:
            with self.engine.begin() as connection:
                self.begin(connection)
                if len(batch) == 1:  # alone it needs no savepoint: its failure is that of the transaction
                    batch[0].result = batch[0].work(connection)
                for piece in batch if len(batch) > 1 else ():
                    try:
                        with connection.begin_nested():
                            piece.result = piece.work(connection)
                    except SQLAlchemyError:
                        raise
                    except Exception as error:
                        piece.error = error
        except SQLAlchemyError as error:
            for piece in batch:
                piece.error = OutsideError(
                    f"the store did not confirm a change ({plainly(error)}); it counts as not made"
                )
        except BaseException as error:
            for piece in batch:
                piece.error = error
        finally:
            with self.turn:
                for piece in batch:
                    piece.done = True
                self.busy = False
                self.commits += 1
                self.turn.notify_all()

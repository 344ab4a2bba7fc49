"""Stores: those that simulations make by the thousand, on which any transaction may be cut off.

`memory` rests nowhere and is fast. `sqlite` is the real store on a database in memory: one engine for each process
keeps the compiled statements, and each new store starts from an image of empty tables. Both are cut off at the same
points, so that a schedule of faults does the same on either.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any, Literal, TypeVar

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.pool import StaticPool

from argosy.clock import Clock
from argosy.store import MemoryStore, Store
from argosy.store.engine import migrate, sqlite_begin

T = TypeVar("T")
Kind = Literal["memory", "sqlite"]
_held = threading.local()


class Killed(BaseException):
    """The process of a replica ends here. No handler of ours may catch it."""


class Faulty:
    """What is added to a store so that its process may end around and within each transaction.

    `hook` is called with `before`, `within` and `after` of each writing; what it raises ends the transaction there.
    `within` comes when all is done and nothing is confirmed.
    """

    hook: Callable[[str], None] = staticmethod(lambda _: None)
    steps = 0
    """Readings and writings."""

    def _write(self, work: Callable[[Any], T]) -> T:
        self.steps += 1
        self.hook("store.before")

        def whole(transaction: Any) -> T:
            result = work(transaction)
            self.hook("store.within")
            return result

        result: T = super()._write(whole)  # type: ignore[misc]
        self.hook("store.after")
        return result

    def _read(self) -> Any:
        self.steps += 1
        return super()._read()  # type: ignore[misc]


class FaultyStore(Faulty, Store):
    """The store on SQLite, cut off anywhere."""


class FaultyMemoryStore(Faulty, MemoryStore):
    """The store in memory, cut off anywhere."""


def store_of(kind: Kind, clock: Clock, tokens: Iterable[str]) -> FaultyStore | FaultyMemoryStore:
    """An empty store of a kind; the SQLite one that this thread had before is gone."""
    if kind == "sqlite":
        return sqlite_in_memory(clock, tokens)
    numbers = iter(tokens)
    return FaultyMemoryStore(clock, token=lambda: next(numbers))


def sqlite_in_memory(clock: Clock, tokens: Iterable[str]) -> FaultyStore:
    """An empty store on SQLite in memory; the one that this thread had before is gone."""
    raw, engine = _engine()
    raw.deserialize(_image())
    numbers = iter(tokens)
    return FaultyStore("sqlite://", clock, token=lambda: next(numbers), engine=engine)


def _engine() -> tuple[sqlite3.Connection, Engine]:
    if not hasattr(_held, "pair"):
        raw = _raw()
        made = create_engine("sqlite://", creator=lambda: raw, poolclass=StaticPool)
        event.listen(made, "begin", sqlite_begin)
        _held.pair = (raw, made)
    pair: tuple[sqlite3.Connection, Engine] = _held.pair
    return pair


def _raw() -> sqlite3.Connection:
    return sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)


@cache
def _image() -> bytes:
    """A database with empty tables."""
    raw = _raw()
    made = create_engine("sqlite://", creator=lambda: raw, poolclass=StaticPool)
    event.listen(made, "begin", sqlite_begin)
    migrate(made)
    return raw.serialize()

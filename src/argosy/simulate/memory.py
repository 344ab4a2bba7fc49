"""Memory: the real store on a database in memory, for simulations that make thousands of them one after the other.

One engine for each process keeps the compiled statements; each new store starts from an image of empty tables.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterable
from contextlib import _GeneratorContextManager
from functools import cache
from typing import TypeVar

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.pool import StaticPool

from argosy.clock import Clock
from argosy.store import Store
from argosy.store.engine import migrate, sqlite_begin

T = TypeVar("T")
_held = threading.local()


class Killed(BaseException):
    """The process of a replica ends here. No handler of ours may catch it."""


class FaultyStore(Store):
    """A store whose process may end around and within each transaction.

    `hook` is called with `before`, `within` and `after` of each writing; what it raises ends the transaction there.
    """

    hook: Callable[[str], None] = staticmethod(lambda _: None)
    steps = 0

    def _write(self, work: Callable[[Connection], T]) -> T:
        self.steps += 1
        self.hook("store.before")

        def whole(connection: Connection) -> T:
            result = work(connection)
            self.hook("store.within")
            return result

        result = super()._write(whole)
        self.hook("store.after")
        return result

    def _read(self) -> _GeneratorContextManager[Connection]:
        self.steps += 1
        return super()._read()


def memory_store(clock: Clock, tokens: Iterable[str]) -> FaultyStore:
    """An empty store in memory; the one that this thread had before is gone."""
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

"""Store: where jobs, runs, events, keys and decisions rest, on SQLite or PostgreSQL.

The event log is the truth; the tables of jobs, runs, penalties, cordons and copies are a fold over it (`fold`), written
in the same transaction, and `recount` replays the log to compare. `MemoryStore` is the same without a database, for
simulations. Nothing here decides anything.
"""

from argosy.store.change import Change, CopyChange, NewRun
from argosy.store.engine import file_address, whole_address
from argosy.store.memory import MemoryStore
from argosy.store.reader import Present
from argosy.store.recount import Recount
from argosy.store.settle import Key, Lease, NewJob
from argosy.store.store import Store

AnyStore = Store | MemoryStore
"""What the control loop works on: a database, or memory in a simulation."""

__all__ = [
    "AnyStore",
    "Change",
    "CopyChange",
    "Key",
    "Lease",
    "MemoryStore",
    "NewJob",
    "NewRun",
    "Present",
    "Recount",
    "Store",
    "file_address",
    "whole_address",
]

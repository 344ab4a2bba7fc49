"""Engine: opens a database and brings its tables up to date.

SQLite: WAL and synchronous FULL, one process, writers one after the other. PostgreSQL: any number of replicas.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util.exc import CommandError
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, OperationalError, SQLAlchemyError

from argosy.errors import OutsideError

BUSY_SECONDS = 30
# A replica that is stopped within a transaction must not hold up the others.
_PG_OPTIONS = "-c idle_in_transaction_session_timeout=3000 -c lock_timeout=10000"


def open_engine(url: str) -> Engine:
    """The database at a URL, `sqlite:///PATH` or `postgresql://…`. OutsideError says what is wrong with it."""
    try:
        parsed = make_url(url)
        if parsed.drivername == "postgresql":
            parsed = parsed.set(drivername="postgresql+psycopg")
        if parsed.get_backend_name() not in ("sqlite", "postgresql"):
            raise OutsideError(f"a store is sqlite:///PATH or postgresql://…, not {parsed.drivername}")
        if parsed.get_backend_name() == "sqlite":
            engine = create_engine(parsed, connect_args={"timeout": BUSY_SECONDS, "check_same_thread": False})
            event.listen(engine, "connect", _sqlite_pragmas)
            event.listen(engine, "begin", sqlite_begin)
            return engine
        return create_engine(
            parsed, pool_pre_ping=True, pool_size=8, max_overflow=8, connect_args={"options": _PG_OPTIONS}
        )
    except (ArgumentError, NoSuchModuleError, ValueError):  # what they say may hold the address, and that a password
        raise OutsideError(
            "this is not the address of a store; write sqlite:///PATH or postgresql://USER:PASSWORD@HOST:PORT/NAME"
        ) from None
    except ModuleNotFoundError as error:
        raise OutsideError(f"a store on PostgreSQL needs the extra: install argosy[postgres] ({error})") from None


def migrate(engine: Engine) -> None:
    """Bring the tables to the newest version, in one transaction; two replicas at once wait for each other.

    A store that a newer Argosy has written is refused with OutsideError and left as it is.
    """
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    try:
        with engine.begin() as connection:
            if connection.dialect.name == "postgresql":
                connection.exec_driver_sql("SELECT pg_advisory_xact_lock(4719823041)")
            if _is_current(connection, config):
                return
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    except CommandError as error:
        raise OutsideError(f"the store was written by another version of Argosy: {error}") from error
    except SQLAlchemyError as error:
        raise OutsideError(f"the store cannot be opened: {plainly(error)}") from error


def _is_current(connection: Connection, config: Config) -> bool:
    if not connection.dialect.has_table(connection, "alembic_version"):
        return False
    (version,) = connection.exec_driver_sql("SELECT version_num FROM alembic_version").one()
    return bool(version == ScriptDirectory.from_config(config).get_current_head())


def plainly(error: SQLAlchemyError) -> str:
    """The database's own words without the statement, whose parameters may hold what must not be shown."""
    cause = getattr(error, "orig", None)
    return str(cause).strip().splitlines()[0] if cause is not None and str(cause).strip() else type(error).__name__


def _sqlite_pragmas(connection: sqlite3.Connection, record: Any) -> None:
    connection.isolation_level = None  # transactions begin where SQLAlchemy says, not where the module guesses
    # What is deleted is overwritten, in the file and, once it begins anew, in the journal: values of secrets must go.
    wiped = ("secure_delete = ON", "journal_size_limit = 0")
    for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON", *wiped):
        connection.execute(f"PRAGMA {pragma}")


def sqlite_begin(connection: Connection) -> None:
    """Begin a transaction on SQLite: for reading or, unless the option `writing` is off, for writing."""
    # A reader that becomes a writer would fail when another wrote in between; writers say so at once.
    words = "BEGIN IMMEDIATE" if connection.get_execution_options().get("writing", True) else "BEGIN"
    raw = connection.connection.dbapi_connection
    assert raw is not None
    try:
        raw.execute(words)
    except sqlite3.Error as error:
        raise OperationalError(words, None, error) from error

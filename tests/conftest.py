"""What holds for every test: no network but loopback, the order of folders, and how hypothesis searches."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import pytest_socket
from hypothesis import HealthCheck, settings
from hypothesis.internal.conjecture import providers
from tests.support.postgres import postgres

# Fast folders first, so that a mistake shows early. A folder that is not named comes after them.
ORDER = ("unit", "laws", "conformance", "house", "golden", "docs", "against", "replay", "faults")
HERE = Path(__file__).parent
LOOPBACK = ["127.0.0.1", "::1"]

# On a shared machine no example has a time limit, and none is too slow to be made. The same tree runs the same examples
# each time, so that no change is refused for what another let in; `make test-free` looks for what these do not show.
settings.register_profile("house", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("free", settings.get_profile("house"), derandomize=False, print_blob=True)
settings.load_profile("house")


def pytest_configure(config: pytest.Config) -> None:
    """Without what hypothesis reads from our modules: it would differ with those that happen to be imported."""
    if settings.get_current_profile_name() == "house" and not config.getoption("--hypothesis-profile"):
        providers._get_local_constants = providers.Constants


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Folders in order; tests marked slow after all others."""

    def key(item: pytest.Item) -> tuple[bool, int]:
        parts = item.path.relative_to(HERE).parts if item.path.is_relative_to(HERE) else ()
        folder = parts[0] if len(parts) > 1 else ""
        place = ORDER.index(folder) if folder in ORDER else len(ORDER)
        return item.get_closest_marker("slow") is not None, place

    items.sort(key=key)


@pytest.fixture(autouse=True)
def _loopback_only() -> Iterator[None]:
    """A connection to anywhere else raises. Subprocesses are not held by this; they must not need the network."""
    pytest_socket.socket_allow_hosts(LOOPBACK, allow_unix_socket=True)
    yield
    pytest_socket._remove_restrictions()


@pytest.fixture(scope="session")
def database() -> Iterator[Callable[[], str]]:
    """Makes an empty PostgreSQL database for each call; one server for the session."""
    with postgres() as make:
        yield make

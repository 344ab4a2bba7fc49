"""What tests/conftest.py promises: no network but loopback, and fast folders first."""

from __future__ import annotations

import socket
from types import SimpleNamespace
from typing import Any

import pytest
import pytest_socket


@pytest.mark.filterwarnings("ignore:A test tried to use socket")
def test_the_network_is_closed() -> None:
    with pytest.raises(pytest_socket.SocketConnectBlockedError):
        socket.create_connection(("192.0.2.1", 80), timeout=1)


def test_loopback_is_open() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname(), timeout=1):
        pass


def test_fast_folders_run_first(request: pytest.FixtureRequest) -> None:
    mine = str(request.path.parents[1] / "conftest.py")
    conftest: Any = next(p for p in request.config.pluginmanager.get_plugins() if getattr(p, "__file__", "") == mine)

    def item(path: str, slow: bool = False) -> Any:
        return SimpleNamespace(path=conftest.HERE / path, get_closest_marker=lambda _: slow or None)

    items = [item("faults/a.py"), item("unit/slow.py", slow=True), item("docs/a.py"), item("unit/a.py"), item("x.py")]
    conftest.pytest_collection_modifyitems(items)
    order = [str(i.path.relative_to(conftest.HERE)) for i in items]
    assert order == ["unit/a.py", "docs/a.py", "faults/a.py", "x.py", "unit/slow.py"]

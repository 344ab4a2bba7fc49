"""Ports that servers of tests can be told to listen on, where they cannot choose one themselves."""

from __future__ import annotations

import random
import socket
from pathlib import Path

# Above Ray's workers (10002 to 19999), below the ports that the system gives to whoever connects or asks for any.
_FIRST = 20_000
_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
_given: set[int] = set()


def free_ports(count: int) -> list[int]:
    """Ports of loopback that nobody listens on now, each given once by this process.

    A port that the system itself chose may be taken by any connection as soon as it is let go, so a server that is
    killed and started again could find it taken, and a client that asks it meanwhile could even reach itself.
    """
    after = int(_RANGE.read_text().split()[0]) if _RANGE.exists() else 32_768
    chance, found = random.Random(), []
    for _ in range(10_000):
        if len(found) == count:
            return found
        port = chance.randrange(_FIRST, max(after, _FIRST + 5_000))
        if port not in _given and _is_free(port):
            _given.add(port)
            found.append(port)
    raise AssertionError(f"no {count} free ports between {_FIRST} and {after}")


def _is_free(port: int) -> bool:
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True

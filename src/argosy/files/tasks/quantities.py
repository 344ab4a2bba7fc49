"""Quantities: how task files write sizes, counts, durations, accelerators and ports.

Each reader answers None for what it cannot read; `fields` says so at the line. Sizes are read as SkyPilot reads them:
GB and GiB are both 2^30 bytes, a bare number is GiB.
"""

from __future__ import annotations

import re

_NUMBER = r"(?:\d{1,15}(?:\.\d{1,9})?|\.\d{1,9})"
_AT_LEAST = re.compile(rf"({_NUMBER})\+?")
_TIMES = re.compile(rf"({_NUMBER})x\+?")
_SIZE = re.compile(rf"({_NUMBER}) ?([kmgtp]?)(i?b?)\+?", re.IGNORECASE)
_DURATION = re.compile(rf"(?:{_NUMBER}[smhdw])+")
_PART = re.compile(rf"({_NUMBER})([smhdw])")
_ACCELERATOR = re.compile(rf"([A-Za-z0-9][A-Za-z0-9_.-]{{0,62}})(?::({_NUMBER}))?")
_PORTS = re.compile(r"(\d{1,5})(?:-(\d{1,5}))?")

_GIB = {"k": 2.0**-20, "m": 2.0**-10, "g": 1.0, "t": 2.0**10, "p": 2.0**20}
_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 7 * 86400.0}


def at_least(text: str) -> float | None:
    """`8` and `8+` are 8: more is never refused."""
    match = _AT_LEAST.fullmatch(text.strip())
    return float(match[1]) if match else None


def times(text: str) -> float | None:
    """`4x` is 4: GiB of memory for each core."""
    match = _TIMES.fullmatch(text.strip())
    return float(match[1]) if match else None


def size_gib(text: str) -> float | None:
    """`32`, `32+`, `32GB` and `32GiB` are 32; `512MB` is a half; `64 B` is refused, nobody means bytes."""
    match = _SIZE.fullmatch(text.strip())
    if match is None or (match[3] and not match[2]):
        return None
    return float(match[1]) * (_GIB[match[2].lower()] if match[2] else 1.0)


def seconds(text: str) -> float | None:
    """`90`, `90s`, `30m`, `4h`, `1h30m`, `2d`, `1w` in seconds."""
    text = text.strip().lower()
    if _AT_LEAST.fullmatch(text) and not text.endswith("+"):
        return float(text)
    if not _DURATION.fullmatch(text):
        return None
    return sum(float(amount) * _SECONDS[unit] for amount, unit in _PART.findall(text))


def accelerator(text: str) -> tuple[str, float] | None:
    """`H100` is one, `H100:8` eight, `H100:0.5` half a one; whole above one."""
    match = _ACCELERATOR.fullmatch(text.strip())
    if match is None:
        return None
    count = float(match[2]) if match[2] else 1.0
    return (match[1], count) if is_count(count) else None


def is_count(count: float) -> bool:
    """Whether so many accelerators can be asked for on one node: a share below one, or a whole number."""
    return 0 < count <= 100_000 and (count < 1 or count == int(count))


def ports(text: str) -> bool:
    """Whether this is a port or a range of ports."""
    match = _PORTS.fullmatch(text.strip())
    if match is None:
        return False
    first, last = int(match[1]), int(match[2] or match[1])
    return 1 <= first <= last <= 65535

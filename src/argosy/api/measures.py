"""Measures: counters and histograms, and the text that Prometheus reads.

The format is small enough to write (text exposition, version 0.0.4): one HELP and TYPE line for each name, then a line
for each set of labels. Buckets are cumulative and end in +Inf.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

# Bounds of requests; what has bounds of its own passes them to `histogram`.
BUCKETS_SECONDS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
Labels = tuple[tuple[str, str], ...]
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


@dataclass(slots=True)
class Histogram:
    """Durations in seconds."""

    counts: list[int] = field(default_factory=lambda: [0] * (len(BUCKETS_SECONDS) + 1))
    total_seconds: float = 0.0

    def add(self, seconds: float) -> None:
        """Count one duration."""
        self.counts[bisect_left(BUCKETS_SECONDS, seconds)] += 1
        self.total_seconds += seconds


class Measures:
    """Counters and histograms of one process; safe to use from several threads."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.counters: dict[str, dict[Labels, float]] = {}
        self.histograms: dict[str, dict[Labels, Histogram]] = {}

    def count(self, name: str, amount: float = 1.0, /, **labels: str) -> None:
        """Add to a counter."""
        key = tuple(sorted(labels.items()))
        with self.lock:
            row = self.counters.setdefault(name, {})
            row[key] = row.get(key, 0) + amount

    def took(self, name: str, seconds: float, /, **labels: str) -> None:
        """Add a duration to a histogram."""
        key = tuple(sorted(labels.items()))
        with self.lock:
            self.histograms.setdefault(name, {}).setdefault(key, Histogram()).add(seconds)

    def lines(self, about: Mapping[str, str]) -> list[str]:
        """All of them as text; `about` has a sentence for each name."""
        with self.lock:
            counters = {name: dict(rows) for name, rows in self.counters.items()}
            histograms = {
                name: {key: (list(h.counts), h.total_seconds) for key, h in rows.items()}
                for name, rows in self.histograms.items()
            }
        found: list[str] = []
        for name, rows in sorted(counters.items()):
            found += family(name, "counter", about.get(name, name), sorted(rows.items()))
        for name, made in sorted(histograms.items()):
            found += [f"# HELP {name} {_help(about.get(name, name))}", f"# TYPE {name} histogram"]
            for key, (counts, total) in sorted(made.items()):
                found += histogram(name, key, BUCKETS_SECONDS, counts, total)
        return found


def family(name: str, kind: Literal["counter", "gauge"], about: str, rows: Iterable[tuple[Labels, float]]) -> list[str]:
    """One name with all its sets of labels."""
    lines = [f"# HELP {name} {_help(about)}", f"# TYPE {name} {kind}"]
    return lines + [f"{name}{_labels(key)} {_number(value)}" for key, value in rows]


def text(lines: Sequence[str]) -> str:
    """The page."""
    return "\n".join(lines) + "\n"


def histogram(
    name: str, key: Labels, bounds: Sequence[float], counts: Sequence[int], total_seconds: float
) -> list[str]:
    """The lines of one set of labels of a histogram; the last count is of what lies above all bounds."""
    lines, sum_so_far = [], 0
    for bound, count in zip([*map(_number, bounds), "+Inf"], counts, strict=True):
        sum_so_far += count
        lines.append(f"{name}_bucket{_labels((*key, ('le', bound)))} {sum_so_far}")
    return [*lines, f"{name}_sum{_labels(key)} {_number(total_seconds)}", f"{name}_count{_labels(key)} {sum_so_far}"]


def _labels(labels: Labels) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{_value(value)}"' for name, value in labels) + "}"


def _value(word: str) -> str:
    return word.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _help(sentence: str) -> str:
    return sentence.replace("\\", "\\\\").replace("\n", "\\n")


def _number(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else repr(float(value))

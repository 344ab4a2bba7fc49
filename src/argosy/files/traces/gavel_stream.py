"""Gavel's continuous and static streams, drawn anew: the very jobs that its published simulations ran, by their seed.

`gavel_stream:FOLDER,per_hour=5.6,asks=5000,seed=0,gangs=no`; FOLDER holds the measured speeds. The method and the order
of the draws are those of the simulator (github.com/stanford-futuredata/gavel), told here in our words:

- kinds, sizes and lengths come from Python's generator seeded with seed + 2, gaps from one seeded with seed + 3;
- for each job a uniform number for the size (1 below 0.7, 2 below 0.8, 4 below 0.95, else 8; drawn and not used without
  gangs), one for short or long (four of five are short), one for the exponent u of 10^u minutes (1.5 to 3, or 3 to 4),
  and then kinds until one fits: a gang needs a kind that can be distributed;
- the length is that on a V100 with as many devices; the first job arrives at 0, gaps are exponential; `per_hour=0`
  puts all at 0.

`KINDS` stands in the order of the time of the published figures, when A3C stood between two families. That the draws
are theirs is tested against their stored traces and against published averages of almost empty fleets.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Final, Literal

import polars as pl

from argosy.clock import python_rng
from argosy.errors import BadInput, Problem
from argosy.files.traces._gavel_speeds import SPEEDS, alone, shared
from argosy.files.traces._source import Source
from argosy.model.fleet import WHOLE_MILLI, TraceAsk, frame

REFERENCE: Final = "v100"
MOST_ASKS: Final = 1_000_000
_FAMILIES: Final = (
    ("ResNet-18", (16, 32, 64, 128, 256)),
    ("ResNet-50", (16, 32, 64, 128)),
    ("Transformer", (16, 32, 64, 128, 256)),
    ("A3C", ()),
    ("LM", (5, 10, 20, 40, 80)),
    ("Recommendation", (512, 1024, 2048, 4096, 8192)),
    ("CycleGAN", ()),
)
_ALONE_ONLY: Final = ("A3C", "Recommendation", "CycleGAN")
KINDS: Final = tuple(
    name for family, sizes in _FAMILIES for name in ([f"{family} (batch size {n})" for n in sizes] or [family])
)
DISTRIBUTED: Final = tuple(not name.startswith(_ALONE_ONLY) for name in KINDS)
_UNLESS_SAID: Final = {"per_hour": "5.6", "asks": "1000", "seed": "0", "gangs": "no"}
_MEANING: Final = {
    "per_hour": "arrivals per hour, 0 for all at once",
    "asks": f"a whole number from 1 to {MOST_ASKS:,}",
    "seed": "a whole number from 0",
    "gangs": "yes or no",
}


class Trace(Source):
    """A drawn stream."""

    kind: Literal["gavel_stream"] = "gavel_stream"

    def asks(self) -> pl.DataFrame:
        """One row per job, in order of arrival."""
        told = self._told()
        speed = {
            (row["work"], row["accelerators"]): row["steps_per_second"]
            for row in self.throughputs().iter_rows(named=True)
            if row["silicon"] == REFERENCE
        }
        rows = drawn(
            int(told["seed"]), int(told["asks"]), per_hour=float(told["per_hour"]), gangs=told["gangs"] == "yes"
        )
        missing = sorted({f"{kind} on {size}" for _, kind, size, _ in rows if speed.get((kind, size), 0.0) <= 0})
        if missing:
            message = f"no speed on {REFERENCE} of {', '.join(missing[:5])}"
            raise BadInput([Problem(str(self._folder() / SPEEDS), 0, 0, "trace.value", "job_type", message)])
        count = len(rows)
        return frame(
            TraceAsk,
            {
                "id": [f"job-{i}" for i in range(count)],
                "arrival_seconds": [at for at, *_ in rows],
                "work": [kind for _, kind, _, _ in rows],
                "steps": [seconds * speed[kind, size] for _, kind, size, seconds in rows],
                "accelerators": [size for _, _, size, _ in rows],
                "share_milli": [WHOLE_MILLI] * count,
                "silicon": [""] * count,
                "members": [1] * count,
            },
        )

    def throughputs(self) -> pl.DataFrame:
        """Speeds alone, from the folder."""
        return alone(self._folder())

    def shared_throughputs(self) -> pl.DataFrame:
        """Speeds of two jobs on the same devices, from the folder."""
        return shared(self._folder())

    def _folder(self) -> Path:
        return Path(self.path.split(",")[0])

    def _told(self) -> dict[str, str]:
        """What to draw. BadInput with everything that is wrong with it."""
        told: dict[str, str] = {}
        problems = []
        for part in self.path.split(",")[1:]:
            name, _, value = (word.strip() for word in part.partition("="))
            if name not in _UNLESS_SAID:
                problems.append((part, f"write any of {', '.join(f'{n}={v}' for n, v in _UNLESS_SAID.items())}"))
            elif name in told:
                problems.append((part, f"{name} stands there twice"))
            elif not _good(name, value):
                problems.append((f"{name}={value}", _MEANING[name]))
            told[name] = value
        if problems:
            raise BadInput([Problem(self.path, 0, 0, "trace.value", part, words) for part, words in problems])
        return _UNLESS_SAID | told


def _good(name: str, value: str) -> bool:
    if name == "gangs":
        return value in {"yes", "no"}
    if name == "per_hour":
        try:
            return 0 <= float(value) < math.inf
        except ValueError:
            return False
    return value.isdecimal() and (name == "seed" or 1 <= int(value) <= MOST_ASKS)


def drawn(seed: int, count: int, *, per_hour: float, gangs: bool) -> list[tuple[float, str, int, float]]:
    """`count` rows of arrival in seconds, kind, size, and length in seconds on the reference chip."""
    jobs, gaps = python_rng(seed + 2), python_rng(seed + 3)
    rows = []
    at = 0.0
    for _ in range(count):
        part = jobs.uniform(0, 1)
        size = (1 if part < 0.7 else 2 if part <= 0.8 else 4 if part < 0.95 else 8) if gangs else 1
        exponent = jobs.uniform(3, 4) if jobs.random() >= 0.8 else jobs.uniform(1.5, 3)
        kind = jobs.randrange(len(KINDS))
        while size > 1 and not DISTRIBUTED[kind]:
            kind = jobs.randrange(len(KINDS))
        rows.append((at, KINDS[kind], size, 60 * 10**exponent))
        if per_hour > 0:
            at += -math.log(1.0 - gaps.random()) * 3600 / per_hour
    return rows

"""Checkpoints: which one a run may go on from.

A checkpoint is a folder below the job's prefix. It is complete once it holds a file `COMPLETE`, which the work writes
last; one without it was cut off and is never used. Prefixes that are no local path are listed by the work itself, which
is told the prefix.
"""

from __future__ import annotations

import re
from pathlib import Path

from argosy.errors import OutsideError

MARK = "COMPLETE"
_NUMBER = re.compile(r"(\d+)")


def latest_checkpoint(prefix: str, job: str) -> str | None:
    """The newest complete checkpoint of a job below `prefix`/`job`; None when there is none, or the prefix is a URL.

    Folders are compared by the numbers in their names, `step-900` before `step-1000`. OutsideError when the folder
    cannot be read: that there is no checkpoint must not be concluded from a disk that does not answer.
    """
    if "://" in prefix:
        return None
    root = Path(prefix) / job
    try:
        if not root.is_dir():
            return None
        complete = [path.parent for path in root.glob(f"**/{MARK}") if path.is_file()]
    except OSError as error:
        raise OutsideError(f"checkpoints below {root} cannot be read: {error.strerror}") from error
    newest = max(complete, key=lambda path: _order(str(path.relative_to(root))), default=None)
    return None if newest is None else str(newest)


def _order(name: str) -> tuple[tuple[int, str], ...]:
    return tuple((int(part), "") if part.isdigit() else (-1, part) for part in _NUMBER.split(name))

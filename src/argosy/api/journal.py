"""Journal: structured logs, one JSON object for each line, without secrets.

Only the standard library's logging is used; `up` installs the handler. Whatever looks like a key of ours, and every
extra whose name says that it is secret, is replaced before it is written.
"""

from __future__ import annotations

import json
import logging
import re
from datetime import UTC, datetime
from io import TextIOWrapper
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any

HIDDEN = "***"
MOST_BYTES = 2**26
KEPT_FILES = 3
"""Files beside the newest; one process at a time writes them."""
_SECRET_NAME = re.compile(r"secret|token|password|passwd|authorization|credential|api_?key", re.IGNORECASE)
_SECRET_TEXT = re.compile(r"argosy_[0-9a-f]{16,}|(?i:bearer)\s+\S+")
_OWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class JsonLines(logging.Formatter):
    """Records as JSON lines: at, level, logger, message, then what was given as `extra`."""

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        line: dict[str, Any] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": redacted(record.getMessage()),
        }
        for name, value in vars(record).items():
            if name not in _OWN:
                line[name] = HIDDEN if _SECRET_NAME.search(name) else redacted(value)
        if record.exc_info:
            line["exception"] = redacted(self.formatException(record.exc_info))
        return json.dumps(line, default=str)


def redacted(value: Any) -> Any:
    """The value without keys and without fields whose names say that they are secret."""
    if isinstance(value, str):
        return _SECRET_TEXT.sub(HIDDEN, value)
    if isinstance(value, dict):
        return {k: HIDDEN if _SECRET_NAME.search(str(k)) else redacted(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [redacted(item) for item in value]
    return value


class _Rotating(RotatingFileHandler):
    """Each new file is the owner's alone, as the first."""

    def _open(self) -> TextIOWrapper:
        Path(self.baseFilename).touch(mode=0o600)
        return super()._open()


def write_to(path: Path, level: int = logging.INFO) -> logging.Handler:
    """Write everything that Argosy logs to a file that only its owner may read."""
    path.touch(mode=0o600)
    handler = _Rotating(path, maxBytes=MOST_BYTES, backupCount=KEPT_FILES, encoding="utf-8")
    handler.setFormatter(JsonLines())
    logger = logging.getLogger("argosy")
    logger.setLevel(level)
    logger.addHandler(handler)
    logger.propagate = False
    return handler


def end(handler: logging.Handler) -> None:
    """Write no more to it."""
    logging.getLogger("argosy").removeHandler(handler)
    handler.close()

"""Environment: variables and secrets of a task, and `${NAME}` in the fields that may use them.

As in SkyPilot: `--env` and `--secret` go before the file, null must be given, and `$NAME` or `${NAME}` of a variable
(never of a secret) is filled in where paths and services are written. Scripts are left alone: their shell does it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from argosy.errors import Problem
from argosy.files.tasks.fields import Field, Findings

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,254}")
RESERVED = "ARGOSY_"
MAX_VALUE = 100_000
_USE = re.compile(r"\$(?:\{([A-Za-z_][A-Za-z0-9_]*)\}|([A-Za-z_][A-Za-z0-9_]*))")


def read(block: Field | None, given: Mapping[str, str], option: str, findings: Findings) -> dict[str, str]:
    """Names and values of `envs` or `secrets`, the given ones first; `option` is how a value is given."""
    found = {}
    for name, value in (block.entries() if block is not None else {}).items():
        if not _is_name(name):
            value.refuse(f"{name!r} {_wrong(name)}", "field.key")
        elif name in given:
            continue
        elif value.value is None:
            value.refuse(f"has no value here; give it with {option} {name}=...", "env.missing")
        elif value.branch.text is None:
            value.refuse("is a list or mapping; put the text in quotes", "field.type")
        elif len(value.word) > MAX_VALUE:
            value.refuse(f"this text has {len(value.word):,} characters; at most {MAX_VALUE:,} fit", "field.length")
        else:
            found[name] = value.word
    for name, text in given.items():
        reason = "" if _is_name(name) else f"{name!r} {_wrong(name)}"
        if not reason and ("\0" in text or len(text) > MAX_VALUE):
            reason = f"the value of {name} has a zero byte, or more than {MAX_VALUE:,} characters"
        if reason:
            findings.problems.append(Problem(option, 0, 0, "option.env", name, reason))
        found[name] = text
    return found


def substituted(value: Any, envs: Mapping[str, str]) -> Any:
    """The value with variables filled in, keys too; names that are no variable stay as written."""
    if isinstance(value, str):
        return _USE.sub(lambda match: envs.get(match[1] or match[2], match[0]), value)
    if isinstance(value, Mapping):
        return {substituted(key, envs): substituted(item, envs) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        return [substituted(item, envs) for item in value]
    return value


def _is_name(name: str) -> bool:
    return bool(NAME.fullmatch(name)) and not name.startswith(RESERVED)


def _wrong(name: str) -> str:
    if name.startswith(RESERVED):
        return f"begins with {RESERVED}, which Argosy sets itself"
    return "cannot be the name of a variable; letters, digits and _, no digit first"

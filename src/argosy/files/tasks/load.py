"""Load: a SkyPilot task file becomes a Task, its secrets apart, and a list of what is not honoured.

`cli` and `api` call `load_task`. Every field is read or reported, never dropped in silence; every problem is told at
once at its line. Nothing here knows which pools exist: a task that nothing can run is refused by `place`, with reasons.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

from pydantic import SecretStr, ValidationError

from argosy.errors import BadInput, OutsideError, Problem
from argosy.files.tasks import environment, paths, resources
from argosy.files.tasks.fields import MAX_TEXT, Field, Findings
from argosy.files.tasks.schema import CHECKPOINT, EVENTS, PLACEMENT, RETRY, TASK, UNREACHABLE
from argosy.files.yaml_tree import decode, dotted, read
from argosy.model.load import Residency
from argosy.model.task import Checkpoint, OnUnreachable, PlacementRules, Recovery, Task, folder_of, unfit

MAX_BYTES = 2**20
MAX_NODES = 20_000
MAX_RESTARTS = 1_000_000

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_DATASET = re.compile(r"[a-z0-9][a-z0-9._/-]{0,99}")


@dataclass(frozen=True, slots=True)
class TaskFile:
    """One task file, read."""

    task: Task
    secrets: Mapping[str, SecretStr]
    """Values of `task.secrets`, by name."""
    notes: tuple[Problem, ...]
    """Fields that are understood and not honoured, by place, each with what it would take."""


def load_task(
    source: Path | bytes,
    *,
    envs: Mapping[str, str] | None = None,
    secrets: Mapping[str, str] | None = None,
    file: str = "task.yaml",
    folder: Path | None = None,
    inside: Path | None = None,
    home: Path | None = None,
) -> TaskFile:
    """The task written in a file or in bytes; `envs` and `secrets` go before those of the file.

    Relative paths begin at `folder`, by default the file's own; with `inside` none may leave that folder. `file` names
    bytes in messages. Raises BadInput with all problems, OutsideError when the disk refuses.
    """
    if isinstance(source, Path):
        file, folder = str(source), folder or source.resolve().parent
        data = _bytes(source)
    else:
        data = source
        if len(data) > MAX_BYTES:
            raise BadInput([Problem(file, 0, 0, "file.too_large", "", _too_large(len(data)))])
    top = _top(file, data)
    findings, root = top.findings, paths.Root(folder or Path.cwd(), inside, home)
    task, values = _task(top, root, envs or {}, secrets or {}, Path(file).stem)
    if findings.problems or task is None:
        raise BadInput(_once(findings.problems))
    return TaskFile(task, values, tuple(sorted(findings.notes)))


def _once(problems: list[Problem]) -> list[Problem]:
    """Without what is told of values that YAML has already refused."""
    refused = {(p.line, p.column) for p in problems if p.code.startswith("yaml.")}
    return [p for p in problems if p.code.startswith("yaml.") or (p.line, p.column) not in refused]


def _bytes(path: Path) -> bytes:
    if not path.is_file():
        message = "this is a folder or a pipe; a task is in a file" if path.exists() else "there is no such file"
        raise BadInput([Problem(str(path), 0, 0, "file.missing", "", message)])
    try:
        with path.open("rb") as opened:
            data = opened.read(MAX_BYTES + 1)
    except OSError as error:
        raise OutsideError(f"cannot read {path}: {error.strerror or error}") from error
    if len(data) > MAX_BYTES:
        raise BadInput([Problem(str(path), 0, 0, "file.too_large", "", _too_large(path.stat().st_size))])
    return data


def _too_large(size: int) -> str:
    return f"{size:,} bytes; a task file has at most {MAX_BYTES:,}. Put data into file_mounts"


def _top(file: str, data: bytes) -> Field:
    """The top of the file as a field, with what YAML has already refused among its findings."""
    text = decode(file, data)
    if isinstance(text, Problem):
        raise BadInput([text])
    tree = read(file, text, max_nodes=MAX_NODES)
    if not tree.whole:
        raise BadInput(tree.problems)
    if tree.top is None or tree.top.value is None:
        raise BadInput([Problem(file, 0, 0, "file.empty", "", "the file is empty; a task has at least `run:`")])
    if not isinstance(tree.top.value, dict):
        raise BadInput([tree.top.problem("yaml.top_level", "", "a task starts with fields such as `run:`")])
    return Field(tree.top, (), Findings(problems=list(tree.problems)))


def _task(
    top: Field, root: paths.Root, envs: Mapping[str, str], secrets: Mapping[str, str], stem: str
) -> tuple[Task | None, dict[str, SecretStr]]:
    findings, fields = top.findings, top.fields(TASK)
    values = environment.read(fields.get("envs"), envs, "--env", findings)
    hidden = environment.read(fields.get("secrets"), secrets, "--secret", findings)
    for name in sorted(values.keys() & hidden.keys()):
        top.refuse(f"{name} is both a variable and a secret; keep one", "env.twice")
    made: dict[str, Any] = {"envs": values, "secrets": tuple(sorted(hidden))}
    made["name"] = _name(fields.get("name"), stem)
    if "num_nodes" in fields:
        made["nodes"] = fields["num_nodes"].whole(1, 100_000)
    if "workdir" in fields:
        made["workdir"] = paths.workdir(fields["workdir"], root, values)
    if "file_mounts" in fields:
        made["file_mounts"] = paths.file_mounts(fields["file_mounts"], root, values)
    for key in ("setup", "run"):
        if key in fields:
            made[key] = fields[key].text(MAX_TEXT)
    if "service" in fields:
        made["service"] = _service(fields["service"], values)
    if "max_duration" in fields:
        made["max_duration_seconds"] = _duration(fields["max_duration"])
    made |= _resources(fields, made.get("nodes") or 1)
    if "retry" in fields:
        made["recovery"] = made.get("recovery", {}) | _retry(fields["retry"], made.get("recovery", {}))
    if "placement" in fields:
        rules = _placement(fields["placement"], root)
        made |= (
            {"spot_goodput_fraction": rules.pop("spot_goodput_fraction")} if "spot_goodput_fraction" in rules else {}
        )
    else:
        rules = {}
    if "run" not in fields and "setup" not in fields:
        top.refuse("there is nothing to run; write `run:`", "field.missing")
    if findings.problems:
        return None, {}
    made["recovery"] = Recovery(**made.get("recovery", {}))
    made["placement"] = PlacementRules(**rules)
    try:
        task = Task(**made)
    except ValidationError as error:
        for detail in error.errors(include_url=False):
            findings.problems.append(top.branch.problem("field.value", dotted(detail["loc"]), detail["msg"]))
        return None, {}
    if why := unfit(task):
        top.refuse(why)
        return None, {}
    return task, {name: SecretStr(value) for name, value in hidden.items()}


def _service(field: Field, envs: Mapping[str, str]) -> dict[str, Any] | None:
    """The service block as written, with variables filled in."""
    if not isinstance(field.value, dict):
        return None
    return cast(dict[str, Any], environment.substituted(field.value, envs))


def _name(field: Field | None, stem: str) -> str | None:
    """The name that is written, or one made from the file's name."""
    if field is not None:
        return field.matches(_NAME, "a name: letters, digits and . _ -, at most 63, a letter or digit first")
    return re.sub(r"[^A-Za-z0-9._-]", "-", stem).lstrip("._-")[:63] or "task"


def _duration(field: Field) -> float | None:
    if field.value is False or field.word.lower() == "off":
        return None
    return field.seconds()


def _resources(fields: Mapping[str, Field], nodes: int) -> dict[str, Any]:
    """Choices, what stands beside them, and the most that an hour may cost."""
    made: dict[str, Any] = {}
    limit = fields["max_price"].number(1e9) if "max_price" in fields else None
    if "resources" in fields:
        wanted = resources.read(fields["resources"])
        made = {"choices": tuple(wanted.choices), "ordered": wanted.ordered, **wanted.shared}
        if wanted.max_usd_per_node_hour is not None:
            limit = min(wanted.max_usd_per_node_hour * nodes, limit or float("inf"))
    return made if limit is None else made | {"max_usd_per_hour": limit}


def _retry(field: Field, recovery: Mapping[str, Any]) -> dict[str, Any]:
    """dstack's retry; `error` without a count restarts until `duration` is over."""
    if isinstance(field.value, bool):
        events, made = (EVENTS if field.value else ()), dict[str, Any]()
    else:
        fields = field.fields(RETRY)
        listed = fields["on_events"].items() if "on_events" in fields else ()
        events = tuple(word for item in listed if (word := item.one_of(EVENTS))) if "on_events" in fields else EVENTS
        made = {"max_wait_seconds": fields["duration"].seconds()} if "duration" in fields else {}
    if "error" in events and "max_restarts_on_errors" not in recovery:
        made["max_restarts_on_errors"] = MAX_RESTARTS
    return made | {"on_events": tuple(dict.fromkeys(events))}


def _placement(field: Field, root: paths.Root) -> dict[str, Any]:
    """The fields of PlacementRules, and the goodput on spot."""
    fields, made = field.fields(PLACEMENT), dict[str, Any]()
    if "residency" in fields:
        rules = fields["residency"].fields(PLACEMENT["properties"]["residency"])
        made["residency"] = Residency(**{key: _words(item) for key, item in rules.items()})
    if "data" in fields:
        ids = (item.matches(_DATASET, "the id of a dataset") for item in fields["data"].items())
        made["data"] = tuple(text for text in ids if text is not None)
    if "checkpoint" in fields:
        made["checkpoint"] = _checkpoint(fields["checkpoint"], root)
    if "deadline" in fields:
        made["deadline"] = _instant(fields["deadline"])
    if "work_hours" in fields:
        made["work_hours"] = fields["work_hours"].number(1e6)
    if "value" in fields:
        made["value_usd_per_hour"] = fields["value"].number(1e9, zero=True)
    for key in ("idempotent", "keep_healthy_nodes"):
        if key in fields:
            made[key] = fields[key].flag()
    if "on_unreachable" in fields:
        made["on_unreachable"] = cast(OnUnreachable, fields["on_unreachable"].one_of(UNREACHABLE))
        if made["on_unreachable"] == "replace-now" and not made.get("idempotent", False):
            fields["on_unreachable"].refuse("two copies may run at once then: write `idempotent: true` beside it")
    if "unreachable_grace" in fields:
        made["unreachable_grace_seconds"] = fields["unreachable_grace"].seconds()
    if "spot_goodput_fraction" in fields:
        made["spot_goodput_fraction"] = fields["spot_goodput_fraction"].number(1.0, zero=True)
    return made


def _words(field: Field) -> tuple[str, ...]:
    return tuple(text for item in field.items() if (text := item.text(100)) is not None)


def _checkpoint(field: Field, root: paths.Root) -> Checkpoint | None:
    if not isinstance(field.value, dict):
        text = paths.prefix(field, root)
        _said(field, text)
        return None if text is None else Checkpoint(prefix=text)
    fields = field.fields(CHECKPOINT)
    if "prefix" not in fields:
        field.refuse("a checkpoint needs its prefix: the path or URL where it is written", "field.missing")
        return None
    prefix = paths.prefix(fields["prefix"], root)
    _said(fields["prefix"], prefix)
    gib = fields["size"].size_gib(1e9) if "size" in fields else 0.0
    every = fields["every"].seconds() if "every" in fields else None
    if prefix is None or gib is None:
        return None
    return Checkpoint(prefix=prefix, gib=gib, every_seconds=every)


def _said(field: Field, prefix: str | None) -> None:
    """Say what is not done for a prefix that the server cannot see."""
    if prefix is not None and folder_of(prefix) is None:
        field.note("the server does not look into object stores: the work finds its newest checkpoint by itself")


def _instant(field: Field) -> datetime | None:
    text = field.text(40)
    if text is None:
        return None
    try:
        at = datetime.fromisoformat(text)
        if at.tzinfo is not None:
            return at.astimezone(UTC)
    except (ValueError, OverflowError):
        at = None
    field.refuse(f"{text!r} is not an instant with its zone, such as 2026-12-01T18:00:00Z", "field.date")
    return None

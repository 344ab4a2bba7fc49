"""Submit: the body of a request becomes jobs to keep, or every problem of it at once. Nothing is kept in between."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from argosy.api.access import Caller
from argosy.api.problem import Place, of_validation
from argosy.api.services import Services
from argosy.api.views import Submission
from argosy.errors import BadInput, Impossible, Problem
from argosy.files.tasks import TaskFile, load_task
from argosy.model.task import Task, unfit
from argosy.store import NewJob

MOST_AT_ONCE = 1000
MAX_KEY = 200
_ONE: TypeAdapter[Submission] = TypeAdapter(Submission)
_LIST: TypeAdapter[tuple[Submission, ...]] = TypeAdapter(tuple[Submission, ...])


def parsed(body: bytes) -> tuple[Submission, ...]:
    """The submissions of a body: one, or a list. BadInput with every problem."""
    try:
        found = _LIST.validate_json(body) if body.lstrip()[:1] == b"[" else (_ONE.validate_json(body),)
    except ValidationError as error:
        raise of_validation(error, "body") from None
    if not found or len(found) > MOST_AT_ONCE:
        message = f"{len(found)} jobs; from 1 to {MOST_AT_ONCE} are taken at once"
        raise BadInput([Problem("body", 0, 0, "field.length", "", message)])
    return found


def new_jobs(
    submissions: Sequence[Submission], who: Caller, project: str, services: Services
) -> tuple[list[NewJob], list[Place]]:
    """Jobs to keep and what is not honoured in them. BadInput with the problems of all, Impossible for the first."""
    made: list[NewJob] = []
    notes: list[Place] = []
    problems: list[Problem] = []
    for i, submission in enumerate(submissions):
        name = submission.file_name or ("task.yaml" if len(submissions) == 1 else f"task-{i}.yaml")
        try:
            file = _read(submission, name, *_folders(submission, name, who, project, services))
        except BadInput as error:
            problems += error.problems
            continue
        made.append(NewJob(file.task, file.secrets))
        notes += [
            Place(file=n.file, line=n.line, column=n.column, code=n.code, field=n.field, message=n.message)
            for n in file.notes
        ]
    if problems:
        raise BadInput(problems)
    for task in {id(job.task): job.task for job in made}.values():
        why = None if services.live is None else services.live.impossible(task)
        if why is not None:
            raise Impossible(f"{task.name}: {why}")
    return made, notes


def _folders(
    submission: Submission, name: str, who: Caller, project: str, services: Services
) -> tuple[Path, Path | None]:
    """Where relative paths begin, and what they may not leave. Only admins stand outside their project's folder."""
    if who.everywhere and submission.folder is not None:
        return Path(submission.folder), None
    # One folder for each project, none within another's: a slash in a name makes no path.
    base = (services.projects or Path("/nonexistent")) / project.replace("/", "%2F")
    folder = base / (submission.folder or ".")
    try:
        inside = folder.resolve().is_relative_to(base.resolve())
    except (OSError, ValueError):
        inside = False
    if not inside:
        raise BadInput([Problem(name, 0, 0, "path.refused", "folder", "leaves the folder of the project")])
    return folder, base


def _read(submission: Submission, name: str, folder: Path, inside: Path | None) -> TaskFile:
    given = {key: value.get_secret_value() for key, value in submission.secrets.items()}
    if (submission.file is None) == (submission.task is None):
        raise BadInput([Problem("body", 0, 0, "field.missing", "file", "give either `file` or `task`")])
    if submission.file is not None:
        read = load_task(
            submission.file.encode(), envs=submission.envs, secrets=given, file=name, folder=folder, inside=inside
        )
        if submission.name is None:
            return read
        return TaskFile(_named(read.task, submission.name), read.secrets, read.notes)
    assert submission.task is not None
    task = _named(submission.task, submission.name or submission.task.name)
    if submission.envs or set(task.secrets) != set(given):
        message = "a task has its own envs, and needs a value for each name in `secrets` and no others"
        raise BadInput([Problem("body", 0, 0, "field.value", "task", message)])
    why = unfit(task) or ("a secret has a zero byte" if any("\0" in value for value in given.values()) else None)
    if why:
        raise BadInput([Problem("body", 0, 0, "field.value", "task", why)])
    _confined(task, name, folder, inside)
    return TaskFile(task, submission.secrets, ())


def _named(task: Task, name: str) -> Task:
    return task.model_copy(update={"name": name})


def _confined(task: Task, name: str, folder: Path, inside: Path | None) -> None:
    """A task as a record has absolute paths; they may not lie elsewhere than those of a file."""
    if inside is None:
        return
    local = [task.workdir] if task.workdir else []
    for source in task.file_mounts.values():
        found = source if isinstance(source, str) else source.get("source")
        local += [item for item in (found if isinstance(found, (list, tuple)) else [found]) if isinstance(item, str)]
    root = inside.resolve()
    for path in local:
        if "://" in path:
            continue
        try:
            fits = "\0" not in path and (folder / path).resolve().is_relative_to(root)
        except (OSError, ValueError):
            fits = False
        if not fits:
            raise BadInput([Problem(name, 0, 0, "path.refused", "task", "a path leaves the folder of the project")])


def request_hash(body: bytes, project: str) -> str:
    """What an idempotency key stands for: the project and every byte of the body, secrets included."""
    return hashlib.sha256(project.encode() + b"\0" + body).hexdigest()

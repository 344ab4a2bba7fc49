"""What of an order an engine can do: everything else is refused by name, never left out in silence."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from argosy.errors import StartRefused
from argosy.run.driver import Order

_URL = re.compile(r"^[a-zA-Z][a-zA-Z0-9+.-]*://")


def never(reason: str, message: str) -> StartRefused:
    """A refusal that another attempt here would not change."""
    return StartRefused(reason, message, retryable=False)


def no_capacity(message: str) -> StartRefused:
    """A refusal that may be different later."""
    return StartRefused("NoCapacity", message, retryable=True)


def check(order: Order, engine: str, *, image: bool, instance_type: bool, spot: bool, mounts: bool) -> None:
    """Raise StartRefused for what the engine cannot do.

    `image`, `instance_type`, `spot` and `mounts` say whether it can; without `mounts` there must be no file mounts,
    with them their sources must be paths that the node sees.
    """
    task, choice = order.task, order.choice
    if choice.image is not None and not image:
        raise never("ImageUnsupported", f"image {choice.image}: {engine} starts processes, not images")
    if choice.instance_type is not None and not instance_type:
        raise never("InstanceTypeUnsupported", f"instance_type {choice.instance_type}: {engine} has no machine types")
    if choice.spot and not spot:
        raise never("SpotUnsupported", f"spot capacity: {engine} has none")
    missing = sorted(set(task.secrets) - set(order.secrets))
    if missing:
        raise never("SecretsMissing", f"secrets without a value: {', '.join(missing)}")
    if task.workdir is not None:
        inside("workdir", task.workdir)
        if not PurePosixPath(task.workdir).is_absolute():
            raise never("BadPath", f"workdir {task.workdir} is not an absolute path")
    for target, source in task.file_mounts.items():
        if not isinstance(source, str):
            raise never("MountUnsupported", f"file_mounts {target}: {engine} mounts no object stores, only paths")
        if _URL.match(source):
            raise never("MountUnsupported", f"file_mounts {target}: {engine} does not fetch {source}, give a path")
        if not mounts:
            raise never("MountUnsupported", f"file_mounts {target}: {engine} has no access to files of this machine")
        inside("file_mounts", target)
        inside("file_mounts", source)


def inside(field: str, path: str) -> None:
    """Raise StartRefused for a path that climbs, or that no system call would take."""
    if ".." in PurePosixPath(path).parts or "\0" in path:
        raise never("BadPath", f"{field} {path!r}: a path must not lead upwards")


def seen_here(order: Order, allowed: Iterable[str]) -> None:
    """Raise StartRefused unless workdir and sources of mounts exist on this machine, below the allowed folders if any.

    Links are followed before the comparison.
    """
    task = order.task
    roots = [Path(root).resolve() for root in allowed]
    sources = [("file_mounts", str(source)) for source in task.file_mounts.values()]
    for field, path in [("workdir", task.workdir), *sources] if task.workdir is not None else sources:
        real = Path(str(path)).expanduser().resolve()
        if roots and not any(real.is_relative_to(root) for root in roots):
            raise never("PathNotAllowed", f"{field} {path} is outside the folders that may be used")
        if not (real.is_dir() if field == "workdir" else real.exists()):
            raise never("PathMissing", f"{field} {path} is not there")

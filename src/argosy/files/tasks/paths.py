"""Paths: where `workdir` and the local sources of `file_mounts` lie, and whether they may be read.

Paths are relative to the folder of the file. A caller who is not at home on this machine (the API) passes `inside`:
then what leaves that folder, by `..`, by an absolute path or by a symbolic link, is refused.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from argosy.files.tasks.environment import substituted
from argosy.files.tasks.fields import Field

_URL = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*://.+")
_STORES = ("s3", "gcs", "azure", "r2", "ibm", "oci", "nebius", "coreweave", "volume")
_MODES = ("MOUNT", "COPY", "MOUNT_CACHED")
_STORE_FIELDS: dict[str, Any] = {
    "properties": {key: {} for key in ("name", "source", "store", "persistent", "mode", "mount_options", "type")}
    | {"config": {"type": "object", "x-not-honoured": "settings of a store are kept for the engine and not read here"}}
}


@dataclass(frozen=True, slots=True)
class Root:
    """Where relative paths begin."""

    folder: Path
    inside: Path | None
    """Paths may not leave this folder; None trusts the caller."""
    home: Path | None
    """What ~ stands for; None refuses it."""

    def resolve(self, field: Field, text: str, *, must_exist: bool) -> str | None:
        """The absolute path, with links followed; None after a refusal."""
        if "\0" in text:
            field.refuse("a path has no zero byte", "path.refused")
            return None
        if text == "~" or text.startswith("~/"):
            if self.home is None or self.inside is not None:
                field.refuse("~ means nothing here; write a path relative to the file", "path.refused")
                return None
            text = str(self.home) + text[1:]
        try:
            path = Path(os.path.realpath(self.folder / text))
            if self.inside is not None and not path.is_relative_to(os.path.realpath(self.inside)):
                field.refuse("leaves the folder of the project; only what lies in it can be used", "path.refused")
                return None
            if must_exist and not path.exists():
                field.refuse(f"there is no {text}, looked for relative to the task file", "path.missing")
                return None
        except (OSError, ValueError) as error:
            field.refuse(f"cannot be used as a path: {getattr(error, 'strerror', None) or error}", "path.refused")
            return None
        return str(path)


def workdir(field: Field, root: Root, envs: Mapping[str, str]) -> str | None:
    """The folder that the work starts in."""
    if isinstance(field.value, dict):
        field.note("a repository is not fetched; clone it in `setup`")
        return None
    text = field.text()
    if text is None:
        return None
    path = root.resolve(field, substituted(text, envs), must_exist=True)
    if path is not None and not Path(path).is_dir():
        field.refuse("is a file; workdir is a folder", "path.refused")
        return None
    return path


def prefix(field: Field, root: Root) -> str | None:
    """Where checkpoints are written: a URL or an absolute path as it is, anything else relative to the file."""
    text = field.text()
    if text is None or _URL.match(text) or text.startswith("/"):
        return text
    return root.resolve(field, text, must_exist=False)


def file_mounts(field: Field, root: Root, envs: Mapping[str, str]) -> dict[str, str | dict[str, Any]]:
    """Path on the node to an absolute path, a URL or a store."""
    found: dict[str, str | dict[str, Any]] = {}
    for key, source in field.entries().items():
        target = substituted(key, envs)
        if not target.strip("/ ") or ".." in target.split("/") or "\0" in target:
            source.refuse(f"{target!r} cannot be a path on the node", "path.refused")
        elif target in found:
            source.refuse(f"{target} is mounted twice once variables are filled in", "yaml.duplicate_key")
        elif isinstance(source.value, dict):
            found[target] = _store(source, root, envs)
        elif (text := source.text()) is not None:
            text = substituted(text, envs)
            if _URL.fullmatch(text):
                source.note("fetched by the skypilot driver alone; with other drivers copy it in `setup`")
                found[target] = text
            elif (path := root.resolve(source, text, must_exist=True)) is not None:
                found[target] = path
    return found


def _store(field: Field, root: Root, envs: Mapping[str, str]) -> dict[str, Any]:
    """A store in SkyPilot's words; its local sources are resolved."""
    field.note("a store is mounted by the skypilot driver alone; with other drivers copy it in `setup`")
    given = field.fields(_STORE_FIELDS)
    if "name" not in given and "source" not in given:
        field.refuse("a store needs a name or a source", "field.missing")
    for key, words in (("store", _STORES), ("mode", _MODES)):
        if key in given:
            given[key].one_of(words)
    for key in ("name", "mount_options", "type"):
        if key in given:
            given[key].text()
    if "persistent" in given:
        given["persistent"].flag()
    made: dict[str, Any] = substituted(field.value, envs)
    if "source" in given:
        source = given["source"]
        each = list(source.items()) if isinstance(source.value, tuple) else [source]
        paths = [_source(item, root, envs) for item in each]
        made["source"] = paths if isinstance(source.value, tuple) else paths[0]
    return made


def _source(field: Field, root: Root, envs: Mapping[str, str]) -> str | None:
    text = field.text()
    if text is None:
        return None
    text = substituted(text, envs)
    return text if _URL.fullmatch(text) else root.resolve(field, text, must_exist=True)

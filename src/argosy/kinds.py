"""A folder is a registry: every module in it is one kind, and its file name is the word that users write.

`load` imports a folder of kinds; `Kinds` makes a pydantic field that accepts any of them, told apart by `kind`.
"""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache
from typing import Any

from pydantic import BaseModel, GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

from argosy.errors import KindError


@cache
def load(package: str, attribute: str) -> dict[str, type[BaseModel]]:
    """The kinds in `package` by file name: the class called `attribute` of each module.

    A module that cannot be imported, lacks the class, or whose `kind` is not its file name raises KindError naming it.
    Files that start with an underscore are not kinds.
    """
    found: dict[str, type[BaseModel]] = {}
    for module_info in sorted(pkgutil.iter_modules(importlib.import_module(package).__path__), key=lambda m: m.name):
        name = module_info.name
        if name.startswith("_"):
            continue
        try:
            kind = getattr(importlib.import_module(f"{package}.{name}"), attribute)
        except Exception as error:
            raise KindError(f"{package}/{name}.py is not a kind: {type(error).__name__}: {error}") from error
        default = kind.model_fields["kind"].default
        if default != name:
            raise KindError(f"{package}/{name}.py says kind {default!r}; it must be its file name, {name!r}")
        found[name] = kind
    if not found:
        raise KindError(f"{package} holds no kinds")
    return found


class Kinds:
    """Annotation of a field that takes any kind of a folder: `Annotated[Base, Kinds(package, attribute)]`."""

    def __init__(self, package: str, attribute: str) -> None:
        self.package, self.attribute = package, attribute

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        kinds = load(self.package, self.attribute)
        return core_schema.tagged_union_schema(
            choices={name: handler.generate_schema(kind) for name, kind in kinds.items()}, discriminator="kind"
        )

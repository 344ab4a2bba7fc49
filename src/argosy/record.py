"""Record: the base of every entity. Frozen, strict, nothing extra, no NaN."""

from __future__ import annotations

import ast
import inspect
import textwrap
from functools import cache
from itertools import zip_longest
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, GetJsonSchemaHandler, StringConstraints
from pydantic_core import CoreSchema

# Ids are written in YAML, in file names and in URLs; this alphabet needs quoting in none of them.
ID_PATTERN = r"^[a-z0-9][a-z0-9._/-]{0,99}$"
Id = Annotated[str, StringConstraints(pattern=ID_PATTERN)]
Text = Annotated[str, StringConstraints(min_length=1, max_length=2000)]


class Record(BaseModel):
    """A frozen, strict record that forbids unknown fields and reports every problem at once."""

    model_config = ConfigDict(
        frozen=True,
        strict=True,
        extra="forbid",
        allow_inf_nan=False,
        ser_json_inf_nan="constants",
        validate_default=False,
        defer_build=True,
    )

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """The schema with the docstring of each field as its description.

        They are read from the source when a schema is made and not when a class is: reading them takes a fifth of the
        time that importing all records takes, and few commands need them.
        """
        made = handler(schema)
        properties = handler.resolve_ref_schema(made).get("properties", {})
        texts: dict[str, str] = {}
        for base in reversed(cls.__mro__):
            if issubclass(base, Record):
                texts |= _field_docstrings(base)
        for name, text in texts.items():
            if name in properties and text:
                properties[name]["description"] = text
        return made


@cache
def _field_docstrings(record: type[Record]) -> dict[str, str]:
    """The string that stands below each field of a record's own body; empty where there is none."""
    (body,) = ast.parse(textwrap.dedent(inspect.getsource(record))).body
    assert isinstance(body, ast.ClassDef)
    found = {}
    for field, below in zip_longest(body.body, body.body[1:]):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
            text = below.value.value if isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant) else None
            found[field.target.id] = inspect.cleandoc(text) if isinstance(text, str) else ""
    return found

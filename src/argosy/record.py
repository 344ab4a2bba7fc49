"""Record: the base of every entity. Frozen, strict, nothing extra, no NaN."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, StringConstraints

# Ids are written in YAML, in file names and in URLs; this alphabet needs quoting in none of them.
Id = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._/-]{0,99}$")]
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
        use_attribute_docstrings=True,
        defer_build=True,
    )

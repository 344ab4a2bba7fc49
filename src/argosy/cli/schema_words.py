"""JSON Schema in words, for the generated reference pages."""

from __future__ import annotations

from typing import Any


def type_words(about: dict[str, Any], *, linked: bool = False) -> str:
    """The type of a field; records are links to their heading where `linked`, months are called so there."""
    if "$ref" in about:
        name = str(about["$ref"].rsplit("/", 1)[1])
        return f"[{name}](#{name.lower()})" if linked else name
    for choice in ("anyOf", "oneOf"):
        if choice in about:
            return " or ".join(type_words(part, linked=linked) for part in about[choice])
    if "const" in about:
        return f"`{about['const']}`"
    if "enum" in about:
        return " or ".join(f"`{value}`" for value in about["enum"])
    kind = about.get("type", "any")
    if kind == "array":
        return f"list of {type_words(about['items'], linked=linked)}"
    if kind == "object":
        return f"map to {type_words(about['additionalProperties'], linked=linked)}"
    return "month" if linked and about.get("pattern") else str(kind)

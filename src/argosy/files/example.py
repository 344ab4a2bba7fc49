"""Example: the commented portfolio that `argosy init` writes. It loads with the bundled catalogue as it stands."""

from __future__ import annotations

from importlib.resources import files


def example() -> str:
    """The YAML text of the example, comments included."""
    return (files("argosy.files") / "example.yaml").read_text(encoding="utf-8")

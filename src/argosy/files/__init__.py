"""Files: YAML to Portfolio with every problem at file:line:column, and back.

`load(path, settings, catalogue=...)` reads a file or a folder, `dump(portfolio)` writes the same value as YAML text and
`schema()` is the JSON Schema for editors. Called by `cli`; the records themselves know nothing of YAML.
"""

from argosy.files.dump import dump
from argosy.files.load import load
from argosy.files.schema import schema

__all__ = ["dump", "load", "schema"]

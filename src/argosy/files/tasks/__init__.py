"""Tasks: SkyPilot task YAML to a Task with every problem at file:line:column, and what is not honoured.

`load_task(source, ...)` reads a file or bytes, `schema()` is the JSON Schema for editors. Called by `cli` and `api`.
"""

from argosy.files.tasks.load import TaskFile, load_task
from argosy.files.tasks.schema import schema, schema_text

__all__ = ["TaskFile", "load_task", "schema", "schema_text"]

"""Server file: what `argosy up --config FILE` reads: engines, patience, and the portfolio that placement knows.

drivers:                      # name -> settings of a driver; absent: this machine
  here: {kind: local, folder: /var/lib/argosy/runs, accelerators: {H100: 8}}
rules: {lease_seconds: 10}    # how patient the control loop is
portfolio: examples/startup   # regions, data and ways for it
"""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from argosy.control.world import ControlWorld
from argosy.errors import BadInput, OutsideError, Problem
from argosy.files.load import load
from argosy.files.yaml_tree import Branch, decode, dotted, read
from argosy.market.catalogue import bundled
from argosy.record import Id, Record, Text
from argosy.run.engine import AnySettings
from argosy.run.rules import RunRules
from argosy.settings import Settings

MAX_BYTES = 2**20


class ServerFile(Record):
    """One server's configuration."""

    drivers: dict[Id, AnySettings] = {}
    """Engines by the name that runs remember; none means this machine."""
    rules: RunRules = RunRules()
    """How patient the control loop is."""
    portfolio: Text | None = None
    """Portfolio file or folder with regions, datasets, links and residency."""

    def world(self) -> ControlWorld:
        """What placement knows besides the engines."""
        if self.portfolio is None:
            return ControlWorld()
        catalogue = bundled()
        known = load(Path(self.portfolio), Settings(), catalogue=catalogue).with_catalogue(catalogue)
        return ControlWorld(
            regions={region.id: region for region in known.regions},
            datasets=known.datasets,
            links=known.links,
            residency=known.policy.residency,
        )


def read_server_file(path: Path) -> ServerFile:
    """The configuration in a file. BadInput with every problem at its line."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise OutsideError(f"cannot read {path}: {error.strerror or error}") from error
    text = decode(str(path), data)
    if isinstance(text, Problem):
        raise BadInput([text])
    if len(data) > MAX_BYTES:
        raise BadInput([Problem(str(path), 0, 0, "file.too_large", "", f"more than {MAX_BYTES:,} bytes")])
    tree = read(str(path), text, max_nodes=100_000)
    if tree.problems or tree.top is None or not isinstance(tree.top.value, dict):
        empty = Problem(str(path), 1, 1, "yaml.top_level", "", "the file has `drivers`, `rules` or `portfolio`")
        raise BadInput(tree.problems or [empty])
    try:
        found = ServerFile.model_validate(tree.top.value)
    except ValidationError as error:
        raise BadInput([_placed(tree.top, d["loc"], d["type"], d["msg"]) for d in error.errors()]) from None
    if found.portfolio is None or Path(found.portfolio).is_absolute():
        return found
    return found.model_copy(update={"portfolio": str(path.parent / found.portfolio)})


def _placed(top: Branch, location: tuple[str | int, ...], kind: str, message: str) -> Problem:
    """A refusal at the value it is about, at the key that is unknown, or at the nearest value above."""
    branch, path = top, list[str | int]()
    for step in location:
        if kind == "extra_forbidden" and step == location[-1] and step in branch.keys:
            line, column = branch.keys[str(step)]
            return Problem(
                top.file, line, column, "field.unknown", dotted([*path, step]), "there is no such field here"
            )
        if step in branch.children:
            branch = branch.children[step]
            path.append(step)
    missing = [location[-1]] if kind == "missing" else []
    return branch.problem("field.missing" if missing else "field.value", dotted([*path, *missing]), message)

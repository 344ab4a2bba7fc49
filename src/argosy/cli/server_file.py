"""Server file: what `argosy up --config FILE` reads: engines, patience, and what placement knows besides them.

drivers:   # name -> settings of a driver; absent: this machine. Relative folders lie in the data folder
  here: {kind: local, folder: /var/lib/argosy/runs, accelerators: {H100: 8}}
rules: {lease_seconds: 10}    # how patient the control loop is
retention: {ended_days: 30}   # how long files of runs that ended are kept
portfolio: examples/startup   # regions, datasets, links and residency
plan: plan.json               # output of `argosy plan --json`: internal prices by pool and month
regions: [...]                # more of them, in the words of a portfolio; they go before the portfolio's
datasets: [...]
links: [...]
data:
  replicas: {corpus: [beta/west]}                           # copies that are there beside the home
  folders: {alpha/east: /data/east, beta/west: /data/west}  # where each region keeps its data, a folder a dataset
  command: rclone copy {source} {target}                    # absent: folders of this machine, compared by checksum
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

from annotated_types import Gt
from pydantic import PrivateAttr, ValidationError

from argosy.cli.given import completed
from argosy.control.world import ControlWorld
from argosy.errors import BadInput, OutsideError, Problem
from argosy.files.yaml_tree import Branch, Step, decode, dotted, read
from argosy.model.dataset import Dataset
from argosy.model.link import Link
from argosy.model.load import Residency
from argosy.model.region import Region
from argosy.model.snapshot import Replica
from argosy.place.inputs import PlanRecord
from argosy.record import Id, Record, Text
from argosy.run.copier import CommandCopier, Copier, FolderCopier
from argosy.run.engine import AnySettings
from argosy.run.rules import Retention, RunRules
from argosy.settings import Settings

MAX_BYTES = 2**20
PLACEHOLDERS = ("source", "target", "dataset", "from_region", "to_region")


class Data(Record):
    """Where data lies, and who copies it."""

    replicas: dict[Id, tuple[Id, ...]] = {}
    """Dataset to regions that hold a copy beside its home."""
    folders: dict[Id, Text] = {}
    """Region to the folder (or, for a command, the place in its own words) that holds a folder for each dataset.
    Without any, copies are decided and nobody is told to make them."""
    command: Text | None = None
    """Command that makes a copy, with `{source}`, `{target}`, `{dataset}`, `{from_region}`, `{to_region}`; run without
    a shell, told again after a crash. Absent: folders that this machine sees."""
    timeout_seconds: Annotated[float, Gt(0)] = 86_400.0
    """How long the command may take before the attempt counts as failed."""


class ServerFile(Record):
    """One server's configuration."""

    drivers: dict[Id, AnySettings] = {}
    """Engines by the name that runs remember; none means this machine."""
    rules: RunRules = RunRules()
    """How patient the control loop is."""
    retention: Retention = Retention()
    """How long files of runs that ended are kept."""
    portfolio: Text | None = None
    """Portfolio file or folder with regions, datasets, links and residency."""
    plan: Text | None = None
    """Output of `argosy plan --json`: internal prices by pool and month, as `argosy place --plan` reads them."""
    regions: tuple[Region, ...] = ()
    """Regions that the portfolio does not have, or has otherwise."""
    datasets: tuple[Dataset, ...] = ()
    """Datasets, the same."""
    links: tuple[Link, ...] = ()
    """Ways for data; of two equally exact ones these hold."""
    residency: Residency | None = None
    """Rule for all work; absent: the portfolio's."""
    data: Data = Data()
    """Where data lies, and who copies it."""
    _top: Branch | None = PrivateAttr(None)

    def world(self) -> ControlWorld:
        """What placement knows besides the engines. BadInput at the line of what names nothing that is known."""
        world, name = ControlWorld(), None
        if self.portfolio is not None:
            if not Path(self.portfolio).exists():
                raise BadInput([self.problem(("portfolio",), "path.missing", f"there is no {self.portfolio}")])
            known = completed(Path(self.portfolio), Settings())
            name = known.name
            world = ControlWorld(
                regions={region.id: region for region in known.regions},
                datasets=known.datasets,
                links=known.links,
                residency=known.policy.residency,
            )
        own = {dataset.id for dataset in self.datasets}
        regions = {**world.regions, **{region.id: region for region in self.regions}}
        datasets = (*self.datasets, *(dataset for dataset in world.datasets if dataset.id not in own))
        self._check(regions, datasets)
        record = None if self.plan is None else self._plan(Path(self.plan), name)
        return ControlWorld(
            regions=regions,
            datasets=datasets,
            replicas=tuple(Replica(dataset=name, region=r) for name, all in self.data.replicas.items() for r in all),
            links=(*self.links, *world.links),
            residency=world.residency if self.residency is None else self.residency,
            price_source="contracts" if record is None else "plan",
            plan_prices={} if record is None else record.prices,
            plan_name="" if record is None else record.name,
        )

    def copier(self) -> Copier | None:
        """Who copies data; None when no folders are named."""
        data = self.data
        if not data.folders:
            return None
        if data.command is None:
            return FolderCopier(data.folders)
        return CommandCopier(data.command, data.folders, seconds=data.timeout_seconds)

    def problem(self, path: tuple[Step, ...], code: str, message: str, *, key: bool = False) -> Problem:
        """A problem of a value of the file, or with `key` of the key that it has."""
        if self._top is None:
            return Problem("server file", 0, 0, code, dotted(path), message)
        if key:
            branch = self._top
            for step in path[:-1]:
                branch = branch.children[step]
            return Problem(branch.file, *branch.keys[str(path[-1])], code, dotted(path), message)
        return _placed(self._top, path, code, message)

    def _check(self, regions: dict[str, Region], datasets: tuple[Dataset, ...]) -> None:
        """Every name in `data` and `datasets` is known, no region or dataset stands here twice."""
        wrong = []
        for part, ids in (("regions", [r.id for r in self.regions]), ("datasets", [d.id for d in self.datasets])):
            for i, name in enumerate(ids):
                if name in ids[:i]:
                    wrong.append(self.problem((part, i, "id"), "reference.twice", f"{name!r} stands here twice"))
        known = {dataset.id for dataset in datasets}
        for i, dataset in enumerate(self.datasets):
            if dataset.home not in regions:
                message = f"{dataset.home!r} is no region of the portfolio or of this file"
                wrong.append(self.problem(("datasets", i, "home"), "reference.unknown", message))
        for name, places in self.data.replicas.items():
            if name not in known:
                message = f"{name!r} is no dataset of the portfolio or of this file"
                wrong.append(self.problem(("data", "replicas", name), "reference.unknown", message, key=True))
            for i, region in enumerate(places):
                if region not in regions:
                    message = f"{region!r} is no region of the portfolio or of this file"
                    wrong.append(self.problem(("data", "replicas", name, i), "reference.unknown", message))
        for region, folder in self.data.folders.items():
            if region not in regions:
                message = f"{region!r} is no region of the portfolio or of this file"
                wrong.append(self.problem(("data", "folders", region), "reference.unknown", message, key=True))
            if self.data.command is None and not Path(folder).is_absolute():
                message = f"{folder!r} is no absolute path; other places need a `command`"
                wrong.append(self.problem(("data", "folders", region), "field.value", message))
        if self.data.command is not None:
            try:
                self.data.command.format_map(dict.fromkeys(PLACEHOLDERS, ""))
            except (KeyError, ValueError, IndexError, AttributeError) as error:
                message = f"cannot be filled in ({error}); there are {', '.join(PLACEHOLDERS)}"
                wrong.append(self.problem(("data", "command"), "field.value", message))
        if wrong:
            raise BadInput(wrong)

    def _plan(self, path: Path, portfolio: str | None) -> PlanRecord:
        """The prices of a plan. BadInput where the file, or this file's line about it, is wrong.

        Pools of two portfolios may have one name and not one price, so a plan of another portfolio is refused.
        """
        try:
            document = json.loads(path.read_bytes())
        except OSError as error:
            message = f"cannot read {path}: {error.strerror or error}"
            raise BadInput([self.problem(("plan",), "path.missing", message)]) from error
        except json.JSONDecodeError as error:
            problem = Problem(str(path), error.lineno, error.colno, "plan.format", "", f"not JSON: {error.msg}")
            raise BadInput([problem]) from error
        except ValueError as error:
            raise BadInput([self.problem(("plan",), "plan.format", f"{path} is no text: {error}")]) from error
        try:
            record = PlanRecord(document if isinstance(document, dict) else {}, str(path))
        except BadInput as error:
            raise BadInput([self.problem(("plan",), p.code, f"{path}: {p.message}") for p in error.problems]) from error
        if None not in (portfolio, record.portfolio) and record.portfolio != portfolio:
            message = f"{path} is a plan of {record.portfolio!r}, and `portfolio` names {portfolio!r}; plan that one"
            raise BadInput([self.problem(("plan",), "plan.portfolio", message)])
        return record


def read_server_file(path: Path) -> ServerFile:
    """The configuration in a file. BadInput with every problem at its line."""
    try:
        data = path.read_bytes()
    except (FileNotFoundError, IsADirectoryError):
        raise BadInput([Problem(str(path), 0, 0, "file.missing", "", "there is no such file")]) from None
    except OSError as error:
        raise OutsideError(f"cannot read {path}: {error.strerror or error}") from error
    text = decode(str(path), data)
    if isinstance(text, Problem):
        raise BadInput([text])
    if len(data) > MAX_BYTES:
        raise BadInput([Problem(str(path), 0, 0, "file.too_large", "", f"more than {MAX_BYTES:,} bytes")])
    tree = read(str(path), text, max_nodes=100_000)
    if tree.problems or tree.top is None or not isinstance(tree.top.value, dict):
        words = "the file has `drivers`, `rules`, `retention`, `portfolio`, `plan`, `links` or `data`"
        raise BadInput(tree.problems or [Problem(str(path), 1, 1, "yaml.top_level", "", words)])
    try:
        found = ServerFile.model_validate(tree.top.value)
    except ValidationError as error:
        raise BadInput([_placed(tree.top, d["loc"], d["type"], d["msg"]) for d in error.errors()]) from None
    beside = {
        name: str(path.parent / text)
        for name, text in (("portfolio", found.portfolio), ("plan", found.plan))
        if text is not None and not Path(text).is_absolute()
    }
    found = found.model_copy(update=beside)
    found._top = tree.top
    return found


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
    code = kind if "." in kind else "field.missing" if missing else "field.value"
    return branch.problem(code, dotted([*path, *missing]), message)

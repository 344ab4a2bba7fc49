"""Load: a YAML file or a folder of them becomes a Portfolio, or every problem at once with its place.

`cli` calls `load`. Stages: sizes, text, trees, one merged tree, records, consistency. A stage that finds problems ends
the loading after it has listed all of its own; nothing is ever half-loaded.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import get_origin

from pydantic import ValidationError

from argosy.errors import BadInput, OutsideError, Problem
from argosy.files import explain
from argosy.files.yaml_tree import Branch, decode, dotted, read, shown
from argosy.model.catalogue import Catalogue
from argosy.model.consistency import Fault, faults
from argosy.model.portfolio import Portfolio
from argosy.settings import Settings

SUFFIXES = (".yaml", ".yml")
# Lists of the same name in several files of a folder join; any other key belongs to one file.
JOINED = tuple(name for name, info in Portfolio.model_fields.items() if get_origin(info.annotation) is tuple)


def load(path: Path, settings: Settings, *, catalogue: Catalogue) -> Portfolio:
    """The portfolio written in a file, or in the *.yaml and *.yml files of a folder (not of its subfolders).

    What comes back is what was written; `with_catalogue` fills in the rest. The catalogue is needed here to know which
    vendors, regions and chips exist. Raises BadInput with all problems, OutsideError when the disk refuses.
    """
    try:
        sources = _sources(path, settings)
    except OSError as error:
        raise OutsideError(f"cannot read {error.filename or path}: {error.strerror or error}") from error
    top, problems, whole = _merged(path, sources, settings)
    if not whole:
        raise BadInput(problems)
    try:
        portfolio = Portfolio.model_validate(top.value)
    except ValidationError as error:
        # A value that YAML has already refused needs no second message.
        told = {(p.file, p.line, p.column) for p in problems}
        found = [p for p in explain.problems(error, top) if (p.file, p.line, p.column) not in told]
        raise BadInput([*problems, *found]) from None
    found = [_placed(fault, portfolio, top) for fault in faults(portfolio.with_catalogue(catalogue))]
    if problems or found:
        raise BadInput([*problems, *found])
    return portfolio


def _sources(path: Path, settings: Settings) -> list[tuple[str, bytes]]:
    """Names and bytes of the files, once their sizes are known to be in order."""
    if not path.exists():
        raise BadInput(
            [_whole(path, "file.missing", "there is no such file or folder; `argosy init` writes an example")]
        )
    if path.is_dir():
        files = sorted(f for f in path.iterdir() if _is_part(f))
        if not files:
            raise BadInput([_whole(path, "file.none", "the folder holds no *.yaml or *.yml file")])
    elif path.is_file():
        files = [path]
    else:
        raise BadInput([_whole(path, "file.missing", "this is neither a file nor a folder")])
    sizes = [file.stat().st_size for file in files]
    if sum(sizes) > settings.max_input_bytes:
        largest = files[sizes.index(max(sizes))]
        message = f"{sum(sizes):,} bytes of YAML; at most {settings.max_input_bytes:,} are read, all files together"
        raise BadInput([_whole(largest, "file.too_large", message)])
    return [(str(file), file.read_bytes()) for file in files]


def _is_part(file: Path) -> bool:
    return file.suffix.lower() in SUFFIXES and not file.name.startswith(".") and file.is_file()


def _merged(path: Path, sources: Sequence[tuple[str, bytes]], settings: Settings) -> tuple[Branch, list[Problem], bool]:
    """One tree of all files, what is wrong with them, and whether all could be read to the end."""
    problems: list[Problem] = []
    whole, nodes = True, 0
    tops: list[Branch] = []
    for name, data in sources:
        text = decode(name, data)
        if isinstance(text, Problem):
            problems.append(text)
            whole = False
            continue
        tree = read(name, text, max_nodes=settings.max_yaml_nodes - nodes)
        nodes += tree.nodes
        problems += tree.problems
        if not tree.whole:
            whole = False
            if any(p.code == "yaml.alias_bomb" for p in tree.problems):
                break
        elif tree.top is None or tree.top.value is None:
            # In a folder a file may be all comments; a file without a letter was cut off or forgotten.
            if len(sources) == 1 or not text.strip():
                problems.append(
                    Problem(name, 0, 0, "file.empty", "", "the file is empty; `argosy init` writes an example")
                )
                whole = False
        elif not isinstance(tree.top.value, dict):
            problems.append(
                tree.top.problem("yaml.top_level", "", "a portfolio starts with fields such as `argosy: 1`")
            )
            whole = False
        else:
            tops.append(tree.top)
    if len(sources) == 1 and not path.is_dir():
        return (tops or [_root(path)])[0], problems, whole
    root = _root(path)
    for top in tops:
        problems += _join(root, top)
    root.value = {key: child.value for key, child in root.children.items()}
    return root, problems, whole


def _root(path: Path) -> Branch:
    return Branch(str(path), 0, 0, {})


def _join(root: Branch, top: Branch) -> list[Problem]:
    """Add the top-level keys of one file to the root; lists join, anything else may stand in one file only."""
    problems = []
    for key, (line, column) in top.keys.items():
        child = top.children.get(key)
        if child is None:
            continue
        known = root.children.get(key)
        if known is None:
            root.keys[key] = (line, column)
            root.children[key] = child
        elif key in JOINED and isinstance(known.value, tuple) and isinstance(child.value, tuple):
            items = [*known.children.values(), *child.children.values()]
            joined = Branch(known.file, known.line, known.column, known.value + child.value)
            joined.children = dict(enumerate(items))
            root.children[key] = joined
        elif key in JOINED:
            wrong = known if isinstance(child.value, tuple) else child
            problems.append(wrong.problem("field.type", key, "is a list in another file; lists of all files join"))
        else:
            message = f"{shown(key)} is already written in {known.file}; it may stand in one file only"
            problems.append(Problem(child.file, line, column, "file.duplicate_key", key, message))
    return problems


def _placed(fault: Fault, portfolio: Portfolio, top: Branch) -> Problem:
    """A fault at its place in the files; faults of the catalogue's own entries belong to no line."""
    path = fault.path
    if len(path) > 1 and isinstance(path[1], int):
        own = getattr(portfolio, str(path[0]), ())
        if isinstance(own, tuple) and path[1] >= len(own):
            return Problem(top.file, 0, 0, fault.code, f"catalogue.{dotted(path)}", fault.message)
    where = explain.place(top, path, at_key=fault.at_key)
    return where.problem(fault.code, dotted(path), fault.message)


def _whole(path: Path, code: str, message: str) -> Problem:
    return Problem(str(path), 0, 0, code, "", message)

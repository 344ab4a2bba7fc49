"""YAML tree: the text of one file as plain values, with the place of every value and key.

`load` calls `read` for each file and walks the branches to find where a problem is. Scalars follow a JSON-like core
schema: only `true` and `false` are booleans, `2026-01` is text. Nothing here knows a portfolio.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml

from argosy.errors import Problem

MAX_DEPTH = 64
MAX_NUMBER_CHARACTERS = 40

INT = re.compile(r"[-+]?(?:0|[1-9](?:_?[0-9])*)")
FLOAT = re.compile(
    r"[-+]?(?:(?:0|[1-9](?:_?[0-9])*)(?:\.(?:[0-9](?:_?[0-9])*)?)?|\.[0-9](?:_?[0-9])*)(?:[eE][-+]?[0-9]+)?"
)
NOT_FINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
CONSTANTS: dict[str, bool | None] = {"true": True, "false": False, "null": None, "~": None, "": None}

# What YAML refuses in a file; found here first, because its own message has no line.
_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")
_TAG_TEXT = "tag:yaml.org,2002:str"
_WORD = re.compile(r"[A-Za-z0-9_./-]{1,100}")

Step = str | int
# The C parser is ten times faster and has the same events; a PyYAML built without libyaml has only the other.
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(slots=True)
class Branch:
    """One value of a file: what it is and where it stands. Aliases share the branch of their anchor."""

    file: str
    line: int
    column: int
    value: Any
    """Plain value: None, bool, int, float, str, tuple or dict."""
    children: dict[Step, Branch] = field(default_factory=dict)
    """Items of a list by position, values of a mapping by key."""
    keys: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Line and column of each key of a mapping."""
    text: str | None = None
    """A scalar as it is written, where its letters count and not its value; None for lists and mappings."""

    def problem(self, code: str, name: str, message: str) -> Problem:
        """A problem of this value."""
        return Problem(self.file, self.line, self.column, code, name, message)


@dataclass(slots=True)
class Tree:
    """One file read: its top value, what is wrong with it, and whether the rest of it is still of use."""

    top: Branch | None
    problems: list[Problem]
    nodes: int
    """Nodes after aliases are expanded."""
    whole: bool
    """Whether the file was read to its end; if not, what it would have said is unknown."""


def dotted(path: Sequence[Step]) -> str:
    """A path as people read it: `contracts[3].vendor`; a key that is no plain word is quoted."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        else:
            word = step if _WORD.fullmatch(step) else shown(step)
            text += f".{word}" if text else word
    return text


def shown(value: Any, most: int = 60) -> str:
    """A value for a message: one line, cut when long, text in quotes."""
    text = repr(value)
    return text if len(text) <= most else f"{text[: most - 4]}...{text[-1]}"


def decode(file: str, data: bytes) -> str | Problem:
    """The text of a file, or the place of the first byte that is no UTF-8 or no character YAML allows."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8-sig", errors="replace")
        message = f"byte 0x{data[error.start]:02x} is not UTF-8; save the file as UTF-8"
        return Problem(file, *_position(before), "file.encoding", "", message)
    found = _UNPRINTABLE.search(text)
    if found:
        message = f"the character U+{ord(found[0]):04X} is not allowed in YAML; delete it or write it as an escape"
        return Problem(file, *_position(text[: found.start()]), "file.encoding", "", message)
    return text


def read(file: str, text: str, *, max_nodes: int) -> Tree:
    """The tree of one YAML document. Duplicate keys and the like are collected; a syntax error ends the reading."""
    reader = _Reader(file, max_nodes)
    try:
        for event in yaml.parse(text, Loader=_LOADER):
            reader.take(event)
    except _Stop as stop:
        return Tree(None, [*reader.problems, stop.problem], reader.nodes, whole=False)
    except yaml.YAMLError as error:
        return Tree(None, [*reader.problems, _syntax(file, text, error)], reader.nodes, whole=False)
    return Tree(reader.top, reader.problems, reader.nodes, whole=True)


class _Stop(Exception):
    """Reading cannot go on."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem


@dataclass(slots=True)
class _Open:
    """A list or mapping whose end has not been read yet."""

    branch: Branch
    mapping: bool
    anchor: str | None
    nodes: int = 1
    height: int = 1
    key: str | None = None
    duplicate: bool = False
    items: list[Any] = field(default_factory=list)


class _Reader:
    """Builds branches from parser events with a stack of its own, so that depth cannot exhaust Python's."""

    def __init__(self, file: str, max_nodes: int) -> None:
        self.file, self.max_nodes = file, max_nodes
        self.top: Branch | None = None
        self.problems: list[Problem] = []
        self.nodes = 0
        self._documents = 0
        self._open: list[_Open] = []
        self._anchors: dict[str, tuple[Branch, int, int] | None] = {}

    def take(self, event: Any) -> None:
        """Fold one event into the tree."""
        if isinstance(event, yaml.ScalarEvent):
            self._scalar(event)
        elif isinstance(event, (yaml.MappingStartEvent, yaml.SequenceStartEvent)):
            self._start(event, mapping=isinstance(event, yaml.MappingStartEvent))
        elif isinstance(event, (yaml.MappingEndEvent, yaml.SequenceEndEvent)):
            self._end()
        elif isinstance(event, yaml.AliasEvent):
            self._alias(event)
        elif isinstance(event, yaml.DocumentStartEvent):
            self._documents += 1
            if self._documents > 1:
                raise self._stop(event, "yaml.documents", "a second document starts here; one file holds one document")

    def _scalar(self, event: Any) -> None:
        line, column = _mark(event)
        plain = event.implicit[0]
        if event.tag not in (None, "!", _TAG_TEXT) and not event.implicit[0]:
            self._tag(event)
        if self._wants_key():
            self._key(event.value, plain, line, column)
            return
        value: Any = event.value
        if plain and event.tag is None:
            value = self._resolve(event)
        branch = Branch(self.file, line, column, value, text=event.value)
        if event.anchor:
            self._anchors[event.anchor] = (branch, 1, 0)
        self._add(event, branch, nodes=1, height=0)

    def _key(self, text: str, plain: bool, line: int, column: int) -> None:
        frame = self._open[-1]
        frame.key = text
        self._count(1, line, column)
        if not text:
            self._problem(line, column, "yaml.key", "a key is missing before the colon")
        elif plain and text == "<<":
            self._problem(
                line, column, "yaml.merge_key", "merge keys are not read; write the fields out, or alias a whole value"
            )
            frame.duplicate = True
            return
        frame.duplicate = text in frame.branch.keys
        if frame.duplicate:
            first = frame.branch.keys[text][0]
            self._problem(line, column, "yaml.duplicate_key", f"{shown(text)} is already written in line {first}")
        else:
            frame.branch.keys[text] = (line, column)

    def _start(self, event: Any, *, mapping: bool) -> None:
        line, column = _mark(event)
        if self._wants_key():
            raise self._stop(event, "yaml.key", "a key must be a word, not a list or mapping; put it in quotes")
        if len(self._open) >= MAX_DEPTH:
            raise self._stop(event, "yaml.too_deep", f"nested deeper than {MAX_DEPTH} levels")
        if event.tag not in (None, "!"):
            self._tag(event)
        self._count(1, line, column)
        self._open.append(_Open(Branch(self.file, line, column, None), mapping, event.anchor))
        if event.anchor:
            self._anchors[event.anchor] = None

    def _end(self) -> None:
        frame = self._open.pop()
        branch = frame.branch
        if frame.mapping:
            branch.value = {key: child.value for key, child in branch.children.items()}
        else:
            branch.value = tuple(frame.items)
        if frame.anchor:
            self._anchors[frame.anchor] = (branch, frame.nodes, frame.height)
        self._attach(branch, frame.nodes, frame.height)

    def _alias(self, event: Any) -> None:
        if self._wants_key():
            raise self._stop(event, "yaml.key", "a key must be a word, not an alias")
        if event.anchor not in self._anchors:
            raise self._stop(event, "yaml.alias_unknown", f"no anchor &{event.anchor} comes before this alias")
        known = self._anchors[event.anchor]
        if known is None:
            raise self._stop(event, "yaml.alias_loop", f"the value of &{event.anchor} would contain itself")
        branch, nodes, height = known
        if len(self._open) + height > MAX_DEPTH:
            raise self._stop(event, "yaml.too_deep", f"nested deeper than {MAX_DEPTH} levels once aliases are expanded")
        self._add(event, branch, nodes, height)

    def _add(self, event: Any, branch: Branch, nodes: int, height: int) -> None:
        self._count(nodes, *_mark(event))
        self._attach(branch, nodes, height)

    def _attach(self, branch: Branch, nodes: int, height: int) -> None:
        """Put a finished value into the list or mapping that is open."""
        if not self._open:
            self.top = branch
            return
        frame = self._open[-1]
        frame.nodes += nodes
        frame.height = max(frame.height, height + 1)
        if not frame.mapping:
            frame.branch.children[len(frame.items)] = branch
            frame.items.append(branch.value)
            return
        assert frame.key is not None
        if not frame.duplicate:
            frame.branch.children[frame.key] = branch
        frame.key = None

    def _resolve(self, event: Any) -> Any:
        """A plain scalar as null, bool, int, float or text."""
        text = event.value
        if text in CONSTANTS:
            return CONSTANTS[text]
        if NOT_FINITE.fullmatch(text):
            self._problem(
                *_mark(event), "yaml.not_finite", f"{text} is no amount; write a number, or leave the field out"
            )
            return float("nan")
        if not FLOAT.fullmatch(text):
            return text
        if len(text) > MAX_NUMBER_CHARACTERS:
            self._problem(
                *_mark(event), "yaml.number", f"a number of {len(text)} characters; nothing is known that exactly"
            )
            return float("nan")
        if INT.fullmatch(text):
            return int(text)
        number = float(text.replace("_", ""))
        if number in (float("inf"), float("-inf")):
            self._problem(*_mark(event), "yaml.not_finite", f"{text} is too large for a number")
        return number

    def _tag(self, event: Any) -> None:
        self._problem(*_mark(event), "yaml.tag", f"the tag {shown(event.tag)} is not read; write the plain value")

    def _wants_key(self) -> bool:
        return bool(self._open) and self._open[-1].mapping and self._open[-1].key is None

    def _count(self, nodes: int, line: int, column: int) -> None:
        self.nodes += nodes
        if self.nodes > self.max_nodes:
            message = (
                f"more than {self.max_nodes} values once aliases are expanded; split the portfolio or drop aliases"
            )
            raise _Stop(Problem(self.file, line, column, "yaml.alias_bomb", self._field(), message))

    def _field(self) -> str:
        path: list[Step] = []
        for frame in self._open:
            if not frame.mapping:
                path.append(len(frame.items))
            elif frame.key is not None:
                path.append(frame.key)
        return dotted(path)

    def _problem(self, line: int, column: int, code: str, message: str) -> None:
        self.problems.append(Problem(self.file, line, column, code, self._field(), message))

    def _stop(self, event: Any, code: str, message: str) -> _Stop:
        return _Stop(Problem(self.file, *_mark(event), code, self._field(), message))


def _mark(event: Any) -> tuple[int, int]:
    return event.start_mark.line + 1, event.start_mark.column + 1


def _position(before: str) -> tuple[int, int]:
    """Line and column of what comes after this text."""
    lines = before.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return len(lines), len(lines[-1]) + 1


def _syntax(file: str, text: str, error: yaml.YAMLError) -> Problem:
    mark = getattr(error, "problem_mark", None)
    what = " ".join(str(part) for part in (getattr(error, "context", None), getattr(error, "problem", None)) if part)
    line, column = (mark.line + 1, mark.column + 1) if mark else (0, 0)
    message = f"this is not YAML: {what or 'it cannot be read'}"
    lines = text.splitlines()
    if 0 < line <= len(lines) and re.match(r" *\t", lines[line - 1]):
        message += "; indent with spaces, not with tabs"
    elif "mapping values are not allowed" in message:
        message += "; put text that holds a colon in quotes, and indent fields of one record alike"
    elif "cannot start any token" in message:
        message += "; put text that starts with @, `, % or a tab in quotes"
    return Problem(file, line, column, "yaml.syntax", "", message)

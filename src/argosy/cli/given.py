"""Given: what several commands take from their options, and every problem of theirs told at once."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from argosy.errors import BadInput, OutsideError, Problem
from argosy.files.load import load
from argosy.market.catalogue import bundled
from argosy.model.portfolio import Portfolio
from argosy.place.inputs import PlanRecord
from argosy.settings import Settings
from argosy.units import Month

T = TypeVar("T")


class Gathering:
    """Runs the parts of reading what was given, one after the other; a part that fails does not keep the next back."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []

    def __call__(self, part: Callable[[], T]) -> T | None:
        """What a part gives; None when it was bad input."""
        try:
            return part()
        except BadInput as error:
            self.problems += error.problems
            return None

    def done(self) -> None:
        """BadInput with all that was wrong; nothing when all was right."""
        if self.problems:
            raise BadInput(self.problems)


def known(option: str, word: str, words: Sequence[str]) -> str:
    """The word, when it is one of those that there are; BadInput otherwise."""
    if word not in words:
        message = f"{word!r} is none of {', '.join(words)}"
        raise BadInput([Problem(f"--{option}", 0, 0, "option.unknown", "", message)])
    return word


def month(text: str | None) -> Month | None:
    """The month of `--month`; None when it was not given. BadInput when it is none."""
    try:
        return None if text is None else Month.parse(text)
    except ValueError as error:
        raise BadInput([Problem("--month", 0, 0, "option.month", "", str(error))]) from error


def completed(portfolio: Path, settings: Settings) -> Portfolio:
    """The portfolio that is written there, with the bundled catalogue's word for what it leaves out."""
    catalogue = bundled()
    return load(portfolio, settings, catalogue=catalogue).with_catalogue(catalogue)


def plan_record(path: Path | None) -> PlanRecord | None:
    """The plan of `--plan`; None when it was not given. BadInput when it is none, OutsideError when unreadable."""
    if path is None:
        return None
    try:
        document = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise BadInput([Problem(str(path), 0, 0, "file.missing", "", "there is no such file")]) from None
    except OSError as error:
        raise OutsideError(f"cannot read {path}: {error.strerror or error}") from error
    except json.JSONDecodeError as error:
        at = (error.lineno, error.colno)
        raise BadInput([Problem(str(path), *at, "plan.format", "", f"this is no JSON: {error.msg}")]) from error
    except ValueError as error:
        raise BadInput([Problem(str(path), 0, 0, "plan.format", "", f"this is no JSON: {error}")]) from error
    return PlanRecord(document if isinstance(document, dict) else {}, str(path))

"""The tree of expected failures, and the `Problem` that bad input is reported as.

Everything that can go wrong without being a bug is an `ArgosyError` with a stable `code`; `cli` maps the classes to
exit codes once. Answers such as "infeasible" are not errors and do not appear here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One thing wrong with one place of the input: `file:line:column: code field: message`.

    `line` and `column` count from 1; 0 means that the problem belongs to the file as a whole.
    """

    file: str
    line: int
    column: int
    code: str
    field: str
    message: str

    def __str__(self) -> str:
        field = f" {self.field}" if self.field else ""
        return f"{self.file}:{self.line}:{self.column}: {self.code}{field}: {self.message}"


class ArgosyError(Exception):
    """Something expected went wrong."""

    code = "argosy.error"
    retryable = False


class BadInput(ArgosyError):
    """The input cannot be used; `problems` lists everything that is wrong with it, sorted by place."""

    code = "input.bad"

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(sorted(problems))
        super().__init__("\n".join(str(problem) for problem in self.problems))


class KindError(ArgosyError):
    """A file in a folder of kinds cannot be used as a kind."""

    code = "kinds.broken"


class SolverError(ArgosyError):
    """The solver stopped without an answer that can be trusted."""

    code = "solver.failed"


class CheckFailed(ArgosyError):
    """A decision did not survive the recount without the solver; it is not published."""

    code = "check.failed"


class OutsideError(ArgosyError):
    """Something outside Argosy (disk, network, another program) failed."""

    code = "outside.failed"
    retryable = True


class StartRefused(ArgosyError):
    """An engine will not start a run: no capacity now, or never as it was ordered."""

    code = "run.refused"

    def __init__(self, reason: str, message: str, *, retryable: bool) -> None:
        self.reason, self.retryable = reason, retryable
        super().__init__(message)


class Conflict(ArgosyError):
    """Somebody else changed it first, or holds the lease; nothing was changed."""

    code = "store.conflict"
    retryable = True


class Reused(ArgosyError):
    """An idempotency key stands for another request already; nothing was changed."""

    code = "request.key_reused"


class Denied(ArgosyError):
    """The key does not allow this; nothing was changed."""

    code = "access.denied"


class NotFound(ArgosyError):
    """There is nothing by that name that the caller may see."""

    code = "not_found"


class Unauthenticated(ArgosyError):
    """The request carries no key, or one that is not valid."""

    code = "access.key"


class TooLarge(ArgosyError):
    """The request is larger than is read."""

    code = "request.too_large"


class Impossible(ArgosyError):
    """No pool that is known could ever run this."""

    code = "task.impossible"

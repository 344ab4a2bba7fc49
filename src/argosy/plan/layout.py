"""Layout: where each family of columns and rows begins. The order is F3 and F4 of docs/concepts/plan.md."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from argosy.plan.program import SIGN, Ints, Program

FIRST_COLUMNS = (
    "sign", "size", "option", "prepay", "equity", "later", "later_sign", "port", "start", "replica", "build",
    "power", "borrow", "gap", "eta",
)  # fmt: skip
SECOND_COLUMNS = (
    "work", "use", "open", "unserved", "backlog", "over", "short", "made", "bank", "credit", "carry", "transfer",
    "saved", "excess", "cost",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Axis:
    """Families laid one after the other; each is an array shape."""

    shapes: dict[str, tuple[int, ...]]
    offsets: dict[str, int]
    size: int

    @classmethod
    def of(cls, shapes: dict[str, tuple[int, ...]]) -> Axis:
        """Lay the families out in the order given."""
        offsets, total = {}, 0
        for name, shape in shapes.items():
            offsets[name] = total
            total += int(np.prod(shape))
        return cls(shapes, offsets, total)

    def at(self, name: str) -> Ints:
        """Positions of a family, in the family's shape."""
        shape = self.shapes[name]
        return self.offsets[name] + np.arange(int(np.prod(shape)), dtype=np.int64).reshape(shape)

    def part(self, name: str) -> slice:
        """Positions of a family as a slice."""
        return slice(self.offsets[name], self.offsets[name] + int(np.prod(self.shapes[name])))


def first_columns(program: Program) -> Axis:
    """Columns decided before the future is known."""
    n = program.shape
    signs = int((program.later_action == SIGN).sum())
    sizes: dict[str, tuple[int, ...]] = dict.fromkeys(FIRST_COLUMNS[:5], (n["K"],))
    sizes |= {
        "later": (n["E"],), "later_sign": (signs,), "port": (n["O"],), "start": (n["H"],),
        "replica": (n["R"],), "build": (n["B"],), "power": (n["B"],), "borrow": (n["Y"],),
        "gap": (n["Q"], n["T"]), "eta": (1,),
    }  # fmt: skip
    return Axis.of(sizes)


def second_columns(program: Program) -> Axis:
    """Columns decided in each future."""
    n = program.shape
    t = n["T"]
    floor = (n["F"],)
    return Axis.of({
        "work": (n["A"], t), "use": (n["J"], t), "open": (n["L"], t), "unserved": (n["D"], t),
        "backlog": (n["D"], t), "over": floor, "short": floor, "made": floor, "bank": floor, "credit": floor,
        "carry": floor, "transfer": (n["X"], t), "saved": (n["Z"], t), "excess": (n["Y"],), "cost": (t,),
    })  # fmt: skip


def signatures(program: Program) -> tuple[Ints, Ints]:
    """Scenarios that no later decision can tell apart: (signature of each scenario, one scenario of each signature)."""
    if program.shape["E"] == 0:
        return np.zeros(program.shape["S"], dtype=np.int64), np.zeros(1, dtype=np.int64)
    _, first, inverse = np.unique(program.later_member, axis=0, return_index=True, return_inverse=True)
    return inverse.ravel().astype(np.int64), first.astype(np.int64)

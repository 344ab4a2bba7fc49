"""Values: a solution by family, in scaled units. Read by `check` and `result`; written from solver vectors only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from argosy.plan.layout import Axis, first_columns, second_columns
from argosy.plan.program import Floats, Program


@dataclass(frozen=True, slots=True)
class Values:
    """First-stage families by name, and second-stage families with the scenario as first axis."""

    first: dict[str, Floats]
    second: dict[str, Floats]

    @classmethod
    def of(cls, program: Program, first: Floats, second: Floats) -> Values:
        """Cut solver vectors ((first,) and (S, second)) into families."""
        one, two = first_columns(program), second_columns(program)
        return cls(
            {name: _part(one, name, first) for name in one.shapes},
            {name: second[:, two.part(name)].reshape((len(second), *shape)) for name, shape in two.shapes.items()},
        )

    def capacity_columns(self) -> Floats:
        """(K + E,) sizes, then later columns: the columns that `link_column` and `bound_column` count."""
        return np.concatenate([self.first["size"], self.first["later"]])


def _part(axis: Axis, name: str, vector: Floats) -> Floats:
    return vector[axis.part(name)].reshape(axis.shapes[name])

"""Exact: futures solved one after the other, each from the basis of the most similar one solved before."""

from __future__ import annotations

from argosy.plan.pool import Pool
from argosy.plan.program import Floats, Ints
from argosy.plan.recourse import Answer, Recourse
from argosy.plan.template import Template


class Exact:
    """Solves futures of one program exactly."""

    def __init__(self, template: Template) -> None:
        self.recourse = Recourse(template)

    def some(self, batch: Ints, first: Floats, pool: Pool) -> list[Answer]:
        """Some futures, each from the basis whose dual bounds it best so far."""
        nearest = pool.best(first)[1] if len(pool) else None
        return [
            self.recourse.solve(s, first, None if nearest is None else pool.bases[nearest[s]]) for s in batch.tolist()
        ]

"""Exact: futures solved one after the other, each from its own last basis or that of the most similar one."""

from __future__ import annotations

import highspy

from argosy.plan.pool import Pool
from argosy.plan.program import Floats, Ints
from argosy.plan.recourse import Answer, Recourse
from argosy.plan.template import Template


class Exact:
    """Solves futures of one program exactly, and keeps the last basis of each."""

    def __init__(self, template: Template) -> None:
        self.recourse = Recourse(template)
        self.bases: dict[int, highspy.HighsBasis] = {}
        """Future to the basis that it was last solved with."""

    def some(self, batch: Ints, first: Floats, pool: Pool, *, columns: bool = False) -> list[Answer]:
        """Some futures, each from its last basis, or else from that of the dual in the pool that bounds it best."""
        new = [s for s in batch.tolist() if s not in self.bases]
        if new and len(pool):
            nearest = pool.best(first)[1]
            self.bases |= {s: pool.bases[nearest[s]] for s in new}
        answers = []
        for s in batch.tolist():
            answer = self.recourse.solve(s, first, self.bases.get(s), columns=columns)
            self.bases[s] = answer.basis
            answers.append(answer)
        return answers

"""Ask: one question after the other of a plan that is solved, from its cuts, and certified where it counts (Q10).

`front`, `near_optimal` and `quick_values` share it: the cut program says where the best plan may lie, the futures are
solved exactly there, and what is known on both sides is kept. Knows no question.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from argosy.plan.cut_program import CutProgram, Minimum
from argosy.plan.inputs import Inputs
from argosy.plan.known_plans import Dual, KnownPlan, KnownPlans
from argosy.plan.program import Floats
from argosy.plan.solution import EXACT, Progress, Solution
from argosy.plan.template import Template

ROUNDS = 3
"""Most plans that are certified for one choice of integers."""
PATIENT_COLUMNS = 100_000
"""Second-stage columns over all futures above which one question takes the usual effort."""
SETTLE = 60
"""Most plans that are certified before the first question."""
ROUNDINGS = (0.001, 0.25, 0.5, 0.75, 0.999)
"""What is added to a relaxed integer before its fraction falls away."""
KNOWN = 8
"""How many of the latest plans lend their integers."""

Amount = Callable[[KnownPlan], float]
Keeps = Callable[[KnownPlan], bool]


@dataclass(slots=True)
class Asker:
    """A solved program, its cuts and every plan that was certified since."""

    told: Inputs
    template: Template
    found: Solution
    known: KnownPlans
    plan: KnownPlan
    """The plan itself."""
    gap: float
    progress: Progress
    stop: threading.Event
    cuts: CutProgram

    @classmethod
    def of(
        cls, told: Inputs, template: Template, found: Solution, duals: list[Dual],
        *, gap: float, progress: Progress, stop: threading.Event,
    ) -> Asker:  # fmt: skip
        """Certify the plan once more, which leaves its duals, and make a cut program of all duals."""
        known = KnownPlans(template, duals)
        plan = known.solve(found.first)
        cuts = CutProgram(template, [known.priced_pool])
        cuts.know(plan.first)
        made = cls(told, template, found, known, plan, gap, progress, stop, cuts)
        made._settle()
        return made

    def _settle(self) -> None:
        """Cut around the plan until the cuts say, for its integers, what it costs; a plan solved whole left no cuts."""
        cuts, best = self.cuts, self.plan
        cuts.fix(self.plan.first[cuts.integers].round())
        for _ in range(SETTLE):
            there = cuts.relaxed(cuts.objective)
            room = max(self.gap / 4, EXACT) * max(1.0, abs(best.objective))
            if there is None or best.objective - there.bound <= room or self.stop.is_set():
                break
            made = self.known.solve(self.tidy(cuts, 0.5 * there.first + 0.5 * best.first))
            best = made if made.objective < best.objective else best
        cuts.fix(None)

    def search(
        self, cuts: CutProgram, wanted: Floats, amount: Amount, *, keeps: Keeps, rounds: int = ROUNDS,
        branch: bool = False,
    ) -> Minimum | None:  # fmt: skip
        """Look for a plan with the least of an amount among those that `keeps` lets pass, and certify what is found.

        Plans found go to `known`. The answer is the least that the cuts allow, whatever integers were tried; None when
        nothing keeps the limits of the cut program. With `branch` the bound counts the integers, which takes longer.
        """
        least = cuts.branched(wanted) if branch else cuts.relaxed(wanted)
        if least is None:
            return None
        if branch:
            integers: Floats | None = least.first[cuts.integers].round()
        else:
            some = self.known.plans[:1] + self.known.plans[-KNOWN:]
            integers = self.integers(cuts, wanted, least.first, some)
        if integers is None:
            return least
        cuts.fix(integers)
        best: KnownPlan | None = None
        for _ in range(rounds * self.patience):
            if self.stop.is_set():
                break
            there = cuts.relaxed(wanted)
            if there is None:
                break
            point = self.tidy(cuts, there.first)
            if best is not None:  # half way to the best plan known; it has the same integers
                point = self.tidy(cuts, 0.5 * point + 0.5 * best.first)
            made = self.known.solve(point)
            if keeps(made) and (best is None or amount(made) < amount(best)):
                best = made
            if best is not None and amount(best) - there.bound <= self.gap / 4 * abs(amount(best)):
                break
        cuts.fix(None)
        return least

    def integers(self, cuts: CutProgram, wanted: Floats, relaxed: Floats, plans: Sequence[KnownPlan]) -> Floats | None:
        """The most promising integers by the cuts: roundings of the relaxation, and those of some plans."""
        at, low, high = cuts.integers, cuts.lower[cuts.integers], cuts.upper[cuts.integers]
        value = relaxed[at]
        tried = [np.clip(np.floor(value + share), low, high) for share in ROUNDINGS]
        tried += [plan.first[at].round() for plan in plans]
        best: tuple[float, Floats] | None = None
        for choice in np.unique(np.array(tried), axis=0):
            cuts.fix(choice)
            there = cuts.relaxed(wanted)
            if there is not None and (best is None or there.bound < best[0]):
                best = (there.bound, choice)
        cuts.fix(None)
        return None if best is None else best[1]

    @property
    def patience(self) -> int:
        """How many times the usual effort one question may take: small programs are certified in no time."""
        size = self.template.second.columns.size * self.template.program.shape["S"]
        return int(np.clip(PATIENT_COLUMNS // max(1, size), 1, 3))

    @staticmethod
    def tidy(cuts: CutProgram, first: Floats) -> Floats:
        """Columns within their bounds and whole where they must be, against the solver's last digits."""
        first = np.clip(first, cuts.lower, cuts.upper)
        first[cuts.integers] = first[cuts.integers].round()
        return first

    def best(self, amount: Amount, keeps: Keeps) -> KnownPlan | None:
        """The certified plan with the least of an amount among those that keep something."""
        return min((p for p in self.known.plans if keeps(p)), key=amount, default=None)

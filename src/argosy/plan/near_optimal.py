"""Near-optimal: how far the size of each contract can move for 1 % or 3 % more cost (Q11).

`main` calls `ranges` once a plan is certified. Modelling to generate alternatives, on the cuts: the least and the
largest size under a limit on the objective. Cuts are a relaxation, so no near-optimal plan lies outside the outer
interval; the inner one is spanned by plans that were certified.

Q11.1 outer: min and max of size_k over all that the cuts allow with objective <= (1 + share) upper bound of the plan.
Q11.2 inner: min and max of size_k over known plans with objective <= (1 + share) lower bound of the plan, and over
mixtures of such plans with the same integers.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from argosy.model.answer import NearOptimal, SizeRange
from argosy.plan.ask import Asker
from argosy.plan.known_plans import KnownPlan
from argosy.plan.program import Bools, Floats

SHARES = (0.01, 0.03)
"""How much more than the best plan a near-optimal one may cost."""
FUTURES = 300
"""About how many futures may be solved for inner intervals; with many futures fewer ends are certified."""
ROOM = 1e-6
"""Share of the largest size below which a size is 0, for the digits of the solver."""


@dataclass(frozen=True, slots=True)
class Alternative:
    """A certified plan that costs nearly the same and is otherwise different."""

    name: str
    rule: str
    first: Floats


def ranges(asker: Asker) -> tuple[NearOptimal, ...]:
    """One range for each contract that is not signed, at each share; contracts in the order of the portfolio."""
    world, program, cuts = asker.told.world, asker.template.program, asker.cuts
    contracts = list(dict.fromkeys(row.contract for row in world.sized))
    rows = {c: np.array([row.contract == c for row in world.sized]) for c in contracts}
    open_ = [c for c in contracts if (program.sign_lower[rows[c]] == 0).any() and program.size_max[rows[c]].max() > 0]
    upper = asker.plan.objective
    limit = cuts.limit(cuts.objective, np.inf)
    affordable = FUTURES // program.shape["S"]
    outer: dict[tuple[str, float], tuple[float, float]] = {}
    for share in SHARES:
        cuts.tighten(limit, upper + share * abs(upper))
        for contract in open_:
            if asker.stop.is_set():
                break
            asker.progress(f"range of {contract}", None, None)
            size = cuts.of_sizes(rows[contract].astype(float))
            ends = []
            for sign in (1.0, -1.0):
                there = cuts.relaxed(sign * size)
                assert there is not None, "the plan itself keeps the limit"
                ends.append(sign * there.bound)
                if affordable > 0 and _worth_a_look(asker, rows[contract], share, sign, ends[-1]):
                    affordable -= 1
                    _certify(asker, sign * size, share)
            outer[contract, share] = ends[0], ends[1]
    cuts.tighten(limit, np.inf)
    made = []
    for c in open_:
        found = tuple(_range(asker, c, rows[c], share, outer[c, share]) for share in SHARES if (c, share) in outer)
        unit = world.sized[int(np.flatnonzero(rows[c])[0])].unit
        mine = _scaled(asker, c, _size(asker.plan, rows[c]))
        made.append(NearOptimal(contract=c, unit=unit, size=mine, ranges=found))
    return tuple(made)


def alternatives(asker: Asker, share: float = SHARES[0]) -> tuple[Alternative, ...]:
    """Q11.3: two certified plans within a share of the best: with the least commitments, and most unlike the plan."""
    program, cuts = asker.template.program, asker.cuts
    limit = cuts.limit(cuts.objective, asker.plan.objective + share * abs(asker.plan.objective))
    taken = (asker.plan.size > ROOM * program.size_max) & (program.sign_lower == 0)
    value = np.maximum(program.committed_value + program.size_cost, 0.0)
    wanted = {
        "near_optimal_least": (value, f"signs as little as it can for {share:.0%} more cost"),
        "near_optimal_other": (
            np.where(taken, 1.0, -1.0) / np.maximum(program.size_max, ROOM) * (program.sign_lower == 0),
            f"signs as little as it can of what the plan signs, and as much of the rest, for {share:.0%} more cost",
        ),
    }
    made: list[Alternative] = []
    for name, (weight, rule) in wanted.items():
        if asker.stop.is_set():
            break
        _certify(asker, cuts.of_sizes(weight), share, rounds=4)
        found = min(_known(asker, share), key=lambda plan: float(weight @ plan.size), default=asker.plan)
        if found is not asker.plan and all(found.first is not one.first for one in made):
            made.append(Alternative(name, rule, found.first))
    cuts.tighten(limit, np.inf)
    return tuple(made)


def _size(plan: KnownPlan, rows: Bools) -> float:
    return float(plan.size[rows].sum())


def _scaled(asker: Asker, contract: str, size: float) -> float:
    world = asker.told.world
    return size * world.size_unit(next(row for row in world.sized if row.contract == contract))


def _budget(asker: Asker, share: float) -> float:
    """Most that a plan may cost so that it is certainly within the share of the best."""
    return asker.found.bound + share * abs(asker.found.bound)


def _known(asker: Asker, share: float) -> list[KnownPlan]:
    most = _budget(asker, share)
    return [plan for plan in asker.known.plans if plan.objective <= most]


def _worth_a_look(asker: Asker, rows: Bools, share: float, sign: float, end: float) -> bool:
    """Whether the known plans do not reach the outer end yet."""
    reached = [_size(plan, rows) for plan in _known(asker, share)]
    most = max(1.0, float(asker.template.program.size_max[rows].max()))
    return not reached or abs(end - (min(reached) if sign > 0 else max(reached))) > 0.01 * most


def _certify(asker: Asker, wanted: Floats, share: float, *, rounds: int = 2) -> None:
    """Look for a plan with little of an amount within the share; the cut program holds the limit already."""
    cuts, most = asker.cuts, _budget(asker, share)
    relaxed = cuts.relaxed(wanted)
    choice = None if relaxed is None else asker.integers(cuts, wanted, relaxed.first, [asker.plan])
    if choice is None:
        return
    own = asker.plan.first[cuts.integers].round()
    for tried in (choice, own) if rounds > 2 else (choice,):  # the plan's own integers always leave a way
        cuts.fix(tried)
        for _ in range(rounds * asker.patience):
            there = cuts.relaxed(wanted)
            if there is None:
                break
            made = asker.known.solve(asker.tidy(cuts, there.first))
            if made.objective <= most or _mixed(asker, made, most):
                break
    cuts.fix(None)


def _mixed(asker: Asker, far: KnownPlan, most: float) -> bool:
    """Certify a plan as far towards one that costs too much as the limit allows; False where no way leads there.

    The way starts from a known plan with the same integers. Among those the objective is convex, so the mixture costs
    no more than the mixed cost.
    """
    integers = asker.cuts.integers
    same = [
        p for p in asker.known.plans
        if p.objective < most and np.array_equal(p.first[integers].round(), far.first[integers].round())
    ]  # fmt: skip
    if not same:
        return False
    near = min(same, key=lambda p: p.objective)
    part = (most - near.objective) / (far.objective - near.objective) * (1 - 1e-9)
    asker.known.solve(asker.tidy(asker.cuts, near.first + part * (far.first - near.first)))
    return True


def _range(asker: Asker, contract: str, rows: Bools, share: float, outer: tuple[float, float]) -> SizeRange:
    most = float(asker.template.program.size_max[rows].max())
    reached = [_size(plan, rows) for plan in _known(asker, share)]
    low, high = max(0.0, outer[0] - ROOM * most), min(outer[1] + ROOM * most, most)
    return SizeRange(
        more_cost_fraction=share,
        outer_low=_scaled(asker, contract, low),
        outer_high=_scaled(asker, contract, high),
        inner_low=_scaled(asker, contract, min(reached)) if reached else None,
        inner_high=_scaled(asker, contract, max(reached)) if reached else None,
    )

"""Questions: what a negotiator asks of a plan, and the certified answers.

`plan.questions` makes them; `report` and `cli` show them. Every value of money is an interval that holds for certain:
it comes from lower and upper bounds of two plans. None stands where there is no number, and `note` says why.
"""

from __future__ import annotations

from typing import Literal

from argosy.record import Record

Clause = Literal[
    "expansion_option",
    "exit",
    "make_up",
    "carry_forward",
    "obligation_follows_delivery",
    "right_of_first_refusal",
    "first_refusal",
]
"""What can be priced by leaving it out; `first_refusal` is a right that we hold."""


class Interval(Record):
    """A number that is known to lie between two others."""

    low_usd: float | None
    """Lower end; None means that nothing bounds it from below."""
    high_usd: float | None
    """Upper end; None means that nothing bounds it from above."""


class PlanCost(Record):
    """One plan that a value was computed from."""

    name: Literal["with", "without"]
    lower_usd: float | None
    """No plan costs less (present value of the objective); None when no plan keeps all limits."""
    upper_usd: float | None
    """Cost of the plan found."""


class CurvePoint(Interval):
    """How much would be signed at one fee, and what the contract is worth at that fee."""

    fee_usd_per_accelerator_hour: float
    """The committed fee; all other terms as written."""
    size: float
    """Accelerators signed, in the mean over futures where it is decided later; 0 means that it is not signed."""
    option_size: float
    """Accelerators of expansion option bought."""


class ClauseValue(Interval):
    """What a clause is worth to the buyer: the cost of the best plan without it, less that with it."""

    contract: str
    clause: Clause
    state: Literal["in_force", "lapsed"]
    """lapsed: the right has ended before the start; its value is what it would be worth if it had been kept."""
    note: str | None = None
    """Why an end is missing."""


class ContractValue(Interval):
    """What a contract is worth to the buyer, and the fee at which it is worth nothing."""

    contract: str
    name: str | None
    vendor: str
    status: Literal["signed", "candidate", "open"]
    unit: Literal["usd_per_accelerator_hour", "usd_per_accelerator", "price_ratio"] | None
    """Unit of `fee` and the walk-away fee: that of a committed hour, of own hardware, or a factor on all contracted
    prices of a spend commitment; None for kinds without one."""
    fee: float | None
    """The fee as written."""
    walk_away_low: float | None
    """At this fee it certainly pays to sign."""
    walk_away_high: float | None
    """At this fee it certainly does not pay."""
    fee_usd_per_accelerator_hour: float | None
    """`fee`, where it is one of hours."""
    walk_away_low_usd_per_accelerator_hour: float | None
    """`walk_away_low`, where it is one of hours."""
    walk_away_high_usd_per_accelerator_hour: float | None
    """`walk_away_high`, where it is one of hours."""
    walk_away_accelerators: float | None
    """Accelerators signed at the lower end of the walk-away fee."""
    costs: tuple[PlanCost, ...]
    """The plans with and without it."""
    size: float
    """Accelerators, or USD per month, in the plan with it."""
    curve: tuple[CurvePoint, ...] = ()
    """Fee against size, from low fees to high ones."""
    clauses: tuple[ClauseValue, ...] = ()
    """Its clauses, each on its own."""
    note: str | None = None
    """Why a number is missing."""


class ProjectValue(Interval):
    """What a project is worth when it is done, its own cost taken off, and up to which cost it pays."""

    project: str
    name: str | None
    status: Literal["candidate", "running"]
    cost_usd: float
    """One-off cost as written."""
    break_even_low_usd: float | None
    """Up to this cost it certainly pays; None when none was found."""
    break_even_high_usd: float | None
    """From this cost on it certainly does not pay."""
    costs: tuple[PlanCost, ...]
    """The plans with and without it."""
    note: str | None = None
    """Why a number is missing."""


class PriceAnswer(Record):
    """All that `argosy price` answers about one contract or project, and for which data."""

    portfolio: str
    title: str
    seed: int
    futures: int
    """Number of futures."""
    gap_fraction: float
    """Largest certified gap of any plan behind the answer."""
    plans: int
    """Plans solved."""
    worst_residual: float
    """Largest violation of any rule in any of them, recounted without the solver."""
    data_hash: str
    """SHA-256 of the portfolio and the futures."""
    versions: dict[str, str]
    values: tuple[ContractValue, ...]
    """One entry for each contract asked about."""
    projects: tuple[ProjectValue, ...] = ()
    """One entry for each project asked about."""


class StressScore(Record):
    """What the contracts of one strategy cost when something goes wrong after they are signed."""

    stress: str
    title: str
    expected_usd: float
    """Expected present value of all cost."""
    tail_usd: float
    """Mean of the costliest tail."""
    more_usd: float
    """Above the expected cost without the stress; below 0 where less is needed."""
    served_fraction: float
    """Share of the work wanted that is done, over all futures and months."""


class StrategyScore(Record):
    """One strategy's plan in a few numbers; all None where no plan keeps all limits."""

    strategy: str
    title: str
    status: Literal["optimal", "feasible", "infeasible"]
    lower_usd: float | None = None
    """No plan under this strategy costs less (objective, present value)."""
    upper_usd: float | None = None
    """What the plan found costs (objective, present value)."""
    expected_usd: float | None = None
    """Expected present value of all cost."""
    tail_usd: float | None = None
    """Mean of the costliest tail."""
    served_fraction: float | None = None
    """Share of the work wanted that is done, over all futures and months."""
    largest_vendor: str | None = None
    """Vendor with the most commitments."""
    largest_vendor_fraction: float | None = None
    """Its share of the present value of all commitments."""
    peak_cash_usd: float | None = None
    """Most money that leaves in a fiscal year as written, before use, less what is borrowed."""
    carbon_tonnes: float | None = None
    """Mean emissions over the horizon; None where a pool's facts are unknown."""
    signed: tuple[str, ...] = ()
    """Candidates that are signed now."""
    mean_regret_usd: float | None = None
    """Mean over futures of the cost above the best listed strategy in that future."""
    max_regret_usd: float | None = None
    """The largest of these."""
    regret_usd: dict[str, float] = {}
    """Future to cost above the best listed strategy in it."""
    stresses: tuple[StressScore, ...] = ()
    """In the order asked for."""


class Comparison(Record):
    """All that `argosy compare` answers, and for which data."""

    portfolio: str
    title: str
    seed: int
    futures: int
    """Number of futures."""
    gap_fraction: float
    """Largest certified gap of any of the plans."""
    worst_residual: float
    """Largest violation of any rule in any of them, recounted without the solver."""
    data_hash: str
    """SHA-256 of the portfolio and the futures."""
    versions: dict[str, str]
    strategies: tuple[StrategyScore, ...]
    """In the order asked for."""

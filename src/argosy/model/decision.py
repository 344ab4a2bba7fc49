"""Decisions: what the verbs answer, as records that rest, are checked, explained and shown.

`plan` makes a `Plan` or an `Infeasible`; `report` and `cli` show them. Every number here is final: readers only add
and divide. Money is in USD of the month it is paid in unless a name says `present_value`.
"""

from __future__ import annotations

from typing import Literal

from argosy.record import Record
from argosy.units import Month

Reason = Literal["given", "chosen", "later", "not_chosen"]


class Excuse(Record):
    """Why something was not done, and what would change it."""

    subject: str
    """Contract, workload or limit that it is about."""
    rule: str
    """Numbered rule of the concept page that binds, for example `F4.Y`."""
    limit: str
    """The binding limit in the user's words."""
    short: float | None = None
    """How much is missing, in `unit`; None when the rule has no amount."""
    unit: str | None = None
    """Unit of `short`."""
    remedy: str
    """The smallest change that would do."""


class Certificate(Record):
    """How far from optimal the plan can be at most, and for what data."""

    lower_usd: float
    upper_usd: float
    gap_fraction: float
    worst_residual: float
    """Largest violation of any row or bound, recounted without the solver, relative to the row's scale."""
    recounted_usd: float
    """Objective recounted without the solver."""
    data_hash: str
    """SHA-256 of the portfolio and scenarios."""
    versions: dict[str, str]


class ScenarioCost(Record):
    """What one future costs under the plan."""

    scenario: str
    name: str | None
    probability: float
    weight_fraction: float
    """Weight in the objective: probability, with the tail counted more as the risk aversion says."""
    cost_present_value_usd: float
    components_present_value_usd: dict[str, float]


class ContractDecision(Record):
    """What the plan says about one contract."""

    contract: str
    name: str | None
    vendor: str
    kind: str
    pools: tuple[str, ...]
    signed: bool
    reason: Reason
    size: float
    """Accelerators, or USD per month."""
    max_size: float
    unit: str
    start: Month | None
    end: Month | None
    option_size: float
    committed_usd: float
    """Minimum bill over the horizon, as written, without delays."""
    committed_present_value_usd: float


class LaterDecision(Record):
    """A decision that waits for information: exercise of an option, exit, or a later signing."""

    contract: str
    action: Literal["exercise", "exit", "sign"]
    month: Month
    scenarios: tuple[str, ...]
    """Futures that cannot be told apart then, in which it is taken."""
    probability: float
    size: float
    unit: str


class PortDecision(Record):
    """Whether a workload is made to run on another silicon family."""

    workload: str
    family: str
    ported: bool
    cost_usd: float


class ReplicaDecision(Record):
    """A copy of data kept in another region."""

    dataset: str
    region: str
    fraction: float
    gib: float
    usd_per_month: float


class SiteDecision(Record):
    """Whether an own site is built, and how large."""

    site: str
    built: bool
    mw: float
    capex_usd: float


class PoolMonth(Record):
    """Capacity and use of one pool in one month over the futures."""

    pool: str
    month: Month
    committed_accelerators: float
    """Mean of what contracts and existing stock deliver."""
    committed_low_accelerators: float
    committed_high_accelerators: float
    open_accelerators: float
    """Mean taken without commitment."""
    used_accelerators: float
    """Mean use."""


class WorkMonth(Record):
    """Demand and service of one workload in one month over the futures."""

    workload: str
    month: Month
    demand_units: float
    demand_low_units: float
    demand_high_units: float
    served_units: float
    unserved_units: float
    unserved_high_units: float
    backlog_units: float


class Dispatch(Record):
    """Mean accelerators of one pool that one workload uses in one month."""

    workload: str
    home: str
    pool: str
    month: Month
    accelerators: float


class Price(Record):
    """The internal price: what one more accelerator-hour in the pool would be worth."""

    pool: str
    month: Month
    usd_per_accelerator_hour: float


class PriceTerm(Record):
    """One future's part of an internal price; price = sum of weight_fraction times usd_per_accelerator_hour."""

    pool: str
    month: Month
    scenario: str
    weight_fraction: float
    usd_per_accelerator_hour: float
    set_by: str
    """What one more hour would replace there, with its own price."""


class CashYear(Record):
    """Money that leaves in one fiscal year as written, before use."""

    start: Month
    prepayment_usd: float
    capex_usd: float
    minimum_bill_usd: float
    credit_usd: float
    one_off_usd: float
    """Premiums, porting and replicas."""
    borrowed_usd: float
    limit_usd: float | None


class CommitmentYear(Record):
    """One contract's floor in one contract year, and what is expected of it."""

    contract: str
    start: Month
    unit: str
    """accelerator_hours or usd."""
    committed: float
    used: float
    shortfall: float
    over_take: float
    made_up: float
    fee_usd: float


class VendorShare(Record):
    """Dependence on one vendor."""

    vendor: str
    committed_present_value_usd: float
    fraction: float
    limit_fraction: float | None


class AdequacyMonth(Record):
    """What remains for critical work in one month after the worst single loss."""

    month: Month
    lost: str
    required_units: float
    remaining_units: float
    gap_units: float


class FootprintYear(Record):
    """Emissions and power in one fiscal year."""

    start: Month
    carbon_tonnes: float
    carbon_limit_tonnes: float | None
    peak_mw: float
    limit_mw: float | None


class Plan(Record):
    """A plan with its prices, its reasons and its certificate."""

    status: Literal["optimal", "feasible"]
    """optimal: within the gap asked for; feasible: stopped before, the certificate says how far it can be off."""
    portfolio: str
    title: str
    start: Month
    months: int
    step_months: int
    objective_usd: float
    bound_usd: float
    gap_fraction: float
    certificate: Certificate
    risk_aversion_fraction: float
    tail_fraction: float
    discount_rate_fraction: float
    expected_usd: float
    """Expected present value of all cost."""
    tail_usd: float
    """Mean of the costliest tail."""
    seed: int
    scenarios: tuple[ScenarioCost, ...]
    decisions: tuple[ContractDecision, ...]
    later: tuple[LaterDecision, ...]
    ports: tuple[PortDecision, ...]
    replicas: tuple[ReplicaDecision, ...]
    sites: tuple[SiteDecision, ...]
    capacity: tuple[PoolMonth, ...]
    work: tuple[WorkMonth, ...]
    dispatch: tuple[Dispatch, ...]
    prices: tuple[Price, ...]
    price_terms: tuple[PriceTerm, ...]
    cash: tuple[CashYear, ...]
    commitments: tuple[CommitmentYear, ...]
    vendor_shares: tuple[VendorShare, ...]
    adequacy: tuple[AdequacyMonth, ...]
    footprint: tuple[FootprintYear, ...]
    excuses: tuple[Excuse, ...]


class Infeasible(Record):
    """No plan keeps all limits. The limits named cannot hold together; each remedy alone would do."""

    status: Literal["infeasible"] = "infeasible"
    portfolio: str
    data_hash: str
    excuses: tuple[Excuse, ...]

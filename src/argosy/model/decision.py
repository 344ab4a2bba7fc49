"""Decisions: what the verbs answer, as records that rest, are checked, explained and shown.

`plan` makes a `Plan` or an `Infeasible`; `report` and `cli` show them. Every number here is final: readers only add
and divide. Money is in USD of the month it is paid in unless a name says `present_value`.
"""

from __future__ import annotations

from typing import Literal

from argosy.model.answer import ContractWorth, Front, NearOptimal
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


class FeeMargin(Record):
    """What one more accelerator-hour of a contract is worth to the plan, beside what is asked for it.

    It holds at the margin: for the size in the plan, or for the first unit of a contract that is not signed.
    """

    contract: str
    fee_usd_per_accelerator_hour: float
    """Committed fee as written."""
    worth_usd_per_accelerator_hour: float
    """Fee at which one more unit of its size would neither gain nor lose."""


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


class ProjectGain(Record):
    """What a project saves in one workload."""

    workload: str
    saved_fraction: float
    """Share of the accelerators that a unit of work no longer needs; the largest, where it depends on the silicon."""


class ProjectDecision(Record):
    """Whether one-off work is done that makes workloads cheaper to run, or opens other silicon to them."""

    project: str
    name: str | None
    done: bool
    reason: Reason
    start: Month | None
    """First month of work; null when it is not done."""
    ready: Month | None
    """First month in which it counts: the first whole planning step after the work; null when none is in the plan."""
    cost_usd: float
    """One-off cost as written."""
    team_months: dict[str, float]
    """Skill to months of one person."""
    gains: tuple[ProjectGain, ...]
    ports: tuple[PortDecision, ...]
    """Silicon families that it opens to workloads; its cost is that of the project."""
    margin_usd: float | None = None
    """What its first part would add to the objective, present value, at the prices of the plan (F8.6); below 0 it would
    pay. Null where it is done."""


class TeamMonth(Record):
    """People of one skill in one month."""

    team: str
    month: Month
    people: float
    """Free for projects."""
    needed_people: float
    """On projects."""
    usd_per_team_month: float | None = None
    """Shadow price: what one more person in that month would be worth (F8.5); null where it was not computed."""


class SavedMonth(Record):
    """Work of one workload that is done without accelerators because of projects, in one month, over the futures."""

    workload: str
    month: Month
    saved_units: float
    """Mean."""
    saved_high_units: float
    """Most in any future."""


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
    """Premiums, porting, projects and replicas."""
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
    """Taken above the floor free of charge, out of earlier years' shortfall."""
    credited: float
    """Counted towards the floor out of earlier years' over-take."""
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


class BaselineScore(Record):
    """What one plan costs in futures that none of the plans compared has seen."""

    plan: str
    """`plan` for the plan itself, else the short name of a baseline."""
    rule: str
    """How it decides, in words."""
    in_sample_usd: float
    """Its objective in the futures that the plan was made with."""
    objective_usd: float
    """The same objective in the unseen futures."""
    expected_usd: float
    """Mean of the unseen futures."""
    standard_error_usd: float
    """How far that mean may be off because only so many futures were drawn: one standard deviation."""
    tail_usd: float
    """Mean of the costliest tail of the unseen futures."""
    quantiles_usd: dict[str, float]
    """Share of the futures that cost no more, to that cost: `0.05`, `0.25`, `0.5`, `0.75`, `0.95`."""
    components_usd: dict[str, float]
    """The parts of the mean; they sum to it."""
    unserved_fraction: float
    """Share of all work that is not done, mean of the unseen futures."""
    worst_scenario: str
    """The costliest unseen future."""
    worst_usd: float
    """Its cost."""
    costs_usd: tuple[float, ...]
    """Cost in every unseen future, in the order of `OutOfSample.scenarios`."""


class OutOfSample(Record):
    """The plan and simpler plans in the same unseen futures. All money is present value."""

    seed: int
    """Seed of the unseen futures; their stream is not the one that the plan was made with."""
    scenarios: tuple[str, ...]
    """Unseen futures: the given ones, which every plan knows, then the drawn ones."""
    probability: tuple[float, ...]
    """Their weights; they sum to 1."""
    drawn: int
    """How many of them were drawn."""
    plan: BaselineScore
    """The plan itself."""
    baselines: tuple[BaselineScore, ...]
    """Simpler plans."""
    left_out: dict[str, str]
    """Baseline that could not be made, to the reason."""


class RegretRow(Record):
    """How much more a plan costs than the best plan of the table, future by future, over the unseen futures."""

    plan: str
    """`plan`, or the short name of a baseline."""
    expected_usd: float
    """Mean regret."""
    high_usd: float
    """Regret that one future in twenty exceeds."""
    worst_usd: float
    """Largest regret."""
    worst_scenario: str
    """Where it is."""
    best_fraction: float
    """Probability that no plan of the table costs less."""
    components_usd: dict[str, float]
    """Parts of the mean regret; they sum to it."""


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
    selected_from: int | None = None
    """How many futures those of the plan were selected from and stand for; null when they were not selected."""
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
    fee_margins: tuple[FeeMargin, ...] = ()
    projects: tuple[ProjectDecision, ...] = ()
    """Projects, done and not done."""
    teams: tuple[TeamMonth, ...] = ()
    """People by skill and month, with their shadow prices."""
    savings: tuple[SavedMonth, ...] = ()
    """Work that projects save, by workload and month."""
    excuses: tuple[Excuse, ...]
    out_of_sample: OutOfSample | None = None
    """The plan in futures that it has not seen, beside simpler plans; null where none were drawn."""
    regret: tuple[RegretRow, ...] = ()
    """One row per plan of `out_of_sample`."""
    evpi_usd: float | None = None
    """Expected value of perfect information: what the objective would fall by if the future were known now."""
    vss_usd: float | None = None
    """Value of the stochastic solution: what planning for the mean future alone would add to the objective."""
    hindsight_usd: float | None = None
    """Lower bound of the objective if later decisions could differ in every future: no rule for them can do better."""
    values: tuple[ContractWorth, ...] = ()
    """What contracts are worth to the buyer, as certified intervals; empty where it was not asked for."""
    front: tuple[Front, ...] = ()
    """Expected cost against tail risk, carbon and the largest vendor; empty where it was not asked for."""
    near_optimal: tuple[NearOptimal, ...] = ()
    """How far each contract's size can move for a little more cost; empty where it was not asked for."""
    not_computed: dict[str, str] = {}
    """What was not computed, to how to get it: absent is not zero."""


class Infeasible(Record):
    """No plan keeps all limits. The limits named cannot hold together; each remedy alone would do."""

    status: Literal["infeasible"] = "infeasible"
    portfolio: str
    data_hash: str
    excuses: tuple[Excuse, ...]

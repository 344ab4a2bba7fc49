"""Supply: what every contract and offer reduces to. Engines read this and never a contract's kind.

A row is either *sized* (somebody decides how much; it may carry a minimum bill, options and delivery risk) or *open*
(capacity that can be had month by month, up to a limit that the scenario sets). Months count from the start of the
horizon and may be negative or lie after its end. Called by `model.contract` to build and by `plan` and `place` to read.
"""

from __future__ import annotations

from typing import Literal

from argosy.model.terms import Backstop, CarryForward, Equity, MakeUp
from argosy.record import Id, Record
from argosy.units import Amount, Fraction, UsdPerAcceleratorHour

Unit = Literal["accelerators", "usd_per_month"]


class Tranche(Record):
    """A share of the size, delivered from a month over a straight ramp."""

    month: int
    """First month with capacity."""
    fraction: Fraction
    """Share of the size."""
    ramp_months: int
    """Length of the ramp; 0 is at once."""

    def delivered(self, month: int, delay_months: int = 0) -> float:
        """Share of the size that this tranche has delivered in `month`."""
        age = month - self.month - delay_months
        if age < 0:
            return 0.0
        return self.fraction * (1.0 if self.ramp_months == 0 else min(1.0, (age + 1) / self.ramp_months))


class Use(Record):
    """A pool in which the supply may be used."""

    pool: Id
    """The pool."""
    usage_usd_per_accelerator_hour: UsdPerAcceleratorHour = 0.0
    """Fee for use, on top of the committed fee."""
    draw_per_accelerator_hour: float = 1.0
    """What one accelerator-hour takes from the commitment: 1 accelerator-hour, or its contracted price in USD."""
    max_accelerators: Amount | None = None
    """Most that may be used in this pool at a time; absent means no limit but the size."""


class Commitment(Record):
    """The minimum bill of a sized supply."""

    take_or_pay_fraction: Fraction
    """Share of the delivered size that is paid whether used or not."""
    committed_usd: float
    """Fee per committed accelerator-hour (per USD, for spend)."""
    over_take_usd: float
    """Fee per accelerator-hour used above the floor (per USD, for spend)."""
    shortfall_usd: float = 0.0
    """Extra fee per accelerator-hour (per USD) below the floor, on top of the committed fee."""
    follows_delivery: bool = True
    """Whether the obligation moves with late delivery."""
    delay_credit_usd_per_accelerator_hour: float = 0.0
    """Credit per accelerator-hour that is late."""
    make_up: MakeUp | None = None
    """Later use of paid shortfall."""
    carry_forward: CarryForward | None = None
    """Later credit of over-take."""


class PaidAhead(Record):
    """Prepayment in months of the horizon."""

    fraction: Fraction
    optional_fraction: Fraction
    discount_fraction: Fraction
    pay_month: int
    credit_months: int
    refundable: bool


class OptionRight(Record):
    """Expansion option in months of the horizon."""

    max_fraction: float
    premium_usd_per_accelerator: float
    strike_usd_per_accelerator: float
    exercise_months: tuple[int, ...]
    lead_months: int
    ramp_months: int


class ExitRight(Record):
    """Right to terminate in months of the horizon."""

    notice_given_months: tuple[int, ...]
    notice_months: int
    fee_fraction: Fraction


class Build(Record):
    """One-off cost of own capacity, and the site whose power it needs."""

    site: Id
    capex_usd_per_accelerator: float
    capex_month: int
    residual_fraction: Fraction
    kw_per_accelerator: float
    embodied_tonnes_per_accelerator: float


class FirstRefusal(Record):
    """A third party may match the contract, which moves its capacity to another pool."""

    holder: Id
    pool: Id
    match_fraction: Fraction


class Supply(Record):
    """One row of supply."""

    id: Id
    """Unique; the contract's id, with a suffix where a contract gives several rows."""
    contract: Id
    """Contract it comes from."""
    vendor: Id
    """Party we pay."""
    unit: Unit
    """What the size counts."""
    uses: tuple[Use, ...]
    """Where it may be used."""

    open_accelerators: tuple[float, ...] | None = None
    """Open supply: what can be had in each month of the horizon. None means that the row is sized."""
    guaranteed: bool = False
    """Open supply: whether adequacy (N1) may count on it."""
    price_family: str | None = None
    """Open supply: rows of one family share the price level that a scenario draws."""

    signed_size: float | None = None
    """Size already agreed; None means that the size is a decision."""
    min_size: float = 0.0
    """Smallest size that may be signed."""
    max_size: float = 0.0
    """Largest size."""
    alternatives: str | None = None
    """Rows with the same word exclude each other."""
    sign_month: int = 0
    """Month in which it is signed. After month 0 the decision may depend on what is known then."""
    tranches: tuple[Tranche, ...] = ()
    """Delivery of the size."""
    end_month: int = 0
    """First month without capacity or obligation; may lie after the horizon."""
    commitment: Commitment | None = None
    """Minimum bill."""
    paid_ahead: PaidAhead | None = None
    """Prepayment."""
    option: OptionRight | None = None
    """Expansion option."""
    exit: ExitRight | None = None
    """Right to leave."""
    backstop: Backstop | None = None
    """Duty to take unsold capacity."""
    first_refusal: FirstRefusal | None = None
    """A third party's right to match."""
    equity: Equity | None = None
    """Value that vests with delivery."""
    build: Build | None = None
    """Own build."""
    max_over_take_fraction: float = 0.0
    """Spend: use above the size, as a share of it, still at the contracted price."""

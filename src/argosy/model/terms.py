"""Terms: the clauses that contracts are made of, each a record that any kind may carry.

The kinds in `contract/` choose their clauses and reduce them to `Supply`; nothing here decides.
"""

from __future__ import annotations

from typing import Annotated

from annotated_types import Ge, Le

from argosy.model.source import Source
from argosy.record import Id, Record
from argosy.units import (
    Amount,
    Factor,
    Fraction,
    Month,
    Months,
    PositiveMonths,
    SignedUsd,
    Usd,
    UsdPerAcceleratorHour,
)

Years = Annotated[int, Ge(1), Le(20)]
Dates = Annotated[int, Ge(1), Le(12)]


class Delivery(Record):
    """One tranche: a share of the contract's size that is delivered from a month, over a ramp."""

    start: Month
    """First month in which some of the tranche is there."""
    fraction: Fraction
    """Share of the contract's size. The shares of all tranches sum to 1."""
    ramp_months: Months = 0
    """Months over which the tranche grows in a straight line; 0 delivers it at once."""


class VolumeTier(Record):
    """A price that holds from a size upwards."""

    from_accelerators: Amount
    """Smallest size at which the price is given."""
    usd_per_accelerator_hour: UsdPerAcceleratorHour
    """Price of every accelerator of the contract at this size."""


class Prepayment(Record):
    """Part of the committed fees paid at signing and credited back against the bills."""

    fraction: Fraction
    """Share of all committed fees of the term that is paid at signing."""
    credit_months: PositiveMonths = 12
    """Months over which the prepayment is credited in equal parts, from first delivery."""
    optional_fraction: Fraction = 0.0
    """Further share that may be prepaid by choice."""
    discount_fraction: Annotated[float, Ge(0), Le(0.9)] = 0.0
    """Discount earned on what is prepaid by choice."""
    refundable_on_late_delivery: bool = False
    """Whether the uncredited rest comes back when the vendor defaults."""


class Shortfall(Record):
    """What unused commitment costs on top of the fee already committed."""

    usd_per_accelerator_hour: UsdPerAcceleratorHour = 0.0
    """Extra charge per accelerator-hour (or per USD, for spend) below the floor."""


class MakeUp(Record):
    """The right to use later, free of further fee, what was paid for and not taken."""

    fraction: Fraction
    """Share of a year's shortfall that is banked."""
    validity_years: Years = 2
    """Contract years after which banked capacity expires."""


class CarryForward(Record):
    """The right to count use above the floor against the floor of later years."""

    fraction: Fraction
    """Share of a year's use above the floor that is carried forward."""
    validity_years: Years = 1
    """Contract years after which it expires."""


class ExpansionOption(Record):
    """The right, bought at signing, to more capacity at the contract's price from a later date."""

    max_fraction: Factor
    """Largest option as a share of the contract's size."""
    premium_usd_per_accelerator: Usd = 0.0
    """Paid at signing for each accelerator of option."""
    strike_usd_per_accelerator: Usd = 0.0
    """Paid at exercise for each accelerator exercised."""
    first_exercise: Month
    """First month in which it may be exercised."""
    last_exercise: Month | None = None
    """Last month in which it may be exercised; absent means only in the first."""
    exercise_dates: Dates = 1
    """Dates between first and last at which the decision is taken."""
    lead_months: Months = 0
    """Months from exercise to delivery."""
    ramp_months: Months = 0
    """Months over which exercised capacity is delivered."""


class Exit(Record):
    """The right to end the contract, or part of it, before its term."""

    earliest: Month
    """First month in which notice may be given."""
    dates: Dates = 1
    """Dates, evenly spread until the end, at which the decision is taken."""
    notice_months: Months = 3
    """Months from notice to the end of capacity and fees."""
    fee_fraction: Fraction = 0.0
    """Termination fee as a share of the committed fees that remain after the notice."""
    vendor_may_too: bool = False
    """Whether the vendor has the same right; scenarios may then use it."""


class Backstop(Record):
    """The buyer's duty to take capacity that the vendor cannot sell to others."""

    max_fraction: Factor
    """Largest extra capacity as a share of the contract's size."""
    expected_unsold_fraction: Fraction = 0.5
    """Mean share of it that the vendor will fail to sell; scenarios draw around it."""


class FirstRefusalGranted(Record):
    """A third party's right to match this contract and serve it from its own capacity."""

    holder: Id
    """Vendor that may match."""
    pool: Id
    """Pool of the holder that the capacity would then come from."""
    match_fraction: Fraction = 0.3
    """Probability that the holder matches; scenarios draw it once per contract."""
    lapses: Month | None = None
    """Month from which the right no longer exists; a contract that starts later is free of it."""


class Equity(Record):
    """Shares or warrants that move with deployment. Positive values are received by us, negative ones given."""

    usd_per_accelerator: SignedUsd
    """Value today of what vests for each accelerator delivered."""
    realised_fraction: Fraction = 0.5
    """Share of that value that a cautious reader would count, after conditions, price risk and lock-up."""
    max_usd: Usd | None = None
    """Cap of the total value; absent means none."""


class PowerPassThrough(Record):
    """Electricity that the landlord bills on at cost."""

    kw_per_accelerator: Annotated[float, Ge(0), Le(100)]
    """Facility power of one accelerator."""
    usd_per_mwh: Annotated[float, Ge(0), Le(2000)]
    """Price of electricity at the site."""


class OpenTier(Record):
    """An amount of uncommitted capacity that can be had at one price."""

    accelerators: Amount
    """How much can be had at this price in one month."""
    usd_per_accelerator_hour: UsdPerAcceleratorHour
    """The price."""


class Clauses(Record):
    """The clauses that every contract with a commitment may carry."""

    prepayment: Prepayment | None = None
    """Part paid at signing."""
    shortfall: Shortfall | None = None
    """Extra charge on unused commitment."""
    make_up: MakeUp | None = None
    """Later use of what was paid and not taken."""
    carry_forward: CarryForward | None = None
    """Later credit for use above the floor."""
    expansion_option: ExpansionOption | None = None
    """Right to more capacity later."""
    exit: Exit | None = None
    """Right to leave early."""
    backstop: Backstop | None = None
    """Duty to take unsold capacity."""
    right_of_first_refusal: FirstRefusalGranted | None = None
    """A third party's right to match."""
    equity: Equity | None = None
    """Shares or warrants tied to deployment."""
    source: Source | None = None
    """Public page that states the terms."""

"""Site: an own place with land and grid connection, whose power limits what is built there."""

from __future__ import annotations

from argosy.record import Id, Record
from argosy.units import Amount, Month, Months, Usd


class Site(Record):
    """An own site that can be built."""

    id: Id
    """Short name, used by own_build contracts."""
    region: Id
    """Region that its pools stand in."""
    max_mw: Amount
    """Most power that the connection can carry when complete."""
    min_mw: Amount = 0.0
    """Smallest site that is worth building."""
    capex_usd_per_mw: Usd = 0.0
    """Land, shell, power and cooling, per MW of facility power."""
    fixed_usd: Usd = 0.0
    """One-off cost of opening the site at all."""
    committed: bool = False
    """Whether the site is already being built; the plan then cannot leave it out."""
    energised: Month
    """First month with power."""
    ramp_months: Months = 0
    """Months until the full power is there."""

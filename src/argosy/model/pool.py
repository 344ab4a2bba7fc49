"""Pool: interchangeable capacity, a vendor's silicon in one region at one tier."""

from __future__ import annotations

from typing import Annotated, Literal

from annotated_types import Ge, Le

from argosy.record import Id, Record
from argosy.units import Amount, Fraction, Month, UsdPerAcceleratorHour

Tier = Literal["dedicated", "spot"]


class Pool(Record):
    """Accelerators that any workload allowed here may use alike."""

    id: Id
    """Short name, used by contracts."""
    region: Id
    """Region it stands in; its vendor is the region's."""
    silicon: Id
    """Type of chip."""
    tier: Tier = "dedicated"
    """`spot` capacity can be taken away: work there yields its spot goodput only."""
    existing_accelerators: dict[Month, Amount] = {}
    """Accelerators already paid for and outside every contract here: month of change to count."""
    existing_usd_per_accelerator_hour: UsdPerAcceleratorHour = 0.0
    """What using existing accelerators costs per hour (power, support); owning them is sunk."""
    carbon_g_per_kwh: Annotated[float, Ge(0), Le(3000)] | None = None
    """Grid carbon where it differs from the region's."""
    vendor_goodput_fraction: Fraction = 1.0
    """Share of time that accelerators here do useful work, after faults and maintenance."""

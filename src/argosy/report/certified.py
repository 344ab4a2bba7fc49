"""The gate in front of every page and table: a plan without a sound certificate is not shown.

`report` and `cli` call it before they show or write a plan.
"""

from __future__ import annotations

import math

from argosy.errors import CheckFailed
from argosy.model.decision import Plan

# Bounds are sums of millions of terms; below this share they cannot be told apart.
_ROUNDING_FRACTION = 1e-9


def require_certificate(plan: Plan) -> None:
    """Nothing when the certificate can be true; CheckFailed that says what is wrong with it otherwise."""
    c = plan.certificate
    values = {
        "certificate.lower_usd": c.lower_usd, "certificate.upper_usd": c.upper_usd,
        "certificate.gap_fraction": c.gap_fraction, "certificate.worst_residual": c.worst_residual,
        "certificate.recounted_usd": c.recounted_usd, "objective_usd": plan.objective_usd, "bound_usd": plan.bound_usd,
        "gap_fraction": plan.gap_fraction,
    }  # fmt: skip
    unknown = sorted(name for name, value in values.items() if not math.isfinite(value))
    if unknown:
        raise CheckFailed(
            f"the plan has no certificate: {', '.join(unknown)} is not a number; solve again and check it"
        )
    room = _ROUNDING_FRACTION * max(1.0, abs(c.upper_usd))
    if c.lower_usd > c.upper_usd + room or plan.bound_usd > plan.objective_usd + room:
        raise CheckFailed(
            f"the plan's certificate contradicts itself: its lower bound {c.lower_usd:,.2f} USD is above its"
            " upper bound"
            f" {c.upper_usd:,.2f} USD; solve again and check it"
        )
    if c.gap_fraction < 0 or plan.gap_fraction < 0:
        raise CheckFailed(f"the plan's certificate contradicts itself: its gap {c.gap_fraction:g} is below zero")

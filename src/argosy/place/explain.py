"""Explain: a decision about one ask in plain sentences. Reads the placement only: a stored one explains itself."""

from __future__ import annotations

from argosy.model.placement import Placement

CENT = 0.005


def explanation(placement: Placement, ask: str) -> list[str]:
    """Why there, why not the runner-up, why pending, which limit binds, what would unblock it; one sentence a line."""
    lines = []
    pools = {row.pool: row for row in placement.pools}
    for row in placement.assignments:
        if row.ask != ask:
            continue
        pool = pools[row.pool]
        verb = {"stay": "stays", "start": "starts", "migrate": "moves to"}[row.change]
        lines.append(f"{ask}: {row.count:,.6g} {verb} {'in ' if row.change != 'migrate' else ''}{row.pool}.")
        lines.append(
            f"  Gain {row.gain_usd_per_hour:,.2f} USD per hour at {pool.usd_per_accelerator_hour:,.2f} USD per "
            f"accelerator-hour ({placement.price_note})."
        )
        if row.seats:
            on = ", ".join(f"{seat.node} ({seat.accelerators:g})" for seat in row.seats[:8])
            lines.append(f"  On {on}{f' and {len(row.seats) - 8} more' if len(row.seats) > 8 else ''}.")
        if row.start_after_hours > 0:
            lines.append(f"  Useful work begins after {row.start_after_hours:.1f} hours.")
        if pool.scarcity_usd_per_accelerator_hour > 0:
            lines.append(
                f"  The pool is scarce: one more accelerator-hour there would be worth "
                f"{pool.scarcity_usd_per_accelerator_hour:,.2f} USD."
            )
        if row.runner_up is not None and row.runner_up_loss_usd_per_hour is not None:
            loss = row.runner_up_loss_usd_per_hour
            worse = f"{row.why_not}; {loss:,.2f} USD per hour worse in all"
            if loss < CENT:
                # Scarcity evens out what it would gain there: one of equals was taken.
                alike = str(row.why_not).startswith("it is as good")
                worse = str(row.why_not) if alike else f"{row.why_not}; in all it is as good"
            lines.append(f"  Not {row.runner_up}: {worse}.")
        else:
            lines.append("  No other pool could run it.")
    for transfer in placement.transfers:
        if ask in transfer.readers:
            lines.append(
                f"  {transfer.dataset} is copied {transfer.from_region} to {transfer.to_region} first: "
                f"{transfer.usd:,.2f} USD once, "
                f"{transfer.hours:.1f} hours (at worst in nine of ten {transfer.slow_hours:.1f})."
            )
    for eviction in placement.evictions:
        if eviction.ask == ask:
            lines.append(f"{ask}: {eviction.count:,.6g} stopped in {eviction.pool}: {eviction.reason}.")
    for waiting in placement.unplaced:
        if waiting.ask == ask:
            lines.append(f"{ask}: {waiting.count:,.6g} waits.")
            lines += [f"  {e.rule}: {e.limit}. To unblock: {e.remedy}." for e in waiting.excuses]
    return lines

"""Explain: a decision about one ask in plain sentences. Reads the placement only: a stored one explains itself."""

from __future__ import annotations

from argosy.model.placement import Assignment, FairLevel, Placement

CENT = 0.005


def explanation(placement: Placement, ask: str) -> list[str]:
    """Why there, why not the runner-up, why pending, which limit binds, what would unblock it; one sentence a line."""
    lines = []
    pools = {row.pool: row for row in placement.pools}
    levels = () if placement.fairness is None else placement.fairness.levels
    shared = {row.ask: row for row in levels if not row.first}
    first = {row.ask for row in levels if row.first}
    for row in placement.assignments:
        if row.ask != ask:
            continue
        pool = pools[row.pool]
        verb = {"stay": "stays", "start": "starts", "migrate": "moves to"}[row.change]
        lines.append(f"{ask}: {row.count:,.6g} {verb} {'in ' if row.change != 'migrate' else ''}{row.pool}.")
        if row.ask in shared:
            lines += _share(placement, row, shared[row.ask])
            continue
        if row.ask in first:
            lines.append(
                f"  Placed first, by value: {placement.objective} gives shares of time to work that comes and ends."
            )
        lines.append(
            f"  Gain {row.gain_usd_per_hour:,.2f} USD per hour at {pool.usd_per_accelerator_hour:,.2f} USD per "
            f"accelerator-hour ({placement.price_note})."
        )
        if row.seats:
            on = ", ".join(f"{seat.node} ({seat.accelerators:g})" for seat in row.seats[:8])
            lines.append(f"  On {on}{f' and {len(row.seats) - 8} more' if len(row.seats) > 8 else ''}.")
        lines += _way(row)
        if row.off_spot is not None:
            lines.append(f"  Its deadline keeps it off spot. {row.off_spot}.")
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
    for turn in placement.shared:
        if turn.ask == ask:
            lines.append(
                f"{ask}: {turn.count:,.4g} of its time in {turn.pool} on the same accelerators as {turn.beside}, at "
                f"{turn.speed_fraction:.0%} of its speed alone."
            )
            if not any(row.ask == ask for row in placement.assignments):
                lines += _level(placement, shared[ask])
    for transfer in placement.transfers:
        if ask in transfer.readers:
            slow = "" if transfer.slow_hours is None else f" (nine times of ten at most {transfer.slow_hours:.1f})"
            lines.append(
                f"  {transfer.dataset} is copied {transfer.from_region} to {transfer.to_region} first: "
                f"{transfer.usd:,.2f} USD once, {transfer.hours:.1f} hours{slow}."
            )
    for eviction in placement.evictions:
        if eviction.ask == ask:
            lines.append(f"{ask}: {eviction.count:,.6g} stopped in {eviction.pool}: {eviction.reason}.")
    for waiting in placement.unplaced:
        if waiting.ask == ask:
            lines.append(f"{ask}: {waiting.count:,.6g} waits.")
            lines += [f"  {e.rule}: {e.limit}. To unblock: {e.remedy}." for e in waiting.excuses]
    return lines


LEVELS = {
    "max_min": "its progress is {level:.3g} times what a proportional share of every pool would give it",
    "least_attained_service": "with what it has had, {level:.3g} hours of a proportional share of every pool",
    "finish_time_fairness": "it will have taken {level:.3g} times as long as with a proportional share of every pool",
    "makespan": "at this share its work takes {level:.3g} hours",
}
WORST = {"max_min": "least", "least_attained_service": "least", "finish_time_fairness": "most", "makespan": "most"}


def _share(placement: Placement, row: Assignment, level: FairLevel) -> list[str]:
    """A share of time: what it comes to, and what anybody has at worst."""
    lines = [f"  That is a share of its time; it takes turns on {row.accelerators:,.4g} accelerators on average."]
    lines += _level(placement, level)
    return lines + _way(row)


def _way(row: Assignment) -> list[str]:
    """How far its users are, and when useful work begins."""
    lines = []
    if row.round_trip_milliseconds is not None:
        lines.append(
            f"  Its users are {row.round_trip_milliseconds:g} ms away (there and back); "
            f"at most {row.max_round_trip_milliseconds:g} are allowed."
        )
    if row.start_after_hours > 0:
        lines.append(f"  Useful work begins after {row.start_after_hours:.1f} hours.")
    return lines


def _level(placement: Placement, level: FairLevel) -> list[str]:
    if level.level is None:
        return []
    words = LEVELS[placement.objective].format(level=level.level)
    worst = f"the {WORST[placement.objective]} that anybody has is {placement.objective_value:.3g}"
    return [f"  {words[0].upper()}{words[1:]}; {worst}."]

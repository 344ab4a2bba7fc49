"""The sentences about what a contract is worth; the page and the terminal say the same.

`questions_page` and `cli.questions_tables` call it. Nothing is computed here.
"""

from __future__ import annotations

from argosy.model.question import ClauseValue, ContractValue, Interval, ProjectValue
from argosy.report.format import ABSENT, clip, number, quantity, usd, words

CLAUSES = {
    "expansion_option": "option to expand",
    "exit": "right to leave early",
    "make_up": "make-up of unused commitment",
    "carry_forward": "carry-forward of over-take",
    "obligation_follows_delivery": "obligation that follows delivery",
    "right_of_first_refusal": "right of first refusal granted",
    "first_refusal": "right of first refusal held",
}


def between(value: Interval) -> str:
    """An interval of money in words."""
    low, high = value.low_usd, value.high_usd
    if low is None and high is None:
        return "not known"
    if low is None:
        return f"at most {usd(high)}"
    if high is None:
        return f"at least {usd(low)}"
    return usd(low) if usd(low) == usd(high) else f"{usd(low)} to {usd(high)}"


def exact(value: float | None) -> str:
    """Money to the dollar, for bounds whose difference counts."""
    return ABSENT if value is None else f"USD {value:,.0f}"


def fee(value: float | None) -> str:
    """A fee with enough digits to negotiate by."""
    return ABSENT if value is None else f"{value:,.3f}"


FEE_UNITS = {
    "usd_per_accelerator_hour": "USD per accelerator-hour",
    "usd_per_accelerator": "USD per accelerator",
    "price_ratio": "times the contracted prices",
}


def walk_away(value: ContractValue) -> str:
    """The walk-away fee in words."""
    if value.unit is None:
        return ABSENT
    return fee_range(value.walk_away_low, value.walk_away_high, value.unit)


def fee_range(low: float | None, high: float | None, unit: str) -> str:
    """An interval of fees in words."""
    name = FEE_UNITS.get(unit, words(unit))
    if low is None and high is None:
        return ABSENT
    if low is None:
        return f"at most {fee(high)} {name}"
    if high is None:
        return f"at least {fee(low)} {name}"
    return f"{fee(low)} {name}" if fee(low) == fee(high) else f"{fee(low)} to {fee(high)} {name}"


def headline(value: ContractValue) -> tuple[str, ...]:
    """What it is worth, when to walk away, and what is signed."""
    sentences = [f"{clip(value.contract, 60)} is worth {between(value)} to the buyer (present value)."]
    if walk_away(value) != ABSENT:
        asked = f"; asked is {fee(value.fee)}"
        sentences.append(f"Walk away at a fee of {walk_away(value)}{asked}.")
    if value.unit in ("usd_per_accelerator_hour", "usd_per_accelerator"):
        sentences.append(f"The best plan signs {quantity(round(value.size), 'accelerators')}.")
    if value.note:
        sentences.append(value.note[0].upper() + value.note[1:] + ".")
    return tuple(sentences)


def project_headline(value: ProjectValue) -> tuple[str, ...]:
    """What a project is worth, and up to which cost it pays."""
    sentences = [f"{clip(value.project, 60)} is worth {between(value)} when it is done, its cost taken off."]
    low, high = value.break_even_low_usd, value.break_even_high_usd
    asked = f"; as written it costs {usd(value.cost_usd)}"
    if low is not None:
        sentences.append(f"It certainly pays up to a cost of {usd(low)}{asked}.")
    if high is not None:
        sentences.append(f"It certainly does not pay above {usd(high)}{asked if low is None else ''}.")
    if value.note:
        sentences.append(value.note[0].upper() + value.note[1:] + ".")
    return tuple(sentences)


def clause_name(value: ClauseValue) -> str:
    """What the clause is called."""
    name = CLAUSES.get(value.clause, words(value.clause))
    return f"{name}, had it been kept" if value.state == "lapsed" else name


def curve_rows(value: ContractValue) -> list[tuple[str, str, str, str]]:
    """Fee, size, option and value of each point."""
    return [(fee(p.fee_usd_per_accelerator_hour), number(round(p.size)), number(round(p.option_size)), between(p))
            for p in value.curve]  # fmt: skip

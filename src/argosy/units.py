"""Unit-carrying value types and the table of unit suffixes.

The unit of a quantity is the last word of its name; `SUFFIXES` says what each last word means. The annotated types give
a field its range, so that a price of 20 000 USD per accelerator-hour is refused where it is written.
"""

from __future__ import annotations

import calendar
import re
from dataclasses import dataclass
from functools import total_ordering
from typing import Annotated, Any

from annotated_types import Ge, Gt, Le
from pydantic import AllowInfNan, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

HOURS_PER_DAY = 24
GIB_PER_GB = 1e9 / 2**30

# The last words of names, with their dimension in pint's notation. Laws in tests/house prove that every public
# quantity ends in one of them, tests/unit that formulas keep dimensions.
SUFFIXES: dict[str, str] = {
    "usd": "USD",
    "usd_per_accelerator_hour": "USD / accelerator / hour",
    "usd_per_accelerator_month": "USD / accelerator / month",
    "usd_per_accelerator": "USD / accelerator",
    "usd_per_gib": "USD / gibibyte",
    "usd_per_mw": "USD / megawatt",
    "usd_per_mwh": "USD / megawatt / hour",
    "usd_per_tonne": "USD / tonne",
    "usd_per_unit": "USD / unit",
    "usd_per_month": "USD / month",
    "usd_per_hour": "USD / hour",
    "units_per_hour": "unit / hour",
    "steps": "count",
    "steps_per_second": "count / second",
    "per_second": "1 / second",
    "accelerators": "accelerator",
    "accelerator_hours": "accelerator * hour",
    "people": "person",
    "team_months": "person * month",
    "usd_per_team_month": "USD / person / month",
    "hours": "hour",
    "months": "month",
    "seconds": "second",
    "milliseconds": "millisecond",
    "gib": "gibibyte",
    "gib_per_unit": "gibibyte / unit",
    "gib_per_month": "gibibyte / month",
    "gib_per_second": "gibibyte / second",
    "gbit_per_second": "gigabit / second",
    "mw": "megawatt",
    "kw": "kilowatt",
    "kw_per_accelerator": "kilowatt / accelerator",
    "mwh": "megawatt * hour",
    "tonnes": "tonne",
    "tonnes_per_accelerator": "tonne / accelerator",
    "g_per_kwh": "gram / kilowatt / hour",
    "tokens": "token",
    "tokens_per_second": "token / second",
    "units": "unit",
    "fraction": "dimensionless",
    "ratio": "dimensionless",
    "teraflops": "1e12 / second",
    "degrees": "degree",
}

# 250 USD is far above any price ever asked for one accelerator-hour and far below an instance-month typed by mistake.
UsdPerAcceleratorHour = Annotated[float, Ge(0), Le(250), AllowInfNan(False)]
Usd = Annotated[float, Ge(0), Le(1e14), AllowInfNan(False)]
SignedUsd = Annotated[float, Ge(-1e14), Le(1e14), AllowInfNan(False)]
Amount = Annotated[float, Ge(0), Le(1e12), AllowInfNan(False)]
PositiveAmount = Annotated[float, Gt(0), Le(1e12), AllowInfNan(False)]
Fraction = Annotated[float, Ge(0), Le(1), AllowInfNan(False)]
Factor = Annotated[float, Ge(0), Le(1000), AllowInfNan(False)]
Months = Annotated[int, Ge(0), Le(1200)]
PositiveMonths = Annotated[int, Ge(1), Le(1200)]


@total_ordering
@dataclass(frozen=True, slots=True)
class Month:
    """One calendar month, written `2026-01`. Knows its hours; differences are whole months."""

    year: int
    month: int

    _PATTERN = re.compile(r"(\d{4})-(\d{2})")

    @classmethod
    def parse(cls, text: str) -> Month:
        """Read `YYYY-MM`; ValueError says what would be right."""
        match = cls._PATTERN.fullmatch(text)
        if match is None or not 1 <= int(match[2]) <= 12 or not 1970 <= int(match[1]) <= 2200:
            raise ValueError(f"{text!r} is not a month; write it as YYYY-MM, for example 2026-01")
        return cls(int(match[1]), int(match[2]))

    @property
    def number(self) -> int:
        """Months since year 0; the difference of two numbers is the distance in months."""
        return self.year * 12 + self.month - 1

    @property
    def hours(self) -> int:
        """Hours in this month by the calendar (UTC), never 730."""
        return calendar.monthrange(self.year, self.month)[1] * HOURS_PER_DAY

    def plus(self, months: int) -> Month:
        """The month so many months later (or earlier)."""
        year, month = divmod(self.number + months, 12)
        return Month(year, month + 1)

    def __lt__(self, other: Month) -> bool:
        return self.number < other.number

    def __sub__(self, other: Month) -> int:
        return self.number - other.number

    def __str__(self) -> str:
        return f"{self.year:04d}-{self.month:02d}"

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        parse = core_schema.no_info_after_validator_function(cls.parse, core_schema.str_schema(strict=True))
        return core_schema.json_or_python_schema(
            json_schema=parse,
            python_schema=core_schema.union_schema([core_schema.is_instance_schema(cls), parse], mode="left_to_right"),
            serialization=core_schema.to_string_ser_schema(),
        )

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"type": "string", "pattern": r"^\d{4}-\d{2}$", "description": "A month, written YYYY-MM."}

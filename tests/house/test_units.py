"""Units: every number says its unit in its name, and the conversions of the plan keep dimensions."""

from __future__ import annotations

import importlib
import pkgutil
import types
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin

import numpy as np
import pint
import pytest
from pydantic import BaseModel

import argosy.model
from argosy.files.load import load
from argosy.market.catalogue import bundled
from argosy.model.futures import futures
from argosy.plan.calendar import STANDARD_HOURS
from argosy.plan.inputs import Inputs, inputs
from argosy.settings import Settings
from argosy.units import SUFFIXES

ROOT = Path(__file__).resolve().parents[2]

# Names without a unit in them, each with the reason.
UNITLESS = {
    "cpus": "a count of cores",
    "probability": "a probability is a number from 0 to 1 and nothing else",
    "demand_factor": "a factor on an amount",
    "price_factor": "a factor on a price",
    "capacity_factor": "a factor on an amount",
    "homes": "shares by region",
    "points": "an amount over time; its field says of what",
    "size": "unit stands in the field `unit`",
    "max_size": "as size",
    "min_size": "as size",
    "signed_size": "as size",
    "option_size": "as size",
    "walk_away_low": "unit stands in the field `unit`",
    "walk_away_high": "unit stands in the field `unit`",
    "fee": "unit stands in the field `unit`",
    "limit": "unit stands in the field `unit` of the front",
    "outer_low": "unit stands in the field `unit` of the contract",
    "outer_high": "unit stands in the field `unit` of the contract",
    "inner_low": "unit stands in the field `unit` of the contract",
    "inner_high": "unit stands in the field `unit` of the contract",
    "short": "unit stands in the field `unit`",
    "committed": "unit stands in the field `unit`",
    "used": "unit stands in the field `unit`",
    "shortfall": "unit stands in the field `unit`",
    "over_take": "unit stands in the field `unit`",
    "made_up": "unit stands in the field `unit`",
    "credited": "unit stands in the field `unit`",
    "count": "members of a class",
    "speed": "units of the work itself per second, whatever the work counts",
    "weight": "a weight among others",
    "owner_shares": "shares of a whole",
    "objective_value": "unit depends on the objective",
    "level": "as objective_value",
    "price": "of a proof, in the unit of the objective for each unit of what is priced",
    "progress_price": "as price",
    "time_price": "as price",
    "most": "unit stands in the field `unit`",
    "owed": "in the unit of the supply's capacity",
    "capacity": "unit stands in the field `unit`",
    "draw": "what one accelerator takes of the line's unit",
    "worst_residual": "relative to the scale of its row",
    "draw_per_accelerator_hour": "accelerator-hours or USD, as the row's unit says",
    "units_per_accelerator": "units of work in a month per accelerator-month, a pure ratio by silicon",
    "tokens_per_second_per_h100": "tokens per second of one H100",
    "sandboxes_per_server": "sandboxes that one server carries",
    "ratios": "units of work per accelerator, by silicon",
}

# Units of a single field each; too rare for the table of suffixes.
RARE = {"usd_per_year": "USD / year", "tonnes_per_year": "tonne / year", "watts": "watt"}
UNITS = SUFFIXES | RARE


@pytest.fixture(scope="module")
def money() -> pint.UnitRegistry[float]:
    registry: pint.UnitRegistry[float] = pint.UnitRegistry()
    for word in ("USD", "accelerator", "unit", "token", "person"):
        registry.define(f"{word} = [{word}]")
    return registry


@pytest.fixture(scope="module")
def told() -> Inputs:
    catalogue = bundled()
    portfolio = load(ROOT / "examples" / "startup", Settings(), catalogue=catalogue).with_catalogue(catalogue)
    return inputs(portfolio, futures(portfolio))


def records() -> list[type[BaseModel]]:
    """Every record class of the model and the settings."""
    found: dict[type[BaseModel], None] = {Settings: None}
    for info in pkgutil.walk_packages(argosy.model.__path__, "argosy.model."):
        for thing in vars(importlib.import_module(info.name)).values():
            if isinstance(thing, type) and issubclass(thing, BaseModel) and thing.__module__ == info.name:
                found[thing] = None
    return list(found)


def holds_float(annotation: Any) -> bool:
    if annotation is float:
        return True
    if get_origin(annotation) is Annotated:
        return holds_float(get_args(annotation)[0])
    if get_origin(annotation) in (tuple, dict, list, frozenset) or isinstance(annotation, types.UnionType):
        return any(holds_float(part) for part in get_args(annotation))
    return any(holds_float(part) for part in get_args(annotation))


def has_unit(name: str) -> bool:
    return any(name == suffix or name.endswith(f"_{suffix}") for suffix in UNITS)


FLOATS = sorted(
    {(cls.__module__, cls.__name__, name) for cls in records() for name, f in cls.model_fields.items()
     if holds_float(f.annotation)}
)  # fmt: skip


def test_the_search_finds_numbers() -> None:
    assert len(FLOATS) > 100


@pytest.mark.parametrize(("module", "record", "name"), FLOATS, ids=[".".join(field[1:]) for field in FLOATS])
def test_numbers_end_in_their_unit(module: str, record: str, name: str) -> None:
    assert has_unit(name) or name in UNITLESS, f"{module}.{record}.{name} does not say its unit"


def test_the_list_of_exceptions_is_needed() -> None:
    names = {name for _, _, name in FLOATS}
    assert sorted(name for name in UNITLESS if has_unit(name) or name not in names) == []


@pytest.mark.parametrize("suffix", sorted(UNITS))
def test_suffixes_are_units(money: pint.UnitRegistry[float], suffix: str) -> None:
    """Pint reads each; the name and the unit agree on what is paid and what it is paid for."""
    powers = money.parse_expression(UNITS[suffix]).dimensionality
    above, _, below = suffix.partition("_per_")
    assert powers["[USD]"] == ("usd" in above.split("_"))
    assert powers["[accelerator]"] == ("accelerator" in above) - ("accelerator" in below)


def test_products_have_the_unit_of_their_name(money: pint.UnitRegistry[float]) -> None:
    def unit(suffix: str) -> Any:
        return money.parse_expression(SUFFIXES[suffix])

    assert (unit("accelerators") * unit("hours")).is_compatible_with(unit("accelerator_hours"))
    assert (unit("usd_per_accelerator_hour") * unit("accelerator_hours")).is_compatible_with(unit("usd"))
    assert (unit("usd_per_unit") * unit("units")).is_compatible_with(unit("usd"))
    assert (unit("usd_per_gib") * unit("gib_per_unit") * unit("units")).is_compatible_with(unit("usd"))
    assert (unit("usd_per_mw") * unit("mw")).is_compatible_with(unit("usd"))
    assert (unit("usd_per_mwh") * unit("kw") * unit("hours")).is_compatible_with(unit("usd"))
    assert (unit("usd_per_tonne") * unit("tonnes")).is_compatible_with(unit("usd"))
    assert (unit("kw") * unit("hours") * unit("g_per_kwh")).is_compatible_with(unit("tonnes"))
    assert (unit("kw_per_accelerator") * unit("accelerators")).is_compatible_with(unit("mw"))
    assert (unit("tokens_per_second") * unit("seconds")).is_compatible_with(unit("tokens"))


def test_carbon_of_the_plan(money: pint.UnitRegistry[float], told: Inputs) -> None:
    """pool_carbon = kW x hours x g/kWh, in tonnes per accelerator."""
    program, world = told.program, told.world
    hours = program.duration * STANDARD_HOURS * money.hour
    checked = 0
    for p, pool in enumerate(world.pools):
        kw, grid = world.silicon[pool.silicon].facility_kw, world.regions[pool.region].grid_carbon_g_per_kwh
        if kw is None or grid is None or pool.carbon_g_per_kwh is not None:
            continue
        expected = (kw * money.kilowatt * hours * grid * money.gram / (money.kilowatt * money.hour)).to("tonne")
        np.testing.assert_allclose(program.pool_carbon[p] / program.accelerator_scale, expected.magnitude, rtol=1e-12)
        np.testing.assert_allclose(
            program.pool_mw[p] / program.accelerator_scale, (kw * money.kilowatt).to("megawatt").magnitude, rtol=1e-12
        )
        checked += 1
    assert checked


def test_money_of_the_plan(money: pint.UnitRegistry[float], told: Inputs) -> None:
    """open_cost = USD per accelerator-hour x hours of the period; unserved_cost = USD per unit x standard months."""
    program, world = told.program, told.world
    usd_hour = money.USD / money.accelerator / money.hour
    row = next(row for row in world.open if len({u.usage_usd_per_accelerator_hour for u in row.uses}) == 1)
    at = next(i for i, name in enumerate(program.names["L"]) if name in (row.id, f"{row.id} x1"))
    hours = program.duration * STANDARD_HOURS * money.hour
    expected = (row.uses[0].usage_usd_per_accelerator_hour * usd_hour * hours * money.accelerator).to("USD")
    scale = program.money_scale / program.accelerator_scale
    np.testing.assert_allclose(program.open_cost[at] * scale, expected.magnitude, rtol=1e-12)
    np.testing.assert_allclose(hours.magnitude, [world.calendar.month(t).hours for t in range(len(hours))], rtol=1e-12)
    lost = world.asks[0].unserved_usd_per_unit * program.duration
    np.testing.assert_allclose(program.unserved_cost[0] * scale, lost, rtol=1e-12)

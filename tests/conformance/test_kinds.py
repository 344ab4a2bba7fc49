"""Laws that every file in the folders of kinds obeys; a new kind is found and tested without a word here."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest
from pydantic import BaseModel

from argosy import kinds
from argosy.errors import BadInput, KindError
from argosy.model.agreement import Agreement
from argosy.model.chance import Chance, Streams, Subjects, combine
from argosy.model.horizon import Horizon
from argosy.model.load import Load
from argosy.units import Month

FOLDERS = {
    "contract": ("argosy.model.contract", "Contract", Agreement),
    "workload": ("argosy.model.workload", "Workload", Load),
    "uncertainty": ("argosy.model.uncertainty", "Uncertainty", Chance),
}
ALL = [(folder, name) for folder, (package, word, _) in FOLDERS.items() for name in kinds.load(package, word)]
CONTRACTS, WORKLOADS, UNCERTAINTIES = ([name for f, name in ALL if f == folder] for folder in FOLDERS)

HORIZON = Horizon(start=Month(2026, 1), months=36, step_months=3)
SUBJECTS = Subjects(
    horizon=HORIZON,
    workloads=("chat", "pretrain"),
    vendors=("acme", "zenith"),
    vendor_of_region={"acme/north": "acme", "zenith/south": "zenith"},
    regions=("acme/north", "zenith/south"),
    pools=("acme-h100", "zenith-h100"),
    sized={"deal-a": "acme", "deal-b": "acme", "deal-z": "zenith"},
    open={"list-a": "acme", "spot-z": "zenith"},
    backstops={"deal-a": 0.4},
    first_refusals={"deal-b": 0.3},
    sites=("hall",),
)

# One legal value for every field that some kind requires. A kind with a new required field needs a line here.
VALUES: dict[str, Any] = {
    "id": "example",
    "vendor": "acme",
    "start": "2026-04",
    "term_months": 24,
    "pool": "acme-h100",
    "pools": ["acme-h100", "acme-h200"],
    "max_accelerators": 512,
    "max_usd_per_month": 1_000_000,
    "usd_per_accelerator_hour": 2.5,
    "take_or_pay_fraction": 0.8,
    "tiers": [
        {"accelerators": 64, "usd_per_accelerator_hour": 3.0},
        {"accelerators": 32, "usd_per_accelerator_hour": 2.0},
    ],
    "prices": [{"pool": "acme-h100", "usd_per_accelerator_hour": 2.5}],
    "site": "hall",
    "capex_usd_per_accelerator": 40_000,
    "kw_per_accelerator": 1.73,
    "homes": {"acme/north": 0.75, "zenith/south": 0.25},
    "unserved_usd_per_unit": 9000,
    "h100_accelerators": {"points": {"2026-01": 100, "2027-01": 200}, "between": "growth"},
    "sandboxes": {"points": {"2026-01": 100_000}},
    "sandboxes_per_server": 50,
    "vendors": ["acme"],
}
# Optional fields that make an example whole: a candidate needs a largest size, a service one form of demand.
WHOLE = {"max_accelerators", "max_usd_per_month"}
ALSO = {"service": {"h100_accelerators"}}
# Clauses that any kind with these fields may carry.
CLAUSES: dict[str, Any] = {
    "signing": "2026-02",
    "lead_months": 2,
    "ramp_months": 6,
    "prepayment": {"fraction": 0.2, "credit_months": 12, "refundable_on_late_delivery": True},
    "shortfall": {"usd_per_accelerator_hour": 0.1},
    "make_up": {"fraction": 0.5},
    "carry_forward": {"fraction": 0.5},
    "expansion_option": {"max_fraction": 0.5, "first_exercise": "2026-10", "premium_usd_per_accelerator": 100},
    "exit": {"earliest": "2027-01", "dates": 2},
    "backstop": {"max_fraction": 0.5, "expected_unsold_fraction": 0.4},
    "right_of_first_refusal": {"holder": "zenith", "pool": "zenith-h100", "match_fraction": 0.3},
    "equity": {"usd_per_accelerator": 500},
    "volume_tiers": [{"from_accelerators": 256, "usd_per_accelerator_hour": 2.2}],
    "source": {"url": "https://example.com/deal", "date": "2026-01-31"},
}


def kind_of(folder: str, name: str) -> type[BaseModel]:
    package, word, _ = FOLDERS[folder]
    return kinds.load(package, word)[name]


def written(kind: type[BaseModel], *, full: bool = False) -> dict[str, Any]:
    """What a user would write: the required fields, or with `full` every clause that the kind knows."""
    fields = kind.model_fields
    word = fields["kind"].default
    wanted = {n for n, f in fields.items() if f.is_required() or n in WHOLE or n in ALSO.get(word, ())}
    missing = sorted(wanted - set(VALUES))
    assert not missing, f"{word} requires {missing}: add an example value to VALUES in {__name__}"
    example = {"kind": word} | {name: VALUES[name] for name in sorted(wanted)}
    if full:
        example |= {name: value for name, value in CLAUSES.items() if name in fields}
    return example


def made(kind: type[BaseModel], **options: bool) -> Any:
    return kind.model_validate_json(json.dumps(written(kind, **options)))


def test_every_folder_has_kinds() -> None:
    assert len(CONTRACTS) >= 9
    assert len(WORKLOADS) >= 4
    assert len(UNCERTAINTIES) >= 10


@pytest.mark.parametrize(("folder", "name"), ALL)
def test_kind_is_a_documented_record_called_like_its_file(folder: str, name: str) -> None:
    kind = kind_of(folder, name)
    assert issubclass(kind, FOLDERS[folder][2])
    assert kind.model_fields["kind"].default == name
    assert kind.__module__.rpartition(".")[2] == name
    assert (vars(kind).get("__doc__") or "").strip(), "the class says what the kind is"
    assert kind.model_config["frozen"]
    assert kind.model_config["strict"]
    assert kind.model_config["extra"] == "forbid"


@pytest.mark.parametrize(("folder", "name"), ALL)
def test_every_field_is_described(folder: str, name: str) -> None:
    fields = kind_of(folder, name).model_json_schema()["properties"]
    # `kind` is described by the class itself.
    assert [n for n, field in fields.items() if n != "kind" and not field.get("description", "").strip()] == []


@pytest.mark.parametrize("full", [False, True], ids=["minimal", "full"])
@pytest.mark.parametrize(("folder", "name"), ALL)
def test_example_fits_the_published_schema_and_survives_a_round_trip(folder: str, name: str, full: bool) -> None:
    kind = kind_of(folder, name)
    schema = kind.model_json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(written(kind, full=full), schema)
    record = made(kind, full=full)
    dumped = record.model_dump_json()
    again = kind.model_validate_json(dumped)
    assert again == record
    assert again.model_dump_json() == dumped


@pytest.mark.parametrize(("folder", "name"), ALL)
def test_unknown_fields_are_refused(folder: str, name: str) -> None:
    kind = kind_of(folder, name)
    with pytest.raises(ValueError, match="colour"):
        kind.model_validate_json(json.dumps(written(kind) | {"colour": "blue"}))


@pytest.mark.parametrize("full", [False, True], ids=["minimal", "full"])
@pytest.mark.parametrize("name", CONTRACTS)
def test_contract_reduces_to_supply(name: str, full: bool) -> None:
    contract = made(kind_of("contract", name), full=full)
    rows = contract.supply(HORIZON)
    assert rows
    assert len({row.id for row in rows}) == len(rows)
    for row in rows:
        assert (row.contract, row.vendor) == (contract.id, contract.vendor)
        assert row.uses
        assert {use.pool for use in row.uses} <= set(contract.pool_ids())
        if row.open_accelerators is not None:
            assert len(row.open_accelerators) == HORIZON.months
            assert min(row.open_accelerators) >= 0
            assert row.price_family
            continue
        assert sum(tranche.fraction for tranche in row.tranches) == pytest.approx(1, abs=1e-12)
        assert 0 <= row.min_size <= row.max_size
        assert row.commitment is not None
        assert row.end_month == HORIZON.index(contract.start) + contract.term_months
        shares = [sum(t.delivered(month) for t in row.tranches) for month in range(row.end_month)]
        assert shares == sorted(shares), "delivery never shrinks"
        assert shares[-1] == pytest.approx(1), "everything is delivered before the term ends"
    assert rows == contract.supply(HORIZON), "the reduction is pure"


@pytest.mark.parametrize("name", WORKLOADS)
def test_workload_reduces_to_asks(name: str) -> None:
    workload = made(kind_of("workload", name))
    rows = workload.asks(HORIZON)
    assert len({row.id for row in rows}) == len(rows) == len(workload.homes)
    totals = [sum(row.demand_units[month] for row in rows) for month in range(HORIZON.months)]
    for row in rows:
        assert row.workload == workload.id
        assert len(row.demand_units) == HORIZON.months
        assert min(row.demand_units) >= 0
        for month, total in enumerate(totals):
            assert row.demand_units[month] == pytest.approx(workload.homes[row.home] * total)
    assert totals[-1] > 0
    assert rows == workload.asks(HORIZON), "the reduction is pure"


@pytest.mark.parametrize("name", UNCERTAINTIES)
def test_uncertainty_draws_effects_on_known_subjects_only(name: str) -> None:
    uncertainty = made(kind_of("uncertainty", name))
    known = {
        "demand_factor": {*SUBJECTS.workloads, "all"},
        "delivery_delay_months": set(SUBJECTS.sized),
        "default_month": set(SUBJECTS.vendors),
        "price_factor": set(SUBJECTS.open),
        "capacity_factor": set(SUBJECTS.open),
        "energisation_delay_months": set(SUBJECTS.sites),
        "matched_fraction": set(SUBJECTS.first_refusals),
        "unsold_fraction": set(SUBJECTS.backstops),
    }
    hit = False
    for k in range(200):
        streams = Streams(7, (str(k),))
        effects = uncertainty.draw(streams, SUBJECTS)
        assert effects == uncertainty.draw(streams, SUBJECTS), "a draw depends on its arguments only"
        scenario = combine("s", 1.0, [effects])
        for field, subjects in known.items():
            assert set(getattr(scenario, field)) <= subjects
        assert {o.place for o in scenario.outages} <= {*SUBJECTS.vendors, *SUBJECTS.regions, *SUBJECTS.pools}
        hit = hit or scenario != combine("s", 1.0, [])
    assert hit, "200 futures without any effect"


@pytest.mark.parametrize("name", UNCERTAINTIES)
def test_uncertainty_without_subjects_is_harmless_or_says_so(name: str) -> None:
    uncertainty = made(kind_of("uncertainty", name))
    nothing = Subjects(horizon=HORIZON)
    if "vendors" in written(type(uncertainty)):
        with pytest.raises(BadInput, match="acme"):
            uncertainty.draw(Streams(1), nothing)
    else:
        assert combine("s", 1.0, [uncertainty.draw(Streams(1), nothing)]) == combine("s", 1.0, [])


GOOD = """
from typing import Literal
from argosy.record import Record

class Thing(Record):
    kind: Literal["{name}"] = "{name}"
"""


@pytest.fixture
def package(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A function that writes a folder of kinds and gives its importable name."""

    def write(folder: str, **files: str) -> str:
        path = tmp_path / folder
        path.mkdir()
        (path / "__init__.py").write_text('"""Kinds for a test."""\n')
        for name, text in files.items():
            (path / f"{name}.py").write_text(text)
        return folder

    monkeypatch.syspath_prepend(str(tmp_path))
    return write


def test_a_new_kind_is_one_new_file(package: Any) -> None:
    folder = package("kinds_new", alpha=GOOD.format(name="alpha"), beta=GOOD.format(name="beta"), _shared="x = 1\n")
    assert list(kinds.load(folder, "Thing")) == ["alpha", "beta"]


@pytest.mark.parametrize(
    ("folder", "text", "says"),
    [
        ("kinds_raising", "raise RuntimeError('no luck')\n", "no luck"),
        ("kinds_syntax", "class Thing(:\n", "SyntaxError"),
        ("kinds_missing_import", "import not_there_at_all\n", "not_there_at_all"),
        ("kinds_without_class", "x = 1\n", "Thing"),
        ("kinds_misnamed", GOOD.format(name="other"), "'other'"),
    ],
)
def test_a_broken_kind_is_an_error_that_names_its_file(package: Any, folder: str, text: str, says: str) -> None:
    name = package(folder, alpha=GOOD.format(name="alpha"), broken=text)
    with pytest.raises(KindError, match=r"broken\.py") as caught:
        kinds.load(name, "Thing")
    assert says in str(caught.value)
    assert caught.value.code == "kinds.broken"


def test_a_folder_without_kinds_is_an_error(package: Any) -> None:
    with pytest.raises(KindError, match="kinds_empty"):
        kinds.load(package("kinds_empty"), "Thing")

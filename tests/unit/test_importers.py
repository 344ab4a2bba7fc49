"""The catalogue importers: prices per accelerator, every problem with its place, nothing half-loaded."""

from __future__ import annotations

import contextlib
import io
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from argosy.errors import BadInput, OutsideError
from argosy.files.importers import gpuhunt_catalogue, names, plain_catalogue, skypilot_catalogue

FIXTURES = Path(__file__).parent.parent / "fixtures" / "catalogues"
DAY = "2026-01-01"


def test_plain_file() -> None:
    reserved, spotless, everywhere = plain_catalogue.read(FIXTURES / "plain.csv")
    assert (reserved.tier, reserved.term_months, reserved.usd_per_accelerator_hour) == ("reserved", 36, 1.95)
    assert spotless.vendor == "example-cloud"
    assert spotless.term_months is None
    assert spotless.source.date == "2026-02"
    assert everywhere.region == "*"


def test_every_problem_of_a_plain_file_comes_at_once_with_its_place() -> None:
    with pytest.raises(BadInput) as error:
        plain_catalogue.read(FIXTURES / "broken.csv", silicon={"h100", "h200"})
    found = [(problem.line, problem.column, problem.code) for problem in error.value.problems]
    assert found == [
        (2, 6, "import.negative"),
        (3, 6, "import.number"),
        (4, 6, "import.number"),
        (5, 6, "import.price"),
        (6, 4, "import.value"),
        (7, 5, "import.range"),
        (8, 7, "import.source"),
        (9, 8, "import.value"),
        (10, 0, "import.cells"),
        (11, 1, "import.missing"),
        (11, 6, "import.missing"),
        (12, 3, "import.silicon"),
    ]
    assert all(problem.file.endswith("broken.csv") for problem in error.value.problems)
    assert "per month" in next(str(p) for p in error.value.problems if p.code == "import.price")


def test_the_same_offer_twice_is_a_problem(tmp_path: Path) -> None:
    lines = (FIXTURES / "plain.csv").read_text().splitlines()
    path = tmp_path / "twice.csv"
    path.write_text("\n".join([*lines, lines[1]]))
    with pytest.raises(BadInput, match=r"twice.csv:5:6: import.twice"):
        plain_catalogue.read(path)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "1:0: import.empty"),
        ("\n\n", "1:0: import.empty"),
        ("vendor,region\n", "import.column silicon"),
        (",".join(plain_catalogue.COLUMNS) + "\n", "1:0: import.empty"),
        (",".join(plain_catalogue.COLUMNS) + ",date\n", "stands in the header twice"),
        (",".join(plain_catalogue.COLUMNS) + '\na,"b\n', "import.csv"),
        ('vendor,"region\n', "import.csv"),
    ],
)
def test_a_file_that_is_no_table_is_refused(tmp_path: Path, text: str, expected: str) -> None:
    path = tmp_path / "file.csv"
    path.write_text(text)
    with pytest.raises(BadInput) as error:
        plain_catalogue.read(path)
    assert expected in str(error.value)


def test_bytes_that_are_no_text_and_files_that_are_not_there(tmp_path: Path) -> None:
    path = tmp_path / "binary.csv"
    path.write_bytes(b"vendor,\xff\xfe\n")
    with pytest.raises(BadInput, match="not UTF-8"):
        plain_catalogue.read(path)
    with pytest.raises(BadInput, match="No such file"):
        plain_catalogue.read(tmp_path / "absent.csv")
    with pytest.raises(BadInput, match=r"import\.unreadable"):
        plain_catalogue.read(tmp_path)


def test_a_byte_order_mark_and_windows_line_ends_do_not_matter(tmp_path: Path) -> None:
    path = tmp_path / "excel.csv"
    text = (FIXTURES / "plain.csv").read_text().replace("\n", "\r\n")
    path.write_bytes(b"\xef\xbb\xbf" + text.encode())
    assert plain_catalogue.read(path) == plain_catalogue.read(FIXTURES / "plain.csv")


def test_skypilot_prices_are_per_accelerator_and_zones_become_the_lowest() -> None:
    offers = skypilot_catalogue.read(FIXTURES / "aws" / "skypilot.csv", "aws", DAY)
    found = {(o.silicon, o.tier, o.instance): (o.region, o.usd_per_accelerator_hour) for o in offers}
    assert found == {
        ("h100", "on_demand", "big.8x"): ("aws/eu-north-1", 6.0),
        ("h100", "spot", "big.8x"): ("aws/eu-north-1", 1.5),
        ("a100-80gb", "on_demand", "old.80"): ("aws/eu-north-1", 3.0),
    }
    assert {o.source.date for o in offers} == {DAY}


def test_skypilot_problems_have_their_line(tmp_path: Path) -> None:
    path = tmp_path / "vms.csv"
    header = "InstanceType,AcceleratorName,AcceleratorCount,Price,SpotPrice,Region\n"
    path.write_text(header + "a,H100,0,1,,r\nb,H100,8,1,,\nc,H100,1,700,-3,r\nd,H100,x,1,,r\n")
    with pytest.raises(BadInput) as error:
        skypilot_catalogue.read(path, "aws", DAY)
    assert [(p.line, p.field) for p in error.value.problems if p.line < 5] == [
        (2, "AcceleratorCount"),
        (3, "Region"),
        (4, "Price"),
        (4, "SpotPrice"),
    ]


def test_gpuhunt_file() -> None:
    offers = gpuhunt_catalogue.read(FIXTURES / "gpuhunt.csv", DAY)
    found = [(o.vendor, o.region, o.silicon, o.tier, o.usd_per_accelerator_hour) for o in offers]
    assert found == [
        ("nebius", "nebius/eu-north1", "h200", "on_demand", 3.5),
        ("nebius", "nebius/eu-north1", "h200", "spot", 1.45),
        ("lambda", "lambda/us-west-1", "a100-80gb", "on_demand", 2.49),
    ]


def test_gpuhunt_live_says_how_to_get_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gpuhunt", None)
    with pytest.raises(OutsideError, match="uv sync --extra gpuhunt"):
        gpuhunt_catalogue.live(DAY)


def test_gpuhunt_live_turns_items_into_offers(monkeypatch: pytest.MonkeyPatch) -> None:
    item = SimpleNamespace(
        instance_name="x", location="US-East", price=16.0, gpu_count=8, gpu_name="H100", gpu_memory=80.0,
        spot=True, provider="oci",
    )  # fmt: skip
    bare = SimpleNamespace(**(vars(item) | {"gpu_count": 0}))
    other = SimpleNamespace(**(vars(item) | {"gpu_name": "RTX4090"}))
    module = ModuleType("gpuhunt")
    module.query = lambda **_: [item, bare, other]  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "gpuhunt", module)
    (offer,) = gpuhunt_catalogue.live(DAY, gpu_name=["H100"])
    assert (offer.region, offer.tier, offer.usd_per_accelerator_hour) == ("oci/us-east", "spot", 2.0)

    def fail(**_: object) -> None:
        raise ValueError("no network")

    module.query = fail  # type: ignore[attr-defined]
    with pytest.raises(OutsideError, match="no network"):
        gpuhunt_catalogue.live(DAY)


@pytest.mark.parametrize(
    ("name", "memory", "expected"),
    [
        ("H100", None, "h100"),
        ("NVIDIA H100 80GB HBM3", None, "h100"),
        ("A100", 80.0, "a100-80gb"),
        ("A100", 40.0, None),
        ("A100", None, None),
        ("A100-80GB", None, "a100-80gb"),
        ("Trainium", None, "trainium1"),
        ("tpu_v6e", None, "tpu-v6e"),
        ("AMD Instinct MI300X", None, "mi300x"),
        ("RTX4090", 24.0, None),
    ],
)
def test_names(name: str, memory: float | None, expected: str | None) -> None:
    assert names.silicon_id(name, memory_gib=memory) == expected


def test_vendor_names() -> None:
    assert names.vendor_id("Lambda Labs") == "lambda"
    assert names.vendor_id("Oracle") == "oci"
    assert names.vendor_id("SomeCloud") == "somecloud"


@given(st.text(max_size=300))
def test_no_text_makes_anything_but_bad_input(text: str) -> None:
    header = ",".join(plain_catalogue.COLUMNS)
    for content in (text, f"{header}\n{text}"):
        path = FIXTURES.parent / "absent"
        read = _Written(path, content)
        with contextlib.suppress(BadInput):
            plain_catalogue.read(read)


class _Written(type(Path())):  # type: ignore[misc]
    """A path whose content lives in memory, so that many examples need no disk."""

    def __init__(self, path: Path, content: str) -> None:
        self._content = content

    def __new__(cls, path: Path, content: str) -> _Written:
        return super().__new__(cls, path)  # type: ignore[no-any-return]

    def stat(self, *, follow_symlinks: bool = True) -> SimpleNamespace:  # type: ignore[override]
        return SimpleNamespace(st_size=len(self._content))

    def open(self, *_: object, **__: object) -> object:  # type: ignore[override]
        return io.StringIO(self._content.encode("utf-8", "replace").decode(), newline="")

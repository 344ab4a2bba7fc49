"""`argosy offers` as a user meets it: tables, JSON, messages and exit codes, and never a traceback."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import typer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from argosy.cli import offers as module
from argosy.cli.offers import WIDTH, offers
from argosy.errors import OutsideError

FIXTURES = Path(__file__).parent.parent / "fixtures" / "catalogues"

app = typer.Typer()
app.command("offers")(offers)
runner = CliRunner()


def run(*arguments: str, code: int = 0) -> str:
    result = runner.invoke(app, list(arguments))
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output
    return result.output


def objects(*arguments: str, code: int = 0) -> list[dict[str, Any]]:
    result = runner.invoke(app, [*arguments, "--json"])
    assert result.exit_code == code, result.output
    found = json.loads(result.stdout)
    assert isinstance(found, list)
    return found


def test_the_command_of_the_manual() -> None:
    output = run("--silicon", "H100", "--region", "eu", "--sort", "price")
    lines = output.splitlines()
    assert lines[0].split() == ["Region", "Silicon", "Tier", "USD/h", "Date", "Source"]
    assert max(map(len, lines)) <= WIDTH
    assert "nebius/eu-north1" in output
    assert "\x1b" not in output


@pytest.mark.parametrize(
    "more", [(), ("--profile", "interactive_inference"), ("--vendor", "azure"), ("--region", "us")]
)
def test_every_table_fits_the_page(more: tuple[str, ...]) -> None:
    output = run("--limit", "400", *more)
    assert max(map(len, output.splitlines())) <= WIDTH


def test_json_has_the_documented_keys() -> None:
    keys = ["vendor", "region", "jurisdiction", "silicon", "tier", "term_months", "usd_per_accelerator_hour"]
    tail = ["instance", "source_url", "date"]
    plain = objects("--silicon", "h100", "--region", "eu")
    assert all(list(item) == keys + tail for item in plain)
    priced = objects("--silicon", "h100", "--profile", "pretraining")
    assert all(list(item) == [*keys, "usd_per_unit_hour", *tail] for item in priced)
    assert all(item["usd_per_unit_hour"] == item["usd_per_accelerator_hour"] for item in priced)


def test_json_is_whole_unless_limited() -> None:
    everything = objects()
    assert len(everything) > module.ROWS
    assert objects("--limit", "3") == everything[:3]
    assert run("--limit", "3").splitlines()[-1].startswith(f"3 of {len(everything)} offers")


def test_a_price_for_all_regions_shows_so() -> None:
    item = objects("--vendor", "oci", "--silicon", "h100")[0]
    assert (item["region"], item["jurisdiction"]) == ("*", None)
    assert {item["jurisdiction"] for item in objects("--vendor", "oci", "--silicon", "h100", "--region", "eu")} == {
        "DE",
        "FR",
    }


def test_unknown_throughput_is_null_and_is_said() -> None:
    items = objects("--silicon", "l40s", "--vendor", "aws", "--profile", "pretraining")
    assert {item["usd_per_unit_hour"] for item in items} == {None}
    assert "unknown: the catalogue has no pretraining throughput" in run(
        "--silicon", "l40s", "--vendor", "aws", "--profile", "pretraining"
    )


def test_sorting_by_unit_price_is_the_default_with_a_profile() -> None:
    prices = [item["usd_per_unit_hour"] for item in objects("--profile", "batch_inference")]
    known = [price for price in prices if price is not None]
    assert known == sorted(known)
    assert prices[: len(known)] == known


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("--silicon", "h10"), "did you mean h100, h200?"),
        (("--silicon", "zzzz"), "--silicon zzzz is not known"),
        (("--region", "frankfort"), "--region frankfort is not known"),
        (("--vendor", "awz"), "did you mean aws"),
        (("--tier", "rented"), "use one of on_demand, spot"),
        (("--profile", "training"), "use one of pretraining"),
        (("--sort", "colour"), "use one of price"),
        (("--sort", "unit_price"), "needs --profile"),
        (("--format", "xml"), "use one of auto"),
        (("--max-price", "-1"), "greater than or equal to 0"),
        (("--limit", "0"), "greater than or equal to 1"),
    ],
)
def test_a_wrong_word_is_one_message_and_exit_code_2(arguments: tuple[str, ...], expected: str) -> None:
    assert expected in run(*arguments, code=2)


def test_two_wrong_words_are_said_at_once() -> None:
    output = run("--silicon", "h10", "--region", "frankfort", code=2)
    assert len(output.splitlines()) == 2


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("--silicon", "vr200"), "no public price for it; add yours with --catalogue"),
        (("--silicon", "h100", "--max-price", "0.01"), "without --max-price 0.01 there are"),
        (("--silicon", "tpu-v6e", "--vendor", "aws"), "without --vendor aws there are"),
        (("--silicon", "b300", "--region", "de", "--tier", "spot"), "without --tier spot there are 1"),
    ],
)
def test_no_offer_is_exit_code_1_with_a_reason(arguments: tuple[str, ...], expected: str) -> None:
    assert expected in run(*arguments, code=1)
    assert objects(*arguments, code=1) == []


def test_own_prices_replace_and_add() -> None:
    path = str(FIXTURES / "plain.csv")
    (reserved,) = objects("--catalogue", path, "--silicon", "h100", "--vendor", "crusoe", "--tier", "reserved")
    assert reserved["usd_per_accelerator_hour"] == 1.95
    (new,) = objects("--catalogue", path, "--region", "oslo")
    assert (new["vendor"], new["jurisdiction"]) == ("example-cloud", None)
    prices = {
        i["usd_per_accelerator_hour"] for i in objects("--catalogue", path, "--vendor", "oci", "--silicon", "h100")
    }
    assert prices == {9.0, 10.0}


def test_formats_are_found_by_their_header() -> None:
    skypilot, gpuhunt = str(FIXTURES / "aws" / "skypilot.csv"), str(FIXTURES / "gpuhunt.csv")
    both = objects("--catalogue", skypilot, "--catalogue", gpuhunt)
    instances = {(item["vendor"], item["instance"]) for item in both}
    assert {("aws", "big.8x"), ("nebius", "n-8xh200"), ("lambda", "lab-1xa100")} <= instances
    named = objects("--catalogue", skypilot, "--catalogue-vendor", "azure", "--catalogue-date", "2026-05-01")
    assert ("azure", "2026-05-01") in {(item["vendor"], item["date"]) for item in named if item["instance"] == "big.8x"}


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("--catalogue", str(FIXTURES / "broken.csv")), "broken.csv:2:6: import.negative"),
        (("--catalogue", str(FIXTURES / "broken.csv")), "did you mean h100"),
        (("--catalogue", "absent.csv"), "No such file"),
        (("--catalogue", str(FIXTURES / "plain.csv"), "--format", "gpuhunt"), "import.column"),
        (("--catalogue", "absent.csv", "--format", "skypilot"), "No such file"),
        (("--catalogue", str(FIXTURES / "gpuhunt.csv"), "--catalogue-date", "May"), "import.value date"),
    ],
)
def test_a_bad_file_is_exit_code_2(arguments: tuple[str, ...], expected: str) -> None:
    assert expected in run(*arguments, code=2)


def test_a_header_of_no_format_says_what_to_write(tmp_path: Path) -> None:
    path = tmp_path / "other.csv"
    path.write_text("a,b\n1,2\n")
    assert "other.csv:1:0: import.format" in run("--catalogue", str(path), code=2)


def test_an_outside_failure_is_exit_code_3(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise OutsideError("the disk is gone")

    monkeypatch.setattr(module, "bundled", fail)
    assert "the disk is gone" in run(code=3)


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(
    option=st.sampled_from(["--silicon", "--region", "--vendor", "--tier", "--profile", "--sort", "--max-price"]),
    word=st.text(max_size=20),
)
def test_no_word_makes_a_traceback(option: str, word: str) -> None:
    result = runner.invoke(app, [f"{option}={word}"])
    assert result.exit_code in {0, 1, 2}
    assert result.exception is None or isinstance(result.exception, SystemExit)

"""Every driver's settings are a kind, are described, and stand in the table of the documents."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from argosy import kinds
from argosy.run import engine

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "drivers.md"
SETTINGS = kinds.load(engine.PACKAGE, "Settings")


def test_there_are_five() -> None:
    assert set(engine.names()) == {"local", "slurm", "ray", "kubernetes", "skypilot"}


@pytest.mark.parametrize("name", engine.names())
def test_settings_are_documented_records(name: str) -> None:
    made = SETTINGS[name]
    fields = made.model_json_schema()["properties"]
    assert [n for n, field in fields.items() if not field.get("description", "").strip() and n != "kind"] == []
    row = re.search(rf"^\| `{name}` \| (`folder`|`image`|`address`).*$", PAGE.read_text("utf-8"), re.MULTILINE)
    assert row is not None, f"no row of settings for {name}"
    assert re.findall(r"`(\w+)`", row[0])[1:] == [n for n in fields if n != "kind"]


def test_settings_are_told_apart_by_their_kind() -> None:
    from argosy.record import Record

    class Holder(Record):
        driver: engine.AnySettings

    made = Holder.model_validate_json(json.dumps({"driver": {"kind": "slurm", "folder": "/shared/runs"}}))
    assert isinstance(made.driver, SETTINGS["slurm"])
    with pytest.raises(ValueError, match="nomad"):
        Holder.model_validate_json(json.dumps({"driver": {"kind": "nomad"}}))

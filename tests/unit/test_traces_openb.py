"""The openb importer: whole files load, anything else is one error with file and line."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from argosy.errors import BadInput
from argosy.files.traces._source import source

NODES = "sn,cpu_milli,memory_mib,gpu,model\nn0,64000,262144,2,P100\nn1,96000,393216,0,\n"
PODS = "name,cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec\np0,12000,16384,1,460,\np1,8000,1024,8,1000,G2|T4\n"


def write(folder: Path, text: str, name: str = "t.csv") -> str:
    path = folder / name
    path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    return f"openb:{path}"


@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz"])
def test_nodes_and_asks_load(tmp_path: Path, name: str) -> None:
    nodes = source(write(tmp_path, NODES, name)).nodes()
    assert nodes["accelerators"].to_list() == [2, 0]
    assert nodes["silicon"].to_list() == ["P100", ""]
    asks = source(write(tmp_path, PODS, name)).asks()
    assert asks["share_milli"].to_list() == [460, 1000]
    assert asks["silicon"].to_list() == ["", "G2|T4"]
    assert asks["duration_seconds"].to_list() == [None, None]


def test_order_of_columns_does_not_matter(tmp_path: Path) -> None:
    turned = "\n".join(",".join(reversed(line.split(","))) for line in NODES.strip().split("\n"))
    assert source(write(tmp_path, turned)).nodes().equals(source(write(tmp_path, NODES, "u.csv")).nodes())


@pytest.mark.parametrize(
    ("text", "line", "field", "words"),
    [
        (NODES.replace("memory_mib", "mem"), 1, "memory_mib", "no column"),
        (NODES.replace("64000", "many"), 2, "cpu_milli", "'many' is not a finite whole number"),
        (NODES.replace("64000", ""), 2, "cpu_milli", "empty"),
        (NODES[:-14], 3, "", ""),
        (NODES.replace("P100", ""), 2, "model", "needs a model"),
        (NODES.replace("n1", "n0"), 2, "sn", "twice"),
        (NODES.replace(",2,", ",-2,"), 2, "gpu", "0 to 1,024 are possible"),
        (NODES.split("\n", maxsplit=1)[0], 1, "", "no rows"),
        ("", 0, "", ""),
    ],
)
def test_wrong_files_are_one_error_with_file_and_line(
    tmp_path: Path, text: str, line: int, field: str, words: str
) -> None:
    with pytest.raises(BadInput) as caught:
        source(write(tmp_path, text)).nodes()
    problem = caught.value.problems[0]
    assert problem.file.endswith("t.csv")
    if line:
        assert problem.line == line
    assert field in problem.field
    assert words in problem.message


def test_share_beyond_one_device_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="1 to 1000"):
        source(write(tmp_path, PODS.replace("460", "1460"))).asks()
    with pytest.raises(BadInput, match="cannot be shared"):
        source(write(tmp_path, PODS.replace("8,1000", "8,500"))).asks()


def test_truncated_archive_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.csv.gz"
    path.write_bytes(gzip.compress(NODES.encode() * 50)[:-30])
    with pytest.raises(BadInput, match="cut off"):
        source(f"openb:{path}").nodes()


def test_missing_file_and_unknown_kind(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no such file"):
        source(f"openb:{tmp_path}/none.csv").nodes()
    with pytest.raises(BadInput, match="KIND:PATH with one of"):
        source("nothing:here")

"""What cannot be read is told line by line, and the rest is read."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from sluicegate.audit.reading import read
from sluicegate.data.build import build_plain
from sluicegate.errors import UserError

from .conftest import SOUND

Write = Callable[..., Path]
GOOD = json.dumps(SOUND).encode()


def told(folder: Path) -> tuple[list[str], list[str]]:
    rows, faults = read(folder)
    name = f"{folder}/python/samples.jsonl" if folder.is_dir() else str(folder)
    return [row.sample.id for row in rows], [fault.told.removeprefix(name) for fault in faults]


@pytest.mark.parametrize(
    ("raw", "ids", "faults"),
    [
        (b"", [], [": file: empty"]),
        (b'{"prompt"\n' + GOOD, ["sound"], [":1: file: not JSON: expecting ':' delimiter (column 10): {\"prompt\""]),
        (b"\xef\xbb\xbf" + GOOD, ["sound"], [":1: file: begins with a byte-order mark; wanted UTF-8 without one"]),
        (GOOD + b"\r\n", ["sound"], [":1: file: the line ends in CRLF; wanted LF alone"]),
        (GOOD + b"\n\xff\xff\n", ["sound"], [":2: file: not UTF-8: byte 0xff at column 1"]),
        (b'"caf\xe9"\n' + GOOD, ["sound"], [":1: file: not UTF-8: byte 0xe9 at column 5"]),
        (GOOD.decode().encode("utf-16"), [], [": file: not UTF-8: bytes ff fe 7b 00: UTF-16 or UTF-32"]),
        (GOOD + b"\n" + GOOD, ["sound", "sound"], [":2: file: id 'sound' is used before, on line 1"]),
        (GOOD + b"\n\n{}", ["sound"], [":2: file: an empty line", ":3: file: prompt is missing (or intent); "]),
        (b'{"prompt": "p", "completion": "c", "id": "a\\ud800"}\n' + GOOD, ["sound"], [":1: file: half a surrogate"]),
        (b"[" * 100_000 + b"\n", [], [":1: file: nested too deep"]),
    ],
)  # fmt: skip
def test_each_fault_has_its_line_and_the_rest_is_read(
    written: Write, raw: bytes, ids: list[str], faults: list[str]
) -> None:
    folder = written([])
    (folder / "python" / "samples.jsonl").write_bytes(raw)
    seen, lines = told(folder)
    assert seen == ids
    assert [line[: len(wanted)] for line, wanted in zip(lines, faults, strict=True)] == faults


def test_a_huge_line_is_told_and_left_out(written: Write) -> None:
    folder = written([])
    huge = json.dumps({"prompt": "p", "completion": "x" * 10_000_001}).encode()
    (folder / "python" / "samples.jsonl").write_bytes(huge + b"\n" + GOOD)
    seen, lines = told(folder)
    assert seen == ["sound"]
    assert lines[0].startswith(":1: file: line too long: 10,0")


def test_many_lines_in_crlf_are_one_fault(written: Write) -> None:
    folder = written([SOUND, {**SOUND, "id": "b"}, {**SOUND, "id": "c"}])
    path = folder / "python" / "samples.jsonl"
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert told(folder)[1] == [":1: file: the line and 2 more ends in CRLF; wanted LF alone"]


def test_an_id_in_two_files_is_told(written: Write) -> None:
    folder = written([SOUND])
    written([SOUND], "other")
    rows, faults = read(folder)
    assert len(rows) == 2
    assert [(one.check, one.why) for one in faults] == [
        ("id", f"the id is used before, at {folder}/other/samples.jsonl:1")
    ]


def test_a_file_a_source_and_what_is_built_of_it_are_read(written: Write, tmp_path: Path) -> None:
    rows = [{**SOUND, "id": str(n), "prompt": f"ask {n}", "completion": f"say {n}"} for n in range(20)]
    folder = written(rows)
    whole, _ = read(folder)
    assert sorted({row.split for row in whole}) == ["test", "train", "val"]
    assert {row.sample.scenario for row in whole} == {"python"}
    [one, *_], faults = read(folder / "python" / "samples.jsonl")
    assert (one.sample.id, one.place, faults) == ("0", f"{folder}/python/samples.jsonl:1", [])
    build_plain("all", tmp_path / "built", source=str(folder))
    built, faults = read(tmp_path / "built")
    assert (len(built), faults) == (20, [])
    assert {row.sample.id: row.split for row in built} == {row.sample.id: row.split for row in whole}


def test_one_scenario_alone(written: Write) -> None:
    folder = written([SOUND])
    written([{**SOUND, "id": "b"}], "other")
    assert [row.sample.id for row in read(folder, "other")[0]] == ["b"]
    with pytest.raises(UserError, match="no scenario third"):
        read(folder, "third")


@pytest.mark.parametrize("name", ["nowhere", ""])
def test_nothing_to_audit_is_the_users_fault(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match="no samples"):
        read(tmp_path / name)

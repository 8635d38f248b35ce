"""`sluicegate data enrich` fills in what is missing, writes whole files, and overwrites nothing."""

import json
from pathlib import Path
from typing import Any

import pytest

from sluicegate import cli
from sluicegate.data.reader import read_samples
from sluicegate.errors import UserError
from sluicegate.metadata.command import command

ONE: dict[str, Any] = {
    "id": "one",
    "prompt": "p",
    "completion": "def f(x):\n    return x\n",
    "tests": "assert f(1) == 1",
}


def write(path: Path, *rows: dict[str, Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_a_folder_becomes_a_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path / "in" / "python" / "samples.jsonl", ONE, {**ONE, "id": "two", "meta": {"inputs": "a number"}})
    write(tmp_path / "in" / "sql" / "samples.jsonl", {**ONE, "id": "three", "completion": "SELECT a FROM t"})
    assert cli.run(["data", "enrich", str(tmp_path / "in"), str(tmp_path / "out")]) == 0
    told = capsys.readouterr().out
    assert told == f"{tmp_path}/out: 3 samples; filled in: inputs 2, outputs 1, complexity 3\n"
    one, two = read_samples(tmp_path / "out" / "python" / "samples.jsonl")
    assert one.meta == {"inputs": ["f(x)"], "complexity": "cyclomatic 1"}
    assert two.meta["inputs"] == "a number"
    assert (one.scenario, one.tests) == ("", ONE["tests"])
    [three] = read_samples(tmp_path / "out" / "sql" / "samples.jsonl")
    assert three.meta["outputs"] == "columns a"


def test_enriching_again_changes_nothing(tmp_path: Path) -> None:
    path = write(tmp_path / "in.jsonl", {**ONE, "meta": {"language": "python"}})
    command(path, tmp_path / "out.jsonl")
    before = (tmp_path / "out.jsonl").read_bytes()
    assert "filled in: nothing" in command(tmp_path / "out.jsonl", tmp_path / "out.jsonl")
    command(path, tmp_path / "out.jsonl")
    assert (tmp_path / "out.jsonl").read_bytes() == before


def test_what_cannot_be_parsed_is_kept_and_told(tmp_path: Path) -> None:
    rows = [{**ONE, "id": f"s{n}", "completion": "def f(:", "meta": {"language": "python"}} for n in range(6)]
    path = write(tmp_path / "in.jsonl", *rows, {**ONE, "id": "no"}, {**ONE, "id": "yaml", "meta": {"language": "yaml"}})
    told = command(path, tmp_path / "out.jsonl").split("\n")
    assert told[0].endswith("8 samples; filled in: nothing")
    assert told[1] == "  not parsed: s0: not python: line 1: invalid syntax"
    assert told[-1] == "  not parsed: 3 more"
    assert len(read_samples(tmp_path / "out.jsonl")) == 8


def test_other_content_is_not_overwritten_unless_forced(tmp_path: Path) -> None:
    path = write(tmp_path / "in.jsonl", {**ONE, "meta": {"language": "python"}})
    (tmp_path / "out.jsonl").write_text("mine")
    with pytest.raises(UserError, match="there already; nothing was written"):
        command(path, tmp_path / "out.jsonl")
    assert (tmp_path / "out.jsonl").read_text() == "mine"
    command(path, tmp_path / "out.jsonl", force=True)
    assert len(read_samples(tmp_path / "out.jsonl")) == 1


def test_authored_metadata_that_gives_answers_away_is_refused_as_a_whole(tmp_path: Path) -> None:
    leak = {**ONE, "completion": "def f(a, b, c):\n    return a * b + c\n", "meta": {"intent": "return a * b + c"}}
    path = write(tmp_path / "in.jsonl", {**leak, "id": "a"}, ONE, {**leak, "id": "b"})
    with pytest.raises(UserError) as caught:
        command(path, tmp_path / "out.jsonl")
    assert f"{path}:1: a: the metadata gives the answer away" in str(caught.value)
    assert f"{path}:3: b: the metadata gives the answer away" in str(caught.value)
    assert not (tmp_path / "out.jsonl").exists()


def test_a_source_that_cannot_be_read_is_the_users_fault(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="not found"):
        command(tmp_path / "in.jsonl", tmp_path / "out.jsonl")
    with pytest.raises(UserError, match="no samples"):
        command(tmp_path, tmp_path / "out")

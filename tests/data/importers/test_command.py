"""What every import has in common: places, licences, ids, what is written, and how it ends."""

import gzip
import json
from pathlib import Path

import pytest

from sluicegate import cli
from sluicegate.data.importers import Asked
from sluicegate.data.importers.command import Order, command
from sluicegate.data.importers.licences import beside, guess, joined
from sluicegate.data.reader import examined, read_samples
from sluicegate.errors import RETRY, UserError

GOOD = b'{"instruction": "a", "output": "b"}\n'
ALPACA = Order("alpaca", licence="MIT")


def source(folder: Path, raw: bytes, name: str = "a.jsonl") -> Path:
    path = folder / name
    path.write_bytes(raw)
    return path


def places(out: Path) -> list[str]:
    told = json.loads((out / "import.json").read_text())["faults"]
    return [fault["place"].rsplit("/", 1)[-1] for fault in told]


def test_hostile_lines_are_listed_and_the_good_ones_are_read(tmp_path: Path) -> None:
    raw = b"".join((
        b"\xef\xbb\xbf", GOOD.replace(b"\n", b"\r\n"),
        b"{broken\n",
        b'{"instruction": "\xe4", "output": "b"}\n',
        b'{"instruction": "\\ud800", "output": "b"}\n',
        b'{"instruction": "nul \\u0000", "output": "b"}\n',
        b"[1, 2]\n",
        b"\n",
        b'{"instruction": "a", "instruction": "b", "output": "c"}\n',
        b'{"instruction": "' + b"x" * 10_000_001 + b'", "output": "b"}\n',
        b"[" * 100_000 + b"\n",
        b'{"instruction": "last", "output": "c"}',
    ))  # fmt: skip
    told, code = command(ALPACA, [source(tmp_path, raw)], tmp_path / "out")
    assert code == RETRY
    path = tmp_path / "out" / "alpaca" / "samples.jsonl"
    samples, bad = examined(path)
    assert ([one.prompt for _, one in samples], bad) == (["a", "last"], [])
    assert places(tmp_path / "out") == [f"a.jsonl:{number}" for number in range(2, 11)]
    assert max(map(len, told.splitlines())) < 400


def test_a_list_that_breaks_off_says_that_the_rest_was_not_read(tmp_path: Path) -> None:
    raw = b'[{"instruction": "a", "output": "b"},\n {"instruction": "c" "output": "d"},\n {"instruction": "e"}]'
    told, code = command(ALPACA, [source(tmp_path, raw)], tmp_path / "out")
    assert code == RETRY
    assert "a.jsonl:2: not JSON" in told
    assert "not read from here on" in told


def test_strict_writes_nothing_at_all(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, out = source(tmp_path, GOOD + b"{\n"), tmp_path / "out"
    asked = ["data", "import", "--format", "alpaca", str(path), "--out", str(out), "--licence", "MIT"]
    with pytest.raises(UserError, match=r"1 of 2 rows cannot be read; nothing was written[\s\S]*a\.jsonl:2: not JSON"):
        cli.run([*asked, "--strict"])
    assert not out.exists()
    assert cli.run(asked) == RETRY
    assert "1 samples" in capsys.readouterr().out


def test_without_a_good_row_nothing_is_written(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"2 of 2 rows cannot be read; nothing was written"):
        command(ALPACA, [source(tmp_path, b"{}\n{\n")], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_ids_are_unique_over_all_files_and_repeats_are_noted(tmp_path: Path) -> None:
    rows = b"prompt,completion,id\na,b,1\nc,d,1\n"
    paths = [
        source(tmp_path, rows, "one.csv"),
        source(tmp_path, b"prompt,completion,id\na,b,1\na,b,\na,b,\n", "two.csv"),
    ]
    told, code = command(Order("csv", licence="MIT"), paths, tmp_path / "out")
    assert code == RETRY
    assert places(tmp_path / "out") == ["one.csv:3", "two.csv:2"]
    names = [one.id for one in read_samples(tmp_path / "out" / "csv" / "samples.jsonl")]
    assert names == ["1", names[1], f"{names[1]}-2"]
    assert "the same content as a row before: 1" in told


def test_a_licence_must_be_known_and_the_row_has_the_first_word(tmp_path: Path) -> None:
    path = source(tmp_path, b"prompt,completion,license\na,b,ISC\nc,d,\n", "t.csv")
    with pytest.raises(UserError, match=r"the licence of .*t\.csv:3 is not known; nothing was written"):
        command(Order("csv"), [path], tmp_path / "out")
    (tmp_path / "LICENSE.md").write_text("Apache License\nVersion 2.0, January 2004\n")
    command(Order("csv"), [path], tmp_path / "out")
    samples = read_samples(tmp_path / "out" / "csv" / "samples.jsonl")
    assert [one.meta["licence"] for one in samples] == ["ISC", "Apache-2.0"]
    command(Order("csv", licence="MIT"), [path], tmp_path / "other")
    assert read_samples(tmp_path / "other" / "csv" / "samples.jsonl")[1].meta["licence"] == "MIT"


def test_it_is_the_same_again_and_overwrites_nothing(tmp_path: Path) -> None:
    path, out = source(tmp_path, GOOD), tmp_path / "out"
    first = command(ALPACA, [path], out)
    assert command(ALPACA, [path], out) == first
    (out / "alpaca" / "samples.jsonl").write_text("mine")
    with pytest.raises(UserError, match="there already; nothing was written"):
        command(ALPACA, [path], out)
    command(ALPACA, [path], out, force=True)
    assert len(read_samples(out / "alpaca" / "samples.jsonl")) == 1


def test_scenario_and_language_are_what_was_asked_for(tmp_path: Path) -> None:
    order = Order("alpaca", scenario="express", language="javascript", licence="MIT")
    command(order, [source(tmp_path, GOOD)], tmp_path / "out")
    (sample,) = read_samples(tmp_path / "out" / "express" / "samples.jsonl")
    assert (sample.scenario, sample.meta["language"]) == ("express", "javascript")
    with pytest.raises(UserError, match="no name"):
        command(Order("alpaca", scenario="../up", licence="MIT"), [tmp_path / "a.jsonl"], tmp_path / "out")


@pytest.mark.parametrize(
    ("raw", "name", "wanted"),
    [
        ("a".encode("utf-16"), "a.jsonl", "UTF-16"),
        (b"\x1f\x8bno", "a.jsonl.gz", "cannot be read"),
        (gzip.compress(GOOD, mtime=0)[:-9], "a.jsonl.gz", "cannot be read"),
        (b"", "a.jsonl", "empty"),
    ],
)
def test_a_file_that_is_none_is_refused(tmp_path: Path, raw: bytes, name: str, wanted: str) -> None:
    with pytest.raises(UserError) as told:
        command(ALPACA, [source(tmp_path, raw, name)], tmp_path / "out")
    assert wanted in str(told.value)


@pytest.mark.parametrize(
    "words",
    [
        ["--format", "alpaca"],
        ["a.jsonl"],
        ["--format", "alpaca", "a.jsonl", "--from-git", "."],
        ["--from-git", ".", "--strict"],
        ["--from-git", ".", "--rows", "0"],
        ["--format", "alpaca", "a.jsonl", "--rows", "3"],
        ["--format", "spider", "a.jsonl", "--prompt-column", "q"],
        ["--format", "spider", "a.jsonl", "--rows", "0"],
        ["--format", "alpaca", "missing.jsonl"],
        ["--format", "quixbugs", "missing"],
        ["--format", "hf", "missing"],
        ["--format", "spider", "missing.json"],
    ],
)
def test_orders_that_mean_nothing_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    source(tmp_path, GOOD)
    with pytest.raises(UserError):
        cli.run(["data", "import", "--out", "out", *words])
    assert not Path("out").exists()


def test_columns_that_are_asked_for_must_be_there(tmp_path: Path) -> None:
    path = source(tmp_path, b"q,a\n1,2\n", "t.csv")
    order = Order("csv", Asked("q", "a", tests="checks"), licence="MIT")
    with pytest.raises(UserError, match="checks: wanted text, seen nothing"):
        command(order, [path], tmp_path / "out")


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("MIT License\n\nPermission is hereby granted, free of charge, ... The above copyright notice and this\n"
         "permission notice shall be included", "MIT"),
        ("GNU GENERAL PUBLIC LICENSE\n  Version 3, 29 June 2007\n\nGNU Affero General Public", "GPL-3.0-only"),
        ("GNU LESSER GENERAL PUBLIC LICENSE\nVersion 2.1, February 1999", "LGPL-2.1-only"),
        ("Redistribution and use in source and binary forms, ... may be used to endorse or promote", "BSD-3-Clause"),
        ("Redistribution and use in source and binary forms", "BSD-2-Clause"),
        ("// SPDX-License-Identifier: (MIT OR Apache-2.0)", "(MIT OR Apache-2.0)"),
        ("Creative Commons Attribution-ShareAlike 4.0 International", "CC-BY-SA-4.0"),
        ("Proprietary and confidential", "unknown"),
    ],
)  # fmt: skip
def test_licences_are_known_by_their_text(text: str, wanted: str) -> None:
    assert guess(text) == wanted


def test_several_licence_files_hold_together_unless_they_are_a_choice(tmp_path: Path) -> None:
    assert (
        joined([("COPYING", "GPL-3.0-only"), ("COPYING.LESSER", "LGPL-3.0-only")]) == "GPL-3.0-only AND LGPL-3.0-only"
    )
    assert joined([("LICENSE", "unknown")]) == "unknown"
    (tmp_path / "LICENSE").write_text("ask me")
    assert beside(tmp_path) == ""

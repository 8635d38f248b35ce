"""comparisons.json is the same bytes for the same rows, and is read back; foreign files are refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sluicegate.compare import compare, read, table, write
from sluicegate.errors import UserError
from sluicegate.records import Comparison, Score


def rows() -> list[Comparison]:
    arms = [[Score(f"s{i}", "m", 0, "em", float(i % step == 0)) for i in range(30)] for step in (3, 2)]
    return compare(arms[0], arms[1], primary="em")


def test_written_comparisons_are_read_back_and_repeat_to_the_byte(tmp_path: Path) -> None:
    first, second = tmp_path / "a.json", tmp_path / "deep" / "b.json"
    for path in (first, second):
        write(path, rows(), control="plain", experiment="enriched", primary="em", seed=0, level=0.95)
    assert first.read_bytes() == second.read_bytes()
    found = read(first)
    assert list(found.comparisons) == rows()
    assert (found.control, found.experiment, found.primary, found.seed, found.level) == (
        "plain",
        "enriched",
        "em",
        0,
        0.95,
    )
    assert list(json.loads(first.read_text())) == ["control", "experiment", "primary", "seed", "level", "comparisons"]


@pytest.mark.parametrize("text", ["", "[]", '{"control": "a"}', "{"])
def test_another_file_is_no_comparisons_file(tmp_path: Path, text: str) -> None:
    path = tmp_path / "comparisons.json"
    path.write_text(text)
    with pytest.raises(UserError, match="not a comparisons file"):
        read(path)
    with pytest.raises(UserError, match="not found"):
        read(tmp_path / "other.json")


def test_the_table_shows_points_notes_and_what_is_missing() -> None:
    nothing = Comparison("em", 0, None, None, None, None, None, None, None, 0.95, "none", 0, 0.0, note="no pairs")
    text = table([*rows(), nothing])
    assert "+16.7" in text
    assert "em: no pairs" in text
    lines = text.splitlines()
    assert len({len(line) for line in lines[:3]}) == 1
    assert lines[2].split()[:6] == ["em", "0", "none", "none", "none", "none"]


def test_comparisons_take_the_place_of_nothing_but_comparisons(tmp_path: Path) -> None:
    path = tmp_path / "scores.jsonl"
    path.write_text("paid for\n")
    with pytest.raises(UserError, match="holds something else"):
        write(path, rows(), control="a", experiment="b", primary="em", seed=0, level=0.95)
    assert path.read_text() == "paid for\n"
    path.write_text("")
    for seed in (0, 1):
        write(path, rows(), control="a", experiment="b", primary="em", seed=seed, level=0.95)
    assert read(path).seed == 1


@pytest.mark.parametrize("minimum", [float("nan"), float("inf"), 7.0, -1.0])
def test_a_minimum_that_is_no_gain_is_refused(minimum: float) -> None:
    arm = [Score("s", "m", 0, "em", 1.0)]
    with pytest.raises(UserError, match="minimum: out of range"):
        compare(arm, arm, primary="em", minimum=minimum)

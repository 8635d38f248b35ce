"""Comparisons beside the one that decides: read together, adjusted over the arms, written with the arms' names."""

from __future__ import annotations

from pathlib import Path

import pytest

from sluicegate import cli, jsonl
from sluicegate.compare import read, read_contrasts
from sluicegate.errors import UserError
from sluicegate.records import Score

VALUES = {"old": 0.2, "new": 0.5, "other": 0.3}


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    for arm, value in VALUES.items():
        rows = [
            Score(f"i{item}", arm, 0, metric, value + 0.01 * (item * 7 % 5 if arm == "new" else item % 3))
            for metric in ("a", "b")
            for item in range(12)
        ]
        jsonl.write(tmp_path / f"{arm}.jsonl", rows)
    made = {}
    for arm in ("new", "other"):
        made[arm] = tmp_path / "contrasts" / f"{arm}.json"
        words = ("--names", "old", arm, "--primary", "b", "--out", str(made[arm]))
        scores = (
            "--control-results",
            str(tmp_path / "old.jsonl"),
            "--experiment-results",
            str(tmp_path / f"{arm}.jsonl"),
        )
        assert cli.run(("compare", *scores, *words)) == 0
    return made


def test_each_file_tells_its_arms_and_without_names_their_roles(files: dict[str, Path], tmp_path: Path) -> None:
    assert (read(files["new"]).control, read(files["new"]).experiment) == ("old", "new")
    plain = tmp_path / "plain.json"
    scores = [str(tmp_path / f"{arm}.jsonl") for arm in ("old", "new")]
    words = ("--control-results", scores[0], "--experiment-results", scores[1], "--primary", "a", "--out", str(plain))
    assert cli.run(("compare", *words)) == 0
    assert (read(plain).control, read(plain).experiment) == ("control", "experiment")


def test_the_primary_metric_is_adjusted_over_the_arms_and_the_others_over_their_own(files: dict[str, Path]) -> None:
    alone = read_contrasts([files["new"]])[0]
    new, other = read_contrasts(files.values())
    assert [row.metric for row in new.rows] == ["b", "a"]
    assert new.rows[0].p_adjusted == 2 * (alone.rows[0].p or 0)
    assert alone.rows[0].p_adjusted == alone.rows[0].p
    assert new.rows[1:] == alone.rows[1:]
    assert (other.arm, other.against, other.primary) == ("other", "old", "b")


def test_no_file_is_no_contrast_and_a_broken_one_is_named(files: dict[str, Path]) -> None:
    assert read_contrasts([]) == ()
    files["new"].write_text("{}")
    with pytest.raises(UserError, match="not a comparisons file"):
        read_contrasts(files.values())

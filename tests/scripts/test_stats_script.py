"""`stats_analysis.py` as a user calls it: score files of other tools, wrong ones, and percentages without scores."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.process

SCRIPT = Path(__file__).parents[2] / "scripts" / "stats_analysis.py"


def run(*words: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(SCRIPT), *map(str, words)], cwd=cwd, capture_output=True, text=True, timeout=120
    )


ARMS = ("--control-results", "a.json", "--experiment-results", "b.json")


def written(folder: Path, *, wrapped: bool = True, **columns: int) -> None:
    """Two files whose metrics are passed on every n-th item of the control and on all of the experiment."""
    for name, better in (("a.json", False), ("b.json", True)):
        rows = [
            {"id": f"HumanEval/{i}", **{k: float(better or i % n == 0) for k, n in columns.items()}} for i in range(30)
        ]
        (folder / name).write_text(json.dumps({"model": "m", "results": rows} if wrapped else rows))


@pytest.mark.parametrize("wrapped", [True, False])
def test_two_files_of_another_tool_need_nothing_else(tmp_path: Path, wrapped: bool) -> None:
    written(tmp_path, passed=2, wrapped=wrapped)
    done = run(*ARMS, "--out", "results", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[:2] == ["experiment b.json", "control    a.json"]
    assert lines[4].split()[:5] == ["passed", "30", "50.0", "100.0", "+50.0"]
    found = json.loads((tmp_path / "results" / "comparisons.json").read_text())
    assert found["primary"] == "passed"
    assert found["comparisons"][0]["variance"].keys() == {"items"}


def test_of_several_metrics_one_is_named(tmp_path: Path) -> None:
    written(tmp_path, passed=2, em=3)
    done = run(*ARMS, cwd=tmp_path)
    assert (done.returncode, "no primary metric named" in done.stderr) == (2, True)
    done = run(*ARMS, "--primary", "em", "--level", "0.9", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert [line.split()[0] for line in done.stdout.splitlines()[3:6]] == ["metric", "em", "passed"]
    assert "90% intervals" in done.stdout


def test_csv_against_json(tmp_path: Path) -> None:
    written(tmp_path, em=2)
    rows = "".join(f"HumanEval/{i},{87.5 if i % 2 else 12.5},3.1\n" for i in range(30))
    (tmp_path / "a.csv").write_text(f"id,em%,seconds\n{rows}")
    done = run("--control-results", "a.csv", "--experiment-results", "b.json", "--metrics", "em", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "+50.0" in done.stdout


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[{"id": "HumanEval/0", "passed": 87.5}]', "name the column `passed%`"),
        ('[{"id": "HumanEval/0", "passed": NaN}]', "not a finite number"),
        ('[{"id": "other", "passed": 1}]', "the items do not pair"),
        ("[]", "no rows"),
        ("", "empty"),
        ("{", "not JSON"),
    ],
)
def test_a_wrong_file_is_one_message_and_exit_code_2(tmp_path: Path, text: str, message: str) -> None:
    written(tmp_path, passed=2)
    (tmp_path / "b.json").write_text(text)
    done = run(*ARMS, "--out", "results", cwd=tmp_path)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "results").exists()


def test_percentages_that_no_count_gives(tmp_path: Path) -> None:
    done = run("--grim", "87.3", "--items", 16, "--parts", 11, cwd=tmp_path)
    assert (done.returncode, done.stdout.split(":")[0]) == (0, "87.3% of 16 × 11 = 176")
    assert "not reachable" in done.stdout
    done = run("--grim", "96.3", "93.8%", "--items", 16, cwd=tmp_path)
    assert [line.split(": ")[1].split(" ")[0] for line in done.stdout.splitlines()] == ["not", "reachable"]


@pytest.mark.parametrize(
    "words",
    [("--grim", "87.3"), ("--grim", "x", "--items", "16"), ("--grim", "5", "--items", "0"), (), ARMS[:2]],
)
def test_arguments_that_are_missing_or_wrong_are_exit_code_2(tmp_path: Path, words: tuple[str, ...]) -> None:
    done = run(*words, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr
    assert "Traceback" not in done.stderr

"""The results table: its page is made of its figures, and steps wait for what they read."""

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from sluicegate import jsonl, study
from sluicegate.records import Prediction, Sample, Score
from sluicegate.stages.plan import resolve
from sluicegate.stages.steps import Step

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


@pytest.fixture(scope="module")
def results() -> ModuleType:
    spec = importlib.util.spec_from_file_location("k8s_results", ROOT / "benchmarks" / "k8s_results.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def found() -> dict[str, Any]:
    told: dict[str, Any] = json.loads((DOCS / "results-k8s.json").read_text("utf-8"))
    return told


def test_the_page_is_that_of_the_figures(results: ModuleType, found: dict[str, Any]) -> None:
    assert results.text(found) == (DOCS / "results-k8s.md").read_text("utf-8")


def test_a_target_is_met_or_missed_by_the_figures(results: ModuleType, found: dict[str, Any]) -> None:
    page = results.text(found)
    assert "| k8s_bp | 90.0 | dual_reinforce, 98.0 | met |" in page
    for row in found["arms"].values():
        row["runs"] = {name: [0.5] * len(values) for name, values in row["runs"].items()}
    assert "met |" not in results.text(found)


def test_a_step_waits_for_the_one_that_writes_its_input(results: ModuleType, tmp_path: Path) -> None:
    asked, answers = tmp_path / "test.jsonl", tmp_path / "answers.jsonl"
    asked.write_text("")
    answers.write_text("")  # begun, not done
    writes, reads = Step("generate a", (), (asked,), (answers,)), Step("evaluate a", (), (asked, answers), ())
    assert list(results.ready([reads], [SimpleNamespace(step=writes)])) == []
    assert list(results.ready([reads], [])) == [reads]


@pytest.fixture
def attempt(tmp_path: Path) -> Path:
    """A run folder of five samples; of the baseline's second run nothing is looked at."""
    rows = {"a": (0.5, 1.0), "b": (0.0, 1.0), "c": (0.0, 0.0), "d": (1.0, 1.0), "e": (None, None)}
    jsonl.write(tmp_path / "data/test.jsonl", [Sample(name, f"Make {name}.", "k: 1\n" * 40) for name in rows])
    for model in ("baseline-s0", "baseline-s1"):
        answers = [Prediction(name, model, 0, f"```\n{name}: 1\x1b[0m\n", 9, 0.1, "stop") for name in rows]
        scores = [
            Score(name, model, 0, metric, value, f"why {name} {metric}")
            for name, values in rows.items()
            for metric, value in zip(("quality_gated", "k8s_valid"), values, strict=True)
        ]
        jsonl.write(tmp_path / f"predictions/{model}.jsonl", answers)
        jsonl.write(tmp_path / f"scores/{model}.jsonl", scores if model == "baseline-s0" else [])
    return tmp_path


def test_the_worst_samples_of_an_arm_are_those_of_its_first_run(results: ModuleType, attempt: Path) -> None:
    asked = study.load(str(ROOT / "benchmarks" / "k8s_results.yaml"))
    rows = results.worst(asked, resolve(asked, 3), attempt, "baseline")
    assert [(row["sample"], row["value"]) for row in rows] == [("c", 0.0), ("b", 0.0), ("a", 0.5)]
    assert rows[0]["failed"] == ["quality_gated: why c quality_gated", "k8s_valid: why c k8s_valid"]
    assert rows[1]["failed"] == ["quality_gated: why b quality_gated"]
    assert rows[0]["asked"] == "Make c." and rows[0]["written"] == "```\nc: 1⟨U+001B⟩[0m"
    assert rows[0]["expected"].splitlines() == ["k: 1"] * results.LINES + ["… (10 lines more)"]


def test_the_page_shows_the_worst_samples_or_says_that_none_were_kept(
    results: ModuleType, attempt: Path, found: dict[str, Any]
) -> None:
    assert "Not kept of this run" in results.text(found)
    asked = study.load(str(ROOT / "benchmarks" / "k8s_results.yaml"))
    found["worst"] = {"baseline": results.worst(asked, resolve(asked, 3), attempt, "baseline")}
    page = results.text(found)
    assert "Not kept of this run" not in page
    assert "<summary>baseline: c, 0.0</summary>" in page
    assert "````text\n```\nc: 1⟨U+001B⟩[0m\n````" in page  # the answer cannot end its own block

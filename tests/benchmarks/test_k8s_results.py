"""The results table: its page is made of its figures, and steps wait for what they read."""

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

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

"""The page of measured speeds is that of its figures; what was missed or not measured is said."""

import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


@pytest.fixture
def performance(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT))
    from benchmarks import performance

    return performance


@pytest.fixture
def told() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((DOCS / "performance.json").read_text("utf-8"))
    return found


@pytest.fixture
def pairs() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((DOCS / "seq2seq-speed.json").read_text("utf-8"))
    return found


def test_the_page_is_that_of_the_figures(performance: ModuleType, told: dict[str, Any], pairs: dict[str, Any]) -> None:
    assert performance.page(told, pairs) == (DOCS / "performance.md").read_text("utf-8")


def test_a_goal_that_was_missed_and_a_row_that_is_missing_are_said(
    performance: ModuleType, told: dict[str, Any], pairs: dict[str, Any]
) -> None:
    made, rows = told["qlora"][0]["made"], [row for part in told["qlora"] for row in part["rows"]]
    ours = next(row for row in rows if row["case"] == "ours within 7 GiB")
    slow = ours | {"tokens_per_s": 9_999}
    goal = {"ours within 7 GiB": {"tokens_per_s": 9_999, "goal": 10_000, "met": False}}
    late = {"case": "trl", "row": "trl", "failed": "exit 1"}
    text = performance.page(told | {"qlora": [{"made": made, "rows": [slow, late], "found": goal}]}, pairs)
    assert "- Goal 10,000 tokens/s, ours within 7 GiB: **missed**, 9,999." in text
    assert "- Not measured: TRL; Unsloth" in text and "- Failed: trl (exit 1)." in text


def test_hours_are_computed_from_rates_and_memory(
    performance: ModuleType, told: dict[str, Any], pairs: dict[str, Any]
) -> None:
    for name, found in told["studies"].items():
        ways = performance._pair_hours if found["pairs"] else performance._causal_hours
        hours = [ways(found, told, pairs, card, gib) for card, gib in performance.CARDS.items()]
        assert hours == sorted(hours, reverse=True), name
        assert ways(found | {"trained": 2 * found["trained"]}, told, pairs, "H100", 80.0) > hours[-1]
    assert performance._causal_hours(told["studies"]["metadata-llama3"], told, pairs, "RTX 4070 Ti", 5.0) is None


def test_a_study_is_laid_out_as_its_plan_has_it(performance: ModuleType) -> None:
    found = performance.tokens("k8s-dual-encoder")
    assert found["pairs"] and found["parameters"] == 312_561_024
    assert found["trained"] > found["drawn"] > found["written"] > 0

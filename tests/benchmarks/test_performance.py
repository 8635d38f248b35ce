"""The page of measured speeds is that of its figures; what was missed or not measured is said."""

import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from sluicegate.stages.forecast import machines, priors

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


def test_the_page_is_that_of_the_figures(performance: ModuleType, told: dict[str, Any]) -> None:
    assert performance.page(told) == (DOCS / "performance.md").read_text("utf-8")


def test_a_goal_that_was_missed_and_a_row_that_is_missing_are_said(
    performance: ModuleType, told: dict[str, Any]
) -> None:
    made, rows = told["qlora"][0]["made"], [row for part in told["qlora"] for row in part["rows"]]
    ours = next(row for row in rows if row["case"] == "ours within 7 GiB")
    slow = ours | {"tokens_per_s": 9_999}
    goal = {"ours within 7 GiB": {"tokens_per_s": 9_999, "goal": 10_000, "met": False}}
    late = {"case": "trl", "row": "trl", "failed": "exit 1"}
    text = performance.page(told | {"qlora": [{"made": made, "rows": [slow, late], "found": goal}]})
    assert "- Goal 10,000 tokens/s, ours within 7 GiB: **missed**, 9,999." in text
    assert "- Not measured: TRL; Unsloth" in text and "- Failed: trl (exit 1)." in text


def test_rows_of_several_gpus_and_of_adapters_are_told(performance: ModuleType, told: dict[str, Any]) -> None:
    made = told["qlora"][0]["made"]
    several = {"tokens_per_s": 30_000, "tokens_per_s_alone": 10_000, "efficiency": 0.75, "apart_most": 0.00123}
    adapters = {"steps": 9, "seeds": 2, "last_losses": {"bf16": [2.0, 3.0], "fp32": [1.0, 2.0]}, "apart_mean": 0.5,
                "between_seeds": 0.25}  # fmt: skip
    rows = [{"case": "four", "row": "four"} | several, {"case": "adapters", "row": "adapters"} | adapters]
    text = performance.page(told | {"qlora": [{"made": made, "rows": rows, "found": {}}]})
    assert "- Four GPUs: 30,000 tokens/s, one 10,000: 75%; losses at most 0.12% apart." in text
    wanted = "9 steps, 2 seeds, NVIDIA H200: loss 2.5000 in bf16 and 1.5000 in fp32; curves 0.5000 apart on average"
    assert wanted in text and "| four |" not in text
    assert "two GPUs" in text and "four GPUs" not in text


def test_the_hours_are_those_of_the_plan(performance: ModuleType, told: dict[str, Any]) -> None:
    stale = "python benchmarks/performance.py --collect"
    for name, cards in {"metadata-llama3": performance.CARDS, "k8s-dual-encoder": {"RTX 4070 Ti": 12.0}}.items():
        for card, gib in cards.items():
            assert performance.computed(name, card, gib) == pytest.approx(told["hours"][name][card], rel=0.05), stale
    assert performance.computed("metadata-llama3", "RTX 4070 Ti", 5.0) is None
    for hours in told["hours"].values():
        assert list(hours) == list(performance.CARDS)
        assert sorted(hours.values(), reverse=True) == list(hours.values())


def test_the_plan_rests_on_what_was_measured(performance: ModuleType, told: dict[str, Any]) -> None:
    rows = [row for part in told["qlora"] for row in part["rows"]]
    found = performance.share(rows)
    assert priors.PACKED_SHARE.expected == pytest.approx(found, rel=0.03), f"PACKED_SHARE in priors.py: {found:.3f}"
    assert priors.PACKED_SHARE.low < found < priors.PACKED_SHARE.high
    pairs = json.loads((DOCS / "seq2seq-speed.json").read_text("utf-8"))["rows"]
    rate = next(row["tokens_per_s"] for row in pairs if row.get("trainer") == "ours")
    reached = machines.REACHED.expected * machines.GPUS["h200"][0] * 1e12
    found = 6 * rate * 222_882_048 / reached
    assert priors.PAIR_SHARE.expected == pytest.approx(found, rel=0.03), f"PAIR_SHARE in priors.py: {found:.3f}"


def test_rates_and_hours_are_kept_where_no_file_takes_their_place(
    performance: ModuleType, told: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(performance, "computed", lambda name, card, gib: gib)
    new = tmp_path / "generate.json"
    new.write_text(json.dumps({"rows": []}))
    found = performance.collect(told, [], [new])
    assert (found["qlora"], found["generate"]) == (told["qlora"], [{"rows": []}])
    assert found["hours"]["metadata-llama3"] == performance.CARDS

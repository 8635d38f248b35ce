"""The benchmark of a GPU runs on a CPU with a tiny shape, so that it cannot rot; its figures mean nothing here."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.torch, pytest.mark.process]
SCRIPT = Path(__file__).parent.parent.parent / "benchmarks" / "qlora_h200.py"


def _run(work: Path, *words: str) -> tuple[dict[str, Any], str]:
    out = work / "rows.json"
    command = [sys.executable, str(SCRIPT), "--work", str(work), "--out", str(out), "--steps", "3", *words]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    told: dict[str, Any] = json.loads(out.read_text("utf-8"))
    return told, done.stdout


def test_it_trains_a_tiny_shape_keeps_its_rows_and_goes_on_behind_them(tmp_path: Path) -> None:
    told, _ = _run(tmp_path, "--only", "ours")
    row = told["rows"][0]
    assert row["row"] == "ours" and row["tokens_per_s"] > 0
    assert row["loss"] == pytest.approx(6.25, abs=0.3)  # that of 512 words at random
    assert told["made"]["device"] == "CPU" and "--only ours" in told["made"]["command"]
    again, said = _run(tmp_path, "--only", "ours")
    assert again["rows"] == told["rows"]
    assert json.loads(said) == again["found"] == {}


def test_the_longest_sample_is_tried_and_two_processes_give_the_losses_of_one(tmp_path: Path) -> None:
    told, _ = _run(tmp_path, "--only", "long,two,sharded", "--length", "64")
    rows = {row["row"]: row for row in told["rows"]}
    assert not [row for row in rows.values() if "failed" in row]
    assert rows["longest within 11 GiB, r 16"]["longest"] > 0
    for name in ("two", "sharded over two"):
        assert len(rows[name]["losses"]) == len(rows[name]["losses_alone"]) == 3
        assert rows[name]["apart_most"] < 1e-4
    assert told["found"] == {}


def test_the_curve_of_a_model_from_scratch_is_that_of_transformers_trainer(tmp_path: Path) -> None:
    told, _ = _run(tmp_path, "--only", "parity", "--seeds", "2", "--steps", "30")
    row = told["rows"][0]
    assert row["within_seed_noise"] and row["apart_most"] < 1e-3 < row["between_seeds"]
    assert max(row["last_losses"]["ours"]) < row["first_loss"] - 1


def test_a_profile_says_what_a_step_is_spent_on(tmp_path: Path) -> None:
    told, _ = _run(tmp_path, "--only", "profile:7 GiB")
    (row,) = told["rows"]
    assert row["tokens_per_s"] > 0 and row["kernels_s"] > 0
    assert any("mm" in name for name, _, _ in row["top"])
    assert told["found"] == {}


def test_adapters_are_trained_in_both_precisions(tmp_path: Path) -> None:
    told, _ = _run(tmp_path, "--only", "adapters", "--seeds", "2")
    row = told["rows"][0]
    assert set(row["last_losses"]) == {"bf16", "fp32"}
    assert 0 < row["apart_mean"] < row["between_seeds"]


def test_a_process_that_fails_or_takes_too_long_is_a_row_that_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(SCRIPT.parent.parent))
    from benchmarks.side import apart

    found = list(apart([sys.executable, "-c", "print('{\"a\": 1}', flush=True); raise SystemExit(3)"], seconds=60))
    assert found == [{"a": 1}, {"failed": "exit 3"}]
    (late,) = apart([sys.executable, "-c", "import time; time.sleep(60)"], seconds=0.5)
    assert "not done in 0.5 s" in late["failed"]

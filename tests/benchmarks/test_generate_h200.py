"""The benchmark of a GPU runs on a CPU with a tiny shape, so that it cannot rot; its figures mean nothing here."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.torch, pytest.mark.process]
SCRIPT = Path(__file__).parent.parent.parent / "benchmarks" / "generate_h200.py"


def test_it_answers_with_a_tiny_shape_and_prints_its_figures(tmp_path: Path) -> None:
    out = tmp_path / "rows.json"
    words = ["--prompts", "3", "--draws", "2", "--new", "6", "--few", "1", "--batch", "2", "--equal", "2"]
    done = subprocess.run(
        [sys.executable, str(SCRIPT), *words, "--greedy", "8", "--out", str(out)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]
    told = json.loads(out.read_text("utf-8"))
    assert not [row for row in told["rows"] if "failed" in row]
    rates = {row["decoder"]: row["answers"] for row in told["rows"] if "tokens_per_s" in row}
    assert rates == {
        "ours": 6, "ours, weights packed": 6, "generate, prompt by prompt": 2, "generate, one batch": 4,
    }  # fmt: skip
    equal = [(row["greedy"], row["equal"]) for row in told["rows"] if row["decoder"] == "ours" and "greedy" in row]
    assert equal == [("float32", 2), ("4-bit", 2)]
    assert sum("generate" in name for name in told["found"]) == 4
    assert json.loads(done.stdout.splitlines()[-1]) == told["found"]

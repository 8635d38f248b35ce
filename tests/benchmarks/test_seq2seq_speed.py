"""The benchmark of a GPU runs on a CPU with a tiny shape, so that it cannot rot; its figures mean nothing here."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.torch, pytest.mark.process]
SCRIPT = Path(__file__).parent.parent.parent / "benchmarks" / "seq2seq_speed.py"


def test_it_runs_a_tiny_shape_and_prints_its_figures(tmp_path: Path) -> None:
    out = tmp_path / "rows.json"
    words = ["--shape", "tiny", "--batch", "4", "--micro", "2", "--steps", "5", "--length", "32", "--prompts", "2"]
    done = subprocess.run(
        [sys.executable, str(SCRIPT), *words, "--new", "12", "--compile", "0", "--out", str(out)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    told = json.loads(out.read_text("utf-8"))
    assert not [row for row in told["rows"] if "failed" in row]
    assert told["rows"][0] == {"decoder": "greedy texts equal to generate", "equal": 2, "of": 2}
    assert all(told["found"][name] > 0 for name in told["found"] if name not in {"device", "torch", "shape"})
    assert json.loads(done.stdout.splitlines()[-1]) == told["found"]

"""The benchmark of a GPU runs on a CPU with a tiny shape, so that it cannot rot; its figures mean nothing here."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.torch, pytest.mark.process]
SCRIPT = Path(__file__).parent.parent.parent / "benchmarks" / "rl_speed.py"


def test_it_learns_by_reward_both_ways_and_prints_its_figures(tmp_path: Path) -> None:
    out = tmp_path / "figures.json"
    words = [sys.executable, str(SCRIPT), "--work", str(tmp_path / "work"), "--out", str(out)]
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    row = json.loads(done.stdout.splitlines()[-1])
    assert row == json.loads(out.read_text())
    for way in ("ours", "one_batch", "prompt_by_prompt"):
        assert row[way]["answers_per_s"] > 0
        assert 0 < row[way]["length"] <= 24

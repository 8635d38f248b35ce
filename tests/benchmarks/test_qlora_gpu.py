"""The benchmark of a GPU runs on a CPU with a tiny shape, so that it cannot rot; its figures mean nothing here."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.torch, pytest.mark.process]
SCRIPT = Path(__file__).parent.parent.parent / "benchmarks" / "qlora_gpu.py"


def test_it_trains_a_tiny_shape_and_prints_its_figures(tmp_path: Path) -> None:
    words = [
        sys.executable,
        str(SCRIPT),
        "--steps",
        "3",
        "--length",
        "128",
        "--compile",
        "false",
        "--work",
        str(tmp_path),
    ]
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    row = json.loads(done.stdout.splitlines()[-1])
    assert row["tokens_per_s"] > 0
    assert row["loss"] == pytest.approx(6.25, abs=0.3)  # that of 512 words at random

"""What every test needs: no variable of ours from outside, no hub, one thread a process."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

sys.path.insert(0, str(Path(__file__).parent))  # for `golden_files`

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["GIT_COMMIT"] = "0" * 40

# The same examples in every run, and no time limit: a run says what a change did. RANDOM_EXAMPLES=1 draws others.
hypothesis.settings.register_profile("house", deadline=None, derandomize=not os.environ.get("RANDOM_EXAMPLES"))
hypothesis.settings.load_profile("house")


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No test sees a variable that the user's shell happens to export."""
    from sluicegate.settings import TrainSettings

    foreign = [name for name in os.environ if name.startswith("JUDGE_")]
    for name in (*TrainSettings.model_fields, *foreign):
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("SLUICEGATE_PROGRESS_S", "5")
    monkeypatch.setenv("ALLOW_UNSAFE_EXEC", "1")  # a machine without bubblewrap runs the tests too
    yield

"""A fake engine, and a job that writes into a run folder."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from runners.fake_engine import FakeEngine
from sluicegate.runners import Files, Job, Place
from sluicegate.study import Machine


@pytest.fixture
def fake() -> Iterator[FakeEngine]:
    with tempfile.TemporaryDirectory(prefix="engine") as root:  # a socket's path has to be short
        made = FakeEngine(Path(root))
        yield made
        made.close()


@pytest.fixture
def make_job(tmp_path: Path, fake: FakeEngine) -> Callable[..., Job]:
    """A job that runs code with the run folder as OUT; it reads `data/in.txt` and leaves `arms/model`."""
    folder = tmp_path / "runs" / "demo" / "stage1-x"
    (folder / "data").mkdir(parents=True)
    (folder / "data" / "in.txt").write_text("given\n")

    def made(code: str, **machine: object) -> Job:
        told = Machine.model_validate({"runner": "docker", "host": fake.url, **machine})
        model = folder / "arms" / "model"
        files = Files(folder, (folder / "data" / "in.txt",), (model,), (model / "result.json",), "digest")
        argv = (sys.executable, "-c", f"import os, sys, time, signal\nfrom pathlib import Path\n{code}")
        return Job(
            "train model", argv, folder / "logs" / "train-model.log", {"OUT": str(folder)}, files, Place("tower", told)
        )

    return made

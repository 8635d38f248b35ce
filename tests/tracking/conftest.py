"""One SQLite store for the whole session: making it takes MLflow seconds."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sluicegate.tracking import default_uri
from sluicegate.tracking.link import QUIET, Link
from sluicegate.tracking.spool import Spool

SHA = "ab" * 32


@pytest.fixture(scope="session")
def store_uri(tmp_path_factory: pytest.TempPathFactory) -> str:
    before = {name: os.environ.get(name) for name in QUIET}
    uri = default_uri(tmp_path_factory.mktemp("runs"))
    Link(uri)
    os.environ.update({name: value for name, value in before.items() if value is not None})
    return uri


@pytest.fixture
def client(store_uri: str) -> Any:
    from mlflow.tracking import MlflowClient

    return MlflowClient(tracking_uri=store_uri)


@pytest.fixture
def store(store_uri: str, client: Any) -> tuple[str, Any]:
    return store_uri, client


@pytest.fixture
def stage(tmp_path: Path) -> Callable[[str], tuple[Path, Path]]:
    """A stage's spool and an arm's below it, both ended: (stage folder, arm folder)."""

    def make(experiment: str) -> tuple[Path, Path]:
        root = tmp_path / "stage1-x"
        arm = root / "arms" / "control-s0"
        with Spool(root) as spool:
            spool.run("stage1", experiment, tags={"stage": "1"})
        with Spool(arm) as spool:
            spool.run("control-s0", experiment, root, {"arm": "control", "git_commit": "a" * 40 + "+"})
            spool.params({"epochs": 3.0, "base_model": "tiny"})
            spool.dataset("train", Path("data/train.jsonl"), SHA, 70)
            for step in (1, 2, 3):
                spool.metrics({"train/loss": 4.0 - step, "train/grad_norm": 1.0}, step)
            (arm / "adapter").mkdir()
            (arm / "adapter" / "config.json").write_text("{}")
            (arm / "adapter" / ".lock").write_text("")
            spool.artifact(arm / "adapter", "adapter")
            spool.end("FINISHED")
        return root, arm

    return make

"""A real training whose server refuses it: it ends well, says what to do, and `sync` brings all of it, no secret."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sluicegate import jsonl
from sluicegate.models import tiny
from sluicegate.records import Sample
from tracking.servers import Hostile, serving

pytestmark = [pytest.mark.torch, pytest.mark.process, pytest.mark.timeout(900)]
SHAPE = {
    "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2,
    "num_key_value_heads": 2, "max_position_embeddings": 256,
}  # fmt: skip
SECRETS = {"HF_TOKEN": "hunter-two-hub", "MLFLOW_TRACKING_PASSWORD": "hunter-two-mlflow", "XY_KEY": "hunter-two"}


def train(work: Path, uri: str) -> subprocess.CompletedProcess[str]:
    """`sluicegate train` on five samples, for long enough to be sampled itself."""
    rows = [Sample(f"s{number}", f"Add {number}.\n", f"x + {number}\n") for number in range(5)]
    jsonl.write(work / "train.jsonl", rows)
    jsonl.write(work / "val.jsonl", rows)
    tiny.build(work / "base", tiny.texts_of(rows), shape=SHAPE)
    told = {
        "DATASET_PATH": str(work / "train.jsonl"), "VAL_DATASET_PATH": str(work / "val.jsonl"),
        "BASE_MODEL": str(work / "base"), "OUTPUT_DIR": str(work / "models"), "MODEL_NAME": "a", "BATCH_SIZE": "2",
        "EPOCHS": "100", "MAX_STEPS": "60", "LORA_R": "2", "LOAD_IN_4BIT": "false", "MLFLOW_TRACKING_URI": uri,
        "MLFLOW_TRACKING_USERNAME": "me", "MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL": "0.2",
    }  # fmt: skip
    argv = [sys.executable, "-m", "sluicegate", "train", "--experiment", "refused"]
    return subprocess.run(argv, capture_output=True, text=True, env=os.environ | SECRETS | told, cwd=work)


def test_a_server_that_refuses_costs_a_training_nothing(store_uri: str, client: Any, tmp_path: Path) -> None:
    with serving(Hostile) as server:
        server.mode = "rights"  # type: ignore[attr-defined]
        done = train(tmp_path, f"http://127.0.0.1:{server.server_port}")
    model = tmp_path / "models" / "a"
    assert done.returncode == 0, done.stderr[-3000:]
    assert "refused or not MLflow" in done.stderr
    assert "the training goes on without it" in done.stderr
    assert f"sluicegate sync {model}" in done.stderr
    assert json.loads((model / "result.json").read_text())["steps"] == 60

    argv = [sys.executable, "-m", "sluicegate", "sync", str(model), "--uri", store_uri]
    synced = subprocess.run(argv, capture_output=True, text=True)
    assert (synced.returncode, synced.stdout) == (0, "1 runs, 0 lines left unsent\n"), synced.stderr
    (run,) = client.search_runs([client.get_experiment_by_name("refused").experiment_id])
    assert run.info.status == "FINISHED"
    assert {"train/loss", "val/loss", "system/cpu_utilization_percentage"} <= set(run.data.metrics)
    assert run.data.tags["mlflow.source.git.commit"] == "0" * 40
    contexts = {tag.value for row in run.inputs.dataset_inputs for tag in row.tags if tag.key == "mlflow.data.context"}
    assert contexts == {"training", "validation"}
    (made,) = client.search_logged_models([run.info.experiment_id], f"source_run_id = '{run.info.run_id}'")
    assert (made.name, str(made.status), made.tags["weights_sha256"]) == (
        "a", "READY", json.loads((model / "result.json").read_text())["sha256"],
    )  # fmt: skip
    held = {path.name for path in Path(made.artifact_location.removeprefix("file://")).iterdir()}
    assert {"adapter_model.safetensors", "adapter_config.json", "result.json"} <= held

    store = Path(store_uri.removeprefix("sqlite:///"))
    kept = [*model.rglob("*"), *(store.parent / "mlartifacts" / "refused").rglob("*"), store]
    texts = b"".join(path.read_bytes() for path in kept if path.is_file()) + (done.stdout + done.stderr).encode()
    assert b"hunter-two" not in texts

"""Trainings as processes: killed, told to stop, two of them in one folder, and two of them as one training."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sluicegate import folder
from sluicegate.tracking.spool import curves, read

pytestmark = [pytest.mark.torch, pytest.mark.process]
TRAIN = (sys.executable, "-m", "sluicegate", "train", "--no-send")


def _environment(base: Path, data: Path, out: Path, **changes: str) -> dict[str, str]:
    known = {
        "DATASET_PATH": str(data / "train.jsonl"),
        "VAL_DATASET_PATH": str(data / "val.jsonl"),
        "BASE_MODEL": str(base),
        "OUTPUT_DIR": str(out),
        "BATCH_SIZE": "4",
        "EPOCHS": "1000",
        "MAX_STEPS": "6",
        "LORA_R": "4",
        "LORA_DROPOUT": "0",
        "LOAD_IN_4BIT": "false",
        "LEARNING_RATE": "0.005",
        "WARMUP_STEPS": "2",
        "SAVE_EVERY": "3",
    }
    return os.environ | known | changes


@pytest.mark.parametrize("in_4bit", ["false", "true"])
def test_killed_at_any_moment_it_goes_on_to_the_same_weights(
    base: Path, data: Path, tmp_path: Path, in_4bit: str
) -> None:
    script = Path(__file__).with_name("kill_again_and_again.py")
    done = subprocess.run(
        [sys.executable, str(script), str(base), str(data), str(tmp_path), in_4bit],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    ends = json.loads(done.stdout)
    assert ends["whole"] == [0]
    assert ends["counted"][-1] == 0 and ends["counted"].count(-signal.SIGKILL) == len(ends["counted"]) - 1 >= 8
    assert ends["timed"][-1] == 0
    results = {name: json.loads((tmp_path / name / "result.json").read_text()) for name in ends}
    for name in ("counted", "timed"):
        same = ("sha256", "first_loss", "last_loss", "best_val_loss", "best_step", "tokens")
        assert [results[name][key] for key in same] == [results["whole"][key] for key in same]
        found, wanted = (curves(tmp_path / run / "events.jsonl") for run in (name, "whole"))
        assert found["train/loss"] == wanted["train/loss"]
        assert found["val/loss"] == wanted["val/loss"]
        hidden = {path.name for path in (tmp_path / name).rglob(".*")}
        assert hidden == set()


def test_sigterm_saves_and_ends_with_130_and_the_next_start_goes_on(base: Path, data: Path, tmp_path: Path) -> None:
    environment = _environment(base, data, tmp_path, MAX_STEPS="2000", SAVE_EVERY="2000")
    process = subprocess.Popen(TRAIN, env=environment, stderr=subprocess.PIPE, text=True)
    events = tmp_path / "model" / "events.jsonl"
    until = time.monotonic() + 120
    while time.monotonic() < until and '"train/loss"' not in (events.read_text() if events.exists() else ""):
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    said = process.communicate(timeout=60)[1]
    assert process.returncode == 130, said
    assert "SIGTERM: saving a checkpoint" in said and "run the same command to go on" in said
    (saved,) = (tmp_path / "model" / "checkpoints").iterdir()
    assert 0 < int(saved.name.removeprefix("step-")) < 2000
    last = [event for _, event in read(events) if event][-1]
    assert (last["kind"], last["status"]) == ("end", "KILLED")


def test_a_folder_in_use_is_left_alone(base: Path, data: Path, tmp_path: Path) -> None:
    with folder.holding(tmp_path / "model"):
        done = subprocess.run(
            TRAIN, env=_environment(base, data, tmp_path), capture_output=True, text=True, check=False
        )
    assert done.returncode == 2
    assert f"{tmp_path / 'model'}: in use" in done.stderr and "Traceback" not in done.stderr
    assert {path.name for path in (tmp_path / "model").iterdir()} == {".lock"}


def test_two_processes_give_the_losses_of_one(base: Path, data: Path, tmp_path: Path) -> None:
    one = _environment(base, data, tmp_path, MODEL_NAME="one", GRADIENT_ACCUMULATION_STEPS="2")
    two = _environment(base, data, tmp_path, MODEL_NAME="two")
    # `--multi_gpu` is accelerate's word for its launcher of several processes; without a GPU they run on the CPU.
    launch = "accelerate.commands.launch --multi_gpu --num_processes 2 --num_machines 1 --mixed_precision no"
    both = subprocess.run(
        [sys.executable, "-m", *launch.split(), "--dynamo_backend", "no", "--main_process_port", "0", *TRAIN[1:]],
        env=two,
        capture_output=True,
        text=True,
        check=False,
    )
    assert both.returncode == 0, both.stderr[-3000:]
    subprocess.run(TRAIN, env=one, capture_output=True, check=True)
    wanted, found = (curves(tmp_path / name / "events.jsonl") for name in ("one", "two"))
    for name in ("train/loss", "train/grad_norm", "val/loss"):
        assert [at for at, _ in found[name]] == [at for at, _ in wanted[name]]
        assert [value for _, value in found[name]] == pytest.approx([value for _, value in wanted[name]], rel=1e-4)
    assert both.stderr.count("train two 6/6") == 1

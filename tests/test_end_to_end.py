"""The whole path for real: every command as a process, two arms, stages 0 to 3, an MLflow store, a kill in between."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sluicegate import jsonl, study
from sluicegate.records import Prediction, Score, Verdict, from_json, to_json
from sluicegate.stages import evidence, gate, ledger
from sluicegate.tracking import state

pytestmark = [pytest.mark.process, pytest.mark.torch, pytest.mark.timeout(900), pytest.mark.xdist_group("end-to-end")]

SMALL = study.load("demo").model_copy(
    update={
        "name": "small",
        "train": {**study.load("demo").train, "batch_size": 4},
        "generate": study.Generation(draws=2, temperature=0.5, max_new_tokens=8),
        "stages": {
            1: study.StageChange(train={"load_in_4bit": "true"}),
            2: study.StageChange(train_samples=8, val_samples=2, test_samples=6, train={"max_steps": 3}),
            3: study.StageChange(train_samples=8, val_samples=2, test_samples=6, train={"max_steps": 3}),
        },
    }
)


def start(folder: Path, *argv: str) -> subprocess.Popen[str]:
    jsonl.write_text(folder / "small.yaml", study.dump(SMALL))
    command = [sys.executable, "-m", "sluicegate", *argv, "--study", "small.yaml"]
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command, cwd=folder, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int, str]:
    """The folder after stages 0 to 3, the exit code and what was printed."""
    folder = tmp_path_factory.mktemp("ran")
    process = start(folder, "run", "--through", "3")
    printed = process.communicate()[0]
    return folder, process.returncode, printed


def lines(folder: Path) -> list[ledger.Line]:
    return ledger.read_lines(folder / "runs" / "small" / "ledger.jsonl", "small")


def attempts(folder: Path) -> list[Path]:
    return sorted((folder / "runs" / "small").glob("stage*"))


def test_every_stage_decides_and_the_exit_code_is_the_last_ones(ran: tuple[Path, int, str]) -> None:
    folder, code, printed = ran
    entries = [line for line in lines(folder) if isinstance(line, ledger.Decided)]
    outcomes = [entry.outcome.value for entry in entries]
    # what three steps on eight samples can show is nothing: whatever it says, nothing may have broken
    assert [entry.stage for entry in entries] == list(range(len(entries))), printed
    assert outcomes[:2] == ["GO", "GO"], printed
    assert code == {"GO": 0, "RETRY": 10, "INCONCLUSIVE": 15, "STOP": 20}[outcomes[-1]]
    assert "RETRY" not in outcomes, printed
    assert f"{len(entries) - 1}      " in printed


def test_the_run_folder_is_whole_and_its_verdict_can_be_recomputed(ran: tuple[Path, int, str]) -> None:
    for attempt in attempts(ran[0]):
        number = int(attempt.name[5])
        verdict = from_json(Verdict, jsonl.read_text(attempt / "verdict.json"))
        assert to_json(gate.decide(evidence.read(attempt, number))) == to_json(verdict)
        assert "<svg" in (attempt / "report.html").read_text() or number < 1
        if number >= 2:
            predictions = jsonl.read(Prediction, attempt / "predictions" / "control-s0.jsonl")
            scores = jsonl.read(Score, attempt / "scores" / "control-s0.jsonl")
            assert len(predictions) == 6 * 2
            assert {(row.sample_id, row.draw) for row in scores} == {(row.sample_id, row.draw) for row in predictions}


def test_stage_one_really_ran_in_4_bit_and_left_a_loadable_adapter(ran: tuple[Path, int, str]) -> None:
    model = next(path for path in attempts(ran[0]) if path.name.startswith("stage1")) / "arms" / "control-s0"
    assert json.loads((model / "result.json").read_text())["loaded_in_4bit"] is True
    code = (
        "import sys\nfrom transformers import AutoModelForCausalLM\n"
        "model = AutoModelForCausalLM.from_pretrained(sys.argv[1], dtype='float32')\n"
        "print(sum('lora_A' in name for name, _ in model.named_parameters()))"
    )
    done = subprocess.run([sys.executable, "-c", code, str(model)], capture_output=True, text=True)
    assert int(done.stdout or 0) > 0, done.stderr


def test_mlflow_has_a_parent_a_stage_with_a_child_an_arm(ran: tuple[Path, int, str]) -> None:
    from mlflow import MlflowClient

    folder = ran[0]
    client = MlflowClient(f"sqlite:///{folder}/runs/mlflow.db")
    experiment = client.get_experiment_by_name("small")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id], max_results=100)
    parents = {run.info.run_id: run for run in runs if "mlflow.parentRunId" not in run.data.tags}
    children = [run for run in runs if "mlflow.parentRunId" in run.data.tags]
    assert len(parents) == len(attempts(folder))
    assert len(children) == 2 * (len(parents) - 1)
    assert {run.data.tags["mlflow.parentRunId"] for run in children} <= set(parents)
    assert all("train/loss" in run.data.metrics and run.inputs.dataset_inputs for run in children)
    assert all(run.info.status == "FINISHED" for run in runs)
    assert not any(state.unsent(folder / "runs").values())
    reports = [entry.path for run in parents for entry in client.list_artifacts(run)]
    assert reports.count("report.html") == len(parents)


def test_stages_that_have_their_go_are_not_run_again(ran: tuple[Path, int, str]) -> None:
    folder = ran[0]
    before = lines(folder)
    process = start(folder, "run", "--through", "1")
    printed = process.communicate()[0]
    assert process.returncode == 0, printed
    assert "train" not in printed.split("stage  name")[0]
    assert lines(folder) == before


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_stopped_in_training_it_goes_on_to_the_same_models(
    number: signal.Signals, ran: tuple[Path, int, str], tmp_path: Path
) -> None:
    process = start(tmp_path, "run", "--through", "1")
    until = time.monotonic() + 300
    while time.monotonic() < until and not list(tmp_path.glob("runs/small/stage1-*/arms/control-s0/events.jsonl")):
        time.sleep(0.05)
    process.send_signal(number)
    printed = process.communicate()[0]
    assert process.returncode == {signal.SIGTERM: 130, signal.SIGKILL: -9}[number], printed
    _wait_until_let_go(tmp_path)
    again = start(tmp_path, "run", "--through", "1")
    printed = again.communicate()[0]
    assert again.returncode == 0, printed
    assert len(attempts(tmp_path)) == 2
    for arm in ("control-s0", "experiment-s0"):
        assert _weights(tmp_path, arm) == _weights(ran[0], arm)


def _wait_until_let_go(folder: Path) -> None:
    """A killed stage's child ends by itself when it finds that nobody reads what it says."""
    until = time.monotonic() + 120
    while time.monotonic() < until and list(folder.glob("runs/small/stage1-*/arms/*/.holder")):
        time.sleep(0.2)


def _weights(folder: Path, arm: str) -> str:
    result = next(folder.glob(f"runs/small/stage1-*/arms/{arm}/result.json"))
    return str(json.loads(result.read_text())["sha256"])

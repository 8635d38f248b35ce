"""Encoder-decoders through the whole way: settings, training that is cut off and goes on, answers from the folder."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pair_samples import base, samples, settings
from sluicegate import jsonl
from sluicegate.errors import Interrupted
from sluicegate.generate import Request, generate
from sluicegate.records import Prediction
from sluicegate.settings import TrainSettings
from sluicegate.tracking import Null
from sluicegate.tracking.spool import curves
from sluicegate.train import loop, step

pytestmark = pytest.mark.torch


@pytest.fixture(params=["seq2seq", "dual"])
def asked(request: pytest.FixtureRequest, tmp_path: Path) -> TrainSettings:
    kind = str(request.param)
    jsonl.write(tmp_path / "train.jsonl", samples())
    jsonl.write(tmp_path / "val.jsonl", samples(6))
    return settings(
        tmp_path, kind, base_model=str(base(tmp_path, kind)), output_dir=tmp_path / "models", max_steps=8,
        epochs=100.0, learning_rate=5e-3, warmup_steps=1, save_every=3, val_dataset_path=tmp_path / "val.jsonl",
    )  # fmt: skip


def test_a_training_that_is_cut_off_ends_as_one_that_is_not_and_its_folder_answers(
    asked: TrainSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = loop.train(asked, Null())
    assert whole.last_loss < whole.first_loss
    assert whole.trainable_parameters == whole.total_parameters

    cut = asked.model_copy(update={"model_name": "cut"})
    real = step.take
    done: list[int] = []

    def take(training: Any, number: int, *rest: Any, **options: Any) -> Any:
        if number == 5 and not done:
            done.append(number)
            signal.raise_signal(signal.SIGTERM)
        return real(training, number, *rest, **options)

    monkeypatch.setattr(loop, "take", take)
    with pytest.raises(Interrupted):
        loop.train(cut, Null())
    again = loop.train(cut, Null())
    assert (again.sha256, again.last_loss) == (whole.sha256, whole.last_loss)

    answer = Request(
        model=str(asked.model_dir), name="m", data=asked.dataset_path, out=tmp_path / "out.jsonl", draws=2,
        temperature=0.8, max_new_tokens=12, limit=5,
    )  # fmt: skip
    assert generate(answer) == 10
    one = dataclasses.replace(answer, out=tmp_path / "one.jsonl", batch_size=3)
    assert generate(one) == 10
    texts = [[row.text for row in jsonl.read(Prediction, request.out)] for request in (answer, one)]
    assert texts[0] == texts[1]
    assert len(set(texts[0])) > 1


def test_a_folder_without_a_record_answers_by_its_shape(asked: TrainSettings, tmp_path: Path) -> None:
    request = Request(
        model=asked.base_model, name="m", data=asked.dataset_path, out=tmp_path / "o.jsonl", max_new_tokens=4, limit=2
    )
    assert generate(request) == 2


@pytest.mark.process
def test_two_processes_give_the_losses_of_one(asked: TrainSettings) -> None:
    config = Path(asked.base_model) / "config.json"
    found = json.loads(config.read_text("utf-8"))
    found |= {key: 0.0 for key in found if "dropout" in key}  # which processes do not draw alike
    config.write_text(json.dumps(found), "utf-8")
    told = {name.upper(): str(value) for name, value in asked.public().items() if value not in {None, ""}}
    train = ("-m", "sluicegate", "train", "--no-send")
    launch = "accelerate.commands.launch --multi_gpu --num_processes 2 --num_machines 1 --mixed_precision no"
    both = ("-m", *launch.split(), "--dynamo_backend", "no", "--main_process_port", "0", *train)
    for name, words, batch in (("one", train, "8"), ("two", both, "4")):
        env = os.environ | told | {"MODEL_NAME": name, "BATCH_SIZE": batch, "MAX_STEPS": "4"}
        done = subprocess.run([sys.executable, *words], env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-3000:]
    one, two = (curves(asked.output_dir / name / "events.jsonl") for name in ("one", "two"))
    for name in ("train/loss", "train/grad_norm", "val/loss"):
        assert [at for at, _ in two[name]] == [at for at, _ in one[name]]
        assert [value for _, value in two[name]] == pytest.approx([value for _, value in one[name]], rel=1e-4)

"""The best checkpoint: by the loss, or by what greedy answers are worth."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from event_files import points
from sluicegate import jsonl
from sluicegate.errors import UserError
from sluicegate.models import scratch
from sluicegate.records import Sample
from sluicegate.settings import TrainSettings
from sluicegate.tracking import Null
from sluicegate.train import checkpoint, selection
from sluicegate.train.checkpoint import State
from sluicegate.train.loop import train
from sluicegate.train.selection import better
from train import answering

pytestmark = [pytest.mark.torch, pytest.mark.process]
Make = Callable[..., TrainSettings]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = answering.files(tmp_path_factory.mktemp("base"))
    texts = scratch.texts_of(jsonl.read(Sample, folder / "both.jsonl"))
    scratch.build(folder / "seq2seq", texts, kind="seq2seq", shape=answering.SHAPE, size=320)
    return folder


@pytest.fixture
def make(base: Path, tmp_path: Path) -> Make:
    def settings(**changes: object) -> TrainSettings:
        known: dict[str, object] = {"output_dir": tmp_path / "models", "epochs": 100.0, "max_steps": 4,
                                    "learning_rate": 5e-3, "select_by": "exact_match"}  # fmt: skip
        return answering.settings(base, "seq2seq", **(known | changes))

    return settings


class Seen(Null):
    def __init__(self) -> None:
        self.of: dict[str, list[float]] = {}

    def metrics(self, values: Mapping[str, float], step: int) -> None:
        for name, value in values.items():
            self.of.setdefault(name, []).append(value)


def test_a_higher_value_is_better_and_the_loss_tells_equal_ones_apart() -> None:
    best = State(3, 1, best_val_loss=1.0, best_metric=0.5, best_step=3)
    assert better(State(1, 1), 9.0, 0.0)
    assert better(best, 2.0, 0.6) and not better(best, 0.5, 0.4)
    assert better(best, 0.9, 0.5) and not better(best, 1.0, 0.5)
    assert better(State(3, 1, best_val_loss=1.0, best_step=3), 0.9, None)


def test_the_kept_weights_are_the_best_by_the_metric(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    values = iter([0.2, 0.9, 0.3])
    monkeypatch.setattr(selection.Quality, "value", lambda self: next(values))
    settings, seen = make(max_steps=6), Seen()
    done = train(settings, seen)
    assert (done.best_step, done.best_metric, done.select_by) == (4, 0.9, "exact_match")
    assert done.best_val_loss == pytest.approx(seen.of["val/loss"][1])
    assert seen.of["val/exact_match"] == [0.2, 0.9, 0.3]


def test_greedy_answers_are_scored_by_the_evaluator(make: Make) -> None:
    seen = Seen()
    done = train(make(max_steps=40, save_every=8, select_by="token_f1"), seen)
    assert seen.of["val/token_f1"][-1] > seen.of["val/token_f1"][0]
    assert done.best_metric == max(seen.of["val/token_f1"])


def test_only_the_first_samples_are_answered(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    real = selection.Quality.value

    def value(self: Any) -> float:
        asked.append(len(self._examples))
        return real(self)

    monkeypatch.setattr(selection.Quality, "value", value)
    train(make(max_steps=2, select_samples=3), Null())
    assert asked == [3]


def test_samples_that_are_dropped_for_their_length_are_not_answered(make: Make, base: Path, tmp_path: Path) -> None:
    long = Sample("long", "start " + "web " * 200, "web is up")
    val = tmp_path / "val.jsonl"
    jsonl.write(val, [long, answering.sample(0, "up"), answering.sample(1, "up")])
    settings = make(val_dataset_path=val, over_long="drop", max_steps=2)
    assert train(settings, Null()).best_metric is not None


def test_a_killed_training_knows_its_best(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    values = {2: 0.9, 4: 0.1, 6: 0.2}
    settings = make(max_steps=6)

    def value(self: Any) -> float:
        newest = checkpoint.newest(settings.model_dir)
        if newest is not None and newest.name.endswith("4") and not killed:
            killed.append(True)
            raise RuntimeError("killed here")
        return values[2 if newest is None else int(newest.name[-1]) + 2]

    killed: list[bool] = []
    monkeypatch.setattr(selection.Quality, "value", value)
    with pytest.raises(RuntimeError, match="killed here"):
        train(settings, Null())
    done = train(settings, Null())
    assert killed and (done.best_step, done.best_metric) == (2, 0.9)


def test_another_choice_is_another_training(make: Make) -> None:
    train(make(max_steps=1), Null())
    with pytest.raises(UserError, match="SELECT_BY"):
        train(make(max_steps=1, select_by="loss"), Null())


@pytest.mark.parametrize(
    ("changes", "named"),
    [({"val_dataset_path": None}, "VAL_DATASET_PATH"), ({"select_by": "judged_safety"}, "costs money"),
     ({"select_by": "k8s_bp"}, "k8s_bp has no value")],
)  # fmt: skip
def test_what_cannot_choose_is_refused(make: Make, changes: dict[str, Any], named: str) -> None:
    settings = make(**changes)
    with pytest.raises(UserError) as fault:
        train(settings, Null())
    assert named in str(fault.value) and not settings.model_dir.exists()


def test_tensorboard_gets_the_same_curves(make: Make) -> None:
    settings, seen = make(max_steps=2, tensorboard=True), Seen()
    train(settings, seen)
    found = points(settings.model_dir / "tensorboard")
    assert [value for name, _, value in found if name == "train/loss"] == pytest.approx(seen.of["train/loss"])
    assert [step for name, step, _ in found if name == "val/exact_match"] == [2]
    assert {name for name, _, _ in found} == set(seen.of)

"""The step's arithmetic, on a model small enough to know the answer of."""

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from accelerate import Accelerator

from sluicegate.models import Facts
from sluicegate.models.packing import padded
from sluicegate.settings import TrainSettings
from sluicegate.train.batches import Schedule
from sluicegate.train.step import Training, seeded, take, validation_loss

pytestmark = pytest.mark.torch


@dataclass(frozen=True)
class Line:
    """`targets` targets, each with the loss weight × slope."""

    slope: float
    targets: int

    @property
    def tokens(self) -> int:
        return self.targets


class OneWeight(torch.nn.Module):  # type: ignore[misc]
    """A weight of 2; the loss is what it makes of the sum of all slopes."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.tensor(2.0))

    def forward(self, total: torch.Tensor) -> torch.Tensor:
        return self.weight * total


class Slopes:
    """A learner whose loss is linear in its one weight, so that gradients are known."""

    facts = Facts("", False, "", 1, 1, 0.0)

    def __init__(self) -> None:
        self.model = self.scored = OneWeight()

    def batches(self, examples: Any, size: int) -> Any:
        return padded(examples, size)

    def batch(self, examples: Any, size: int) -> dict[str, torch.Tensor]:
        return {"total": torch.tensor(sum(line.slope * line.targets for line in examples))}


def _training(lines: list[Line]) -> Training:
    learner: Any = Slopes()
    names = dict(learner.model.named_parameters())
    settings = TrainSettings.model_construct(learning_rate=0.5, warmup_steps=0, max_grad_norm=1e9, seed=0)
    return Training(
        settings=settings,
        accelerator=Accelerator(),
        learner=learner,
        model=learner.model,
        optimizer=torch.optim.SGD(names.values(), lr=9.0),
        names=names,
        schedule=Schedule(len(lines), len(lines), 1, 0),
        train=lines,
        val=lines,
    )


LINES = [Line(1.0, 1), Line(2.0, 7), Line(-3.0, 2), Line(0.5, 4), Line(4.0, 1)]
MEAN_SLOPE = sum(line.slope * line.targets for line in LINES) / 15


@pytest.mark.parametrize("micro_batch", [1, 2, 3, 5])
def test_the_loss_is_the_mean_over_the_targets_of_the_whole_step(micro_batch: int) -> None:
    training = _training(LINES)
    taken = take(training, 1, micro_batch, stop=lambda: False)
    assert taken.loss == pytest.approx(2.0 * MEAN_SLOPE, rel=1e-6)
    assert taken.grad_norm == pytest.approx(MEAN_SLOPE, rel=1e-6)
    assert float(training.names["weight"].detach()) == pytest.approx(2.0 - 0.5 * MEAN_SLOPE, rel=1e-6)
    assert (taken.tokens, taken.micro_batch, taken.learning_rate, taken.stop) == (15, micro_batch, 0.5, False)


def test_gradients_are_clipped_to_the_norm_that_is_asked_for() -> None:
    training = _training(LINES)
    training.settings.__dict__["max_grad_norm"] = 0.1
    taken = take(training, 1, 5, stop=lambda: False)
    assert taken.grad_norm == pytest.approx(MEAN_SLOPE, rel=1e-6)
    assert float(training.names["weight"].detach()) == pytest.approx(2.0 - 0.5 * 0.1, rel=1e-4)


@pytest.mark.parametrize("micro_batch", [1, 2, 5])
def test_validation_is_weighted_by_targets(micro_batch: int) -> None:
    found = validation_loss(_training(LINES), micro_batch, lambda: False)
    assert found == pytest.approx(2.0 * MEAN_SLOPE, rel=1e-6)


def test_a_validation_that_is_to_stop_has_no_loss() -> None:
    training = _training(LINES)
    assert validation_loss(training, 1, lambda: True) is None
    assert training.learner.model.training


def test_the_random_state_is_a_function_of_seed_step_and_process() -> None:
    def draw(*place: int) -> float:
        seeded(*place)
        return float(torch.rand(()))

    assert draw(0, 1, 0) == draw(0, 1, 0)
    assert len({draw(0, 1, 0), draw(1, 1, 0), draw(0, 2, 0), draw(0, 1, 1), draw(0, 11, 0)}) == 5


def test_a_process_without_a_sample_adds_nothing() -> None:
    training = _training([Line(1.0, 1)])
    several: Any = SimpleNamespace(**{name: getattr(training.accelerator, name) for name in ("device", "backward")})
    several.num_processes, several.process_index = 2, 1
    from sluicegate.train import step

    second = Training(**{**training.__dict__, "accelerator": several})
    assert float(step.gradients(second, training.train, 1, 4)) == 0.0
    grad = training.names["weight"].grad
    assert grad is not None and float(grad) == 0.0


def _of_three(process: int, lines: list[Line], **can: Any) -> Training:
    several = SimpleNamespace(num_processes=3, process_index=process, device=torch.device("cpu"), **can)
    return Training(**{**_training(lines).__dict__, "accelerator": several})


@pytest.mark.parametrize(
    ("lines", "whole", "cut"),
    [
        (5, [[1.0], [1.0, 1.0], [1.0, 1.0]], [[1.0, 0.0], [1.0, 1.0], [1.0, 1.0]]),
        (2, [[1.0], [1.0], [0.0]], [[1.0], [1.0], [0.0]]),
    ],
)
def test_where_the_model_is_cut_all_have_equally_many_micro_batches(
    lines: int, whole: list[list[float]], cut: list[list[float]], monkeypatch: pytest.MonkeyPatch
) -> None:
    from sluicegate.train import step

    for is_cut, wanted in ((False, whole), (True, cut)):
        monkeypatch.setattr(step, "is_sharded", lambda _, is_cut=is_cut: is_cut)
        for process in range(3):
            found = step._micro_batches(_of_three(process, LINES[:lines]), LINES[:lines], 1)
            assert [counts for _, counts in found] == wanted[process]
            assert all(len(batch) == 1 for batch, _ in found)


def test_where_the_model_is_cut_a_validation_stops_in_all_processes_or_none(monkeypatch: pytest.MonkeyPatch) -> None:
    from sluicegate.train import step

    told: list[float] = []

    def reduce(tensor: torch.Tensor, _: str) -> torch.Tensor:
        told.append(float(tensor))
        return tensor + 1.0  # another process was told to stop

    training = _of_three(0, LINES, reduce=reduce)
    assert not step._asked(training, lambda: False)
    assert told == []
    monkeypatch.setattr(step, "is_sharded", lambda _: True)
    assert step._asked(training, lambda: False)
    assert told == [0.0]

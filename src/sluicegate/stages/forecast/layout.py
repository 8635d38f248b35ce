"""A stage laid out on its machines: what is trained there on what, and the figures that follow from it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from sluicegate.models import memory
from sluicegate.models.pair_memory import PairSize, forecast_of
from sluicegate.settings import TrainSettings
from sluicegate.stages.forecast import shapes
from sluicegate.stages.forecast.machines import Speed
from sluicegate.stages.forecast.measured import NOTHING_MEASURED, Measured
from sluicegate.stages.forecast.shapes import Shape
from sluicegate.stages.forecast.span import NOTHING, Span
from sluicegate.stages.forecast.work import Passes, Work, passes, settings_of
from sluicegate.stages.plan import Plan
from sluicegate.study import Study


@dataclass(frozen=True, slots=True)
class Figure:
    """A span, None where unknown, and where it comes from."""

    span: Span | None
    basis: str


@dataclass(frozen=True, slots=True)
class Trained:
    """A training of one arm, as far as its cost goes.

    Args:
        shape: of the base; None where it is unknown, or the machine cannot train it.
        in_4bit: whether the base is loaded in 4-bit, as far as can be told before.
    """

    settings: TrainSettings
    passes: Passes
    shape: Shape | None = None
    in_4bit: bool = False


@dataclass(frozen=True)
class Stage:
    """One stage of a study on its machines: all that its costs depend on."""

    study: Study
    plan: Plan
    work: Work
    machines: Mapping[str, Speed]
    measured: Measured
    arms: Mapping[str, Trained]

    @property
    def answers(self) -> int:
        """Of each model."""
        return self.work.asked * self.plan.draws


def lay_out(
    study: Study, plan: Plan, work: Work, machines: Mapping[str, Speed], measured: Measured = NOTHING_MEASURED
) -> Stage:
    """A stage with the trainings of its arms worked out.

    Raises:
        UserErrors: settings that training would refuse.
    """
    machine = machines["train"]
    arms = {arm: _trained(study, settings_of(plan, arm), work.of(arm), machine) for arm in plan.train}
    return Stage(study, plan, work, machines, measured, arms)


def _trained(study: Study, settings: TrainSettings, samples: int, machine: Speed) -> Trained:
    done, shape = passes(settings, max(1, samples)), _shape(settings)
    if shape is None or (study.needs_gpu and not machine.gpu):
        return Trained(settings, done)
    # Where the memory is unknown, `auto` keeps the weights as they are.
    free = math.inf if machine.free_gib is None else machine.free_gib
    window = min(settings.max_seq_length, shape.positions)
    gpu, forecast = bool(machine.gpu), forecast_of(shape.size)
    in_4bit, _ = memory.decide(settings, shape.size, window=window, gpu=gpu, free_gib=free, forecast=forecast)
    return Trained(settings, done, shape, in_4bit)


def _shape(settings: TrainSettings) -> Shape | None:
    found = shapes.find(settings.base_model, settings.model_kind)
    if found is None or not isinstance(found.size, PairSize) or settings.dual_memory is None:
        return found
    return replace(found, size=replace(found.size, sources=2 if settings.dual_memory == "both" else 1))


def weights(trained: Trained) -> int:
    """Weights that are trained."""
    if trained.shape is None:
        return 0
    size = trained.shape.size
    return trained.settings.lora_r * size.rows_and_columns if trained.settings.lora_r else size.parameters


def unknown(stage: Stage) -> Iterator[str]:
    """Why something is unknown, in words."""
    for base in dict.fromkeys(trained.settings.base_model for trained in stage.arms.values()):
        if shapes.find(base) is None:
            yield f"base model {base}: size unknown here (no folder with a config.json that is understood)"
    machine = stage.machines["train"]
    if stage.study.needs_gpu and not machine.gpu:
        yield f"the study needs a GPU, and {machine.name} has none: name the machines in the study file (machines:)"
    elif machine.gpu and machine.tflops is None:
        yield f"{machine.gpu}: speed unknown; give machines.{machine.name}.tflops in the study file"


def scaled(figure: Figure, factor: float) -> Figure:
    """So many times as much; unknown stays unknown."""
    return Figure(None if figure.span is None else figure.span * factor, figure.basis)


def summed(figures: Sequence[Figure]) -> Figure:
    """All of them together; unknown where one is."""
    total = NOTHING
    for figure in figures:
        if figure.span is None:
            return Figure(None, figure.basis)
        total = total + figure.span
    said = dict.fromkeys(figure.basis for figure in figures if figure.basis)
    return Figure(total, "; ".join(said))


def of_all(stage: Stage, cost: Callable[[Stage, str], Figure]) -> Figure:
    """Over the models of a stage."""
    by_arm = {arm: cost(stage, arm) for arm in dict.fromkeys(model.arm for model in stage.plan.models)}
    return summed([by_arm[model.arm] for model in stage.plan.models])


def made(stage: Stage) -> list[Shape]:
    """The bases that are made on the spot, one for each kind and shape."""
    asked = {(arm.settings.base_model, arm.settings.model_kind): arm.settings for arm in stage.arms.values()}
    return [shape for settings in asked.values() if (shape := _shape(settings)) is not None and shape.made]

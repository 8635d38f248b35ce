"""What earlier stages of the same study measured: speeds, lengths, memory, disk, scores.

A speed carries over where the settings that it depends on are the same. An attempt that cannot be read is left out
with a word, since a forecast without it is still a forecast.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sluicegate import folder
from sluicegate.errors import UserError
from sluicegate.records import Comparison
from sluicegate.report.clean import one_line
from sluicegate.report.reader import FAULTS
from sluicegate.settings import TrainSettings
from sluicegate.stages.forecast import priors
from sluicegate.stages.forecast.earlier import Attempt, read
from sluicegate.stages.plan import Plan
from sluicegate.study import Study

ENOUGH_ANSWERS, ENOUGH_MICRO_BATCHES = 20, 20
SHAPES_SPEED = (
    "base_model", "model_kind", "method", "batch_size", "load_in_4bit", "lora_r", "max_seq_length", "rl_samples",
    "rl_max_new_tokens",
)  # fmt: skip
SHAPES_FOLDER = ("base_model", "model_kind", "lora_r")


@dataclass(frozen=True, slots=True)
class Rate:
    """A measured figure and where it was measured.

    Args:
        most: the other end, where the measurement leaves a range.
        ratio: by how much it may be off, where that depends on the measurement.
    """

    value: float
    basis: str
    most: float = 0.0
    ratio: float = 1.1


@dataclass(frozen=True, slots=True)
class Measured:
    """What is known from earlier stages, the latest stage first; every question is answered by the first that can."""

    attempts: tuple[Attempt, ...] = ()
    notes: tuple[str, ...] = ()

    def _first(self, ask: Callable[[Attempt], float | None]) -> Rate | None:
        for attempt in self.attempts:
            if (found := ask(attempt)) is not None and math.isfinite(found) and found >= 0:
                return Rate(found, f"measured in {attempt.name}")
        return None

    def seconds_a_token(self, plan: Plan, arm: str, train: int) -> Rate | None:
        """Of the training loop, validation and checkpoints included."""

        def ask(attempt: Attempt) -> float | None:
            if not _same(attempt.plan, plan, arm, SHAPES_SPEED):
                return None
            batch = int(_setting(plan, arm, "batch_size"))
            done = [
                model.result
                for model in attempt.of(arm)
                if model.result and _micro_batches(model.result, batch) >= ENOUGH_MICRO_BATCHES
            ]
            # A batch that could not be filled tells nothing of one that can.
            done = [row for row in done if min(float(row["samples"]), train) >= min(batch, train)]
            tokens = sum(float(row["tokens"]) for row in done)
            return sum(float(row["seconds"]) for row in done) / tokens if tokens else None

        return self._first(ask)

    def train_start(self, plan: Plan, arm: str) -> Rate | None:
        """Seconds of a training step outside its loop."""

        def ask(attempt: Attempt) -> float | None:
            if not _same(attempt.plan, plan, arm, ("base_model",)):
                return None
            return _mean(
                max(0.1, model.seconds["train"] - float(model.result["seconds"]))
                for model in attempt.of(arm)
                if model.result and "train" in model.seconds
            )

        return self._first(ask)

    def tokens_a_sample(self, arm: str) -> Rate | None:
        """Training tokens of one sample."""

        def ask(attempt: Attempt) -> float | None:
            return _mean(
                float(row["tokens"]) / (float(row["samples"]) * float(row["epochs"]))
                for model in attempt.of(arm)
                if (row := model.result) and float(row["samples"]) * float(row["epochs"]) > 0
            )

        return self._first(ask)

    def seconds_a_batch(self, wanted: Study, arm: str, size: int) -> Rate | None:
        """Of a full batch of `size` answers: as long as the batches that were, or longer in proportion to its rows."""
        asked = wanted.generate.batch_size, wanted.generate.max_new_tokens
        for attempt in self.attempts:
            told = attempt.study.generate
            models = [model for model in attempt.of(arm) if model.answers and model.decoding > 0]
            if models and (told.batch_size, told.max_new_tokens) == asked:
                answers, seconds = sum(model.answers for model in models), sum(model.decoding for model in models)
                batches = sum(-(-model.answers // size) for model in models)
                return Rate(
                    seconds / batches,
                    f"measured in {attempt.name}",
                    most=seconds / answers * max(size, answers / batches),
                )
        return None

    def generate_start(self, arm: str) -> Rate | None:
        """Seconds of a generation step outside its batches."""
        return self._first(
            lambda attempt: _mean(
                max(0.1, model.seconds["generate"] - model.decoding)
                for model in attempt.of(arm)
                if model.answers and "generate" in model.seconds
            )
        )

    def tokens_an_answer(self, arm: str) -> Rate | None:
        """Of answers enough for a mean."""
        return self._first(
            lambda attempt: _mean(model.tokens for model in attempt.of(arm) if model.answers >= ENOUGH_ANSWERS)
        )

    def seconds_a_judged_answer(self, arm: str) -> Rate | None:
        """With as many side by side as there were cores."""
        return self._first(
            lambda attempt: _mean(
                max(1e-4, (model.seconds["evaluate"] - priors.LIGHT_START_S.expected) / model.answers)
                for model in attempt.of(arm)
                if model.answers >= ENOUGH_ANSWERS and "evaluate" in model.seconds
            )
        )

    def dollars_an_answer(self) -> Rate | None:
        """What judging cost."""

        def ask(attempt: Attempt) -> float | None:
            answers = sum(model.answers for model in attempt.models)
            return sum(model.dollars for model in attempt.models) / answers if answers else None

        return self._first(ask)

    def memory_ratio(self, arm: str) -> Rate | None:
        """Peak of GPU memory over the training's own forecast of it."""

        def ask(attempt: Attempt) -> float | None:
            ratios = [
                float(row["peak_vram_gib"]) / float(row["forecast_vram_gib"])
                for model in attempt.of(arm)
                if (row := model.result) and row.get("peak_vram_gib") and row.get("forecast_vram_gib")
            ]
            return max(ratios, default=None)

        return self._first(ask)

    def model_bytes(self, plan: Plan, arm: str) -> Rate | None:
        """Bytes of one model's folder."""

        def ask(attempt: Attempt) -> float | None:
            if not _same(attempt.plan, plan, arm, SHAPES_FOLDER):
                return None
            return _mean(float(model.bytes) for model in attempt.of(arm) if model.result and model.bytes)

        return self._first(ask)

    def row(self, metric: str) -> tuple[Comparison, Attempt] | None:
        """The latest comparison of a metric, and the stage that it is of."""
        for attempt in self.attempts:
            for row in attempt.rows:
                if row.metric == metric and row.n > 1 and row.control is not None:
                    return row, attempt
        return None


NOTHING_MEASURED = Measured()


def _mean(values: Iterable[float]) -> float | None:
    found = list(values)
    return sum(found) / len(found) if found else None


def _setting(plan: Plan, arm: str, name: str) -> Any:
    value = plan.train[arm].get(name)
    return TrainSettings.model_fields[name].default if value is None else value


def _same(one: Plan, other: Plan, arm: str, names: Iterable[str]) -> bool:
    if arm not in one.train or arm not in other.train:
        return False
    return all(str(_setting(one, arm, name)).lower() == str(_setting(other, arm, name)).lower() for name in names)


def _micro_batches(row: Mapping[str, Any], batch: int) -> float:
    return float(row["epochs"]) * -(-int(row["samples"]) // batch)


def before(runs: Path | None, name: str, number: int) -> Measured:
    """What the stages before `number` of the study of that name left under `runs`."""
    found: list[Attempt] = []
    notes: list[str] = []
    if runs is None:
        return NOTHING_MEASURED
    for stage in range(number - 1, 0, -1):
        for path in reversed(folder.attempts(runs, name, stage)):
            try:
                attempt = read(path, stage)
            except FAULTS as fault:
                seen = fault.what if isinstance(fault, UserError) else f"{type(fault).__name__}: {fault}"
                notes.append(f"{path.name} is left out of the forecast: {one_line(seen, 160)}")
                continue
            if attempt.models or attempt.rows:
                found.append(attempt)
                break
    return Measured(tuple(found), tuple(notes))

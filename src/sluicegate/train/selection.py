"""Which checkpoint is the best: by validation loss, or by what greedy answers to validation samples are worth.

The answers of a validation are those to the first SELECT_SAMPLES of VAL_DATASET_PATH, greedy, of at most
RL_MAX_NEW_TOKENS tokens; the same for every validation and every arm. Equal values are told apart by the loss.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import cast

from sluicegate.errors import UserError
from sluicegate.models import Example, Learner, Seq2SeqExample
from sluicegate.records import Sample
from sluicegate.settings import TrainSettings
from sluicegate.train import reward as rewards
from sluicegate.train.checkpoint import State
from sluicegate.train.reward import Reward
from sluicegate.train.rollout import Drawing
from sluicegate.train.scoring import Job, Scorers

LOSS, REWARD = "loss", "reward"


def selected_by(settings: TrainSettings) -> str:
    """What SELECT_BY says; unset, the loss, or the reward where that is what is learnt."""
    return settings.select_by or (LOSS if settings.method == "supervised" else REWARD)


def reward_of(settings: TrainSettings) -> Reward | None:
    """What SELECT_BY makes an answer worth; None for the loss.

    Raises:
        UserError: an unknown evaluator, or one that costs money.
    """
    name = selected_by(settings)
    if name == LOSS:
        return None
    return rewards.of_settings(settings) if name == REWARD else rewards.named("SELECT_BY", {name: 1.0}, gated=False)


class Quality:
    """What a model's greedy answers are worth.

    Args:
        samples, examples: of the validation file, those that are answered.
    """

    def __init__(
        self, reward: Reward, drawing: Drawing, scorers: Scorers, samples: Sequence[Sample],
        examples: Sequence[Seq2SeqExample],
    ) -> None:  # fmt: skip
        self._reward, self._drawing, self._scorers = reward, drawing, scorers
        self._samples, self._examples = samples, examples

    def value(self) -> float:
        """The mean over the samples that can be judged, in [0, 1]."""
        drawn = self._drawing.greedy(self._examples)
        jobs = [Job(self._reward, sample, (each.answer,)) for sample, each in zip(self._samples, drawn, strict=True)]
        scored = self._scorers.results(self._scorers.submit(jobs))
        values = [total for job in scored if (total := job.worths[0].total) is not None]
        if not values:
            raise UserError(
                f"SELECT_BY: none of {len(jobs)} validation samples can be judged",
                wanted=f"samples that {', '.join(self._reward.weights)} can judge, no longer than the window",
                seen="none",
                mend="raise SELECT_SAMPLES or MAX_SEQ_LENGTH",
            )
        return fmean(values)


def better(state: State, loss: float, value: float | None) -> bool:
    """Whether a validation is better than the best so far: a higher value, or the lower loss where it is equal."""
    if state.best_val_loss is None:
        return True
    if value is None or state.best_metric is None or value == state.best_metric:
        return loss < state.best_val_loss
    return value > state.best_metric


def paired(learner: Learner, samples: Sequence[Sample], source: Path) -> tuple[list[Sample], list[Seq2SeqExample]]:
    """The samples that OVER_LONG leaves, each with its tokens.

    Raises:
        UserError: see `Learner.encode`.
    """
    examples = learner.encode(samples, source)
    if len(examples) < len(samples):
        kept = [(sample, found) for sample in samples for found in _alone(learner, sample, source)]
        samples, examples = [sample for sample, _ in kept], [found for _, found in kept]
    return list(samples), [cast(Seq2SeqExample, each) for each in examples]


def _alone(learner: Learner, sample: Sample, source: Path) -> Sequence[Example]:
    try:
        return learner.encode([sample], source)
    except UserError:  # a file of one sample that is dropped is empty
        return []

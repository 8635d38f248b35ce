"""What draws and scores answers during a training: made where the settings learn or choose by answers."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sluicegate.console import say
from sluicegate.records import Sample
from sluicegate.settings import TrainSettings
from sluicegate.train import reward as rewards
from sluicegate.train.reinforce import Policy
from sluicegate.train.rollout import Drawing
from sluicegate.train.scoring import scorers
from sluicegate.train.selection import REWARD, Quality, paired, reward_of, selected_by
from sluicegate.train.step import Training

JUDGED = 64
"""Training samples, from all over the file, whose references show whether a reward can judge them."""


@dataclass(frozen=True, slots=True)
class Answering:
    """What learns by answers, and what chooses the best checkpoint by them; None where nothing does."""

    policy: Policy | None = None
    quality: Quality | None = None


def refuse_null(settings: TrainSettings, train: Sequence[Sample], val: Sequence[Sample]) -> None:
    """Refuse a REWARD or SELECT_BY that no sample can be judged by.

    Raises:
        UserError: such a term, an unknown evaluator, or one that costs money.
    """
    if settings.method != "supervised":
        some = train[:: max(1, -(-len(train) // JUDGED))]  # the first may be all of one sort
        rewards.refuse_null("REWARD", rewards.of_settings(settings), some, source=settings.dataset_path)
    chosen_by = reward_of(settings)
    if chosen_by is not None:
        what = "REWARD" if selected_by(settings) == REWARD else "SELECT_BY"
        some = val[: settings.select_samples]
        rewards.refuse_null(what, chosen_by, some, source=settings.val_dataset_path)


@contextlib.contextmanager
def answering(training: Training, train: Sequence[Sample], val: Sequence[Sample]) -> Iterator[Answering]:
    """What the settings ask for; the processes that score end with the block.

    Args:
        training: with the weights that learning by reward is to stay near to.
    """
    settings, learner, chosen_by = training.settings, training.learner, reward_of(training.settings)
    learns = settings.method != "supervised"
    if chosen_by is None and not learns:
        yield Answering()
        return
    with scorers(settings.rl_workers) as pool:
        policy = quality = None
        drawing = Drawing(training)
        if learns:
            samples, _ = paired(learner, train, settings.dataset_path)
            policy = Policy(training, samples, rewards.of_settings(settings), drawing, pool)
        if chosen_by is not None and settings.val_dataset_path is not None:
            samples, examples = paired(learner, val[: settings.select_samples], settings.val_dataset_path)
            quality = Quality(chosen_by, drawing, pool, samples, examples)
        yield Answering(policy, quality)
        if policy is not None and policy.told():
            say(f"{settings.model_name}: {policy.told()}")

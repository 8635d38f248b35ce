"""pass@k as a reduction over draws: scores of draws in, scores of samples out."""

from __future__ import annotations

from collections.abc import Iterable

from sluicegate.records import Score
from sluicegate.stats import item_pass_at_k

PASSES = "functional_correctness"
"""The metric whose full marks mean that a draw passes."""


def reduce_pass_at_k(scores: Iterable[Score], k: int, *, metric: str = PASSES) -> list[Score]:
    """Scores of the metric `pass@k`, in [0, 1], from the draws of each sample and model.

    A draw passes with value 1. For k = 1 the estimate is the mean over draws, so the draws themselves are returned;
    for k > 1 it is one score a sample and model. Too few judged draws give None with the reason.

    Args:
        k: at least 1.
        metric: the scores to reduce; others are left out.

    Raises:
        UserError: a sample with fewer than k draws, judged or not.

    >>> draws = [Score("a", "m", draw, PASSES, value) for draw, value in enumerate([1.0, 0.0, 0.0, 0.0])]
    >>> [(score.metric, score.value) for score in reduce_pass_at_k(draws, 2)]
    [('pass@2', 0.5)]
    """
    chosen = [score for score in scores if score.metric == metric]
    if k == 1:
        return [_passed(score) for score in chosen]
    draws: dict[tuple[str, str], list[float | None]] = {}
    for score in chosen:
        draws.setdefault((score.model, score.sample_id), []).append(score.value)
    return [_reduced(sample, model, values, k) for (model, sample), values in draws.items()]


def _passed(score: Score) -> Score:
    value = None if score.value is None else float(score.value >= 1)
    return Score(score.sample_id, score.model, score.draw, "pass@1", value, score.why)


def _reduced(sample: str, model: str, values: list[float | None], k: int) -> Score:
    judged = [value for value in values if value is not None]
    item_pass_at_k(0, len(values), k)  # refuses too few draws
    if len(judged) < k:
        why = f"{len(judged)} of {len(values)} draws judged, {k} needed"
        return Score(sample, model, 0, f"pass@{k}", None, why)
    value = item_pass_at_k(sum(value >= 1 for value in judged), len(judged), k)
    return Score(sample, model, 0, f"pass@{k}", min(1.0, max(0.0, value)))

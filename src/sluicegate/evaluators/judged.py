"""What the judged metrics share: an answer, graded by the judge of this process, as a score.

A judged metric has a name of its own and never takes the place of a measured one. It is asked only while
`sluicegate evaluate` holds a judge with a budget.
"""

from __future__ import annotations

from sluicegate import judge
from sluicegate.records import Prediction, Sample, Score

INFRA = "infra: judge"


def score(metric: str, rubric: str, sample: Sample, prediction: Prediction) -> Score:
    """Grade one answer; None with a reason where there is nothing to grade, no money, or no usable reply."""
    value, why, dollars = _graded(judge.RUBRICS[rubric], sample, prediction.text)
    return Score(sample.id, prediction.model, prediction.draw, metric, value, why, dollars)


def _graded(rubric: judge.Rubric, sample: Sample, answer: str) -> tuple[float | None, str, float]:
    if rubric.reference and not sample.completion.strip():
        return None, "no reference", 0.0
    if not answer.strip():
        return (None, "nothing to judge", 0.0) if rubric.lower_is_better else (0.0, "an empty answer", 0.0)
    try:
        found = judge.grade(judge.current(), rubric, sample, answer)
    except judge.OutOfBudget as fault:
        return None, f"{judge.OUT_OF_BUDGET}: {fault}", 0.0
    except judge.Unanswered as fault:
        return None, f"{INFRA}: {fault}", 0.0
    return found.value, found.told, found.dollars

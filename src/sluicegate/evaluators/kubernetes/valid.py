"""Whether the answer is valid: strict-valid and clean by the semantic rules; what a study calls YAML validity."""

from __future__ import annotations

from sluicegate.evaluators.kubernetes.levels import level
from sluicegate.evaluators.kubernetes.reading import judged
from sluicegate.records import Prediction, Sample, Score

NAME = "k8s_valid"


def score(sample: Sample, prediction: Prediction) -> Score:
    """1 where it is, 0 where it is not, None where nobody can say."""
    return judged(NAME, sample, prediction, lambda answer, wanted: level(answer, wanted, lambda found: found.valid))

"""Whether the answer follows the strict schemas of the newest Kubernetes: the third level of validity."""

from __future__ import annotations

from sluicegate.evaluators.kubernetes.levels import level
from sluicegate.evaluators.kubernetes.reading import judged
from sluicegate.records import Prediction, Sample, Score

NAME = "k8s_schema"


def score(sample: Sample, prediction: Prediction) -> Score:
    """1 where every object follows its schema, 0 where one does not, None where nobody can say."""
    return judged(NAME, sample, prediction, lambda answer, wanted: level(answer, wanted, lambda found: found.strict))

"""Whether all that the answer holds are Kubernetes objects (apiVersion, kind, a name): the second level of validity."""

from __future__ import annotations

from sluicegate.evaluators.kubernetes.levels import level
from sluicegate.evaluators.kubernetes.reading import judged
from sluicegate.records import Prediction, Sample, Score

NAME = "k8s_object"


def score(sample: Sample, prediction: Prediction) -> Score:
    """1 where it parses and holds objects and nothing else, else 0."""
    return judged(NAME, sample, prediction, lambda answer, wanted: level(answer, wanted, lambda found: found.objects))

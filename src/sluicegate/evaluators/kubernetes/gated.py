"""Quality times intent fidelity: well made, near the reference and what was asked for; what gates use."""

from __future__ import annotations

from sluicegate.evaluators.kubernetes.reading import Judged, facts, judged
from sluicegate.k8s.document import Parsed
from sluicegate.k8s.fidelity import fidelity
from sluicegate.k8s.quality import gated, quality
from sluicegate.records import Prediction, Sample, Score

NAME = "quality_gated"


def score(sample: Sample, prediction: Prediction) -> Score:
    """In [0, 1]; None where the reference or the facts cannot be read."""

    def judge(answer: Parsed, wanted: Parsed) -> Judged:
        found = gated(quality(answer, wanted), fidelity(answer, wanted, facts(sample)))
        return found.value, found.why

    return judged(NAME, sample, prediction, judge)

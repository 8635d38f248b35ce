"""Quality as earlier work defines it, 0.7 · BP + 0.3 · CodeBLEU: one fixed template does well; see `quality_gated`."""

from __future__ import annotations

from sluicegate.evaluators.kubernetes.reading import Judged, judged
from sluicegate.k8s.document import Parsed
from sluicegate.k8s.quality import quality
from sluicegate.records import Prediction, Sample, Score

NAME = "k8s_quality"


def score(sample: Sample, prediction: Prediction) -> Score:
    """In [0, 1]; None where the reference cannot be read."""
    return judged(NAME, sample, prediction, _judge)


def _judge(answer: Parsed, wanted: Parsed) -> Judged:
    found = quality(answer, wanted)
    return found.value, found.why

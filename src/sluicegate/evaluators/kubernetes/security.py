"""How secure the workloads of the answer are: passed / applicable of the six security checks.

It does not ask whether the workload is the one that was wanted: one fixed template has full marks, see `quality_gated`.
An answer without a workload has 0 where the reference has one, and no score elsewhere.
"""

from __future__ import annotations

from sluicegate.evaluators.kubernetes.reading import Judged, judged
from sluicegate.k8s.document import Parsed
from sluicegate.k8s.score import score as of_text
from sluicegate.records import Prediction, Sample, Score

NAME = "k8s_security"


def score(sample: Sample, prediction: Prediction) -> Score:
    """The mean over the workloads, in [0, 1]; None where no workload was written or wanted."""
    return judged(NAME, sample, prediction, _judge)


def _judge(answer: Parsed, wanted: Parsed) -> Judged:
    found = of_text(answer, wanted)
    return found.security, found.why or ", ".join(found.failed)

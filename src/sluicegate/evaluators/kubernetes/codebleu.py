"""How near the answer is to the reference: CodeBLEU for manifests (tokens, keywords, paths, references).

Many a right manifest is not near its reference, and a near one may be wrong; it is reported and decides nothing alone.
"""

from __future__ import annotations

from sluicegate.evaluators.kubernetes.reading import Judged, judged
from sluicegate.k8s.codebleu import codebleu
from sluicegate.k8s.document import Parsed
from sluicegate.records import Prediction, Sample, Score

NAME = "codebleu_k8s"


def score(sample: Sample, prediction: Prediction) -> Score:
    """In [0, 1]; None where the reference cannot be read."""
    return judged(NAME, sample, prediction, _judge)


def _judge(answer: Parsed, wanted: Parsed) -> Judged:
    found = codebleu(answer, wanted)
    parts = ", ".join(f"{name} {part:.2f}" for name, part in found.parts.items() if part is not None)
    return found.value, found.why or parts

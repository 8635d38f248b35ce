"""Whether the answer is YAML that can be read to its end: the first level of validity.

A sentence is YAML too, and passes; an empty answer does not. The levels after this one ask for more.
"""

from __future__ import annotations

from sluicegate.evaluators.kubernetes.reading import Judged, judged
from sluicegate.k8s.document import Parsed
from sluicegate.records import Prediction, Sample, Score

NAME = "k8s_parses"


def score(sample: Sample, prediction: Prediction) -> Score:
    """1 where the answer can be read to its end and holds something, else 0."""
    return judged(NAME, sample, prediction, _judge)


def _judge(answer: Parsed, _: Parsed) -> Judged:
    fatal = next((fault for fault in answer.faults if fault.fatal), None)
    if fatal is not None:
        return 0.0, f"line {fatal.line}: {fatal.kind}: {fatal.what}" if fatal.line else f"{fatal.kind}: {fatal.what}"
    return (1.0, "") if answer.documents else (0.0, "nothing but blank space and comments")

"""How much of what was asked for the answer says, and how much it says against it: F1 over the facts of the intent.

The facts stand in the sample's meta (`facts`, a list of [path, value]); without them the reference is what was asked.
"""

from __future__ import annotations

from sluicegate.evaluators.kubernetes.reading import Judged, facts, judged
from sluicegate.k8s.document import Parsed
from sluicegate.k8s.fidelity import fidelity
from sluicegate.records import Prediction, Sample, Score

NAME = "intent_fidelity"


def score(sample: Sample, prediction: Prediction) -> Score:
    """In [0, 1]; None where the reference or the facts cannot be read."""

    def judge(answer: Parsed, wanted: Parsed) -> Judged:
        found = fidelity(answer, wanted, facts(sample))
        return found.value, found.why

    return judged(NAME, sample, prediction, judge)

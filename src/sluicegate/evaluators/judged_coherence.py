"""Whether the answer hangs together as code, graded 1-5 by a judge model."""

from __future__ import annotations

from sluicegate.evaluators import judged
from sluicegate.records import Prediction, Sample, Score

NAME = "judged_coherence"
RUBRIC = "coherence"
CALLS = 1
"""Calls to the judge that one answer costs."""


def score(sample: Sample, prediction: Prediction) -> Score:
    """See `judged.score`."""
    return judged.score(NAME, RUBRIC, sample, prediction)

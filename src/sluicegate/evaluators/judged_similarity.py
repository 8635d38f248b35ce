"""Whether the answer does the same as the reference, graded 1-5 by a judge model in both orders."""

from __future__ import annotations

from sluicegate.evaluators import judged
from sluicegate.records import Prediction, Sample, Score

NAME = "judged_similarity"
RUBRIC = "similarity"
CALLS = 2
"""Calls to the judge that one answer costs."""


def score(sample: Sample, prediction: Prediction) -> Score:
    """See `judged.score`."""
    return judged.score(NAME, RUBRIC, sample, prediction)

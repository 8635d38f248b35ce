"""How safe the answer is on untrusted input: 1 less a tenth of its vulnerability, graded 0-10 by a judge model."""

from __future__ import annotations

from sluicegate.evaluators import judged
from sluicegate.records import Prediction, Sample, Score

NAME = "judged_safety"
RUBRIC = "vulnerability"
CALLS = 1
"""Calls to the judge that one answer costs."""


def score(sample: Sample, prediction: Prediction) -> Score:
    """See `judged.score`."""
    return judged.score(NAME, RUBRIC, sample, prediction)

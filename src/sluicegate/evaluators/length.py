"""How near the answer's length is to the reference's: the shorter over the longer, counted in tokens.

1 says as long as the reference, 0.5 twice or half as long; the reason says which. It is here to show what an arm does
to the length of answers, and says nothing of their worth: any text of the right length scores 1.
"""

from __future__ import annotations

from sluicegate.evaluators import answer
from sluicegate.evaluators.token_f1 import tokens
from sluicegate.records import Prediction, Sample, Score

NAME = "length"


def score(sample: Sample, prediction: Prediction) -> Score:
    """The ratio in [0, 1]; None without a reference, 0 for an empty answer."""
    wanted = tokens(answer.wanted(sample).text).total()
    seen = tokens(answer.given(sample, prediction).text).total()
    if not wanted:
        value, why = None, answer.NO_REFERENCE
    else:
        value, why = min(seen, wanted) / max(seen, wanted), f"{seen} tokens, the reference {wanted}"
    return Score(sample.id, prediction.model, prediction.draw, NAME, value, why)

r"""F1 of the answer's tokens against the reference's: words and signs as multisets, whatever their order.

A word is a run of letters, digits and underscores, a sign any other character that is not blank. Any language is
judged, and nothing is understood: a program with its lines shuffled scores 1.
"""

from __future__ import annotations

import re
from collections import Counter
from functools import lru_cache
from typing import Final

from sluicegate.evaluators import answer
from sluicegate.records import Prediction, Sample, Score

NAME = "token_f1"
TOKEN: Final = re.compile(r"\w+|[^\w\s]")


def score(sample: Sample, prediction: Prediction) -> Score:
    """Harmonic mean of precision and recall in [0, 1]; None without a reference, 0 for an empty answer."""
    wanted = tokens(answer.wanted(sample).text)
    seen = tokens(answer.given(sample, prediction).text)
    if not wanted:
        value, why = None, answer.NO_REFERENCE
    else:
        value, why = 2 * (seen & wanted).total() / (seen.total() + wanted.total()), "" if seen else answer.EMPTY
    return Score(sample.id, prediction.model, prediction.draw, NAME, value, why)


@lru_cache(maxsize=64)
def tokens(text: str) -> Counter[str]:
    """How often each word and sign occurs.

    >>> tokens("x = x+1") == {"x": 2, "=": 1, "+": 1, "1": 1}
    True
    """
    return Counter(TOKEN.findall(text))

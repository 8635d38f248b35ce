"""Whether the answer is the reference, give or take line ends and blank space that no reader sees.

It forgives nothing else: another name, another order or another indentation is another answer.
"""

from __future__ import annotations

from sluicegate.records import Prediction, Sample, Score

NAME = "exact_match"


def score(sample: Sample, prediction: Prediction) -> Score:
    """1 where the normalised texts are equal, else 0; None where the sample has no reference."""
    wanted, seen = normalised(sample.completion), normalised(prediction.text)
    if not wanted:
        value, why = None, "the sample has no reference answer"
    elif not seen:
        value, why = 0.0, "empty answer"
    else:
        value, why = float(wanted == seen), "" if wanted == seen else "differs from the reference"
    return Score(sample.id, prediction.model, prediction.draw, NAME, value, why)


def normalised(text: str) -> str:
    r"""LF line ends, no trailing space on any line, no blank lines around.

    >>> normalised("\r\ndef f():\r\n    pass  \r\n\r\n")
    'def f():\n    pass'
    """
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return "\n".join(line.rstrip() for line in lines).strip("\n")

"""Whether the answer is the reference's program: equal syntax trees, whatever its comments, formatting and quotes.

What the trees leave out is in the head of `syntax.canonical`: docstrings, too, and in YAML the order of keys. Another
name, another order of statements or another way to the same result is another program. Python, JavaScript, JSX,
TypeScript, TSX, SQL and YAML are read; an answer that does not parse is wrong.
"""

from __future__ import annotations

from sluicegate.evaluators import answer, comparison
from sluicegate.evaluators.syntax import canonical
from sluicegate.records import Prediction, Sample, Score

NAME = "code_accuracy"


def score(sample: Sample, prediction: Prediction) -> Score:
    """1 where the normal trees are equal, else 0; None without a reference that parses."""
    value, why = comparison.judged(sample, prediction, canonical.LANGUAGES, canonical.of, _compared)
    return Score(sample.id, prediction.model, prediction.draw, NAME, value, answer.in_a_line(why))


def _compared(seen: canonical.Tree, wanted: canonical.Tree) -> comparison.Valued:
    return (1.0, "") if seen == wanted else (0.0, "another program than the reference")

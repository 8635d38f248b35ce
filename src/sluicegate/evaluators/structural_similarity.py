"""How much of the syntax tree the answer shares with the reference: Dice's coefficient of the trees' productions.

A production is a node with the labels of what stands directly below it; the trees are those of `code_accuracy`, so
names and literals count and formatting does not. 1 says that all productions are shared, which is nearly, but not
quite, that the programs are equal. It is not an embedding's similarity, and has its own name so that the two never
meet in one comparison. A similar program may be wrong in all that matters.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import lru_cache

from sluicegate.evaluators import answer, comparison
from sluicegate.evaluators.syntax import KEPT, canonical
from sluicegate.records import Prediction, Sample, Score

NAME = "structural_similarity"
Production = tuple[str, tuple[str, ...]]


def score(sample: Sample, prediction: Prediction) -> Score:
    """Shared productions in [0, 1]; None without a reference that parses, 0 for an answer that does not."""
    value, why = comparison.judged(sample, prediction, canonical.LANGUAGES, _productions, _compared)
    return Score(sample.id, prediction.model, prediction.draw, NAME, value, answer.in_a_line(why))


def _compared(seen: Counter[Production], wanted: Counter[Production]) -> comparison.Valued:
    return 2 * (seen & wanted).total() / (seen.total() + wanted.total()), ""


@lru_cache(maxsize=KEPT)
def _productions(language: str, text: str, dialect: str) -> Counter[Production]:
    return Counter(_walked(canonical.of(language, text, dialect)))


def _walked(top: canonical.Tree) -> Iterator[Production]:
    level = [top]
    while level:
        label, below = level.pop()
        yield label, tuple(part[0] for part in below)
        level.extend(below)
